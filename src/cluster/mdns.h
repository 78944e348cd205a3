/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns.h - finding members on the local link: DNS-SD service _rnode._tcp, through Avahi
 *
 * Through the running avahi-daemon when there is one, else through Avahi's embedded core, which
 * then answers for a host name of its own (rn-XXXXXXXX.local), never for that of the machine.
 * Yields addresses only: whoever answers there has to prove who it is.
 *
 * A thread of Avahi's runs everything; hooks are called on it. Functions: one thread at a time.
 */
#ifndef CLUSTER_MDNS_H
#define CLUSTER_MDNS_H

#include "cluster/mdns_txt.h"

struct mdns;

struct mdns_hooks {
    void *arg;
    /* The epoch in use; false: this node is in no cluster. */
    bool (*current)(void *arg, struct mdns_keys *ret);
    /* Of an epoch given by its low byte; false: not known. */
    bool (*keys)(void *arg, uint8_t epoch, struct mdns_keys *ret);
    /* A member of our cluster announces this. */
    void (*found)(void *arg, const struct mdns_entry *e);
};

struct mdns_options {
    uint64_t nid;
    uint16_t port;                      /* TCP, of the SRV record */
    struct mdns_entry entry;            /* what we announce */
    const char *const *interfaces;      /* names; NULL or empty: all with multicast */
    bool embedded;                      /* do not look for the daemon: tests */
};

/* -ERR_SYSTEM: neither the daemon nor the core works. */
MUST_CHECK int mdns_start(const struct mdns_options *o, const struct mdns_hooks *hooks,
                          struct mdns **ret);
/* Look whether the epoch has changed and announce anew if so; once a second or so. */
void mdns_refresh(struct mdns *m);
void mdns_stop(struct mdns *m);         /* with a goodbye; NULL is fine */
const char *mdns_backend(const struct mdns *m);         /* "avahi-daemon" or "embedded" */

#endif
