-module(t_compare).
-include("conf.hrl").
-record(r, {a, b}).

vals() ->
    [0, 1, -1, 1.0, 1.5, -0.5, 1 bsl 70, -(1 bsl 70), 1.0e300, a, b, 'Z', '', aa, true, {}, {1},
            {a, b}, {1, 2, 3}, {1.0}, [], [1], [1, 2], [1.0, 2.5],
     [a | b], [a], [b], "abc", <<>>, <<0:1>>, <<0>>, <<0, 0>>, <<1>>, <<1, 0:1>>, <<1:1>>,
             <<128>>, <<"abc">>, #{}, #{a => 1}, #{1 => b}, #{1.0 => a}, #{2 => a},
     #{a => 1.0}, #{a => 1, b => 2}, fun erlang:abs/1, fun lists:map/2].

main() ->
    L = vals(),
    [?CASE(["cmp ", conf_format(A)], [ops(id(A), id(B)) || B <- L]) || A <- L],
    ?CASE("sorted", sort([X || X <- L, not is_function(X)])),
    ?C(id(1) < id(2)),
    ?C(id(2) =< id(2.0)),
    ?C(id(a) > id(b)),
    ?C(id([]) >= id({})),
    ?C(id({1, 2}) == id({1.0, 2.0})),
    ?C(id({1, 2}) =:= id({1.0, 2.0})),
    ?C(id([1, {2, <<"x">>}]) =:= id([1, {2, <<"x">>}])),
    ?C(id("ab") /= id("ac")),
    ?C(id(1) =/= id(1.0)),
    ?C(id(1) /= id(1.0)),
    ?C({is_integer(id(1 bsl 70)), is_float(id(1.0)), is_number(id(a)), is_number(id(1)),
            is_number(id(2.0))}),
    ?C([is_atom(X) || X <- L]),
    ?C([is_tuple(X) || X <- L]),
    ?C([is_list(X) || X <- L]),
    ?C([is_binary(X) || X <- L]),
    ?C([is_bitstring(X) || X <- L]),
    ?C([is_map(X) || X <- L]),
    ?C([is_function(X) || X <- L]),
    ?C([is_function(X, 1) || X <- L]),
    ?C([is_boolean(X) || X <- L]),
    ?C([is_integer(X) || X <- L]),
    ?C([is_float(X) || X <- L]),
    ?C([is_pid(X) || X <- [self(), make_ref(), a]]),
    ?C([is_reference(X) || X <- [self(), make_ref(), a]]),
    ?C([is_port(X) || X <- [self(), make_ref(), a]]),
    ?C({is_record(id(#r{}), r), is_record(id({r, 1}), r), is_record(id({r, 1, 2}), r, 3),
            is_record(id(a), r)}),
    ?C([kind(X) || X <- L ++ [self(), make_ref(), #r{}, true, false]]),
    ?C([guard(X) || X <- L]),
    ?C(is_function(id(fun id/1), id(-1))),
    ?C(is_function(id(a), id(b))),
    ?C(is_function(id(fun id/1), id(1 bsl 70))),
    ?C(is_function(id(fun id/1), id(300))),
    ?C(is_record(id({r}), id(1))),
    ?C(is_record(id({r}), id(r), id(a))),
    ?C(is_record(id({r}), id(r), id(1))),
    [?CASE(["bif ", conf_format(F)], [apply(erlang, F, [X]) || X <- L])
     || F <- [is_atom, is_binary, is_bitstring, is_boolean, is_float, is_function, is_integer,
             is_list, is_map, is_number, is_pid, is_port, is_reference, is_tuple]],
    ?B(erlang, is_function, [a, -1]),
    ?B(erlang, is_function, [a, x]),
    ?B(erlang, is_record, [{a}, a]),
    ?B(erlang, is_record, [{a}, 1]),
    ?B(erlang, is_record, [{a, b}, a, 2]),
    ?B(erlang, is_record, [{a, b}, a, 3]),
    ?C([case {X, Y} of {Z, Z} -> same; _ -> other end || X <- [1, 1.0, a, [1]], Y <- [1, 1.0,
            [1]]]),
    ?C([sel(X) || X <- [a, b, c, d, e, f, g, 1, 2, 3, 100, 1000, 1 bsl 40, 1 bsl 70, -(1 bsl 70),
            1.5, 2.5, "x", [], {}, <<>>]]),
    ?C([big_sel(X) || X <- seq(0, 60)]),
    ?C([atom_sel(X) || X <- [alpha, beta, gamma, delta, epsilon, zeta, eta, theta, iota, kappa,
            lambda, mu, nu, xi, none]]),
    ?C([arity_sel(X) || X <- [{}, {1}, {1, 2}, {1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2,
            3, 4, 5, 6}]]),
    ?C([tagged(X) || X <- [{ok, 1}, {error, 2}, {ok}, ok, {other, 1, 2}, [ok, 1], {1, ok}, {}]]),
    ?C([float_sel(X) || X <- [1.0, 2.5, 3.5, 1, 2, 0.0]]),
    ?C([multi(X, Y) || X <- [1, a, 2.0], Y <- [1, a, []]]),
    ?C([erts_internal:cmp_term(A, B) || A <- [1, a, 1.0], B <- [1, a, 1.0]]),
    ok.

ops(A, B) ->
    X = if A < B -> 1; true -> 0 end + if A =< B -> 2; true -> 0 end + if A == B -> 4; true ->
            0 end + if A =:= B -> 8; true -> 0 end,
    Y = if A > B -> 1; true -> 0 end + if A >= B -> 2; true -> 0 end + if A /= B -> 4; true ->
            0 end + if A =/= B -> 8; true -> 0 end,
    X * 16 + Y.

kind(X) when is_boolean(X) -> bool;
kind(X) when is_atom(X) -> atom;
kind(X) when is_integer(X) -> int;
kind(X) when is_float(X) -> float;
kind(X) when is_record(X, r) -> rec;
kind(X) when is_tuple(X), tuple_size(X) > 1 -> tuple2;
kind(X) when is_tuple(X) -> tuple;
kind([_ | _]) -> cons;
kind([]) -> nil;
kind(X) when is_binary(X) -> bin;
kind(X) when is_bitstring(X) -> bits;
kind(X) when map_size(X) > 1 -> map2;
kind(X) when is_map(X) -> map;
kind(X) when is_function(X, 1) -> fun1;
kind(X) when is_function(X) -> 'fun';
kind(X) when is_pid(X) -> pid;
kind(X) when is_reference(X) -> ref.

guard(X) when hd(X) =:= 1; element(1, X) =:= a; byte_size(X) =:= 3 -> one;
guard(X) when length(X) > 2; tuple_size(X) > 2; map_size(X) =:= 1 -> two;
guard(X) when not is_atom(X), (is_integer(X) or is_float(X)) and (X > 0) -> three;
guard(X) when is_atom(X) andalso (X =:= a orelse X > b) -> four;
guard(X) when tl(X) =:= [2] -> five;
guard(X) when X < 0 xor is_list(X) -> six;
guard(X) when bit_size(X) < 8 -> seven;
guard(_) -> none.

sel(a) -> 1; sel(b) -> 2; sel(c) -> 3; sel(d) -> 4; sel(e) -> 5; sel(f) -> 6; sel(1) -> 7;
        sel(2) -> 8; sel(3) -> 9; sel(100) -> 10; sel(1000) -> 11;
sel(16#10000000000) -> 12; sel(16#400000000000000000) -> 13; sel(-16#400000000000000000) -> 14;
        sel(1.5) -> 15; sel([]) -> 16; sel({}) -> 17; sel(<<>>) -> 18; sel("x") -> 19; sel(_) ->
        0.

big_sel(0) -> 5; big_sel(1) -> 3; big_sel(2) -> 1; big_sel(3) -> 9; big_sel(4) -> 7;
        big_sel(5) -> 0; big_sel(6) -> 2; big_sel(7) -> 4; big_sel(8) -> 6; big_sel(9) -> 8;
big_sel(10) -> 15; big_sel(11) -> 13; big_sel(12) -> 11; big_sel(13) -> 19; big_sel(14) -> 17;
        big_sel(20) -> 21; big_sel(30) -> 31; big_sel(40) -> 41; big_sel(50) -> 51; big_sel(_) ->
        none.

atom_sel(alpha) -> 1; atom_sel(beta) -> 2; atom_sel(gamma) -> 3; atom_sel(delta) -> 4;
        atom_sel(epsilon) -> 5; atom_sel(zeta) -> 6; atom_sel(eta) -> 7; atom_sel(theta) -> 8;
atom_sel(iota) -> 9; atom_sel(kappa) -> 10; atom_sel(lambda) -> 11; atom_sel(mu) -> 12;
        atom_sel(nu) -> 13; atom_sel(_) -> 0.

arity_sel({}) -> 0; arity_sel({A}) -> A; arity_sel({A, B}) -> A + B; arity_sel({A, _, C}) ->
        A + C; arity_sel({_, _, _, D}) -> D; arity_sel({_, _, _, _, E}) -> E; arity_sel(_) ->
        more.

tagged({ok, X}) -> X; tagged({error, X}) -> {e, X}; tagged({other, _, X}) -> X; tagged({1, X}) ->
        X; tagged(_) -> none.

float_sel(1.0) -> one; float_sel(2.5) -> two; float_sel(3.5) -> three; float_sel(0.0) -> zero;
        float_sel(_) -> none.

multi(1, 1) -> a; multi(1, _) -> b; multi(X, X) -> c; multi(a, []) -> d; multi(X,
        Y) when X == Y -> e; multi(_, _) -> f.
