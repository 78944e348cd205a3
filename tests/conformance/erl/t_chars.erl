%% Conversions of chardata: what is left after an error keeps its nesting, characters may be cut.
%% Regular expressions: classes of ISO 8859-1, captures, repeated matches, compile errors.
-module(t_chars).
-include("conf.hrl").

main() -> chardata(), classes(), captures(), repeated(), compiled(), ok.

chardata() ->
    [begin
         ?B(unicode, characters_to_binary, [X, E]),
         ?B(unicode, characters_to_list, [X, E])
     end || E <- [utf8, latin1], X <- inputs()].

inputs() ->
    [[], <<>>, "abc", <<"abc">>, [228], <<228>>, <<195, 164>>, [16#20AC, <<195, 164>>],
     [<<195>>, <<164>>], <<195>>, <<"abc", 195>>, ["abc", <<195>> | "d"],
     [<<"ab", 195>>, "cd", <<"e">>], [<<"ab", 255>>, "cd", <<"e">>],
     [<<"ab", 255, "xy">>, "cd" | <<"e">>], ["ab", 16#D800, "c"], ["ab", [16#110000, "q"], "c"],
     ["a", -1], [a], a, [<<1:3>>], ["x" | y], ["abc", [<<"x", 226, 130>>], "z"],
     ["abc", [<<"x", 226, 130>>, <<172>>], "z"],
     ["abc", [<<"x", 226>>, <<130>>, [<<172, "k">>]], "z"], ["a" | <<"b">>], [<<"a", 226, 130>>],
     [<<"a", 226, 40>>], <<237, 160, 128>>, <<244, 144, 128, 128>>, <<192, 128>>, [1.0],
     [<<226>>, a], [<<"a", 226, 130>> | <<>>], [<<"a", 226, 130>>, [], <<>>],
     [<<"a", 226, 130>>, $a], <<240, 159, 152>>, <<240, 159, 152, 65>>, <<226, 130, 255>>,
     ["a", [<<255>>], [["b"], []]], ["a", [["b", <<255>>, "z"], "q"], "r"],
     [["ab"], [["c", 300]]], [["c", <<255>>]], ["c", <<255>>], [<<255>>], [[[<<255>>]]],
     [[<<255>>] | <<"x">>], ["a" | <<255>>], [["a" | <<255>>], "b"], [<<226>>, <<40>>],
     [<<195>>, ["d"]], [<<195>> | <<65>>], [[<<195>>], 65], [<<226>>, <<130>>, <<65, 66>>, "z"],
     [[<<226>>], [[<<130>>], <<65, 66>>, "z"], "y"], [<<226>>, <<130, 40>>, "z"],
     [<<226, 130>>, <<40>>], [<<255>>, a], [16#D800, a], [<<195>>, 65 | a], [<<195>>, 16#D800],
     [[<<195>>], [[]]], [<<226>>, [], <<>>, <<255>>, 66], [[[<<240>>]], <<65>>],
     [300 | <<195>>], <<237, 160>>, <<245>>, <<193>>, <<240, 159, 40>>, [1 bsl 70],
     [[<<226>>, <<40>>], "z"], [[<<226>>, <<40>>], []], [<<237>>, <<160>>, <<160>>],
     [16#FFFF, 16#FFFE], [<<195>>, <<164, 195>>, <<164>>]].

classes() ->
    [?CASE(C, [X || X <- bytes(255), re:run(<<X>>, C) =/= nomatch])
     || C <- ["[[:alpha:]]", "[[:lower:]]", "[[:upper:]]", "\\s", "\\w", "[[:graph:]]",
              "[[:print:]]", "[[:punct:]]", "[[:cntrl:]]", "\\d", "\\W", "[\\w-.]"]],
    ?CASE("caseless", [X || X <- bytes(255), re:run(<<X>>, <<228>>, [caseless]) =/= nomatch]).

bytes(N) -> bytes(N, []).
bytes(-1, L) -> L;
bytes(N, L) -> bytes(N - 1, [N | L]).

captures() ->
    [?B(re, run, [S, R, O])
     || {S, R, O} <-
            [{"abc", "(b)(x)?", []}, {"abc", "(x)?(b)", []},
             {"abc", "(b)(x)?", [{capture, all_but_first}]}, {"abc", "b", [{capture, all_but_first}]},
             {"abc", "(b)", [{capture, none}]}, {"abc", "(b)", [{capture, []}]},
             {"abc", "(b)(x)?", [{capture, [0, 1, 2, 3]}]},
             {"abc", "(b)(x)?", [{capture, [0, 1, 2, 3], list}]},
             {"abc", "(?<x>b)(?<y>x)?", [{capture, [x, "y", <<"z">>], binary}]},
             {"abc", "(?<b>b)(?<a>c)", [{capture, all_names, list}]},
             {"c", "(?<b>b)|(?<b>c)", [{capture, [b], list}, dupnames]},
             {"abc", "b", [{capture, all_names, list}]},
             {[300, 301], [301], [unicode, {capture, all, list}]},
             {[300, 301], [301], [unicode, {capture, all, binary}]}, {[300, 301], [301], [unicode]},
             {"abc", "(b)", [{capture, all, foo}]}, {"abc", "(b)", [{capture, [-1]}]},
             {"a\rb", "^b", [multiline, {newline, cr}]}, {"abcb", "b", [{offset, 2}]},
             {"abc", "(", [report_errors]}, {"abc", "(", []}, {[300], "a", []},
             {["a", <<"b">> | <<"c">>], "bc", []}]].

repeated() ->
    [?B(re, run, [S, R, [global | O]])
     || {S, R, O} <-
            [{"abab", "a", []}, {"abab", "x", []}, {"abab", "a", [{capture, all, list}]},
             {"aab", "a*", []}, {"aab", "", []}, {[228, 8364], "", [unicode]},
             {"a\r\nb", "$", [multiline, {newline, crlf}]}, {"abab", "b", [{offset, 2}]},
             {"abc", "b", [{capture, none}]}, {"xay", "(?=a)|a", []},
             {"aaa", "(a)|b", [{capture, [1], binary}]}]].

compiled() ->
    [?CASE(R, outline(re:compile(R)))
     || R <- ["(", ")", "[a", "*", "a{2,1}", "(?<n>a)(?<n>b)", "\\", "[z-a]", "(?P<1>a)", "a**",
              "x{99999}", "(?z)", "[[:foo:]]", "\\x{110000}", "(?#", "\\y", "[\\d-z]", "(?<a",
              "(?<n>a)(b)", "\\p{Foo}", "\\L", "(?C256)", "(*FOO)", "(?R", ""]],
    {ok, P} = re:compile("(?<x>b)(?<y>c)"),
    ?CASE("compiled", re:run("abc", P, [{capture, [y], list}])),
    ?CASE("too late", re:run("abc", P, [caseless])),
    ?CASE("names", re:inspect(P, namelist)),
    ?CASE("inspect", re:inspect(P, foo)),
    ?CASE("forged", re:run("abc", {re_pattern, 1, 0, 0, <<"foo">>}, [])).

outline({ok, {re_pattern, N, Unicode, CrLf, _}}) -> {N, Unicode, CrLf};
outline(E) -> E.
