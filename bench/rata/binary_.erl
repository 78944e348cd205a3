-module(binary_).
-export([run/1]).

run(N) -> repeat(N, text(200, <<>>), 0).

text(0, S) -> S;
text(N, S) -> text(N - 1, <<S/binary, "get put get del ">>).

repeat(0, _, Sum) -> Sum;
repeat(N, S, Sum) -> repeat(N - 1, S, Sum + words(S, 0, 0, 0)).

words(<<"get ", Rest/binary>>, G, P, D) -> words(Rest, G + 1, P, D);
words(<<"put ", Rest/binary>>, G, P, D) -> words(Rest, G, P + 1, D);
words(<<"del ", Rest/binary>>, G, P, D) -> words(Rest, G, P, D + 1);
words(<<>>, G, P, D) -> G + 2 * P + 3 * D.
