%% mixed.erl - four processes do everything to a few tables at once
%%
%%   mixed:main(["work", Folder, Milliseconds])   then write what is in the persistent tables to
%%                                                Folder/left, as memory has it
%%   mixed:main(["compare", Folder])              after a start: do the tables have that again?
-module(mixed).
-export([main/1]).

-define(KEPT, [{kset, set}, {kord, ordered_set}, {kbag, bag}, {kdup, duplicate_bag},
               {kpast, ordered_set}, {klazy, set}]).
-define(FREE, [{fset, set}, {ford, ordered_set}, {fbag, bag}, {fdup, duplicate_bag}]).

main(["work", Dir, Ms]) ->
    tables(),
    End = erlang:monotonic_time(millisecond) + list_to_integer(Ms),
    Names = [N || {N, _} <- ?KEPT ++ ?FREE ++ ?FREE],
    Pids = [spawn_monitor(fun() -> work(list_to_tuple(Names), End, N * 7919, 0) end)
            || N <- lists:seq(1, 4)],
    Ends = [receive {'DOWN', R, _, _, Why} -> Why end || {_, R} <- Pids],
    [io:format("ended: ~p~n", [E]) || E <- Ends, element(1, E) =/= done],
    io:format("~p operations~n", [lists:sum([N || {done, N} <- Ends])]),
    [false = ets:info(N, fixed) || {N, _} <- ?KEPT ++ ?FREE],
    ok = store:sync(),
    ok = file:write_file(Dir ++ "/left", term_to_binary(left()));
main(["compare", Dir]) ->
    {ok, B} = file:read_file(Dir ++ "/left"),
    tables(),
    _ = [ets:lookup(N, 5) || {N, _} <- ?KEPT],
    Left = left(),
    [io:format("~p: ~p rows~n", [N, length(L)]) || {N, L} <- Left],
    case binary_to_term(B) of
        Left -> io:format("the same~n");
        Want -> [io:format("~p differs: lost ~p, new ~p~n", [N, A -- L, L -- A])
                 || {{N, A}, {N, L}} <- lists:zip(Want, Left), A =/= L]
    end.

tables() ->
    [ets:new(N, [T, public, named_table, {write_concurrency, true}]) || {N, T} <- ?FREE],
    [ets:new(N, [T, public, {persist, true}, {sync, N =/= klazy}
                 | [{history, 50} || N =:= kpast]]) || {N, T} <- ?KEPT].

left() -> [{N, lists:sort(ets:tab2list(N))} || {N, _} <- ?KEPT].

work(Names, End, X0, N) ->
    case N rem 16 =/= 0 orelse erlang:monotonic_time(millisecond) < End of
        true ->
            X = (X0 * 1103515245 + 12345) band 16#7fffffff,
            T = element((X bsr 8) rem tuple_size(Names) + 1, Names),
            step((X bsr 4) rem 23, T, key((X bsr 12) rem 300), X bsr 16),
            work(Names, End, X, N + 1);
        false -> exit({done, N})
    end.

key(K) when K < 200 -> K;
key(K) when K < 250 -> {K, "text", <<K>>};
key(K) -> K + 0.5.

step(0, T, K, V) -> ets:insert(T, [{K, V}, {K, V + 1, x}, {key(V rem 300), V}]);
step(1, T, K, _) -> ets:delete(T, K);
step(2, T, K, _) -> ets:take(T, K);
step(3, T, K, V) -> ets:insert_new(T, {K, V});
step(4, T, K, V) -> ets:delete_object(T, {K, V});
step(5, T, K, V) -> catch ets:update_counter(T, K, {2, V rem 5}, {K, 0});
step(6, T, K, V) -> catch ets:update_element(T, K, {2, V});
step(7, T, K, _) -> ets:select_delete(T, [{{K, '$1'}, [{'>', '$1', 100}], [true]}]);
step(8, T, _, V) -> ets:select_count(T, [{{'_', '$1'}, [{'>', '$1', V}], [true]}]);
step(9, T, K, _) -> catch ets:next(T, element(1, hd(ets:lookup(T, K) ++ [{ets:first(T)}])));
step(10, T, _, V) when V rem 40 =:= 0 -> ets:delete_all_objects(T);
step(11, T, _, V) when V rem 5 =:= 0 ->
    catch ets:select_replace(T, [{{'$1', '$2'}, [{'<', '$2', 50}], [{{'$1', {const, 77}}}]}]);
step(12, T, _, _) ->
    ets:safe_fixtable(T, true),
    walk(T, ets:first(T), 20),
    ets:safe_fixtable(T, false);
step(13, T, _, _) -> length(ets:tab2list(T));
step(14, T, K, _) -> ets:match_delete(T, {'_', K});
step(15, T, _, _) -> {ets:info(T, size), ets:info(T, memory), ets:info(T, safe_fixed)};
step(16, T, K, V) -> ets:insert(T, {K, lists:seq(1, V rem 30), #{v => V}, binary:copy(<<V>>, V rem 99)});
step(17, kpast, K, _) -> store:history(kpast, K, 0, infinity);
step(18, kpast, _, _) -> store:as_of(kpast, erlang:system_time());
step(_, T, K, V) when V rem 3 =:= 0 -> ets:insert(T, {K, V});
step(_, T, K, _) -> ets:lookup(T, K).

walk(_, '$end_of_table', _) -> ok;
walk(_, _, 0) -> ok;
walk(T, K, N) -> ets:delete(T, K), walk(T, ets:next(T, K), N - 1).
