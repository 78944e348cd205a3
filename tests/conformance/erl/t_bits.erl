-module(t_bits).
-export([parse/1]).
-include("conf.hrl").

main() ->
    build(), match(), utf(), strings(), comp(), append(), context(), ok.

build() ->
    ?C(<<(id(1))>>),
    ?C(<<(id(300))>>),
    ?C(<<(id(-1))>>),
    ?C(<<(id(1)):16>>),
    ?C(<<(id(1)):16/little>>),
    ?C(<<(id(16#123456)):24/little>>),
    ?C(<<(id(5)):3>>),
    ?C(<<(id(5)):3, (id(2)):5>>),
    ?C(<<(id(1)):1, (id(0)):1, (id(3)):2>>),
    ?C(<<(id(1 bsl 70)):80>>),
    ?C(<<(id(-(1 bsl 70))):80/little>>),
    ?C(<<(id(1 bsl 70)):32>>),
    ?C(<<(id(-5)):64/signed>>),
    ?C(<<(id(16#abc)):12, (id(16#def)):12/little>>),
    ?C(<<(id(16#1234)):13/little>>),
    ?C(<<0:3, (id(16#1234)):16/little>>),
    ?C(<<1:1, (id(-2)):31/little>>),
    ?C(<<1:7, (id((1 bsl 90) + 77)):93>>),
    ?C(<<1:7, (id((1 bsl 90) + 77)):93/little>>),
    ?C(<<(id(1)):0>>),
    ?C(<<(id(1)):(id(0))>>),
    ?C(<<(id(7)):(id(4))>>),
    ?C(<<(id(7)):(id(4))/unit:8>>),
    ?C(<<(id(1)):(id(2))/little-unit:16>>),
    ?C(<<(id(1.5))/float>>),
    ?C(<<(id(1.5)):32/float>>),
    ?C(<<(id(1.5)):16/float>>),
    ?C(<<(id(1.5)):64/float-little>>),
    ?C(<<(id(3))/float>>),
    ?C(<<(id(-0.0))/float>>),
    ?C(<<(id(1.0e300)):32/float>>),
    ?C(<<(id(1.0e10)):16/float>>),
    ?C(<<1:1, (id(2.5))/float, 1:7>>),
    ?C(<<(id(1 bsl 2000))/float>>),
    ?C(<<(id(1.0e-42)):32/float>>),
    ?C(<<(id(6.0e-8)):16/float>>),
    ?C(<<(id(<<1, 2>>))/binary, 3>>),
    ?C(<<(id(<<1, 2, 3>>)):2/binary>>),
    ?C(<<(id(<<1, 2, 3>>)):(id(1))/binary>>),
    ?C(<<(id(<<5:3>>))/bitstring, 1:5>>),
    ?C(<<1:3, (id(<<1, 2>>))/binary>>),
    ?C(<<1:1, (id(<<255, 255, 255, 1:1>>))/bits>>),
    ?C(<<(id(<<1, 2, 3>>)):9/bits>>),
    ?C(<<"abc", (id($d))>>),
    ?C(<<"abc":16>>),
    ?C(<<"ab"/little-utf16>>),
    ?C(<<1, "long literal string in the middle", (id(2))>>),
    ?C(<<(id(a))>>),
    ?C(<<(id(1.0))>>),
    ?C(<<(id(1)):(id(-1))>>),
    ?C(<<(id(1)):(id(a))>>),
    ?C(<<(id(a))/binary>>),
    ?C(<<(id(<<1:3>>))/binary>>),
    ?C(<<(id(<<1>>)):2/binary>>),
    ?C(<<(id(a))/float>>),
    ?C(<<(id(1.0)):(id(17))/float>>),
    ?C(<<(id(<<1>>)):(id(-1))/binary>>),
    ?C(<<(id(<<1>>)):(id(1 bsl 70))/binary>>),
    ?C(<<1:(id(1 bsl 70))>>),
    ?C(<<(id(-1))/utf8>>),
    ?C(<<(id(a))/utf16>>),
    ?C(<<(id(16#110000))/utf32>>),
    ?C(byte_size(<<0:(id(100000))/unit:8>>)),
    ?C(bit_size(<<0:(id(12345))>>)),
    ?C(many(300)),
    ?C(<<(id(1)):8/native>> =:= <<1>>),
    ?C(<<(id(1)):16/native>> =:= <<1:16/little>>).

match() ->
    ?C(begin <<A, B>> = id(<<1, 2>>), {A, B} end),
    ?C(begin <<A:16>> = id(<<1, 2>>), A end),
    ?C(begin <<A:16/little>> = id(<<1, 2>>), A end),
    ?C(begin <<A:16/signed>> = id(<<255, 254>>), A end),
    ?C(begin <<A:16/signed-little>> = id(<<255, 254>>), A end),
    ?C(begin <<A:3, B:5>> = id(<<16#b7>>), {A, B} end),
    ?C(begin <<A:4, B:12/little>> = id(<<16#12, 16#34>>), {A, B} end),
    ?C(begin <<_:3, A:13/signed>> = id(<<255, 254>>), A end),
    ?C(begin <<A:80>> = id(<<1, 2, 3, 4, 5, 6, 7, 8, 9, 10>>), A end),
    ?C(begin <<A:80/little-signed>> = id(<<1, 2, 3, 4, 5, 6, 7, 8, 9, 255>>), A end),
    ?C(begin <<_:3, A:64, _:5>> = id(<<1, 2, 3, 4, 5, 6, 7, 8, 9>>), A end),
    ?C(begin <<A:64/signed>> = id(<<255, 255, 255, 255, 255, 255, 255, 0>>), A end),
    ?C(begin <<A:64>> = id(<<255, 255, 255, 255, 255, 255, 255, 0>>), A end),
    ?C(begin <<A:60>> = id(<<16#ff, 16#ff, 16#ff, 16#ff, 16#ff, 16#ff, 16#ff, 15:4>>), A end),
    ?C(begin <<_:5, A:71/little, _/bits>> = id(<<1, 2, 3, 4, 5, 6, 7, 8, 9, 10>>), A end),
    ?C(begin <<A/float>> = id(<<63, 248, 0, 0, 0, 0, 0, 0>>), A end),
    ?C(begin <<A:32/float>> = id(<<63, 192, 0, 0>>), A end),
    ?C(begin <<A:16/float>> = id(<<62, 0>>), A end),
    ?C(begin <<A/float-little>> = id(<<0, 0, 0, 0, 0, 0, 248, 63>>), A end),
    ?C(begin <<_:4, A:32/float, _:4>> = id(<<16#03, 16#fc, 0, 0, 0>>), A end),
    ?C(begin <<A/float>> = id(<<255, 248, 0, 0, 0, 0, 0, 0>>), A end),
    ?C(begin <<A:32/float>> = id(<<127, 128, 0, 0>>), A end),
    ?C(begin <<A:2/binary, B/binary>> = id(<<1, 2, 3, 4>>), {A, B} end),
    ?C(begin N = id(2), <<A:1/binary, B:N/binary, C/bits>> = id(<<1, 2, 3, 4, 5:3>>), {A, B,
            C} end),
    ?C(begin <<N, A:N/binary, R/binary>> = id(<<2, "abcd">>), {A, R} end),
    ?C(begin <<N:4, A:N/bits, R/bits>> = id(<<16#5f, 16#aa>>), {A, R} end),
    ?C(begin <<_:3, A/bits>> = id(<<1, 2, 3>>), A end),
    ?C(begin <<_:3, A:16/bits, _/bits>> = id(<<1, 2, 3>>), A end),
    ?C(begin <<A/binary>> = id(<<1:3>>), A end),
    ?C(begin <<A/bits>> = id(<<1:3>>), A end),
    ?C(begin <<A>> = id(<<1, 2>>), A end),
    ?C(begin <<A, _>> = id(<<1>>), A end),
    ?C(begin <<A>> = id(not_a_binary), A end),
    ?C(begin <<1, A>> = id(<<2, 3>>), A end),
    ?C(begin <<N, _:N/binary>> = id(<<9, 1>>), N end),
    ?C(begin N = id(-1), <<_:N, R/bits>> = id(<<1>>), R end),
    ?C(begin N = id(a), <<_:N, R/bits>> = id(<<1>>), R end),
    ?C(begin N = id(1 bsl 80), <<_:N, R/bits>> = id(<<1>>), R end),
    ?C([parse(B) || B <- [<<>>, <<0>>, <<1, 2>>, <<2, 1, 2>>, <<3, 0, 1, 9>>, <<4, 5:3>>, <<5,
            "hello">>, <<6, 3, "abcdef">>, <<7, 0:64, 1>>, <<8:4>>, <<9, 1:7>>, a]]),
    ?C([lit(B) || B <- [<<"GET /">>, <<"POST /x">>, <<"PUT">>, <<"GE">>, <<"HTTP/1.1 200 OK">>,
            <<>>]]),
    ?C([sizes(B) || B <- [<<>>, <<1>>, <<1, 2>>, <<1, 2, 3>>, <<1, 2, 3, 4>>, <<1:1>>, <<1:9>>,
            <<1:17>>]]),
    ?C(case id(<<1, 2, 3>>) of <<A:8, B:16/little>> when A < B -> {A, B}; _ -> no end),
    ?C(case id(<<5, 5>>) of <<A, A>> -> same; _ -> differ end),
    ?C(case id(<<5, 6>>) of <<A, A>> -> same; _ -> differ end),
    ?C(begin X = id(2), case id(<<2, 7>>) of <<X, Y>> -> Y; _ -> no end end),
    ?C((fun(<<A:2/unit:4, _/bits>>) -> A end)(id(<<16#7f>>))),
    ?C((fun(<<A:8/unit:1, B:1/unit:8>>) -> {A, B} end)(id(<<1, 2>>))),
    ?C(ip(id(<<4:4, 5:4, 0, 20:16, 77:16, 2:3, 5:13, 64, 6, 0:16, 10, 0, 0, 1, 10, 0, 0, 2,
            "data">>))),
    ?C(tlv(id(<<1, 2, "ab", 2, 0, 3, 5, "hello">>))),
    ?C(varint(id(<<16#ac, 2, 1, 16#ff, 16#ff, 3>>))),
    ?C(sum(id(list_to_binary(seq(0, 255))), 0)),
    ?C(bits_sum(id(<<16#deadbeef:32>>), 0)),
    ?C(rev(id(<<1, 2, 3, 4, 5>>), <<>>)),
    ?C(crc(<<"123456789">>)),
    ?C(hex(<<0, 15, 255, 16#a5>>)),
    ?C(unhex(<<"000fffa5">>)),
    ?C(unhex(<<"0g">>)),
    ?C(b64(<<"Many hands make light work.">>)),
    ?C(bit_size(id(<<1:3>>))),
    ?C(byte_size(id(<<1:3>>))),
    ?C(bit_size(id(a))),
    ?C(byte_size(id([]))),
    ?C(binary_part(id(<<1, 2, 3>>), id(1), id(2))),
    ?C(binary_part(id(<<1, 2, 3>>), id({3, -2}))),
    ?C(binary_part(id(<<1, 2, 3>>), id(2), id(2))),
    ?C(binary_part(id(<<1, 2, 3>>), id(a), id(2))),
    ?C(bp(<<1, 2, 3, 4>>)),
    ?B(erlang, bit_size, [<<1:9>>]),
    ?B(erlang, byte_size, [<<1:9>>]),
    ?B(erlang, byte_size, [a]),
    ?B(erlang, binary_part, [<<1, 2, 3>>, {0, 2}]),
    ?B(erlang, binary_part, [<<1, 2, 3>>, 3, 1]),
    ?B(erlang, split_binary, [<<1, 2, 3>>, 1]),
    ?B(erlang, split_binary, [<<1, 2, 3>>, 4]),
    ?B(erlang, split_binary, [<<1, 2, 3>>, 0]),
    ?B(erlang, split_binary, [<<1, 2:4>>, 1]),
    ?B(erlang, split_binary, [a, 1]),
    ?B(erlang, split_binary, [<<1>>, -1]),
    ?B(erlang, binary_to_list, [<<1, 2, 3>>]),
    ?B(erlang, binary_to_list, [<<1:3>>]),
    ?B(erlang, binary_to_list, [<<1, 2, 3>>, 2, 3]),
    ?B(erlang, binary_to_list, [<<1, 2, 3>>, 0, 3]),
    ?B(erlang, binary_to_list, [<<1, 2, 3>>, 3, 2]),
    ?B(erlang, bitstring_to_list, [<<1, 2:3>>]),
    ?B(erlang, bitstring_to_list, [a]).

utf() ->
    ?C([<<X/utf8>> || X <- [0, 127, 128, 255, 2047, 2048, 16#d7ff, 16#e000, 16#ffff, 16#10000,
            16#10ffff]]),
    ?C([<<X/utf16>> || X <- [0, 255, 16#ffff, 16#10000, 16#10ffff]]),
    ?C([<<X/utf16-little>> || X <- [255, 16#10ffff]]),
    ?C([<<X/utf32>> || X <- [255, 16#10ffff]]),
    ?C([<<X/utf32-little>> || X <- [255, 16#10ffff]]),
    ?C([X || <<X/utf8>> <= id(<<"héllo €𐍈"/utf8>>)]),
    ?C([X || <<X/utf16>> <= id(<<"hé€𐍈"/utf16>>)]),
    ?C([X || <<X/utf16-little>> <= id(<<"hé€𐍈"/utf16-little>>)]),
    ?C([X || <<X/utf32>> <= id(<<"hé€𐍈"/utf32>>)]),
    ?C([X || <<X/utf32-little>> <= id(<<"h𐍈"/utf32-little>>)]),
    ?C([u8(B) || B <- [<<>>, <<65>>, <<192, 128>>, <<194, 128>>, <<195>>, <<224, 128, 128>>,
            <<237, 160, 128>>, <<239, 191, 191>>, <<240, 144, 128, 128>>, <<244, 143, 191, 191>>,
            <<244, 144, 128, 128>>, <<255>>, <<226, 130>>, <<128>>]]),
    ?C([u16(B) || B <- [<<0, 65>>, <<0>>, <<216, 0, 220, 0>>, <<216, 0>>, <<220, 0>>, <<216, 0,
            0, 65>>]]),
    ?C([u32(B) || B <- [<<0, 0, 0, 65>>, <<0, 0, 0>>, <<0, 0, 216, 0>>, <<0, 17, 0, 0>>, <<0, 16,
            255, 255>>]]),
    ?C([skip(B) || B <- [<<"€x"/utf8>>, <<255, 1>>, <<"ab">>]]),
    ?C([skip16(B) || B <- [<<"€x"/utf16>>, <<216, 0, 1>>]]),
    ?C([skip32(B) || B <- [<<"€x"/utf32>>, <<0, 0, 216, 0>>]]),
    ?C(begin <<_:3, X/utf8, R/bits>> = id(<<1:3, "é"/utf8, 5:5>>), {X, R} end),
    ?C(<<1:3, (id(8364))/utf8>>),
    ?C(<<1:3, (id(66376))/utf16>>).

strings() ->
    ?C(<<"abc">>),
    ?C(<<"abc"/utf16>>),
    ?C(case id(<<"hello world">>) of <<"hello ", R/binary>> -> R; _ -> no end),
    ?C(case id(<<"help">>) of <<"hello", _/binary>> -> yes; <<"hel", C>> -> C end),
    ?C(case id(<<1:1, "ab">>) of <<1:1, "ab">> -> yes; _ -> no end),
    ?C(split(<<"a,bc,,d">>, $,)),
    ?C(upper(<<"mixed Case 123">>)),
    ?C(words(<<"  the quick  brown fox ">>)),
    ?C(atoi(<<"12345x">>, 0)).

comp() ->
    ?C(<< <<X:8>> || <<X:4>> <= id(<<16#1234:16>>) >>),
    ?C([{A, B} || <<A:3, B:5>> <= id(<<1, 2, 3>>)]),
    ?C(<< <<B:1>> || <<B:1>> <= id(<<16#a5>>), B =:= 1 >>),
    ?C(<< <<X, Y>> || X <- [1, 2], <<Y>> <= id(<<3, 4>>) >>),
    ?C([X || <<1, X>> <= id(<<1, 2, 3, 4, 1, 5>>)]),
    ?C([X || <<N, X:N/binary>> <= id(<<1, $a, 2, "bc", 9>>)]),
    ?C(byte_size(<< <<X:16>> || X <- seq(1, 10000) >>)),
    ?C(<< <<(X * 2)/float>> || <<X/float>> <= id(<<1.5/float, 2.5/float>>) >>),
    ?C(<< (id(<<X>>)) || X <- [1, 2] >>),
    ?C(<< <<A:B>> || {A, B} <- [{1, 1}, {2, 3}, {5, 4}] >>).

append() ->
    ?C(erlang:crc32(fold(fun(X, A) -> <<A/binary, X>> end, <<>>, seq(1, 5000)))),
    ?C(bit_size(fold(fun(X, A) -> <<A/bits, X:3>> end, <<>>, seq(1, 5000)))),
    ?C(begin A = fold(fun(X, B) -> <<B/binary, X:16>> end, <<>>, seq(1, 200)), B1 = <<A/binary,
            1>>, B2 = <<A/binary, 2>>, {byte_size(A), binary:last(B1), binary:last(B2),
            B1 < B2} end),
    ?C(begin A = <<(id(<<"base">>))/binary, "x">>, B = <<A/binary, "y">>, C = <<A/binary, "z">>,
            {A, B, C} end),
    ?C(begin A = fold(fun(X, B) -> <<B/binary, X>> end, <<>>, seq(1, 100)), self() ! A,
            B = <<A/binary, 7>>, receive M -> {M =:= A, byte_size(B)} end end),
    ?C(begin A = id(<<1, 2, 3>>), <<A/binary, A/binary>> end),
    ?C(prepend(200, <<>>)),
    ?C(<<(id(<<1:4>>))/bits, 2:4, (id(<<3>>))/binary>>).

context() ->
    ?C(ctx(id(<<1, 2, 3, 4>>))),
    ?C(ctx2(id(<<"key=value;k2=v2">>))),
    ?C(two(id(<<1, 2>>), id(<<3, 4>>))),
    ?C(keep(id(<<1, 2, 3>>))),
    ?C(in_fun(id(<<9, 8, 7>>))),
    ?C(nested(id(<<2, 3, "abc", 1, "z">>))),
    ?C(retry(id(<<1, 2, 3, 4, 5>>))),
    ?C(big_walk(binary:copy(<<1, 2, 3, 4, 5, 6, 7>>, 5000), 0)),
    ?C(gc_ctx(binary:copy(<<"abcdefgh">>, 300), [])),
    ?C(equal(id(<<1, 2, 3:4>>), id(<<1, 2, 3:4>>))),
    ?C(equal(binary:part(<<0, 1, 2>>, 1, 2), <<1, 2>>)),
    ?C(begin <<_:3, A:16/bits, _/bits>> = id(<<1:3, 7:16, 5:5>>), {A =:= <<7:16>>, A == <<0, 7>>,
            erlang:phash2(A) =:= erlang:phash2(<<7:16>>), A < <<8:16>>} end),
    ?C(begin <<_:1, A/bits>> = id(<<255, 1, 2>>), <<B:15/bits, _/bits>> = A, B end).

many(N) -> B = << <<X:16>> || X <- seq(1, N) >>, {byte_size(B), erlang:crc32(B)}.
parse(<<>>) -> empty;
parse(<<0>>) -> zero;
parse(<<1, X>>) -> {one, X};
parse(<<2, X:16/little>>) -> {two, X};
parse(<<3, X:16, R/binary>>) -> {three, X, R};
parse(<<4, R/bits>>) -> {four, R};
parse(<<5, "he", R/binary>>) -> {five, R};
parse(<<6, N, S:N/binary, R/binary>>) -> {six, S, R};
parse(<<7, F/float, _:8>>) -> {seven, F};
parse(<<X:4>>) -> {nibble, X};
parse(B) when is_bitstring(B), bit_size(B) rem 8 =/= 0 -> {odd, B};
parse(_) -> other.
lit(<<"GET ", R/binary>>) -> {get, R};
lit(<<"POST ", R/binary>>) -> {post, R};
lit(<<"PUT">>) -> put;
lit(<<"HTTP/", A, ".", B, " ", R/binary>>) -> {A, B, R};
lit(_) -> none.
sizes(<<_:8>>) -> 1;
sizes(<<_:16>>) -> 2;
sizes(<<_:24>>) -> 3;
sizes(<<_:1>>) -> bit;
sizes(<<_:9>>) -> nine;
sizes(<<_, _/binary>>) -> bytes;
sizes(<<_, _/bits>>) -> bits;
sizes(<<>>) -> 0.
ip(<<4:4, L:4, _Tos, Len:16, Id:16, F:3, O:13, Ttl, P, _:16, S:4/binary, D:4/binary,
        R/binary>>) when L >= 5 -> {Len, Id, F, O, Ttl, P, S, D, R}.
tlv(<<T, L, V:L/binary, R/binary>>) -> [{T, V} | tlv(R)];
tlv(<<>>) -> [].
varint(<<>>) -> [];
varint(B) -> {V, R} = vi(B, 0, 0), [V | varint(R)].
vi(<<1:1, X:7, R/binary>>, S, A) -> vi(R, S + 7, A bor (X bsl S));
vi(<<0:1, X:7, R/binary>>, S, A) -> {A bor (X bsl S), R}.
sum(<<X, R/binary>>, A) -> sum(R, A + X);
sum(<<>>, A) -> A.
bits_sum(<<B:1, R/bits>>, A) -> bits_sum(R, A + B);
bits_sum(<<>>, A) -> A.
rev(<<X, R/binary>>, A) -> rev(R, <<X, A/binary>>);
rev(<<>>, A) -> A.
crc(B) -> crc(B, 16#ffffffff).
crc(<<X, R/binary>>, C) -> crc(R, fold(fun(_, A) -> case A band 1 of 1 ->
        (A bsr 1) bxor 16#edb88320; 0 -> A bsr 1 end end, C bxor X, seq(1, 8)));
crc(<<>>, C) -> C bxor 16#ffffffff.
hex(B) -> << <<(hd(integer_to_list(X, 16)))>> || <<X:4>> <= B >>.
unhex(B) -> << <<(list_to_integer([A, C], 16))>> || <<A, C>> <= B >>.
b64(B) -> b64(B, <<>>).
b64(<<A:6, B:6, C:6, D:6, R/binary>>, Acc) -> b64(R, <<Acc/binary, (c(A)), (c(B)), (c(C)),
        (c(D))>>);
b64(<<A:6, B:6, C:4>>, Acc) -> <<Acc/binary, (c(A)), (c(B)), (c(C bsl 2)), "=">>;
b64(<<A:6, B:2>>, Acc) -> <<Acc/binary, (c(A)), (c(B bsl 4)), "==">>;
b64(<<>>, Acc) -> Acc.
c(X) when X < 26 -> X + $A;
c(X) when X < 52 -> X - 26 + $a;
c(X) when X < 62 -> X - 52 + $0;
c(62) -> $+;
c(63) -> $/.
bp(B) when binary_part(B, 1, 2) =:= <<2, 3>> -> yes;
bp(_) -> no.
u8(<<X/utf8, R/bits>>) -> {X, R};
u8(_) -> bad.
u16(<<X/utf16, R/bits>>) -> {X, R};
u16(_) -> bad.
u32(<<X/utf32, R/bits>>) -> {X, R};
u32(_) -> bad.
skip(<<_/utf8, R/bits>>) -> R;
skip(_) -> bad.
skip16(<<_/utf16, R/bits>>) -> R;
skip16(_) -> bad.
skip32(<<_/utf32, R/bits>>) -> R;
skip32(_) -> bad.
split(B, C) -> split(B, C, <<>>).
split(<<C, R/binary>>, C, A) -> [A | split(R, C, <<>>)];
split(<<X, R/binary>>, C, A) -> split(R, C, <<A/binary, X>>);
split(<<>>, _, A) -> [A].
upper(B) -> << <<(if X >= $a, X =< $z -> X - 32; true -> X end)>> || <<X>> <= B >>.
words(<<" ", R/binary>>) -> words(R);
words(<<>>) -> [];
words(B) -> word(B, 0, B).
word(<<C, R/binary>>, N, B) when C =/= $\s -> word(R, N + 1, B);
word(_, N, B) -> <<W:N/binary, R/binary>> = B, [W | words(R)].
atoi(<<C, R/binary>>, A) when C >= $0, C =< $9 -> atoi(R, A * 10 + C - $0);
atoi(R, A) -> {A, R}.
prepend(0, B) -> {byte_size(B), erlang:crc32(B)};
prepend(N, B) -> prepend(N - 1, <<N, B/binary>>).
ctx(<<A, R/binary>>) -> {A, ctx1(R), R}.
ctx1(<<A, R/binary>>) -> [A | ctx1(R)];
ctx1(<<>>) -> [].
ctx2(B) -> kv(B, <<>>, []).
kv(<<"=", R/binary>>, A, L) -> kv(R, <<>>, [A | L]);
kv(<<";", R/binary>>, A, L) -> kv(R, <<>>, [A | L]);
kv(<<X, R/binary>>, A, L) -> kv(R, <<A/binary, X>>, L);
kv(<<>>, A, L) -> lists:reverse([A | L], []).
two(<<A, Ra/binary>>, <<B, Rb/binary>>) -> [{A, B} | two(Ra, Rb)];
two(<<>>, <<>>) -> [].
keep(<<A, R/binary>> = B) -> {A, R, B, keep2(R)}.
keep2(<<A, R/binary>>) when A > 2 -> {big, R};
keep2(<<A, R/binary>> = W) -> {A, byte_size(W), keep2(R)};
keep2(W) -> W.
in_fun(<<A, R/binary>>) -> F = fun() -> {A, R} end, {F(), in_fun(R)};
in_fun(<<>>) -> done.
nested(<<N, R/binary>>) -> nested(R, N, []).
nested(R, 0, A) -> {A, R};
nested(<<L, S:L/binary, R/binary>>, N, A) -> nested(R, N - 1, [S | A]).
retry(<<1, 2, 9, _/binary>>) -> a;
retry(<<1, X:16, 4, R/binary>>) when X > 1000 -> {b, R};
retry(<<1, X:16, Y/binary>>) when X > 500 -> {c, X, Y};
retry(<<R/binary>>) -> {d, R}.
big_walk(<<A:7/little, B:9/signed, R/bits>>, S) -> big_walk(R, S + A * B);
big_walk(<<_/bits>>, S) -> S.
gc_ctx(<<A:8/binary, R/binary>>, L) -> gc_ctx(R, [{A, seq(1, 50)} | L]);
gc_ctx(<<>>, L) -> {length(L), element(1, hd(L))}.
equal(A, B) -> {A =:= B, A == B, A < B}.
