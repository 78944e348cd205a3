-module(t_list).
-include("conf.hrl").

main() ->
    ?C(hd(id([1, 2]))),
    ?C(tl(id([1, 2]))),
    ?C(hd(id([]))),
    ?C(tl(id([]))),
    ?C(hd(id(a))),
    ?C(tl(id({}))),
    ?C(length(id([1, 2, 3]))),
    ?C(length(id([1 | 2]))),
    ?C(length(id(a))),
    ?C(length(seq(1, 100000))),
    ?C(id([1, 2]) ++ id([3])),
    ?C(id([1]) ++ id(a)),
    ?C(id([]) ++ id(a)),
    ?C(id(a) ++ id([])),
    ?C(id([1 | 2]) ++ id([3])),
    ?C(length(seq(1, 20000) ++ seq(1, 30000))),
    ?C(id([1, 2, 3, 2, 1]) -- id([1, 2])),
    ?C(id([1, 2, 3]) -- id([])),
    ?C(id([]) -- id([1])),
    ?C(id([1, 2, 1.0, 1]) -- id([1.0, 1])),
    ?C(id(a) -- id([])),
    ?C(id([]) -- id(a)),
    ?C(id([a | b]) -- id([a])),
    ?C(id([1]) -- id([1 | 2])),
    ?C(length(seq(1, 5000) -- seq(2000, 4000))),
    ?C(length(seq(1, 200) -- [a, b | seq(1, 300)])),
    ?B(lists, reverse, [[1, 2, 3], []]),
    ?B(lists, reverse, [[1, 2, 3], tail]),
    ?B(lists, reverse, [[], x]),
    ?B(lists, reverse, [a, []]),
    ?B(lists, reverse, [[1 | 2], []]),
    ?C(hd(lists:reverse(seq(1, 50000), []))),
    ?B(lists, member, [1, [3, 2, 1]]),
    ?B(lists, member, [1, [1.0]]),
    ?B(lists, member, [x, []]),
    ?B(lists, member, [{a, [1]}, [1, {a, [1]}]]),
    ?B(lists, member, [1, a]),
    ?B(lists, member, [9, [1 | 2]]),
    ?B(lists, member, [1, [1 | 2]]),
    ?C(lists:member(id(99999), seq(1, 100000))),
    ?B(lists, keyfind, [b, 1, [{a, 1}, {b, 2}]]),
    ?B(lists, keyfind, [1, 2, [{a, 1.0}, {b, 1}]]),
    ?B(lists, keyfind, [z, 1, [{a}, x, {}, {b, c}]]),
    ?B(lists, keyfind, [a, 0, []]),
    ?B(lists, keyfind, [a, 1, x]),
    ?B(lists, keyfind, [a, 1, [{b} | c]]),
    ?B(lists, keyfind, [a, x, []]),
    ?B(lists, keymember, [b, 1, [{a, 1}, {b, 2}]]),
    ?B(lists, keymember, [q, 1, [{a, 1}, {b, 2}]]),
    ?B(lists, keymember, [q, a, []]),
    ?B(lists, keysearch, [b, 1, [{a, 1}, {b, 2}]]),
    ?B(lists, keysearch, [q, 1, []]),
    ?B(lists, keysearch, [q, 1, q]),
    ?B(erlang, hd, [[1]]),
    ?B(erlang, tl, [[1]]),
    ?B(erlang, length, [[1, 2]]),
    ?B(erlang, hd, [[]]),
    ?B(erlang, tl, [x]),
    ?B(erlang, length, [[a | b]]),
    ?B(erlang, '++', [[1], [2]]),
    ?B(erlang, '--', [[1, 2], [2]]),
    ?B(erlang, append, [[1], 2]),
    ?B(erlang, subtract, [[1, 2, 3], [3]]),
    ?B(erlang, '++', [a, [2]]),
    ?B(erlang, '--', [a, [2]]),
    ?B(erlang, list_to_tuple, [[1, 2, 3]]),
    ?B(erlang, list_to_tuple, [[]]),
    ?B(erlang, list_to_tuple, [a]),
    ?B(erlang, list_to_tuple, [[1 | 2]]),
    ?B(erlang, tuple_to_list, [{1, 2}]),
    ?B(erlang, tuple_to_list, [{}]),
    ?B(erlang, tuple_to_list, [a]),
    ?C([X * 2 || X <- id([1, 2, 3])]),
    ?C([X || X <- id([1, 2, 3, 4]), X rem 2 =:= 0]),
    ?C([{X, Y} || X <- id([1, 2]), Y <- id([a, b])]),
    ?C([X || {ok, X} <- id([{ok, 1}, error, {ok, 2}, {ok}])]),
    ?C([X || X <- id(a)]),
    ?C([X || X <- id([1 | 2])]),
    ?C([X || <<X:4>> <= id(<<16#12, 16#34>>)]),
    ?C(<< <<(X + 1)>> || X <- id([1, 2, 3]) >>),
    ?C(<< <<X:3>> || X <- id([1, 2, 3]) >>),
    ?C(<< <<X:16/little>> || <<X:16/big>> <= id(<<1, 2, 3, 4>>) >>),
    ?C([X || <<X:16>> <= id(<<1, 2, 3>>)]),
    ?C([X || <<X>> <= id(a)]),
    ?C(<< <<X>> || X <- id([a]) >>),
    ?C([[Y || Y <- seq(1, X)] || X <- seq(1, 4)]),
    ?C([X || X <- seq(1, 10), begin Y = X * X, Y > 20 end, Y < 80]),
    ?C([case X of 1 -> one; _ -> X end || X <- id([1, 2, {3}])]),
    ?C([A || [A, _ | _] <- [[1], [2, 3], [4, 5, 6], x]]),
    ?CASE("reverse long", fold(fun(X, A) -> X + A end, 0, lists:reverse(seq(1, 10000), []))),
    ?CASE("map fold", fold(fun(X, {S, P}) -> {S + X, P * X} end, {0, 1}, map(fun(X) -> X + 1 end,
            seq(1, 20)))),
    ?CASE("qsort", qsort([(X * 7919) rem 1009 || X <- seq(1,
            200)]) =:= sort([(X * 7919) rem 1009 || X <- seq(1, 200)])),
    ?CASE("deep list", deep(100000)),
    ?CASE("flatten", flat([1, [2, [3, [[4]], 5]], [[]]])),
    ?CASE("zip", zip([1, 2, 3], [a, b, c])),
    ?CASE("perms", length(perms([1, 2, 3, 4, 5, 6]))),
    ?CASE("improper walk", walk([1, 2 | 3])),
    ?CASE("match", begin [A, B | C] = id([1, 2, 3, 4]), {A, B, C} end),
    ?CASE("badmatch", begin [Z] = id([1, 2]), Z end),
    ?CASE("sieve", sieve(seq(2, 100))),
    ?CASE("queens 6", length(queens(6))),
    ?CASE("hanoi 10", hanoi(10, a, b, c)),
    ?CASE("ackermann", ack(2, 9)),
    ?B(erlang, iolist_size, [[1, <<2, 3>>, [4 | <<5>>]]]),
    ?B(erlang, iolist_size, [[a]]),
    ?B(erlang, iolist_size, [<<1:3>>]),
    ?B(erlang, iolist_size, [[256]]),
    ?B(erlang, iolist_to_binary, [[1, <<2, 3>>, [4 | <<5>>]]]),
    ?B(erlang, iolist_to_binary, [<<"x">>]),
    ?B(erlang, iolist_to_binary, [[-1]]),
    ?B(erlang, iolist_to_binary, [a]),
    ?B(erlang, list_to_binary, [[1, [2, <<3>>] | <<4>>]]),
    ?B(erlang, list_to_binary, [[]]),
    ?B(erlang, list_to_binary, [[a]]),
    ?B(erlang, list_to_binary, [<<1>>]),
    ?B(erlang, list_to_binary, [[1 | 2]]),
    ?B(erlang, list_to_bitstring, [[<<1:3>>, 2, [<<3:7>>]]]),
    ?B(erlang, list_to_bitstring, [[a]]),
    ?B(erlang, iolist_to_iovec, [["ab", <<"cd">>]]),
    ?B(erlang, iolist_to_iovec, [[x]]),
    ?C(byte_size(list_to_binary([<<X:32>> || X <- seq(1, 50000)]))),
    ?C(erlang:crc32(iolist_to_binary([[X rem 256, integer_to_list(X)] || X <- seq(1, 20000)]))),
    ok.

qsort([]) -> [];
qsort([P | T]) -> qsort([X || X <- T, X < P]) ++ [P | qsort([X || X <- T, X >= P])].
deep(N) -> depth(nest(N, []), 0).
nest(0, A) -> A;
nest(N, A) -> nest(N - 1, [A]).
depth([], N) -> N;
depth([X], N) -> depth(X, N + 1).
flat([]) -> [];
flat([H | T]) -> flat(H) ++ flat(T);
flat(X) -> [X].
zip([A | As], [B | Bs]) -> [{A, B} | zip(As, Bs)];
zip([], []) -> [].
perms([]) -> [[]];
perms(L) -> [[H | T] || H <- L, T <- perms(L -- [H])].
walk([H | T]) -> [H, walk(T)];
walk(X) -> {tail, X}.
sieve([]) -> [];
sieve([P | T]) -> [P | sieve([X || X <- T, X rem P =/= 0])].
queens(N) -> q(N, N, [[]]).
q(0, _, B) -> B;
q(K, N, B) -> q(K - 1, N, [[C | Q] || Q <- B, C <- seq(1, N), safe(C, Q, 1)]).
safe(_, [], _) -> true;
safe(C, [Q | T], D) -> C =/= Q andalso abs(C - Q) =/= D andalso safe(C, T, D + 1).
hanoi(0, _, _, _) -> 0;
hanoi(N, A, B, C) -> hanoi(N - 1, A, C, B) + 1 + hanoi(N - 1, C, B, A).
ack(0, N) -> N + 1;
ack(M, 0) -> ack(M - 1, 1);
ack(M, N) -> ack(M - 1, ack(M, N - 1)).
