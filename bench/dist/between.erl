%% SPDX-License-Identifier: Apache-2.0
%% between.erl - how fast two nodes talk; bench/dist/run runs it on ours and on erl's
-module(between).
-export([oneway/2, trip/2, spawns/2, bytes/2, sink/0, echo/0]).

%% --- messages a second, one sender, one receiver

oneway(Node, N) ->
    P = spawn(Node, ?MODULE, sink, []),
    pour(P, 1000, small),
    per_second(N, fun() -> pour(P, N, small) end).

sink() -> receive {go, From, N} -> count(N), From ! counted, sink() end.

count(0) -> ok;
count(N) -> receive {m, _} -> count(N - 1) end.

pour(P, N, What) ->
    P ! {go, self(), N},
    send(P, N, What),
    receive counted -> ok end.

send(_, 0, _) -> ok;
send(P, N, small) -> P ! {m, N}, send(P, N - 1, small);
send(P, N, Bin) -> P ! {m, Bin}, send(P, N - 1, Bin).

%% --- nanoseconds there and back

trip(Node, N) ->
    P = spawn(Node, ?MODULE, echo, []),
    ping(P, 200),
    T0 = erlang:monotonic_time(nanosecond),
    ping(P, N),
    (erlang:monotonic_time(nanosecond) - T0) div N.

echo() -> receive {e, From, X} -> From ! X, echo() end.

ping(_, 0) -> ok;
ping(P, N) -> P ! {e, self(), N}, receive N -> ping(P, N - 1) end.

%% --- processes started there in a second, asked for all at once

spawns(Node, N) ->
    per_second(N, fun() ->
        ask(Node, N),
        await(N)
    end).

ask(_, 0) -> ok;
ask(Node, N) -> spawn_request(Node, erlang, node, [], []), ask(Node, N - 1).

await(0) -> ok;
await(N) -> receive {spawn_reply, _, ok, _} -> await(N - 1) end.

%% --- MB a second in binaries of 64 KiB

bytes(Node, N) ->
    P = spawn(Node, ?MODULE, sink, []),
    Bin = binary:copy(<<"x">>, 65536),
    pour(P, 50, Bin),
    per_second(N, fun() -> pour(P, N, Bin) end) * 65536 div 1000000.

per_second(N, Fun) ->
    T0 = erlang:monotonic_time(microsecond),
    Fun(),
    N * 1000000 div max(1, erlang:monotonic_time(microsecond) - T0).
