-module(t_fun).
-export([f0/0, f1/1, f2/2, varg/3, catcher/1]).
-include("conf.hrl").

f0() -> zero.
f1(X) -> {one, X}.
f2(X, Y) -> {two, X, Y}.
varg(A, B, C) -> [A, B, C].
catcher(F) -> try F() catch C:R -> {C, R} end.

main() ->
    A = id(10), B = id(20),
    ?C((fun() -> 1 end)()),
    ?C((fun(X) -> X + A end)(1)),
    ?C((fun(X, Y) -> {X, Y, A, B} end)(1, 2)),
    ?C((id(fun f1/1))(x)),
    ?C((id(fun ?MODULE:f1/1))(x)),
    ?C((id(fun erlang:abs/1))(-3)),
    ?C((id(fun erlang:'+'/2))(1, 2)),
    ?C((id(not_fun))(1)),
    ?C((id({a, b}))(1)),
    ?C(catcher(fun() -> (id(fun f1/1))(1, 2) end)),
    ?C(catcher(fun() -> (id(fun ?MODULE:f1/1))(1, 2) end)),
    ?C(catcher(fun() -> (id(fun() -> a end))(1) end)),
    ?C((id(fun nomod:f/1))(1)),
    ?C((id(fun ?MODULE:nofun/1))(1)),
    ?C(apply(id(fun f2/2), [1, 2])),
    ?C(apply(id(fun f2/2), [1])),
    ?C(apply(?MODULE, f2, [1, 2])),
    ?C(apply(id(?MODULE), id(f0), [])),
    ?C(apply(id(?MODULE), id(f1), id([a]))),
    ?C((id(?MODULE)):f1(b)),
    ?C(?MODULE:(id(f2))(c, d)),
    ?C((id(erlang)):(id(abs))(-5)),
    ?C(apply(id(?MODULE), id(nope), [])),
    ?C((id(nomod)):f(1, 2)),
    ?C((id(1)):f(1)),
    ?C(erlang:(id("x"))(1)),
    ?C(apply(id(erlang), id(abs), id([1 | 2]))),
    ?C(apply(id(erlang), id(abs), id(x))),
    ?C(apply(id(a), [])),
    ?C(apply(id(fun f0/0), id(a))),
    ?C(apply(erlang, apply, [erlang, apply, [erlang, abs, [-7]]])),
    ?C(erlang:apply(id(fun erlang:length/1), [[1, 2]])),
    ?C((id(erlang)):apply(erlang, max, [1, 2])),
    ?C(adders()),
    ?C(compose([fun(X) -> X + 1 end, fun(X) -> X * 2 end, fun f1/1], 5)),
    ?C(fact_fun(10)),
    ?C((fun F(0) -> 0; F(N) -> N + F(N - 1) end)(100)),
    ?C(y_comb(6)),
    ?C(counter(5)),
    ?C(church(7)),
    ?C(loop(fun(X) -> X + 1 end, 0, 100000)),
    ?C(is_function(fun f1/1)),
    ?C(is_function(fun f1/1, 1)),
    ?C(is_function(fun f1/1, 2)),
    ?C(is_function(fun ?MODULE:f1/1, 1)),
    ?C(is_function(fun() -> A end, 0)),
    ?C(erlang:fun_info(fun erlang:abs/1, name)),
    ?C(erlang:fun_info(fun erlang:abs/1, module)),
    ?C(erlang:fun_info(fun erlang:abs/1, arity)),
    ?C(erlang:fun_info(fun erlang:abs/1, type)),
    ?C(erlang:fun_info(fun erlang:abs/1, env)),
    ?C(erlang:fun_info(fun() -> {A, B} end, env)),
    ?C(erlang:fun_info(fun() -> A end, type)),
    ?C(erlang:fun_info(fun() -> A end, module)),
    ?C(erlang:fun_info(fun() -> A end, arity)),
    ?C(erlang:fun_info(fun(_) -> A end, arity)),
    ?C(erlang:fun_info(fun() -> A end, bad)),
    ?C(erlang:fun_info(a, arity)),
    ?B(erlang, make_fun, [erlang, abs, 1]),
    ?C((erlang:make_fun(?MODULE, f1, 1))(z)),
    ?B(erlang, make_fun, [a, b, 256]),
    ?B(erlang, make_fun, [1, b, 2]),
    ?B(erlang, make_fun, [a, b, -1]),
    ?B(erlang, fun_to_list, [fun erlang:abs/1]),
    ?B(erlang, fun_to_list, [fun 'A b':'c d'/3]),
    ?B(erlang, fun_to_list, [x]),
    ?C(erlang:fun_info_mfa(fun f1/1)),
    ?C(hd(erlang:fun_to_list(fun() -> A end))),
    ?C(fun f1/1 =:= fun f1/1),
    ?C(fun ?MODULE:f1/1 =:= fun ?MODULE:f1/1),
    ?C(fun f1/1 =:= fun f0/0),
    ?C(mk(1) =:= mk(1)),
    ?C(mk(1) =:= mk(2)),
    ?C(mk(1) == mk(1.0)),
    ?C(fun f1/1 < fun erlang:abs/1),
    ?C(many_free(1, 2, 3, 4, 5, 6, 7, 8)),
    ?C(big_env()),
    ?C((sent(fun(X) -> {X, A} end))(9)),
    ?C(map(fun({X, Y}) -> X * Y; (X) -> X end, [1, {2, 3}, 4])),
    ?C((fun({ok, X}) when X > 3 -> X end)({ok, 1})),
    ?C(tail_fun(id(fun(X) -> X end), 5)),
    ?C(fold(fun erlang:'+'/2, 0, seq(1, 100))),
    ?C(map(fun ?MODULE:f1/1, [1, 2])),
    ?C(map(fun erlang:integer_to_list/1, [1, 22, 333])),
    ?C(varg(1, (fun() -> 2 end)(), 3)),
    ?C(bif_tail(id([1, 2]))),
    ?C(even(10001)),
    ?C(mutual(id(20000))),
    ?C([flat(id(F), 1000000) || F <- [by_move(), by_moves(), by_hidden(), heads()]]),
    ?C(deep(100000)),
    ?C(deep_apply(10000)),
    ?C(fold(fun(F, X) -> F(X) end, 1, [fun(X) -> X + N end || N <- seq(1, 50)])),
    ok.

adders() -> [F(100) || F <- [fun(X) -> X + N end || N <- [1, 2, 3]]].
compose([], X) -> X;
compose([F | T], X) -> compose(T, F(X)).
fact_fun(N) -> F = fun(0, _) -> 1; (K, G) -> K * G(K - 1, G) end, F(N, F).
y_comb(N) -> Y = fun(F) -> (fun(X) -> X(X) end)(fun(X) -> F(fun(A) -> (X(X))(A) end) end) end,
        (Y(fun(Self) -> fun(0) -> 1; (K) -> K * Self(K - 1) end end))(N).
counter(0) -> fun() -> done end;
counter(N) -> case counter(N - 1) of F when is_function(F, 0) -> F(), fun() -> N end; X -> X end.
church(N) -> (numeral(N))(fun(X) -> X + 1 end, 0).
numeral(0) -> fun(_, X) -> X end;
numeral(N) -> M = numeral(N - 1), fun(F, X) -> F(M(F, X)) end.
loop(_, A, 0) -> A;
loop(F, A, N) -> loop(F, F(A), N - 1).
mk(X) -> fun() -> X end.
many_free(A, B, C, D, E, F, G, H) -> X = fun(P, Q) -> [A, B, C, D, E, F, G, H, P, Q] end, X(9,
        10).
big_env() -> T = id({1, [2, 3], <<"four">>, #{five => 6}, 1 bsl 90, 1.5}), F = fun() -> fun() ->
        T end end, (F())().
sent(F) -> self() ! {f, F}, receive {f, G} -> G end.
tail_fun(F, 0) -> F(end_of);
tail_fun(F, N) -> tail_fun(fun(X) -> F({N, X}) end, N - 1).
bif_tail(L) -> length(L).
even(0) -> true;
even(N) -> odd(N - 1).
odd(0) -> false;
odd(N) -> even(N - 1).
%% A million calls of a fun in tail position, whatever is moved before them, and no more memory.
flat(F, N) -> _ = F(F, 10), garbage_collect(), {memory, A} = process_info(self(), memory), _ = F(F, N),
    {memory, B} = process_info(self(), memory), B - A < 300000.
by_move() -> fun(_, 0) -> ok; (G, N) -> G(G, N - 1) end.
by_moves() -> fun(_, 0) -> ok; (G, N) -> H = id(G), id(N), H(H, N - 1) end.
by_hidden() -> X = id([1]), fun(_, 0) -> X; (G, N) -> [Y] = X, G(G, N - Y) end.
by_head([F | _], N) -> F([F, N], N).
heads() -> fun(_, 0) -> ok; ([G | _], N) -> by_head([G], N - 1); (G, N) -> G([G], N - 1) end.
mutual(N) -> F = fun(0, _, _) -> ok; (K, G, H) -> H(K - 1, H, G) end, F(N, F, F).
deep(0) -> 0;
deep(N) -> 1 + deep(N - 1).
deep_apply(0) -> 0;
deep_apply(N) -> 1 + apply(fun deep_apply/1, [N - 1]).
