-module(t_map).
-include("conf.hrl").

big(N) -> fold(fun(X, M) -> M#{X => X * X} end, #{}, seq(1, N)).
mixed() -> #{1 => int, 1.0 => float, a => atom, "s" => list, <<"b">> => bin, {1, 2} => tuple,
        #{} => map, [] => nil}.

main() ->
    ?C(#{}),
    ?C(#{id(a) => 1}),
    ?C(#{id(a) => 1, id(b) => id(2), id(a) => 3}),
    ?C((id(#{a => 1}))#{b => 2}),
    ?C((id(#{a => 1}))#{a := 2}),
    ?C((id(#{a => 1}))#{b := 2}),
    ?C((id(x))#{b => 2}),
    ?C((id([]))#{b := 2}),
    ?C((id(#{a => 1, b => 2}))#{a := x, c => y, b := z}),
    ?C(mixed()),
    ?C(map_size(mixed())),
    ?C(begin #{a := X, 1 := Y, "s" := Z} = id(mixed()), {X, Y, Z} end),
    ?C(begin #{zz := X} = id(mixed()), X end),
    ?C(begin K = id({1, 2}), #{K := V} = id(mixed()), V end),
    ?C([pat(M) || M <- [#{}, #{a => 1}, #{a => 2, b => 3}, #{b => 3}, #{c => #{d => deep}}, x,
            [], {}]]),
    ?C([has(M) || M <- [#{}, #{a => 1}, #{a => 1, b => 1}, #{x => 1, y => 2, z => 3}, 1]]),
    ?C(map_size(id(#{a => 1}))),
    ?C(map_size(id(x))),
    ?C(map_size(big(100))),
    ?C(map_get(id(a), id(#{a => 1}))),
    ?C(map_get(id(b), id(#{a => 1}))),
    ?C(map_get(id(b), id(x))),
    ?C(is_map_key(id(a), id(#{a => 1}))),
    ?C(is_map_key(id(b), id(#{a => 1}))),
    ?C(is_map_key(a, id([]))),
    ?C([g(M) || M <- [#{a => 1}, #{b => 1}, #{a => 2}, x]]),
    ?B(maps, get, [a, #{a => 1}]),
    ?B(maps, get, [b, #{a => 1}]),
    ?B(maps, get, [b, x]),
    ?B(maps, find, [a, #{a => 1}]),
    ?B(maps, find, [b, #{a => 1}]),
    ?B(maps, find, [a, x]),
    ?B(maps, put, [a, 1, #{}]),
    ?B(maps, put, [a, 2, #{a => 1}]),
    ?B(maps, put, [a, 2, x]),
    ?B(maps, update, [a, 2, #{a => 1}]),
    ?B(maps, update, [b, 2, #{a => 1}]),
    ?B(maps, update, [b, 2, x]),
    ?B(maps, remove, [a, #{a => 1, b => 2}]),
    ?B(maps, remove, [c, #{a => 1}]),
    ?B(maps, remove, [c, x]),
    ?B(maps, take, [a, #{a => 1, b => 2}]),
    ?B(maps, take, [c, #{a => 1}]),
    ?B(maps, take, [c, x]),
    ?B(maps, is_key, [a, #{a => 1}]),
    ?B(maps, is_key, [b, #{a => 1}]),
    ?B(maps, is_key, [b, x]),
    ?C(sort(maps:keys(id(mixed())))),
    ?C(sort(maps:values(#{a => 3, b => 1, c => 2}))),
    ?B(maps, keys, [x]),
    ?B(maps, values, [x]),
    ?B(maps, keys, [#{}]),
    ?B(maps, values, [#{}]),
    ?B(maps, merge, [#{a => 1, b => 2}, #{b => 3, c => 4}]),
    ?B(maps, merge, [#{}, #{}]),
    ?B(maps, merge, [#{a => 1}, x]),
    ?B(maps, merge, [x, #{a => 1}]),
    ?B(maps, from_list, [[{a, 1}, {b, 2}, {a, 3}]]),
    ?B(maps, from_list, [[]]),
    ?B(maps, from_list, [[a]]),
    ?B(maps, from_list, [x]),
    ?B(maps, from_list, [[{a, 1} | b]]),
    ?B(maps, from_keys, [[a, b, a], v]),
    ?B(maps, from_keys, [[], v]),
    ?B(maps, from_keys, [x, v]),
    ?B(maps, from_keys, [[a | b], v]),
    ?B(erlang, map_size, [#{a => 1}]),
    ?B(erlang, map_size, [[]]),
    ?B(erlang, map_get, [a, #{}]),
    ?B(erlang, map_get, [a, b]),
    ?B(erlang, is_map_key, [a, b]),
    ?B(erlang, is_map_key, [a, #{a => 1}]),
    [?CASE(["big ", conf_format(N)], check(N)) || N <- [1, 5, 31, 32, 33, 34, 40, 64, 100, 1000,
            5000]],
    [?CASE(["shrink ", conf_format(N)], shrink(N)) || N <- [10, 33, 40, 100, 1000]],
    ?CASE("big merge", map_size(maps:merge(big(1000), big(500)))),
    ?CASE("big merge 2", begin M = maps:merge(big(40), #{a => 1, 1 => x}), {map_size(M),
            maps:get(1, M), maps:get(a, M)} end),
    ?CASE("merge flat to big", map_size(maps:merge(maps:from_list([{{a, X}, X} || X <- seq(1,
            20)]), maps:from_list([{{b, X}, X} || X <- seq(1, 20)])))),
    ?CASE("big from_list", begin M = maps:from_list([{X rem 100, X} || X <- seq(1, 1000)]),
            {map_size(M), maps:get(0, M), maps:get(99, M)} end),
    ?CASE("big from_keys", map_size(maps:from_keys(seq(1, 500), v))),
    ?CASE("big equal", maps:from_list([{X, X} || X <- seq(1, 200)]) =:= maps:from_list([{X,
            X} || X <- lists:reverse(seq(1, 200), [])])),
    ?CASE("big differ", big(200) =:= (big(200))#{7 := 0}),
    ?CASE("big ==", (big(50))#{7 := 49.0} == big(50)),
    ?CASE("big =:= float", (big(50))#{7 := 49.0} =:= big(50)),
    ?CASE("big less", big(50) < (big(50))#{7 := 50}),
    ?CASE("size order", #{z => 1} < #{a => 1, b => 1}),
    ?CASE("key order", #{a => 2} < #{b => 1}),
    ?CASE("big size order", big(40) < big(41)),
    ?CASE("big update", begin M = big(100), M2 = M#{50 := x, 60 := y, 101 => z}, {map_size(M2),
            maps:get(50, M2), maps:get(60, M2), maps:get(101, M2), maps:get(50, M)} end),
    ?CASE("big badkey", (big(100))#{200 := x}),
    ?CASE("big badkey get", maps:get(x, big(100))),
    ?CASE("keys of all kinds", begin M = fold(fun(K, A) -> A#{K => K} end, #{}, keys()),
            [maps:get(K, M) =:= K || K <- keys()] end),
    ?CASE("float keys", begin M = big(50), {is_map_key(1, M), is_map_key(1.0, M)} end),
    ?CASE("nested update", nest(#{}, 50)),
    ?CASE("words", count(["the", "cat", "the", "dog", "cat", "the"])),
    ?CASE("collisions", collide()),
    ?CASE("map in guard", mg(#{k => 5})),
    ?CASE("map pattern bound", begin X = id(1), case id(#{a => 1}) of #{a := X} -> same; _ ->
            no end end),
    ?CASE("map comp", [K || {K, V} <- sort(pairs(#{a => 1, b => 2, c => 1})), V =:= 1]),
    ?CASE("literal map", (id(lit()))#{x := 2}),
    ?CASE("literal kept", lit()),
    ?CASE("same value update", begin M = id(#{a => 1}), M#{a := 1} =:= M end),
    ?CASE("random ops", random_ops(id(12345), 3000, #{}, [])),
    ok.

pat(#{a := 1}) -> one;
pat(#{a := X, b := Y}) -> {X, Y};
pat(#{c := #{d := X}}) -> X;
pat(#{}) -> any;
pat(_) -> none.
has(#{a := _, b := _}) -> ab;
has(#{x := _, y := _, z := _}) -> xyz;
has(#{a := _}) -> a;
has(_) -> no.
g(M) when map_get(a, M) =:= 1 -> one;
g(M) when is_map_key(b, M) -> b;
g(M) when map_size(M) =:= 1 -> size;
g(_) -> none.
mg(#{k := V} = M) when V > 3, map_size(M) < 3 -> yes;
mg(_) -> no.
lit() -> #{x => 1, y => [a, b], z => #{}}.
check(N) ->
    M = big(N),
    Sum = fold(fun(X, A) -> A + maps:get(X, M) end, 0, seq(1, N)),
    {map_size(M), Sum, sort(maps:keys(M)) =:= seq(1, N), is_map_key(0, M), is_map_key(N + 1, M),
            maps:find(N, M), length(maps:values(M))}.
shrink(N) ->
    M = fold(fun(X, A) -> maps:remove(X, A) end, big(N), seq(4, N)),
    {M, M =:= big(3), map_size(maps:remove(1, maps:remove(2, maps:remove(3, M))))}.
keys() -> [0, -1, 1.5, 0.0, a, 'B', [], "str", [[]], {}, {a}, {a, [b]}, <<>>, <<"bin">>, <<1:3>>,
        #{}, #{a => 1}, 1 bsl 70, -(1 bsl 70), self(), true, undefined] ++ seq(1, 30).
nest(M, 0) -> map_size(M);
nest(M, N) -> nest(M#{N => M#{}}, N - 1).
count(L) -> fold(fun(W, M) -> case M of #{W := N} -> M#{W := N + 1}; _ -> M#{W => 1} end end,
        #{}, L).
pairs(M) -> [{K, maps:get(K, M)} || K <- maps:keys(M)].
collide() ->
    L = [{X, Y, 0} || X <- seq(1, 40), Y <- seq(1, 40)],
    M = fold(fun(K, A) -> A#{K => element(1, K) * element(2, K)} end, #{}, L),
    {map_size(M), fold(fun(K, A) -> A + maps:get(K, M) end, 0, L)}.
random_ops(S, 0, M, _) -> {S, map_size(M), fold(fun({K, V}, A) -> A + K * V end, 0, pairs(M))};
random_ops(S, N, M, L) ->
    S2 = (S * 1103515245 + 12345) band 16#7fffffff,
    K = (S2 bsr 8) rem 97,
    M2 = case S2 rem 3 of 0 -> maps:remove(K, M); 1 -> M#{K => N}; 2 -> case M of #{K := V} ->
            M#{K := V + 1}; _ -> M end end,
    random_ops(S2, N - 1, M2, L).
