%% io_lib:format with every directive, and the pretty printer.
-module(o_format).
-export([main/0]).
-compile(nowarn_format).

f(Fmt, Args) ->
    Text = try io_lib:format(Fmt, Args) catch C:R -> [atom_to_list(C), $:, atom_to_list(R)] end,
    io:put_chars([Fmt, " -> ", Text, "\n"]).

main() ->
    io:setopts([{encoding, unicode}]),
    f("~c|~5c|~-5c|", [$a, $b, $c]),
    f("~tc", [16#20ac]),
    f("~f|~10.3f|~-10.3f|~.0f", [3.14159, 3.14159, 3.14159, 2.5]),
    f("~e|~12.4e", [12345.678, 0.00012]),
    f("~g|~g|~.3g", [1.5, 1.0e20, 3.14159]),
    f("~s|~10s|~-10s|~.3s|~10.3s|", ["abc", "abc", "abc", "abcdef", "abcdef"]),
    f("~s", [<<"binary">>]),
    f("~s", [["io", $l, [<<"ist">>]]]),
    f("~ts", ["ünïcödé " ++ [16#20ac]]),
    f("~w|~10w|~-10w|~.3w", [abc, abc, abc, abc]),
    f("~w", [[1, 2.5, "str", <<"bin">>, {t, []}, #{a => 1}, 'Quoted atom', <<1:3>>]]),
    f("~p", [[1, 2.5, "str", <<"bin">>, {t, []}, #{a => 1}, 'Quoted atom', <<1:3>>]]),
    f("~tp ~tw", ["é" ++ [16#20ac], 'é']),
    f("~W ~P", [lists:seq(1, 20), 5, lists:seq(1, 20), 5]),
    f("~W", [{a, {b, {c, {d, {e}}}}}, 3]),
    f("~B|~10B|~-10B|~10.16B|~.2B", [42, 42, 42, 255, 5]),
    f("~b ~.16b", [-17, 48879]),
    f("~x|~.16x|~X", [10, "0x", 255, "0x", 255, "pre"]),
    f("~#|~.16#|~.2#", [10, 255, 5]),
    f("~.8+ ~.16+", [64, 48879]),
    f("~i~w", [ignored, shown]),
    f("~~ ~n", []),
    f("~*c|~*w", [3, $x, 6, a]),
    f("~10..0B|~5..*s", [42, "ab"]),
    f("~p", [lists:seq(1, 60)]),
    f("~p", [[{list_to_atom("key_" ++ integer_to_list(I)), I, "a string value", [a, b, {c}]} || I <- lists:seq(1, 12)]]),
    f("~p", [maps:from_list([{list_to_atom("k" ++ integer_to_list(I)), lists:duplicate(I, x)} || I <- lists:seq(1, 10)])]),
    f("~p", [{record, "name", [1, 2, 3], <<"some bytes that are long enough to be broken over several lines, perhaps">>}]),
    f("~30p|~60p", [lists:seq(1, 30), lists:seq(1, 30)]),
    f("~lp", [[1, 2, 3]]),
    f("~0p", [lists:seq(1, 60)]),
    f("~p ~p ~p", [1.0e100, -0.0, 1.0e-10]),
    f("~p ~p", [1 bsl 200, -(1 bsl 70)]),
    f("~p", ["with \"quotes\" and \\ and \n newline \t tab"]),
    f("~p", [fun lists:map/2]),
    f("~p ~p", [1]),
    f("~y", [1]),
    io:put_chars([io_lib:write_string("a\"b"), io_lib:write_atom('a b'), io_lib:print({a, "b"}), "\n"]),
    io:format("~p~n", [io_lib:fread("~d ~s ~f", "42 word 2.5")]),
    io:format("~p~n", [io_lib:char_list("abc")]),
    io:format("~s~n", [io_lib:nl()]).
