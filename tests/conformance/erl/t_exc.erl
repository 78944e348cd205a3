-module(t_exc).
-export([fc/1, thrower/1, lvl1/1]).
-include("conf.hrl").
-record(r, {a}).

main() ->
    ?C(throw(x)),
    ?C(exit(x)),
    ?C(error(x)),
    ?C(error(x, [a, b])),
    ?C(error({big, "reason"})),
    ?C(catch throw(x)),
    ?C(catch exit(x)),
    ?C(first(catch error(x))),
    ?C(catch id(5)),
    ?C(begin catch throw(a), b end),
    ?C({catch throw(1), catch throw(2)}),
    ?C(first(catch id(a) + 1)),
    ?C(first(catch hd([]))),
    ?C(t1(fun() -> ok end)),
    ?C(t1(fun() -> throw(a) end)),
    ?C(t1(fun() -> exit(b) end)),
    ?C(t1(fun() -> error(c) end)),
    ?C(t2(fun() -> {ok, 1} end)),
    ?C(t2(fun() -> {error, 1} end)),
    ?C(t2(fun() -> what end)),
    ?C(t2(fun() -> throw({ok, 1}) end)),
    ?C(t2(fun() -> throw(other) end)),
    ?C(t2(fun() -> error(other) end)),
    ?C(after_(fun() -> value end)),
    ?C(after_(fun() -> throw(t) end)),
    ?C(after_(fun() -> error(e) end)),
    ?C(nested(1)),
    ?C(nested(2)),
    ?C(nested(3)),
    ?C(nested(4)),
    ?C(nested(5)),
    ?C(in_after()),
    ?C(in_catch()),
    ?C(stays_small(fun() -> catch error(x) end)),
    ?C(stays_small(fun() -> try error(x) catch error:x:S -> S end end)),
    ?C(rethrow(fun() -> throw(a) end)),
    ?C(rethrow(fun() -> error(a) end)),
    ?C(rethrow(fun() -> exit(a) end)),
    ?C(reraise(throw, x)),
    ?C(reraise(error, x)),
    ?C(reraise(exit, {x, y})),
    ?C(erlang:raise(id(bad), x, [])),
    ?C(erlang:raise(id(error), x, id(bad))),
    ?C(erlang:raise(id(error), x, [])),
    ?C(erlang:raise(id(throw), x, [{m, f, 1, []}])),
    ?C(erlang:raise(id(exit), y, [{m, f, [a], [{line, 3}]}])),
    ?C(fc(a)),
    ?C(?MODULE:fc(id(a))),
    ?C(case id(1) of 2 -> a end),
    ?C(if_(1)),
    ?C(begin {a, _} = id({b, 1}) end),
    ?C(begin [] = id([1]) end),
    ?C(try id(1) of 2 -> a catch _:_ -> b end),
    ?C((id(#r{}))#r.a),
    ?C((id(x))#r.a),
    ?C(nomodule:f()),
    ?C(t_exc:nofunc(1, 2)),
    ?C((fun(a) -> 1 end)(b)),
    ?C(stack(fun() -> lvl1(1) end)),
    ?C(stack(fun() -> lvl1(2) end)),
    ?C(stack(fun() -> error(e) end)),
    ?C(stack(fun() -> thrower(1) end)),
    ?C(stack(fun() -> deep(20) end)),
    ?C(stack(fun() -> tail(5) end)),
    ?C(stack(fun() -> t_exc:fc(b) end)),
    ?C(stack(fun() -> apply(t_exc, fc, [c]) end)),
    ?C(stack(fun() -> erlang:hd(id([])) end)),
    ?C(stack(fun() -> atom_to_list(id(1)) end)),
    ?C(stack(fun() -> lists:reverse(id(a), b) end)),
    ?C(stack(fun() -> maps:get(id(a), #{}) end)),
    ?C(stack(fun() -> element(id(5), {}) end)),
    ?C(stack(fun() -> id(1) + id(a) end)),
    ?C(stack(fun() -> nomod:nofun(1) end)),
    ?C(stack(fun() -> (id(a))(1) end)),
    ?C(lines(fun() -> lvl1(1) end)),
    ?C(lines(fun() -> lvl1(3) end)),
    ?C(args(fun() -> t_exc:fc(zz) end)),
    ?C(args(fun() -> error(x, [1, 2]) end)),
    ?C(args(fun() -> abs(id(a)) end)),
    ?C(args(fun() -> apply(erlang, abs, [x]) end)),
    ?C(info(fun() -> abs(id(a)) end)),
    ?C(info(fun() -> apply(erlang, abs, [x]) end)),
    ?C(info(fun() -> ets:lookup(id(nope), 1) end)),
    ?C(info(fun() -> erlang:error(x, [a], [{error_info, #{module => m}}]) end)),
    ?C(info(fun() -> binary:at(<<>>, 1) end)),
    ?C(info(fun() -> maps:get(a, id(b)) end)),
    ?C(info(fun() -> math:sqrt(id(-1)) end)),
    ?C(info(fun() -> <<(id(a))>> end)),
    ?C(info(fun() -> <<(id(1)):(id(-1))>> end)),
    ?C(info(fun() -> <<1, (id(b))/binary>> end)),
    ?C(info(fun() -> <<(id(1.5)):8/float>> end)),
    ?C(info(fun() -> <<(id(16#d800))/utf8>> end)),
    ?C(try_in_loop(1000)),
    ?C(catch_deep(10000)),
    ?C(throw_far(5000)),
    ?C(state(10)),
    ?C(try_expr(id(3)) + try_expr(id(a))),
    ?C(multi_catch(fun() -> throw(1) end)),
    ?C(multi_catch(fun() -> throw(2.0) end)),
    ?C(multi_catch(fun() -> error({x, 5}) end)),
    ?C(multi_catch(fun() -> exit(z) end)),
    ?C(multi_catch(fun() -> error(q) end)),
    ?C(reason(in_process(fun() -> throw(a) end))),
    ?C(reason(in_process(fun() -> error(a) end))),
    ?C(reason(in_process(fun() -> exit(a) end))),
    ?C(reason(in_process(fun() -> id(1) + id(a) end))),
    ?C(reason(in_process(fun() -> exit(normal) end))),
    ?C(reason(in_process(fun() -> nomod:f() end))),
    ?C(reason(in_process(fun() -> fc(1) end))),
    ?C(unwind_env()),
    ?C(catch_in_arg()),
    ?C(order()),
    ?C(value_of_after()),
    ?C(erlang:nif_error(id(x))),
    ?C(erlang:nif_error(id(x), [a])),
    ?C(erlang:error(id(x), none)),
    ?C(exit(id(normal))),
    ?C(exit(id(kill))),
    ?C(try throw(id({a, 1})) catch {a, X} -> X end),
    ?C(try throw(id({b, 1})) catch {a, X} -> X end),
    ?C(try exit(id(q)) catch throw:_ -> no; exit:q -> yes end),
    ?C(eval_catch(fun() -> exit({shutdown, x}) end)),
    ok.

first({'EXIT', {R, [_ | _]}}) -> {'EXIT', R};
first(X) -> X.
fc(1) -> one;
fc({a, X}) -> X.
if_(X) -> if X > 5 -> a; X < 0 -> b end.
thrower(X) -> throw({thrown, X}).
t1(F) -> try F() catch throw:X -> {t, X}; exit:X -> {x, X}; error:X -> {e, X} end.
t2(F) -> try F() of {ok, X} -> {good, X}; {error, X} -> {bad, X} catch throw:{ok, X} -> {caught,
        X}; error:_ -> err end.
after_(F) -> R = try F() catch throw:X -> {c, X} after self() ! cleaned end, {R, flush()}.
nested(N) ->
    try
        try
            case N of 1 -> throw(a); 2 -> error(b); 3 -> exit(c); 4 -> throw(d); _ -> fine end
        catch throw:a -> inner; exit:c -> throw(from_c)
        after self() ! inner_after
        end
    of V -> {of_, V, flush()}
    catch throw:X -> {outer_throw, X, flush()}; error:X -> {outer_error, X, flush()}
    after self() ! outer_after, flush()
    end.
in_after() -> try try throw(a) after throw(b) end catch throw:X -> X end.
in_catch() -> try try throw(a) catch throw:a -> error(b) end catch C:X -> {C, X} end.
rethrow(F) -> try try F() catch C:R:S -> erlang:raise(C, {again, R}, S) end catch C2:R2 -> {C2,
        R2} end.
reraise(C, R) -> try erlang:raise(C, R, [{some, where, 3, []}]) catch C2:R2:S -> {C2, R2, S} end.
lvl1(1) -> X = lvl2(1), [X];
lvl1(2) -> lvl2(2);
lvl1(3) ->
    X = lvl2(id(3)),
    {X, 1}.
lvl2(1) -> X = lvl3(id(a)), {X};
lvl2(2) -> X = lvl3(id(b)), {X};
lvl2(3) ->
    %% the lines are part of the output
    lvl3(id(c)).
lvl3(X) -> Y = X + id(1), [Y].
deep(0) -> error(bottom);
deep(N) -> [deep(N - 1)].
tail(0) -> error(bottom);
tail(N) -> tail(N - 1).
stack(F) -> try F() catch C:R:S -> {C, R, [{M, Fn, if is_list(A) -> length(A); true ->
        A end} || {M, Fn, A, _} <- S, named(Fn)]} end.
named(F) -> case atom_to_list(F) of "conf" ++ _ -> false; "-" ++ _ -> false; "start" ++ _ ->
        false; "do_" ++ _ -> false; "main" -> false; "run" ++ _ -> false; "call" -> false; _ ->
        true end.
lines(F) -> try F() catch _:_:S -> [{Fn, proplist(line, I)} || {t_exc, Fn, _, I} <- S, named(Fn),
        Fn =/= lines] end.
proplist(K, [{K, V} | _]) -> V;
proplist(K, [_ | T]) -> proplist(K, T);
proplist(_, []) -> none.
args(F) -> try F() catch _:_:S -> {M, Fn, A, _} = hd(S), case atom_to_list(Fn) of "-" ++ _ -> A;
        _ -> {M, Fn, A} end end.
info(F) -> try F() catch C:R:S -> {_, _, _, I} = hd(S), {C, R, [X || {error_info,
        _} = X <- I]} end.
try_in_loop(0) -> [];
try_in_loop(N) when N rem 100 =:= 0 -> [try fc(N) catch error:function_clause ->
        fcl end | try_in_loop(N - 1)];
try_in_loop(N) -> try throw(N) catch throw:N -> try_in_loop(N - 1) end.
catch_deep(0) -> throw(bottom);
catch_deep(N) -> case catch catch_deep(N - 1) of bottom -> bottom; X -> {X} end.
throw_far(N) -> try far(N) catch throw:X -> X end.
far(0) -> throw(arrived);
far(N) -> [far(N - 1)].
state(N) -> A = id(N), B = id([N]), try C = id({A, B}), throw({A, B, C}) catch throw:{A, X, Y} ->
        {A, B, X, Y} end.
try_expr(X) -> try X * 2 catch error:badarith -> 100 end.
multi_catch(F) -> try F() catch throw:X when is_integer(X) -> int; throw:X when is_float(X) ->
        float; error:{x, Y} when Y > 3 -> {gt, Y}; exit:_ -> ex; _:E -> {other, E} end.
unwind_env() -> A = id(1), R = (catch begin B = id(2), throw({A, B}) end), {A, R}.
catch_in_arg() -> {id(1), catch throw(two), id(3)}.
order() -> try {self() ! 1, throw(x), self() ! 2} catch throw:x -> flush() end.
value_of_after() -> try id(1) after id(2) end.
eval_catch(F) -> case catch F() of {'EXIT', R} -> {exited, R}; V -> V end.

%% Traces are garbage like anything else: a process that only raises and catches stays small.
stays_small(F) ->
    {Pid, Ref} = spawn_monitor(fun() ->
        raise_often(F, 20000),
        {total_heap_size, Words} = process_info(self(), total_heap_size),
        exit(Words < 10000)
    end),
    receive {'DOWN', Ref, process, Pid, Answer} -> Answer end.

raise_often(_, 0) -> ok;
raise_often(F, N) -> F(), raise_often(F, N - 1).
