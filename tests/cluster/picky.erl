%% SPDX-License-Identifier: Apache-2.0
%% picky.erl - a module that node a takes its time to load
-module(picky).
-export([version/0]).
-on_load(load/0).

load() ->
    case hd(atom_to_list(node())) of
        $a -> receive never -> ok after 1500 -> ok end;
        _ -> ok
    end.

version() -> 1.
