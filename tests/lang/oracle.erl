%% SPDX-License-Identifier: Apache-2.0
%%
%% oracle.erl - what OTP says of files that our compilers wrote
%%
%% check([File...]) prints the files that OTP's beam_validator refuses, and why.
%% main([File...]): each file is taken apart by beam_disasm and given to the compiler's own
%% beam_validator; then its module's start/0 is called and the result printed. beam_disasm shows
%% some operands in another way than the validator reads them: fix/2 turns them.
-module(oracle).
-export([check/1, main/1]).

check(Files) ->
    [io:format("~s: ~P~n", [F, Why, 20]) || F <- Files, Why <- [catch file(F)], Why =/= ok].

main(Files) ->
    lists:foreach(fun one/1, Files).

one(File) ->
    case catch file(File) of
        ok -> ok;
        Error -> io:format("validator: ~p~n", [Error])
    end,
    M = list_to_atom(filename:basename(File, ".beam")),
    {module, M} = code:load_abs(filename:rootname(File)),
    io:format("~s~n", [text(M:start())]).

%% As the node prints: binaries of printable characters as strings.
text(B) when is_binary(B), B =/= <<>> ->
    case lists:all(fun(C) -> C >= 32 andalso C < 127 end, binary_to_list(B)) of
        true -> ["<<\"", B, "\">>"];
        false -> io_lib:format("~w", [B])
    end;
text(L) when is_list(L) ->
    case catch length(L) of
        {'EXIT', _} -> io_lib:format("~w", [L]);
        _ -> [$[, lists:join(",", [text(E) || E <- L]), $]]
    end;
text(T) when is_tuple(T) ->
    [${, lists:join(",", [text(E) || E <- tuple_to_list(T)]), $}];
text(T) ->
    io_lib:format("~w", [T]).

%% String segments are shown as their place in the string table, which the validator does not want.
file(F) ->
    {beam_file,M,Exp,_Attr,_CI,Fs0} = beam_disasm:file(F),
    Map = maps:from_list([{{M,N,A},{f,E}} || {function,N,A,E,_} <- Fs0]),
    Fs = [{function,N,A,E,annotate(E,A,[fix(I,Map) || I <- Is, I =/= int_code_end])}
          || {function,N,A,E,Is} <- Fs0],
    Lc = lists:max([0|[L || {function,_,_,_,Is} <- Fs, {label,L} <- Is]]) + 1,
    beam_validator:validate({M,[{N,A}||{N,A,_}<-Exp],[],Fs,Lc}, strong).
fix({line,_},_) -> {line,[]};
fix({call,N,T},M) -> {call,N,maps:get(T,M)};
fix({call_only,N,T},M) -> {call_only,N,maps:get(T,M)};
fix({call_last,N,T,D},M) -> {call_last,N,maps:get(T,M),D};
fix({make_fun3,T,I,U,D,L},M) -> {make_fun3,maps:get(T,M),I,U,D,L};
fix({raise,{f,0},Args,_},_) -> {bif,raise,{f,0},Args,{x,0}};
fix({arithfbif,B,F,A,D},_) -> {bif,B,F,A,D};
fix({bif,B,nofail,A,D},_) -> {bif,B,{f,0},A,D};
fix({raise,{list,Args}},_) -> {bif,raise,{f,0},Args,{x,0}};
fix({raise,T,R},_) -> {bif,raise,{f,0},[T,R],{x,0}};
fix({bs_create_bin,[{F,{u,Al},{u,Live},{u,U},D,{z,1},{u,_},L}]},_) -> {bs_create_bin,F,Al,Live,U,D,{list,[case E of {u,V} -> V; {i,V} -> {integer,V}; _ -> E end || E <- strings(L)]}};
fix({bs_start_match3,F,S,{u,L},D},_) -> {test,bs_start_match3,F,L,[S],D};
fix({test,T,F,[C,L,S,U,{field_flags,Fl},D]},_) ->
    {test,T,F,u(L),[C,S,u(U),{field_flags,flags(Fl)}],D};
fix({test,T,F,[C,L,{field_flags,Fl},D]},_) ->
    {test,T,F,u(L),[C,{field_flags,flags(Fl)}],D};
fix({test,bs_skip_bits2,F,[C,S,U,{field_flags,Fl}]},_) ->
    {test,bs_skip_bits2,F,[C,S,u(U),{field_flags,flags(Fl)}]};
fix({test,T,F,[C,L,{field_flags,Fl}]},_) ->
    {test,T,F,[C,u(L),{field_flags,flags(Fl)}]};
fix({test,bs_match_string,F,[C,N|_]},_) ->
    {test,bs_match_string,F,[C,u(N),{string,binary:copy(<<0>>,u(N) div 8)}]};
fix({test,T,F,[C,U]},_) when T =:= bs_test_tail2; T =:= bs_test_unit -> {test,T,F,[C,u(U)]};
fix({bs_get_tail,C,D,L},_) -> {bs_get_tail,C,D,u(L)};
fix({bs_get_position,C,D,L},_) -> {bs_get_position,C,D,u(L)};
fix(I,_) -> I.
%% Parameters that a match begins with may be match contexts: files do not say so, the compiler
%% tells the validator in a comment.
annotate(Entry,Arity,Is) ->
    Xs = lists:usort([X || {test,bs_start_match3,_,_,[{x,X}],_} <- Is, X < Arity]),
    {Head,[L|Rest]} = lists:splitwith(fun(I) -> I =/= {label,Entry} end, Is),
    Head ++ [L|[{'%',{var_info,{x,X},[accepts_match_context]}} || X <- Xs]] ++ Rest.

strings([{atom,string},S,U,Fl,_,{i,N}|T]) ->
    [{atom,string},S,U,Fl,{string,binary:copy(<<0>>, N)},{i,N}|strings(T)];
strings([A,B,C,D,E,F|T]) -> [A,B,C,D,E,F|strings(T)];
strings([]) -> [].
u({u,N}) -> N;
u(N) -> N.

flags({u,N}) -> flags(N);
flags(N) -> [if N band 2 =/= 0 -> little; true -> big end, if N band 4 =/= 0 -> signed; true -> unsigned end].
