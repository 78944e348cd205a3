/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns_priv.h - between mdns.c and its two ways to Avahi
 */
#ifndef CLUSTER_MDNS_PRIV_H
#define CLUSTER_MDNS_PRIV_H

#include "cluster/mdns.h"

#include <avahi-common/strlst.h>
#include <avahi-common/thread-watch.h>

#define MDNS_TYPE "_rnode._tcp"

/* Called with the lock of the poll thread held, or on that thread. */
struct mdns_way {
    const char *name;
    /* Connect, and browse. False: it does not work here. */
    bool (*open)(struct mdns *m);
    void (*announce)(struct mdns *m, const char *instance, AvahiStringList *txt);
    void (*close)(struct mdns *m);
};

extern const struct mdns_way mdns_by_client, mdns_by_core;

struct mdns {
    const struct mdns_way *way;
    struct mdns_options opt;
    struct mdns_hooks hooks;
    AvahiThreadedPoll *poll;
    char instance[MDNS_INSTANCE];       /* what is announced now; "" when nothing */
    int64_t second;                     /* of the count of records that are looked at */
    unsigned in_second;
    void *handle, *group, *browser;     /* of the way */
};

/* An instance of our type was resolved. */
void mdns_resolved(struct mdns *m, const char *instance, AvahiStringList *txt);
/* The interface that is asked for, or all. */
int mdns_interface(const struct mdns *m);

#endif
