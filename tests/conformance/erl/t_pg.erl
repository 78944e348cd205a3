%% Process groups on one node: what OTP's pg promises.
-module(t_pg).
-include("conf.hrl").

main() ->
    ?CASE("start", start()),
    ?CASE("join_and_leave", join_and_leave()),
    ?CASE("several_times", several_times()),
    ?CASE("groups", groups()),
    ?CASE("death", death()),
    ?CASE("watch_scope", watch_scope()),
    ?CASE("watch_group", watch_group()),
    ?CASE("wrong_arguments", wrong_arguments()),
    ?CASE("scope_ends", scope_ends()),
    ok.

%% A process that lives until told otherwise.
idle() ->
    spawn(fun() -> receive stop -> ok end end).

stop(P) ->
    R = monitor(process, P),
    P ! stop,
    receive {'DOWN', R, process, P, _} -> ok end.

%% Wait until the group has so many members: deaths are noticed in passing.
wait(Scope, Group, N) ->
    case length(pg:get_members(Scope, Group)) of
        N -> N;
        _ -> receive after 5 -> wait(Scope, Group, N) end
    end.

start() ->
    {ok, P} = pg:start(s1),
    {ok, Q} = pg:start_link(),
    [P =:= whereis(s1), Q =:= whereis(pg), pg:start(s1) =:= {error, {already_started, P}},
     pg:get_members(s1, nothing), pg:which_groups(s1)].

join_and_leave() ->
    A = idle(),
    B = idle(),
    R = [pg:join(s1, g, A), pg:join(s1, g, [B, self()]),
         sort(pg:get_members(s1, g)) =:= sort([A, B, self()]),
         sort(pg:get_local_members(s1, g)) =:= sort([A, B, self()]),
         pg:leave(s1, g, A), pg:leave(s1, g, A), pg:leave(s1, g, [A, B]),
         pg:get_members(s1, g) =:= [self()],
         pg:leave(s1, g, self()), pg:get_members(s1, g), pg:leave(s1, unknown, self())],
    stop(A),
    stop(B),
    R.

several_times() ->
    ok = pg:join(twice, self()),
    ok = pg:join(twice, self()),
    R = [pg:get_members(twice) =:= [self(), self()], pg:leave(twice, self()),
         pg:get_members(twice) =:= [self()], pg:leave(twice, self()), pg:leave(twice, self())],
    R.

groups() ->
    Names = [{a, 1}, "text", 7, #{k => v}, 1.5, <<"bin">>],
    [ok = pg:join(s1, N, self()) || N <- Names],
    R = [sort(pg:which_groups(s1)) =:= sort(Names),
         sort(pg:which_local_groups(s1)) =:= sort(Names),
         [length(pg:get_members(s1, N)) || N <- Names], pg:get_members(s1, 7.0)],
    [ok = pg:leave(s1, N, self()) || N <- Names],
    R ++ [pg:which_groups(s1)].

death() ->
    A = idle(),
    ok = pg:join(s1, mortal, [A, A, self()]),
    stop(A),
    wait(s1, mortal, 1),
    R = pg:get_members(s1, mortal) =:= [self()],
    ok = pg:leave(s1, mortal, self()),
    Dead = idle(),
    stop(Dead),
    ok = pg:join(s1, mortal, Dead),
    wait(s1, mortal, 0),
    R.

watch_scope() ->
    A = idle(),
    ok = pg:join(s1, old, A),
    {Ref, Map} = pg:monitor_scope(s1),
    R1 = Map =:= #{old => [A]},
    ok = pg:join(s1, new, self()),
    {Ref, join, new, [Me]} = next(),
    ok = pg:leave(s1, new, self()),
    {Ref, leave, new, [Me]} = next(),
    stop(A),
    {Ref, leave, old, [A]} = next(),
    ok = pg:demonitor(s1, Ref),
    ok = pg:join(s1, new, self()),
    ok = pg:leave(s1, new, self()),
    [R1, Me =:= self(), pg:demonitor(s1, Ref), receive M -> M after 50 -> quiet end].

watch_group() ->
    {Ref, []} = pg:monitor(s1, g1),
    ok = pg:join(s1, g2, self()),
    ok = pg:join(s1, g1, self()),
    {Ref, join, g1, [_]} = next(),
    ok = pg:leave(s1, g1, self()),
    {Ref, leave, g1, [_]} = next(),
    ok = pg:leave(s1, g2, self()),
    ok = pg:demonitor(s1, Ref),
    receive M -> M after 50 -> quiet end.

wrong_arguments() ->
    [catch_class(fun() -> pg:get_members(no_scope, g) end),
     catch_class(fun() -> pg:which_groups(no_scope) end),
     catch_class(fun() -> pg:join(no_scope, g, self()) end)].

catch_class(F) ->
    try F() catch C:_ -> C end.

scope_ends() ->
    P = whereis(s1),
    ok = pg:join(s1, last, self()),
    R = monitor(process, P),
    exit(P, kill),
    receive {'DOWN', R, process, P, killed} -> ok end,
    receive after 50 -> ok end,
    {ok, Q} = pg:start(s1),
    [catch_class(fun() -> pg:get_members(s1, last) end), P =:= Q, pg:get_members(s1, last)].
