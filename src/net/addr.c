/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.c - addresses as texts, as bytes and as the system wants them
 */
#include "net/addr.h"

#include "base/bytes.h"
#include "base/errors.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

bool net_addr_is_v4(const struct net_addr *a)
{
    return memcmp(a->ip, v4_prefix, sizeof v4_prefix) == 0;
}

/* Split "host:port", "[host]:port" or "host" into host[256] and a port. */
static bool split(const char *text, uint16_t default_port, char host[256], uint16_t *ret_port)
{
    const char *port = NULL, *end = text + strlen(text);
    char *stop;
    unsigned long n;

    if (*text == '[') {
        const char *close = strchr(text, ']');

        if (close == NULL || (close[1] != 0 && close[1] != ':'))
            return false;
        port = close[1] == ':' ? close + 2 : NULL;
        text++;
        end = close;
    } else if (strchr(text, ':') != NULL && strchr(text, ':') == strrchr(text, ':')) {
        end = strchr(text, ':');
        port = end + 1;
    }
    if (end == text || end - text > 255)
        return false;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = 0;
    *ret_port = default_port;
    if (port != NULL) {
        n = strtoul(port, &stop, 10);
        if (*port < '0' || *port > '9' || *stop != 0 || n > 65535)
            return false;
        *ret_port = (uint16_t)n;
    }
    return true;
}

int net_addr_parse(const char *text, uint16_t default_port, struct net_addr *ret)
{
    struct net_addr a = { .port = default_port };
    char host[256];

    if (!split(text, default_port, host, &a.port))
        return -ERR_ARGUMENT;
    if (inet_pton(AF_INET, host, a.ip + 12) == 1)
        memcpy(a.ip, v4_prefix, sizeof v4_prefix);
    else if (inet_pton(AF_INET6, host, a.ip) != 1)
        return -ERR_ARGUMENT;
    *ret = a;
    return 0;
}

size_t net_addr_resolve(const char *text, uint16_t default_port, struct net_addr *ret, size_t max)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
    char host[256];
    uint16_t port;
    size_t n = 0;

    if (!split(text, default_port, host, &port) || getaddrinfo(host, NULL, &hints, &list) != 0)
        return 0;
    for (ai = list; ai != NULL && n < max; ai = ai->ai_next) {
        if (net_addr_from_sock(ai->ai_addr, &ret[n]))
            ret[n++].port = port;
    }
    freeaddrinfo(list);
    return n;
}

const char *net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
    char host[INET6_ADDRSTRLEN];

    if (net_addr_is_v4(a)) {
        inet_ntop(AF_INET, a->ip + 12, host, sizeof host);
        snprintf(out, NET_ADDR_TEXT, "%s:%u", host, a->port);
    } else {
        inet_ntop(AF_INET6, a->ip, host, sizeof host);
        snprintf(out, NET_ADDR_TEXT, "[%s]:%u", host, a->port);
    }
    return out;
}

bool net_addr_from_sock(const struct sockaddr *sa, struct net_addr *ret)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        memcpy(ret->ip, v4_prefix, sizeof v4_prefix);
        memcpy(ret->ip + 12, &in->sin_addr, 4);
        ret->port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

        memcpy(ret->ip, &in6->sin6_addr, 16);
        ret->port = ntohs(in6->sin6_port);
        return true;
    }
    return false;
}

socklen_t net_addr_to_sock(const struct net_addr *a, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (net_addr_is_v4(a)) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;

        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, a->ip + 12, 4);
        in->sin_port = htons(a->port);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, a->ip, 16);
    in6->sin6_port = htons(a->port);
    return sizeof *in6;
}

void net_addr_pack(const struct net_addr *a, uint8_t out[NET_ADDR_BYTES])
{
    memcpy(out, a->ip, 16);
    out[16] = (uint8_t)(a->port >> 8);
    out[17] = (uint8_t)a->port;
}

bool net_addr_unpack(const void *bytes, size_t len, struct net_addr *ret)
{
    struct reader r = reader_make(bytes, len);

    if (len != NET_ADDR_BYTES)
        return false;
    memcpy(ret->ip, reader_take(&r, 16), 16);
    ret->port = reader_u16(&r);
    return ret->port != 0;
}

uint64_t net_addr_block(const struct net_addr *a)
{
    struct reader r = reader_make(a->ip + (net_addr_is_v4(a) ? 8 : 0), 8);
    uint64_t v = reader_u64(&r);

    return net_addr_is_v4(a) ? v >> 8 << 8 : v >> 8 << 8 | 1;
}
