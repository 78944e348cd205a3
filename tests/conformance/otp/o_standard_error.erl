%% SPDX-License-Identifier: Apache-2.0
%% o_standard_error.erl - standard_error is a process that OTP's io module can talk to
-module(o_standard_error).
-export([main/0]).

main() ->
    io:format("~p~n", [is_pid(whereis(standard_error))]),
    io:format("~p~n", [io:format(standard_error, "to the errors ~p~n", [1])]),
    io:format("~p~n", [element(1, element(2, catch io:format(no_such_device, "x", [])))]).
