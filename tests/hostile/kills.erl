%% SPDX-License-Identifier: Apache-2.0
%% kills - random deaths among processes that watch each other
%%
%% main([Seed, Seconds, Processes]). Workers link to, monitor, suspend, ask and send to each other at
%% random and do long built-ins; killers end them with all kinds of reasons. Keepers hold one monitor
%% of each worker and start another when it is gone. Checked: each monitor of a keeper gives exactly
%% one DOWN, a worker never sees a DOWN that it does not wait for, and nobody is left at the end.
-module(kills).
-export([main/1]).

-define(KEEPERS, 8).
-define(KILLERS, 4).

main([SeedText, SecondsText, CountText]) ->
    Seed = list_to_integer(SeedText),
    Count = list_to_integer(CountText),
    Before = length(processes()),
    slots = ets:new(slots, [named_table, public, {read_concurrency, true}]),
    Self = self(),
    register(judge, Self),
    Keepers = [spawn_monitor(fun() -> keeper_start(K, Count, Seed) end) || K <- seq(?KEEPERS)],
    Killers = [spawn_monitor(fun() -> killer(Count, Seed * 7919 + K, 0) end) || K <- seq(?KILLERS)],
    Deadline = erlang:monotonic_time(millisecond) + 1000 * list_to_integer(SecondsText),
    Bad = judge(Deadline, []),
    [begin exit(P, kill), gone(R) end || {P, R} <- Killers],
    [P ! finish || {P, _} <- Keepers],
    Deaths = sum([receive {'DOWN', R, process, _, {deaths, N}} -> N;
                          {'DOWN', R, process, _, Other} -> put(keeper, Other), 0 end
                  || {_, R} <- Keepers]),
    Bad1 = judge(erlang:monotonic_time(millisecond), Bad),
    Left = wait_for(Before, 200),
    io:put_chars(["1..4\n",
                  line(1, Bad1 =:= [], ["no signal too many: ", text(Bad1)]),
                  line(2, get(keeper) =:= undefined, ["no keeper lost a worker: ", text(get(keeper))]),
                  line(3, Left =:= Before, ["nobody is left: ", text({Left, Before})]),
                  line(4, Deaths >= Count, ["deaths: ", integer_to_list(Deaths)])]).

line(N, true, Text) -> ["ok ", integer_to_list(N), " - ", Text, $\n];
line(N, false, Text) -> ["not ok ", integer_to_list(N), " - ", Text, $\n].

text(T) when is_atom(T) -> atom_to_list(T);
text(T) when is_integer(T) -> integer_to_list(T);
text(T) when is_pid(T) -> pid_to_list(T);
text(T) when is_reference(T) -> ref_to_list(T);
text(T) when is_list(T) -> ["[", [[text(E), " "] || E <- T], "]"];
text(T) when is_tuple(T) -> ["{", [[text(E), " "] || E <- tuple_to_list(T)], "}"].

gone(R) -> receive {'DOWN', R, process, _, _} -> ok end.

%% Complaints until the deadline.
judge(Deadline, Bad) ->
    Left = Deadline - erlang:monotonic_time(millisecond),
    receive {bad, What} -> judge(Deadline, [What | Bad])
    after case Left > 0 of true -> Left; false -> 0 end -> Bad end.

wait_for(_, 0) -> length(processes());
wait_for(N, Tries) ->
    case length(processes()) of
        N -> N;
        _ -> receive after 50 -> wait_for(N, Tries - 1) end
    end.

%% --- keepers: one monitor for each of their workers --------------------------------------------

keeper_start(K, Count, Seed) ->
    Mine = [I || I <- seq(Count), I rem ?KEEPERS =:= K - 1],
    keeper(maps:from_list([start(I, Seed) || I <- Mine]), Count, Seed, 0).

start(I, Seed) ->
    Count = ets:info(slots, size) + 1,
    {Pid, Ref} = spawn_monitor(fun() -> worker_start(Count, Seed * 31 + I) end),
    ets:insert(slots, {I, Pid}),
    {Ref, I}.

keeper(Workers, Count, Seed, Deaths) ->
    receive
        {'DOWN', Ref, process, _, _} ->
            {I, Rest} = maps:take(Ref, Workers),        % badmap or error: one DOWN too many
            {Ref1, I} = start(I, Seed + Deaths),
            keeper(Rest#{Ref1 => I}, Count, Seed, Deaths + 1);
        finish ->
            [exit(P, kill) || I <- maps:values(Workers), {_, P} <- ets:lookup(slots, I)],
            keeper_end(Workers, Deaths)
    end.

keeper_end(Workers, Deaths) when map_size(Workers) =:= 0 ->
    receive {'DOWN', _, process, _, _} -> exit(one_down_too_many)
    after 100 -> exit({deaths, Deaths}) end;
keeper_end(Workers, Deaths) ->
    receive
        {'DOWN', Ref, process, _, _} ->
            {_, Rest} = maps:take(Ref, Workers),
            keeper_end(Rest, Deaths + 1)
    after 60000 -> exit({no_down_for, maps:values(Workers)})
    end.

%% --- workers ---------------------------------------------------------------------------------------

worker_start(Count, Seed) ->
    process_flag(trap_exit, Seed rem 3 =:= 0),
    worker(Count, next(Seed), #{}).

worker(Count, Seed, Monitors) ->
    receive
        {'DOWN', Ref, process, _, _} when is_map_key(Ref, Monitors) ->
            worker(Count, Seed, maps:remove(Ref, Monitors));
        {'DOWN', Ref, process, Pid, Reason} ->
            judge ! {bad, {stray_down, Ref, Pid, Reason}},
            worker(Count, Seed, Monitors);
        {'EXIT', _, _} ->
            worker(Count, Seed, Monitors);
        {work, _} ->
            worker(Count, next(Seed), work(Seed, Count, Monitors))
    after 20 ->
        worker(Count, next(Seed), work(Seed, Count, Monitors))
    end.

work(Seed, Count, Monitors) ->
    Pid = pick(Seed, Count),
    case Seed div 65536 rem 12 of
        0 -> catch link(Pid), Monitors;
        1 -> unlink(Pid), Monitors;
        2 -> Monitors#{monitor(process, Pid) => x};
        3 -> Monitors#{monitor(process, Pid) => x};
        4 -> drop(Monitors, flush);
        5 -> drop(Monitors, info);
        6 -> Pid ! {work, lists:reverse(seq(300), [])}, Monitors;
        7 -> _ = term_to_binary(seq(20000)), Monitors;
        8 -> _ = process_info(Pid, message_queue_len), Monitors;
        9 -> _ = erlang:is_process_alive(Pid), Monitors;
        10 -> _ = erlang:garbage_collect(Pid), Monitors;
        11 ->
            case Pid =:= self() of
                true -> Monitors;
                false -> suspend(Pid), Monitors
            end
    end.

%% Whoever is suspended goes on when its suspender dies, too.
suspend(Pid) ->
    try erlang:suspend_process(Pid) of
        true -> erlang:yield(), catch erlang:resume_process(Pid)
    catch error:badarg -> ok
    end.

drop(Monitors, _) when map_size(Monitors) =:= 0 -> Monitors;
drop(Monitors, How) ->
    [Ref | _] = maps:keys(Monitors),
    case How of
        flush ->
            demonitor(Ref, [flush]),
            maps:remove(Ref, Monitors);
        info ->
            %% false: the DOWN is there or on its way, and still waited for
            case demonitor(Ref, [info]) of
                true -> maps:remove(Ref, Monitors);
                false -> Monitors
            end
    end.

%% --- killers ---------------------------------------------------------------------------------------

killer(Count, Seed, N) ->
    case pick(Seed, Count) of
        Pid when Pid =/= self() -> attack(Pid, Seed div 4096 rem 6);
        _ -> ok                                 % nobody is there yet
    end,
    case N rem 8 of
        0 -> receive after 1 -> ok end;
        _ -> erlang:yield()
    end,
    killer(Count, next(Seed), N + 1).

attack(Pid, How) ->
    case How of
        0 -> exit(Pid, kill);
        1 -> exit(Pid, normal);
        2 -> exit(Pid, {shutdown, seq(50)});
        3 -> Pid ! {work, now};
        4 -> exit(Pid, killed);
        5 -> spawn(fun() -> catch link(Pid), exit(gone) end)
    end.

pick(Seed, Count) ->
    case ets:lookup(slots, Seed rem Count + 1) of
        [{_, Pid}] -> Pid;
        [] -> self()
    end.

next(Seed) -> (Seed * 6364136223846793005 + 1442695040888963407) band 16#7FFFFFFFFFFFFFF.

seq(N) -> seq(N, []).
seq(0, Acc) -> Acc;
seq(N, Acc) -> seq(N - 1, [N | Acc]).

sum(L) -> sum(L, 0).
sum([], S) -> S;
sum([H | T], S) -> sum(T, S + H).
