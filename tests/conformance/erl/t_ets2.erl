%% t_ets2 - tables: options, order, fixing, continuations, turns, files, owners
%% needs: otp
-module(t_ets2).
-include("conf.hrl").

t(Type) -> t(Type, []).
t(Type, L) -> T = ets:new(t, [Type, public]), ets:insert(T, L), T.
n(T) -> t(T, [{X, X * X} || X <- seq(1, 20)]).
all_types() -> [set, ordered_set, bag, duplicate_bag].
try_(F) -> try F() catch C:R -> {C, R} end.

main() -> options(), info(), order(), fixing(), continuations(), turns(), shrinking(), files(),
        folds(), specs(), deletes(), counters(), owners(), parallel(), ok.

options() ->
    [?CASE(["option ", conf_format(O)], try_(fun() -> is_reference(ets:new(t, [O])) end))
     || O <- [set, ordered_set, bag, duplicate_bag, public, protected, private, compressed,
              {keypos, 1}, {keypos, 7}, {keypos, 0}, {keypos, a}, {read_concurrency, true},
              {read_concurrency, false}, {read_concurrency, x}, {write_concurrency, true},
              {write_concurrency, false}, {write_concurrency, auto}, {write_concurrency, x},
              {decentralized_counters, true}, {decentralized_counters, false},
              {decentralized_counters, x}, {heir, none}, {heir, self(), x}, {heir, a, b}, {heir},
              {heir, none, none}, foo, {foo, bar}, 1, "s"]],
    ?C(ets:new(t, [set | bag])),
    ?C(ets:new(t, [set, bag, ordered_set, {keypos, 2}, {keypos, 3}, private, public])
       =:= undefined),
    ?C(begin T = ets:new(t, [set, bag, {keypos, 2}, {keypos, 3}]),
             {ets:info(T, type), ets:info(T, keypos)} end),
    ?C(ets:new(undefined, [named_table])),
    ?C([ets:insert(ets:new(t, [{keypos, K}]), {a, b}) || K <- [1, 2]]),
    ?C(ets:insert(ets:new(t, [{keypos, 3}]), {a, b})),
    ?C(begin T = ets:new(t, [compressed, ordered_set]), ets:insert(T, [{X, {X, "abc"}} ||
            X <- seq(1, 30)]), {ets:lookup(T, 7), ets:next(T, 7), ets:info(T, compressed)} end).

info() ->
    T = ets:new(tname, [bag, {keypos, 2}, private, {read_concurrency, true}, compressed]),
    [?CASE(["info ", conf_format(K)], try_(fun() -> ets:info(T, K) end))
     || K <- [id, compressed, fixed, heir, keypos, name, named_table, node, owner, protection,
              safe_fixed, safe_fixed_monotonic_time, size, type, decentralized_counters,
              read_concurrency, write_concurrency, foo, 1]],
    ?C(sort([K || {K, _} <- ets:info(T)])),
    ?C(begin A = n(set), ets:safe_fixtable(A, true), {_, L} = ets:info(A, safe_fixed),
             ets:safe_fixtable(A, true), {_, L2} = ets:info(A, safe_fixed_monotonic_time),
             R = {[N || {_, N} <- L], [N || {_, N} <- L2], ets:info(A, fixed)},
             ets:safe_fixtable(A, false), ets:safe_fixtable(A, false),
             {R, ets:info(A, safe_fixed), ets:info(A, fixed)} end),
    ?C([ets:info(X) || X <- [no_table_at_all]]),
    ?C(try_(fun() -> ets:info(1, size) end)),
    ?C(begin A = n(set), ets:delete(A), {ets:info(A), ets:info(A, size)} end),
    ?C([ets:info(ets:new(t, [P, {write_concurrency, true}]), write_concurrency)
        || P <- [public, protected, private]]),
    ?C(begin A = ets:new(conf_n2, [named_table]), B = ets:whereis(A),
             R = {ets:info(A, id) =:= B, ets:info(B, name), ets:insert(B, {1}), ets:lookup(A, 1)},
             ets:delete(B), {R, ets:whereis(A)} end).

order() ->
    Terms = [1, 1.5, 2, -1, 0, a, b, 'B', {}, {1}, {a}, {1, 2}, {1, 3}, #{}, #{a => 1}, #{a => 2},
             #{b => 1}, [], [1], [1, 2], [a], "str", <<>>, <<1>>, <<1, 2>>, <<1:3>>, 1 bsl 70,
             -(1 bsl 70), 1.0e30],
    ?C(walk(t(ordered_set, [{X} || X <- Terms]))),
    ?C(back(t(ordered_set, [{X} || X <- Terms]))),
    ?C([ets:next(t(ordered_set, [{X} || X <- Terms]), K) || K <- [0.5, aa, {0}, [0], <<0>>, #{a => 1.5}]]),
    ?C([ets:prev(t(ordered_set, [{X} || X <- Terms]), K) || K <- [0.5, aa, {2}, [b], <<2>>, #{c => 0}]]),
    ?C(begin T = t(ordered_set, [{1, int}]), ets:insert(T, {1.0, float}), {ets:lookup(T, 1),
            ets:member(T, 1.0), ets:delete(T, 1), ets:info(T, size)} end),
    ?C(begin T = t(ordered_set, [{{1, 2}, a}]), {ets:lookup(T, {1.0, 2.0}), ets:insert_new(T,
            {{1.0, 2}, b}), ets:update_element(T, {1, 2.0}, {2, c}), ets:lookup(T, {1, 2})} end),
    ?C(begin T = t(set, [{1, int}, {1.0, float}, {{1}, a}, {{1.0}, b}]), {ets:lookup(T, 1),
            ets:lookup(T, 1.0), ets:lookup(T, {1}), ets:lookup(T, {1.0})} end),
    ?C(begin T = t(bag, [{k, 1}, {k, 2}]), ets:insert(T, [{k, 3}, {k, 1}, {k, 4}]),
             ets:lookup(T, k) end),
    ?C(begin T = t(bag), [ets:insert(T, {k, X}) || X <- [5, 3, 9, 5, 1]], A = ets:lookup(T, k),
             ets:delete_object(T, {k, 3}), ets:insert(T, {k, 3}), {A, ets:lookup(T, k),
             ets:lookup_element(T, k, 2), ets:match(T, {k, '$1'}), ets:take(T, k)} end),
    ?C(begin T = t(duplicate_bag), [ets:insert(T, {k, X}) || X <- [5, 3, 9, 5, 1, 5]],
             A = ets:lookup(T, k), ets:delete_object(T, {k, 5}), {A, ets:lookup(T, k)} end),
    ?C([ets:tab2list(t(ordered_set, [{X, a} || X <- [3, 1, 2]]))]).
walk(T) -> walk(T, ets:first(T)).
walk(_, '$end_of_table') -> [];
walk(T, K) -> [K | walk(T, ets:next(T, K))].
back(T) -> back(T, ets:last(T)).
back(_, '$end_of_table') -> [];
back(T, K) -> [K | back(T, ets:prev(T, K))].

fixing() ->
    [?CASE(["fixed walk, every key deleted behind ", atom_to_list(Y)],
           begin T = t(Y, [{X, X} || X <- seq(1, 500)]), ets:safe_fixtable(T, true),
                 N = walk_delete(T, ets:first(T), 0), ets:safe_fixtable(T, false),
                 {N, ets:info(T, size), ets:first(T)} end) || Y <- all_types()],
    [?CASE(["fixed walk, others insert and delete ", atom_to_list(Y)],
           begin T = t(Y, [{X, X} || X <- seq(1, 300)]), ets:safe_fixtable(T, true),
                 P = helper(T), K = walk_slow(T, ets:first(T), []), P ! stop,
                 ets:safe_fixtable(T, false),
                 [X || X <- seq(1, 300), not lists:member(X, K)] end) || Y <- all_types()],
    ?C(begin T = n(set), ets:safe_fixtable(T, true), K = ets:first(T), N = ets:next(T, K),
             ets:delete(T, K), R = ets:next(T, K) =:= N, ets:insert(T, {K, again}),
             R2 = {ets:lookup(T, K) =:= [{K, again}], ets:info(T, size)}, ets:safe_fixtable(T, false),
             {R, R2, ets:info(T, size)} end),
    ?C(begin T = n(set), ets:safe_fixtable(T, true), ets:delete_all_objects(T),
             R = {ets:info(T, size), ets:first(T), ets:tab2list(T)}, ets:insert(T, {1, new}),
             ets:safe_fixtable(T, false), {R, ets:tab2list(T)} end),
    ?C(begin T = n(bag), ets:insert(T, {1, b}), ets:safe_fixtable(T, true), ets:delete_object(T,
            {1, 1}), R = ets:lookup(T, 1), ets:insert(T, {1, 1}), R2 = ets:lookup(T, 1),
            ets:safe_fixtable(T, false), {R, R2, ets:lookup(T, 1), ets:info(T, size)} end),
    ?C(begin T = n(set), in_process(fun() -> ets:safe_fixtable(T, true) end), until(fun() ->
            ets:info(T, fixed) =:= false end) end),
    ?C(try_(fun() -> ets:safe_fixtable(n(set), 1) end)),
    ?C(ets:safe_fixtable(n(ordered_set), false)).
walk_delete(_, '$end_of_table', N) -> N;
walk_delete(T, K, N) -> ets:delete(T, K), walk_delete(T, ets:next(T, K), N + 1).
walk_slow(_, '$end_of_table', L) -> L;
walk_slow(T, K, L) -> erlang:yield(), walk_slow(T, ets:next(T, K), [K | L]).
helper(T) -> spawn(fun() -> helper(T, 1000) end).
helper(T, N) ->
    receive stop -> ok
    after 0 -> ets:insert(T, {N, x}), ets:delete(T, N - 50), erlang:yield(), helper(T, N + 1)
    end.
until(F) -> until(F, 200).
until(_, 0) -> never;
until(F, N) -> case F() of true -> true; _ -> receive after 5 -> until(F, N - 1) end end.

continuations() ->
    Ms = [{{'$1', '_'}, [], ['$1']}],
    [?CASE(["select/3 by ", integer_to_list(N), " ", atom_to_list(Y)],
           begin L = chunks(ets:select(n(Y), Ms, N)), {sort(lists:append(L)) =:= seq(1, 20),
                 lists:max([length(X) || X <- L]) =< N} end)
     || Y <- all_types(), N <- [1, 3, 19, 20, 21, 1000]],
    ?C(begin T = n(ordered_set), {A, C} = ets:select(T, Ms, 5), {B, _} = ets:select(C),
             {B2, _} = ets:select(C), {A, B, B =:= B2} end),
    ?C(begin T = n(ordered_set), {A, C} = ets:select(T, Ms, 5), ets:delete(T, 5), ets:delete(T, 6),
             ets:insert(T, {5.5, x}), {B, _} = ets:select(C), {A, B} end),
    ?C(begin T = n(ordered_set), {A, C} = ets:select_reverse(T, Ms, 6), {B, _} =
             ets:select_reverse(C), {A, B} end),
    ?C(begin T = n(set), {_, C} = ets:select(T, Ms, 5), ets:delete(T), try_(fun() ->
            ets:select(C) end) end),
    ?C(begin T = n(ordered_set), {_, C} = ets:match(T, {'$1', '_'}, 15), {B, E} = ets:match(C),
             {B, E} end),
    ?C(begin T = n(ordered_set), {_, C} = ets:match_object(T, {'_', '_'}, 18),
             ets:match_object(C) end),
    ?C(begin T = n(ordered_set), {A, C} = ets:select(T, [{{'$1', '$2'}, [{'>', '$1', 17}], ['$2']}], 2),
             {A, ets:select(C)} end),
    ?C(ets:select(n(ordered_set), [{{'$1', '_'}, [{'>', '$1', 50}], ['$1']}], 2)),
    ?C(ets:select(n(set), [{{'$1', '_'}, [{'>', '$1', 50}], ['$1']}], 2)),
    ?C([try_(fun() -> ets:select(n(set), Ms, X) end) || X <- [0, -1, a, 1.0]]),
    ?C([try_(fun() -> ets:select(X) end) || X <- [a, {}, {1, 2, 3}, {a, b, c, d, e, f}]]),
    ?C(begin T = n(ordered_set), {_, C} = ets:select(T, Ms, 5), C2 = ets:repair_continuation(C, Ms),
             {B, _} = ets:select(C2), {B, ets:is_compiled_ms(element(5, C2))} end),
    ?C(begin T = n(ordered_set), {_, C} = ets:select(T, Ms, 7), C1 = binary_to_term(term_to_binary(C)),
             {B, _} = ets:select(ets:repair_continuation(C1, Ms)), B end),
    ?C(begin T = n(set), ets:safe_fixtable(T, true), {A, C} = ets:select(T, Ms, 5), [ets:delete(T, K)
             || K <- A], L = lists:append([A | chunks(ets:select(C))]), ets:safe_fixtable(T, false),
             {sort(L) =:= seq(1, 20), ets:info(T, size)} end).
chunks('$end_of_table') -> [];
chunks({L, C}) -> [L | chunks(ets:select(C))].

%% more rows than one turn of the scheduler is given
turns() ->
    [begin
        T = t(Y, [{X, X rem 7} || X <- seq(1, 30000)]),
        Name = atom_to_list(Y),
        ?CASE(["turns: select ", Name], begin L = ets:select(T, [{{'$1', 3}, [], ['$1']}]),
              {length(L), lists:sum(L)} end),
        ?CASE(["turns: count ", Name], ets:select_count(T, [{{'_', '$1'}, [{'>', '$1', 4}], [true]}])),
        ?CASE(["turns: tab2list ", Name], lists:sort(ets:tab2list(T)) =:= [{X, X rem 7} || X <- seq(1, 30000)]),
        ?CASE(["turns: match ", Name], length(ets:match(T, {'$1', 0}))),
        ?CASE(["turns: match_object ", Name], length(ets:match_object(T, {'_', 1}))),
        ?CASE(["turns: delete ", Name], {ets:select_delete(T, [{{'_', 2}, [], [true]}]), ets:info(T, size),
              ets:info(T, fixed)}),
        ?CASE(["turns: match_delete ", Name], {ets:match_delete(T, {'_', 5}), ets:info(T, size)}),
        ?CASE(["turns: clear ", Name], {ets:delete_all_objects(T), ets:info(T, size), ets:first(T),
              ets:insert(T, {1, 1}), ets:tab2list(T)})
     end || Y <- all_types()],
    ?C(begin T = t(ordered_set, [{X, X} || X <- seq(1, 30000)]), {ets:tab2list(T) =:= [{X, X} ||
            X <- seq(1, 30000)], hd(ets:select_reverse(T, [{{'$1', '_'}, [], ['$1']}])),
            ets:select_replace(T, [{{'$1', '$2'}, [], [{{'$1', {'+', '$2', 1}}}]}]),
            ets:lookup(T, 30000), ets:last(T)} end),
    ?C(begin T = t(set, [{X, X} || X <- seq(1, 30000)]), {ets:select_replace(T, [{{'$1', '$2'},
            [], [{{'$1', {'+', '$2', 1}}}]}]), ets:lookup(T, 30000)} end),
    ?C(begin T = t(set, [{X, X} || X <- seq(1, 30000)]), P = spawn(fun() -> ets:select(T, [{{'$1',
            '$1'}, [], ['$1']}]), ets:tab2list(T), exit(done) end), erlang:yield(), exit(P, kill),
            {until(fun() -> ets:info(T, fixed) =:= false end), ets:delete(T)} end).

shrinking() ->
    [?CASE(["shrinks and grows ", atom_to_list(Y)],
           begin T = t(Y, [{X, X} || X <- seq(1, 20000)]), M = ets:info(T, memory),
                 [ets:delete(T, X) || X <- seq(101, 20000)], M1 = ets:info(T, memory),
                 A = sort(walk(T)) =:= seq(1, 100), [ets:insert(T, {X, X}) || X <- seq(1, 5000)],
                 {M1 < M div 10, A, ets:info(T, size), length(ets:tab2list(T))} end)
     || Y <- all_types()],
    ?C(begin T = t(set), [begin ets:insert(T, [{X, X} || X <- seq(1, 300)]), [ets:delete(T, X)
            || X <- seq(1, 300)] end || _ <- seq(1, 20)], {ets:info(T, size), ets:first(T)} end).

files() ->
    F = "/tmp/conf_ets_" ++ os:getpid() ++ ".tab",
    [?CASE(["tab2file ", atom_to_list(Y)],
           begin T = n(Y), R = ets:tab2file(T, F), ets:delete(T), {ok, T2} = ets:file2tab(F),
                 {R, ets:info(T2, type), sort(ets:tab2list(T2)) =:= [{X, X * X} || X <- seq(1, 20)]} end)
     || Y <- all_types()],
    ?C(begin T = ets:new(conf_file, [named_table, {keypos, 2}, public]), ets:insert(T, {a, 1}),
             R = ets:tab2file(T, F, [{extended_info, [object_count, md5sum]}, {sync, true}]),
             ets:delete(T), {ok, I} = ets:tabfile_info(F), R2 = ets:file2tab(F, [{verify, true}]),
             X = {R, R2, ets:lookup(conf_file, 1), [lists:keyfind(K, 1, I) || K <- [name, type,
             protection, named_table, keypos, size]]}, ets:delete(conf_file), X end),
    ?C(element(1, ets:file2tab("/no/such/file"))),
    file:delete(F).

folds() ->
    ?C([ets:foldl(fun({K, _}, A) -> K + A end, 0, n(Y)) || Y <- all_types()]),
    ?C(ets:foldr(fun({K, _}, A) -> [K | A] end, [], n(ordered_set))),
    ?C(ets:foldl(fun({K, _}, A) -> [K | A] end, [], n(ordered_set))),
    ?C(begin T = n(set), ets:foldl(fun({K, _}, _) -> ets:delete(T, K) end, 0, T), ets:info(T, size) end),
    ?C(begin A = n(set), B = t(set), {ets:from_dets(B, none)} end =:= x),
    ?C(begin A = n(ordered_set), B = t(ordered_set), ets:to_dets(A, none), B end =:= x),
    ?C(sort(ets:tab2list(n(bag)))),
    ?C(begin B = t(set), ets:init_table(B, fun(close) -> ok; (read) -> case get(conf_i) of done ->
            end_of_input; _ -> put(conf_i, done), {[{1, a}, {2, b}], fun(close) -> ok; (read) ->
            end_of_input end} end end), sort(ets:tab2list(B)) end).

specs() ->
    [?CASE(["test_ms ", conf_format(M)], try_(fun() -> ets:test_ms({1, a, "x"}, M) end))
     || M <- [[{'_', [], ['$_']}], [{{'$1', '$2', '$3'}, [], ['$$']}], [{{'$1', '_'}, [], [x]}],
              [{{'$1', '_', '_'}, [{'==', '$1', 1}], [{{'$1', ok}}]}],
              [{{'$1', '_', '_'}, [{foo, '$1'}], [x]}], [{{'$1'}, [], ['$2']}], bad,
              [{{'_', '_', '_'}, [{is_integer, 1, 2}], [x]}]]],
    ?C(sort(ets:select(n(set), ets:fun2ms(fun({K, V}) when K > 17, V > 0 -> {V, K} end)))),
    ?C(ets:match_spec_run([{1, 2}, {3, 4}, x, {5}], ets:match_spec_compile([{{'$1', '$2'}, [],
            [{{'$2', '$1'}}]}]))),
    ?C(ets:select(n(ordered_set), [{{'$1', '$2'}, [{'is_record', '$_', 1, 2}], ['$1']}])),
    ?C(ets:select(t(set, [{a, 1, 2}]), [{'$1', [{is_record, '$1', a, 3}], [yes]}])),
    ?C([ets:select_count(t(ordered_set, [{{X, Y}} || X <- seq(1, 5), Y <- seq(1, 5)]), [{{P}, [], [true]}])
        || P <- [{3, '_'}, {'_', 3}, {3, 3}, {'$1', '$1'}, '_', {3.0, 3}, {9, '_'}, {3}]]),
    ?C(ets:select(t(ordered_set, [{X} || X <- [1, 2.0, 3, 4.0]]), [{{2}, [], [two]}, {{4.0}, [], [four]}])),
    ?C(ets:select(t(ordered_set, [{[a, b]}, {[a, c]}, {[b]}, {"ab"}]), [{{[a | '$1']}, [], ['$1']}])),
    ?C(ets:select(t(set, [{k, #{a => 1, b => 2}}]), [{{'_', #{a => '$1'}}, [], [#{x => '$1'}]}])),
    ?C([try_(fun() -> ets:select_replace(n(Y), [{{'$1', '$2'}, [], [{{'$1', x}}]}]) end) || Y <- all_types()]),
    ?C([try_(fun() -> ets:select_replace(n(set), [{{'$1', '$2'}, [], [B]}]) end)
        || B <- ['$_', '$1', {{'$2', '$1'}}, {const, {1, 2}}, {{{element, 1, '$_'}, a}}]]),
    ?C([try_(fun() -> ets:match(n(set), P) end) || P <- [a, [], {}, {'$1'}, 1, #{}, {a, '$100000000'}]]),
    ?C(ets:match(t(set, [{a, b, c}]), {'$3', '$1', '$2'})),
    ?C(ets:match(t(set, [{1, 1}, {1.0, 1}, {2, 2.0}]), {'$1', '$1'})).

deletes() ->
    [?CASE(["delete_object ", conf_format(O)], begin T = t(bag, [{a, 1}, {a, 1.0}, {a, b}]),
           {ets:delete_object(T, O), sort(ets:lookup(T, a))} end) || O <- [{a, 1}, {a, 1.0}, {a, x}, {z}]],
    ?C(begin T = t(ordered_set, [{1, a}]), {ets:delete_object(T, {1.0, a}), ets:tab2list(T),
            ets:delete_object(T, {1, a}), ets:tab2list(T)} end),
    ?C(begin T = t(ordered_set, [{1, a}]), {ets:take(T, 1.0), ets:tab2list(T)} end),
    ?C([try_(fun() -> ets:F(no_such_table, a) end) || F <- [delete, lookup, take, member, next, prev, insert]]),
    ?C([try_(fun() -> ets:F(a) end) || F <- [delete, first, last, tab2list, delete_all_objects]]),
    ?C([try_(fun() -> ets:F(make_ref()) end) || F <- [delete, first, last, tab2list]]).

counters() ->
    ?C(begin T = t(set, [{k, 1, 2.5, x}]), [try_(fun() -> ets:update_counter(T, k, Op) end)
            || Op <- [1, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {1, 1}, {0, 1}, {2, x}, {2, 1, 5}, [],
                      [{2, 1}, {4, 1}], [{2, 10}, {2, -3}], {2, 5, 10, 0}, {2, 1 bsl 70}, x, {2}]]
            ++ ets:lookup(T, k) end),
    ?C(begin T = t(ordered_set, [{1, 10}]), {ets:update_counter(T, 1.0, 5), ets:lookup(T, 1)} end),
    ?C(begin T = t(set), {ets:update_counter(T, a, [{2, 1}, {3, 2}], {x, 10, 20}), ets:lookup(T, a),
            try_(fun() -> ets:update_counter(T, b, {2, 1}, {x}) end), ets:lookup(T, b)} end),
    ?C([try_(fun() -> ets:update_counter(n(Y), 1, 1) end) || Y <- all_types()]),
    ?C([try_(fun() -> ets:update_element(n(Y), 1, {2, new}) end) || Y <- all_types()]),
    ?C(begin T = t(set, [{k, 1, 2}]), [try_(fun() -> ets:update_element(T, k, E) end)
            || E <- [{2, {deep, "x"}}, [{2, a}, {3, b}], [], {1, x}, {4, x}, {0, x}, x, [{2, q}, {9, x}]]]
            ++ ets:lookup(T, k) end),
    ?C(ets:update_element(n(set), 99, {2, x})).

owners() ->
    ?C(begin T = ets:new(t, [{heir, self(), gift}]), S = self(), P = spawn(fun() -> receive
            {'ETS-TRANSFER', X, F, D} -> S ! {X =:= T, F =:= S, D}, receive stop -> ok end end end),
            ets:give_away(T, P, data), R = next(), R2 = try_(fun() -> ets:give_away(T, S, x) end),
            P ! stop, {R, R2, case next() of {'ETS-TRANSFER', T, P, D2} -> D2; O -> O end,
            ets:info(T, owner) =:= S} end),
    ?C(begin S = self(), spawn(fun() -> T = ets:new(t, [{heir, S, a}]), ets:setopts(T, {heir, none}),
            S ! T end), T = next(), until(fun() -> ets:info(T) =:= undefined end) end),
    ?C(begin T = n(set), [ets:setopts(T, O) || O <- [{heir, none}, [{protection, private}], []]]
            ++ [ets:info(T, protection)] end),
    ?C([try_(fun() -> ets:setopts(n(set), O) end) || O <- [x, {heir, x}, {protection, x}, [x], {keypos, 2}]]),
    ?C(begin T = ets:new(t, [protected]), in_process(fun() -> [try_(F) || F <- [fun() ->
            ets:insert(T, {1}) end, fun() -> ets:delete(T) end, fun() -> ets:lookup(T, 1) end, fun() ->
            ets:setopts(T, {heir, none}) end, fun() -> ets:give_away(T, self(), x) end, fun() ->
            ets:rename(T, x) end, fun() -> ets:update_counter(T, 1, 1) end, fun() -> ets:select_delete(T,
            []) end, fun() -> ets:safe_fixtable(T, true) end]] end) end),
    ?C(begin T = ets:new(t, [private]), in_process(fun() -> [try_(F) || F <- [fun() ->
            ets:lookup(T, 1) end, fun() -> ets:first(T) end, fun() -> ets:info(T, size) end, fun() ->
            ets:tab2list(T) end, fun() -> ets:member(T, 1) end]] end) end),
    ?C(begin S = self(), P = spawn(fun() -> T = ets:new(t, [public]), [ets:insert(T, {X, X}) || X <-
            seq(1, 20000)], S ! T, receive stop -> ok end end), T = next(), P ! stop, {until(fun() ->
            ets:info(T) =:= undefined end), try_(fun() -> ets:lookup(T, 1) end)} end).

parallel() ->
    [?CASE(["six writers, two readers ", atom_to_list(Y)],
           begin T = ets:new(t, [Y, public, {write_concurrency, true}]), Ms = [element(2,
                 spawn_monitor(fun() -> [begin ets:insert(T, {{W, X}, X}), X rem 3 =:= 0 andalso
                 ets:delete(T, {W, X}) end || X <- seq(1, 900)] end)) || W <- seq(1, 6)] ++ [element(2,
                 spawn_monitor(fun() -> [ets:select_count(T, [{'_', [], [true]}]) || _ <- seq(1, 30)]
                 end)) || _ <- [1, 2]], [receive {'DOWN', M, _, _, normal} -> ok end || M <- Ms],
                 {ets:info(T, size), length(ets:tab2list(T))} end) || Y <- all_types()].
