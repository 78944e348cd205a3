%% victim.erl - a module with a little of everything, to be damaged byte by byte
-module(victim).
-export([main/0]).

main() ->
    L = [X * 2 || X <- [1, 2, 3]],
    F = fun(A) -> {A, L} end,
    M = #{a => 1, b => "two"},
    #{a := V} = M,
    <<H:8, R/binary>> = <<1, 2, 3>>,
    Self = self(),
    spawn(fun() -> Self ! {done, H, R} end),
    D = receive {done, Q, W} -> {Q, W} after 1000 -> late end,
    C = try error({bad, V}) catch error:{bad, E} -> E end,
    B = <<V:16, "text", (byte_size(R)):8>>,
    case {F(V), D, C, M#{c => 3.5 + V}} of
        {{1, [2 | _]}, {1, <<2, 3>>}, 1, #{c := 4.5}} -> io:put_chars(["ok ", integer_to_list(byte_size(B)), "\n"]);
        Other -> erlang:display(Other)
    end.
