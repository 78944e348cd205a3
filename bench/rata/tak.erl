-module(tak).
-export([run/1]).

run(N) -> repeat(N, 0).

repeat(0, R) -> R;
repeat(N, R) -> repeat(N - 1, R + tak(18, 12, 6)).

tak(X, Y, Z) when Y >= X -> Z;
tak(X, Y, Z) -> tak(tak(X - 1, Y, Z), tak(Y - 1, Z, X), tak(Z - 1, X, Y)).
