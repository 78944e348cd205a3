/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns_client.c - through the avahi-daemon of the machine
 *
 * The service's host is the machine, under the name that the daemon answers for. When the daemon
 * goes away and comes back the client is told; it browses and announces again.
 *
 * The library is loaded here and not linked: D-Bus and what that needs would double the libraries of
 * every start, also of nodes that never look for others. Without it the embedded responder serves.
 *
 * libavahi-core and libavahi-client 0.8 both export avahi_entry_group_free, and each calls it
 * inside. The core is linked, so its own is found by both; therefore nothing here may free a
 * group, and the client, whose end would, is left to the end of the process.
 */
#include "cluster/mdns_priv.h"

#include "base/log.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/error.h>
#include <dlfcn.h>

#define LIBRARY "libavahi-client.so.3"

/* Its functions that are called here, as members of `lib`. */
#define FUNCTIONS(row) \
    row(client_new) row(client_errno) row(entry_group_new) row(entry_group_reset) \
    row(entry_group_add_service_strlst) row(entry_group_commit) row(service_browser_new) \
    row(service_browser_free) row(service_resolver_new) row(service_resolver_free)

static struct {
#define MEMBER(name) __typeof__(avahi_##name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} lib;

/* Stays loaded. */
static bool load_library(void)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL)
        return false;
#define FIND(name) \
    lib.name = (__typeof__(lib.name))dlsym(handle, "avahi_" #name); \
    if (lib.name == NULL) \
        return false;
    FUNCTIONS(FIND)
#undef FIND
    return true;
}

static void on_resolved(AvahiServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
                        AvahiResolverEvent event, const char *name, const char *type,
                        const char *domain, const char *host_name, const AvahiAddress *a,
                        uint16_t port, AvahiStringList *txt, AvahiLookupResultFlags flags,
                        void *arg)
{
    if (event == AVAHI_RESOLVER_FOUND)
        mdns_resolved(arg, name, txt);
    lib.service_resolver_free(r);
}

static void on_browsed(AvahiServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol,
                       AvahiBrowserEvent event, const char *name, const char *type,
                       const char *domain, AvahiLookupResultFlags flags, void *arg)
{
    struct mdns *m = arg;

    /* The resolver frees itself when it has an answer or gives up. */
    if (event == AVAHI_BROWSER_NEW)
        (void)!lib.service_resolver_new(m->handle, interface, protocol, name, type, domain,
                                        AVAHI_PROTO_UNSPEC, AVAHI_LOOKUP_NO_ADDRESS, on_resolved,
                                        m);
}

static void on_group(AvahiEntryGroup *g, AvahiEntryGroupState state, void *arg)
{
    if (state == AVAHI_ENTRY_GROUP_COLLISION || state == AVAHI_ENTRY_GROUP_FAILURE)
        LOG(WARNING, "mdns.name", NULL, "avahi does not take our service: %s",
            state == AVAHI_ENTRY_GROUP_COLLISION ? "its name is taken" : "failure");
}

/* The daemon has (again) a name for the machine: what we had with it before is gone. */
static void on_client(AvahiClient *c, AvahiClientState state, void *arg)
{
    struct mdns *m = arg;

    if (state == AVAHI_CLIENT_FAILURE)
        LOG(WARNING, "mdns.daemon", NULL, "avahi-daemon: %s", avahi_strerror(lib.client_errno(c)));
    if (state == AVAHI_CLIENT_S_COLLISION || state == AVAHI_CLIENT_S_REGISTERING)
        m->instance[0] = 0;         /* announce again at the next refresh */
}

static bool client_open(struct mdns *m)
{
    int error;

    if (!load_library())
        return false;
    m->handle = lib.client_new(avahi_threaded_poll_get(m->poll), 0, on_client, m, &error);
    if (m->handle == NULL)
        return false;
    m->browser = lib.service_browser_new(m->handle, mdns_interface(m), AVAHI_PROTO_UNSPEC,
                                         MDNS_TYPE, NULL, 0, on_browsed, m);
    return m->browser != NULL;
}

static void client_announce(struct mdns *m, const char *instance, AvahiStringList *txt)
{
    int rc;

    if (m->group == NULL)
        m->group = lib.entry_group_new(m->handle, on_group, m);
    if (m->group == NULL)
        return;
    lib.entry_group_reset(m->group);
    rc = lib.entry_group_add_service_strlst(m->group, mdns_interface(m), AVAHI_PROTO_UNSPEC, 0,
                                            instance, MDNS_TYPE, NULL, NULL, m->opt.port, txt);
    if (rc >= 0)
        rc = lib.entry_group_commit(m->group);
    if (rc < 0)
        LOG(WARNING, "mdns.announce", NULL, "avahi-daemon: %s", avahi_strerror(rc));
}

static void client_close(struct mdns *m)
{
    if (m->group != NULL)
        lib.entry_group_reset(m->group);        /* the daemon says goodbye for us */
    lib.service_browser_free(m->browser);
}

const struct mdns_way mdns_by_client = {
    .name = "avahi-daemon", .open = client_open, .announce = client_announce,
    .close = client_close,
};
