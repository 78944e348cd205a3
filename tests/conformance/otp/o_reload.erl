%% Literals of purged modules and of replaced persistent terms: values that processes, messages,
%% timers and monitors hold stay what they were, and the memory of the others comes back.
-module(o_reload).
-export([main/0, holder/1]).

-define(ROUNDS, 300).
-define(VERSIONS, 4).

main() ->
    Module = o_reload_data,
    Queue = spawn_link(?MODULE, holder, [[]]),
    Holders = [spawn_link(?MODULE, holder, [[]]) || _ <- lists:seq(1, 5)],
    Before = erlang:memory(code),
    Beams = list_to_tuple([beam(Module, N) || N <- lists:seq(1, ?VERSIONS)]),
    Kept = rounds(Module, Beams, Queue, Holders, ?ROUNDS, []),
    io:format("memory comes back: ~p~n", [comes_back(Before, 500)]),
    io:format("kept: ~p~n", [lists:usort([check(N, V) || {N, V} <- Kept])]),
    io:format("held: ~p~n", [lists:usort(lists:append([ask(H) || H <- Holders]))]),
    io:format("queued: ~p~n", [lists:usort(ask(Queue))]),
    receive {late, N, V} -> io:format("timer: ~p~n", [check(N, V)]) after 5000 -> io:format("late~n") end,
    receive {{tag, N1, V1}, _, process, _, normal} -> io:format("tag: ~p~n", [check(N1, V1)]) end,
    io:format("gone: ~p~n", [code:is_loaded(Module)]),
    persistent().

%% Versions follow each other: what is freed too early is soon another's.
rounds(_, _, _, _, 0, Kept) -> Kept;
rounds(Module, Beams, Queue, Holders, Round, Kept) ->
    N = Round rem ?VERSIONS + 1,
    {module, Module} = code:load_binary(Module, "none", element(N, Beams)),
    V = Module:value(),
    true = lists:last(V) =:= {n, N},
    Queue ! {ignored, {N, V}},                  % stays in the queue
    lists:nth(Round rem 5 + 1, Holders) ! {hold, {N, hd(lists:reverse(V))}},
    case Round of
        ?ROUNDS ->
            erlang:send_after(300, self(), {late, N, V}),
            P = spawn(fun() -> receive stop -> ok end end),
            monitor(process, P, [{tag, {tag, N, V}}]),
            erlang:send_after(300, P, stop);
        _ -> ok
    end,
    true = code:delete(Module),
    code:purge(Module),
    Kept1 = case Round rem 100 of
                0 -> [{N, V} | Kept];
                1 -> [{N, tl(tl(V))} | Kept];
                _ -> Queue ! drop, Kept
            end,
    rounds(Module, Beams, Queue, Holders, Round - 1, Kept1).

%% The whole literal, or its end.
check(N, V) -> {length(V) > 1000, lists:last(V) =:= {n, N}, lists:sum(tl(lists:reverse(V))) > 1000}.

holder(Held) ->
    receive
        {hold, X} -> holder([X | Held]);
        drop -> receive {ignored, {N, V}} -> true = lists:last(V) =:= {n, N} end, holder(Held);
        {ask, From} ->
            Queued = queued(),
            From ! {self(), [N =:= M || {N, {n, M}} <- Held] ++ [check(N, V) || {N, V} <- Queued]},
            holder(Held)
    end.

queued() -> receive {ignored, X} -> [X | queued()] after 0 -> [] end.

ask(Pid) -> Pid ! {ask, self()}, receive {Pid, Answer} -> Answer end.

%% value() -> [1, 2, ... , {n, N}] as a literal of about a megabyte.
beam(Module, N) ->
    L = lists:foldr(fun(E, T) -> {cons, 1, E, T} end, {nil, 1},
                    [{integer, 1, I} || I <- lists:seq(1, 20000)]
                    ++ [{tuple, 1, [{atom, 1, n}, {integer, 1, N}]}]),
    {ok, Module, Beam} =
        compile:forms([{attribute, 1, module, Module}, {attribute, 1, export, [{value, 0}]},
                       {function, 1, value, 0, [{clause, 1, [], [], [L]}]}]),
    Beam.

persistent() ->
    Before = erlang:memory(code),
    Kept = [put_term(N) || N <- lists:seq(1, 200)],
    {ok, Last} = {ok, persistent_term:get(o_reload)},
    true = persistent_term:erase(o_reload),
    io:format("persistent: ~p ~p~n", [hd(Last), lists:usort([V || V <- Kept, V =/= none])]),
    io:format("erased: ~p~n", [persistent_term:get(o_reload, none)]),
    io:format("memory comes back: ~p~n", [comes_back(Before, 500)]).

put_term(N) ->
    persistent_term:put(o_reload, [N | lists:seq(1, 20000)]),
    V = persistent_term:get(o_reload),
    case N rem 50 of 0 -> {N =:= hd(V), length(V)}; _ -> none end.

%% Three hundred literals, a hundred megabytes in all, have come; a tenth of that may be left for a
%% while.
comes_back(_, 0) -> false;
comes_back(Before, Tries) ->
    case erlang:memory(code) - Before < 10000000 of
        true -> true;
        false -> receive after 10 -> comes_back(Before, Tries - 1) end
    end.
