%% SPDX-License-Identifier: Apache-2.0
%% turns - others get their turns while a built-in works on much
%%
%% For a machine with one scheduler. Each case runs a built-in on a large input while another process
%% counts how often it is scheduled; nothing is said about time. A case that ran in one go shows at
%% most two turns: one before and one after. Prints TAP.
-module(turns).
-export([main/0]).

-define(LEAST, 8).

main() ->
    Seq = seq(1000000, []),
    Pairs = [{N, N} || N <- Seq],
    Bin = bytes(4 * 1024 * 1024),
    Vowels = bytes(200000),
    Text = binary_to_list(bytes(300000)),
    Map = maps:from_list(Pairs),
    Other = maps:from_list([{-N, N} || N <- Seq]),
    Etf = term_to_binary(Pairs),
    Packed = term_to_binary(Pairs, [compressed]),
    Parts = [Bin, "abc", [Seq2 || Seq2 <- Text]],
    [Set, Ordered] = [ets:new(t, [Type, public]) || Type <- [set, ordered_set]],
    [ets:insert(T, {N, N}) || T <- [Set, Ordered], N <- Seq, N =< 200000],
    Cases =
        [{"'++'/2", fun() -> Seq ++ [x] end},
         {"'--'/2", fun() -> Seq -- tl(Seq) end},
         {"lists:reverse/2", fun() -> lists:reverse(Seq, []) end},
         {"lists:member/2", fun() -> [lists:member(x, Seq) || _ <- "abcd"] end},
         {"lists:keyfind/3", fun() -> [lists:keyfind(x, 1, Pairs) || _ <- "abcd"] end},
         {"lists:keymember/3", fun() -> [lists:keymember(x, 2, Pairs) || _ <- "abcd"] end},
         {"lists:keysearch/3", fun() -> [lists:keysearch(x, 1, Pairs) || _ <- "abcd"] end},
         {"term_to_binary/1", fun() -> term_to_binary(Pairs) end},
         {"term_to_binary/2, compressed", fun() -> term_to_binary(Pairs, [compressed]) end},
         {"term_to_binary/1 of a map", fun() -> term_to_binary(Map) end},
         {"external_size/1", fun() -> erlang:external_size(Pairs) end},
         {"binary_to_term/1", fun() -> binary_to_term(Etf) end},
         {"binary_to_term/1, compressed", fun() -> binary_to_term(Packed) end},
         {"iolist_to_binary/1", fun() -> iolist_to_binary(Parts) end},
         {"iolist_size/1", fun() -> [iolist_size(Text) || _ <- "abcdefgh"] end},
         {"iolist_to_iovec/1", fun() -> [erlang:iolist_to_iovec(Parts) || _ <- "abcd"] end},
         {"list_to_binary/1", fun() -> list_to_binary(Parts) end},
         {"list_to_bitstring/1", fun() -> list_to_bitstring(Parts) end},
         {"binary_to_list/1", fun() -> binary_to_list(Bin) end},
         {"binary:match/2", fun() -> binary:match(Bin, <<"nowhere here">>) end},
         {"binary:match/2 of several", fun() -> binary:match(Bin, [<<"nowhere">>, <<"zzz">>]) end},
         {"binary:matches/2", fun() -> binary:matches(Bin, <<"a">>) end},
         {"binary:split/3", fun() -> binary:split(Bin, <<"b">>, [global]) end},
         {"maps:from_list/1", fun() -> maps:from_list(Pairs) end},
         {"maps:from_keys/2", fun() -> maps:from_keys(Seq, x) end},
         {"maps:keys/1", fun() -> maps:keys(Map) end},
         {"maps:values/1", fun() -> maps:values(Map) end},
         {"maps:merge/2", fun() -> maps:merge(Map, Other) end},
         {"erlang:md5/1", fun() -> erlang:md5(Bin) end},
         {"erlang:crc32/1", fun() -> erlang:crc32(Bin) end},
         {"erlang:adler32/1", fun() -> erlang:adler32([Bin, Bin, Bin]) end},
         {"erlang:phash2/1", fun() -> erlang:phash2(Pairs) end},
         {"unicode:characters_to_list/2",
          fun() -> unicode:characters_to_list(Bin, utf8) end},
         {"unicode:characters_to_binary/2",
          fun() -> unicode:characters_to_binary(Text, latin1) end},
         {"re:run/2 that goes back and forth",
          fun() -> re:run("aaaaaaaaaaaaaaaaaaaaaaaaaab", "(a|aa)+$") end},
         {"re:run/3, global", fun() -> re:run(Vowels, "[aeiou]+", [global]) end},
         {"ets:select_count/2", fun() -> ets:select_count(Set, [{{'_', x}, [], [true]}]) end},
         {"ets:match_object/2, ordered_set", fun() -> ets:match_object(Ordered, {'_', x}) end},
         {"ets:select_delete/2", fun() -> ets:select_delete(Set, [{{'_', x}, [], [true]}]) end},
         {"ets:delete_all_objects/1", fun() -> ets:delete_all_objects(Set) end},
         {"ets:delete/1, ordered_set", fun() -> ets:delete(Ordered) end}],
    put_line(["1..", integer_to_list(length(Cases) + 4)]),
    N = cases(Cases, 1),
    killed(N, Pairs),
    told(N + 1, Pairs),
    shown(N + 2, Seq),
    collected(N + 3, Pairs).

cases([], N) -> N;
cases([{Name, F} | More], N) ->
    Turns = turns(F),
    result(N, Turns >= ?LEAST, [Name, ": ", integer_to_list(Turns), " turns"]),
    cases(More, N + 1).

%% How often another process has its turn while F works.
turns(F) ->
    Self = self(),
    {Other, Ref} = spawn_monitor(fun() -> Self ! ready, count(Self, 0) end),
    receive ready -> ok end,
    erlang:garbage_collect(),
    erlang:yield(),
    _ = F(),
    Other ! {stop, Self},
    receive {turns, N} -> ok end,
    receive {'DOWN', Ref, process, Other, normal} -> N end.

count(Who, N) ->
    receive
        {stop, Who} -> Who ! {turns, N}
    after 0 ->
        erlang:yield(),
        count(Who, N + 1)
    end.

%% An exit signal that comes in the middle is obeyed when the built-in is done.
killed(N, Pairs) ->
    {Pid, Ref} = spawn_monitor(fun() -> busy(Pairs) end),
    erlang:yield(),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, Reason} -> ok end,
    result(N, Reason =:= killed, "a process is killed in the middle").

%% Messages that come in the middle are there afterwards, in their order.
told(N, Pairs) ->
    Self = self(),
    Pid = spawn_link(fun() -> Self ! go, _ = term_to_binary(Pairs), Self ! all(10, []) end),
    receive go -> ok end,
    [begin Pid ! {I, Pairs2}, erlang:yield() end || Pairs2 <- [[x, {y}]], I <- seq(10, [])],
    Got = receive L when is_list(L) -> L end,
    result(N, Got =:= seq(10, []), "messages are kept meanwhile").

all(0, Acc) -> lists:reverse(Acc, []);
all(N, Acc) -> receive {I, [x, {y}]} -> all(N - 1, [I | Acc]) end.

busy(Pairs) -> _ = term_to_binary(Pairs), busy(Pairs).

%% An exception after a pause has the arguments of the call, and the caller below it.
shown(N, Seq) ->
    Bad = Seq ++ end_of_list,
    Good = try catenate(Bad) of _ -> false
           catch error:badarg:Trace -> is_shown(Bad, Trace)
           end,
    result(N, Good, "an exception after a pause shows the call").

catenate(List) -> {List ++ y}.

is_shown(Bad, [{erlang, '++', [Bad, y], _}, {?MODULE, catenate, 1, _} | _]) -> true;
is_shown(_, _) -> false.

%% A collection asked for by another process waits until the built-in is done.
collected(N, Pairs) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({size, byte_size(term_to_binary(Pairs))}) end),
    erlang:yield(),
    Answer = erlang:garbage_collect(Pid),
    Size = byte_size(term_to_binary(Pairs)),
    receive {'DOWN', Ref, process, Pid, Reason} -> ok end,
    result(N, is_boolean(Answer) andalso Reason =:= {size, Size}, "nothing is collected meanwhile").

seq(0, Acc) -> Acc;
seq(N, Acc) -> seq(N - 1, [N | Acc]).

bytes(N) -> binary:copy(<<"abcdefghijklmnop">>, N div 16).

result(N, true, Text) -> put_line(["ok ", integer_to_list(N), " - ", Text]);
result(N, false, Text) -> put_line(["not ok ", integer_to_list(N), " - ", Text]).

put_line(Text) -> io:put_chars([Text, $\n]).
