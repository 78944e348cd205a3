% metrics.s - what tests/ctl/metrics lets a node do so that its figures move
module busy_metrics
export table/0 atoms/3 timers/1 hold/0 flood/1 fill/2 pour/2 many/1 ring/1 pass/1 program/0

% A table with one row, and its owner stays.
function table/0
    allocate 1 0
    init_yregs [y0]
    move busy_table x0
    move [public] x1
    line
    call_ext 2 ets:new/2
    move {key, 1} x1
    line
    call_ext 2 ets:insert/2
    deallocate 1
    call_only 0 hold/0

% A program outside that has said something.
function program/0
    allocate 1 0
    init_yregs [y0]
    move {spawn, "cat"} x0
    move [] x1
    line
    call_ext 2 erlang:open_port/2
    move "hello" x1
    line
    call_ext 2 erlang:port_command/2
    deallocate 1
    call_only 0 hold/0

function hold/0
    wait @forever
forever:
    wait @forever

% (From, To, Where): new atoms, each in a message of its own.
function atoms/3
    is_lt @done x0 x1
    allocate 3 3
    move x0 y0
    move x1 y1
    move x2 y2
    line
    call_ext 1 erlang:integer_to_binary/1
    line
    call_ext 1 erlang:binary_to_atom/1
    move x0 x1
    move y2 x0
    line
    call_ext 2 erlang:send/2
    gc_bif2 @none 3 erlang:'+'/2 y0 1 x0
    move y1 x1
    move y2 x2
    call_last 3 atoms/3 3
done:
    move ok x0
    return

% Timers that outlive the call: their receiver is registered.
function timers/1
    allocate 0 1
    move x0 x2
    move user x1
    move 3600000 x0
    line
    call_ext_last 3 erlang:send_after/3 0

% So many processes that crash.
function flood/1
    is_lt @enough 0 x0
    allocate 1 1
    move x0 y0
    move [] x2
    move crash x1
    move busy x0
    line
    call_ext 3 erlang:spawn/3
    gc_bif2 @none 1 erlang:'-'/2 y0 1 x0
    call_last 1 flood/1 1
enough:
    move ok x0
    return

% (Table, N): rows of half a megabyte.
function fill/2
    is_lt @full 0 x1
    allocate 2 2
    move x0 y0
    move x1 y1
    move <<0>> x0
    move 500000 x1
    line
    call_ext 2 binary:copy/2
    test_heap 3 1
    put_tuple2 x1 [y1 x0]
    move y0 x0
    line
    call_ext 2 ets:insert/2
    gc_bif2 @none 0 erlang:'-'/2 y1 1 x1
    move y0 x0
    call_last 2 fill/2 2
full:
    move ok x0
    return

% (To, N): messages of half a megabyte, however busy the connection is.
function pour/2
    is_lt @poured 0 x1
    allocate 2 2
    move x0 y0
    move x1 y1
    move <<0>> x0
    move 500000 x1
    line
    call_ext 2 binary:copy/2
    move [nosuspend] x2
    move x0 x1
    move y0 x0
    line
    call_ext 3 erlang:send/3
    gc_bif2 @none 0 erlang:'-'/2 y1 1 x1
    move y0 x0
    call_last 2 pour/2 2
poured:
    move ok x0
    return

% So many processes that wait.
function many/1
    is_lt @there 0 x0
    allocate 1 1
    move x0 y0
    move [] x2
    move hold x1
    move busy_metrics x0
    line
    call_ext 3 erlang:spawn/3
    gc_bif2 @none 0 erlang:'-'/2 y0 1 x0
    call_last 1 many/1 1
there:
    move ok x0
    return

% A ring of so many processes in which one message goes round for ever.
function ring/1
    allocate 1 1
    move x0 y0
    call_ext 0 erlang:self/0
    move x0 x1
    move y0 x0
    deallocate 1
    call_only 2 ring/2

function ring/2
    is_lt @closed 0 x0
    allocate 1 2
    move x0 y0
    test_heap 2 2
    put_list x1 [] x2
    move pass x1
    move busy_metrics x0
    line
    call_ext 3 erlang:spawn/3
    move x0 x1
    gc_bif2 @none 2 erlang:'-'/2 y0 1 x0
    call_last 2 ring/2 1
closed:
    move x1 x0
    call_only 1 first/1

% Whoever made the ring gives the first message, and passes on what comes back.
function first/1
    allocate 1 1
    move x0 y0
    move go x1
    send
    move y0 x0
    deallocate 1
    call_only 1 pass/1

function pass/1
    allocate 1 1
    move x0 y0
wait:
    loop_rec @empty x0
    remove_message
    move x0 x1
    move y0 x0
    send
    move y0 x0
    call_last 1 pass/1 1
empty:
    wait @wait
