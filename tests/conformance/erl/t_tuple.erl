-module(t_tuple).
-include("conf.hrl").
-record(p, {x = 0, y = 0, name, list = []}).
-record(big, {a, b, c, d, e, f, g, h, i, j}).

main() ->
    ?C(element(id(1), id({a, b}))),
    ?C(element(id(3), id({a, b}))),
    ?C(element(id(0), id({a}))),
    ?C(element(id(a), id({a}))),
    ?C(element(id(1), id(a))),
    ?C(element(1, id({}))),
    ?C(element(1 bsl 70, id({}))),
    ?C(setelement(id(1), id({a, b}), x)),
    ?C(setelement(id(3), id({a, b}), x)),
    ?C(setelement(id(0), id({a}), x)),
    ?C(setelement(id(1), id(a), x)),
    ?C(tuple_size(id({1, 2, 3}))),
    ?C(tuple_size(id([]))),
    ?C(size(id({1, 2}))),
    ?C(size(id(<<1, 2, 3>>))),
    ?C(size(id(a))),
    ?B(erlang, element, [2, {a, b}]),
    ?B(erlang, element, [0, {a}]),
    ?B(erlang, setelement, [2, {a, b}, c]),
    ?B(erlang, setelement, [x, {a, b}, c]),
    ?B(erlang, tuple_size, [{a}]),
    ?B(erlang, tuple_size, [1]),
    ?B(erlang, size, [{}]),
    ?B(erlang, size, [1]),
    ?B(erlang, make_tuple, [3, x]),
    ?B(erlang, make_tuple, [0, x]),
    ?B(erlang, make_tuple, [-1, x]),
    ?B(erlang, make_tuple, [a, x]),
    ?B(erlang, make_tuple, [4, d, [{1, a}, {3, c}, {1, z}]]),
    ?B(erlang, make_tuple, [2, d, [{3, a}]]),
    ?B(erlang, make_tuple, [2, d, [x]]),
    ?B(erlang, make_tuple, [2, d, x]),
    ?B(erlang, make_tuple, [16777216, a]),
    ?B(erlang, append_element, [{a}, b]),
    ?B(erlang, append_element, [a, b]),
    ?B(erlang, insert_element, [1, {a}, b]),
    ?B(erlang, insert_element, [2, {a}, b]),
    ?B(erlang, insert_element, [3, {a}, b]),
    ?B(erlang, delete_element, [1, {a, b}]),
    ?B(erlang, delete_element, [3, {a, b}]),
    ?B(erlang, delete_element, [0, {a}]),
    ?B(erlang, insert_element, [1, a, b]),
    ?B(erlang, delete_element, [1, x]),
    ?C({id(1), {id(a), [id(2)]}, {}}),
    ?C(begin {A, {B, _}} = id({1, {2, 3}}), [A, B] end),
    ?C(begin {A, A} = id({1, 1}), A end),
    ?C(begin {A, A} = id({1, 2}), A end),
    ?C(begin {_} = id({1, 2}) end),
    ?C(#p{x = id(1)}),
    ?C((id(#p{x = 5}))#p.x),
    ?C((id(#p{}))#p{y = 9, name = n}),
    ?C((id({q, 1}))#p.x),
    ?C((id({p, 1}))#p{x = 2}),
    ?C((id(a))#p.name),
    ?C(begin #p{x = X, list = L} = id(#p{x = 3, list = [1]}), {X, L} end),
    ?C(upd(#p{x = 1, y = 2, name = joe}, 10)),
    ?C(upd2(#big{a = 1, e = 5}, x, y)),
    ?C(#p.name),
    ?C(record_info(fields, p)),
    ?C(record_info(size, big)),
    ?C(loop_upd(#p{}, 100)),
    ?C(is_p(id(#p{}))),
    ?C(is_p(id({p}))),
    ?C(nested(id({{{1, 2}, 3}, {4, {5, 6}}}))),
    ?C(swap2(id(1), id(2))),
    ?C(rot(id(1), id(2), id(3), id(4))),
    ?C(many_args(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)),
    ?C(tuple_size(list_to_tuple(seq(1, 100000)))),
    ?C(element(70000, list_to_tuple(seq(1, 100000)))),
    ?C(chain(list_to_tuple(seq(1, 100)), 100)),
    ?C(literal()),
    ?C(literal() =:= id(literal())),
    ?C(setelement(2, literal(), new)),
    ok.

upd(#p{x = X} = P, N) when X < 5 -> P#p{x = X + N, list = [X | P#p.list]};
upd(P, _) -> P.
upd2(B, X, Y) -> B#big{b = X, c = Y, d = B#big.a, h = {X, Y}, j = B#big.e}.
loop_upd(P, 0) -> P;
loop_upd(#p{x = X, y = Y} = P, N) -> loop_upd(P#p{x = Y + 1, y = X + N}, N - 1).
is_p(#p{}) -> true;
is_p(_) -> false.
nested({{{A, B}, C}, {D, {E, F}}}) -> {F, {E, {D, {C, {B, A}}}}};
nested(_) -> no.
swap2(A, B) -> {X, Y} = id({B, A}), [X, Y].
rot(A, B, C, D) -> rot2(B, C, D, A).
rot2(A, B, C, D) -> {D, C, B, A}.
many_args(A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T) ->
    X = id(A + T), Y = id(B * S),
    [X, Y, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, id(S), id(T)].
chain(T, 0) -> element(50, T);
chain(T, N) -> chain(setelement(N, T, element(N, T) * 2), N - 1).
literal() -> {lit, "string", <<"binary">>, [1.5, {nested, #{a => 1}}], 1 bsl 80}.
