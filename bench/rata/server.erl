-module(server).
-export([run/1]).

run(N) ->
    Server = spawn(fun() -> loop(0) end),
    Sum = calls(N, Server, 0),
    Server ! stop,
    Sum.

calls(0, _, Sum) -> Sum;
calls(N, Server, Sum) -> calls(N - 1, Server, Sum + call(Server, N)).

call(Server, Request) ->
    Ref = monitor(process, Server),
    Server ! {'$gen_call', {self(), Ref}, Request},
    receive
        {Ref, Reply} ->
            demonitor(Ref, [flush]),
            Reply
    after 5000 -> timeout
    end.

loop(State) ->
    receive
        {'$gen_call', {From, Ref}, Request} -> answer(From, Ref, State, Request);
        stop -> ok
    end.

answer(From, Ref, State, Request) ->
    From ! {Ref, Request rem 7},
    loop(State + 1).
