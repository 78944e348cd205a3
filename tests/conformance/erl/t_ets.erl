-module(t_ets).
-include("conf.hrl").

t(Type) -> t(Type, []).
t(Type, L) -> T = ets:new(t, [Type]), ets:insert(T, L), T.
tab(T) -> sort(ets:match_object(T, '_')).
kv() -> [{X, X * X} || X <- seq(1, 20)].
words() -> [{apple, 3, red}, {banana, 5, yellow}, {cherry, 7, red}, {date, 2, brown}, {elder, 9,
        black}].

main() -> basic(), typed(), keys(), counters(), walks(), matches(), specs(), owners(), big(),
        funs(), ok.

basic() ->
    ?C(is_reference(ets:new(t, []))),
    ?C(begin N = ets:new(conf_named, [named_table]), R = {N,
            ets:whereis(conf_named) =/= undefined, ets:info(conf_named, name)},
            ets:delete(conf_named), R end),
    ?C(ets:new(id("x"), [])),
    ?C(ets:new(t, [bad])),
    ?C(ets:new(t, x)),
    ?C(ets:new(t, [{keypos, 0}])),
    ?C(begin ets:new(conf_dup, [named_table]), ets:new(conf_dup, [named_table]) end),
    ?C(ets:delete(conf_dup)),
    ?C(ets:delete(conf_dup)),
    ?C(ets:insert(conf_none, {a})),
    ?C(begin T = t(set), [ets:insert(T, {a, 1}), ets:insert(T, [{b, 2}, {c, 3}]), ets:insert(T,
            []), ets:lookup(T, a), ets:lookup(T, z), tab(T)] end),
    ?C(ets:insert(t(set), a)),
    ?C(ets:insert(t(set), {})),
    ?C(ets:insert(t(set), [{a}, b])),
    ?C(ets:insert(ets:new(t, [{keypos, 2}]), {a})),
    ?C(begin T = ets:new(t, [{keypos, 2}]), ets:insert(T, {a, k}), ets:lookup(T, k) end),
    ?C(begin T = t(set, [{a, 1}]), {ets:insert_new(T, {a, 2}), ets:insert_new(T, {b, 2}),
            ets:insert_new(T, [{c, 1}, {a, 5}]), tab(T)} end),
    ?C(ets:insert_new(t(set), x)),
    ?C(begin T = t(set, kv()), {ets:member(T, 5), ets:member(T, 50), ets:delete(T, 5),
            ets:member(T, 5), ets:delete(T, 99)} end),
    ?C(begin T = t(set, kv()), {ets:lookup_element(T, 3, 2), ets:lookup_element(T, 3, 1)} end),
    ?C(ets:lookup_element(t(set), 3, 2)),
    ?C(ets:lookup_element(t(set, kv()), 3, 5)),
    ?C(ets:lookup_element(t(set, kv()), 3, 0)),
    ?C(begin T = t(set, [{a, 1}]), {ets:take(T, a), ets:take(T, a), tab(T)} end),
    ?C(begin T = t(bag, [{a, 1}, {a, 2}]), {ets:delete_object(T, {a, 1}), ets:delete_object(T,
            {a, 9}), tab(T)} end),
    ?C(ets:delete_object(t(set), a)),
    ?C(begin T = t(set, kv()), {ets:delete_all_objects(T), tab(T), ets:info(T, size)} end),
    ?C(begin T = t(set), ets:delete(T), ets:lookup(T, a) end),
    ?C(begin T = ets:new(conf_r, [named_table]), R = {ets:rename(T, conf_r2), ets:info(conf_r),
            ets:info(conf_r2, name)}, ets:delete(conf_r2), R end),
    ?C(ets:rename(t(set), id(1))),
    ?C(ets:whereis(no_such_table)),
    ?C(ets:whereis(id(1))),
    ?C([ets:info(t(set, kv()), K) || K <- [size, type, keypos, protection, named_table, name,
            compressed, read_concurrency, write_concurrency, heir]]),
    ?C(ets:info(t(set), owner) =:= {owner, self()} orelse ets:info(t(set), owner) =:= self()),
    ?C(ets:info(t(set), bad)),
    ?C(begin T = t(set), ets:delete(T), {ets:info(T), ets:info(T, size)} end),
    ?C(is_list(ets:info(t(set)))),
    ?C(ets:info(id(1))),
    ?C(is_integer(ets:info(t(set), memory))),
    ?C(begin T = t(set), lists:member(T, ets:all()) end),
    ?C(ets:setopts(t(set), {heir, none})),
    ?C(ets:setopts(t(set), bad)).

typed() ->
    ?C(begin T = t(set, [{1, a}, {1.0, b}, {1, c}]), tab(T) end),
    ?C(begin T = t(ordered_set, [{1, a}, {1.0, b}]), tab(T) end),
    ?C(begin T = t(ordered_set, [{3, c}, {1, a}, {2, b}]), ets:match_object(T, '_') end),
    ?C(begin T = t(bag, [{a, 1}]), ets:insert(T, {a, 2}), ets:insert(T, {a, 1}), ets:lookup(T,
            a) end),
    ?C(begin T = t(duplicate_bag, [{a, 1}]), ets:insert(T, {a, 2}), ets:insert(T, {a, 1}),
            ets:lookup(T, a) end),
    ?C(begin T = t(bag, [{a, 1}]), ets:insert(T, {a, 1.0}), ets:lookup(T, a) end),
    ?C(begin T = t(duplicate_bag, [{a, 1}]), ets:insert(T, {a, 1}), ets:delete_object(T, {a, 1}),
            ets:lookup(T, a) end),
    ?C(begin T = t(bag, [{a, 1}]), ets:insert(T, {a, 2}), {ets:lookup_element(T, a, 2),
            ets:take(T, a), tab(T)} end),
    ?C(begin T = t(bag, [{a, 1}]), {ets:insert_new(T, {a, 2}), ets:insert_new(T, {b, 2})} end),
    ?C(begin T = t(ordered_set, [{{a, X}, X} || X <- seq(1, 5)]), ets:lookup(T, {a, 3}) end),
    ?C(begin T = t(ordered_set, [{K} || K <- [b, 1, "l", {t}, <<"b">>, 1.5, #{}, []]]),
            ets:match_object(T, '_') end).

keys() ->
    ?C(begin T = t(ordered_set, kv()), {ets:first(T), ets:last(T), ets:next(T, 5), ets:prev(T,
            5), ets:next(T, 20), ets:prev(T, 1), ets:next(T, 5.5), ets:prev(T, 5.5), ets:next(T,
            -100), ets:prev(T, zz)} end),
    ?C([ets:first(t(X)) || X <- [set, ordered_set, bag, duplicate_bag]]),
    ?C(ets:last(t(ordered_set))),
    ?C(ets:next(t(set), a)),
    ?C(ets:next(t(ordered_set), a)),
    ?C(ets:prev(t(set, [{a}]), b)),
    ?C(length(walk(t(set, kv())))),
    ?C(walk(t(ordered_set, kv()))),
    ?C(sort(walk(t(bag, kv())))),
    ?C(back(t(ordered_set, kv()))),
    ?C(begin T = t(ordered_set, [{X} || X <- [5, 3, 8, 1, 4, 7, 9, 2, 6]]), [ets:delete(T,
            X) || X <- [5, 1, 9]], walk(T) end),
    ?C(slots(t(set, kv()))),
    ?C(slots(t(ordered_set, kv()))),
    ?C(ets:slot(t(set), -1)),
    ?C(ets:slot(t(set), 1000000)).
walk(T) -> walk(T, ets:first(T)).
walk(_, '$end_of_table') -> [];
walk(T, K) -> [K | walk(T, ets:next(T, K))].
back(T) -> back(T, ets:last(T)).
back(_, '$end_of_table') -> [];
back(T, K) -> [K | back(T, ets:prev(T, K))].
slots(T) -> sort(slots(T, 0)).
slots(T, N) -> case ets:slot(T, N) of '$end_of_table' -> []; L -> L ++ slots(T, N + 1) end.

counters() ->
    ?C(begin T = t(set, [{c, 0, 10}]), [ets:update_counter(T, c, 1), ets:update_counter(T, c, {2,
            5}), ets:update_counter(T, c, {3, -3}), ets:update_counter(T, c, [{2, 1}, {3, 1}]),
            ets:update_counter(T, c, []), ets:lookup(T, c)] end),
    ?C(begin T = t(set, [{c, 5}]), [ets:update_counter(T, c, {2, 3, 7, 0}), ets:update_counter(T,
            c, {2, 3, 7, 0}), ets:update_counter(T, c, {2, -5, -1, 100}), ets:update_counter(T,
            c, {2, -1, 200, 0})] end),
    ?C(begin T = t(set), {ets:update_counter(T, n, 1, {n, 10}), ets:update_counter(T, n, {2, 5},
            {n, 0}), tab(T)} end),
    ?C(ets:update_counter(t(set), x, 1)),
    ?C(ets:update_counter(t(set, [{a, b}]), a, 1)),
    ?C(ets:update_counter(t(set, [{a, 1}]), a, x)),
    ?C(ets:update_counter(t(set, [{a, 1}]), a, {1, 1})),
    ?C(ets:update_counter(t(set, [{a, 1}]), a, {5, 1})),
    ?C(ets:update_counter(t(bag, [{a, 1}]), a, 1)),
    ?C(ets:update_counter(t(set), a, 1, x)),
    ?C(begin T = t(set, [{a, 1 bsl 59}]), ets:update_counter(T, a, 1 bsl 64) end),
    ?C(begin T = t(ordered_set, [{1, 1}]), {ets:update_counter(T, 1.0, 1), tab(T)} end),
    ?C(begin T = t(set, [{a, 1, 2}]), {ets:update_element(T, a, {2, x}), ets:update_element(T, a,
            [{2, y}, {3, z}]), ets:update_element(T, b, {2, x}), tab(T)} end),
    ?C(ets:update_element(t(set, [{a, 1}]), a, {1, x})),
    ?C(ets:update_element(t(set, [{a, 1}]), a, {3, x})),
    ?C(ets:update_element(t(set, [{a, 1}]), a, x)),
    ?C(ets:update_element(t(bag, [{a, 1}]), a, {2, x})),
    ?C(begin T = t(set, [{n, 0}]), fold(fun(_, _) -> ets:update_counter(T, n, 3) end, 0, seq(1,
            1000)) end),
    ?C(begin T = ets:new(t, [public, {write_concurrency, true}]), ets:insert(T, {n, 0}),
            Ms = [element(2, spawn_monitor(fun() -> [ets:update_counter(T, n, 1) || _ <- seq(1,
            500)] end)) || _ <- seq(1, 8)], [receive {'DOWN', M, _, _, _} -> ok end || M <- Ms],
            ets:lookup(T, n) end).

walks() ->
    ?C(begin T = t(set, kv()), ets:safe_fixtable(T, true), R = fix(T, ets:first(T), 0),
            ets:safe_fixtable(T, false), {R, tab(T)} end),
    ?C(ets:safe_fixtable(t(set), id(x))),
    ?C(begin T = t(set, kv()), ets:safe_fixtable(T, true), A = ets:info(T, fixed),
            ets:safe_fixtable(T, false), {A, ets:info(T, fixed)} end),
    ?C(begin T = t(set, kv()), K = ets:first(T), ets:delete(T, K), ets:next(T, K) end),
    ?C(chunks(ets:select(t(ordered_set, kv()), [{{'$1', '_'}, [], ['$1']}], 7))),
    ?C(sort(flat(chunks(ets:select(t(set, kv()), [{{'$1', '_'}, [], ['$1']}], 3))))),
    ?C(chunks(ets:match(t(ordered_set, kv()), {'$1', '_'}, 8))),
    ?C(chunks_o(ets:match_object(t(ordered_set, kv()), {'_', '_'}, 8))),
    ?C(chunks_r(ets:select_reverse(t(ordered_set, kv()), [{{'$1', '_'}, [], ['$1']}], 7))),
    ?C(ets:select(t(set), [{'$1', [], ['$1']}], 5)),
    ?C(ets:select(t(set), [{'$1', [], ['$1']}], 0)),
    ?C(ets:select('$end_of_table')),
    ?C(ets:select(id(bad))),
    ?C(ets:match(id(bad))).
fix(_, '$end_of_table', N) -> N;
fix(T, K, N) -> ets:delete(T, K), fix(T, ets:next(T, K), N + 1).
chunks('$end_of_table') -> [];
chunks({L, C}) -> [L | chunks(case L of [[_ | _] | _] -> ets:match(C); _ -> ets:select(C) end)].
chunks_o('$end_of_table') -> [];
chunks_o({L, C}) -> [L | chunks_o(ets:match_object(C))].
chunks_r('$end_of_table') -> [];
chunks_r({L, C}) -> [L | chunks_r(ets:select_reverse(C))].
flat([]) -> [];
flat([H | T]) -> H ++ flat(T).

matches() ->
    T = t(ordered_set, words()),
    ?C(ets:match(T, {'$1', '_', red})),
    ?C(ets:match(T, {'$2', '$1', '_'})),
    ?C(ets:match(T, {apple, '$1', '$2'})),
    ?C(ets:match(T, '$1')),
    ?C(ets:match(T, '_')),
    ?C(ets:match(T, {'_', '_'})),
    ?C(ets:match(T, {nope, '$1', '_'})),
    ?C(ets:match_object(T, {'_', '_', red})),
    ?C(ets:match_object(T, {date, '_', '_'})),
    ?C(ets:match_delete(T, {'_', 2, '_'})),
    ?C(tab(T)),
    ?C(ets:match(t(set, [{a, {b, c}}, {d, {e, f}}]), {'_', {'$1', f}})),
    ?C(ets:match(t(set, [{a, a}, {a2, b}]), {'$1', '$1'})),
    ?C(sort(ets:match(t(set, [{1, #{k => 1}}, {2, #{k => 2, z => 0}}]), {'$1', #{k => '$2'}}))),
    ?C(ets:match(t(set, [{a, [1, 2, 3]}]), {'_', ['$1' | '$2']})),
    ?C(ets:match_object(t(set, [{1.0, a}]), {1, '_'})),
    ?C(ets:match_object(t(ordered_set, [{1.0, a}]), {1, '_'})),
    ?C(ets:match(t(set, [{a, "str", <<"bin">>}]), {'$1', "str", <<"bin">>})).

specs() ->
    T = t(ordered_set, kv()), W = t(ordered_set, words()),
    [?CASE(["ms ", conf_format(Ms)], ets:select(T, Ms)) || Ms <- [[{{'$1', '$2'}, [{'>', '$2',
            100}], ['$1']}], [{{'$1', '$2'}, [{'=:=', {'rem', '$1', 5}, 0}], [{{'$1', '$2'}}]}],
            [{{'$1', '_'}, [{'<', '$1', 4}], ['$_']}], [{{'$1', '$2'}, [{'<', '$1', 3}],
            ['$$']}], [{{'$1', '_'}, [{'andalso', {'>', '$1', 2}, {'<', '$1', 5}}], [{'+', '$1',
            1000}]}], [{{'$1', '_'}, [{'orelse', {'==', '$1', 2}, {'==', '$1', 5}}], [['$1',
            x | y]]}], [{{'$1', '_'}, [{'not', {'>', '$1', 2}}], [{const, {a, '$1'}}]}], [{{1,
            '$1'}, [], ['$1']}, {{2, '$1'}, [], [{{two, '$1'}}]}, {{3, '_'}, [], [three]}],
            [{{'$1', '_'}, [{'<', '$1', 2}], [#{k => '$1'}]}], [{{'$1', '_'}, [{'<', '$1', 3}],
            [{'div', '$1', 0}]}], [{{'$1', '_'}, [{'>', {'div', 10, '$1'}, 3}], ['$1']}],
            [{{'$1', '_'}, [{is_atom, '$1'}], ['$1']}], [{{'$1', '_'}, [{is_integer, '$1'},
            {'=<', '$1', 2}], [{element, 1, '$_'}]}], [{{'$1', '_'}, [{'<', '$1', 2}], [{size,
            '$_'}]}], [{{'$1', '_'}, [{'<', '$1', 2}], [{self}]}], [{{'$1', '_'}, [{'<', '$1',
            2}], [{node}]}], [{{'$1', '_'}, [{'<', '$1', 3}], [{'band', '$1', 1}, {'bsl', '$1',
            3}]}], [{{'$1', '_'}, [{'<', '$1', 3}], [{abs, {'-', '$1'}}]}], [{'_', [], [x]}],
            [{{'_', '_'}, [false], [x]}], [{{'$1', '$1'}, [], ['$1']}], [{{'$1', '_'}, ['$1'],
            [x]}], [{{'$1', '_'}, [{'and', {'<', '$1', 4}, {'>', '$1', 1}, {'=/=', '$1', 3}}],
            ['$1']}], [{{'$1', '_'}, [{'xor', {'<', '$1', 2}, {'>', '$1', 19}}], ['$1']}],
            [{{'$1', '_'}, [{'or', {'==', '$1', 1}, {'/=', '$1', '$1'}}], [{{}}]}], [{{'$1',
            '_'}, [{'>=', '$1', 19}], [{{'$1', {{a, '$1'}}, "s", <<"b">>, 1.5}}]}]]],
    [?CASE(["bad ms ", conf_format(Ms)], ets:select(T, Ms)) || Ms <- [[], x, [x], [{{'$1', '_'},
            [], []}], [{{'$1', '_'}, [{nofun, 1}], ['$1']}], [{{'_', '_'}, [], ['$1']}], [{{'$1',
            '_'}, x, ['$1']}], [{a, [], [x]}], [{{'$1', '_'}, [], [{a, b}]}], [{{'$1', '_'},
            [{'>', '$1'}], ['$1']}]]],
    ?C(ets:select_count(T, [{{'$1', '_'}, [{'>', '$1', 10}], [true]}])),
    ?C(ets:select_count(T, [{{'$1', '_'}, [], [{'>', '$1', 15}]}])),
    ?C(ets:select_count(T, [{'_', [], [x]}])),
    ?C(begin A = t(ordered_set, kv()), {ets:select_delete(A, [{{'$1', '_'}, [{'>', '$1', 5}],
            [true]}]), walk(A)} end),
    ?C(begin A = t(set, kv()), {ets:select_delete(A, [{{'$1', '_'}, [{'=<', '$1', 15}],
            [true]}]), sort(walk(A))} end),
    ?C(begin A = t(ordered_set, kv()), {ets:select_replace(A, [{{'$1', '$2'}, [{'<', '$1', 4}],
            [{{'$1', {'*', '$2', 10}}}]}]), ets:lookup(A, 3), ets:lookup(A, 4)} end),
    ?C(ets:select_replace(t(set, kv()), [{{'$1', '$2'}, [], [{{'$2', '$1'}}]}])),
    ?C(ets:select_reverse(W, [{{'$1', '_', red}, [], ['$1']}])),
    ?C(ets:select(W, [{{'$1', '$2', '$3'}, [{'==', '$3', red}], [{{'$2', '$1'}}]}])),
    ?C(ets:select(W, [{{'$1', '_', '_'}, [{'==', '$1', cherry}], ['$_']}])),
    ?C(begin M = ets:match_spec_compile([{{'$1', '$2'}, [{'>', '$2', 1}], ['$1']}]),
            {ets:is_compiled_ms(M), ets:is_compiled_ms(a), ets:match_spec_run_r([{a, 1}, {b, 2},
            {c, 3}, d], M, [])} end),
    ?C(ets:match_spec_compile(id(bad))),
    ?C(erlang:match_spec_test({1, 2}, [{{'$1', '$2'}, [], [{'+', '$1', '$2'}]}], table)),
    ?C(ets:select(t(ordered_set, [{{a, X, Y}, X * Y} || X <- [1, 2, 3], Y <- [1, 2]]), [{{{a, 2,
            '$1'}, '$2'}, [], [{{'$1', '$2'}}]}])),
    ?C(sort(ets:select(t(bag, [{a, 1}, {a, 2}, {b, 3}]), [{{a, '$1'}, [], ['$1']}]))),
    ?C(sort(ets:select(t(set, [{X, a} || X <- [1, 1.0, a, "s", {1}]]), [{{'$1', a}, [{is_number,
            '$1'}], ['$1']}]))),
    ?C(ets:select(t(set, [{a, #{x => 1}}]), [{{'_', '$1'}, [{is_map_key, x, '$1'}], [{map_get, x,
            '$1'}]}])),
    ?C(ets:select(t(set, [{a, [1, 2]}]), [{{'_', '$1'}, [], [{{{hd, '$1'}, {tl, '$1'}, {length,
            '$1'}}}]}])),
    ?C(ets:select(t(set, [{a, <<"abc">>}]), [{{'_', '$1'}, [], [{byte_size, '$1'}]}])),
    ?C(ets:select(t(set, [{a, 2.6}]), [{{'_', '$1'}, [], [{{{round, '$1'}, {trunc, '$1'}}}]}])).

owners() ->
    ?C(begin S = self(), P = spawn(fun() -> T = ets:new(t, []), S ! T, receive stop ->
            ok end end), T = next(), A = ets:info(T, size), M = monitor(process, P), P ! stop,
            receive {'DOWN', M, _, _, _} -> ok end, wait_gone(T, 50), {A, ets:info(T, size)} end),
    ?C(begin S = self(), spawn(fun() -> T = ets:new(t, [{heir, S, data}]), ets:insert(T, {a,
            1}) end), receive {'ETS-TRANSFER', T, P, D} -> {is_pid(P), D, tab(T)} after 2000 ->
            none end end),
    ?C(begin S = self(), P = spawn(fun() -> receive {'ETS-TRANSFER', T, F, D} -> S ! {got,
            F =:= S, D, ets:info(T, owner) =:= self()} end end), ets:give_away(t(set), P, gift),
            next() end),
    ?C(ets:give_away(t(set), self(), x)),
    ?C(ets:give_away(t(set), id(a), x)),
    ?C(begin T = ets:new(t, [private]), ets:insert(T, {a}), in_process(fun() -> catch_(fun() ->
            ets:lookup(T, a) end) end) end),
    ?C(begin T = ets:new(t, [protected]), ets:insert(T, {a}), in_process(fun() -> {ets:lookup(T,
            a), catch_(fun() -> ets:insert(T, {b}) end)} end) end),
    ?C(begin T = ets:new(t, [public]), in_process(fun() -> ets:insert(T, {b}) end), tab(T) end),
    ?C(in_process(fun() -> catch_(fun() -> ets:delete(no_table_here) end) end)),
    ?C([catch_(fun() -> ets:F(a, b) end) || F <- [lookup, insert, delete, member, next]]).
wait_gone(_, 0) -> ok;
wait_gone(T, N) -> case ets:info(T, size) of undefined -> ok; _ -> receive after 2 -> ok end,
        wait_gone(T, N - 1) end.
catch_(F) -> try F() catch C:R -> {C, R} end.

big() ->
    ?C([begin T = t(X, [{K, K} || K <- seq(1, 10000)]), S = ets:info(T, size), [ets:delete(T,
            K) || K <- seq(1, 10000), K rem 3 =/= 0], {S, ets:info(T, size), ets:lookup(T, 3333),
            ets:lookup(T, 3334)} end || X <- [set, ordered_set, bag, duplicate_bag]]),
    ?C(begin T = t(set), [ets:insert(T, {X, binary:copy(<<X>>, 200)}) || X <- seq(1, 200)],
            fold(fun(X, A) -> [{X, B}] = ets:lookup(T, X), A + byte_size(B) + binary:last(B) end,
            0, seq(1, 200)) end),
    ?C(begin T = t(bag), [ets:insert(T, {k, X}) || X <- seq(1, 300)], length(ets:lookup(T,
            k)) end),
    ?C(begin T = t(ordered_set), [ets:insert(T, {(X * 7919) rem 10007, X}) || X <- seq(1, 5000)],
            L = walk(T), {length(L), L =:= sort(L)} end),
    ?C(begin T = ets:new(t, [compressed]), ets:insert(T, [{X, {deep, [X, "text"]}} || X <- seq(1,
            50)]), ets:lookup(T, 7) end),
    ?C(begin T = t(set, [{{k, X}, #{v => X}} || X <- seq(1, 1000)]), [{_, M}] = ets:lookup(T, {k,
            500}), M end),
    ?C(begin T = t(set), [ets:insert(T, {k, X}) || X <- seq(1, 10000)], {ets:info(T, size),
            ets:lookup(T, k)} end),
    ?C(begin T = ets:new(t, [public, ordered_set]), Ms = [element(2, spawn_monitor(fun() ->
            [ets:insert(T, {{W, X}, X}) || X <- seq(1, 300)] end)) || W <- seq(1, 6)],
            [receive {'DOWN', M, _, _, _} -> ok end || M <- Ms], ets:info(T, size) end).

funs() ->
    ?C(begin T = t(set, [{f, fun(X) -> X + 1 end}]), [{f, F}] = ets:lookup(T, f), F(1) end),
    ?C(begin T = t(set, [{a, self()}, {b, make_ref()}]), [{a, P}] = ets:lookup(T, a),
            P =:= self() end),
    ?C(begin T = t(set), L = seq(1, 100), ets:insert(T, {l, L, L}), [{l, A, B}] = ets:lookup(T,
            l), A =:= B end).
