/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns.c - announcing and believing; how Avahi is reached is in mdns_client.c and mdns_core.c
 */
#include "cluster/mdns_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"

#include <avahi-common/malloc.h>
#include <net/if.h>
#include <string.h>

#define RECORDS_A_SECOND 100

int mdns_interface(const struct mdns *m)
{
    const char *const *names = m->opt.interfaces;
    unsigned index = names == NULL || names[0] == NULL ? 0 : if_nametoindex(names[0]);

    return index == 0 ? -1 : (int)index;            /* AVAHI_IF_UNSPEC */
}

void mdns_resolved(struct mdns *m, const char *instance, AvahiStringList *txt)
{
    uint8_t rdata[MDNS_TXT_MAX + 1];
    size_t len = avahi_string_list_serialize(txt, NULL, 0);
    int64_t second = clock_monotonic_ns() / 1000000000;
    struct mdns_entry e;
    int rc;

    if (second != m->second) {
        m->second = second;
        m->in_second = 0;
    }
    if (strcmp(instance, m->instance) == 0 || m->in_second++ >= RECORDS_A_SECOND)
        return;
    if (len <= MDNS_TXT_MAX)
        len = avahi_string_list_serialize(txt, rdata, sizeof(rdata));
    rc = len > MDNS_TXT_MAX ? -ERR_FORMAT
                            : mdns_txt_read(rdata, len, instance, m->hooks.keys, m->hooks.arg, &e);
    if (rc == -ERR_NOT_FOUND) {
        metric_inc(M_mdns_foreign);
    } else if (rc < 0) {
        metric_inc(M_mdns_forged);
        LOG(WARNING, "mdns.forged", LOG_FIELDS("instance", instance),
            "an mDNS record for our cluster is not made by a member: %s", error_text(rc));
    } else {
        metric_inc(M_mdns_found);
        m->hooks.found(m->hooks.arg, &e);
    }
}

/* The strings of rdata, in their order. */
static AvahiStringList *list_of(const uint8_t *rdata, size_t len)
{
    AvahiStringList *list = NULL;

    for (size_t at = 0; at < len; at += rdata[at] + 1u)
        list = avahi_string_list_add_arbitrary(list, rdata + at + 1, rdata[at]);
    return avahi_string_list_reverse(list);
}

static void announce(struct mdns *m)
{
    uint8_t rdata[MDNS_TXT_MAX];
    char instance[MDNS_INSTANCE];
    AvahiStringList *txt;
    struct mdns_keys k;

    if (!m->hooks.current(m->hooks.arg, &k))
        return;
    mdns_instance(&k, m->opt.nid, instance);
    if (strcmp(instance, m->instance) != 0) {
        txt = list_of(rdata, mdns_txt_write(&k, instance, &m->opt.entry, rdata));
        memcpy(m->instance, instance, sizeof(instance));
        m->way->announce(m, instance, txt);
        avahi_string_list_free(txt);
    }
    secret_wipe(&k, sizeof(k));
}

int mdns_start(const struct mdns_options *o, const struct mdns_hooks *hooks, struct mdns **ret)
{
    struct mdns *m = MEM_NEW(struct mdns);

    m->opt = *o;
    m->hooks = *hooks;
    m->poll = avahi_threaded_poll_new();
    m->way = &mdns_by_client;
    if (m->poll != NULL && (o->embedded || !m->way->open(m))) {
        m->way = &mdns_by_core;
        if (!m->way->open(m))
            m->way = NULL;
    }
    if (m->poll == NULL || m->way == NULL || avahi_threaded_poll_start(m->poll) < 0) {
        if (m->poll != NULL)
            avahi_threaded_poll_free(m->poll);
        mem_free(m);
        return -ERR_SYSTEM;
    }
    LOG(INFO, "mdns.start", LOG_FIELDS("through", m->way->name), "looking for members by mDNS");
    mdns_refresh(m);
    *ret = m;
    return 0;
}

void mdns_refresh(struct mdns *m)
{
    avahi_threaded_poll_lock(m->poll);
    announce(m);
    avahi_threaded_poll_unlock(m->poll);
}

void mdns_stop(struct mdns *m)
{
    if (m == NULL)
        return;
    avahi_threaded_poll_stop(m->poll);
    m->way->close(m);
    avahi_threaded_poll_free(m->poll);
    mem_free(m);
}

const char *mdns_backend(const struct mdns *m)
{
    return m->way->name;
}
