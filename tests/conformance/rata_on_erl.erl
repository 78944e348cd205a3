%% SPDX-License-Identifier: Apache-2.0
%% rata_on_erl - compiled Rata programs on stock Erlang, one after the other in one machine
%%
%% Each argument is a folder with ebin/ (the program and its library) and cwd/ (where it runs). Its
%% standard output is written to out, to status first the exit status and then why it is not 0.
%% A program is a process of its own with a group leader of its own; what it leaves is killed, and
%% its modules are gone before the next one starts.
-module(rata_on_erl).
-export([main/1]).

main(Folders) ->
    process_flag(trap_exit, true),
    Before = processes(),
    lists:foreach(fun(F) -> one(F, Before) end, Folders),
    halt(0).

one(Folder, Before) ->
    Ebin = filename:join(Folder, "ebin"),
    true = code:add_patha(Ebin),
    ok = file:set_cwd(filename:join(Folder, "cwd")),
    Leader = spawn(fun() -> leader(<<>>) end),
    {Pid, Ref} = spawn_monitor(fun() ->
        group_leader(Leader, self()),
        'Rata.Script':main()
    end),
    Reason = receive {'DOWN', Ref, _, _, R} -> R after 60000 -> exit(Pid, kill), timeout end,
    Leader ! {take, self()},
    Out = receive {output, O} -> O end,
    [exit(P, kill) || P <- processes(), not lists:member(P, Before)],
    Status = case Reason of normal -> "0\n"; _ -> io_lib:format("1\n~tp~n", [Reason]) end,
    ok = file:write_file(filename:join(Folder, "out"), Out),
    ok = file:write_file(filename:join(Folder, "status"), unicode:characters_to_binary(Status)),
    [begin code:purge(M), code:delete(M), code:purge(M) end
     || {M, _} <- code:all_loaded(), lists:prefix("Rata.", atom_to_list(M))],
    [persistent_term:erase(K) || {K, _} <- persistent_term:get(), is_tuple(K),
                                 element(1, K) =:= '$rata_constant'],
    code:del_path(Ebin),
    wait_gone(Before, 100).

%% Names must be free again before the next program registers them.
wait_gone(_, 0) -> ok;
wait_gone(Before, N) ->
    case processes() -- Before of
        [] -> ok;
        _ -> timer:sleep(10), wait_gone(Before, N - 1)
    end.

leader(Out) ->
    receive
        {io_request, From, As, Request} ->
            {Answer, More} = request(Request),
            From ! {io_reply, As, Answer},
            leader(<<Out/binary, More/binary>>);
        {take, From} ->
            From ! {output, Out};
        _ ->
            leader(Out)
    end.

request({put_chars, unicode, Text}) -> {ok, unicode:characters_to_binary(Text)};
request({put_chars, latin1, Text}) -> {ok, unicode:characters_to_binary(Text, latin1)};
request({put_chars, _, M, F, A}) -> {ok, unicode:characters_to_binary(apply(M, F, A))};
request(getopts) -> {[{encoding, unicode}, {binary, true}], <<>>};
request({setopts, _}) -> {ok, <<>>};
request(_) -> {eof, <<>>}.
