%% SPDX-License-Identifier: Apache-2.0
%% o_compiler.erl - OTP's compiler as a program on the node: the code it makes is the same byte
%% for byte, and runs
-module(o_compiler).
-export([main/0]).

main() ->
    [program(P) || P <- programs()],
    [again(M) || M <- modules()],
    ok.

%% A program given as text: what the compiler made of it, then what it does.
program({Name, Calls, Text}) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    Forms = [begin {ok, Form} = erl_parse:parse_form(F), Form end || F <- split(Tokens, [])],
    io:format("~p forms: ~p~n", [Name, erlang:phash2(Forms)]),
    {ok, Name, Beam, Warnings} =
        compile:forms(Forms, [binary, return, deterministic, nowarn_unused_function]),
    io:format("~p warnings: ~p~n", [Name, Warnings]),
    [io:format("~p chunk ~s: ~p~n", [Name, C, sum(Beam, C)])
     || C <- ["AtU8", "Code", "ImpT", "ExpT", "FunT", "LocT", "Line", "StrT"]],
    {module, Name} = code:load_binary(Name, "nofile", Beam),
    [io:format("~p:~p~p -> ~p~n", [Name, F, As, catch apply(Name, F, As)]) || {F, As} <- Calls].

split([], []) ->
    [];
split([{dot, _} = Dot | Rest], Form) ->
    [lists:reverse([Dot | Form]) | split(Rest, [])];
split([Token | Rest], Form) ->
    split(Rest, [Token | Form]).

sum(Beam, Chunk) ->
    case beam_lib:chunks(Beam, [Chunk], [allow_missing_chunks]) of
        {ok, {_, [{_, missing_chunk}]}} -> none;
        {ok, {_, [{_, Bytes}]}} -> {byte_size(Bytes), erlang:phash2(erlang:md5(Bytes))}
    end.

%% OTP's own modules, compiled again from the forms they carry: the same code as the file has.
again(Module) ->
    File = code:which(Module),
    case beam_lib:chunks(File, [abstract_code, compile_info]) of
        {ok, {Module, [{abstract_code, {raw_abstract_v1, Forms}}, {compile_info, Info}]}} ->
            Options = proplists:get_value(options, Info, []),
            {ok, Module, Beam} = compile:forms(Forms, [binary, no_docs | Options]),
            [io:format("~p ~s: ~p~n", [Module, C, sum(Beam, C) =:= sum(File, C)])
             || C <- ["AtU8", "Code", "ImpT", "ExpT", "LocT", "StrT"]];
        _ ->
            io:format("~p carries no forms~n", [Module])
    end.

modules() ->
    [lists, gen_server, maps, io_lib_pretty, gb_trees].

programs() ->
    [{p_queens, [{queens, [6]}, {queens, [8]}],
      "-module(p_queens). -export([queens/1]). "
      "queens(N) -> length(place(N, N)). "
      "place(_, 0) -> [[]]; "
      "place(N, K) -> [[Q|B] || B <- place(N, K - 1), Q <- lists:seq(1, N), safe(Q, B, 1)]. "
      "safe(_, [], _) -> true; "
      "safe(Q, [H|T], D) -> Q =/= H andalso abs(Q - H) =/= D andalso safe(Q, T, D + 1). "},
     {p_bits, [{parse, [<<1:4, 15:4, 300:16, "abc">>]}, {parse, [<<>>]}, {pack, [[1, 2, 300]]},
               {utf, [<<"aé€"/utf8>>]}, {floats, [<<1.5/float, 2.5:32/float>>]},
               {sum, [<<1, 2, 3, 255>>, 0]}],
      "-module(p_bits). -export([parse/1, pack/1, utf/1, floats/1, sum/2]). "
      "parse(<<A:4, B:4, C:16/little, Rest/binary>>) when A < B -> {A, B, C, Rest}; "
      "parse(<<_/bits>> = B) -> {other, bit_size(B)}. "
      "pack(L) -> << <<(byte_size(<<X:16>>)):8, X:16/big>> || X <- L >>. "
      "utf(B) -> [C || <<C/utf8>> <= B]. "
      "floats(<<A/float, B:32/float>>) -> A * B + 0.25. "
      "sum(<<B, T/binary>>, S) -> sum(T, S + B); sum(<<>>, S) -> S. "},
     {p_errors, [{f, [1]}, {f, [two]}, {f, [{3}]}, {f, [[]]}, {g, [fun erlang:abs/1]}, {h, [5]}],
      "-module(p_errors). -export([f/1, g/1, h/1]). -record(r, {a = 1, b = [], c}). "
      "f(X) -> try work(X) of V -> {ok, V} catch throw:T -> {thrown, T}; error:E -> {error, E}; "
      "exit:W -> {exit, W} after put(p_errors, X) end. "
      "work(1) -> throw(one); work(two) -> exit(two); work({N}) -> N / (N - 3); "
      "work(L) -> length(L) + hd(L). "
      "g(F) when is_function(F, 1) -> #r{a = A} = R = #r{c = F(-7)}, "
      "R2 = R#r{b = [A | R#r.b]}, {'EXIT', {X, _}} = (catch F(1, 2)), "
      "{R2#r.a, R2#r.b, R2#r.c, X, is_record(R2, r)}. "
      "h(N) -> case N of _ when N > 3, N < 9; N =:= 100 -> maybe_more(#{n => N}); _ -> no end. "
      "maybe_more(#{n := N} = M) -> M#{n := N * N, {key, N} => [<<\"v\">>]}. "},
     {p_procs, [{ring, [50, 20]}, {calc, ["1 + 2 * (3 - 4) * 5"]}, {calc, ["2 * * 3"]}],
      "-module(p_procs). -export([ring/2, calc/1]). "
      "ring(N, Laps) -> Me = self(), "
      "First = lists:foldl(fun(_, Next) -> spawn_link(fun() -> node_loop(Next) end) end, Me, "
      "lists:seq(1, N)), lap(First, Laps, 0). "
      "lap(_, 0, Sum) -> Sum; "
      "lap(First, Laps, Sum) -> First ! {hop, 0}, "
      "receive {hop, Hops} -> lap(First, Laps - 1, Sum + Hops) after 5000 -> timeout end. "
      "node_loop(Next) -> receive {hop, H} -> Next ! {hop, H + 1}, node_loop(Next) end. "
      "calc(S) -> try {V, []} = expr(tokens(S)), V catch error:{badmatch, _} -> bad; "
      "error:function_clause -> syntax end. "
      "tokens([]) -> []; tokens([$\\s | T]) -> tokens(T); "
      "tokens([C | _] = S) when C >= $0, C =< $9 -> {N, R} = string:to_integer(S), [N|tokens(R)]; "
      "tokens([C | T]) -> [C | tokens(T)]. "
      "expr(T) -> {V, R} = prod(T), expr(V, R). "
      "expr(V, [$+ | T]) -> {W, R} = prod(T), expr(V + W, R); "
      "expr(V, [$- | T]) -> {W, R} = prod(T), expr(V - W, R); expr(V, R) -> {V, R}. "
      "prod(T) -> {V, R} = one(T), prod(V, R). "
      "prod(V, [$* | T]) -> {W, R} = one(T), prod(V * W, R); prod(V, R) -> {V, R}. "
      "one([N | T]) when is_integer(N), N =/= $( , N =/= $* -> {N, T}; "
      "one([$( | T]) -> {V, [$) | R]} = expr(T), {V, R}. "}].
