/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_gossip.c - the pieces of membership: bytes, the sorted view, the queue of rumours, the map
 */
#include "base/alloc.h"
#include "base/errors.h"
#include "cluster/gossip_wire.h"
#include "cluster/idmap.h"
#include "cluster/rumour.h"
#include "cluster/roster.h"
#include "wire/unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static struct net_addr some_addr(bool v4)
{
    struct net_addr a = { .port = (uint16_t)(1 + any() % 65535) };

    for (int i = 0; i < 16; i++)
        a.ip[i] = (uint8_t)any();
    if (v4) {
        memset(a.ip, 0, 10);
        a.ip[10] = a.ip[11] = 0xff;
    }
    return a;
}

/* --- bytes -------------------------------------------------------------------------------------- */

static uint8_t body_bytes[MEMBER_BODY_MAX], sig_bytes[MEMBER_SIG_BYTES];

static struct gossip_item some_item(enum gossip_kind kind)
{
    struct gossip_item it = { .kind = kind };

    if (kind == GOSSIP_ALIVE || kind == GOSSIP_NOTE) {
        it.body = body_bytes;
        it.body_len = 1 + any() % 500;
        it.sig = sig_bytes;
    }
    if (kind <= GOSSIP_NACK) {
        it.nonce = any();
        it.from = any();
    }
    if (kind != GOSSIP_ACK && kind != GOSSIP_ALIVE)
        it.node = any() % 3 == 0 ? 0 : any();
    if (kind >= GOSSIP_SUSPECT)
        it.incarnation = any() >> any() % 64;
    if (kind == GOSSIP_SUSPECT || kind == GOSSIP_DEAD || kind == GOSSIP_ASK)
        it.by = any();
    if (kind == GOSSIP_PING || kind == GOSSIP_ACK)
        it.vital = (struct vital){ .digest = any(), .load = (uint32_t)any() % 10001, .health = 3,
                                   .ring_version = any() % 100, .epoch = (uint32_t)any() };
    if (kind == GOSSIP_PING_REQ)
        it.addr = some_addr(any() % 2);
    return it;
}

static void same_item(const struct gossip_item *a, const struct gossip_item *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->nonce, b->nonce);
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->node, b->node);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->by, b->by);
    assert_memory_equal(&a->vital, &b->vital, sizeof(a->vital));
    assert_true(memcmp(&a->addr, &b->addr, sizeof(struct net_addr)) == 0);
    assert_int_equal(a->body_len, b->body_len);
    if (a->body_len != 0)
        assert_memory_equal(a->body, b->body, a->body_len);
    if (a->sig != NULL)
        assert_memory_equal(a->sig, b->sig, MEMBER_SIG_BYTES);
}

static void items_come_back(void **state)
{
    for (int i = 0; i < 20000; i++) {
        struct gossip_item it = some_item(1 + (enum gossip_kind)(any() % (GOSSIP_KINDS - 1))), back;
        struct gossip_packet p;
        struct reader r;

        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        assert_true(gossip_put(&p, &it));
        assert_int_equal(p.len, gossip_item_bytes(&it));
        r = reader_make(p.data, p.len);
        assert_int_equal(gossip_next(&r, &back), 1);
        same_item(&it, &back);
        assert_int_equal(gossip_next(&r, &back), 0);
    }
}

/* protobuf-c reads what we write, and writes the same bytes again. */
static void as_protobuf_c(void **state)
{
    for (int i = 0; i < 5000; i++) {
        struct gossip_packet p;
        struct buf again = { 0 };
        Rn__Gossip *g;

        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        for (int k = 0; k < 1 + i % 5; k++) {
            struct gossip_item it = some_item(1 + (enum gossip_kind)(any() % (GOSSIP_KINDS - 1)));

            gossip_put(&p, &it);
        }
        g = rn__gossip__unpack(NULL, p.len, p.data);
        assert_non_null(g);
        wire_pack(&g->base, &again);
        assert_int_equal(again.len, p.len);
        assert_memory_equal(again.data, p.data, p.len);
        rn__gossip__free_unpacked(g, NULL);
        buf_fini(&again);
    }
}

static void full_packets_refuse(void **state)
{
    struct gossip_item it = some_item(GOSSIP_SUSPECT), back;
    struct gossip_packet p;
    struct reader r;
    int n = 0, rc;

    gossip_packet_init(&p, 300);
    while (gossip_put(&p, &it))
        n++;
    assert_true(n > 5 && p.len <= 300 && p.len + gossip_item_bytes(&it) > 300);
    r = reader_make(p.data, p.len);
    while ((rc = gossip_next(&r, &back)) == 1)
        n--;
    assert_int_equal(rc, 0);
    assert_int_equal(n, 0);
}

/* Every prefix of a packet is refused or ends early; none reads past its end (the sanitizer sees). */
static void cut_packets(void **state)
{
    for (int i = 0; i < 300; i++) {
        struct gossip_item it = some_item(1 + (enum gossip_kind)(any() % (GOSSIP_KINDS - 1))), back;
        struct gossip_packet p;

        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        gossip_put(&p, &it);
        for (size_t len = 1; len < p.len; len++) {
            uint8_t *copy = mem_dup(p.data, len);
            struct reader r = reader_make(copy, len);

            assert_true(gossip_next(&r, &back) < 0);
            mem_free(copy);
        }
    }
}

static struct member_body some_body(uint8_t key[MEMBER_KEY_BYTES], const char *name)
{
    struct member_body b = { .key = key, .boot_id = sig_bytes, .name = name,
                             .name_len = strlen(name), .creation = 77,
                             .incarnation = 77ull << 32 | 5, .proto_min = 1, .proto_max = 2,
                             .features = any(), .flags = 1, .n_addrs = 2 };

    b.addrs[0] = some_addr(true);
    b.addrs[1] = some_addr(false);
    return b;
}

static void bodies_come_back(void **state)
{
    uint8_t key[MEMBER_KEY_BYTES] = { 1, 2, 3 };
    struct member_body b = some_body(key, "db-2@host"), back;
    struct buf out = { 0 };

    member_body_write(&out, &b);
    assert_int_equal(member_body_read(out.data, out.len, &back), 0);
    assert_memory_equal(back.key, key, sizeof(key));
    assert_int_equal(back.name_len, b.name_len);
    assert_memory_equal(back.name, b.name, b.name_len);
    assert_int_equal(back.incarnation, b.incarnation);
    assert_int_equal(back.features, b.features);
    assert_int_equal(back.n_addrs, 2);
    assert_true(memcmp(&back.addrs[0], &b.addrs[0], sizeof(struct net_addr)) == 0);
    assert_true(memcmp(&back.addrs[1], &b.addrs[1], sizeof(struct net_addr)) == 0);
    out.len = 0;
    b.incarnation = 78ull << 32;            /* ahead of its own boot */
    member_body_write(&out, &b);
    assert_int_equal(member_body_read(out.data, out.len, &back), -ERR_PROTOCOL);
    buf_fini(&out);
}

static void body_as_protobuf_c(void **state)
{
    uint8_t key[MEMBER_KEY_BYTES] = { 7 };
    struct member_body b = some_body(key, "db-2@host");
    struct buf out = { 0 }, again = { 0 };
    Rn__MemberBody *m;

    member_body_write(&out, &b);
    m = rn__member_body__unpack(NULL, out.len, out.data);
    assert_non_null(m);
    assert_int_equal(m->incarnation, b.incarnation);
    assert_int_equal(m->n_addrs, 2);
    wire_pack(&m->base, &again);
    assert_int_equal(again.len, out.len);
    assert_memory_equal(again.data, out.data, out.len);
    rn__member_body__free_unpacked(m, NULL);
    buf_fini(&out);
    buf_fini(&again);
}

static void pushpulls_come_back(void **state)
{
    static const enum gossip_kind kinds[3] = { GOSSIP_DEAD, GOSSIP_ALIVE, GOSSIP_NOTE };
    struct pushpull pp = { .step = PUSHPULL_ANSWER, .has_digests = true, .more = true }, back;
    struct gossip_item it[3], got;
    struct buf out = { 0 };

    for (int i = 0; i < GOSSIP_BUCKETS; i++)
        pp.digests[i] = any();
    pushpull_write_head(&out, &pp);
    for (int i = 0; i < 3; i++) {
        it[i] = some_item(kinds[i]);
        pushpull_write_item(&out, &it[i]);
    }
    assert_int_equal(pushpull_read(out.data, out.len, &back), 0);
    assert_true(back.step == PUSHPULL_ANSWER && back.more && !back.merging && back.has_digests);
    assert_memory_equal(back.digests, pp.digests, sizeof(pp.digests));
    for (int i = 0; i < 3; i++) {
        assert_true(pushpull_next(&back, &got));
        same_item(&it[i], &got);
    }
    assert_false(pushpull_next(&back, &got));
    Rn__PushPull *m = rn__push_pull__unpack(NULL, out.len, out.data);
    assert_non_null(m);
    assert_true(m->step == 2 && m->more && m->n_bucket_digests == GOSSIP_BUCKETS
                && m->n_alive == 1 && m->n_gone == 1 && m->n_notes == 1
                && m->gone[0]->node == it[0].node && m->bucket_digests[255] == pp.digests[255]);
    rn__push_pull__free_unpacked(m, NULL);
    for (size_t len = 0; len < out.len; len++)
        if (pushpull_read(out.data, len, &back) == 0)
            while (pushpull_next(&back, &got))
                ;
    buf_fini(&out);
}

/* --- the view ----------------------------------------------------------------------------------- */

static bool trust(void *arg, const struct member_body *b, const uint8_t *body, size_t len,
                  const uint8_t *sig)
{
    return true;
}

static struct record *record_with(struct record_pool *pool, uint64_t nid)
{
    uint8_t key[MEMBER_KEY_BYTES] = { 0 };
    struct member_body b = some_body(key, "n");
    struct buf out = { 0 };
    struct record *rec;

    memcpy(key, &nid, sizeof(nid));
    member_body_write(&out, &b);
    assert_int_equal(member_body_read(out.data, out.len, &b), 0);
    assert_int_equal(record_get(pool, nid, &b, out.data, out.len, sig_bytes, &rec), 0);
    buf_fini(&out);
    return rec;
}

/* Against an array: ids from all over, and many in one corner, inserted and removed. */
static void view_is_a_set(void **state)
{
    enum { N = 600 };
    struct record_pool pool;
    struct record *rec[N];
    bool in[N] = { false };
    struct roster v;
    uint32_t n = 0;

    record_pool_init(&pool, NULL, trust);
    roster_init(&v);
    for (int i = 0; i < N; i++)
        rec[i] = record_with(&pool, i % 3 == 0 ? UINT64_MAX - (uint64_t)i
                                    : i % 3 == 1 ? (uint64_t)i : any());
    for (int step = 0; step < 20000; step++) {
        int i = (int)(any() % N);
        struct member *m = roster_find(&v, rec[i]->nid);

        assert_true((m != NULL) == in[i]);
        if (in[i] && any() % 2) {
            roster_remove(&v, rec[i]->nid);
            n--;
            in[i] = false;
        } else if (!in[i]) {
            roster_insert(&v, rec[i], MEMBER_ALIVE);
            n++;
            in[i] = true;
        } else {
            roster_set(&v, m, (enum member_state)(any() % MEMBER_STATES), NULL);
        }
    }
    assert_int_equal(v.n, n);
    uint64_t last = 0, digests[GOSSIP_BUCKETS], all = 0;
    uint32_t seen = 0;
    ROSTER_EACH(&v, m) {
        assert_true(seen == 0 || m->rec->nid > last);
        last = m->rec->nid;
        seen++;
    }
    assert_int_equal(seen, n);
    roster_buckets(&v, digests);
    for (int i = 0; i < GOSSIP_BUCKETS; i++)
        all ^= digests[i];
    assert_int_equal(all, v.digest);
    roster_fini(&v);
    for (int i = 0; i < N; i++) {
        assert_int_equal(rec[i]->refs, 2);
        record_unref(rec[i]);
    }
    record_pool_fini(&pool);
}

/* --- rumours ------------------------------------------------------------------------------------ */

static void rumours_in_order(void **state)
{
    struct record_pool pool;
    struct rumours q;
    struct record *rec;
    int told[4] = { 0 }, order[4], at = 0;

    record_pool_init(&pool, NULL, trust);
    rec = record_with(&pool, 3);
    rumours_init(&q);
    rumour_state(&q, GOSSIP_SUSPECT, 1, 10, 9);
    rumour_state(&q, GOSSIP_DEAD, 2, 10, 9);
    rumour_alive(&q, rec);
    assert_int_equal(q.n, 3);
    for (int round = 0; round < 20; round++) {
        struct gossip_packet p;
        struct gossip_item it;
        struct reader r;

        gossip_packet_init(&p, GOSSIP_PLAIN_MAX);
        rumours_fill(&q, &p, 4);
        r = reader_make(p.data, p.len);
        while (gossip_next(&r, &it) == 1) {
            int who = it.kind == GOSSIP_ALIVE ? 3 : (int)it.node;

            told[who]++;
            if (round == 0)
                order[at++] = who;
        }
    }
    assert_true(told[1] == 4 && told[2] == 4 && told[3] == 4 && q.n == 0);
    assert_true(order[0] == 3 && order[1] == 2 && order[2] == 1);
    /* A newer word about the same node replaces the older one. */
    rumour_state(&q, GOSSIP_SUSPECT, 3, 10, 9);
    rumour_alive(&q, rec);
    assert_int_equal(q.n, 1);
    rumours_fini(&q);
    record_unref(rec);
    record_pool_fini(&pool);
}

static void rumours_have_a_limit(void **state)
{
    struct rumours q;

    rumours_init(&q);
    for (uint64_t i = 1; i <= RUMOURS_MAX + 100; i++)
        rumour_state(&q, i % 2 ? GOSSIP_DEAD : GOSSIP_SUSPECT, i, 1, 1);
    assert_int_equal(q.n, RUMOURS_MAX);
    rumours_fini(&q);
}

static void map_against_array(void **state)
{
    enum { N = 300 };
    struct idmap m = { 0 };
    bool in[N] = { false };
    uint32_t n = 0;

    for (int step = 0; step < 50000; step++) {
        size_t i = any() % N;

        assert_true((idmap_get(&m, i << 40) != NULL) == in[i]);
        if (in[i] && any() % 2) {
            assert_ptr_equal(idmap_take(&m, i << 40), &in[i]);
            in[i] = false;
            n--;
        } else {
            idmap_put(&m, i << 40, &in[i]);
            n += !in[i];
            in[i] = true;
        }
        assert_int_equal(m.n, n);
    }
    idmap_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_back), cmocka_unit_test(as_protobuf_c),
        cmocka_unit_test(body_as_protobuf_c), cmocka_unit_test(full_packets_refuse),
        cmocka_unit_test(cut_packets), cmocka_unit_test(bodies_come_back),
        cmocka_unit_test(pushpulls_come_back), cmocka_unit_test(view_is_a_set),
        cmocka_unit_test(rumours_in_order), cmocka_unit_test(rumours_have_a_limit),
        cmocka_unit_test(map_against_array),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
