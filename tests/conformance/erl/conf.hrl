%% conf.hrl - what every conformance module shares: cases, and a printer that uses built-ins only
%%
%% A case prints one line, "name: value", where value is what the expression gave, or
%% "!class reason @ module:function/arity" when it raised. The line must be the same on every
%% node that is right: pids, references, ports and funs are printed as placeholders, maps with
%% their keys in order, and the place of an error only when it is a function with a stable name.
-export([id/1, main/0]).
-compile([nowarn_unused_function, nowarn_nomatch, {nowarn_shadow_vars, true}]).

-define(CASE(Name, Expr), conf_case(Name, fun() -> Expr end)).
%% The name of the case is the text of its expression.
-define(C(Expr), conf_case(??Expr, fun() -> Expr end)).
%% Call a built-in through its export; the name is the call itself.
-define(B(M, F, Args), conf_bif(M, F, Args)).

%% The compiler must not know what this gives.
id(X) -> X.

conf_case(Name, F) ->
    flush(),                    % what an earlier case left behind
    conf_line(Name, try conf_format(F())
                    catch C:R:S -> conf_raised(C, R, S) end).

conf_bif(M, F, Args) ->
    conf_line([conf_format(M), $:, conf_format(F), $(, conf_args(Args), $)],
              try conf_format(apply(M, F, Args))
              catch C:R:S -> conf_raised(C, R, S) end).

conf_line(Name, Text) ->
    io:put_chars([conf_ascii(Name), ": ", Text, "\n"]).

%% Names may have any character; what a device does with it is not what is tested here.
conf_ascii([H | T]) when is_list(H) -> [conf_ascii(H) | conf_ascii(T)];
conf_ascii([H | T]) when H > 126 -> ["\\x{", integer_to_list(H, 16), "}" | conf_ascii(T)];
conf_ascii([H | T]) -> [H | conf_ascii(T)];
conf_ascii(X) -> X.

conf_raised(C, R, S) ->
    ["!", conf_format(C), " ", conf_format(R) | conf_place(S)].

conf_place([{M, F, A, _} | _]) when is_list(A) ->
    conf_place([{M, F, length(A), []}]);
conf_place([{M, F, A, _} | _]) ->
    case atom_to_list(F) of
        [$-, C | _] when C =/= $- -> "";        % a fun, numbered by the compiler
        _ -> [" @ ", conf_format(M), $:, conf_format(F), $/, integer_to_list(A)]
    end;
conf_place(_) -> "".

conf_args([]) -> "";
conf_args([A]) -> conf_format(A);
conf_args([A | T]) -> [conf_format(A), $, | conf_args(T)].

conf_format(T) when is_integer(T) ->
    L = integer_to_list(T),
    case length(L) of
        N when N > 400 -> [conf_take(L, 20), "...", integer_to_list(N), " digits, rem ",
                           integer_to_list(T rem 1000000007)];
        _ -> L
    end;
conf_format(T) when is_float(T) -> float_to_list(T, [short]);
conf_format(T) when is_atom(T) -> conf_atom(atom_to_list(T));
conf_format([]) -> "[]";
conf_format(T) when is_list(T) ->
    case conf_printable(T) of
        true -> [$", T, $"];
        false -> ["[", conf_list(T, 400), "]"]
    end;
conf_format(T) when is_tuple(T) -> ["{", conf_args(tuple_to_list(T)), "}"];
conf_format(T) when is_map(T) ->
    ["#{", conf_pairs(conf_sort([{K, map_get(K, T)} || K <- maps:keys(T)])), "}"];
conf_format(T) when is_binary(T) ->
    case conf_printable(binary_to_list(T)) of
        true when byte_size(T) < 300 -> ["<<\"", binary_to_list(T), "\">>"];
        _ when byte_size(T) > 300 ->
            ["<<", integer_to_list(byte_size(T)), " bytes, crc ",
             integer_to_list(erlang:crc32(T)), ">>"];
        _ -> ["<<", conf_args(binary_to_list(T)), ">>"]
    end;
conf_format(T) when is_bitstring(T) ->
    L = bit_size(T) rem 8,
    N = byte_size(T) - 1,
    <<B:N/binary, R:L>> = T,
    ["<<", [[integer_to_list(X), $,] || X <- binary_to_list(B)],
     integer_to_list(R), $:, integer_to_list(L), ">>"];
conf_format(T) when is_pid(T) -> "<pid>";
conf_format(T) when is_reference(T) -> "<ref>";
conf_format(T) when is_port(T) -> "<port>";
conf_format(T) when is_function(T) ->
    {arity, A} = erlang:fun_info(T, arity),
    ["<fun/", integer_to_list(A), ">"].

conf_list(_, 0) -> "...";
conf_list([H], _) -> conf_format(H);
conf_list([H | T], N) when is_list(T) -> [conf_format(H), $, | conf_list(T, N - 1)];
conf_list([H | T], _) -> [conf_format(H), $|, conf_format(T)].

conf_pairs([]) -> "";
conf_pairs([{K, V}]) -> [conf_format(K), "=>", conf_format(V)];
conf_pairs([{K, V} | T]) -> [conf_format(K), "=>", conf_format(V), $, | conf_pairs(T)].

conf_atom([C | T] = L) when C >= $a, C =< $z ->
    case conf_word(T) of true -> L; false -> conf_quote(L) end;
conf_atom(L) -> conf_quote(L).

conf_quote(L) -> [$', [conf_char(C) || C <- L], $'].
conf_char(C) when C < 32; C > 126; C =:= $' -> ["\\x{", integer_to_list(C, 16), "}"];
conf_char(C) -> C.

conf_word([C | T]) when C >= $a, C =< $z; C >= $A, C =< $Z; C >= $0, C =< $9; C =:= $_; C =:= $@ ->
    conf_word(T);
conf_word(L) -> L =:= [].

conf_printable([]) -> false;
conf_printable(L) -> conf_print1(L).
conf_print1([C | T]) when is_integer(C), C >= 32, C =< 126, C =/= $" -> conf_print1(T);
conf_print1(L) -> L =:= [].

%% Merge sort in the order of terms, floats after integers of the same value.
conf_sort([]) -> [];
conf_sort([X]) -> [X];
conf_sort(L) ->
    {A, B} = conf_split(L, [], []),
    conf_merge(conf_sort(A), conf_sort(B)).
conf_split([X, Y | T], A, B) -> conf_split(T, [X | A], [Y | B]);
conf_split([X], A, B) -> {[X | A], B};
conf_split([], A, B) -> {A, B}.
conf_merge([], L) -> L;
conf_merge(L, []) -> L;
conf_merge([X | _] = A, [Y | T]) when Y < X -> [Y | conf_merge(A, T)];
conf_merge([X | T], [Y | _] = B) when X < Y -> [X | conf_merge(T, B)];
conf_merge([X | T], B) when is_integer(element(1, X)) -> [X | conf_merge(T, B)];
conf_merge(A, [Y | T]) -> [Y | conf_merge(A, T)].

conf_take(_, 0) -> [];
conf_take([H | T], N) -> [H | conf_take(T, N - 1)];
conf_take([], _) -> [].

%% Numbers from A to B, and F over each element.
seq(A, B) when A > B -> [];
seq(A, B) -> [A | seq(A + 1, B)].
map(_, []) -> [];
map(F, [H | T]) -> [F(H) | map(F, T)].
fold(_, A, []) -> A;
fold(F, A, [H | T]) -> fold(F, F(H, A), T).
sort(L) -> [X || {X} <- conf_sort([{X} || X <- L])].

%% Run F in a process of its own; its value, or {exited, Reason}.
in_process(F) ->
    {P, M} = spawn_monitor(fun() -> exit({value, F()}) end),
    receive
        {'DOWN', M, process, P, {value, V}} -> V;
        {'DOWN', M, process, P, R} -> {exited, R}
    after 10000 -> no_answer
    end.
%% The exit reason without a stack trace.
reason({exited, {R, [{_, _, _, _} | _]}}) -> {exited, R};
reason(R) -> R.
%% The next message, or none.
flush() -> receive M -> [M | flush()] after 0 -> [] end.
next() -> next(5000).
next(T) -> receive M -> M after T -> none end.
