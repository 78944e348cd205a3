%% gen_server: calls, casts, info, timeouts, stop, crash seen through a monitor, code_change through sys.
-module(o_gen_server).
-behaviour(gen_server).
-export([main/0, init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2, terminate/2,
         code_change/3]).

main() ->
    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    {ok, P} = gen_server:start_link({local, counter}, ?MODULE, 10, []),
    io:format("~p~n", [gen_server:call(counter, get)]),
    ok = gen_server:cast(counter, {add, 5}),
    io:format("~p~n", [gen_server:call(P, get)]),
    P ! {add, 7},
    io:format("~p~n", [gen_server:call(P, get)]),
    io:format("~p~n", [gen_server:call(P, later)]),
    io:format("~p~n", [element(1, element(2, catch gen_server:call(P, never, 50)))]),
    io:format("~p~n", [sys:get_state(P)]),
    ok = sys:suspend(P),
    ok = sys:change_code(P, ?MODULE, undefined, extra),
    ok = sys:resume(P),
    io:format("~p~n", [gen_server:call(P, get)]),
    io:format("~p~n", [sys:replace_state(P, fun(S) -> S * 2 end)]),
    io:format("~p~n", [gen_server:call(P, continue)]),
    io:format("~p~n", [gen_server:call(P, get)]),
    io:format("~p~n", [gen_server:stop(P)]),
    receive {'EXIT', P, R} -> io:format("exit ~p~n", [R]) end,
    {ok, P2} = gen_server:start(?MODULE, 1, []),
    Ref = monitor(process, P2),
    {{E, _}, _} = element(2, catch gen_server:call(P2, crash)), io:format("~p~n", [E]),
    receive {'DOWN', Ref, process, P2, {Why, _}} -> io:format("down ~p~n", [Why]) end,
    io:format("~p~n", [catch gen_server:call(nobody, x)]),
    io:format("~p~n", [gen_server:start(?MODULE, bad, [])]),
    Reqs = [begin {ok, Q} = gen_server:start(?MODULE, I, []), {Q, gen_server:send_request(Q, get)} end
            || I <- [1, 2, 3]],
    io:format("~p~n", [[gen_server:receive_response(Rq, 1000) || {_, Rq} <- Reqs]]).

init(bad) -> {stop, bad_start};
init(N) -> {ok, N}.
handle_call(get, _From, N) -> {reply, N, N};
handle_call(later, From, N) -> self() ! {reply, From}, {noreply, N};
handle_call(never, _From, N) -> {noreply, N};
handle_call(continue, _From, N) -> {reply, ok, N, {continue, inc}};
handle_call(crash, _From, _) -> error(oops).
handle_cast({add, X}, N) -> {noreply, N + X}.
handle_info({reply, From}, N) -> gen_server:reply(From, deferred), {noreply, N};
handle_info({add, X}, N) -> {noreply, N + X};
handle_info(_, N) -> {noreply, N}.
handle_continue(inc, N) -> {noreply, N + 1}.
terminate(_, _) -> ok.
code_change(_, N, extra) -> {ok, N + 1000}.
