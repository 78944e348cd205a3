/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_external.c - identifiers of other nodes and the counted table they point into
 */
#include "heap/external.h"
#include "base/clock.h"
#include "heap/etf.h"
#include "heap/gc.h"
#include "term/atom.h"
#include "term/compare.h"
#include "term/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t words[] = { 1, 2, 3 };

static uint64_t refs_of(term id)
{
    return id_node(id)->refs;
}

/* The entries that are left when all that is idle has been kept long enough. */
static uint32_t entries_left(void)
{
    int64_t now_ns = clock_monotonic_ns();

    node_entries_sweep(now_ns);
    return node_entries_sweep(now_ns + NODE_KEEP_NS);
}

static void entries_are_shared(void **state)
{
    struct node_entry *a = node_entry_get(ATOM_true, 1), *b = node_entry_get(ATOM_true, 2);

    assert_ptr_equal(a, node_entry_get(ATOM_true, 1));
    assert_ptr_not_equal(a, b);
    assert_int_equal(a->index, 1);
    assert_int_equal(b->index, 2);
    node_entry_unref(a);
    node_entry_unref(a);
    node_entry_unref(b);
    assert_int_equal(entries_left(), 0);
}

static void idle_entries_are_kept_a_while(void **state)
{
    int64_t now_ns = clock_monotonic_ns();

    node_entry_unref(node_entry_get(ATOM_true, 1));
    assert_int_equal(node_entries_sweep(now_ns), 1);
    assert_int_equal(node_entries_sweep(now_ns + NODE_KEEP_NS - 1), 1);
    node_entry_unref(node_entry_get(ATOM_true, 1));             /* used again: counts anew */
    assert_int_equal(node_entries_sweep(now_ns + NODE_KEEP_NS), 1);
    assert_int_equal(node_entries_sweep(now_ns + 2 * NODE_KEEP_NS), 0);
}

static void terms_count(void **state)
{
    struct heap h, other;
    term pid, ref, port, copy;

    heap_bag_init(&h);
    heap_bag_init(&other);
    pid = external_pid(&h, ATOM_true, 7, 12, 1);
    ref = external_ref(&h, ATOM_true, 7, words, 3);
    port = external_port(&h, ATOM_true, 7, 99);
    assert_int_equal(refs_of(pid), 3);
    assert_int_equal(pid_number(pid), 12);
    assert_int_equal(port_number(port), 99);
    copy = heap_copy(&other, heap_tuple3(&h, pid, ref, port));
    assert_int_equal(refs_of(pid), 6);
    assert_true(term_eq(tuple_elem(copy, 0), pid));
    assert_true(term_hash(tuple_elem(copy, 0)) == term_hash(pid));
    assert_true(term_hash(tuple_elem(copy, 1)) == term_hash(ref));
    assert_true(term_hash(tuple_elem(copy, 2)) == term_hash(port));
    heap_fini(&h);
    assert_int_equal(refs_of(tuple_elem(copy, 0)), 3);
    heap_fini(&other);
    assert_int_equal(entries_left(), 0);
}

/* What the collector keeps, moves to the old generation or drops. */
static void collections_count(void **state)
{
    struct heap h;
    term roots[2];
    struct gc_span span = { roots, 2 };
    struct gc_request req = { .spans = &span, .nspans = 1 };

    heap_bag_init(&h);
    heap_block_init(&h, HEAP_FIRST_WORDS);
    roots[0] = external_pid(&h, ATOM_true, 7, 12, 1);
    roots[1] = external_ref(&h, ATOM_true, 7, words, 3);
    for (int round = 0; round < 4; round++) {
        (void)external_pid(&h, ATOM_true, 7, 13, 1);
        assert_int_equal(refs_of(roots[0]), 3);
        gc_collect(&h, &req);
        assert_int_equal(refs_of(roots[0]), 2);
        assert_int_equal(pid_number(roots[0]), 12);
    }
    roots[1] = TERM_NIL;
    req.flags = GC_FULL;
    gc_collect(&h, &req);
    assert_int_equal(refs_of(roots[0]), 1);
    heap_fini(&h);
    assert_int_equal(entries_left(), 0);
}

static void literals_count(void **state)
{
    struct heap h;
    struct literal_area area;
    term t;

    heap_bag_init(&h);
    t = literal_copy(external_pid(&h, ATOM_true, 7, 12, 1), &area);
    heap_fini(&h);
    assert_int_equal(refs_of(t), 1);
    literal_area_free(&area);
    assert_int_equal(entries_left(), 0);
}

/* NEW_PID of node `true` with this creation. */
static term decode_pid_of(struct heap *h, uint32_t creation)
{
    uint8_t b[] = { 131, 88, 119, 4, 't', 'r', 'u', 'e', 0, 0, 0, 1, 0, 0, 0, 1,
                    (uint8_t)(creation >> 24), (uint8_t)(creation >> 16),
                    (uint8_t)(creation >> 8), (uint8_t)creation };
    struct reader r = reader_make(b, sizeof b);

    return etf_decode(h, &r, 0);
}

static void a_full_table_refuses(void **state)
{
    struct heap h, more;

    heap_bag_init(&h);
    heap_bag_init(&more);
    for (uint32_t i = 1; i <= NODE_ENTRIES_MAX; i++)
        assert_true(decode_pid_of(&h, i) != TERM_NONE);
    assert_true(decode_pid_of(&more, NODE_ENTRIES_MAX + 1) == TERM_NONE);
    assert_true(external_ref(&more, ATOM_false, 1, words, 3) == TERM_NONE);
    assert_true(decode_pid_of(&more, 5) != TERM_NONE);          /* one that is there already */
    heap_fini(&more);
    heap_fini(&h);
    assert_int_equal(entries_left(), 0);
    assert_true(decode_pid_of(&more, NODE_ENTRIES_MAX + 1) != TERM_NONE);
    heap_fini(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_shared), cmocka_unit_test(idle_entries_are_kept_a_while),
        cmocka_unit_test(terms_count), cmocka_unit_test(collections_count),
        cmocka_unit_test(literals_count), cmocka_unit_test(a_full_table_refuses),
    };

    atom_table_init(40000);
    literal_region_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
