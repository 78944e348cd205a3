-module(nqueens).
-export([run/1]).

run(N) -> place(N, N, []).

place(_, 0, _) -> 1;
place(N, Row, Board) -> columns(N, N, Row, Board, 0).

columns(_, 0, _, _, Sum) -> Sum;
columns(N, Col, Row, Board, Sum) ->
    case safe(Col, 1, Board) of
        true -> columns(N, Col - 1, Row, Board, Sum + place(N, Row - 1, [Col | Board]));
        false -> columns(N, Col - 1, Row, Board, Sum)
    end.

safe(_, _, []) -> true;
safe(Col, D, [C | Rest]) ->
    case C /= Col andalso C /= Col + D andalso C /= Col - D of
        true -> safe(Col, D + 1, Rest);
        false -> false
    end.
