/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_gc.c - the collector on random graphs: what the roots hold must be the same before and after
 */
#include "heap/blob.h"
#include "heap/external.h"
#include "heap/gc.h"
#include "heap/map.h"
#include "term/atom.h"
#include "term/compare.h"
#include "term/node.h"
#include "term/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOTS  48
#define STACK  16
#define BLOBS  8
#define WORLDS 12
#define STEPS  6000
#define LARGE  400      /* words of a root at which it is dropped */

static uint64_t seed;

static uint64_t chance(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % n;
}

struct world {
    struct heap h;
    term roots[ROOTS];
    struct blob *blob[BLOBS];
};

static term any(struct world *w)
{
    return w->roots[chance(ROOTS)];
}

static term make_match(struct heap *h, term bin)
{
    term *at = heap_alloc(h, 5);
    struct bits b = bits_of(bin);

    at[0] = header_make(HK_MATCH, 4);
    at[1] = b.bit_offset;
    at[2] = b.bit_offset + b.bits;
    at[3] = (term)(uintptr_t)b.base;
    at[4] = bin;
    return box_term(at);
}

static term make_binary(struct world *w)
{
    uint8_t bytes[200];
    size_t n = chance(sizeof bytes);
    term t = any(w);

    if (is_bitstring(t) && bitstring_bits(t) > 8 && chance(2)) {
        uint64_t off = chance(bitstring_bits(t) - 8);

        return bitstring_sub(&w->h, t, off, chance(bitstring_bits(t) - off));
    }
    if (chance(4) == 0) {
        struct blob *b = w->blob[chance(BLOBS)];

        return binary_from_blob(&w->h, blob_ref(b), chance(100), 700);
    }
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)chance(256);
    return heap_binary(&w->h, bytes, n);
}

static term make_map(struct world *w)
{
    term t = any(w);
    size_t n = chance(40);

    if (!is_map(t))
        t = map_empty(&w->h);
    for (size_t i = 0; i < n; i++)
        t = map_put(&w->h, t, small_make(chance(60)), any(w));
    return t;
}

static term make_term(struct world *w)
{
    term elems[6];
    size_t n = chance(7);

    switch (chance(11)) {
    case 0: return heap_int(&w->h, (int64_t)seed);
    case 1: return heap_float(&w->h, 1e100 * (double)chance(1000));
    case 2: case 3: return heap_cons(&w->h, any(w), any(w));
    case 4: return make_map(w);
    case 5: case 6: return make_binary(w);
    case 7: return atom_make(chance(50));
    case 8: return external_pid(&w->h, ATOM_true, 1, (uint32_t)chance(50), 0);
    default:
        for (size_t i = 0; i < n; i++)
            elems[i] = any(w);
        return heap_tuple(&w->h, n, elems);
    }
}

/* A match context is compared by what it sees: it has no value of its own. */
static uint64_t content(term t)
{
    if (is_match(t)) {
        term bin = box_ptr(t)[4];

        assert_true(box_ptr(t)[3] == (term)(uintptr_t)bits_of(bin).base);
        return term_hash(bin) ^ box_ptr(t)[2];
    }
    return term_hash(t);
}

static bool is_stack_full(struct heap *h)
{
    return h->hi - h->E > STACK;
}

static void check_collect(struct world *w, struct gc_request *req)
{
    uint64_t before[ROOTS], stack[STACK + 2];
    struct buf text = { 0 }, again = { 0 };
    size_t i = chance(ROOTS), depth = (size_t)(w->h.hi - w->h.E) - 1;
    struct gc_span spans[2] = { { w->roots, ROOTS / 2 }, { w->roots + ROOTS / 2, ROOTS / 2 } };

    for (size_t k = 0; k < ROOTS; k++)
        before[k] = content(w->roots[k]);
    for (size_t k = 0; k < depth; k++)
        stack[k] = content(w->h.E[1 + k]);
    if (!is_match(w->roots[i]))
        term_print(&text, w->roots[i], 0, 0);
    w->h.E[0] = 0xDEADBEEFDEADBEEB;     /* looks like a list: never to be followed */
    req->spans = spans;
    req->nspans = 2;
    gc_collect(&w->h, req);
    assert_true((size_t)(w->h.E - w->h.H) >= req->need_words + 2);
    assert_int_equal((w->h.hi - w->h.E) - 1, depth);
    for (size_t k = 0; k < ROOTS; k++)
        assert_true(content(w->roots[k]) == before[k]);
    for (size_t k = 0; k < depth; k++)
        assert_true(content(w->h.E[1 + k]) == stack[k]);
    if (!is_match(w->roots[i]))
        term_print(&again, w->roots[i], 0, 0);
    assert_string_equal(buf_cstr(&text), buf_cstr(&again));
    buf_fini(&text);
    buf_fini(&again);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    heap_bag_init(&w->h);
    heap_block_init(&w->h, HEAP_FIRST_WORDS);
    for (int i = 0; i < ROOTS; i++)
        w->roots[i] = TERM_NIL;
    for (int i = 0; i < BLOBS; i++) {
        w->blob[i] = blob_new(100);
        memset(w->blob[i]->data, i, 100);
    }
}

static void world_fini(struct world *w)
{
    heap_fini(&w->h);
    for (int i = 0; i < BLOBS; i++) {
        assert_int_equal(w->blob[i]->refs, 1);
        blob_unref(w->blob[i]);
    }
    node_entries_sweep(1);
    assert_int_equal(node_entries_sweep(1 + NODE_KEEP_NS), 0);
}

/* Keep terms off the stack frame's slot 0 and the bottom word a return address. */
static void push(struct world *w)
{
    if (!is_stack_full(&w->h) && w->h.E - w->h.H > 8) {
        *w->h.E = any(w);
        w->h.E--;
    } else if (is_stack_full(&w->h)) {
        w->h.E += chance(STACK) + 1;
    }
}

static void one_step(struct world *w)
{
    size_t k = chance(ROOTS);
    term t = make_term(w);

    if (term_size(t) > LARGE)
        t = TERM_NIL;
    w->roots[k] = t;
    if (chance(100) == 0)
        push(w);
}

/* Match contexts last one interval only: nothing else may be built with them. */
static void with_matches(struct world *w, struct gc_request *req)
{
    size_t where[3];

    for (int i = 0; i < 3; i++) {
        where[i] = chance(ROOTS);
        if (is_bitstring(w->roots[where[i]]))
            w->roots[where[i]] = make_match(&w->h, w->roots[where[i]]);
    }
    check_collect(w, req);
    req->need_words = 0;
    check_collect(w, req);
    for (int i = 0; i < 3; i++)
        if (is_match(w->roots[where[i]]))
            w->roots[where[i]] = TERM_NIL;
}

static void random_graphs(void **state)
{
    struct world w;

    for (uint64_t n = 1; n <= WORLDS; n++) {
        seed = n * 0x9E3779B97F4A7C15u;
        world_init(&w);
        for (int i = 0; i < STEPS; i++) {
            struct gc_request req = { 0 };

            one_step(&w);
            if (chance(60) != 0 && !w.h.collect_soon)
                continue;
            if (chance(20) == 0)
                req.flags = chance(3) == 0 ? GC_HIBERNATE : GC_FULL;
            if (chance(10) == 0)
                req.need_words = chance(3000);
            with_matches(&w, &req);
        }
        world_fini(&w);
    }
}

static void messages_become_ours(void **state)
{
    struct world w;
    struct heap from;

    seed = 4711;
    world_init(&w);
    heap_bag_init(&from);
    for (int i = 0; i < 3000; i++) {
        struct gc_request req = { 0 };
        term blobs = binary_from_blob(&from, blob_ref(w.blob[chance(BLOBS)]), 0, 800);
        term msg = heap_tuple3(&from, heap_int(&from, i), heap_list(&from, &blobs, 1, TERM_NIL), blobs);
        term mine;
        struct frag *f = frag_copy(msg, 48, &mine);

        assert_true(term_eq(mine, msg));
        if (chance(10) == 0) {
            frag_free(f);
            continue;
        }
        heap_adopt_frag(&w.h, f);
        w.roots[chance(ROOTS)] = mine;
        w.roots[chance(ROOTS)] = heap_copy(&w.h, msg);
        if (chance(20) == 0)
            check_collect(&w, &req);
    }
    heap_fini(&from);
    world_fini(&w);
}

static void literals_are_purged(void **state)
{
    struct world w;
    struct literal_area area, other;
    struct gc_request req = { 0 };
    term shared, lit[3];

    seed = 99;
    world_init(&w);
    for (int i = 0; i < 500; i++)
        one_step(&w);
    lit[0] = w.roots[1];
    lit[1] = heap_tuple2(&w.h, binary_from_blob(&w.h, blob_ref(w.blob[1]), 0, 800), ATOM_true);
    lit[2] = heap_list(&w.h, w.roots, 10, TERM_NIL);
    literal_area_build(&area, lit, 3);
    assert_true(is_literal(lit[1]) && is_literal(tuple_elem(lit[1], 0)));
    assert_int_equal(term_size(lit[2]), 0);
    shared = lit[1];
    assert_true(heap_copy(&w.h, lit[1]) == lit[1]);
    /* An area built from literals of another does not depend on it. */
    shared = literal_copy(shared, &other);
    for (int i = 0; i < 10; i++)
        w.roots[i] = heap_cons(&w.h, lit[i % 3], w.roots[i]);
    w.roots[10] = lit[2];
    check_collect(&w, &req);
    assert_true(w.roots[10] == lit[2]);
    req = (struct gc_request){ .flags = GC_PURGE_LITERALS, .purge_lo = (uintptr_t)area.start,
                               .purge_hi = (uintptr_t)(area.start + area.words) };
    check_collect(&w, &req);
    assert_false(is_literal(w.roots[10]));
    /* Shared parts stay shared: both were one literal. */
    assert_true(car(w.roots[0]) == car(w.roots[3]));
    literal_area_free(&area);
    req = (struct gc_request){ 0 };
    check_collect(&w, &req);
    assert_int_equal(bitstring_bits(tuple_elem(shared, 0)), 800);
    literal_area_free(&other);
    world_fini(&w);
}

static void literal_space_is_reused(void **state)
{
    struct literal_area area[100];
    struct heap h;
    term t;
    uintptr_t top = 0;

    heap_bag_init(&h);
    t = heap_list(&h, (term[]){ ATOM_true, ATOM_false, ATOM_ok }, 3, TERM_NIL);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 100; i++) {
            term l = literal_copy(t, &area[i]);

            assert_true(term_eq(l, t));
            assert_true(is_literal(l));
            if (round == 0 && (uintptr_t)area[i].start > top)
                top = (uintptr_t)area[i].start;
            assert_true((uintptr_t)area[i].start <= top);
        }
        for (int i = 0; i < 100; i++)
            literal_area_free(&area[i * 37 % 100]);
    }
    heap_fini(&h);
}

/* A list of a million grows through many sizes; garbage does not make the heap grow. */
static void sizes(void **state)
{
    struct heap h;
    term list = TERM_NIL;
    struct gc_span span = { &list, 1 };
    int collections = 0;

    heap_bag_init(&h);
    heap_block_init(&h, HEAP_FIRST_WORDS);
    for (int i = 0; i < 1000000; i++) {
        if (h.E - h.H < 4) {
            struct gc_request req = { .spans = &span, .nspans = 1, .need_words = 2 };

            gc_collect(&h, &req);
            assert_null(h.frags);
            assert_true(h.hi - h.lo >= HEAP_MIN_WORDS);
            collections++;
        }
        list = heap_cons(&h, small_make(i), list);
    }
    assert_true(collections < 60);
    assert_int_equal(list_length(list), 1000000);
    list = TERM_NIL;
    for (int i = 0; i < 2; i++) {
        struct gc_request req = { .spans = &span, .nspans = 1, .flags = i == 0 ? GC_FULL : GC_HIBERNATE };

        gc_collect(&h, &req);
        assert_true(h.hi - h.lo <= (i == 0 ? HEAP_MIN_WORDS : 8));
    }
    for (int i = 0; i < 1000000; i++) {
        if (h.E - h.H < 4) {
            struct gc_request req = { .spans = &span, .nspans = 1, .need_words = 2, .max_words = 400 };

            gc_collect(&h, &req);
            assert_false(req.ret_over);
            assert_true(heap_bytes(&h) < 8 * 1000);
        }
        list = heap_cons(&h, small_make(i), i % 20 == 0 ? TERM_NIL : list);
    }
    struct gc_request req = { .spans = &span, .nspans = 1, .max_words = 10, .need_words = 50 };

    gc_collect(&h, &req);
    assert_true(req.ret_over);
    heap_fini(&h);
}

/* Full to the last word, all of it garbage: the next block is no larger. */
static void full_of_garbage(void **state)
{
    struct heap h;

    heap_bag_init(&h);
    heap_block_init(&h, HEAP_MIN_WORDS);
    for (int i = 0; i < 100; i++) {
        struct gc_request req = { .need_words = 2 };

        while (h.H < h.E)
            *h.H++ = TERM_NIL;
        gc_collect(&h, &req);
        assert_int_equal(h.hi - h.lo, HEAP_MIN_WORDS);
    }
    heap_fini(&h);
}

static void trimming(void **state)
{
    struct heap h;

    heap_bag_init(&h);
    for (int round = 0; round < 2; round++) {
        term *got = heap_alloc(&h, 20);
        size_t used = heap_words_used(&h);

        heap_trim(&h, got, 20, got + 5);
        assert_int_equal(heap_words_used(&h), used - 15);
        assert_ptr_equal(heap_alloc(&h, 1), got + 5);
        if (round == 0)
            heap_block_init(&h, 100);
    }
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimming), cmocka_unit_test(random_graphs),
        cmocka_unit_test(messages_become_ours), cmocka_unit_test(literals_are_purged),
        cmocka_unit_test(literal_space_is_reused), cmocka_unit_test(sizes),
        cmocka_unit_test(full_of_garbage),
    };

    atom_table_init(0);
    literal_region_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
