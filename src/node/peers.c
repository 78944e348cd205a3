/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.c - identity and sessions of this node
 */
#include "node/peers.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "dist/peer.h"
#include "dist/peer_ring.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *addresses[8];              /* where we listen, as texts; kept while we do */
static uint8_t (*trusted)[NODE_KEY_BYTES];      /* the keys of identity/trusted */
static size_t n_trusted;

/* label@host, unless the name has a host already. */
static void full_name(const char *name, char out[NODE_NAME_MAX + 1])
{
    char host[HOST_NAME_MAX + 1] = "localhost";

    if (gethostname(host, sizeof host - 1) == 0)
        host[strcspn(host, ".")] = 0;
    if (strchr(name, '@') != NULL)
        snprintf(out, NODE_NAME_MAX + 1, "%s", name);
    else
        snprintf(out, NODE_NAME_MAX + 1, "%.200s@%.54s", name, host);
}

/* The credential that systemd gave, else a file of our own. */
static char *key_file(const char *folder)
{
    const char *given = getenv("CREDENTIALS_DIRECTORY");
    char *path, *dir;

    if (given != NULL) {
        path = mem_printf("%s/node.key", given);
        if (access(path, R_OK) == 0)
            return path;
        mem_free(path);
    }
    dir = mem_printf("%s/identity", folder);
    mkdir(dir, 0700);                   /* it may be there; if it cannot be made, the key says so */
    path = mem_printf("%s/node.key", dir);
    mem_free(dir);
    return path;
}

/* The key in a file: 64 hex digits, as rnodectl keys -o wide shows them. */
static void read_trusted(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name), text[256] = "";
    FILE *in = fopen(path, "re");

    trusted = mem_realloc(trusted, (n_trusted + 1) * sizeof *trusted);
    if (in != NULL && fgets(text, sizeof text, in) != NULL && node_key_parse(text, trusted[n_trusted]))
        n_trusted++;
    else
        LOG(ERROR, "security.trusted", LOG_FIELDS("code", "RN0714"), "%s holds no key: passed over",
            path);
    if (in != NULL)
        fclose(in);
    mem_free(path);
}

static void read_all_trusted(const char *folder)
{
    char *dir = mem_printf("%s/identity/trusted", folder);
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.')
            read_trusted(dir, e->d_name);
    }
    if (d != NULL)
        closedir(d);
    mem_free(dir);
}

int peers_open(struct store *st, const char *folder, const char *name, bool dev)
{
    char full[NODE_NAME_MAX + 1], *path = key_file(folder);
    int rc;

    read_all_trusted(folder);
    full_name(name, full);
    rc = ring_open(st, path, full);
    mem_free(path);
    return rc;
}

static bool measure_one(void *arg, const struct peer_info *p)
{
    struct buf labels = { 0 };
    const char *l;

    if (p->state != PEER_UP && p->state != PEER_SUSPECT)
        return true;
    metric_label(&labels, "peer", p->name);
    l = buf_cstr(&labels);
    metric_emit(arg, M_peer_rtt, l, p->rtt_us / 1e6);
    metric_emit(arg, M_peer_queue, l, (double)p->queued_bytes);
    metric_emit(arg, M_peer_skew, l, (double)p->skew_us / 1e6);
    metric_emit(arg, M_peer_late, l, (double)p->late_beats);
    buf_str(&labels, ",direction=\"in\"");
    metric_emit(arg, M_peer_bytes, buf_cstr(&labels), (double)p->received_bytes);
    metric_emit(arg, M_peer_messages, buf_cstr(&labels), (double)p->received_frames);
    labels.len -= sizeof ",direction=\"in\"" - 1;
    buf_str(&labels, ",direction=\"out\"");
    metric_emit(arg, M_peer_bytes, buf_cstr(&labels), (double)p->sent_bytes);
    metric_emit(arg, M_peer_messages, buf_cstr(&labels), (double)p->sent_frames);
    buf_fini(&labels);
    return true;
}

static bool count_state(void *arg, const struct peer_info *p)
{
    ((unsigned *)arg)[p->state]++;
    return true;
}

unsigned peers_up(void)
{
    unsigned n[4] = { 0 };

    peer_visit(count_state, n);
    return n[PEER_UP];
}

static void measure(struct metric_sink *sink, void *arg)
{
    unsigned n[4] = { 0 };

    peer_visit(count_state, n);
    metric_emit(sink, M_peers, "state=\"idle\"", n[PEER_IDLE]);
    metric_emit(sink, M_peers, "state=\"connecting\"", n[PEER_CONNECTING]);
    metric_emit(sink, M_peers, "state=\"up\"", n[PEER_UP]);
    metric_emit(sink, M_peers, "state=\"suspect\"", n[PEER_SUSPECT]);
    peer_visit(measure_one, sink);
}

/* Addresses of the option; a node for development takes any free port of the loopback instead. */
static void choose_addresses(const struct options *o, bool dev)
{
    const char *const *items = option_items(o, OPT_listen_peers);
    size_t n = 0;

    if (dev) {
        addresses[n++] = mem_printf("127.0.0.1:%u", ring_last_port());
        return;
    }
    for (size_t i = 0; items[i] != NULL && n + 1 < ARRAY_LEN(addresses); i++)
        addresses[n++] = mem_strdup(items[i]);
}

/* The first few members, whose sessions tell of the others. */
struct members { uint8_t key[8][NODE_KEY_BYTES]; unsigned n; };

static void collect_member(void *arg, const struct ring_member *m)
{
    struct members *all = arg;

    if (ring_is_member(m) && all->n < ARRAY_LEN(all->key) &&
        memcmp(m->key, peer_self.key, NODE_KEY_BYTES) != 0)
        memcpy(all->key[all->n++], m->key, NODE_KEY_BYTES);
}

/* A node that comes back calls whom it knew. */
static void meet(const struct members *all)
{
    for (unsigned i = 0; i < all->n; i++) {
        peer_id id = peer_by_key(all->key[i]);

        if (id != 0)
            (void)peer_connect(id);
    }
}

int peers_start(const struct options *o, bool dev)
{
    struct peer_options po = {
        .listen = (const char *const *)addresses,
        .heartbeat_ns = option_number(o, OPT_cluster_heartbeat) * 1000000,
        .suspect_ns = option_number(o, OPT_cluster_suspect_after) * 1000000,
        .down_ns = option_number(o, OPT_cluster_down_after) * 1000000,
        .listed = strcmp(option_text(o, OPT_security_accept), "listed") == 0,
        .trusted = (const uint8_t (*)[NODE_KEY_BYTES])trusted, .n_trusted = n_trusted,
        .io_threads = (unsigned)(sysconf(_SC_NPROCESSORS_ONLN) + 3) / 4,
    };
    struct members members = { 0 };
    char letters[NODE_LETTERS];
    struct net_addr bound;
    int rc;

    choose_addresses(o, dev);
    rc = peer_start(&po);
    if (rc < 0 && dev && errno == EADDRINUSE) {     /* somebody took the port of last time */
        mem_free(addresses[0]);
        addresses[0] = mem_strdup("127.0.0.1:0");
        rc = peer_start(&po);
    }
    if (rc < 0)
        return rc;
    if (peer_listening(&bound, 1) == 1)
        ring_keep_port(bound.port);
    ring_visit(collect_member, &members);
    meet(&members);
    metric_collector_add(measure, NULL);
    LOG(INFO, "node.identity", LOG_FIELDS("node", nid_letters(peer_self.nid, letters)),
        "%s is %s", peer_self.name, letters);
    return 0;
}

void peers_stop(void)
{
    peer_stop();
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        mem_free(addresses[i]);
        addresses[i] = NULL;
    }
}

void peers_close(void)
{
    ring_close();
}
