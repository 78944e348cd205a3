%% SPDX-License-Identifier: Apache-2.0
%% otp_sup - a supervisor of OTP's kind, for otp.erl
-module(otp_sup).
-behaviour(supervisor).
-export([init/1]).

init(Specs) -> {ok, {#{intensity => 5, period => 5}, Specs}}.
