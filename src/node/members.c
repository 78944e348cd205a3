/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members.c - what the configuration says of gossip, of this node's labels and of flocks
 */
#include "node/members.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/log.h"
#include "dist/flock.h"
#include "dist/membership.h"

#include <errno.h>

static void define(const struct option_flock *f)
{
    struct pattern *p = MEM_NEW(struct pattern);
    int rc = pattern_add_text(p, "kind", "node");

    for (size_t i = 0; rc == 0 && f->match[i] != NULL; i++) {
        const char *eq = strchr(f->match[i], '=');
        char *key = mem_printf("node.%.*s", (int)(eq - f->match[i]), f->match[i]);

        rc = pattern_add_text(p, key, eq + 1);
        mem_free(key);
    }
    if (rc < 0)
        pattern_free(p);
    else
        rc = flock_define(f->name, p, "config");
    if (rc < 0)
        LOG(ERROR, "flock.define", LOG_FIELDS("flock", f->name, "code", error_rn(rc)),
            "%s (%s) is not defined: %s", f->name, f->origin, error_text(rc));
}

static bool wanted(const struct options *o, const char *name)
{
    for (const struct option_flock *f = o->flocks; f != NULL; f = f->next)
        if (strcmp(f->name, name) == 0)
            return true;
    return false;
}

struct old { const struct options *o; char *names[FLOCKS_MAX]; size_t n; };

static void note_old(void *arg, const struct flock_info *f)
{
    struct old *old = arg;

    if (strcmp(f->origin, "config") == 0 && !wanted(old->o, f->name) && old->n < FLOCKS_MAX)
        old->names[old->n++] = mem_strdup(f->name);
}

void members_apply(const struct options *o)
{
    struct old old = { .o = o };

    flock_labels(option_items(o, OPT_node_labels));
    membership_labels(option_items(o, OPT_node_labels));
    flock_visit(note_old, &old);
    for (size_t i = 0; i < old.n; i++) {
        (void)!flock_undefine(old.names[i]);
        mem_free(old.names[i]);
    }
    for (const struct option_flock *f = o->flocks; f != NULL; f = f->next)
        define(f);
}

void members_init(void)
{
    membership_init();
}

/* Some flock looks for its nodes by mDNS. */
static bool flocks_want_mdns(const struct options *o)
{
    for (const struct option_flock *f = o->flocks; f != NULL; f = f->next)
        for (size_t i = 0; f->discover[i] != NULL; i++)
            if (strcmp(f->discover[i], "mdns") == 0)
                return true;
    return false;
}

void members_start(const struct options *o)
{
    struct membership_options mo = {
        .udp = option_number(o, OPT_cluster_udp) != 0,
        .period_ns = option_number(o, OPT_cluster_heartbeat) * 1000000,
        .seeds = option_items(o, OPT_cluster_join), .version = PACKAGE_VERSION,
        .mesh = (unsigned)option_number(o, OPT_cluster_mesh),
        .mdns = option_number(o, OPT_cluster_mdns) != 0 || flocks_want_mdns(o),
        .mdns_interfaces = option_items(o, OPT_cluster_mdns_interfaces),
    };

    if (option_items(o, OPT_listen_peers)[0] == NULL)
        return;                 /* nowhere to be reached: nothing to tell the others of */
    if (membership_start(&mo) < 0)
        LOG(WARNING, "member.udp", NULL,
            "no datagrams at the port of the peers (%s): members are probed over sessions alone",
            strerror(errno));
}

void members_stop(void)
{
    membership_leave();
    membership_stop();
}
