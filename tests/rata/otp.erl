%% SPDX-License-Identifier: Apache-2.0
%% otp - Rata's servers and supervisors beside OTP's own, each calling and supervising the other
%%
%% Prints one line a case; otp.out is what it must print, on erl and on a node with OTP's modules.
-module(otp).
-behaviour(gen_server).
-export([main/0, start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% --- a server of OTP's kind ------------------------------------------------------------------

start_link(V) -> gen_server:start_link(?MODULE, V, []).
init(V) -> {ok, V}.
handle_call(get, _, V) -> {reply, V, V};
handle_call(never, _, V) -> {noreply, V};
handle_call(crash, _, _) -> exit(otp_crash).
handle_cast({put, New}, _) -> {noreply, New}.
handle_info(_, V) -> {noreply, V}.

%% --- cases -----------------------------------------------------------------------------------

main() ->
    process_flag(trap_exit, true),
    error_logger:tty(false),
    logger:set_primary_config(level, none),
    lists:foreach(fun({Name, F}) -> io:format("~s: ~0p~n", [Name, outcome(F)]), drain() end,
        cases()).

outcome(F) ->
    try F() catch C:R -> {C, R} end.

drain() ->
    receive _ -> drain() after 0 -> ok end.

box(V) -> {ok, P} = 'Rata.Box':start_link(V), P.

spec(Id, M, V) -> #{id => Id, start => {M, start_link, [V]}, shutdown => 1000}.

%% The pid of the only child, once it is not Old.
child_after(Sup, Old) ->
    case supervisor:which_children(Sup) of
        [{_, P, _, _}] when is_pid(P), P =/= Old -> P;
        _ -> timer:sleep(10), child_after(Sup, Old)
    end.

down(P) -> down(P, monitor(process, P)).

down(_, R) ->
    receive {'DOWN', R, _, _, Why} -> Why after 2000 -> alive end.

cases() ->
    [{"call", fun() -> gen_server:call(box(1), get) end},
     {"call and put", fun() -> P = box(1), {gen_server:call(P, {put, 2}), gen_server:call(P,
         get)} end},
     {"cast", fun() -> P = box(1), {gen_server:cast(P, {put, 3}), gen_server:call(P, get)} end},
     {"reply later", fun() -> gen_server:call(box(x), later) end},
     {"reply and stop", fun() -> P = box(x), R = monitor(process, P), {gen_server:call(P, stop),
         down(P, R)} end},
     {"timeout", fun() -> {'EXIT', {timeout, {gen_server, call,
         _}}} = (catch gen_server:call(box(1), never, 50)), ok end},
     {"named", fun() -> {ok, P} = 'Rata.Box':start_named(a_box, 5), {gen_server:call(a_box, get),
         whereis(a_box) =:= P,
                        'Rata.Box':start_named(a_box, 6) =:= {error, {already_started, P}}} end},
     {"multi_call", fun() -> 'Rata.Box':start_named(b_box, 5), gen_server:multi_call([node()],
         b_box, get) =:= {[{node(), 5}], []} end},
     {"request", fun() -> P = box(7), R = gen_server:send_request(P, get),
         gen_server:wait_response(R, 1000) end},
     {"ignore", fun() -> 'Rata.Box':start_link(ignored) end},
     {"refused", fun() -> 'Rata.Box':start_link({refused, why}) end},
     {"init crashes", fun() -> 'Rata.Box':start_link(crash) end},
     {"crash", fun() -> P = box(1), R = monitor(process, P), gen_server:cast(P, crash), down(P,
         R) end},
     {"stop", fun() -> P = box({tell, self()}), {gen_server:stop(P), receive {terminated, R} ->
         R after 100 -> none end} end},
     {"stop with reason", fun() -> P = box({tell, self()}), gen_server:stop(P, shutdown, 1000),
         receive {terminated, R} -> R after 100 -> none end end},
     {"ancestors", fun() -> P = box(1), {dictionary, D} = process_info(P, dictionary),
                            {hd(proplists:get_value('$ancestors', D)) =:= self(),
                            proplists:get_value('$initial_call', D)} end},
     {"initial call", fun() -> proc_lib:translate_initial_call(box(1)) end},
     {"get_state", fun() -> sys:get_state(box(42)) end},
     {"replace_state", fun() -> P = box(42), {sys:replace_state(P, fun(X) -> X + 1 end),
         gen_server:call(P, get)} end},
     {"replace_state fails", fun() -> P = box(42), {'EXIT', _} = (catch sys:replace_state(P,
         fun(_) -> throw(no) end)), gen_server:call(P, get) end},
     {"suspend", fun() -> P = box(1), ok = sys:suspend(P), A = (catch gen_server:call(P, get,
         50)), ok = sys:resume(P),
                          {element(1, element(2, A)), gen_server:call(P, get)} end},
     {"change_code", fun() -> P = box(1), ok = sys:suspend(P), ok = sys:change_code(P,
         'Rata.Box', v0, more), ok = sys:resume(P), gen_server:call(P, get) end},
     {"get_status", fun() -> P = box(1), {status, P, {module, M}, [D, Mode, Parent, [],
         _]} = sys:get_status(P),
                             {M, is_list(D), Mode, Parent =:= self()} end},
     {"parent ends", fun() -> Me = self(), {Q, R} = spawn_monitor(fun() -> Me ! {box, box({tell,
         Me})}, receive after 20 -> exit(over) end end),
                              P = receive {box, B} -> B end, M = monitor(process, P),
                              receive {'DOWN', R, _, Q, _} -> ok end,
                              {receive {terminated, W} -> W after 1000 -> none end, down(P,
                              M)} end},
     {"under an OTP supervisor", fun() ->
         {ok, S} = supervisor:start_link(otp_sup, [spec(one, 'Rata.Box', 9)]),
         [{one, P, worker, _}] = supervisor:which_children(S),
         R = monitor(process, P), gen_server:cast(P, crash), cast_crash = down(P, R),
         Q = child_after(S, P), V = gen_server:call(Q, get),
         ok = supervisor:terminate_child(S, one), {V, is_process_alive(Q),
             supervisor:which_children(S)} end},
     {"OTP under ours", fun() ->
         {ok, S} = 'Rata.Supervisor':start_link([spec(one, otp, 9)], []),
         [{one, P, worker, [otp]}] = supervisor:which_children(S),
         catch gen_server:call(P, crash), Q = child_after(S, P),
         {gen_server:call(Q, get), supervisor:count_children(S)} end},
     {"ours asked as OTP's", fun() ->
         {ok, S} = 'Rata.Supervisor':start_link([], []),
         {ok, P} = supervisor:start_child(S, spec(a, otp, 1)),
         {error, {already_started, P}} = supervisor:start_child(S, spec(a, otp, 1)),
         {error, running} = supervisor:delete_child(S, a), ok = supervisor:terminate_child(S, a),
         {ok, Q} = supervisor:restart_child(S, a), ok = supervisor:terminate_child(S, a),
             ok = supervisor:delete_child(S, a),
         {is_pid(Q), supervisor:restart_child(S, a), supervisor:which_children(S)} end},
     {"childspec", fun() -> {ok, S} = 'Rata.Supervisor':start_link([spec(a, otp, 1)], []), {ok,
         C} = supervisor:get_childspec(S, a),
                            {maps:get(start, C), maps:get(shutdown, C), maps:get(restart, C)} end},
     {"our module, OTP's supervisor", fun() ->
         {ok, S} = supervisor:start_link('Rata.Tree', 11), [{box, P, worker,
             ['Rata.Box']}] = supervisor:which_children(S), gen_server:call(P, get) end},
     {"our tree", fun() -> {ok, S} = 'Rata.Supervisor':start_link('Rata.Tree', 12, []), [{box, P,
         _, _}] = supervisor:which_children(S),
                           {gen_server:call(P, get), 'Rata.Supervisor':count_children(S)} end},
     {"our supervisor below OTP's", fun() ->
         {ok, S} = supervisor:start_link(otp_sup, [#{id => t, start => {'Rata.Supervisor',
             start_link, ['Rata.Tree', {tell, self()}, []]}, type => supervisor}]),
         [{t, T, supervisor, _}] = supervisor:which_children(S), [{box, P, _,
             _}] = supervisor:which_children(T),
         unlink(S), exit(S, shutdown), {down(S), receive {terminated, R} -> R after 1000 ->
             none end, is_process_alive(P), is_process_alive(T)} end},
     {"we call OTP", fun() -> {ok, P} = start_link(3), 'Rata.GenServer':call(P, get) end},
     {"we cast OTP", fun() -> {ok, P} = start_link(3), 'Rata.GenServer':cast(P, {put, 4}),
         'Rata.GenServer':call(P, get) end},
     {"we stop OTP", fun() -> {ok, P} = start_link(3), {'Rata.GenServer':stop(P),
         is_process_alive(P)} end},
     {"we wait too long for OTP", fun() -> {ok, P} = start_link(3), {'EXIT', {timeout,
         {'Rata.GenServer', call, _}}} = (catch 'Rata.GenServer':call(P, never, 50)), ok end},
     {"nobody there", fun() -> {'EXIT', {noproc, {'Rata.GenServer', call,
         _}}} = (catch 'Rata.GenServer':call(nobody_here, x)), ok end},
     {"no late answers", fun() -> receive {_, _} = M -> M after 100 -> none end end}].
