-module(maps_).
-export([run/1]).

run(N) -> repeat(N, #{count => 0, total => 0, name => <<"bench">>, items => #{}}).

repeat(0, M) -> {maps:get(count, M), maps:get(total, M), map_size(maps:get(items, M))};
repeat(N, M) -> repeat(N - 1, step(M, N)).

step(#{count := C, total := T, items := Items0} = M, N) ->
    Items = maps:put(modulo(N, 100), N, Items0),
    Total = T + value(Items, modulo(N, 50)),
    maps:put(items, Items, maps:put(total, Total, maps:put(count, C + 1, M))).

modulo(X, Y) when is_integer(X), is_integer(Y), Y > 0 ->
    case X rem Y of
        R when R < 0 -> R + Y;
        R -> R
    end.

value(Items, K) ->
    case Items of
        #{K := V} -> V;
        _ -> 0
    end.
