/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.h - gossip (cluster/) on top of sessions and the ring (peer.h, peer_ring.h)
 *
 * Sessions carry push/pull and indirect pings; the ring says whose records are believed and gives
 * the gossip key. The other way round, members that gossip knows are hints for dialling, and a
 * member that is dead or has left ends a session that has been silent. Gossip never ends a session
 * that works.
 */
#ifndef DIST_MEMBERSHIP_H
#define DIST_MEMBERSHIP_H

#include "cluster/cluster.h"
#include "dist/peer.h"

struct membership_options {
    bool udp;
    int64_t period_ns;              /* between probes */
    const char *const *seeds;       /* addresses to dial while we know nobody; kept, not copied */
    unsigned mesh;                  /* up to so many members each keeps a session with each */
    bool mdns;                      /* announce and browse on the local link */
    const char *const *mdns_interfaces;
    const char *version;            /* of the software; static text */
};

/* Take the frames and watch sessions. Before peer_start. */
void membership_init(void);
/* After peer_start. -ERR_SYSTEM with errno: no UDP socket at the port of the listener; then it
 * works over sessions alone. Main thread. */
MUST_CHECK int membership_start(const struct membership_options *o);
void membership_leave(void);        /* tell the others; takes 2 s when there are any */
void membership_stop(void);         /* before peer_stop */

/* Labels of this node, "key=value", NULL-terminated: told in its note. Copied; any time. */
void membership_labels(const char *const *labels);

/* NULL while it is not started. Any thread. */
struct cluster *membership_cluster(void);

/* What the note of a member says. */
struct member_about {
    char version[32];
    uint64_t processes;
    char labels[512];               /* "zone=a env=test" */
};
void membership_about(const struct cluster_member *m, struct member_about *ret);

#endif
