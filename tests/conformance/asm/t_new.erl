%% Instructions that OTP 26 and 27 brought, from a_new.s. Each case says itself what is right.
%% needs: otp27
-module(t_new).
-include("../erl/conf.hrl").

main() ->
    ?C(a_new:update({a, b, c, d}, x) =:= {a, x, c, {a, b, c, d}}),
    ?C(a_new:copy({a, b, c, d}, x) =:= {{a, b, c, d}, {a, b, x, d}}),
    ?C(a_new:copy({a, b, c, d}, [c]) =:= {{a, b, c, d}, {a, b, [c], d}}),
    ?C(a_new:inplace(1, 2) =:= {done, 2}),
    ?C(a_new:same({rec, b, c, d}) =:= {rec, b, c, d}),
    ?C(a_new:same({x, b, c, d}) =:= {rec, b, c, d}),
    ?C(a_new:self_ref({a, b, c, d}) =:= {a, {a, b, c, d}, b, d}),
    ?C(a_new:match(<<"ab", 1, 2, "rest">>) =:= {258, <<"rest">>}),
    ?C(a_new:match(<<"ab", 1, 2>>) =:= {258, <<>>}),
    ?C(a_new:match(<<"ab", 1>>) =:= no),
    ?C(a_new:match(<<"ax", 1, 2>>) =:= no),
    ?C(a_new:match(<<"ab", 1, 2, 0:1>>) =:= no),
    ?C(a_new:match(x) =:= no),
    ?C(a_new:ints(<<1, 2, 16#fa, 16#bc, 255>>) =:= {513, 16#abc, 255}),
    ?C(a_new:ints(<<1, 2, 3, 4>>) =:= no),
    ?C(a_new:ints(<<1, 2, 3, 4, 5, 6>>) =:= no),
    ?C(a_new:signed(<<-5, -2:16/little, 1:64, 3:2>>) =:= {-5, -2, 1, <<3:2>>}),
    ?C(a_new:signed(<<5, 300:16/little, (1 bsl 64 - 1):64>>) =:= {5, 300, 1 bsl 64 - 1, <<>>}),
    ?C(a_new:signed(<<0:80>>) =:= no),
    ?C(a_new:bins(<<1, 2, 3>>) =:= {<<1>>, <<0:5>>, <<2:3, 3>>}),
    ?C(a_new:bins(<<255, 16#a5>>) =:= {<<255>>, <<20:5>>, <<5:3>>}),
    ?C(a_new:bins(<<1>>) =:= no),
    ?C([a_new:exact(<<0:N>>) || N <- [7, 8, 9]] =:= [no, yes, no]),
    ?C([a_new:unit(<<0:N>>) || N <- [0, 8, 16, 24, 40]] =:= [no, yes, no, yes, yes]),
    ?C(a_new:tail(<<5:3, 1:2>>) =:= <<1:2>>),
    ?C(a_new:tail(<<5:3>>) =:= <<>>),
    ?C(a_new:tail(<<5:2>>) =:= no),
    ?C(a_new:lit(<<"hgfedcba">>) =:= yes),
    ?C(a_new:lit(<<"hgfedcbx">>) =:= no),
    ?C(a_new:exec(1) =:= 2),
    ?C(fold(fun(X, T) -> a_new:update(T, X) end, {a, b, c, d}, seq(1, 5))
       =:= {a, 5, c, {a, 4, c, {a, 3, c, {a, 2, c, {a, 1, c, {a, b, c, d}}}}}}),
    ok.
