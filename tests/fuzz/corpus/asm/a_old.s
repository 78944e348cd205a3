% a_old.s - instructions of older compilers that files may still have
module a_old
export zero/1 heap_zero/1 init/1 fun2/2 floats/2 recv/1 nif/1 bin/2 bits/2 append/2 pappend/1
export getter/1 put_utf/1 add/2 loaded/0 put_float/2 is_number/1 is_ne/2 exec/1 consts/0

% allocate_zero gives slots that are [] at once
function zero/1
    allocate_zero 2 1
    move x0 y1
    call_ext 0 erlang:make_ref/0
    test_heap 4 0
    put_tuple2 x0 [y0 y1]
    deallocate 2
    return

function heap_zero/1
    allocate_heap_zero 1 3 1
    put_tuple2 x0 [x0 y0]
    deallocate 1
    return

function init/1
    allocate 2 1
    init y0
    init y1
    move x0 y1
    call_ext 0 erlang:self/0
    test_heap 3 0
    put_tuple2 x0 [y0 y1]
    deallocate 2
    return

% make_fun2 takes its free variables from x0 on and leaves the fun in x0; none here
function fun2/2
    allocate 1 2
    move x1 y0
    test_heap room(0,0,1) 0
    make_fun2 body/1
    move x0 x1
    move y0 x0
    call_fun 1
    deallocate 1
    return

function body/1
    test_heap 3 1
    put_tuple2 x0 [called x0]
    return

function floats/2
    fclearerror
    fconv x0 fr0
    fconv x1 fr1
    fadd @none fr0 fr1 fr2
    fnegate @none fr2 fr3
    fmul @none fr3 fr1 fr3
    fcheckerror @none
    test_heap room(0,1,0) 0
    fmove fr3 x0
    return

% recv_mark and recv_set only point at labels
function recv/1
    allocate 1 1
    move x0 y0
    recv_mark @next
    call_ext 0 erlang:make_ref/0
    recv_set @next
next:
    loop_rec @sleep x0
    is_eq_exact @skip x0 y0
    remove_message
    test_heap 3 1
    put_tuple2 x0 [got x0]
    deallocate 1
    return
skip:
    loop_rec_end @next
sleep:
    wait_timeout @next 50
    timeout
    move none x0
    deallocate 1
    return

function nif/1
    nif_start
    test_heap 3 1
    put_tuple2 x0 [nif x0]
    return

% <<"ab", X:16, Bin/binary>> as OTP 24 made it
function bin/2
    bif1 @none erlang:byte_size/1 x1 x2
    bs_add @none 4 x2 1 x2
    bs_init2 @none x2 0 2 0 x2
    bs_put_string 2 "ab"
    bs_put_integer @none 16 1 0 x0
    bs_put_binary @none all 8 0 x1
    move x2 x0
    return

function bits/2
    bs_init_bits @none 13 0 2 0 x2
    bs_put_integer @none 3 1 0 x0
    bs_put_integer @none 10 1 2 x1
    move x2 x0
    return

function append/2
    bs_append @none 16 0 2 8 x0 0 x2
    bs_put_integer @none 16 1 0 x1
    move x2 x0
    return

function pappend/1
    move 64 x0
    bs_init_writable
    bs_private_append @none 8 8 x0 0 x0
    bs_put_integer @none 8 1 0 7
    bs_private_append @none 8 8 x0 0 x0
    bs_put_integer @none 8 1 0 8
    return

function put_float/2
    bs_init2 @none 12 0 2 0 x2
    bs_put_float @none 64 1 0 x0
    bs_put_float @none 32 1 2 x1
    move x2 x0
    return

function put_utf/1
    bs_utf8_size @none x0 x1
    bs_utf16_size @none x0 x2
    bs_add @none x1 x2 1 x1
    bs_add @none x1 4 1 x1
    bs_init2 @none x1 0 1 0 x1
    bs_put_utf8 @none 0 x0
    bs_put_utf16 @none 0 x0
    bs_put_utf32 @none 2 x0
    move x1 x0
    return

function add/2
    bs_add @none x0 x1 8 x0
    return

function getter/1
    bs_start_match3 @fail x0 1 x0
    bs_get_integer2 @fail x0 1 8 1 0 x1
    bs_get_float2 @fail x0 2 32 1 0 x2
    bs_skip_bits2 @fail x0 4 1 0
    bs_get_binary2 @fail x0 3 12 1 0 x3
    bs_test_tail2 @fail x0 0
    test_heap 4 4
    put_tuple2 x0 [x1 x2 x3]
    return
fail:
    move nomatch x0
    return

function is_number/1
    is_number @no x0
    move yes x0
    return
no:
    move no x0
    return

function is_ne/2
    is_ne @no x0 x1
    move differ x0
    return
no:
    move same x0
    return

function exec/1
    line 7
    gc_bif2 @none 1 erlang:'+'/2 x0 1 x0
    return

function consts/0
    move {lit, [1, -2, 3.5, "str", <<1, 2>>, #{k => 'a b'}, fun erlang:abs/1 | tail],
          123456789012345678901234567890, -123456789012345678901234567890} x0
    return

function loaded/0
    move loaded x0
    call_ext_only 1 persistent_term:get/1

% runs before the module may be called
function start/0
    on_load
    move loaded x0
    move yes x1
    call_ext_only 2 persistent_term:put/2
