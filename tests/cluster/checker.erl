%% SPDX-License-Identifier: Apache-2.0
%% checker.erl - what tests/cluster/chaos runs on each node: actors with ledgers
%%
%% Actors of all nodes send to each other, monitor, demonitor, link, unlink and die by chance. Each
%% keeps a ledger; what must not happen is told to the process `court` of its node:
%%
%%   order      a message of one sender is not newer than the one before       G1 G2
%%   down       a DOWN for a monitor that has ended or never was                G5
%%   exit       an EXIT from a process with which there is no link              G5
%% (links are made and undone by one side alone, so that its ledger knows)
%%
%% After stop/0 actors begin nothing new; left/0 counts the relations with other nodes that are still
%% open: none may be, once the actors there are gone.
-module(checker).
-compile([export_all, nowarn_export_all]).

start(Nodes, N, Seed) ->
    spawn(?MODULE, court, []),
    spawn(?MODULE, keeper, [Nodes, N, Seed]),
    ok.

%% --- the court: collects violations and counts

court() ->
    register(court, self()),
    court([], #{}).

court(Bad, Counts) ->
    receive
        {bad, What} -> court([What | Bad], Counts);
        {count, What} -> court(Bad, Counts#{What => maps:get(What, Counts, 0) + 1});
        {ask, From, Ref} -> From ! {Ref, {length(Bad), first(5, Bad), maps:to_list(Counts)}},
                            court(Bad, Counts)
    end.

first(N, [H | T]) when N > 0 -> [H | first(N - 1, T)];
first(_, _) -> [].

report() -> question(court, {ask}).

question(Name, {Q}) ->
    R = make_ref(),
    Name ! {Q, self(), R},
    receive {R, Answer} -> Answer after 5000 -> timeout end.

%% --- the keeper: N actors always

keeper(Nodes, N, Seed) ->
    register(keeper, self()),
    process_flag(trap_exit, true),
    Actors = maps:from_list([{spawn_link(?MODULE, actor, [I, Nodes, N, Seed * 1000 + I]), I}
                             || I <- seq(N)]),
    keep(Actors, {Nodes, N, Seed}, go).

keep(Actors, {Nodes, N, Seed} = Conf, Mode) ->
    receive
        {'EXIT', Pid, _} when is_map_key(Pid, Actors) ->
            #{Pid := I} = Actors,
            Rest = maps:remove(Pid, Actors),
            case Mode of
                go ->
                    New = spawn_link(?MODULE, actor, [I, Nodes, N, Seed * 7919 + I + rnd_seed()]),
                    keep(Rest#{New => I}, Conf, Mode);
                stop ->
                    keep(Rest, Conf, Mode)
            end;
        {stop, From, Ref} ->
            [P ! stop || P <- maps:keys(Actors)],
            From ! {Ref, ok},
            keep(Actors, Conf, stop);
        {kill, From, Ref} ->
            [exit(P, kill) || P <- maps:keys(Actors)],
            From ! {Ref, ok},
            keep(Actors, Conf, stop);
        {left, From, Ref} ->
            From ! {Ref, [open_of(P) || P <- maps:keys(Actors)]},
            keep(Actors, Conf, Mode);
        _ ->
            keep(Actors, Conf, Mode)
    end.

open_of(P) ->
    R = make_ref(),
    P ! {open, self(), R},
    receive {R, Open} -> Open after 2000 -> no_answer end.

stop() -> question(keeper, {stop}).
kill() -> question(keeper, {kill}).
left() -> lists_sum(question(keeper, {left}), {0, 0}).

lists_sum([{M, L} | T], {A, B}) -> lists_sum(T, {A + M, B + L});
lists_sum([_ | T], Acc) -> lists_sum(T, Acc);
lists_sum(_, Acc) -> Acc.

%% --- an actor. Known: {Node, I} => Pid; Sent: Pid => number; Got: Pid => number;
%%     Mons: Ref => Pid; Links: Pid => true

actor(I, Nodes, N, Seed) ->
    process_flag(trap_exit, true),
    register(name(I), self()),
    loop(#{i => I, nodes => Nodes, n => N, rng => Seed band 16#ffffffff + 1, known => #{},
           sent => #{}, got => #{}, mons => #{}, links => #{}, stop => false}).

name(I) -> list_to_atom([$a, $c, $t, $0 + I div 10, $0 + I rem 10]).

loop(S) ->
    receive
        M -> loop(took(M, S))
    after pace(S) ->
        case S of
            #{stop := true} -> loop(S);
            _ -> loop(act(S))
        end
    end.

pace(#{stop := true}) -> 200;
pace(_) -> 2.

rnd_seed() -> erlang:unique_integer([positive]).

rnd(#{rng := R} = S, N) ->
    A = (R bxor (R bsl 13)) band 16#ffffffff,
    B = A bxor (A bsr 17),
    C = (B bxor (B bsl 5)) band 16#ffffffff,
    {C rem N, S#{rng := C}}.

bad(What) -> court ! {bad, What}.
count(What) -> court ! {count, What}.

%% what comes
took({hello, From}, #{i := I} = S) -> From ! {iam, node(), I, self()}, S;
took({iam, Node, I, Pid}, #{known := K} = S) -> S#{known := K#{{Node, I} => Pid}};
took({seq, From, N}, #{got := G} = S) ->
    case G of
        #{From := Old} when N =< Old -> bad({order, From, Old, N});
        _ -> ok
    end,
    S#{got := G#{From => N}};
took({'DOWN', Ref, process, Pid, Why}, #{mons := M, known := K} = S) ->
    case M of
        #{Ref := _} -> count({down, Why});
        _ -> bad({down, Ref, Pid, Why})
    end,
    S#{mons := maps:remove(Ref, M), known := forget(Pid, K)};
took({'EXIT', Pid, Why}, #{links := L, known := K} = S) ->
    case L of
        #{Pid := _} -> count({exit, kind(Why)});
        _ -> maybe_theirs(Pid, Why)
    end,
    S#{links := maps:remove(Pid, L), known := forget(Pid, K)};
took({open, From, Ref}, #{mons := M, links := L} = S) ->
    From ! {Ref, {abroad(maps:values(M)), abroad(maps:keys(L))}}, S;
took(stop, S) -> S#{stop := true};
took(_, S) -> S.

abroad(Pids) -> length([P || P <- Pids, node(P) =/= node()]).

kind(noconnection) -> noconnection;
kind(noproc) -> noproc;
kind(_) -> other.

%% Only the actor on the node of the smaller name links and unlinks, so this one was made over there.
maybe_theirs(Pid, _) when node(Pid) =< node() -> count(their_exit);
maybe_theirs(Pid, Why) -> bad({exit, Pid, Why}).

forget(Pid, Known) -> maps:from_list([{W, P} || {W, P} <- maps:to_list(Known), P =/= Pid]).

%% what it does
act(S0) ->
    {R, S} = rnd(S0, 100),
    case R of
        0 -> {D, S1} = rnd(S, 10), case D of 0 -> count(death), exit(tired); _ -> S1 end;
        _ when R < 15 -> hello(S);
        _ when R < 70 -> with_known(S, fun send/2);
        _ when R < 80 -> with_known(S, fun monitor_it/2);
        _ when R < 87 -> demonitor_one(S);
        _ when R < 94 -> with_known(S, fun link_it/2);
        _ -> unlink_one(S)
    end.

hello(#{nodes := Nodes, n := N} = S) ->
    {A, S1} = rnd(S, length(Nodes)),
    {B, S2} = rnd(S1, N),
    {name(B + 1), nth(A + 1, Nodes)} ! {hello, self()},
    S2.

with_known(#{known := K} = S, Fun) ->
    case maps:values(K) of
        [] -> hello(S);
        Pids -> {I, S1} = rnd(S, length(Pids)), Fun(nth(I + 1, Pids), S1)
    end.

send(Pid, #{sent := T} = S) ->
    N = maps:get(Pid, T, 0) + 1,
    Pid ! {seq, self(), N},
    count(sent),
    S#{sent := T#{Pid => N}}.

monitor_it(Pid, #{mons := M} = S) when map_size(M) < 50 ->
    S#{mons := M#{monitor(process, Pid) => Pid}};
monitor_it(_, S) -> S.

demonitor_one(#{mons := M} = S) ->
    case maps:keys(M) of
        [] -> S;
        Refs ->
            {I, S1} = rnd(S, length(Refs)),
            Ref = nth(I + 1, Refs),
            demonitor(Ref, [flush]),
            S1#{mons := maps:remove(Ref, M)}
    end.

link_it(Pid, #{links := L} = S) when node(Pid) > node() ->
    case L of
        #{Pid := _} -> S;
        _ -> link(Pid), S#{links := L#{Pid => true}}
    end;
link_it(_, S) -> S.

%% As OTP says: unlink, then throw away the exit message that may have been there before.
unlink_one(#{links := L} = S) ->
    case maps:keys(L) of
        [] -> S;
        Pids ->
            {I, S1} = rnd(S, length(Pids)),
            Pid = nth(I + 1, Pids),
            unlink(Pid),
            receive {'EXIT', Pid, _} -> ok after 0 -> ok end,
            S1#{links := maps:remove(Pid, L)}
    end.

nth(1, [H | _]) -> H;
nth(N, [_ | T]) -> nth(N - 1, T).

seq(0) -> [];
seq(N) -> [N | seq(N - 1)].
