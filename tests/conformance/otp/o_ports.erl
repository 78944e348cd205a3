%% o_ports.erl - programs outside: open_port and all that speaks with a port
-module(o_ports).
-export([main/0]).

main() ->
    catch logger:set_primary_config(level, none),      % OTP reports some of the faults
    process_flag(trap_exit, true),
    commands(),
    ends(),
    lines(),
    executables(),
    bad_arguments(),
    packets(),
    owners(),
    monitors(),
    faults(),
    much().

show(X) -> io:format("~p~n", [X]).

commands() ->
    P = open_port({spawn, "cat"}, []),
    show([is_port(P), is_pid(P), lists:member(P, erlang:ports())]),
    show([P > make_ref(), P < self(), list_to_port(erlang:port_to_list(P)) =:= P]),
    P ! {self(), {command, ["hello ", <<"world">>]}},
    show(data(P, 11)),
    show([port_command(P, "abc"), data(P, 3)]),
    show([K || {K, _} <- erlang:port_info(P)]),
    show([erlang:port_info(P, connected) =:= {connected, self()},
          erlang:port_info(P, links) =:= {links, [self()]}]),
    show([erlang:port_info(P, I) || I <- [name, input, output, registered_name, queue_size, monitors]]),
    show(try_it(fun() -> erlang:port_info(P, foo) end)),
    true = register(catty, P),
    show([whereis(catty) =:= P, erlang:port_info(catty, registered_name)]),
    catty ! {self(), {command, "by name"}},
    show(data(P, 7)),
    P ! {self(), close},
    show([setelement(2, next(), port), setelement(1, next(), port)]),
    show([erlang:port_info(P), whereis(catty), lists:member(P, erlang:ports())]),
    P ! {self(), {command, "lost"}},
    show([try_it(F) || F <- [fun() -> port_command(P, "x") end, fun() -> port_close(P) end,
                             fun() -> port_connect(P, self()) end,
                             fun() -> port_command(nobody, "x") end, fun() -> port_close(foo) end,
                             fun() -> process_info(P) end, fun() -> is_process_alive(P) end]]).

%% what is told at the end, and what the program gets
ends() ->
    [run(C, O) || {C, O} <- [{"exit 3", [exit_status]}, {"echo out; exit 0", [exit_status, binary]},
                             {"echo out", [eof]}, {"echo both; exit 4", [eof, exit_status]},
                             {"kill -9 $$", [exit_status]}, {"echo err 1>&2", [stderr_to_stdout]},
                             {"true", []}, {"pwd", [{cd, "/usr"}]},
                             {"echo $FOO-$HOME", [{env, [{"FOO", "bar"}, {"HOME", false}]}]},
                             {"echo up >&4", [nouse_stdio, exit_status]},
                             {"no_such_command 2>/dev/null", [exit_status]}]].

lines() ->
    [run(C, O) || {C, O} <- [{"printf 'abc\\ndefgh\\nij'", [{line, 3}, exit_status]},
                             {"printf 'abc\\ndefgh\\nij'", [{line, 100}]},
                             {"printf 'ab\\n\\ncd\\n'", [{line, 2}, binary]},
                             {"printf 'abcdef'", [{line, 3}]}]].

executables() ->
    exe("/bin/echo", [{args, ["a b", <<"c">>, "d'e"]}]),
    exe("/bin/sh", [{args, ["-c", "echo $0"]}, {arg0, "myself"}]),
    show([try_it(fun() -> open_port({spawn_executable, X}, []) end)
          || X <- ["/no/such/file", "/etc/passwd", "", 5]]).

bad_arguments() ->
    Program = {spawn_executable, "/bin/cat"},
    show([try_it(fun() -> open_port(N, O) end)
          || {N, O} <- [{{spawn, ""}, []}, {{spawn, 3}, []}, {{spawn, "cat"}, [bad]},
                        {{spawn, "cat"}, [{packet, 3}]}, {{spawn, "cat"}, [{line, 0}]},
                        {{spawn, "cat"}, [{args, ["x"]}]}, {{spawn, "cat"}, foo},
                        {Program, [{args, foo}]}, {Program, [{env, [{a, "b"}]}]}]]),
    P = open_port({spawn, "cat"}, []),
    show([try_it(F) || F <- [fun() -> erlang:port_control(P, 1, "x") end,
                             fun() -> erlang:port_connect(P, foo) end,
                             fun() -> port_command(P, foo) end,
                             fun() -> port_command(P, "x", [bad]) end]]),
    catch port_close(P),
    flush().

packets() ->
    P = open_port({spawn, "cat"}, [{packet, 2}, binary]),
    [port_command(P, X) || X <- ["one", <<>>, lists:duplicate(1000, $x), "two"]],
    show([begin {P, {data, D}} = next(), byte_size(D) end || _ <- [1, 2, 3, 4]]),
    show(try_it(fun() -> port_command(P, lists:duplicate(65536, $x)) end)),
    show(reason(P)),
    Q = open_port({spawn, "cat"}, [{packet, 4}]),
    Q ! {self(), {command, "four"}},
    show(element(2, next())),
    true = port_close(Q),
    show(receive {'EXIT', Q, R} -> R after 0 -> none end).

owners() ->
    Me = self(),
    P = open_port({spawn, "cat"}, []),
    W = spawn_link(fun() -> Me ! ready, forward(Me) end),
    receive ready -> ok end,
    P ! {self(), {connect, W}},
    show(element(2, next())),
    show([erlang:port_info(P, connected) =:= {connected, W}, erlang:port_info(P, links) =:= {links, [Me]}]),
    true = port_command(P, "via"),
    show(element(2, next())),
    P ! {self(), {command, "not the owner"}},
    show(case next() of {'EXIT', W, Why} -> Why; Other -> Other end),
    unlink(P),
    true = erlang:port_connect(P, self()),
    show(erlang:port_info(P, links) =:= {links, [self()]}),
    port_close(P),
    flush(),
    {_, M} = spawn_monitor(fun() -> Me ! {port, open_port({spawn, "cat"}, [])} end),
    Q = receive {port, X} -> X end,
    receive {'DOWN', M, _, _, _} -> ok end,
    gone(Q, 100),
    show(erlang:port_info(Q)).

monitors() ->
    P = open_port({spawn, "cat"}, [in, out]),
    unlink(P),
    M = erlang:monitor(port, P),
    show(erlang:port_info(P, monitored_by) =:= {monitored_by, [self()]}),
    port_close(P),
    show(case next() of {'DOWN', M, port, P, R} -> R; X -> X end),
    N = erlang:monitor(port, P),
    show(case next() of {'DOWN', N, port, P, S} -> S; Y -> Y end),
    show([try_it(F) || F <- [fun() -> erlang:monitor(port, self()) end,
                             fun() -> erlang:monitor(process, P) end, fun() -> link(P) end]]),
    show(reason(P)).

faults() ->
    P = open_port({spawn, "cat"}, []),
    exit(P, because),
    show(reason(P)),
    Q = open_port({spawn, "cat"}, []),
    Q ! {self(), {command, [foo]}},
    show(reason(Q)),
    show(erlang:port_info(Q) =/= undefined),
    catch port_close(Q),
    flush(),
    R = open_port({spawn, "true"}, [out]),
    receive after 300 -> ok end,
    show(try_it(fun() -> port_command(R, "x"), port_command(R, "y") end)),
    show(reason(R)).

%% more than a pipe holds, both ways; a program that is not taken in hand is in nobody's way
much() ->
    P = open_port({spawn, "head -c 3000000 /dev/zero"}, [binary, exit_status, in]),
    show(count(P, 0)),
    flush(),
    Q = open_port({spawn, "/bin/sh -c 'sleep 0.2; wc -c'"}, [exit_status]),
    [true = port_command(Q, lists:duplicate(10000, $z)) || _ <- lists:seq(1, 40)],
    show(erlang:port_info(Q, output)),
    port_close(Q),
    flush(),
    Ports = [open_port({spawn, "cat"}, []) || _ <- lists:seq(1, 50)],
    [port_command(X, integer_to_list(N + 100)) || {N, X} <- lists:zip(lists:seq(1, 50), Ports)],
    show([data(X, 3) || X <- Ports]).

count(P, N) ->
    receive {P, {data, D}} -> count(P, N + byte_size(D)); {P, {exit_status, S}} -> {N, S} end.

gone(_, 0) -> ok;
gone(P, N) ->
    case erlang:port_info(P) of
        undefined -> ok;
        _ -> receive after 10 -> gone(P, N - 1) end
    end.

forward(To) -> receive X -> To ! X, forward(To) end.

try_it(F) -> try F() catch C:R -> {C, R} end.

next() -> receive X -> X after 5000 -> nothing end.

reason(P) -> case next() of {'EXIT', P, R} -> R; X -> X end.

flush() -> receive _ -> flush() after 50 -> ok end.

data(P, N) -> data(P, N, []).

data(_, N, Acc) when N =< 0 -> lists:append(lists:reverse(Acc));
data(P, N, Acc) -> receive {P, {data, D}} -> data(P, N - length(D), [D | Acc]) after 5000 -> Acc end.

exe(F, O) -> all(open_port({spawn_executable, F}, [exit_status | O]), [F | O]).

run(C, O) -> all(open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", C]} | O]), [C | O]).

all(P, What) ->
    show({What, joined(messages(P))}),
    flush().

%% until the end; one that is only told of the end of the output stays open
messages(P) ->
    receive
        {P, eof} -> port_close(P), [eof];
        {P, X} -> [X | messages(P)];
        {'EXIT', P, R} -> [{exit, R}]
    after 5000 -> [nothing]
    end.

joined([{data, A}, {data, B} | T]) when is_list(A) -> joined([{data, A ++ B} | T]);
joined([{data, A}, {data, B} | T]) when is_binary(A) -> joined([{data, <<A/binary, B/binary>>} | T]);
joined([H | T]) -> [H | joined(T)];
joined([]) -> [].
