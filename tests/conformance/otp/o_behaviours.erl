%% gen_statem, gen_event, timer, proc_lib, ets-based modules.
-module(o_behaviours).
-behaviour(gen_statem).
-export([main/0, init/1, callback_mode/0, off/3, on/3, handle_event/2, handle_call/2, worker/1]).

main() ->
    logger:set_primary_config(level, none),
    {ok, S} = gen_statem:start_link(?MODULE, statem, []),
    io:format("~p~n", [gen_statem:call(S, push)]),
    io:format("~p~n", [gen_statem:call(S, push)]),
    io:format("~p~n", [gen_statem:call(S, count)]),
    gen_statem:cast(S, timeout_test),
    timer:sleep(60),
    io:format("~p~n", [gen_statem:call(S, count)]),
    gen_statem:stop(S),
    {ok, E} = gen_event:start_link(),
    ok = gen_event:add_handler(E, ?MODULE, event),
    ok = gen_event:notify(E, one),
    ok = gen_event:sync_notify(E, two),
    io:format("~p~n", [gen_event:call(E, ?MODULE, get)]),
    io:format("~p~n", [gen_event:which_handlers(E)]),
    gen_event:stop(E),
    {ok, _} = timer:send_after(10, self(), tick),
    receive tick -> io:format("tick~n") after 1000 -> io:format("no tick~n") end,
    {ok, TRef} = timer:send_interval(5, self(), beat),
    [receive beat -> ok end || _ <- [1, 2, 3]],
    {ok, cancel} = timer:cancel(TRef),
    io:format("beats~n"),
    io:format("~p~n", [element(2, timer:tc(fun() -> lists:sum([1, 2, 3]) end))]),
    {ok, P} = proc_lib:start_link(?MODULE, worker, [self()]),
    io:format("~p~n", [proc_lib:initial_call(P)]),
    Me = self(),
    spawn(fun() -> Me ! {caught, catch exit(bye)} end),
    receive {caught, X} -> io:format("~p~n", [X]) end,
    T = ets:new(t, [ordered_set]),
    ets:insert(T, [{I, I * I} || I <- lists:seq(1, 100)]),
    io:format("~p~n", [ets:select(T, [{{'$1', '$2'}, [{'>', '$1', 95}], ['$2']}])]),
    io:format("~p~n", [ets:foldl(fun({_, V}, A) -> V + A end, 0, T)]),
    {ok, Tokens, _} = erl_scan:string("X = 1 + 2 * 3, {X, [a | b]}."),
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    {value, V, _} = erl_eval:exprs(Exprs, []),
    io:format("~p~n", [V]),
    io:format("~p~n", [erl_anno:line(erl_anno:new(3))]).

worker(Parent) -> proc_lib:init_ack(Parent, {ok, self()}), receive stop -> ok end.

callback_mode() -> state_functions.
init(statem) -> {ok, off, 0};
init(event) -> {ok, []}.
off({call, From}, push, N) -> {next_state, on, N + 1, [{reply, From, on}]};
off(T, E, N) -> other(T, E, off, N).
on({call, From}, push, N) -> {next_state, off, N + 1, [{reply, From, off}]};
on(T, E, N) -> other(T, E, on, N).
other({call, From}, count, _, N) -> {keep_state, N, [{reply, From, N}]};
other(cast, timeout_test, _, N) -> {keep_state, N, [{state_timeout, 10, ding}]};
other(state_timeout, ding, _, N) -> {keep_state, N + 100};
other(_, _, _, _) -> keep_state_and_data.
handle_event(E, L) -> {ok, [E | L]}.
handle_call(get, L) -> {ok, lists:reverse(L), L}.
