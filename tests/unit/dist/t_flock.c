/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_flock.c - attributes and patterns; flocks over sessions that are lost and come back
 *
 * Two peers, x and y, are both this process (peer_fake_start): what this node announces comes back
 * to it as from x and as from y, so each of its members is seen three times.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "dist/dist.h"
#include "dist/flock.h"
#include "dist/peer.h"
#include "dist/share.h"
#include "heap/map.h"
#include "node/boot.h"
#include "term/atom.h"
#include "vm/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static peer_id x, y;

static term atom(const char *s)
{
    return atom_from_cstr(s);
}

/* --- attributes ---------------------------------------------------------------------------------- */

static term worker(struct heap *h)
{
    term pairs[] = { atom("type"), atom("worker"), atom("cores"), small_make(8),
                     heap_binary(h, "zone", 4), heap_binary(h, "mad-1", 5),
                     atom("load"), heap_float(h, 0.5), atom("tags"),
                     heap_cons(h, atom("a"), TERM_NIL) };

    return map_from_pairs(h, pairs, 5);
}

static void attributes_come_back(void **state)
{
    struct buf b = { 0 }, text = { 0 };
    struct heap h;
    term map;

    heap_bag_init(&h);
    assert_int_equal(attrs_write(&b, worker(&h)), 0);
    assert_true(attrs_ok(b.data, b.len));
    map = attrs_term(&h, b.data, b.len);
    assert_int_equal(map_size(map), 5);
    assert_true(map_get(map, atom("type")) == atom("worker"));
    assert_true(map_get(map, atom("cores")) == small_make(8));
    /* A key that is no atom yet stays text; nobody's attributes make atoms here. */
    assert_true(map_get(map, heap_binary(&h, "zone", 4)) != TERM_NONE);
    attrs_text(&text, b.data, b.len);
    assert_non_null(strstr(buf_cstr(&text), "type=worker"));
    for (size_t len = 1; len < b.len; len++) {
        uint8_t *cut = mem_dup(b.data, len);

        if (attrs_ok(cut, len))
            attrs_term(&h, cut, len);       /* a shorter list; the sanitizer looks */
        mem_free(cut);
    }
    buf_fini(&text);
    buf_fini(&b);
    heap_fini(&h);
}

static bool matches(struct heap *h, term pattern)
{
    struct pattern_wire wire;
    struct pattern *p, *again;
    struct buf b = { 0 };
    bool yes;

    assert_int_equal(attrs_write(&b, worker(h)), 0);
    assert_int_equal(pattern_from_term(pattern, &p), 0);
    yes = attrs_match(b.data, b.len, p);
    pattern_to_wire(p, &wire);
    assert_int_equal(pattern_from_wire(wire.pointers, wire.n, &again), 0);
    assert_int_equal(attrs_match(b.data, b.len, again), yes);
    pattern_free(again);
    again = pattern_copy(p);
    assert_int_equal(attrs_match(b.data, b.len, again), yes);
    pattern_free(again);
    pattern_free(p);
    buf_fini(&b);
    return yes;
}

static term clause(struct heap *h, const char *key, const char *op, term value)
{
    return heap_cons(h, heap_tuple3(h, atom(key), atom(op), value), TERM_NIL);
}

static void patterns_match(void **state)
{
    struct heap h;

    heap_bag_init(&h);
    assert_true(matches(&h, TERM_NIL));
    assert_true(matches(&h, clause(&h, "type", "is", atom("worker"))));
    assert_true(matches(&h, clause(&h, "type", "is", heap_binary(&h, "worker", 6))));
    assert_false(matches(&h, clause(&h, "type", "is", atom("boss"))));
    assert_false(matches(&h, clause(&h, "colour", "is", atom("red"))));
    assert_true(matches(&h, clause(&h, "zone", "is", atom("mad-1"))));
    assert_true(matches(&h, clause(&h, "cores", "at_least", small_make(8))));
    assert_false(matches(&h, clause(&h, "cores", "at_least", small_make(9))));
    assert_true(matches(&h, clause(&h, "load", "at_least", heap_float(&h, 0.25))));
    assert_false(matches(&h, clause(&h, "type", "at_least", small_make(0))));
    assert_true(matches(&h, clause(&h, "tags", "has", TERM_NIL)));
    assert_true(matches(&h, clause(&h, "type", "one_of",
                                   heap_cons(&h, atom("boss"),
                                             heap_cons(&h, atom("worker"), TERM_NIL)))));
    assert_false(matches(&h, clause(&h, "type", "one_of", heap_cons(&h, atom("boss"), TERM_NIL))));
    heap_fini(&h);
}

static void bad_patterns(void **state)
{
    struct pattern *p;
    struct heap h;
    term many = TERM_NIL;

    heap_bag_init(&h);
    assert_int_equal(pattern_from_term(atom("all"), &p), -ERR_ARGUMENT);
    assert_int_equal(pattern_from_term(clause(&h, "k", "like", atom("v")), &p), -ERR_ARGUMENT);
    assert_int_equal(pattern_from_term(clause(&h, "k", "at_least", atom("v")), &p), -ERR_ARGUMENT);
    assert_int_equal(pattern_from_term(clause(&h, "k", "one_of", atom("v")), &p), -ERR_ARGUMENT);
    for (int i = 0; i < CLAUSES_MAX + 1; i++)
        many = heap_cons(&h, heap_tuple2(&h, atom("k"), small_make(i)), many);
    assert_int_equal(pattern_from_term(many, &p), -ERR_LIMIT);
    heap_fini(&h);
}

/* --- over sessions ------------------------------------------------------------------------------- */

struct tally { unsigned all, here, with_zone; };

static void tally(void *arg, const struct flock_member_info *m)
{
    struct tally *t = arg;

    t->all++;
    t->here += m->node[0] == 0;
    t->with_zone += strstr(m->attrs, "node.zone=z1") != NULL;
}

static struct tally count(const char *flock)
{
    struct tally t = { 0 };

    assert_true(flock_visit_members(flock, tally, &t));
    return t;
}

static void wait_for(const char *flock, unsigned all)
{
    int64_t end = clock_monotonic_ns() + 30ll * 1000000000;

    while (count(flock).all != all && clock_monotonic_ns() < end)
        usleep(2000);
    assert_int_equal(count(flock).all, all);
}

static struct pattern *one_clause(const char *key, const char *value)
{
    struct pattern *p = MEM_NEW(struct pattern);

    assert_int_equal(pattern_add_text(p, key, value), 0);
    return p;
}

/* A process that waits for ever. */
static term idle(void)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    term pid;

    epoch_enter();
    pid = process_spawn_mfa(NULL, atom("rnode_pg"), atom("loop"), TERM_NIL, &opt, NULL);
    epoch_leave();
    return pid;
}

/* Call M:F in a process of its own. */
static void call(const char *m, const char *f, struct heap *h, term args)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };

    epoch_enter();
    (void)process_spawn_mfa(NULL, atom(m), atom(f), args, &opt, NULL);
    epoch_leave();
}

static void kill_process(term pid)
{
    struct process *p;

    epoch_enter();
    p = process_lookup(pid);
    if (p != NULL)
        signal_post(p, SIG_EXIT, pid, TERM_NONE, ATOM_kill);
    epoch_leave();
}

static void announce(term pid, const char *type)
{
    struct heap h;
    term pairs[] = { atom("type"), atom(type) }, map;

    heap_bag_init(&h);
    map = map_from_pairs(&h, pairs, 1);
    call("rnode_flock", "announce", &h, heap_cons(&h, pid, heap_cons(&h, map, TERM_NIL)));
    heap_fini(&h);
}

static void nodes_are_members(void **state)
{
    assert_int_equal(flock_define("nodes", one_clause("kind", "node"), "config"), 0);
    wait_for("nodes", 3);
    assert_int_equal(count("nodes").here, 1);
}

static void labels_change(void **state)
{
    static const char *const labels[] = { "zone=z1", "env=test", NULL };
    int64_t end = clock_monotonic_ns() + 30ll * 1000000000;

    flock_labels(labels);
    while (count("nodes").with_zone != 3 && clock_monotonic_ns() < end)
        usleep(2000);
    assert_int_equal(count("nodes").with_zone, 3);
    assert_int_equal(flock_define("zone", one_clause("node.zone", "z1"), "config"), 0);
    wait_for("zone", 3);
}

static void processes_come_and_go(void **state)
{
    term a = idle(), b = idle();

    assert_int_equal(flock_define("workers", one_clause("type", "worker"), "command"), 0);
    announce(a, "worker");
    announce(b, "worker");
    wait_for("workers", 6);
    announce(b, "boss");
    wait_for("workers", 3);
    announce(b, "worker");
    wait_for("workers", 6);
    kill_process(a);
    wait_for("workers", 3);
    kill_process(b);
    wait_for("workers", 0);
}

static void a_lost_session_takes_its_members(void **state)
{
    term a = idle();

    announce(a, "worker");
    wait_for("workers", 3);
    peer_fake_cut();
    wait_for("workers", 1);
    /* The next session brings them back. */
    peer_connect(x);
    wait_for("workers", 3);
    assert_int_equal(count("nodes").all, 3);
    kill_process(a);
    wait_for("workers", 0);
}

static void definitions_change(void **state)
{
    term a = idle();

    announce(a, "boss");
    assert_int_equal(flock_define("workers", one_clause("type", "boss"), "command"), 0);
    wait_for("workers", 3);
    assert_int_equal(flock_undefine("workers"), 0);
    assert_int_equal(flock_undefine("workers"), -ERR_NOT_FOUND);
    assert_false(flock_visit_members("workers", tally, &(struct tally){ 0 }));
    assert_int_equal(flock_define("not a name", one_clause("k", "v"), "command"), -ERR_ARGUMENT);
    kill_process(a);
}

static int start(void **state)
{
    static const struct boot_options options = { .schedulers = 2, .job_threads = 1,
                                                 .processes_max = 10000, .atoms_max = 100000 };
    struct peer_fake_options fake = { .name_x = "x@test", .name_y = "y@test", .creation_x = 11,
                                      .creation_y = 12, .seed = 1, .delay_us = 200 };

    boot_vm(&options);
    peer_fake_start(&fake, &x, &y);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_come_back), cmocka_unit_test(patterns_match),
        cmocka_unit_test(bad_patterns), cmocka_unit_test(nodes_are_members),
        cmocka_unit_test(labels_change), cmocka_unit_test(processes_come_and_go),
        cmocka_unit_test(a_lost_session_takes_its_members),
        cmocka_unit_test(definitions_change),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, NULL);
}
