% counter.s - a process that counts
%
% Text for rnode-asm, the assembler of rnode (language: src/beam/asm.h). In Erlang it would be:
%
%     start() -> case whereis(counter) of
%                    undefined -> P = spawn(counter, loop, [0]), register(counter, P), {ok, P};
%                    P -> {ok, P}
%                end.
%     add(N)  -> call({add, N}).
%     value() -> call(value).
%     loop(State) -> receive {From, Ref, Request} ->
%                        {Reply, Next} = counter:handle(Request, State),
%                        From ! {Ref, Reply}, counter:loop(Next)
%                    end.
%
% loop/1 names its module in both calls, so each request is handled by the newest code, while
% the process and its state stay.

module counter
export start/0 add/1 value/0 loop/1 handle/2
attribute version 1

function start/0
    allocate 1 0
    init_yregs [y0]
    move counter x0
    line
    call_ext 1 erlang:whereis/1
    is_eq_exact @running x0 undefined
    move [0] x2
    move loop x1
    move counter x0
    line
    call_ext 3 erlang:spawn/3
    move x0 y0
    move x0 x1
    move counter x0
    line
    call_ext 2 erlang:register/2
    move y0 x0
running:
    test_heap 3 1
    put_tuple2 x0 [ok x0]
    deallocate 1
    return

function add/1
    test_heap 3 1
    put_tuple2 x0 [add x0]
    call_only 1 call/1

function value/0
    move value x0
    call_only 1 call/1

% Send the request in x0 and wait for the answer. The monitor tells when the counter dies.
function call/1
    allocate 3 1
    init_yregs [y1 y2]
    move x0 y0
    move counter x0
    line
    call_ext 1 erlang:whereis/1
    is_ne_exact @not_running x0 undefined
    move x0 y1
    move x0 x1
    move process x0
    line
    call_ext 2 erlang:monitor/2
    move x0 y2
    bif0 erlang:self/0 x0
    test_heap 4 1
    put_tuple2 x1 [x0 y2 y0]
    move y1 x0
    line
    send
next:
    loop_rec @sleep x0
    is_tuple @skip x0
    select_tuple_arity x0 @skip [2 @reply, 5 @down]
reply:
    get_tuple_element x0 0 x1
    is_eq_exact @skip x1 y2
    get_tuple_element x0 1 x1
    remove_message
    move x1 y0
    move [flush] x1
    move y2 x0
    line
    call_ext 2 erlang:demonitor/2
    move y0 x0
    deallocate 3
    return
down:
    get_tuple_element x0 0 x1
    is_eq_exact @skip x1 'DOWN'
    get_tuple_element x0 1 x1
    is_eq_exact @skip x1 y2
    get_tuple_element x0 4 x0
    remove_message
    line
    call_ext_last 1 erlang:exit/1 3
skip:
    loop_rec_end @next
sleep:
    wait_timeout @next 5000
    timeout
    move timeout x0
    line
    call_ext_last 1 erlang:exit/1 3
not_running:
    move not_running x0
    line
    call_ext_last 1 erlang:error/1 3

function loop/1
    allocate 3 1
    init_yregs [y1 y2]
    move x0 y0
next:
    loop_rec @sleep x0
    is_tuple @unknown x0
    test_arity @unknown x0 3
    get_tuple_element x0 0 y1
    get_tuple_element x0 1 y2
    get_tuple_element x0 2 x0
    remove_message
    move y0 x1
    line
    call_ext 2 counter:handle/2
    get_tuple_element x0 1 y0
    get_tuple_element x0 0 x0
    test_heap 3 1
    put_tuple2 x1 [y2 x0]
    move y1 x0
    line
    send
    move y0 x0
    line
    call_ext_last 1 counter:loop/1 3
unknown:
    remove_message
    jump @next
sleep:
    wait @next

% handle(Request, State) -> {Reply, State}
function handle/2
    is_tagged_tuple @value x0 2 add
    get_tuple_element x0 1 x0
    is_integer @unknown x0
    line
    gc_bif2 @none 2 erlang:'+'/2 x1 x0 x1
    jump @same
value:
    is_eq_exact @unknown x0 value
same:
    test_heap 3 2
    put_tuple2 x0 [x1 x1]
    return
unknown:
    test_heap 3 2
    put_tuple2 x0 [{error, bad_request} x1]
    return
