/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_code.c - generic instructions into operations
 *
 * The instructions are walked several times: first only to learn the frame (number of y registers)
 * at each label, until nothing new is learned; then once more to emit. Each walk checks that
 * operands are of the kind the instruction takes, that y registers lie in the frame, and that a
 * function returns as it was entered; so the interpreter checks none of this. Compilers share
 * blocks that only raise between places with different frames: there the frame is FRAME_MIXED or
 * below, and no instruction that needs to know it is taken. Code that no way leads to is left out.
 */
#include "vm/load_code.h"

#include "base/alloc.h"
#include "vm/bif.h"

/* --- functions ------------------------------------------------------------------------------- */

bool load_native(const struct bif *b)
{
    return b != NULL && b->fn != NULL && b->kind != BIF_FALLBACK;
}

static void func_info(struct loader *ld, const struct beam_instr *in)
{
    struct image *im = ld->image;
    int64_t arity = arg_u(ld, &in->args[2], 255);

    if (in->args[0].kind != BEAM_ATOM || in->args[1].kind != BEAM_ATOM) {
        load_fail(ld, "func_info wants atoms");
        return;
    }
    ld->entry_next = true;
    ld->function = ld->atoms[in->args[1].u];
    ld->arity = (uint32_t)arity;
    if (ld->measuring)
        return;
    if (!ld->dead)
        (void)verify_live(ld, ld->arity);
    emit_flush(ld);
    if (im->n_functions == ld->cap_functions) {
        ld->cap_functions = ld->cap_functions ? 2 * ld->cap_functions : 32;
        im->functions = mem_realloc(im->functions, ld->cap_functions * sizeof *im->functions);
    }
    im->functions[im->n_functions++] = (struct code_function){
        emit_offset(ld), 0, ld->atoms[in->args[1].u], (uint32_t)arity,
    };
    ld->dead = false;
    ld->frame = FRAME_NONE;
    EMIT(func_info, operand_number(arity));
    emit_flush(ld);
}

static void label_here(struct loader *ld, const struct beam_instr *in)
{
    uint64_t l = in->args[0].u;
    int32_t *frame;

    if (in->args[0].kind != BEAM_U || l == 0 || l >= ld->file.label_count) {
        load_fail(ld, "bad label");
        return;
    }
    frame = &ld->label_frame[l];
    /* Only exceptions come to a try_case: what stands before it does not return. */
    if ((ld->handler_y[l] & HANDLER_OF_TRY) != 0 && !ld->dead) {
        EMIT0(raise_badarg);
        ld->dead = true;
    }
    if (ld->entry_next) {
        ld->frame = FRAME_NONE;
        verify_entry(ld, ld->arity);
        ld->entry_arity[l] = (uint16_t)(ld->arity + 1);
    }
    if (ld->entry_next || !ld->dead)
        load_reach(ld, (uint32_t)l);
    ld->dead = *frame == FRAME_UNKNOWN;
    if (!ld->dead) {
        ld->frame = *frame;
        verify_label(ld, (uint32_t)l);
    }
    if (!ld->measuring) {
        emit_flush(ld);
        if (ld->label_off[l] != 0)
            load_fail(ld, "label %llu is defined twice", (unsigned long long)l);
        ld->label_off[l] = emit_offset(ld) + 1;
    }
    ld->handler_next = ld->handler_y[l];
    if (ld->entry_next) {
        ld->entry_next = false;
        if (!ld->measuring) {
            struct image *im = ld->image;
            struct code_function *f = &im->functions[im->n_functions - 1];
            struct export *e = export_find(ld->module, f->name, f->arity);

            f->entry = emit_offset(ld);
            /* A native function hides the Erlang one, for calls from the module itself too. */
            if (e != NULL && load_native(atomic_load(&e->bif))) {
                EMIT(bif_entry, operand_pointer(e));
                emit_flush(ld);
            }
        }
    }
}

/* --- one instruction ------------------------------------------------------------------------- */

#define TEST1(op) do { struct operand no_ = JUMPTO(0); EMIT(op, no_, SRC(1)); } while (0)
#define TEST2(op) do { struct operand no_ = JUMPTO(0); EMIT(op, no_, SRC(1), SRC(2)); } while (0)

/* =:= and =/= want a register first. */
static void exact_test(struct loader *ld, const struct beam_instr *in, enum op_id op)
{
    struct operand o[] = { JUMPTO(0), SRC(1), SRC(2) }, t;

    if (o[1].class == 'k') {
        t = o[1];
        o[1] = o[2];
        o[2] = t;
    }
    emit(ld, op, 3, o);
}

static void fmove(struct loader *ld, const struct beam_instr *in)
{
    const struct beam_arg *a = &in->args[0], *b = &in->args[1];

    if (a->kind == BEAM_FR && b->kind == BEAM_FR) {
        EMIT(fcopy, arg_float(ld, a), arg_float(ld, b));
    } else if (a->kind == BEAM_FR) {
        (void)verify_use(ld, FLOAT_WORDS);
        EMIT(fmove_out, arg_float(ld, a), arg_dest_known(ld, b, KNOWN_FLOAT));
    } else {
        struct operand s = arg_source(ld, a);

        if (s.class == 'k') {
            double d = 0;
            uint64_t u;

            if (is_float((term)s.n))
                d = flt_val((term)s.n);
            else
                load_fail(ld, "float expected");
            memcpy(&u, &d, sizeof u);
            EMIT(fconst, operand_pointer((const void *)(uintptr_t)u), arg_float(ld, b));
        } else {
            (void)load_is_sure(ld, a, KNOWN_FLOAT, 0);     /* fmove_in always looks */
            EMIT(fmove_in, s, arg_float(ld, b));
        }
    }
}

static void float_op(struct loader *ld, const struct beam_instr *in, enum op_id op)
{
    struct operand o[] = {arg_float(ld, &in->args[1]), arg_float(ld, &in->args[2]),
                          arg_float(ld, &in->args[3])};

    emit(ld, op, 3, o);
}

static void tuple_test(struct loader *ld, const struct beam_instr *in)
{
    struct operand no, s;
    term hdr = header_make(HK_TUPLE, (term)arg_u(ld, &in->args[2], (1 << 24) - 1));
    bool sure = load_knows(ld, &in->args[1], KNOWN_TUPLE, 0);

    no = JUMPTO(0);
    s = SRC(1);
    load_passed(ld, &in->args[1], known_tuple(header_size(hdr)));
    if (in->op == BOP_is_tagged_tuple) {
        struct operand tag = SRC(3);

        if (header_size(hdr) == 0)
            load_fail(ld, "tagged tuple without elements");

        if (tag.class != 'k' || !is_atom((term)tag.n))
            load_fail(ld, "atom expected");
        EMIT(is_tagged_tuple, no, s, operand_number((int64_t)hdr), tag);
    } else if (sure) {
        EMIT(test_arity, no, s, operand_number((int64_t)hdr));
    } else {
        EMIT(is_tuple_of, no, s, operand_number((int64_t)hdr));
    }
}

/* The slot of a catch that begins (open) or ends here; *ret_known is what it holds. */
static struct operand y_slot(struct loader *ld, const struct beam_arg *a, uint32_t **ret_known)
{
    *ret_known = verify_register(ld, a);
    if (a->kind != BEAM_Y || *ret_known == NULL)
        return arg_bad(ld, "y register");
    return operand_number(arg_place(ld, a).n);
}

/* try_end, try_case, catch_end: the slot is an ordinary register again. */
static struct operand y_closed(struct loader *ld, const struct beam_arg *a)
{
    uint32_t *known;
    struct operand o = y_slot(ld, a, &known);

    if (ld->rc != 0)
        return o;
    if (*known != KNOWN_CATCH)
        load_fail(ld, "no catch is open in y%llu", (unsigned long long)a->u);
    *known = KNOWN_ANY;
    return o;
}

static void try_or_catch(struct loader *ld, const struct beam_instr *in)
{
    uint32_t *known;
    struct operand y = y_slot(ld, &in->args[0], &known), to;
    uint16_t slot;

    if (in->args[1].kind != BEAM_F || in->args[1].u == 0)
        load_fail(ld, "label expected");
    if (ld->rc != 0)
        return;
    to = (struct operand){ 'f', (int64_t)in->args[1].u, NULL, 0, 0 };
    if (*known == KNOWN_CATCH)
        load_fail(ld, "catch inside a catch of the same register");
    slot = (uint16_t)y.n | (in->op == BOP_try ? HANDLER_OF_TRY : 0);
    if (ld->handler_y[to.n] != 0 && ld->handler_y[to.n] != slot)
        load_fail(ld, "handler of two catch slots");
    ld->handler_y[to.n] = slot;
    *known = KNOWN_CATCH;
    load_reach_frame(ld, (uint32_t)to.n, ld->frame);
    verify_reach_handler(ld, (uint32_t)to.n);
    EMIT(try_, y, to);
}

static void allocate(struct loader *ld, const struct beam_instr *in)
{
    int64_t n = arg_u(ld, &in->args[0], FRAME_MAX);
    bool heap = in->op == BOP_allocate_heap || in->op == BOP_allocate_heap_zero;
    struct operand live = arg_number(ld, &in->args[heap ? 2 : 1], X_REGISTERS - 1);

    if (heap)
        EMIT(allocate_heap, operand_number(n + 1), operand_number(arg_heap_need(ld, &in->args[1])),
             live);
    else
        EMIT(allocate, operand_number(n + 1), live);
    (void)verify_live(ld, (uint32_t)live.n);
    verify_room(ld, heap ? arg_heap_need(ld, &in->args[1]) : 0);
    load_set_frame(ld, n, (uint32_t)live.n);
    if (in->op == BOP_allocate_zero || in->op == BOP_allocate_heap_zero)
        verify_settle(ld);
}

static void test_heap(struct loader *ld, const struct beam_instr *in)
{
    int64_t need = arg_heap_need(ld, &in->args[0]), live = arg_u(ld, &in->args[1], X_REGISTERS - 1);

    (void)verify_live(ld, (uint32_t)live);
    verify_keep_x(ld, (uint32_t)live);
    EMIT(test_heap, operand_number(need), operand_number(live));
    verify_room(ld, need);
}

static void translate(struct loader *ld, const struct beam_instr *in)
{
    switch (in->op) {
    case BOP_line:
        ld->line = in->args[0].kind == BEAM_U && in->args[0].u < ld->file.n_lines
                 ? (uint32_t)in->args[0].u : 0;
        break;
    case BOP_executable_line:
    case BOP_nif_start:
    case BOP_fclearerror:
    case BOP_fcheckerror:
        break;
    case BOP_on_load:
        if (!ld->measuring && ld->image->n_functions > 0) {
            if (ld->image->functions[ld->image->n_functions - 1].arity != 0)
                load_fail(ld, "on_load in a function with arguments");
            ld->image->has_on_load = true;
            ld->image->on_load_entry = ld->image->functions[ld->image->n_functions - 1].entry;
        }
        break;
    /* frames */
    case BOP_allocate:
    case BOP_allocate_heap:
    case BOP_allocate_zero:
    case BOP_allocate_heap_zero:
        allocate(ld, in);
        break;
    case BOP_test_heap:
        test_heap(ld, in);
        break;
    case BOP_deallocate:
        load_drop_frame(ld, &in->args[0]);
        break;
    case BOP_trim: {
        int64_t n = arg_u(ld, &in->args[0], FRAME_MAX), left = arg_u(ld, &in->args[1], FRAME_MAX);

        if (n + left != ld->frame)
            load_fail(ld, "trim %lld %lld with a frame of %d", (long long)n, (long long)left,
                      ld->frame);
        else
            (void)verify_trim(ld, (uint32_t)n);
        EMIT(trim, operand_number(n));
        ld->frame = (int32_t)left;
        break;
    }
    case BOP_init_yregs:
        translate_init_yregs(ld, in);
        break;
    case BOP_init:
        EMIT(init1, DST(0));
        break;
    /* calls */
    case BOP_call:
    case BOP_call_last:
    case BOP_call_only:
        translate_call_local(ld, in);
        break;
    case BOP_call_ext:
        translate_call_ext(ld, in, CALL_BODY);
        break;
    case BOP_call_ext_last:
        translate_call_ext(ld, in, CALL_LAST);
        break;
    case BOP_call_ext_only:
        translate_call_ext(ld, in, CALL_ONLY);
        break;
    case BOP_call_fun:
    case BOP_call_fun2:
    case BOP_apply:
    case BOP_apply_last:
        translate_call_computed(ld, in);
        break;
    case BOP_return:
        if (ld->frame != FRAME_NONE)
            load_fail(ld, "return with a frame");
        EMIT0(return);
        load_no_way_on(ld);
        break;
    case BOP_jump:
        EMIT(jump, JUMPTO(0));
        load_no_way_on(ld);
        break;
    /* guards */
    case BOP_bif0:
        translate_guard(ld, in, -1, 0, 1, 0);
        break;
    case BOP_bif1:
        translate_guard(ld, in, 0, 1, 2, 1);
        break;
    case BOP_bif2:
        translate_guard(ld, in, 0, 1, 2, 2);
        break;
    case BOP_gc_bif1:
        verify_room(ld, 0);
        translate_guard(ld, in, 0, 2, 3, 1);
        break;
    case BOP_gc_bif2:
        verify_room(ld, 0);
        translate_guard(ld, in, 0, 2, 3, 2);
        break;
    case BOP_gc_bif3:
        verify_room(ld, 0);
        translate_guard(ld, in, 0, 2, 3, 3);
        break;
    /* tests */
    case BOP_is_lt: TEST2(is_lt); break;
    case BOP_is_ge: TEST2(is_ge); break;
    case BOP_is_eq: TEST2(is_eq); break;
    case BOP_is_ne: TEST2(is_ne); break;
    case BOP_is_eq_exact: exact_test(ld, in, OP_is_eq_exact); break;
    case BOP_is_ne_exact: exact_test(ld, in, OP_is_ne_exact); break;
    case BOP_is_integer: TEST1(is_integer); break;
    case BOP_is_float: TEST1(is_float); load_passed(ld, &in->args[1], KNOWN_FLOAT); break;
    case BOP_is_number: TEST1(is_number); break;
    case BOP_is_atom: TEST1(is_atom); break;
    case BOP_is_pid: TEST1(is_pid); break;
    case BOP_is_reference: TEST1(is_reference); break;
    case BOP_is_port: TEST1(is_port); break;
    case BOP_is_nil: TEST1(is_nil); break;
    case BOP_is_binary: TEST1(is_binary); break;
    case BOP_is_bitstr: TEST1(is_bitstr); break;
    case BOP_is_list: TEST1(is_list); break;
    case BOP_is_nonempty_list:
        TEST1(is_nonempty_list);
        load_passed(ld, &in->args[1], KNOWN_CONS);
        break;
    case BOP_is_tuple: TEST1(is_tuple); load_passed(ld, &in->args[1], known_tuple(0)); break;
    case BOP_is_map: TEST1(is_map); load_passed(ld, &in->args[1], KNOWN_MAP); break;
    case BOP_is_boolean: TEST1(is_boolean); break;
    case BOP_is_function: TEST1(is_function); break;
    case BOP_is_function2: TEST2(is_function2); break;
    case BOP_test_arity:
    case BOP_is_tagged_tuple:
        tuple_test(ld, in);
        break;
    case BOP_select_val:
        translate_select(ld, in, false);
        break;
    case BOP_select_tuple_arity:
        translate_select(ld, in, true);
        break;
    /* data */
    case BOP_move:
        EMIT(move, SRC(0), arg_dest_known(ld, &in->args[1], arg_known(ld, &in->args[0])));
        break;
    case BOP_swap:
        EMIT(swap, SRC(0), SRC(1));
        (void)arg_dest_known(ld, &in->args[0], arg_known(ld, &in->args[1]));
        (void)arg_dest_known(ld, &in->args[1], arg_known(ld, &in->args[0]));
        break;
    case BOP_get_list:
        if (load_is_sure(ld, &in->args[0], KNOWN_CONS, 0))
            EMIT(get_list, SRC(0), DST(1), DST(2));
        else
            EMIT(take_list, SRC(0), DST(1), DST(2));
        break;
    case BOP_get_hd:
        load_ensure(ld, &in->args[0], KNOWN_CONS, 0);
        EMIT(get_hd, SRC(0), DST(1));
        break;
    case BOP_get_tl:
        load_ensure(ld, &in->args[0], KNOWN_CONS, 0);
        EMIT(get_tl, SRC(0), DST(1));
        break;
    case BOP_get_tuple_element: {
        int64_t at = arg_u(ld, &in->args[1], (1 << 24) - 2);

        if (at >= 8000) {
            load_ensure(ld, &in->args[0], KNOWN_TUPLE, (uint32_t)at + 1);
            EMIT(get_tuple_element_far, SRC(0), operand_number(at + 1), DST(2));
        } else if (load_is_sure(ld, &in->args[0], KNOWN_TUPLE, (uint32_t)at + 1)) {
            EMIT(get_tuple_element, SRC(0), operand_number(8 * at + 8), DST(2));
        } else {
            EMIT(take_element, SRC(0), operand_number(8 * at + 8), DST(2));
        }
        break;
    }
    case BOP_set_tuple_element: {
        int64_t at = arg_u(ld, &in->args[2], (1 << 24) - 2) + 1;

        load_ensure(ld, &in->args[1], KNOWN_TUPLE, (uint32_t)at);
        EMIT(set_tuple_element, SRC(0), SRC(1), operand_number(at));
        break;
    }
    case BOP_put_list: {
        struct operand h = SRC(0), t = SRC(1), d = arg_dest_known(ld, &in->args[2], KNOWN_CONS);

        (void)verify_use(ld, CONS_WORDS);
        if ((h.class == 'k' && h.n != (int32_t)h.n) || (t.class == 'k' && t.n != (int32_t)t.n))
            EMIT(put_list_q, h, t, d);
        else
            EMIT(put_list, h, t, d);
        break;
    }
    case BOP_put_tuple2: translate_put_tuple2(ld, in); break;
    case BOP_update_record: translate_update_record(ld, in); break;
    case BOP_make_fun3: translate_make_fun3(ld, in); break;
    case BOP_make_fun2: {
        uint32_t row = 0;
        const struct beam_fun *f = arg_fun(ld, &in->args[0], &row);

        if (f != NULL) {
            (void)verify_live(ld, f->num_free);
            EMIT(test_heap, operand_number((int64_t)FUN_WORDS(f->num_free)),
                 operand_number(f->num_free));
            EMIT(make_fun2, operand_pointer(ld->image->funs[row]), operand_number(f->num_free));
            load_returned(ld);
        }
        break;
    }
    case BOP_has_map_fields: translate_has_map_fields(ld, in); break;
    case BOP_get_map_elements: translate_get_map_elements(ld, in); break;
    case BOP_put_map_assoc: translate_put_map(ld, in, false); break;
    case BOP_put_map_exact: translate_put_map(ld, in, true); break;
    /* exceptions */
    case BOP_try:
    case BOP_catch:
        try_or_catch(ld, in);
        break;
    case BOP_try_end: EMIT(try_end, y_closed(ld, &in->args[0])); break;
    case BOP_try_case:
        EMIT(try_case, y_closed(ld, &in->args[0]));
        if (!ld->measuring && !ld->at_handler)
            load_fail(ld, "try_case that no try leads to");
        verify_entry(ld, 3);
        break;
    case BOP_catch_end:
        EMIT(catch_end, y_closed(ld, &in->args[0]));
        (void)verify_live(ld, 1);
        load_returned(ld);
        break;
    case BOP_badmatch: EMIT(badmatch, SRC(0)); load_no_way_on(ld); break;
    case BOP_case_end: EMIT(case_end, SRC(0)); load_no_way_on(ld); break;
    case BOP_try_case_end: EMIT(try_case_end, SRC(0)); load_no_way_on(ld); break;
    case BOP_badrecord: EMIT(badrecord, SRC(0)); load_no_way_on(ld); break;
    case BOP_if_end: EMIT0(if_end); load_no_way_on(ld); break;
    case BOP_raise: EMIT(raise, SRC(0), SRC(1)); load_no_way_on(ld); break;
    case BOP_raw_raise: (void)verify_live(ld, 3); EMIT0(raw_raise); verify_entry(ld, 4); break;
    case BOP_build_stacktrace:
        (void)verify_live(ld, 1);
        EMIT0(build_stacktrace);
        load_returned(ld);
        break;
    /* messages */
    case BOP_send: (void)verify_live(ld, 2); EMIT0(send); load_returned(ld); break;
    case BOP_loop_rec:
        verify_entry(ld, 0);
        EMIT(loop_rec, JUMPTO(0), DST(1));
        break;
    case BOP_loop_rec_end:
        verify_entry(ld, 0);
        EMIT(loop_rec_end, JUMPTO(0));
        load_no_way_on(ld);
        break;
    case BOP_remove_message: EMIT0(remove_message); break;
    case BOP_wait: verify_entry(ld, 0); EMIT(wait, JUMPTO(0)); load_no_way_on(ld); break;
    case BOP_wait_timeout: {
        /* Executed again after a wake-up it does not look at its operand: an x register is not set
         * then. */
        struct operand time = in->args[1].kind == BEAM_X ? arg_place(ld, &in->args[1]) : SRC(1);

        verify_entry(ld, 0);
        EMIT(wait_timeout, JUMPTO(0), time);
        break;
    }
    case BOP_timeout: EMIT0(timeout); break;
    case BOP_recv_marker_reserve: EMIT(recv_marker_reserve, DST(0)); break;
    case BOP_recv_marker_bind: EMIT(recv_marker_bind, SRC(0), SRC(1)); break;
    case BOP_recv_marker_use: EMIT(recv_marker_use, SRC(0)); break;
    case BOP_recv_marker_clear: EMIT(recv_marker_clear, SRC(0)); break;
    case BOP_recv_mark:
    case BOP_recv_set:
        break;
    /* floats */
    case BOP_fmove: fmove(ld, in); break;
    case BOP_fconv: EMIT(fconv, SRC(0), arg_float(ld, &in->args[1])); break;
    case BOP_fadd: float_op(ld, in, OP_fadd); break;
    case BOP_fsub: float_op(ld, in, OP_fsub); break;
    case BOP_fmul: float_op(ld, in, OP_fmul); break;
    case BOP_fdiv: float_op(ld, in, OP_fdiv); break;
    case BOP_fnegate:
        EMIT(fnegate, arg_float(ld, &in->args[1]), arg_float(ld, &in->args[2]));
        break;
    /* matching */
    case BOP_bs_start_match3:
        verify_room(ld, 0);
        EMIT(bs_start_match, FAIL(0), SRC(1), arg_dest_known(ld, &in->args[3], KNOWN_CONTEXT));
        break;
    case BOP_bs_start_match4: translate_bs_start_match4(ld, in); break;
    case BOP_bs_get_position:
        load_ensure(ld, &in->args[0], KNOWN_CONTEXT, 0);
        EMIT(bs_get_position, SRC(0), DST(1));
        break;
    case BOP_bs_set_position:
        load_ensure(ld, &in->args[0], KNOWN_CONTEXT, 0);
        EMIT(bs_set_position, SRC(0), SRC(1));
        break;
    case BOP_bs_get_tail:
        load_ensure(ld, &in->args[0], KNOWN_CONTEXT, 0);
        verify_room(ld, 0);
        EMIT(bs_get_tail, SRC(0), DST(1));
        break;
    case BOP_bs_get_integer2: translate_bs_get_integer2(ld, in); break;
    case BOP_bs_get_float2: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_get_float, no_, SRC(1), SRC(3), arg_number(ld, &in->args[4], 256),
             arg_number(ld, &in->args[5], 31), DST(6));
    } break;
    case BOP_bs_get_binary2: translate_bs_get_binary2(ld, in); break;
    case BOP_bs_skip_bits2: translate_bs_skip_bits2(ld, in); break;
    case BOP_bs_test_tail2: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_test_tail, no_, SRC(1), arg_number(ld, &in->args[2], INT32_MAX));
    } break;
    case BOP_bs_test_unit: {
        int64_t unit = arg_u(ld, &in->args[2], 256);

        {
            struct operand no_ = arg_context(ld, in);
            EMIT(bs_test_unit, no_, SRC(1), operand_number(unit == 0 ? 1 : unit));
        }
        break;
    }
    case BOP_bs_match_string: {
        int64_t bits = arg_u(ld, &in->args[2], INT32_MAX);
        int64_t offset = arg_u(ld, &in->args[3], INT32_MAX);

        {
            struct operand no_ = arg_context(ld, in);
            EMIT(bs_match_string, no_, SRC(1), operand_number(bits),
                 operand_pointer(string_at(ld, (uint64_t)offset, ((uint64_t)bits + 7) / 8)));
        }
        break;
    }
    case BOP_bs_get_utf8: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_get_utf8, no_, SRC(1), DST(4));
    } break;
    case BOP_bs_get_utf16: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_get_utf16, no_, SRC(1), arg_number(ld, &in->args[3], 31), DST(4));
    } break;
    case BOP_bs_get_utf32: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_get_utf32, no_, SRC(1), arg_number(ld, &in->args[3], 31), DST(4));
    } break;
    case BOP_bs_skip_utf8: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_skip_utf8, no_, SRC(1));
    } break;
    case BOP_bs_skip_utf16: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_skip_utf16, no_, SRC(1), arg_number(ld, &in->args[3], 31));
    } break;
    case BOP_bs_skip_utf32: {
        struct operand no_ = arg_context(ld, in);
        EMIT(bs_skip_utf32, no_, SRC(1), arg_number(ld, &in->args[3], 31));
    } break;
    case BOP_bs_match: translate_bs_match(ld, in); break;
    case BOP_bs_create_bin:
        load_extra_heap(ld, &in->args[1], &in->args[2]);
        translate_bs_create_bin(ld, in);
        break;
    case BOP_bs_init2:
    case BOP_bs_init_bits:
    case BOP_bs_append:
    case BOP_bs_private_append:
    case BOP_bs_put_integer:
    case BOP_bs_put_float:
    case BOP_bs_put_binary:
    case BOP_bs_put_string:
    case BOP_bs_put_utf8:
    case BOP_bs_put_utf16:
    case BOP_bs_put_utf32:
    case BOP_bs_add:
    case BOP_bs_utf8_size:
    case BOP_bs_utf16_size:
    case BOP_bs_init_writable:
        translate_bs_older(ld, in);
        break;
    default:
        load_fail(ld, "instruction %s is not supported", beam_op_info(in->op)->name);
    }
}

/* --- walks ----------------------------------------------------------------------------------- */

/* Raising finds the frame through the slot that the handler's first instruction names. */
static void check_handler(struct loader *ld, const struct beam_instr *in)
{
    unsigned op = ld->handler_next & HANDLER_OF_TRY ? BOP_try_case : BOP_catch_end;

    if (in->op != op || in->args[0].kind != BEAM_Y ||
        8 * (in->args[0].u + 1) != (ld->handler_next & ~HANDLER_OF_TRY))
        load_fail(ld, "handler does not end its catch first");
    ld->handler_next = 0;
}

/* May the collector, or an exception looking for its handler, see the frame during this? */
static bool looks_at_frame(unsigned op)
{
    switch (op) {
    case BOP_label:
    case BOP_line:
    case BOP_func_info:
    case BOP_int_code_end:
    case BOP_move:
    case BOP_swap:
    case BOP_get_list:          /* these four settle it when they may raise */
    case BOP_get_hd:
    case BOP_get_tl:
    case BOP_get_tuple_element:
    case BOP_init:
    case BOP_init_yregs:
    case BOP_put_list:
    case BOP_put_tuple2:
    case BOP_make_fun3:
    case BOP_jump:
    case BOP_return:
    case BOP_deallocate:
        return false;
    default:
        return true;
    }
}

/* What has to be so before any instruction of this kind. */
static void before(struct loader *ld, const struct beam_instr *in)
{
    bool puts = false;

    if (looks_at_frame(in->op))
        verify_settle(ld);
    switch (in->op) {
    case BOP_bs_put_integer:
    case BOP_bs_put_float:
    case BOP_bs_put_binary:
    case BOP_bs_put_string:
    case BOP_bs_put_utf8:
    case BOP_bs_put_utf16:
    case BOP_bs_put_utf32:
        puts = true;
        break;
    case BOP_line:
        return;
    default:
        break;
    }
    (void)verify_building(ld, puts);
}

static bool walk(struct loader *ld)
{
    struct beam_cursor c;
    struct beam_instr in;
    int rc;

    ld->dead = true;
    ld->frame = FRAME_NONE;
    ld->line = 0;
    ld->entry_next = false;
    ld->handler_next = 0;
    beam_cursor_init(&c, &ld->file);
    while (ld->rc == 0 && (rc = beam_next(&c, &in)) != 0) {
        if (rc < 0) {
            load_fail(ld, "%s", c.error.text);
            break;
        }
        ld->at = in.at;
        if (ld->rc == 0 && !ld->dead)
            before(ld, &in);
        if (ld->entry_next && in.op != BOP_label && in.op != BOP_line) {
            load_fail(ld, "func_info without an entry label");
            break;
        }
        if (in.op != BOP_line) {
            ld->at_handler = ld->handler_next != 0;
            if (ld->at_handler)
                check_handler(ld, &in);
        }
        if (in.op == BOP_label) {
            label_here(ld, &in);
        } else if (in.op == BOP_func_info) {
            func_info(ld, &in);
            ld->dead = true;
        } else if (in.op == BOP_line || in.op == BOP_int_code_end || !ld->dead) {
            if (in.op != BOP_int_code_end)
                translate(ld, &in);
            else if (!ld->dead)
                EMIT0(raise_badarg);
            verify_commit(ld);
        }
    }
    beam_cursor_fini(&c);
    return ld->rc == 0;
}

bool load_code(struct loader *ld)
{
    ld->measuring = true;
    do {
        ld->frames_changed = false;
        if (!walk(ld))
            return false;
    } while (ld->frames_changed);
    ld->measuring = false;
    if (!walk(ld))
        return false;
    emit_flush(ld);
    emit_range(ld, FRAME_NONE, 0);
    return ld->rc == 0 && emit_finish(ld);
}
