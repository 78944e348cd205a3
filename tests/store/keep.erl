%% keep.erl - writers that note what was acknowledged, and the check of what is left after a crash
%%
%%   keep:main(["check", Folder])          look at the tables beside the notes in Folder; halt(1) and a
%%                                         line for each lie found
%%   keep:main(["write", Folder, Writers]) check, then write until killed; "writing" on standard output
%%   keep:main(["fill", Folder])           write until the store is full, make room, write again
%%
%% Each writer W counts rounds; when all writes of round N are acknowledged it notes N in a file of
%% its own. A killed node may have done any part of round N + 1, in order, and nothing more. A write
%% that fails (an injected error) is tried again until it succeeds.
-module(keep).
-export([main/1]).

main(["write", Dir, Writers]) ->
    open(),
    check(Dir),
    io:format("writing~n"),
    [spawn(fun() -> writer(W, Dir) end) || W <- lists:seq(1, list_to_integer(Writers))],
    receive never -> ok end;
main(["check", Dir]) ->
    open(),
    check(Dir);
main(["fill", _Dir]) ->
    T = ets:new(big, [set, public, {persist, true}]),
    N = fill(T, 1),
    io:format("full at ~s~n", [case N > 20 of true -> "last"; false -> "once" end]),
    {'EXIT', {{store, full}, _}} = (catch ets:insert(T, {more, 1})),
    io:format("refuses~n").

open() ->
    P = {persist, true},
    ets:new(plain, [set, public, P]),
    ets:new(past, [ordered_set, public, P, {history, infinity}]),
    ets:new(pile, [bag, public, P]),
    ets:new(gone, [set, public, P]),
    ets:new(lazy, [ordered_set, public, P, {sync, false}]).

fill(T, N) ->
    case catch ets:insert(T, {N, binary:copy(<<N>>, 20000)}) of
        true when N < 1000000 -> fill(T, N + 1);
        {'EXIT', {{store, full}, _}} -> N
    end.

%% --- writing --------------------------------------------------------------------------------

writer(W, Dir) ->
    {ok, Fd} = file:open(note(W, Dir), [read, write, raw, binary]),
    rounds(W, Fd, acked(W, Dir) + 1).

rounds(W, Fd, N) ->
    sure(fun() -> ets:insert(plain, [{{W, a}, N}, {{W, b}, N}]) end),
    sure(fun() -> ets:insert(past, {W, N}) end),
    sure(fun() -> ets:insert(pile, {W, N}) end),
    sure(fun() -> ets:delete_object(pile, {W, N - 5}) end),
    sure(fun() -> ets:insert(gone, {{W, N}, binary:copy(<<N:32>>, N rem 300)}) end),
    sure(fun() -> ets:delete(gone, {W, N - 1}) end),
    sure(fun() -> ets:insert(lazy, {W, N}) end),
    ok = file:pwrite(Fd, 0, <<N:64>>),
    rounds(W, Fd, N + 1).

sure(F) ->
    try F() of true -> ok
    catch error:{store, _} -> receive after 5 -> sure(F) end
    end.

note(W, Dir) -> Dir ++ "/acked." ++ integer_to_list(W).

acked(W, Dir) ->
    case file:read_file(note(W, Dir)) of
        {ok, <<N:64>>} -> N;
        _ -> 0
    end.

%% --- checking --------------------------------------------------------------------------------

check(Dir) ->
    {ok, Names} = file:list_dir(Dir),
    Ws = [list_to_integer(W) || "acked." ++ W <- Names],
    Lies = lists:append([writer_lies(W, acked(W, Dir)) || W <- Ws]),
    [io:format("lie: ~p~n", [L]) || L <- Lies],
    io:format("checked ~p writers, ~p rounds~n", [length(Ws), lists:sum([acked(W, Dir) || W <- Ws])]),
    case Lies of
        [] -> ok;
        _ -> halt(1)
    end.

writer_lies(W, A) ->
    [L || {false, L} <- [plain(W, A), past(W, A), pile(W, A), gone(W, A), lazy(W, A)]].

%% both rows of the pair or none
plain(W, A) ->
    Got = {value(plain, {W, a}), value(plain, {W, b})},
    {Got =:= {A, A} orelse Got =:= {A + 1, A + 1}, {plain, W, A, Got}}.

past(W, A) ->
    Last = value(past, W),
    H = store:history(past, W, 0, infinity),
    Good = (Last =:= A orelse Last =:= A + 1) andalso rises(H, 0, 0, Last)
        andalso as_of(W, H),
    {Good, {past, W, A, Last, lists:sublist(lists:reverse(H), 5)}}.

%% times rise, values are counted up; a round begun twice is there twice
rises([], _, V, Last) -> V =:= Last;
rises([{T, [{_, V}]} | H], T0, V0, Last) when T > T0, (V =:= V0 + 1 orelse V =:= V0) ->
    rises(H, T, V, Last);
rises(_, _, _, _) -> false.

as_of(_, []) -> true;
as_of(W, H) ->
    {T, [Row]} = lists:nth((length(H) + 1) div 2, H),
    lists:member(Row, store:as_of(past, T)) andalso store:history(past, W, T, T) =:= [{T, [Row]}].

pile(W, A) ->
    Got = lists:sort([N || {_, N} <- ets:lookup(pile, W)]),
    May = [[N || N <- L, N > 0] || L <- [lists:seq(A - 4, A), lists:seq(A - 4, A + 1),
                                         lists:seq(A - 3, A + 1)]],
    {lists:member(Got, May), {pile, W, A, Got}}.

gone(W, A) ->
    Got = lists:sort([{N, B =:= binary:copy(<<N:32>>, N rem 300)} || {{X, N}, B} <- ets:tab2list(gone), X =:= W]),
    May = [[{N, true} || N <- L, N > 0] || L <- [[A], [A, A + 1], [A + 1]]],
    {lists:member(Got, May), {gone, W, A, Got}}.

lazy(W, A) ->
    Got = value(lazy, W),
    {Got =< A + 1, {lazy, W, A, Got}}.

value(T, K) ->
    case ets:lookup(T, K) of
        [{_, N}] -> N;
        [] -> 0
    end.
