/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns_core.c - through Avahi's core inside this process, where no avahi-daemon runs
 *
 * It answers for a host name of its own, derived like the instance, so that it never contends for
 * the machine's. It shares port 5353 with whoever else listens there.
 */
#include "cluster/mdns_priv.h"

#include "base/log.h"

#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <stdio.h>

static void on_resolved(AvahiSServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
                        AvahiResolverEvent event, const char *name, const char *type,
                        const char *domain, const char *host_name, const AvahiAddress *a,
                        uint16_t port, AvahiStringList *txt, AvahiLookupResultFlags flags,
                        void *arg)
{
    if (event == AVAHI_RESOLVER_FOUND)
        mdns_resolved(arg, name, txt);
    avahi_s_service_resolver_free(r);
}

static void on_browsed(AvahiSServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol,
                       AvahiBrowserEvent event, const char *name, const char *type,
                       const char *domain, AvahiLookupResultFlags flags, void *arg)
{
    struct mdns *m = arg;

    if (event == AVAHI_BROWSER_NEW)
        (void)!avahi_s_service_resolver_new(m->handle, interface, protocol, name, type, domain,
                                            AVAHI_PROTO_UNSPEC, AVAHI_LOOKUP_NO_ADDRESS,
                                            on_resolved, m);
}

static void on_group(AvahiServer *s, AvahiSEntryGroup *g, AvahiEntryGroupState state, void *arg)
{
    if (state == AVAHI_ENTRY_GROUP_COLLISION || state == AVAHI_ENTRY_GROUP_FAILURE)
        LOG(WARNING, "mdns.name", NULL, "our mDNS name is taken on this link");
}

static void on_server(AvahiServer *s, AvahiServerState state, void *arg)
{
    struct mdns *m = arg;

    if (state == AVAHI_SERVER_COLLISION)
        m->instance[0] = 0;
}

static void quiet(AvahiLogLevel level, const char *text)
{
    if (level <= AVAHI_LOG_WARN)
        LOG(NOTICE, "mdns.avahi", NULL, "%s", text);
    else
        LOG(DEBUG, "mdns.avahi", NULL, "%s", text);
}

static AvahiServer *make_server(struct mdns *m)
{
    AvahiServerConfig config;
    AvahiServer *s;
    uint8_t random[4];
    char host[16];
    int error;

    random_bytes(random, sizeof(random));
    snprintf(host, sizeof(host), "rn-%02x%02x%02x%02x", random[0], random[1], random[2], random[3]);
    avahi_server_config_init(&config);
    config.host_name = avahi_strdup(host);
    config.publish_hinfo = 0;
    config.publish_workstation = 0;
    config.publish_domain = 0;
    for (size_t i = 0; m->opt.interfaces != NULL && m->opt.interfaces[i] != NULL; i++)
        config.allow_interfaces = avahi_string_list_add(config.allow_interfaces,
                                                        m->opt.interfaces[i]);
    s = avahi_server_new(avahi_threaded_poll_get(m->poll), &config, on_server, m, &error);
    avahi_server_config_free(&config);
    if (s == NULL)
        LOG(WARNING, "mdns.core", NULL, "mDNS does not work here: %s", avahi_strerror(error));
    return s;
}

static bool core_open(struct mdns *m)
{
    avahi_set_log_function(quiet);
    m->handle = make_server(m);
    if (m->handle == NULL)
        return false;
    m->browser = avahi_s_service_browser_new(m->handle, mdns_interface(m), AVAHI_PROTO_UNSPEC,
                                             MDNS_TYPE, NULL, 0, on_browsed, m);
    return m->browser != NULL;
}

static void core_announce(struct mdns *m, const char *instance, AvahiStringList *txt)
{
    int rc;

    if (m->group == NULL)
        m->group = avahi_s_entry_group_new(m->handle, on_group, m);
    if (m->group == NULL)
        return;
    avahi_s_entry_group_reset(m->group);
    rc = avahi_server_add_service_strlst(m->handle, m->group, mdns_interface(m),
                                         AVAHI_PROTO_UNSPEC, 0, instance, MDNS_TYPE, NULL, NULL,
                                         m->opt.port, txt);
    if (rc >= 0)
        rc = avahi_s_entry_group_commit(m->group);
    if (rc < 0)
        LOG(WARNING, "mdns.announce", NULL, "%s", avahi_strerror(rc));
}

static void core_close(struct mdns *m)
{
    avahi_server_free(m->handle);       /* says goodbye */
}

const struct mdns_way mdns_by_core = {
    .name = "embedded", .open = core_open, .announce = core_announce, .close = core_close,
};
