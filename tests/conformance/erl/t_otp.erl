%% Built-ins whose rarer forms OTP finishes in Erlang.
%% needs: otp
-module(t_otp).
-include("conf.hrl").
-include_lib("stdlib/include/ms_transform.hrl").

main() ->
    [?B(re, run, [S, R, O])
     || {S, R, O} <- [{"hello", "l", [global]}, {"hello", "(l)", [global, {capture, all, list}]},
                      {"aaa", "a", [global, {capture, first, list}]}, {"aa", "", [global]},
                      {"foo", "(?=o)", [global]}, {"aaaa", "a{2}", [global]},
                      {"k=v; k2=v2", "(\\w+)=(\\w+)", [global, {capture, all_but_first, binary}]}]],
    ?C(begin
           {match, L} = re:run(binary:copy(<<"ab ">>, 2000), "[a-z]+", [global]),
           length(L)
       end),
    [?B(re, replace, [S, R, W, O])
     || {S, R, W, O} <- [{"a1b22", "\\d+", "<&>", [global, {return, list}]},
                         {"abc", "(b)", "[\\1]", [{return, list}]}, {"abc", "x", "y", []},
                         {"hello", "l", "L", [{return, binary}]}]],
    [?B(re, split, [S, R, O])
     || {S, R, O} <- [{"a, b,c", ",\\s*", [{return, list}]}, {"a1b2", "(\\d)", [{return, list}]},
                      {"abc", "", [{return, list}]}, {"a,b,", ",", [trim, {return, list}]},
                      {"a,b,c", ",", [{parts, 2}, {return, list}]}]],
    [?B(unicode, characters_to_list, [X, E])
     || {X, E} <- [{<<0, 233>>, utf16}, {<<233, 0>>, {utf16, little}},
                   {<<216, 0, 220, 0>>, {utf16, big}}, {<<0, 0, 0, 233>>, utf32},
                   {<<0, 233, 0>>, utf16}, {<<1>>, bad}]],
    [?B(unicode, characters_to_binary, [X, I, O])
     || {X, I, O} <- [{"h\x{e9}llo", unicode, utf8}, {<<233>>, latin1, utf8},
                      {<<195, 169>>, utf8, latin1}, {[8364], unicode, latin1},
                      {[8364], unicode, utf16}, {[66376], unicode, {utf16, little}},
                      {[66376], unicode, utf32}, {<<255, 1>>, utf8, utf8},
                      {[<<"ab">>, 16#d800], unicode, utf8}, {a, unicode, utf8}]],
    [?B(maps, F, A)
     || {F, A} <- [{to_list, [#{a => 1}]}, {map, [fun(_, V) -> V + 1 end, #{a => 1}]},
                   {fold, [fun(_, V, S) -> V + S end, 0, #{a => 1, b => 2}]},
                   {filter, [fun(_, V) -> V > 1 end, #{a => 1, b => 2}]},
                   {get, [z, #{}, none]}, {with, [[a], #{a => 1, b => 2}]},
                   {without, [[a], #{a => 1, b => 2}]}, {update_with, [a, fun(X) -> X * 2 end, #{a => 4}]},
                   {groups_from_list, [fun(X) -> X rem 2 end, [1, 2, 3]]}]],
    ?C(iterate(maps:next(maps:iterator(maps:from_list([{X, X} || X <- seq(1, 100)]))), 0)),
    [?B(lists, F, A)
     || {F, A} <- [{sort, [[3, 1, 2]]}, {usort, [[3, 1, 3, 1.0]]}, {keysort, [2, [{a, 2}, {b, 1}]]},
                   {seq, [1, 5]}, {nth, [2, [a, b]]}, {nth, [3, [a]]}, {last, [[1, 2]]},
                   {flatten, [[1, [2, [3]]]]}, {zip, [[1, 2], [a, b]]}, {sum, [[1, 2.5]]},
                   {foldl, [fun(X, S) -> X - S end, 0, [1, 2, 3]]},
                   {partition, [fun(X) -> X > 1 end, [1, 2, 3]]}, {duplicate, [3, x]},
                   {reverse, [[1, 2]]}, {append, [[[1], [2]]]}, {split, [1, [a, b]]}]],
    ?C(ets_more()),
    ok.

iterate(none, S) -> S;
iterate({K, V, I}, S) -> iterate(maps:next(I), S + K * V).

ets_more() ->
    T = ets:new(t, [ordered_set]),
    ets:insert(T, [{X, X} || X <- seq(1, 5)]),
    {ets:tab2list(T), ets:foldl(fun({_, V}, S) -> V + S end, 0, T),
     ets:fun2ms(fun({A, B}) when A > 1 -> B end)}.
