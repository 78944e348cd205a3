/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_cluster.c - three cluster threads of one process, over UDP on the loopback
 *
 * Sessions are played by handing frames to the other's thread. Waits are bounded by a minute, not
 * judged: the machine may be busy.
 */
#include "auth/identity.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/metric.h"
#include "cluster/cluster.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define NODES 3
#define WAIT_S 60

struct node {
    struct cluster *c;
    struct identity *id;
    uint64_t nid;
    struct net_addr addr;
    uint32_t creation;
    bool outsider;                      /* has another secret */
};

static struct node nodes[NODES];
static pthread_rwlock_t running = PTHREAD_RWLOCK_INITIALIZER;     /* what is in nodes[].c */

static bool hook_frame(void *arg, uint64_t nid, enum gossip_frame kind, const uint8_t *data,
                       size_t len)
{
    struct node *from = arg;
    bool found = false;

    pthread_rwlock_rdlock(&running);
    for (int i = 0; i < NODES && !found; i++)
        if (nodes[i].nid == nid && nodes[i].c != NULL) {
            cluster_frame(nodes[i].c, from->nid, kind, data, len);
            found = true;
        }
    pthread_rwlock_unlock(&running);
    return found;
}

static int64_t hook_heard(void *arg, uint64_t nid)
{
    return -1;
}

static bool hook_member(void *arg, const uint8_t *key)
{
    for (int i = 0; i < NODES; i++)
        if (memcmp(key, identity_key(nodes[i].id), NODE_KEY_BYTES) == 0)
            return true;
    return false;
}

static bool hook_seal(void *arg, uint8_t *ret_epoch, struct secret *ret)
{
    struct node *n = arg;

    *ret_epoch = 3;
    memset(ret->bytes, n->outsider ? 9 : 8, sizeof(ret->bytes));
    return true;
}

static bool hook_open(void *arg, uint8_t epoch, struct secret *ret)
{
    uint8_t mine;

    return hook_seal(arg, &mine, ret) && epoch == mine;
}

static void hook_sign(void *arg, const char *label, const uint8_t *data, size_t len, uint8_t *sig)
{
    struct node *n = arg;

    identity_sign(n->id, label, data, len, sig);
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(bind(fd, (struct sockaddr *)&in, len) == 0);
    assert_true(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    close(fd);
    return ntohs(in.sin_port);
}

static void start(int i)
{
    struct cluster_hooks hooks = { .arg = &nodes[i], .frame = hook_frame, .heard_ns = hook_heard,
                                   .member_key = hook_member, .seal_key = hook_seal,
                                   .open_key = hook_open, .sign = hook_sign };
    struct cluster_options o = { .udp = true, .bind = nodes[i].addr };
    char name[32];

    gossip_config_default(&o.gossip);
    o.gossip.period_ns = 200000000;
    memcpy(o.self.key, identity_key(nodes[i].id), NODE_KEY_BYTES);
    random_bytes(o.self.boot_id, sizeof(o.self.boot_id));
    o.self.creation = ++nodes[i].creation;
    snprintf(name, sizeof(name), "node%d@localhost", i);
    o.self.name = name;
    o.self.n_addrs = 1;
    o.self.addrs[0] = nodes[i].addr;
    pthread_rwlock_wrlock(&running);
    assert_int_equal(cluster_start(&o, &hooks, &nodes[i].c), 0);
    pthread_rwlock_unlock(&running);
}

static void stop(int i)
{
    struct cluster *c;

    pthread_rwlock_wrlock(&running);
    c = TAKE(nodes[i].c);
    pthread_rwlock_unlock(&running);
    cluster_stop(c);
}

/* How many members node i sees in this state. */
static uint32_t sees(int i, enum member_state state)
{
    uint32_t n = 0;

    epoch_enter();
    const struct cluster_snapshot *s = cluster_snapshot(nodes[i].c);
    for (uint32_t k = 0; k < s->n; k++)
        n += s->members[k].state == state;
    epoch_leave();
    return n;
}

static void wait_for(int i, enum member_state state, uint32_t n)
{
    int64_t end = clock_monotonic_ns() + WAIT_S * 1000000000ll;

    while (sees(i, state) != n) {
        assert_true(clock_monotonic_ns() < end);
        usleep(20000);
    }
}

static int make_nodes(void **state)
{
    auth_init();
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct node){ .id = identity_new(NULL), .addr = { .port = free_port() } };
        nodes[i].nid = node_nid(identity_key(nodes[i].id));
        assert_int_equal(net_addr_parse("127.0.0.1", nodes[i].addr.port, &nodes[i].addr), 0);
    }
    return 0;
}

static void three_meet(void **state)
{
    for (int i = 0; i < NODES; i++)
        start(i);
    cluster_session_up(nodes[0].c, nodes[1].nid);
    cluster_session_up(nodes[1].c, nodes[0].nid);
    cluster_session_up(nodes[2].c, nodes[1].nid);
    cluster_session_up(nodes[1].c, nodes[2].nid);
    for (int i = 0; i < NODES; i++)
        wait_for(i, MEMBER_ALIVE, NODES);
    epoch_enter();
    const struct cluster_snapshot *s = cluster_snapshot(nodes[0].c);
    const struct cluster_member *m = cluster_find_name(s, "node2@localhost");
    assert_non_null(m);
    assert_ptr_equal(cluster_find(s, nodes[2].nid), m);
    assert_memory_equal(&m->addr, &nodes[2].addr, sizeof(m->addr));
    assert_memory_equal(m->key, identity_key(nodes[2].id), NODE_KEY_BYTES);
    epoch_leave();
}

static void notes_spread(void **state)
{
    int64_t end = clock_monotonic_ns() + WAIT_S * 1000000000ll;
    bool have = false;

    cluster_set_note(nodes[2].c, "zone=a", 6);
    while (!have) {
        epoch_enter();
        const struct cluster_member *m = cluster_find(cluster_snapshot(nodes[0].c), nodes[2].nid);
        have = m->meta_len == 6 && memcmp(m->meta, "zone=a", 6) == 0;
        epoch_leave();
        assert_true(clock_monotonic_ns() < end);
        usleep(20000);
    }
}

static void a_crash_is_seen_and_a_restart_too(void **state)
{
    stop(2);
    wait_for(0, MEMBER_DEAD, 1);
    wait_for(1, MEMBER_DEAD, 1);
    start(2);
    cluster_session_up(nodes[2].c, nodes[0].nid);
    for (int i = 0; i < NODES; i++)
        wait_for(i, MEMBER_ALIVE, NODES);
}

static void strangers_are_refused(void **state)
{
    uint64_t before = metric_counter(M_gossip_refused);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_storage sa;
    socklen_t len = net_addr_to_sock(&nodes[0].addr, &sa);
    uint8_t junk[1400] = { 0x52, 0x01, 3, 0 };
    int64_t end = clock_monotonic_ns() + WAIT_S * 1000000000ll;

    for (size_t n = 0; n < sizeof(junk); n += 100)
        assert_true(sendto(fd, junk, n, 0, (struct sockaddr *)&sa, len) == (ssize_t)n);
    close(fd);
    /* 13 of them have bytes; the empty one is passed over. */
    while (metric_counter(M_gossip_refused) < before + 13) {
        assert_true(clock_monotonic_ns() < end);
        usleep(20000);
    }
    assert_int_equal(sees(0, MEMBER_ALIVE), NODES);
}

static void leaving_is_not_dying(void **state)
{
    cluster_leave(nodes[1].c);
    stop(1);
    wait_for(0, MEMBER_LEFT, 1);
    wait_for(2, MEMBER_LEFT, 1);
    assert_int_equal(sees(0, MEMBER_DEAD), 0);
}

static int stop_nodes(void **state)
{
    for (int i = 0; i < NODES; i++) {
        stop(i);
        identity_free(nodes[i].id);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_meet), cmocka_unit_test(notes_spread),
        cmocka_unit_test(a_crash_is_seen_and_a_restart_too),
        cmocka_unit_test(strangers_are_refused), cmocka_unit_test(leaving_is_not_dying),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_nodes, stop_nodes);
}
