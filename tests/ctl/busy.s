% busy.s - processes that misbehave, and functions that answer, fail or wait
module busy
export loop/0 grow/0 grow/1 victim/0 flood/0 flood/1 sleep/0 answer/1 fail/1 crash/0 crash_later/0 program/0

function loop/0
    call_only 0 loop/0

function grow/0
    move [] x0
    call_only 1 grow/1

function grow/1
    test_heap 2 1
    put_list x0 x0 x0
    call_only 1 grow/1

function victim/0
    wait @forever
forever:
    wait @forever

% Speaks with a program outside.
function program/0
    allocate 0 0
    move {spawn, "cat"} x0
    move [] x1
    line
    call_ext 2 erlang:open_port/2
    deallocate 0
    call_only 0 victim/0

function flood/0
    allocate 0 0
    move [] x2
    move victim x1
    move busy x0
    call_ext 3 erlang:spawn/3
    call_last 1 flood/1 0

function flood/1
    allocate 1 1
    move x0 y0
    move {a, message, "of some words"} x1
    send
    move y0 x0
    call_last 1 flood/1 1

function sleep/0
    wait_timeout @never 3600000
    timeout
    move ok x0
    return
never:
    wait @never

function answer/1
    test_heap 3 1
    put_tuple2 x0 [answer x0]
    return

function fail/1
    allocate 0 1
    line
    call_ext_last 1 erlang:error/1 0

function crash/0
    allocate 0 0
    move "on purpose" x0
    line
    call_ext_last 1 erlang:error/1 0

function crash_later/0
    allocate 0 0
    move [] x2
    move crash x1
    move busy x0
    call_ext_last 3 erlang:spawn/3 0
