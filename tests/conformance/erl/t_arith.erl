-module(t_arith).
-include("conf.hrl").

ints() -> [0, 1, -1, 7, -7, 255, 1 bsl 31, -(1 bsl 31), (1 bsl 59) - 1, 1 bsl 59, -(1 bsl 59),
        -(1 bsl 59) - 1,
           (1 bsl 63) - 1, 1 bsl 63, -(1 bsl 63), 1 bsl 64, -(1 bsl 64), (1 bsl 64) - 1,
           123456789012345678901234567890, -(1 bsl 200), (1 bsl 128) + 12345].

main() ->
    L = ints(),
    [?CASE(["add ", conf_format({A, B})], id(A) + id(B)) || A <- L, B <- [1, -1, 1 bsl 59,
            1 bsl 64, -(1 bsl 64)]],
    [?CASE(["sub ", conf_format({A, B})], id(A) - id(B)) || A <- L, B <- [1, -(1 bsl 59),
            (1 bsl 64)]],
    [?CASE(["mul ", conf_format({A, B})], id(A) * id(B)) || A <- L, B <- [0, -1, 3, 1 bsl 32,
            -(1 bsl 70)]],
    [?CASE(["divrem ", conf_format({A, B})], {id(A) div id(B), id(A) rem id(B)}) || A <- L,
            B <- [1, -1, 3, -3, 1 bsl 33, -(1 bsl 65)]],
    [?CASE(["bits ", conf_format({A, B})], {id(A) band id(B), id(A) bor id(B), id(A) bxor id(B)})
     || A <- L, B <- [0, -1, 255, 1 bsl 63, -(1 bsl 64)]],
    [?CASE(["bnot/neg/abs ", conf_format(A)], {bnot id(A), - id(A), abs(id(A)),
            + id(A)}) || A <- L],
    [?CASE(["shift ", conf_format({A, S})], {id(A) bsl id(S), id(A) bsr id(S)}) || A <- L,
            S <- [0, 1, 5, 59, 64, 130, -1, -64]],
    ?C(id(1) bsr (1 bsl 70)),
    ?C(id(-1) bsr (1 bsl 70)),
    ?C(id(0) bsl (1 bsl 70)),
    ?C(id(1) bsl id(1 bsl 70)),
    ?C(id(1) / id(3)),
    ?C(id(6) / id(3)),
    ?C(id(1 bsl 70) / id(1 bsl 69)),
    ?C(id(1.5) + id(2)),
    ?C(id(1.5) - id(2)),
    ?C(id(1.5) * id(2)),
    ?C(id(1.5) / id(-0.5)),
    ?C(-id(1.5)),
    ?C(-id(0.0)),
    ?C(abs(id(-1.5))),
    ?C(+id(1.5)),
    ?C(id(1.0e308) * id(10)),
    ?C(id(1.0) / id(0)),
    ?C(id(1) / id(0.0)),
    ?C(id(1) div id(0)),
    ?C(id(1) rem id(0)),
    ?C(id(1 bsl 70) div id(0)),
    ?C(id(1.0) div id(2)),
    ?C(id(a) + id(1)),
    ?C(id(1) + id(a)),
    ?C(id([]) - id({})),
    ?C(id(a) * id(1)),
    ?C(id(1) / id(b)),
    ?C(id(1) band id(1.0)),
    ?C(id(a) bor id(1)),
    ?C(id(1) bxor id(c)),
    ?C(bnot id(1.0)),
    ?C(-id(a)),
    ?C(abs(id(a))),
    ?C(id(1) bsl id(a)),
    ?C(id(1.0) bsr id(1)),
    ?C(id(1) rem id(x)),
    ?C(float(id(1 bsl 2000))),
    ?C(id(1 bsl 2000) + id(1.0)),
    ?C(float(id(1 bsl 60))),
    ?C(float(id(-3))),
    ?C(float(id(a))),
    ?C(float(id(2.5))),
    [?CASE(["round ", conf_format(F)], {round(id(F)), trunc(id(F)), floor(id(F)), ceil(id(F))})
     || F <- [0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999999999999994, 1.0e15, 1.0e18, 1.0e19,
             -1.0e20, 1.0e300, 3, -3, 1 bsl 80]],
    ?C(round(id(a))),
    ?C(trunc(id([]))),
    ?C(floor(id(a))),
    ?C(ceil(id(a))),
    ?CASE("fact 100", fact(100)),
    ?CASE("fact 300 rem", fact(300) rem 1000000007),
    ?CASE("fib 1000", fib(1000, 0, 1)),
    ?CASE("pow digits", length(integer_to_list(pow(7, 5000)))),
    ?CASE("pow div", pow(3, 4000) div pow(3, 3990)),
    ?CASE("pow mod", powmod(3, 1 bsl 200, (1 bsl 127) - 1)),
    ?CASE("gcd", gcd(fact(50), pow(6, 60))),
    ?CASE("float sum", fold(fun(X, A) -> A + 1.0 / X end, 0.0, seq(1, 1000))),
    ?CASE("mixed float loop", fl(id(1.0), id(2), 20)),
    ?CASE("mul square big", begin X = pow(10, 700) + 1, X * X - (pow(10, 1400) + 2 * pow(10,
            700)) end),
    ?CASE("karatsuba check", begin P = pow(2, 20000) - 1, Q = pow(2, 20000) + 1, P * Q =:= pow(2,
            40000) - 1 end),
    ?CASE("guard arith", ga(id(5), id(3))),
    ?CASE("guard arith fail", ga(id(a), id(3))),
    ?CASE("guard div0", ga0(id(5), id(0))),
    ?CASE("guard big", gb(id(1 bsl 70))),
    ?CASE("guard float", gf(id(2.5))),
    ?C({max(id(1), id(1.0)), max(id(1.0), id(1)), min(id(1), id(1.0)), max(id(a), id(1)),
            min(id([]), id({}))}),
    ?C({id(1) == id(1.0), id(1) =:= id(1.0), id(1 bsl 70) =:= id(1 bsl 70), id(1 bsl 53) + 1 >
            id(9007199254740992.0)}),
    ?C({(1 bsl 100) == float(id(1 bsl 100)), ((1 bsl 100) + 1) > float(id(1 bsl 100)),
            id(1 bsl 2000) > id(1.0e308), id(-(1 bsl 2000)) < id(-1.0e308)}),
    ?B(erlang, '+', [1, 2]),
    ?B(erlang, '+', [a, 2]),
    ?B(erlang, '-', [1, b]),
    ?B(erlang, '-', [1]),
    ?B(erlang, '-', [a]),
    ?B(erlang, '*', [3, 1 bsl 62]),
    ?B(erlang, '/', [1, 0]),
    ?B(erlang, 'div', [7, -2]),
    ?B(erlang, 'rem', [-7, 2]),
    ?B(erlang, 'div', [1, 0]),
    ?B(erlang, 'band', [6, 3]),
    ?B(erlang, 'bor', [6, a]),
    ?B(erlang, 'bxor', [6, 3]),
    ?B(erlang, 'bnot', [6]),
    ?B(erlang, 'bsl', [1, 100]),
    ?B(erlang, 'bsr', [1 bsl 100, 99]),
    ?B(erlang, 'bsl', [1, a]),
    ?B(erlang, '==', [1, 1.0]),
    ?B(erlang, '=:=', [1, 1.0]),
    ?B(erlang, '/=', [1, 2]),
    ?B(erlang, '=/=', [1, 1]),
    ?B(erlang, '<', [1, a]),
    ?B(erlang, '>=', [1, a]),
    ?B(erlang, '>', [a, 1]),
    ?B(erlang, '=<', [[], {}]),
    ?B(erlang, 'and', [true, false]),
    ?B(erlang, 'or', [true, false]),
    ?B(erlang, 'xor', [true, true]),
    ?B(erlang, 'not', [true]),
    ?B(erlang, 'and', [true, 1]),
    ?B(erlang, 'or', [a, true]),
    ?B(erlang, 'xor', [a, true]),
    ?B(erlang, 'not', [1]),
    ?C(not id(a)),
    ?C(id(a) and id(true)),
    ?C(id(true) and id(a)),
    ?C(id(a) andalso id(b)),
    ?C(id(true) andalso id(b)),
    ?C(id(false) orelse id(b)),
    ?C(id(1) orelse id(b)),
    ?C(id(true) xor id(false)),
    ?C(id(false) or id(true)),
    math_cases(),
    ok.

math_cases() ->
    [?CASE(["math ", conf_format({F, X})], near(math:F(id(X)))) || F <- [sin, cos, tan, asin,
            acos, atan, sinh, cosh, tanh, asinh, atanh, exp, log, log2, log10, sqrt, erf, erfc,
            ceil, floor],
     X <- [0, 0.5, -0.25]],
    ?C(math:acosh(id(1))),
    ?C(near(math:acosh(id(2.5)))),
    ?C(math:acosh(id(0.5))),
    ?C(near(math:atan2(id(1), id(-2)))),
    ?C(math:pow(id(2), id(10))),
    ?C(math:pow(id(2), id(0.5)) > 1.41),
    ?C(math:pow(id(-1), id(0.5))),
    ?C(math:fmod(id(7), id(-3))),
    ?C(math:fmod(id(7), id(0))),
    ?C(math:log(id(0))),
    ?C(math:log2(id(1024))),
    ?C(math:log10(id(1000))),
    ?C(math:sqrt(id(-1))),
    ?C(math:sqrt(id(16))),
    ?C(math:sin(id(a))),
    ?C(math:exp(id(1000))),
    ?C(near(math:pi())),
    ?C(math:pow(id(a), id(1))),
    ?C(math:sqrt(id(1 bsl 200))),
    ?C(math:log2(id(1 bsl 500))),
    ?C(math:sqrt(id(1 bsl 4000))).

%% Twelve digits: the last ones belong to the C library.
near(F) when is_float(F) -> list_to_binary(float_to_list(F, [{scientific, 11}]));
near(X) -> X.

fact(0) -> 1;
fact(N) -> N * fact(N - 1).
fib(0, A, _) -> A;
fib(N, A, B) -> fib(N - 1, B, A + B).
pow(_, 0) -> 1;
pow(X, N) when N rem 2 =:= 0 -> Y = pow(X, N div 2), Y * Y;
pow(X, N) -> X * pow(X, N - 1).
powmod(_, 0, _) -> 1;
powmod(X, N, M) when N band 1 =:= 0 -> Y = powmod(X, N bsr 1, M), Y * Y rem M;
powmod(X, N, M) -> X * powmod(X, N - 1, M) rem M.
gcd(A, 0) -> A;
gcd(A, B) -> gcd(B, A rem B).
fl(A, _, 0) -> A;
fl(A, B, N) -> fl((A * B - 0.5) / 1.5 + B, B + 1, N - 1).
ga(A, B) when A + B > 7, A * B =:= 15, A - B < 3, A rem B =:= 2 -> yes;
ga(_, _) -> no.
ga0(A, B) when A div B > 0 -> yes;
ga0(_, _) -> no.
gb(X) when X band 16#ff =:= 0, X bsr 69 =:= 2 -> yes;
gb(_) -> no.
gf(X) when X * 2 == 5, round(X) =:= 3, trunc(X) =:= 2 -> yes;
gf(_) -> no.
