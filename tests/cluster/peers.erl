%% SPDX-License-Identifier: Apache-2.0
%% peers.erl - what tests/cluster/nodes runs on its daemons
-module(peers).
-compile([export_all, nowarn_export_all]).

%% --- a server in the manner of gen_server, without OTP

start(Name) ->
    Pid = spawn(?MODULE, serve, [0]),
    register(Name, Pid),
    Pid.

serve(N) ->
    receive
        {'$gen_call', {From, Tag}, get} -> reply(From, Tag, {N, node()}), serve(N);
        {'$gen_call', {From, Tag}, {add, K}} -> reply(From, Tag, N + K), serve(N + K);
        {'$gen_cast', {crash, Why}} -> exit(Why)
    end.

reply(From, [alias | Alias] = Tag, Value) when is_pid(From) -> Alias ! {Tag, Value};
reply(From, Tag, Value) -> From ! {Tag, Value}.

%% As OTP's gen does it: a monitor with an alias, so that a late answer finds nobody.
call(Where, What) ->
    Ref = monitor(process, Where, [{alias, demonitor}]),
    Where ! {'$gen_call', {self(), [alias | Ref]}, What},
    receive
        {[alias | Ref], Value} -> demonitor(Ref, [flush]), Value;
        {'DOWN', Ref, _, _, Why} -> {down, Why}
    after 5000 ->
        timeout
    end.

call_pid(Node, Name, What) -> call(erpc:call(Node, erlang, whereis, [Name]), What).

node_of_name(Name) -> node(global:whereis_name(Name)).

%% --- a process that stays and can be asked what it has got

keeper(Name) ->
    Pid = spawn(?MODULE, keep, [[]]),
    register(Name, Pid),
    Pid.

keep(Got) ->
    receive
        {ask, From, Ref} -> From ! {Ref, lists_reverse(Got, [])}, keep(Got);
        {do, Fun, From, Ref} -> From ! {Ref, catch Fun()}, keep(Got);
        clear -> keep([]);
        Other -> keep([Other | Got])
    end.

lists_reverse([H | T], Acc) -> lists_reverse(T, [H | Acc]);
lists_reverse([], Acc) -> Acc.

ask(Name) ->
    R = make_ref(),
    Name ! {ask, self(), R},
    receive {R, Got} -> Got after 5000 -> timeout end.

do(Name, Fun) ->
    R = make_ref(),
    Name ! {do, Fun, self(), R},
    receive {R, V} -> V after 5000 -> timeout end.

%% --- many relations with one node

%% The keeper Name monitors N processes there, half of them by name, and links with one more.
watch_many(Name, Node, N) ->
    Pids = [spawn(Node, ?MODULE, idle, []) || _ <- seq(N)],
    do(Name, fun() ->
        process_flag(trap_exit, true),
        [monitor(process, P) || P <- Pids],
        [monitor(process, {no_such_name_yet, Node}) || _ <- [1]],
        link(spawn(Node, ?MODULE, idle, [])),
        monitor_node(Node, true),
        net_kernel:monitor_nodes(true),
        ok
    end).

idle() -> receive stop -> ok end.

seq(0) -> [];
seq(N) -> [N | seq(N - 1)].

%% What a keeper got: {DOWNs by reason, how many references twice, EXITs, nodedowns}
tally(Name) ->
    Got = ask(Name),
    Downs = [{Ref, Why} || {'DOWN', Ref, process, _, Why} <- Got],
    {[{W, length([x || {_, V} <- Downs, V =:= W])} || W <- [noconnection, noproc]],
     length(Downs) - maps:size(maps:from_list(Downs)),
     [W || {'EXIT', _, W} <- Got],
     [E || E <- Got, is_tuple(E), element(1, E) =:= nodedown]}.

%% --- order, sizes, flow

%% N messages to a process there, some of them large; true if all come in order.
in_order(Node, N) ->
    Me = self(),
    P = spawn(Node, fun() -> Me ! {self(), expect(1, N)} end),
    Big = binary:copy(<<"x">>, 100000),
    stream(P, 1, N, Big),
    receive {P, Result} -> Result after 40000 -> timeout end.

stream(P, K, N, Big) when K =< N ->
    P ! {K, case K rem 500 of 0 -> Big; _ -> K end},
    stream(P, K + 1, N, Big);
stream(_, _, _, _) -> ok.

expect(K, N) when K =< N ->
    receive {K2, _} when K2 =:= K -> expect(K + 1, N); {K2, _} -> {got, K2, wanted, K} end;
expect(_, _) -> true.

%% A term of many kinds there and back.
echo(Node) ->
    T = {self(), make_ref(), #{a => 1.5, b => [x, "abc", <<1, 2, 3:3>>]}, 1 bsl 200, -7,
         fun ?MODULE:echo/1, binary:copy(<<"y">>, 300000), 'en atom med å', [], {}},
    erpc:call(Node, erlang, hd, [[T]]) =:= T.

%% Fills the connection faster than it drains; the sender must have been stopped on the way.
flood(Node, N) ->
    Me = self(),
    P = spawn(Node, ?MODULE, slow_count, [Me, N, 0]),
    B = binary:copy(<<"z">>, 8192),
    T0 = erlang:monotonic_time(millisecond),
    pour(P, B, N),
    T1 = erlang:monotonic_time(millisecond),
    receive {P, counted, K} -> {K, T1 - T0 >= 0} after 40000 -> timeout end.

pour(_, _, 0) -> ok;
pour(P, B, N) -> P ! B, pour(P, B, N - 1).

slow_count(To, 0, K) -> To ! {self(), counted, K};
slow_count(To, N, K) -> receive B when is_binary(B) -> slow_count(To, N - 1, K + 1) end.

%% Where N processes of spawn_distributed came to run.
spread(N, Strategy) ->
    Me = self(),
    [{ok, _} = rnode_place:spawn_distributed(fun() -> Me ! {ran, node()} end,
                                             [{strategy, Strategy}]) || _ <- seq(N)],
    usort([receive {ran, Node} -> Node after 5000 -> timeout end || _ <- seq(N)]).

usort(L) -> maps:keys(maps:from_list([{X, true} || X <- L])).

%% A process that registers a global name and keeps what it is told.
claim(Keeper, Name) -> do(Keeper, fun() -> global:register_name(Name, self()) end).

%% N persistent terms on Node, one after the other in one place, each kept by a process there after
%% the next has replaced it: true, if all of them are what they were. Each is asked for alone, so
%% that the receiver runs on the thread that hears the question.
literals(Node, N) ->
    P = spawn(Node, ?MODULE, literal_server, []),
    [begin P ! {put, self(), I}, receive {P, I} -> ok end end || I <- count_up(1, N)],
    P ! {all, self()},
    receive {all, Kept} -> Kept =:= [literal(I) || I <- count_up(1, N)] after 10000 -> timeout end.

literal(I) -> {I, count_up(I, I + 40), <<"kept">>}.

literal_server() ->
    Keeper = spawn(?MODULE, literal_keeper, [[]]),
    literal_server(Keeper).

literal_server(Keeper) ->
    receive
        {put, From, I} ->
            persistent_term:put(?MODULE, literal(I)),
            Keeper ! {keep, persistent_term:get(?MODULE)},
            From ! {self(), I};
        {all, From} ->
            persistent_term:erase(?MODULE),
            Keeper ! {all, From}
    end,
    literal_server(Keeper).

literal_keeper(Kept) ->
    receive
        {keep, T} -> literal_keeper([T | Kept]);
        {all, From} -> erlang:garbage_collect(), From ! {all, turned(Kept, [])}
    end.

turned([H | T], Acc) -> turned(T, [H | Acc]);
turned([], Acc) -> Acc.

count_up(A, B) when A > B -> [];
count_up(A, B) -> [A | count_up(A + 1, B)].
