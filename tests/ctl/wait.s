% wait.s - processes that wait for each other; with busy.s
%
% ask(To): call To as servers are called, and wait. later(): the same of whoever is sent to it.
% circle(): two that ask each other. chain(): one that asks one that asks one that sleeps.
% serve(Name): be called Name, and sleep. hold(Pid): suspend it, and sleep. fix(Table): traverse it
% without end. binary(): hold 1,000,000 bytes outside the heap.
module wait
export ask/1 later/0 circle/0 chain/0 serve/1 hold/1 fix/1 binary/0

function ask/1
    allocate 2 1
    move x0 y1
    recv_marker_reserve y0
    move x0 x1
    move process x0
    call_ext 2 erlang:monitor/2
    test_heap 4 1
    bif0 erlang:self/0 x1
    put_tuple2 x1 [ask x1 x0]
    recv_marker_bind y0 x0
    swap y1 x0
    init_yregs [y0]
    send
    recv_marker_use y1
l1:
    loop_rec @l5 x0
    is_tuple @l4 x0
    select_tuple_arity x0 @l4 [2 @l3 5 @l2]
l2:
    get_tuple_element x0 0 x1
    get_tuple_element x0 1 x0
    is_eq_exact @l4 x1 'DOWN'
    is_eq_exact @l4 x0 y1
    recv_marker_clear y1
    remove_message
    move down x0
    deallocate 2
    return
l3:
    get_tuple_element x0 0 x1
    is_eq_exact @l4 x1 y1
    recv_marker_clear y1
    get_tuple_element x0 1 x0
    remove_message
    deallocate 2
    return
l4:
    loop_rec_end @l1
l5:
    wait @l1

function later/0
    allocate 0 0
l1:
    loop_rec @l2 x0
    remove_message
    call_last 1 ask/1 0
l2:
    wait @l1

function circle/0
    allocate 1 0
    init_yregs [y0]
    move later x1
    move [] x2
    move wait x0
    call_ext 3 erlang:spawn/3
    test_heap 2 1
    put_list x0 [] x2
    move x0 y0
    move ask x1
    move wait x0
    call_ext 3 erlang:spawn/3
    move x0 x1
    move y0 x0
    send
    move y0 x0
    deallocate 1
    return

function chain/0
    allocate 0 0
    move sleep x1
    move [] x2
    move busy x0
    call_ext 3 erlang:spawn/3
    test_heap 2 1
    put_list x0 [] x2
    move ask x1
    move wait x0
    call_ext 3 erlang:spawn/3
    test_heap 2 1
    put_list x0 [] x2
    move ask x1
    move wait x0
    call_ext_last 3 erlang:spawn/3 0

function serve/1
    allocate 0 1
    bif0 erlang:self/0 x1
    call_ext 2 erlang:register/2
    call_ext_last 0 busy:sleep/0 0

function binary/0
    allocate 1 0
    init_yregs [y0]
    move 100000 x1
    move <<"0123456789">> x0
    call_ext 2 binary:copy/2
    move x0 y0
    call_ext 0 busy:sleep/0
    gc_bif1 @none 0 erlang:byte_size/1 y0 x0
    deallocate 1
    return

function hold/1
    allocate 0 1
    call_ext 1 erlang:suspend_process/1
    call_ext_last 0 busy:sleep/0 0

function fix/1
    allocate 0 1
    move true x1
    call_ext 2 ets:safe_fixtable/2
    call_ext_last 0 busy:sleep/0 0
