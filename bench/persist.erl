%% persist.erl - durable inserts, reads and reloads: our persistent tables beside dets and mnesia
%%
%%   persist:main(["ours" | "dets" | "mnesia", Folder, Processes, Seconds])   inserts per second, each
%%       acknowledged when it is on the disk (dets: insert, then sync; mnesia: a transaction on a
%%       disc_copies table, then sync_log)
%%   persist:main(["reads"])                   a lookup in a persistent and in a memory table
%%   persist:main(["fill", Rows]), persist:main(["first", Rows])      10 M rows, then the first read
%% Prints "NAME VALUE UNIT" lines; bench/persist runs it.
-module(persist).
-export([main/1]).

main(["ours", _, P, S]) ->
    T = ets:new(bench, [set, public, {persist, true}]),
    inserts(ours, P, S, fun(K) -> true = ets:insert(T, {K, value, 42}) end);
main(["dets", Dir, P, S]) ->
    {ok, T} = dets:open_file(bench, [{file, Dir ++ "/bench.dets"}, {auto_save, infinity}]),
    inserts(dets, P, S, fun(K) -> ok = dets:insert(T, {K, value, 42}), ok = dets:sync(T) end);
main(["mnesia", Dir, P, S]) ->
    application:set_env(mnesia, dir, Dir ++ "/mnesia"),
    ok = mnesia:create_schema([node()]),
    ok = mnesia:start(),
    {atomic, ok} = mnesia:create_table(bench, [{disc_copies, [node()]}, {attributes, [k, v, n]}]),
    inserts(mnesia, P, S, fun(K) ->
        {atomic, ok} = mnesia:transaction(fun() -> mnesia:write({bench, K, value, 42}) end),
        ok = mnesia:sync_log()
    end);
main(["reads"]) ->
    A = ets:new(memory, [set, public, named_table]),        % a persistent one has a name, too
    B = ets:new(persistent, [set, public, {persist, true}]),
    [begin ets:insert(T, [{K, K, value} || K <- lists:seq(1, 1000)]) end || T <- [A, B]],
    R = [{lookups(A, 1000000), lookups(B, 1000000)} || _ <- lists:seq(1, 9)],
    print(read_memory, lists:min([X || {X, _} <- R]), "ns"),
    print(read_persistent, lists:min([X || {_, X} <- R]), "ns");
main(["fill", Rows]) ->
    T = ets:new(large, [set, public, {persist, true}, {sync, false}]),
    T0 = now_ns(),
    fill(T, list_to_integer(Rows)),
    ok = store:sync(),
    print(fill, (now_ns() - T0) / 1.0e9, "s");
main(["first", Rows]) ->
    N = list_to_integer(Rows),
    T0 = now_ns(),
    [{_, _}] = ets:lookup(large, N div 2),
    T1 = now_ns(),
    N = ets:info(large, size),
    print(first_read, (T1 - T0) / 1.0e6, "ms"),
    print(all_rows, (now_ns() - T0) / 1.0e9, "s").

now_ns() -> erlang:monotonic_time(nanosecond).

print(Name, V, Unit) -> io:format("~s ~.1f ~s~n", [Name, V * 1.0, Unit]).

fill(_, 0) -> ok;
fill(T, N) when N >= 1000 ->
    ets:insert(T, [{K, K * 2} || K <- lists:seq(N - 999, N)]),
    fill(T, N - 1000).

lookups(T, N) ->
    T0 = now_ns(),
    look(T, N),
    (now_ns() - T0) / N.

look(_, 0) -> ok;
look(T, N) ->
    [_] = ets:lookup(T, N rem 1000 + 1),
    look(T, N - 1).

inserts(Name, P0, S0, F) ->
    P = list_to_integer(P0),
    End = now_ns() + list_to_integer(S0) * 1000000000,
    Me = self(),
    T0 = now_ns(),
    [spawn_link(fun() -> Me ! {done, insert(W, 0, End, F)} end) || W <- lists:seq(1, P)],
    Sum = lists:sum([receive {done, N} -> N end || _ <- lists:seq(1, P)]),
    print(lists:concat([Name, ".p", P]), Sum * 1.0e9 / (now_ns() - T0), "inserts/s").

insert(W, N, End, F) ->
    case now_ns() < End of
        true -> F({W, N}), insert(W, N + 1, End, F);
        false -> N
    end.
