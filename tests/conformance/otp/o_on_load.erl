%% Modules with an on_load function: others wait while it runs, and what a failure leaves.
-module(o_on_load).
-export([main/0]).

main() ->
    logger:set_primary_config(level, none),
    register(o_on_load, self()),
    %% it takes its time; who calls meanwhile gets the answer of the module that is ready
    Good = beam(good, "init() -> o_on_load ! {init, self()}, receive go -> put(x, 1) end, "
                      "persistent_term:put(o_good, ready), ok.\n"
                      "value() -> persistent_term:get(o_good, not_ready)."),
    Loader = run(fun() -> code:load_binary(good, "good", Good) end),
    Init = receive {init, Pid} -> Pid end,
    Callers = [run(fun() -> good:value() end) || _ <- lists:seq(1, 5)],
    Ensure = run(fun() -> code:ensure_loaded(good) end),
    receive {done, _, Early} -> io:format("too early: ~p~n", [Early]) after 50 -> io:format("all wait~n") end,
    Init ! go,
    io:format("~p ~p ~p~n", [result(Loader), [result(C) || C <- Callers], result(Ensure)]),
    %% no module before, none after
    Bad = beam(bad, "init() -> {error, no}.\nvalue() -> 1."),
    io:format("~p~n", [code:load_binary(bad, "bad", Bad)]),
    io:format("~p ~p~n", [code:is_loaded(bad), catch_undef(fun() -> bad:value() end)]),
    Crash = beam(bad, "init() -> exit(oops).\nvalue() -> 1."),
    io:format("~p ~p~n", [code:load_binary(bad, "bad", Crash), code:is_loaded(bad)]),
    %% a version before stays
    One = beam(two, "init() -> ok.\nvalue() -> 1."),
    Two = beam(two, "init() -> false.\nvalue() -> 2."),
    io:format("~p ~p~n", [code:load_binary(two, "two", One), two:value()]),
    io:format("~p ~p~n", [code:load_binary(two, "two", Two), two:value()]),
    Three = beam(two, "init() -> ok.\nvalue() -> 3."),
    io:format("~p ~p~n", [code:load_binary(two, "two", Three), two:value()]),
    %% from a file, by a call
    Dir = "o_on_load_dir",
    ok = file:make_dir(Dir),
    ok = file:write_file(filename:join(Dir, "filed.beam"),
                         beam(filed, "init() -> receive after 30 -> ok end.\nvalue() -> here.")),
    code:add_patha(Dir),
    Again = [run(fun() -> filed:value() end) || _ <- [1, 2, 3]],
    io:format("~p~n", [[result(A) || A <- Again]]).

run(F) ->
    Self = self(),
    spawn_link(fun() -> Self ! {done, self(), F()} end).

result(Pid) -> receive {done, Pid, R} -> R after 5000 -> timeout end.

catch_undef(F) ->
    try F() catch error:undef -> undef end.

beam(Module, Text) ->
    Source = ["-module(", atom_to_list(Module), ").\n-export([value/0]).\n-on_load(init/0).\n", Text],
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Source)),
    {ok, Module, Beam} = compile:forms(parse(Tokens, [], [])),
    Beam.

parse([], [], Forms) -> lists:reverse(Forms);
parse([{dot, _} = D | Rest], Acc, Forms) ->
    {ok, Form} = erl_parse:parse_form(lists:reverse([D | Acc])),
    parse(Rest, [], [Form | Forms]);
parse([T | Rest], Acc, Forms) -> parse(Rest, [T | Acc], Forms).
