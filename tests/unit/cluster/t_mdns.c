/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_mdns.c - TXT records: only members make them; and two of Avahi's cores on one link
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "cluster/mdns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct mdns_keys ours = { .epoch = 0x2a, .tag = { 1, 2, 3, 4, 5, 6, 7, 8 } };

static bool keys(void *arg, uint8_t epoch, struct mdns_keys *ret)
{
    *ret = ours;
    return epoch == ours.epoch;
}

static struct mdns_entry entry(void)
{
    struct mdns_entry e = { .n_addrs = 2, .gossip_port = 7465 };

    assert_int_equal(net_addr_parse("192.0.2.2:7465", 1, &e.addrs[0]), 0);
    assert_int_equal(net_addr_parse("[fd00::2]:7466", 1, &e.addrs[1]), 0);
    return e;
}

static size_t record(char instance[MDNS_INSTANCE], uint8_t rdata[MDNS_TXT_MAX])
{
    struct mdns_entry e = entry();

    mdns_instance(&ours, 77, instance);
    return mdns_txt_write(&ours, instance, &e, rdata);
}

static void comes_back(void **state)
{
    uint8_t rdata[MDNS_TXT_MAX];
    char instance[MDNS_INSTANCE];
    struct mdns_entry e = entry(), back;
    size_t len = record(instance, rdata);

    assert_true(len <= MDNS_TXT_MAX);
    assert_int_equal(mdns_txt_read(rdata, len, instance, keys, NULL, &back), 0);
    assert_int_equal(back.n_addrs, 2);
    assert_memory_equal(&back.addrs, &e.addrs, 2 * sizeof(e.addrs[0]));
    assert_int_equal(back.gossip_port, 7465);
}

static void three_addresses_fit(void **state)
{
    uint8_t rdata[MDNS_TXT_MAX];
    char instance[MDNS_INSTANCE];
    struct mdns_entry e = entry();

    e.addrs[e.n_addrs++] = e.addrs[0];
    mdns_instance(&ours, 1, instance);
    assert_true(mdns_txt_write(&ours, instance, &e, rdata) <= MDNS_TXT_MAX);
}

/* Whatever is changed, the record is refused, or says the same as before (in what is not signed,
 * because it is not used). */
static void forgeries(void **state)
{
    uint8_t rdata[MDNS_TXT_MAX];
    char instance[MDNS_INSTANCE];
    struct mdns_entry e = entry(), back;
    size_t len = record(instance, rdata);
    int accepted = 0;

    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            rdata[i] ^= (uint8_t)(1 << bit);
            if (mdns_txt_read(rdata, len, instance, keys, NULL, &back) == 0) {
                accepted++;
                assert_memory_equal(&back.addrs, &e.addrs, 2 * sizeof(e.addrs[0]));
            }
            rdata[i] ^= (uint8_t)(1 << bit);
        }
    /* The last characters of base64 have bits that mean nothing. */
    assert_true(accepted < 16);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = mem_dup(rdata, cut);

        assert_true(mdns_txt_read(copy, cut, instance, keys, NULL, &back) < 0);
        mem_free(copy);
    }
    /* The record of one node under the name of another. */
    assert_int_equal(mdns_txt_read(rdata, len, "rn-00000000", keys, NULL, &back), -ERR_PERMISSION);
    /* Made with the right tag and another key. */
    ours.key.bytes[0] ^= 1;
    assert_int_equal(mdns_txt_read(rdata, len, instance, keys, NULL, &back), -ERR_PERMISSION);
    ours.key.bytes[0] ^= 1;
    /* Another cluster; another epoch. */
    ours.tag[0] ^= 1;
    assert_int_equal(mdns_txt_read(rdata, len, instance, keys, NULL, &back), -ERR_NOT_FOUND);
    ours.tag[0] ^= 1;
    ours.epoch ^= 1;
    assert_int_equal(mdns_txt_read(rdata, len, instance, keys, NULL, &back), -ERR_NOT_FOUND);
    ours.epoch ^= 1;
}

/* --- on the link ----------------------------------------------------------------------------------- */

struct side { _Atomic int found, ports; uint16_t expect; };

static bool current(void *arg, struct mdns_keys *ret)
{
    *ret = ours;
    return true;
}

static void found(void *arg, const struct mdns_entry *e)
{
    struct side *s = arg;

    if (e->gossip_port == s->expect)
        atomic_fetch_add(&s->found, 1);
}

static struct mdns *start(struct side *s, uint64_t nid, uint16_t port, uint16_t expect)
{
    struct mdns_hooks hooks = { .arg = s, .current = current, .keys = keys, .found = found };
    struct mdns_options o = { .nid = nid, .port = port, .entry = entry(), .embedded = true };
    struct mdns *m;

    o.entry.gossip_port = port;
    s->expect = expect;
    return mdns_start(&o, &hooks, &m) == 0 ? m : NULL;
}

static void two_find_each_other(void **state)
{
    struct side a = { 0 }, b = { 0 };
    struct mdns *ma = start(&a, 1, 7001, 7002), *mb = start(&b, 2, 7002, 7001);
    int64_t end = clock_monotonic_ns() + 20ll * 1000000000;

    if (ma != NULL && mb != NULL)
        while ((a.found == 0 || b.found == 0) && clock_monotonic_ns() < end)
            usleep(50000);
    if (ma == NULL || mb == NULL || (a.found == 0 && b.found == 0)) {
        /* No interface with multicast, or not allowed to use port 5353. */
        mdns_stop(ma);
        mdns_stop(mb);
        fprintf(stderr, "# SKIP nothing heard by multicast on this machine within 20 s\n");
        return;
    }
    assert_true(a.found > 0);
    assert_true(b.found > 0);
    assert_string_equal(mdns_backend(ma), "embedded");
    mdns_stop(ma);
    mdns_stop(mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back), cmocka_unit_test(three_addresses_fit),
        cmocka_unit_test(forgeries), cmocka_unit_test(two_find_each_other),
    };

    auth_init();
    /* Of our own: others on this link may run the same test. */
    random_bytes(&ours.tag, sizeof(ours.tag));
    random_bytes(&ours.key, sizeof(ours.key));
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
