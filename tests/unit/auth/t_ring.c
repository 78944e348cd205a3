/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_ring.c - histories of a key ring; every order of their entries gives the same members
 */
#include "auth/ring.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

/* Keys A (founder), B, C, D, E. */
static struct identity *id[5];
#define KEY(c) identity_key(id[(c) - 'A'])

#define ENTRIES_MAX 8

/* One entry of a history, signed. */
struct entry {
    struct ring_body body;
    uint8_t bytes[64];
    struct ring_sig sigs[2];
    unsigned n_sigs;
};

static struct entry entries[ENTRIES_MAX];
static size_t n_entries;

/* The bytes stand for the packed body: anything that differs between entries will do here. */
static struct entry *add(enum ring_kind kind, char subject, const char *name, uint32_t rights,
                         uint64_t serial, const char *by)
{
    struct entry *e = &entries[n_entries++];

    memset(e, 0, sizeof *e);
    e->body.kind = kind;
    e->body.serial = serial;
    e->body.rights = rights;
    e->body.made_at = serial;
    memset(e->body.cluster, 7, sizeof e->body.cluster);
    memcpy(e->body.subject, KEY(subject), NODE_KEY_BYTES);
    strcpy(e->body.name, name);
    snprintf((char *)e->bytes, sizeof e->bytes, "%d %c %s %u %u %zu", kind, subject, name, rights,
             (unsigned)serial, n_entries);
    for (; *by != 0; by++) {
        struct ring_sig *s = &e->sigs[e->n_sigs++];

        memcpy(s->by, KEY(*by), sizeof s->by);
        identity_sign(id[*by - 'A'], RING_LABEL, e->bytes, sizeof e->bytes, s->sig);
    }
    return e;
}

static int put(struct ring *r, const struct entry *e)
{
    return ring_add(r, &e->body, e->bytes, sizeof e->bytes, e->sigs, e->n_sigs);
}

/* "A:founder,B:member,C:revoked" of the keys that matter; unknown ones are left out. */
static void describe(const struct ring *r, char out[200])
{
    size_t n = 0;

    out[0] = 0;
    for (char c = 'A'; c <= 'E'; c++) {
        const struct ring_member *m = ring_find(r, KEY(c));

        if (m == NULL || (m->rights == 0 && !m->revoked))
            continue;
        n += (size_t)snprintf(out + n, 200 - n, "%c=%s:%x ", c,
                              m->revoked ? "revoked" : m->parked ? "parked" : m->name,
                              m->revoked ? 0 : m->rights);
    }
}

static const char *expected;

static void check_order(const size_t *order)
{
    struct ring *r = ring_new();
    char text[200];

    /* The found entry comes first: a ring begins with it. */
    for (size_t i = 0; i < n_entries; i++)
        (void)!put(r, &entries[order[i]]);
    for (size_t i = 0; i < n_entries; i++)
        assert_int_equal(put(r, &entries[order[i]]), 0);    /* known by now */
    describe(r, text);
    assert_string_equal(text, expected);
    ring_free(r);
}

static void permute(size_t *order, size_t from)
{
    if (from == n_entries) {
        check_order(order);
        return;
    }
    for (size_t i = from; i < n_entries; i++) {
        size_t swap = order[from];

        order[from] = order[i];
        order[i] = swap;
        permute(order, from + 1);
        order[i] = order[from];
        order[from] = swap;
    }
}

/* All permutations of what follows the found entry. */
static void expect(const char *want)
{
    size_t order[ENTRIES_MAX];

    for (size_t i = 0; i < n_entries; i++)
        order[i] = i;
    expected = want;
    permute(order, 1);
}

#define PEER  RIGHT_PEER
#define ADMIT (RIGHT_PEER | RIGHT_ADMIT)
#define ALL   (RIGHT_ALL & ~RIGHT_LEAF)

static int begin(void **state)
{
    n_entries = 0;
    add(RING_FOUND, 'A', "a", ALL, 1, "A");
    return 0;
}

static void a_chain_of_admissions(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", ADMIT, 3, "B");
    add(RING_ADMIT, 'D', "d", PEER, 4, "C");
    expect("A=a:3df B=b:41 C=c:41 D=d:1 ");
}

static void who_may_not_admit(void **state)
{
    add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER, 3, "B");
    add(RING_ADMIT, 'D', "d", PEER, 4, "E");
    expect("A=a:3df B=b:1 ");
}

static void nobody_grants_what_it_does_not_hold(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER | RIGHT_SPAWN, 3, "B");
    add(RING_ADMIT, 'D', "d", RIGHT_LEAF, 4, "B");      /* less than a peer, so always */
    expect("A=a:3df B=b:41 D=d:20 ");
}

static void revoked_and_what_hung_on_it(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER, 3, "B");
    add(RING_REVOKE, 'B', "", 0, 4, "A");
    expect("A=a:3df B=revoked:0 ");
}

static void countersigned_admissions_stay(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER, 3, "BA");
    add(RING_REVOKE, 'B', "", 0, 4, "A");
    expect("A=a:3df B=revoked:0 C=c:1 ");
}

/* A thief of a revoked key makes an admission with an old serial. */
static void backdating_gains_nothing(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 5, "A");
    add(RING_REVOKE, 'B', "", 0, 6, "A");
    add(RING_ADMIT, 'C', "c", ADMIT, 2, "B");
    add(RING_ADMIT, 'D', "d", PEER, 3, "C");
    expect("A=a:3df B=revoked:0 ");
}

static void revoked_for_ever(void **state)
{
    add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    add(RING_REVOKE, 'B', "", 0, 3, "A");
    add(RING_ADMIT, 'B', "b", PEER, 4, "A");
    expect("A=a:3df B=revoked:0 ");
}

static void by_its_own_hand(void **state)
{
    add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER, 3, "A");
    add(RING_REVOKE, 'B', "", 0, 4, "B");
    add(RING_REVOKE, 'C', "", 0, 5, "B");               /* which is not B's to say */
    expect("A=a:3df B=revoked:0 C=c:1 ");
}

/* Two that may admit revoke each other: the lower serial is weighed first. */
static void they_revoke_each_other(void **state)
{
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", ADMIT, 3, "A");
    add(RING_REVOKE, 'C', "", 0, 4, "B");
    add(RING_REVOKE, 'B', "", 0, 5, "C");
    expect("A=a:3df B=b:41 C=revoked:0 ");
}

static void a_name_is_kept_by_the_older(void **state)
{
    add(RING_ADMIT, 'B', "same", PEER, 2, "A");
    add(RING_ADMIT, 'C', "same", PEER, 3, "A");
    expect("A=a:3df B=same:1 C=parked:1 ");
    add(RING_REVOKE, 'B', "", 0, 4, "A");               /* and free again then */
    expect("A=a:3df B=revoked:0 C=same:1 ");
}

static void rights_change(void **state)
{
    add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    add(RING_RIGHTS, 'B', "", ADMIT, 3, "A");
    add(RING_RIGHTS, 'B', "", PEER | RIGHT_SPAWN, 4, "A");
    add(RING_RIGHTS, 'B', "", ALL, 5, "B");
    expect("A=a:3df B=b:3 ");
}

static void a_key_is_replaced(void **state)
{
    struct entry *e;

    add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    e = add(RING_REPLACE, 'C', "", 0, 3, "B");
    memcpy(e->body.replaces, KEY('B'), NODE_KEY_BYTES);
    expect("A=a:3df B=parked:1 C=b:1 ");
}

static void too_long_a_chain(void **state)
{
    /* Four steps from the founder are fine, more are not possible with five keys in one order; a ring
     * of signatures without a founder is none. */
    add(RING_ADMIT, 'B', "b", ADMIT, 2, "C");
    add(RING_ADMIT, 'C', "c", ADMIT, 3, "B");
    expect("A=a:3df ");
}

static void forged_and_foreign(void **state)
{
    struct ring *r = ring_new();
    struct entry *e = add(RING_ADMIT, 'B', "b", PEER, 2, "A");
    struct entry *other = add(RING_ADMIT, 'C', "c", PEER, 3, "A");
    struct entry *found = add(RING_FOUND, 'B', "x", ALL, 1, "B");
    uint64_t digest;

    assert_int_equal(put(r, e), -ERR_PROTOCOL);         /* nothing is found yet */
    assert_int_equal(put(r, &entries[0]), 1);
    digest = ring_digest(r);
    e->bytes[3] ^= 1;
    assert_int_equal(put(r, e), -ERR_PERMISSION);
    e->bytes[3] ^= 1;
    e->sigs[0].sig[9] ^= 1;
    assert_int_equal(put(r, e), -ERR_PERMISSION);
    e->sigs[0].sig[9] ^= 1;
    other->body.cluster[0] ^= 1;
    assert_int_equal(put(r, other), -ERR_PROTOCOL);
    assert_int_equal(put(r, found), -ERR_PROTOCOL);     /* one cluster is founded once */
    assert_true(ring_digest(r) == digest);
    assert_int_equal(put(r, e), 1);
    assert_false(ring_digest(r) == digest);
    assert_int_equal(ring_next_serial(r), 3);
    assert_non_null(ring_find_name(r, "b", 1));
    assert_non_null(ring_find_nid(r, node_nid(KEY('B'))));
    assert_null(ring_find_name(r, "c", 1));
    ring_free(r);
}

static void chains_to_show(void **state)
{
    const struct ring_entry *chain[RING_CHAIN_MAX];
    struct ring *r = ring_new();

    add(RING_ADMIT, 'B', "b", ADMIT, 2, "A");
    add(RING_ADMIT, 'C', "c", PEER, 3, "B");
    for (size_t i = 0; i < n_entries; i++)
        assert_int_equal(put(r, &entries[i]), 1);
    assert_int_equal(ring_chain(r, KEY('C'), chain, RING_CHAIN_MAX), 3);
    assert_int_equal(chain[0]->body.kind, RING_ADMIT);
    assert_string_equal(chain[1]->body.name, "b");
    assert_int_equal(chain[2]->body.kind, RING_FOUND);
    assert_int_equal(ring_chain(r, KEY('E'), chain, RING_CHAIN_MAX), 0);
    ring_free(r);
}

static void words_of_rights(void **state)
{
    char out[128];

    assert_int_equal(right_parse("operate", 7), RIGHT_OPERATE | RIGHT_VIEW);
    assert_int_equal(right_parse("oper", 4), 0);
    assert_string_equal(rights_text(RIGHT_PEER | RIGHT_ADMIT, out), "peer admit");
    assert_string_equal(rights_text(0, out), "");
    assert_int_equal(role_rights("root"), 0);
    assert_int_equal(role_rights("peer") & (RIGHT_ADMIT | RIGHT_DEPLOY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_chain_of_admissions, begin),
        cmocka_unit_test_setup(who_may_not_admit, begin),
        cmocka_unit_test_setup(nobody_grants_what_it_does_not_hold, begin),
        cmocka_unit_test_setup(revoked_and_what_hung_on_it, begin),
        cmocka_unit_test_setup(countersigned_admissions_stay, begin),
        cmocka_unit_test_setup(backdating_gains_nothing, begin),
        cmocka_unit_test_setup(revoked_for_ever, begin),
        cmocka_unit_test_setup(by_its_own_hand, begin),
        cmocka_unit_test_setup(they_revoke_each_other, begin),
        cmocka_unit_test_setup(a_name_is_kept_by_the_older, begin),
        cmocka_unit_test_setup(rights_change, begin),
        cmocka_unit_test_setup(a_key_is_replaced, begin),
        cmocka_unit_test_setup(too_long_a_chain, begin),
        cmocka_unit_test_setup(forged_and_foreign, begin),
        cmocka_unit_test_setup(chains_to_show, begin),
        cmocka_unit_test(words_of_rights),
    };
    int failed;

    auth_init();
    for (int i = 0; i < 5; i++) {
        struct secret seed = { { (uint8_t)(i + 1) } };

        id[i] = identity_new(&seed);
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 5; i++)
        identity_free(id[i]);
    return failed;
}
