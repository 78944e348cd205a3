/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - who belongs to the cluster: invite, join, leave, forget, keys; and ping
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "dist/peer.h"
#include "dist/peer_ring.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define UP_WAIT_MS   3000
#define PING_WAIT_MS 9000

static void nap_ms(int ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&ts, NULL);
}

/* --- invite ----------------------------------------------------------------------------------- */

/* Where a newcomer can reach us: an address bound to everything stands for those of all interfaces. */
static unsigned reachable(struct net_addr *ret, unsigned max)
{
    struct net_addr bound[8], a;
    struct ifaddrs *list = NULL, *i;
    size_t n_bound = peer_listening(bound, ARRAY_LEN(bound));
    static const uint8_t any[16], any4[16] = { [10] = 0xFF, [11] = 0xFF };
    unsigned n = 0;

    for (size_t k = 0; k < n_bound && n < max; k++) {
        if (memcmp(bound[k].ip, any, 16) != 0 && memcmp(bound[k].ip, any4, 16) != 0) {
            ret[n++] = bound[k];
            continue;
        }
        if (list == NULL && getifaddrs(&list) < 0)
            continue;
        for (i = list; i != NULL && n < max; i = i->ifa_next) {
            /* Link-local addresses mean nothing on another host. */
            if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0 ||
                (i->ifa_flags & IFF_LOOPBACK) != 0 || !net_addr_from_sock(i->ifa_addr, &a) ||
                (a.ip[0] == 0xFE && (a.ip[1] & 0xC0) == 0x80))
                continue;
            a.port = bound[k].port;
            ret[n++] = a;
        }
    }
    if (list != NULL)
        freeifaddrs(list);
    return n;
}

void ctl_invite(struct request *rq)
{
    const char *role = request_option(rq, "role"), *ttl = request_option(rq, "ttl");
    const char *uses = request_option(rq, "uses");
    struct net_addr addrs[TOKEN_ADDRS];
    unsigned n = reachable(addrs, TOKEN_ADDRS);
    int64_t ttl_ms = 3600 * 1000, times = uses != NULL ? atoi(uses) : 1;
    uint32_t rights = role_rights(role != NULL ? role : "peer");
    char text[TOKEN_TEXT_MAX + 1];
    struct token t;
    int rc;

    if (rights == 0 || (ttl != NULL && !duration_parse(ttl, &ttl_ms)) || ttl_ms < 1000 ||
        ttl_ms > INT64_C(30) * 86400 * 1000 || times < 1 || times > 1000) {
        reply_error(rq, EXIT_USAGE, "RN0103", "rnodectl invite --role peer --ttl 1h --uses 1", NULL,
                    "roles are peer, leaf, view, operate and admin; an invitation lasts a second to "
                    "30 days and has 1 to 1000 uses");
        return;
    }
    if (n == 0) {
        reply_error(rq, EXIT_NO, "RN0701", NULL, NULL, "this node listens nowhere for peers");
        return;
    }
    rc = token_make(rights, (uint32_t)(ttl_ms / 1000), (unsigned)times, addrs, n, &t);
    if (rc < 0) {
        reply_error(rq, rc == -ERR_PERMISSION ? EXIT_PERMISSION : EXIT_IO,
                    rc == -ERR_PERMISSION ? "RN0726" : "RN0601", NULL, NULL,
                    rc == -ERR_PERMISSION ? "this node may not admit others with that role"
                                          : "the ring cannot be written");
        return;
    }
    token_text(&t, text);
    strcat(text, "\n");
    reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, text, strlen(text));
    secret_wipe(&t, sizeof t);
    secret_wipe(text, sizeof text);
    reply_done(rq, 0, 0, "%d use%s, for %lld min, role %s", (int)times, times == 1 ? "" : "s",
               (long long)(ttl_ms / 60000), role != NULL ? role : "peer");
}

/* --- join ------------------------------------------------------------------------------------- */

struct others { unsigned n; };

static void count_other(void *arg, const struct ring_member *m)
{
    struct others *o = arg;

    o->n += ring_is_member(m) && memcmp(m->key, peer_self.key, NODE_KEY_BYTES) != 0;
}

static int exit_of(unsigned code)
{
    return code == 701 ? EXIT_UNREACHABLE : code >= 720 ? EXIT_NO : code == 601 ? EXIT_IO
                                                                                 : EXIT_PERMISSION;
}

static bool wait_up(peer_id id, int ms, struct peer_info *ret)
{
    for (int waited = 0; waited < ms; waited += 10) {
        if (peer_info(id, ret) && ret->state == PEER_UP)
            return true;
        nap_ms(10);
    }
    return false;
}

void ctl_join(struct request *rq)
{
    struct others others = { 0 };
    char why[200], rn[8], letters[NODE_LETTERS], took[UNIT_TEXT_MAX];
    struct token t;
    struct peer_info info;
    peer_id inviter = 0;
    unsigned code;

    if (token_parse(request_arg(rq, 0), &t) < 0) {
        reply_error(rq, EXIT_USAGE, "RN0720", NULL, NULL,
                    "this is not an invitation, or a letter of it was mistyped");
        return;
    }
    ring_visit(count_other, &others);
    if (others.n > 0) {
        secret_wipe(&t, sizeof t);
        reply_error(rq, EXIT_NO, "RN0724", NULL, NULL,
                    "this node is in a cluster with %u other%s", others.n, others.n == 1 ? "" : "s");
        return;
    }
    code = peer_join(&t, why, sizeof why, &inviter);
    nid_letters(node_nid(t.inviter), letters);
    secret_wipe(&t, sizeof t);
    if (code != 0) {
        snprintf(rn, sizeof rn, "RN%04u", code % 10000);
        reply_error(rq, exit_of(code), explanation_find(rn) != NULL ? rn : "RN0721", NULL, NULL, "%s",
                    why);
        return;
    }
    if (wait_up(inviter, UP_WAIT_MS, &info))
        reply_done(rq, 0, 0, "%s is %s (as the invitation says) · joined in %s", info.name, letters,
                   age_text(clock_monotonic_ns() - rq->start_ns, took));
    else
        reply_done(rq, 0, 0, "joined the cluster of %s; no session with it yet", letters);
}

/* --- leave, forget ---------------------------------------------------------------------------- */

void ctl_leave(struct request *rq)
{
    struct ring_member me;
    int rc;

    if (!ring_lookup(peer_self.key, &me) || !ring_is_member(&me)) {
        reply_error(rq, EXIT_NO, "RN0727", NULL, NULL, "this node is in no cluster");
        return;
    }
    if (me.founder) {
        struct others others = { 0 };

        ring_visit(count_other, &others);
        if (others.n > 0 && !request_flag(rq, "force")) {
            reply_error(rq, EXIT_NO, "RN0728", "rnodectl leave --force", NULL,
                        "this node founded the cluster; when it leaves, nobody can admit or revoke");
            return;
        }
    } else {
        rc = ring_revoke(peer_self.key);    /* by our own hand: others hear it while we are there */
        if (rc < 0)
            goto failed;
        nap_ms(200);
    }
    rc = ring_reset();
    if (rc < 0)
        goto failed;
    reply_done(rq, 0, 0, "left the cluster · the key of this node is revoked there; it can found or "
                         "join a cluster with a new key: stop, remove identity/node.key, start");
    return;
failed:
    reply_error(rq, EXIT_IO, "RN0601", NULL, NULL, "the ring cannot be written: %s", error_text(rc));
}

struct wanted { const char *text; struct ring_member found; unsigned n; };

/* By name, by label (before the @), or by the 8 letters. */
static void match_member(void *arg, const struct ring_member *m)
{
    struct wanted *w = arg;
    char letters[NODE_LETTERS];
    size_t label = strcspn(m->name, "@");

    if (m->rights == 0 || m->revoked)
        return;
    if (strcmp(m->name, w->text) == 0 || strcmp(nid_letters(m->nid, letters), w->text) == 0 ||
        (strlen(w->text) == label && memcmp(m->name, w->text, label) == 0)) {
        w->found = *m;
        w->n++;
    }
}

/* The one member meant; else the request is answered. */
static bool find_member(struct request *rq, const char *text, struct ring_member *ret)
{
    struct wanted w = { .text = text };

    ring_visit(match_member, &w);
    *ret = w.found;
    if (w.n == 1)
        return true;
    reply_error(rq, EXIT_NO, "RN0729", NULL, NULL, w.n == 0 ? "no member is called %s"
                                                          : "several members are called %s", text);
    return false;
}

void ctl_forget(struct request *rq)
{
    struct ring_member m;
    int rc;

    if (!find_member(rq, request_arg(rq, 0), &m))
        return;
    if (memcmp(m.key, peer_self.key, NODE_KEY_BYTES) == 0) {
        reply_error(rq, EXIT_NO, "RN0727", "rnodectl leave", NULL, "%s is this node", m.name);
        return;
    }
    if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "would revoke the key of %s and change the cluster secret", m.name);
        return;
    }
    rc = ring_revoke(m.key);
    if (rc < 0) {
        reply_error(rq, rc == -ERR_PERMISSION ? EXIT_PERMISSION : EXIT_IO,
                    rc == -ERR_PERMISSION ? "RN0726" : "RN0601", NULL, NULL,
                    rc == -ERR_PERMISSION ? "this node may not revoke keys"
                                          : "the ring cannot be written");
        return;
    }
    reply_done(rq, 0, 0, "%s is revoked, the cluster secret is changed · there is no undo: invite it "
                         "again with a new key", m.name);
}

/* --- keys ------------------------------------------------------------------------------------- */

static const struct column key_columns[] = {
    { "node", COL_TEXT, false },  { "id", COL_TEXT, false },   { "state", COL_TEXT, false },
    { "rights", COL_TEXT, false }, { "since", COL_TIME, false }, { "key", COL_TEXT, true },
};

static void key_row(void *arg, const struct ring_member *m)
{
    struct request *rq = arg;
    char letters[NODE_LETTERS], rights[128], key[2 * NODE_KEY_BYTES + 1];
    const char *state = m->revoked ? "revoked" : m->rights == 0 ? "unknown" : m->parked ? "parked"
                      : m->founder ? "founder" : "member";

    for (int i = 0; i < NODE_KEY_BYTES; i++)
        snprintf(key + 2 * i, 3, "%02x", m->key[i]);
    reply_row(rq, (struct cell[]){ CELL_TEXT(m->name[0] != 0 ? m->name : "-"),
                                   CELL_TEXT(nid_letters(m->nid, letters)), CELL_TEXT(state),
                                   CELL_TEXT(rights_text(m->rights, rights)),
                                   CELL_NUMBER((int64_t)m->since * 1000000000), CELL_TEXT(key) }, 6);
}

static void rotate(struct request *rq)
{
    int rc = ring_rotate(false);

    if (rc < 0) {
        reply_error(rq, rc == -ERR_PERMISSION ? EXIT_PERMISSION : EXIT_IO,
                    rc == -ERR_PERMISSION ? "RN0726" : "RN0601", NULL, NULL,
                    rc == -ERR_PERMISSION ? "this node may not change the secret"
                                          : "the secret cannot be written");
        return;
    }
    reply_done(rq, 0, 0, "a new cluster secret is spreading; it is used in a minute");
}

static void set_rights(struct request *rq)
{
    uint32_t rights = rights_parse(request_arg(rq, 2));
    struct ring_member m;
    char text[128];
    int rc;

    if (rights == 0) {
        reply_error(rq, EXIT_USAGE, "RN0102",
                    "words with commas between: peer spawn deploy registrar leaf admit view operate admin",
                    NULL, "`%s` are no rights", request_arg(rq, 2));
        return;
    }
    if (!find_member(rq, request_arg(rq, 1), &m))
        return;
    rights_text(rights, text);
    if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "%s would have: %s", m.name, text);
        return;
    }
    rc = ring_set_rights(m.key, rights);
    if (rc == -ERR_PERMISSION)
        reply_error(rq, EXIT_PERMISSION, "RN0726", NULL, NULL,
                    "this node may not admit, or does not have all of these rights itself");
    else if (rc == -ERR_NOT_FOUND)
        reply_error(rq, EXIT_NO, "RN0727", NULL, NULL, "the rights of %s cannot be changed", m.name);
    else if (rc < 0)
        reply_error(rq, EXIT_IO, "RN0601", NULL, NULL, "the ring cannot be written: %s",
                    error_text(rc));
    else
        reply_done(rq, 0, 0, "%s has: %s", m.name, text);
}

void ctl_keys(struct request *rq)
{
    if (rq->msg->n_args == 1 && strcmp(request_arg(rq, 0), "rotate") == 0) {
        rotate(rq);
        return;
    }
    if (rq->msg->n_args == 3 && strcmp(request_arg(rq, 0), "rights") == 0) {
        set_rights(rq);
        return;
    }
    if (rq->msg->n_args != 0) {
        reply_error(rq, EXIT_USAGE, "RN0102", "rnodectl keys [rotate | rights NODE RIGHT,...]", NULL,
                    "keys what?");
        return;
    }
    reply_head(rq, "rnode.keys/1", key_columns, ARRAY_LEN(key_columns), false);
    ring_visit(key_row, rq);
    reply_done(rq, 0, 0, ring_founded() ? "cluster secret %u" : "this node is in no cluster",
               ring_epoch());
}

/* --- ping ------------------------------------------------------------------------------------- */

void ctl_ping(struct request *rq)
{
    char took[UNIT_TEXT_MAX], rtt[UNIT_TEXT_MAX];
    struct ring_member m;
    struct peer_info info;
    int64_t start = clock_monotonic_ns();
    peer_id id;

    if (!find_member(rq, request_arg(rq, 0), &m))
        return;
    id = peer_by_key(m.key);
    if (id == 0 || peer_connect(id) == 0) {
        reply_error(rq, EXIT_NO, "RN0729", NULL, NULL, "%s is this node, or no longer a member",
                    m.name);
        return;
    }
    for (int waited = 0; waited < PING_WAIT_MS; waited += 10) {
        if (!peer_info(id, &info) || info.state == PEER_IDLE)
            break;
        if (info.state == PEER_UP && info.rtt_us != 0) {
            reply_done(rq, 0, 0, "%s at %s is up · round trip %s · answered in %s", info.name,
                       info.address, age_text((int64_t)info.rtt_us * 1000, rtt),
                       age_text(clock_monotonic_ns() - start, took));
            return;
        }
        nap_ms(10);
    }
    reply_error(rq, EXIT_UNREACHABLE, "RN0701", NULL, NULL, "%s does not answer", m.name);
}
