-module(t_proc).
-export([child/1, echo/0, loop/1, hib/2, idle/0]).
-include("conf.hrl").

child(X) -> exit({child, X}).
echo() -> receive {P, M} -> P ! {self(), M}, echo(); stop -> ok end.
idle() -> receive stop -> ok end.
loop(N) -> receive {get, P} -> P ! {val, N}, loop(N); {add, X} -> loop(N + X); stop ->
        exit({stopped, N}) end.
hib(P, X) -> receive M -> P ! {woken, X, M} end.

%% Who died, and why, without the pid.
down(M) -> receive {'DOWN', M, T, _, R} -> {T, cut(R)} after 5000 -> no_down end.
cut({R, [{_, _, _, _} | _]}) -> R;
cut(R) -> R.
name(P) when is_pid(P) -> pid;
name(P) -> P.
msgs() -> [strip(M) || M <- flush()].
strip({'EXIT', P, R}) -> {'EXIT', name(P), cut(R)};
strip({'DOWN', R, T, P, X}) -> {'DOWN', is_reference(R), T, name(P), cut(X)};
strip(M) -> M.
%% Give others the time to act.
pause() -> receive after 20 -> ok end.
trap(F) -> in_process(fun() -> process_flag(trap_exit, true), F() end).

main() ->
    basics(), links(), monitors(), signals(), names(), infos(), flags(), receives(), aliases(),
            spawns(), apps(), ok.

basics() ->
    ?C(begin P = spawn(?MODULE, echo, []), P ! {self(), hi}, receive {P, M} -> M end end),
    ?C(begin P = spawn(fun() -> receive {F, X} -> F ! {ok, X * 2} end end), P ! {self(), 21},
            next() end),
    ?C(self() ! id(x)),
    ?C(id(nobody) ! x),
    ?C(id(5) ! x),
    ?C(id({nobody, node()}) ! x),
    ?C(id({a, b, c}) ! x),
    ?C(begin P = spawn(fun() -> ok end), pause(), P ! late end),
    ?C(is_pid(spawn(nomod, nofun, []))),
    ?C(is_process_alive(self())),
    ?C(begin P = spawn(fun() -> ok end), pause(), is_process_alive(P) end),
    ?C(is_process_alive(id(a))),
    ?C(ring(100, 10)),
    ?C(fan(200)),
    ?C(begin P = spawn(?MODULE, loop, [5]), P ! {add, 3}, P ! {add, 4}, P ! {get, self()},
            next() end),
    ?C(pingpong(1000)),
    ?C(sort([X || {r, X} <- par(50)])),
    ?C(tree(8)),
    ?C(erlang:send(self(), m1)),
    ?C(erlang:send(self(), m2, [])),
    ?C(erlang:send(self(), m3, [noconnect, nosuspend])),
    ?C(erlang:send(self(), m4, [bad])),
    ?C(erlang:send(id(5), x)),
    ?B(erlang, '!', [nobody, x]),
    ?C(self() =:= self()),
    ?C(self() == spawn(fun() -> ok end)),
    ?C(spawn(id(a), id(b), id(c))),
    ?C(spawn(id(1), b, [])),
    ?C(spawn(a, b, [c | d])),
    ?C(reason(in_process(fun() -> apply(id(fun(X) -> X end), []) end))),
    ?C(in_process(fun() -> {value, deep(20000)} end)),
    ?C(begin {P, M} = spawn_monitor(?MODULE, child, [x]), {is_pid(P), down(M)} end),
    ?C(begin {_, M} = spawn_monitor(fun() -> error(oops) end), down(M) end),
    ?C(begin {_, M} = spawn_monitor(fun() -> throw(t) end), down(M) end),
    ?C(begin {_, M} = spawn_monitor(nomod, f, []), down(M) end),
    ?C(begin {_, M} = spawn_monitor(fun() -> ok end), down(M) end),
    ?C(begin {_, M} = spawn_monitor(fun() -> exit(self(), kill), id(1), pause() end),
            down(M) end).

links() ->
    ?C(trap(fun() -> spawn_link(fun() -> exit(bye) end), strip(next()) end)),
    ?C(trap(fun() -> spawn_link(fun() -> ok end), strip(next()) end)),
    ?C(trap(fun() -> spawn_link(fun() -> error(e) end), strip(next()) end)),
    ?C(trap(fun() -> spawn_link(?MODULE, child, [1]), strip(next()) end)),
    ?C(reason(in_process(fun() -> spawn_link(fun() -> exit(bye) end), idle() end))),
    ?C(reason(in_process(fun() -> spawn_link(fun() -> ok end), pause(), survived end))),
    ?C(trap(fun() -> P = spawn(?MODULE, idle, []), link(P), link(P), exit(P, boo),
            [strip(next()), msgs()] end)),
    ?C(trap(fun() -> P = spawn(?MODULE, idle, []), link(P), unlink(P), exit(P, boo), pause(),
            msgs() end)),
    ?C(trap(fun() -> P = spawn(fun() -> ok end), pause(), link(P), strip(next()) end)),
    ?C(in_process(fun() -> P = spawn(fun() -> ok end), pause(), link(P) end) =:= {exited,
            noproc} orelse other),
    ?C(link(self())),
    ?C(link(id(a))),
    ?C(unlink(id(a))),
    ?C(unlink(self())),
    ?C(begin P = spawn(?MODULE, idle, []), unlink(P) end),
    ?C(chain(5)),
    ?C(trap(fun() -> P = spawn_link(fun() -> spawn_link(fun() -> exit(inner) end), idle() end),
            {'EXIT', P, R} = next(), R end)),
    ?C(trap(fun() -> P = spawn_link(?MODULE, idle, []), {links, L} = process_info(self(), links),
            {L =:= [P], process_info(P, links) =:= {links, [self()]}} end)),
    ?C(star(20)).

monitors() ->
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), exit(P, gone), down(M) end),
    ?C(begin P = spawn(fun() -> ok end), pause(), down(monitor(process, P)) end),
    ?C(begin M = monitor(process, no_such_name), receive {'DOWN', M, T, {N, Nd}, R} -> {T, N,
            Nd =:= node(), R} after 1000 -> none end end),
    ?C(begin P = spawn(?MODULE, idle, []), M1 = monitor(process, P), M2 = monitor(process, P),
            P ! stop, [down(M1), down(M2)] end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), R = demonitor(M), exit(P, x),
            pause(), {R, msgs()} end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), exit(P, x), pause(),
            demonitor(M, [flush]), msgs() end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), A = demonitor(M, [info]),
            B = demonitor(M, [info]), exit(P, x), {A, B} end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), exit(P, x), pause(),
            A = demonitor(M, [flush, info]), {A, msgs()} end),
    ?C(demonitor(make_ref())),
    ?C(demonitor(id(a))),
    ?C(demonitor(make_ref(), [bad])),
    ?C(monitor(id(bad), self())),
    ?C(monitor(process, id(1))),
    ?C(begin M = monitor(process, self()), demonitor(M) end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P, [{tag, {my, tag}}]), exit(P,
            z), receive {{my, tag}, M, process, P, R} -> R after 1000 -> none end end),
    ?C(begin P = spawn(?MODULE, idle, []), register(mon_name, P), M = monitor(process, mon_name),
            exit(P, z), receive {'DOWN', M, process, {N, _}, R} -> {N, R} after 1000 ->
            none end end),
    ?C(monitor(process, self(), [{bad, x}])),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), {monitors,
            L} = process_info(self(), monitors), {monitored_by, B} = process_info(P,
            monitored_by), demonitor(M), {L =:= [{process, P}], B =:= [self()]} end).

signals() ->
    ?C(reason(in_process(fun() -> exit(self(), normal), alive end))),
    ?C(reason(in_process(fun() -> exit(self(), why), alive end))),
    ?C(reason(in_process(fun() -> exit(self(), kill), alive end))),
    ?C(trap(fun() -> exit(self(), normal), msgs() end)),
    ?C(trap(fun() -> exit(self(), why), msgs() end)),
    ?C(reason(trap(fun() -> exit(self(), kill), msgs() end))),
    ?C([sig(R, T) || R <- [normal, kill, other, {complex, [1]}], T <- [false, true]]),
    ?C([linksig(R, T) || R <- [normal, kill, other], T <- [false, true]]),
    ?C(exit(id(a), b)),
    ?C(exit(spawn(fun() -> ok end), x)),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P), exit(P, normal), P ! stop,
            down(M) end),
    ?C(order(100)),
    ?C(begin P = spawn(fun() -> process_flag(trap_exit, true), receive X -> exit({got,
            strip(X)}) end end), M = monitor(process, P), pause(), exit(P, shutdown),
            down(M) end),
    ?C(reason(in_process(fun() -> exit({shutdown, 1}) end))).

sig(R, T) ->
    P = spawn(fun() -> process_flag(trap_exit, T), receive stop -> ok; {'EXIT', _, X} ->
            exit({trapped, X}) after 200 -> alive end end),
    M = monitor(process, P), pause(), exit(P, R), down(M).
linksig(R, T) ->
    P = spawn(fun() -> process_flag(trap_exit, T), L = spawn_link(fun() -> receive die ->
            exit(R) end end), L ! die, receive {'EXIT', _, X} -> exit({trapped, X}) after 200 ->
            alive end end),
    down(monitor(process, P)).

names() ->
    ?C(register(conf_me, self())),
    ?C(whereis(conf_me) =:= self()),
    ?C(register(conf_me, self())),
    ?C(register(conf_other, self())),
    ?C(begin conf_me ! hello, next() end),
    ?C(begin {conf_me, node()} ! hello2, next() end),
    ?C(lists:member(conf_me, registered())),
    ?C(process_info(self(), registered_name)),
    ?C(unregister(conf_me)),
    ?C(unregister(conf_me)),
    ?C(whereis(conf_me)),
    ?C(register(undefined, self())),
    ?C(register(id("x"), self())),
    ?C(register(conf_x, id(a))),
    ?C(whereis(id(1))),
    ?C(unregister(id(1))),
    ?C(begin P = spawn(fun() -> ok end), pause(), register(conf_dead, P) end),
    ?C(begin P = spawn(?MODULE, idle, []), register(conf_p, P), M = monitor(process, P),
            P ! stop, down(M), whereis(conf_p) end),
    ?C(process_info(self(), registered_name)),
    ?C(conf_gone ! x).

infos() ->
    ?C(process_info(self(), message_queue_len)),
    ?C(begin self() ! a, self() ! b, R = {process_info(self(), message_queue_len),
            process_info(self(), messages)}, flush(), R end),
    ?C(process_info(self(), trap_exit)),
    ?C(process_info(self(), priority)),
    ?C(process_info(self(), status)),
    ?C(in_process(fun() -> put(k, v), process_info(self(), dictionary) end)),
    ?C(in_process(fun() -> process_info(self(), links) end)),
    ?C(process_info(self(), bad_item)),
    ?C(process_info(id(a))),
    ?C(begin P = spawn(fun() -> ok end), pause(), {process_info(P), process_info(P, status)} end),
    ?C(begin P = spawn(?MODULE, idle, []), pause(), R = [process_info(P, K) || K <- [status,
            message_queue_len, current_function, initial_call, trap_exit, registered_name]],
            P ! stop, R end),
    ?C(begin P = spawn(?MODULE, idle, []), P ! x, P ! y, pause(), R = process_info(P, [messages,
            message_queue_len, status]), P ! stop, R end),
    ?C([is_integer(element(2, process_info(self(), K))) || K <- [heap_size, stack_size,
            total_heap_size, reductions, memory]]),
    ?C(begin P = spawn(?MODULE, idle, []), pause(), {current_stacktrace, S} = process_info(P,
            current_stacktrace), P ! stop, [{M, F, A} || {M, F, A, _} <- S] end),
    ?C(process_info(self(), error_handler)),
    ?C(is_list(process_info(self()))),
    ?C(element(1, hd(process_info(self(), [reductions])))),
    ?C(process_info(self(), [])),
    ?C(process_info(self(), [bad])),
    ?C(lists:member(self(), processes())),
    ?C(begin {group_leader, G} = process_info(self(), group_leader), G =:= group_leader() end),
    ?C(process_info(self(), message_queue_data)),
    ?C(process_info(self(), catchlevel) =:= undefined).

flags() ->
    ?C(in_process(fun() -> [process_flag(trap_exit, true), process_flag(trap_exit, false),
            process_flag(trap_exit, false)] end)),
    ?C(in_process(fun() -> [process_flag(priority, high), process_flag(priority, low),
            process_flag(priority, normal)] end)),
    ?C(in_process(fun() -> [process_flag(message_queue_data, off_heap),
            process_flag(message_queue_data, on_heap)] end)),
    ?C(in_process(fun() -> process_flag(min_heap_size, 1000) end)),
    ?C(in_process(fun() -> process_flag(fullsweep_after, 10) end)),
    ?C(in_process(fun() -> process_flag(max_heap_size, 100000), map_get(size, process_flag(max_heap_size,
            0)) end)),
    ?C(process_flag(id(bad), 1)),
    ?C(process_flag(trap_exit, id(1))),
    ?C(process_flag(priority, id(bad))),
    ?C(in_process(fun() -> process_flag(error_handler, my_handler) end)),
    ?C(in_process(fun() -> process_flag(sensitive, true) end)),
    ?C(in_process(fun() -> process_flag(save_calls, 0) end)),
    ?C(reason(in_process(fun() -> process_flag(max_heap_size, #{size => 20000, kill => true,
            error_logger => false}), seq(1, 1000000) end))),
    ?C(group_leader(group_leader(), self())),
    ?C(begin P = spawn(fun() -> receive {q, F} -> F ! group_leader() end end),
            group_leader(self(), P), pause(), P ! {q, self()}, next() =:= self() end),
    ?C(group_leader(id(a), self())).

receives() ->
    ?C(begin [self() ! X || X <- [a, 1, b, 2]], A = receive X1 when is_integer(X1) -> X1 end,
            B = receive X2 when is_integer(X2) -> X2 end, [A, B, flush()] end),
    ?C(receive after 0 -> now end),
    ?C(receive after 10 -> later end),
    ?C(receive nothing -> x after 5 -> timeout end),
    ?C(receive x -> y after id(bad) -> z end),
    ?C(receive x -> y after id(-1) -> z end),
    ?C(receive x -> y after id(1 bsl 32) -> z end),
    ?C(begin self() ! first, self() ! second, receive second -> ok end, receive M -> M end end),
    ?C(begin R = make_ref(), [self() ! X || X <- seq(1, 1000)], self() ! {R, found},
            Y = receive {R, Z} -> Z end, {Y, length(flush())} end),
    ?C(begin P = self(), spawn(fun() -> pause(), P ! late end), receive late -> got after 3000 ->
            timeout end end),
    ?C(begin self() ! {msg, <<1, 2, 3>>, [a | b], #{k => 1.5}, 1 bsl 80}, receive {msg, B, L, M,
            I} -> {B, L, M, I} end end),
    ?C(begin self() ! binary:copy(<<7>>, 1000), receive B -> {byte_size(B),
            binary:last(B)} end end),
    ?C(begin self() ! fun(X) -> X + 1 end, receive F -> F(2) end end),
    ?C(nested_receive()),
    ?C(priority([{low, 1}, {high, 2}, {low, 3}, {high, 4}])),
    ?C(begin self() ! a, receive b -> b after 0 -> receive a -> a end end end),
    ?C(begin P = self(), Pid = spawn(fun() -> [P ! {n, X} || X <- seq(1, 100)], P ! done end),
            R = collect(0), {R, is_pid(Pid)} end),
    ?C(receive after id(0) -> zero end),
    ?C(begin T = erlang:monotonic_time(millisecond), receive after 30 -> ok end,
            erlang:monotonic_time(millisecond) - T >= 30 end),
    ?C(begin self() ! {a, 1}, receive {a, X} when X > 5 -> big; {a, X} -> {small, X} end end),
    ok.

aliases() ->
    ?C(begin A = alias(), A ! hi, R = next(), unalias(A), A ! dropped, {R, flush()} end),
    ?C(begin A = alias([reply]), A ! one, A ! two, pause(), flush() end),
    ?C(begin A = alias(), {unalias(A), unalias(A)} end),
    ?C(alias([bad])),
    ?C(unalias(id(a))),
    ?C(begin P = spawn(fun() -> receive {Q, R} -> R ! {reply, Q} end end), M = monitor(process,
            P, [{alias, reply_demonitor}]), P ! {q, M}, R = next(), pause(), {R, flush()} end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P, [{alias, demonitor}]),
            demonitor(M), M ! lost, flush() end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P, [{alias, explicit_unalias}]),
            demonitor(M), M ! kept, R = flush(), unalias(M), R end),
    ?C(begin make_ref() ! x, flush() end),
    ?C(begin P = spawn(?MODULE, idle, []), M = monitor(process, P, [{alias, explicit_unalias}]),
            exit(P, x), D = down(M), M ! after_down, R = flush(), unalias(M), {D, R} end).

spawns() ->
    ?C(begin P = spawn_opt(?MODULE, idle, [], []), P ! stop, is_pid(P) end),
    ?C(begin {P, M} = spawn_opt(fun() -> exit(q) end, [monitor]), {is_pid(P), down(M)} end),
    ?C(trap(fun() -> P = spawn_opt(fun() -> exit(q) end, [link]), {'EXIT', P, R} = next(),
            R end)),
    ?C(begin P = spawn_opt(?MODULE, idle, [], [{priority, high}, {fullsweep_after, 5},
            {min_heap_size, 500}, {min_bin_vheap_size, 500}, {message_queue_data, off_heap}]),
            R = process_info(P, [priority, message_queue_data]), P ! stop, R end),
    ?C(spawn_opt(?MODULE, idle, [], [bad])),
    ?C(spawn_opt(?MODULE, idle, [], x)),
    ?C(spawn_opt(fun() -> ok end, [{priority, bad}])),
    ?C(begin R = spawn_request(?MODULE, child, [7], [monitor]), {is_reference(R),
            receive {spawn_reply, R, ok, P} -> is_pid(P) end, down(R)} end),
    ?C(begin R = spawn_request(fun() -> ok end, [{reply_tag, my_reply}]), receive {my_reply, R,
            S, P} -> {S, is_pid(P)} end end),
    ?C(begin R = spawn_request(fun() -> ok end, [{reply, no}]), pause(), {is_reference(R),
            flush()} end),
    ?C(erlang:spawn_request(fun() -> ok end, [bad])),
    ?C(erlang:spawn_request_abandon(make_ref())),
    ?C(begin P = spawn(node(), ?MODULE, idle, []), P ! stop, is_pid(P) end),
    ?C(begin P = spawn(node(), fun() -> ok end), is_pid(P) end),
    ?C(trap(fun() -> P = spawn_link(node(), ?MODULE, child, [x]), {'EXIT', P, R} = next(),
            R end)),
    ?C(begin {_, M} = spawn_monitor(node(), ?MODULE, child, [z]), down(M) end),
    ?C(trap(fun() -> spawn_link(fun() -> exit(q) end), receive {'EXIT', _, R} -> R end end)),
    ok.

apps() ->
    ?C(server()),
    ?C(bank()),
    ?C(supervise()),
    ?C(pipeline(10, 100)),
    ?C(prime_sieve(50)),
    ?C(barrier(20)),
    ?C(begin P = spawn(erlang, hibernate, [?MODULE, hib, [self(), 1]]), pause(), P ! wake,
            next() end),
    ?C(in_process(fun() -> self() ! m, P = self(), erlang:hibernate(?MODULE, hib, [P, 2]) end)),
    ?C(erlang:hibernate(id(1), b, [])),
    ?C(erlang:yield()),
    ?C(garbage_collect()),
    ?C(begin P = spawn(?MODULE, idle, []), R = garbage_collect(P), P ! stop, R end),
    ?C(garbage_collect(id(a))),
    ?C(erlang:bump_reductions(100)),
    ?C(erlang:bump_reductions(id(a))),
    ?C(begin P = spawn(?MODULE, idle, []), pause(), true = erlang:suspend_process(P),
            S = process_info(P, status), erlang:resume_process(P), P ! stop, S end),
    ?C(erlang:resume_process(spawn(?MODULE, idle, []))),
    ?C(pid_text(self())),
    ?C(list_to_pid(pid_to_list(self())) =:= self()),
    ?B(erlang, list_to_pid, ["<0.1"]),
    ?B(erlang, list_to_pid, ["x"]),
    ?B(erlang, pid_to_list, [a]),
    ?C(begin R = make_ref(), list_to_ref(ref_to_list(R)) =:= R end),
    ?B(erlang, list_to_ref, ["x"]),
    ?B(erlang, ref_to_list, [1]),
    ?C(hd(ref_to_list(make_ref()))),
    ?C(make_ref() =:= make_ref()),
    ?C(begin A = make_ref(), B = make_ref(), A < B end),
    ?C(node()),
    ?C(node(self())),
    ?C(node(make_ref())),
    ?C(node(id(a))),
    ?C(nodes()),
    ?C(nodes([this, known, hidden])),
    ?C(nodes([this, connected], #{})),
    ?C(nodes(this, #{node_type => true, connection_id => true})),
    ?C(nodes(known, #{node_type => true, connection_id => false})),
    ?C(nodes(visible, #{node_type => true})),
    ?B(erlang, nodes, [foo, #{}]),
    ?B(erlang, nodes, [[this | foo], #{}]),
    ?B(erlang, nodes, [this, []]),
    ?B(erlang, nodes, [this, #{foo => true}]),
    ?B(erlang, nodes, [this, #{node_type => 1}]),
    ?C(is_alive()).

pid_text(P) -> "<0." ++ T = pid_to_list(P), lists:reverse(T, []) =/= T.
ring(N, M) ->
    S = self(),
    L = fold(fun(_, Next) -> spawn(fun() -> fwd(Next) end) end, S, seq(1, N)),
    L ! {M, L}, R = ring_loop(0), L ! stop, R.
ring_loop(K) -> receive {1, _} -> {done, K}; {M, F} -> F ! {M - 1, F},
        ring_loop(K + 1) after 5000 -> timeout end.
fwd(Next) -> receive stop -> Next ! stop; M -> Next ! M, fwd(Next) end.
fan(N) -> S = self(), [spawn(fun() -> S ! {f, X, X * X} end) || X <- seq(1, N)],
        flush_n(stopped), fold(fun(_, A) -> receive {f, _, Y} -> A + Y after 5000 -> A end end,
        0, seq(1, N)).
flush_n(_) -> receive stop -> ok after 100 -> ok end.
pingpong(N) -> S = self(), P = spawn(fun() -> pong(S) end), R = ping(P, N), P ! stop, R.
ping(_, 0) -> done;
ping(P, N) -> P ! {ping, N}, receive {pong, N} -> ping(P, N - 1) after 5000 -> {lost, N} end.
pong(S) -> receive {ping, N} -> S ! {pong, N}, pong(S); stop -> ok end.
par(N) -> S = self(), Ps = [spawn(fun() -> S ! {self(), {r, fib(X rem 15)}} end) || X <- seq(1,
        N)], [receive {P, R} -> R after 5000 -> lost end || P <- Ps].
fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).
tree(0) -> 1;
tree(N) -> S = self(), P1 = spawn(fun() -> S ! {self(), tree(N - 1)} end), P2 = spawn(fun() ->
        S ! {self(), tree(N - 1)} end), receive {P1, A} -> receive {P2, B} -> A + B after 5000 ->
        lost end after 5000 -> lost end.
deep(0) -> 0;
deep(N) -> 1 + deep(N - 1).
chain(N) -> trap(fun() -> P = spawn_link(fun() -> link_chain(N) end), receive {'EXIT', P, R} ->
        R after 5000 -> none end end).
link_chain(0) -> exit(end_of_chain);
link_chain(N) -> spawn_link(fun() -> link_chain(N - 1) end), receive after 5000 -> survived end.
star(N) -> trap(fun() -> Hub = spawn(fun() -> receive go -> exit(hub) end end), Ms = [begin {_,
        M} = spawn_monitor(fun() -> link(Hub), idle() end), M end || _ <- seq(1, N)], pause(),
        Hub ! go, sort([down(M) || M <- Ms]) =:= [{process, hub} || _ <- seq(1, N)] end).
order(N) -> S = self(), P = spawn(fun() -> order_loop(S, []) end), [P ! X || X <- seq(1, N)],
        P ! done, receive {L} -> L =:= seq(1, N) after 5000 -> lost end.
order_loop(S, A) -> receive done -> S ! {lists:reverse(A, [])}; X -> order_loop(S, [X | A]) end.
nested_receive() -> [self() ! X || X <- [1, 2, 3, 4]], receive 3 -> receive 1 -> receive 4 ->
        receive M -> {last, M} end end end end.
priority(L) -> [self() ! X || X <- L], prio().
prio() -> receive {high, X} -> [X | prio()] after 0 -> receive {low, X} ->
        [X | prio()] after 0 -> [] end end.
collect(N) -> receive {n, X} -> collect(N + X); done -> N after 5000 -> lost end.
call(P, Q) -> M = monitor(process, P), P ! {self(), M, Q}, receive {M, R} -> demonitor(M,
        [flush]), R; {'DOWN', M, _, _, R} -> {down, cut(R)} after 5000 -> timeout end.
server() -> P = spawn(fun() -> serve([]) end), A = [call(P, {push, X}) || X <- [1, 2, 3]],
        B = call(P, pop), C = call(P, crash), {A, B, C, call(P, pop)}.
serve(S) -> receive {P, R, {push, X}} -> P ! {R, ok}, serve([X | S]); {P, R, pop} -> P ! {R,
        hd(S)}, serve(tl(S)); {_, _, crash} -> error(crashed) end.
bank() -> P = spawn(fun() -> bank(#{}) end), [call(P, {deposit, X rem 3, X}) || X <- seq(1, 30)],
        R = [call(P, {balance, K}) || K <- [0, 1, 2, 3]], exit(P, kill), R.
bank(M) -> receive {P, R, {deposit, K, N}} -> P ! {R, ok}, bank(M#{K => case M of #{K := O} -> O + N; _ -> N end});
        {P, R, {balance, K}} -> P ! {R, maps:find(K, M)}, bank(M) end.
supervise() -> trap(fun() -> sup(fun() -> receive crash -> exit(crashed); {q, P} -> P ! answer,
        receive after infinity -> ok end end end, 3) end).
sup(F, N) -> P = spawn_link(F), if N > 0 -> P ! crash, receive {'EXIT', P, R} -> [R | sup(F,
        N - 1)] end; true -> P ! {q, self()}, [next()] end.
pipeline(N, M) -> S = self(), H = fold(fun(_, Nx) -> spawn(fun() -> stage(Nx) end) end, S, seq(1,
        N)), [H ! X || X <- seq(1, M)], H ! stop, sum(0).
stage(Nx) -> receive stop -> Nx ! stop; X -> Nx ! X + 1, stage(Nx) end.
sum(A) -> receive stop -> A; X when is_integer(X) -> sum(A + X) after 5000 -> lost end.
prime_sieve(N) -> S = self(), P = spawn(fun() -> sieve(S) end), [P ! X || X <- seq(2, N)],
        P ! stop, primes().
primes() -> receive {prime, X} -> [X | primes()]; stop -> [] after 5000 -> lost end.
sieve(S) -> receive stop -> S ! stop; P -> S ! {prime, P}, sieve(S, P, spawn(fun() ->
        sieve(S) end)) end.
sieve(S, P, Nx) -> receive stop -> Nx ! stop; X when X rem P =:= 0 -> sieve(S, P, Nx); X ->
        Nx ! X, sieve(S, P, Nx) end.
barrier(N) -> S = self(), Ps = [spawn(fun() -> S ! {ready, self()}, receive go -> S ! {went,
        self()} end end) || _ <- seq(1, N)], [receive {ready, P} -> ok end || P <- Ps],
        [P ! go || P <- Ps], length([receive {went, P} -> ok after 5000 -> lost end || P <- Ps]).
