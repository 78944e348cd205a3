%% One million processes alive at once; each answers once.
-module(o_million).
-export([main/0]).

main() ->
    N = 1000000,
    Me = self(),
    Pids = start(N, Me, []),
    io:format("alive ~p~n", [length(Pids)]),
    [P ! go || P <- Pids],
    io:format("answers ~p~n", [collect(N, 0)]).

start(0, _, L) -> L;
start(N, Me, L) -> start(N - 1, Me, [spawn(fun() -> receive go -> Me ! 1 end end) | L]).

collect(0, S) -> S;
collect(N, S) -> receive X -> collect(N - 1, S + X) end.
