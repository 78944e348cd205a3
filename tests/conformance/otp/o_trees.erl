%% gb_trees, gb_sets, dict, orddict, sets, ordsets, queue, array of OTP's stdlib, on our engine.
-module(o_trees).
-export([main/0]).

main() ->
    T = lists:foldl(fun(I, A) -> gb_trees:enter((I * 7919) rem 10007, I, A) end,
                    gb_trees:empty(), lists:seq(1, 5000)),
    io:format("gb_trees ~p ~p ~p ~p~n", [gb_trees:size(T), gb_trees:smallest(T), gb_trees:largest(T),
                                        gb_trees:lookup(7919, T)]),
    T2 = gb_trees:balance(lists:foldl(fun gb_trees:delete/2, T, lists:sublist(gb_trees:keys(T), 100))),
    io:format("deleted ~p ~p~n", [gb_trees:size(T2), erlang:phash2(gb_trees:to_list(T2))]),
    S = gb_sets:from_list([c, a, b, a]),
    io:format("gb_sets ~p ~p~n", [gb_sets:to_list(S), gb_sets:is_member(b, S)]),
    D = dict:from_list([{K, K * K} || K <- lists:seq(1, 300)]),
    D2 = dict:update_counter(17, 5, dict:store(x, y, dict:erase(200, D))),
    io:format("dict ~p ~p ~p ~p~n", [dict:size(D2), dict:fetch(17, D2), dict:find(200, D2),
                                    lists:sum([V || {_, V} <- dict:to_list(D2), is_integer(V)])]),
    io:format("merge ~p~n", [lists:sort(dict:to_list(dict:merge(fun(_, A, B) -> {A, B} end,
                                dict:from_list([{a, 1}, {b, 2}]), dict:from_list([{b, 3}, {c, 4}]))))]),
    io:format("orddict ~p~n", [orddict:store(b, 3, orddict:from_list([{c, 1}, {a, 2}]))]),
    io:format("sets ~p~n", [lists:sort(sets:to_list(sets:union(sets:from_list([1, 2]), sets:from_list([2, 3]))))]),
    io:format("ordsets ~p~n", [ordsets:subtract([a, b, c], [b])]),
    Q = queue:in(3, queue:in(2, queue:in(1, queue:new()))),
    {{value, H}, Q1} = queue:out(Q),
    io:format("queue ~p ~p~n", [H, queue:to_list(queue:reverse(Q1))]),
    A = array:set(100, z, array:from_list([a, b, c])),
    io:format("array ~p ~p ~p~n", [array:size(A), array:get(1, A), array:sparse_to_list(A)]),
    G = digraph:new(),
    [digraph:add_vertex(G, V) || V <- [a, b, c, d]],
    [digraph:add_edge(G, X, Y) || {X, Y} <- [{a, b}, {b, c}, {c, d}, {a, d}]],
    io:format("digraph ~p ~p~n", [digraph:get_short_path(G, a, d), lists:sort(digraph_utils:topsort(G))]),
    digraph:delete(G),
    io:format("proplists ~p~n", [proplists:get_value(b, [a, {b, 2}])]).
