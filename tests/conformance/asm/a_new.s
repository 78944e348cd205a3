% a_new.s - instructions that OTP 26 and 27 brought
module a_new
export update/2 copy/2 inplace/2 same/1 self_ref/1 match/1 ints/1 exact/1 unit/1 tail/1 lit/1
export exec/1 signed/1 bins/1

function update/2
    test_heap 5 2
    update_record reuse 4 x0 x0 [2 x1 4 x0]
    return

function copy/2
    test_heap 5 2
    update_record copy 4 x0 x2 [3 x1]
    test_heap 3 3
    put_tuple2 x0 [x0 x2]
    return

function inplace/2
    test_heap 6 2
    put_tuple2 x2 [x0 x1]
    update_record inplace 2 x2 x2 [1 done]
    move x2 x0
    return

function same/1
    test_heap 5 1
    update_record reuse 4 x0 x0 [1 rec]
    return

% the target is a source as well
function self_ref/1
    test_heap 5 1
    get_tuple_element x0 1 x1
    update_record copy 4 x0 x1 [3 x1 2 x0]
    move x1 x0
    return

function match/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 ['ensure_at_least' 32 8 '=:=' [] 16 24930 integer 1 [] 16 1 x1 get_tail 2 8 x2]
    test_heap 3 3
    put_tuple2 x0 [x1 x2]
    return
no:
    move no x0
    return

function ints/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_exactly 40 integer 1 [little] 16 1 x1 skip 4 integer 2 [] 12 1 x2
                     integer 3 [] 8 1 x3]
    test_heap 4 4
    put_tuple2 x0 [x1 x2 x3]
    return
no:
    move no x0
    return

function signed/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_at_least 88 1 integer 1 [signed] 8 1 x1 integer 2 [little, signed] 16 1 x2
                     integer 3 [] 64 1 x3 get_tail 4 1 x4]
    test_heap 5 5
    put_tuple2 x0 [x1 x2 x3 x4]
    return
no:
    move no x0
    return

function bins/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_at_least 16 1 binary 1 [] 1 8 x1 binary 2 [] 5 1 x2 get_tail 3 1 x3]
    test_heap 4 4
    put_tuple2 x0 [x1 x2 x3]
    return
no:
    move no x0
    return

function exact/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_exactly 8]
    move yes x0
    return
no:
    move no x0
    return

function unit/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_at_least 8 16]
    move yes x0
    return
no:
    move no x0
    return

function tail/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_at_least 3 1 skip 3 get_tail 1 1 x0]
    return
no:
    move no x0
    return

function lit/1
    bs_start_match3 @no x0 1 x0
    bs_match @no x0 [ensure_exactly 64 '=:=' [] 64 7523094288207667809]
    move yes x0
    return
no:
    move no x0
    return

function exec/1
    executable_line 3 1
    gc_bif2 @none 1 erlang:'+'/2 x0 1 x0
    executable_line 4 2
    return
