/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - an address and a port, v4 and v6 alike
 *
 * Plain values: compare with memcmp, copy by assignment. Any thread.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/compiler.h"

#include <sys/socket.h>

#define NET_ADDR_TEXT 56                /* "[...%...]:65535" fits */
#define NET_ADDR_BYTES 18               /* as kept and sent: ip, then port, big endian */

struct net_addr {
    uint8_t  ip[16];                    /* v4 as ::ffff:a.b.c.d */
    uint16_t port;
};

/* "10.0.0.2:7465", "[::1]:7465", each with or without the port. Nothing is looked up.
 * -ERR_ARGUMENT. */
MUST_CHECK int net_addr_parse(const char *text, uint16_t default_port, struct net_addr *ret);
/* The same, names too, through the system's resolver: blocks. How many of max were found. */
size_t net_addr_resolve(const char *text, uint16_t default_port, struct net_addr *ret, size_t max);
const char *net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT]);

bool net_addr_from_sock(const struct sockaddr *sa, struct net_addr *ret);   /* false: not IP */
/* For an AF_INET6 socket that takes v4 too, when v6; else an AF_INET address. */
socklen_t net_addr_to_sock(const struct net_addr *a, struct sockaddr_storage *ret);

void net_addr_pack(const struct net_addr *a, uint8_t out[NET_ADDR_BYTES]);
/* False: not NET_ADDR_BYTES long, or port 0. */
bool net_addr_unpack(const void *bytes, size_t len, struct net_addr *ret);
bool net_addr_is_v4(const struct net_addr *a);
/* What limits per source count by: /24 of v4, /56 of v6. */
uint64_t net_addr_block(const struct net_addr *a);

#endif
