-module(lists_).
-export([run/1]).

run(N) -> repeat(N, 0).

repeat(0, Sum) -> Sum;
repeat(N, Sum) ->
    V = keep(fun(X) -> modulo(X, 3) /= 0 end,
             apply_all(fun(X) -> X * X + N end, numbers(1, 1000))),
    repeat(N - 1, fold(fun(X, A) -> X + A end, Sum, turn(V, []))).

%% As the operator of the other program: with the sign of the divisor.
modulo(X, Y) when is_integer(X), is_integer(Y), Y > 0 ->
    case X rem Y of
        R when R < 0 -> R + Y;
        R -> R
    end.

numbers(I, N) when I > N -> [];
numbers(I, N) -> [I | numbers(I + 1, N)].

apply_all(F, [X | Rest]) -> [F(X) | apply_all(F, Rest)];
apply_all(_, []) -> [].

keep(F, [X | Rest]) ->
    case F(X) of
        true -> [X | keep(F, Rest)];
        false -> keep(F, Rest)
    end;
keep(_, []) -> [].

fold(F, A, [X | Rest]) -> fold(F, F(X, A), Rest);
fold(_, A, []) -> A.

turn([X | Rest], To) -> turn(Rest, [X | To]);
turn([], To) -> To.
