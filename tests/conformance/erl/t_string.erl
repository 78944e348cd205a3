%% SPDX-License-Identifier: Apache-2.0
%% t_string - grapheme clusters and letter case without OTP's module string
-module(t_string).
-export([main/0]).

main() ->
    [io:format("~s: ~w~n", [Name, result(F)]) || {Name, F} <- cases()],
    [case_of(Name, F, Range) || {Name, F} <- [{upper, fun string:uppercase/1}, {lower, fun string:lowercase/1},
                                              {title, fun string:titlecase/1}], Range <- ranges()],
    ok.

%% How a wrong argument fails is no part of the contract, that it fails is.
result(F) ->
    try F() catch error:_ -> error end.

cases() ->
    [{"length empty", fun() -> string:length(<<>>) end},
     {"length ascii", fun() -> string:length(<<"hello">>) end},
     {"length of a list", fun() -> string:length("hello") end},
     {"length nested", fun() -> string:length([<<"he">>, $l, ["lo"]]) end},
     {"length combining", fun() -> string:length([$e, 16#301, $a]) end},
     {"length crlf", fun() -> string:length("a\r\nb\n\r") end},
     {"length flags", fun() -> string:length([16#1F1E9, 16#1F1EA, 16#1F1EB, 16#1F1F7]) end},
     {"length family", fun() -> string:length([16#1F468, 16#200D, 16#1F469, 16#200D, 16#1F467]) end},
     {"length hangul", fun() -> string:length([16#1112, 16#1161, 16#11AB, 16#1100]) end},
     {"length skin", fun() -> string:length([16#1F44D, 16#1F3FD]) end},
     {"length bad", fun() -> string:length(foo) end},
     {"clusters empty", fun() -> string:to_graphemes(<<>>) end},
     {"clusters", fun() -> string:to_graphemes([$e, 16#301, $a, 13, 10]) end},
     {"clusters of a binary", fun() -> string:to_graphemes(<<"n\x{303}o"/utf8>>) end},
     {"clusters bad", fun() -> string:to_graphemes(foo) end},
     {"upper binary", fun() -> string:uppercase(<<"stra\x{df}e"/utf8>>) end},
     {"upper list", fun() -> string:uppercase("stra\x{df}e") end},
     {"upper empty", fun() -> {string:uppercase(<<>>), string:uppercase([])} end},
     {"upper ligature", fun() -> string:uppercase([16#FB03]) end},
     {"lower dotted", fun() -> string:lowercase([16#130, $I]) end},
     {"lower sigma", fun() -> string:lowercase([16#39F, 16#3A3]) end},
     {"title", fun() -> string:titlecase(<<"\x{df}ss"/utf8>>) end},
     {"title digraph", fun() -> string:titlecase([16#1C6, $A]) end},
     {"title empty", fun() -> string:titlecase(<<>>) end}].

%% Blocks that have not changed for many versions of Unicode.
ranges() -> [{0, 16#24F}, {16#370, 16#377}, {16#37A, 16#37F}, {16#384, 16#38A}, {16#38E, 16#3A1},
             {16#3A3, 16#52F}, {16#531, 16#556}, {16#561, 16#587}, {16#1E00, 16#1F15},
             {16#1F80, 16#1FB4}, {16#FB00, 16#FB17}, {16#10400, 16#1044F}].

case_of(Name, F, {From, To}) ->
    Results = [F([C]) || C <- seq(From, To)],
    io:format("~w ~.16b to ~.16b: ~w~n", [Name, From, To, erlang:phash2(Results)]).

seq(From, To) when From > To -> [];
seq(From, To) -> [From | seq(From + 1, To)].
