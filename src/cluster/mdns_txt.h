/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns_txt.h - what an rnode service says in its TXT record, and whether to believe it
 *
 *   v=1     format
 *   e=      low byte of the epoch, two hex digits
 *   c=      tag of the cluster in that epoch, 8 bytes in base64url (11 characters)
 *   p=1-1   protocol versions
 *   g=      UDP port of gossip
 *   a=      up to 3 addresses with their TCP ports, packed, in base64url
 *   m=      BLAKE2b-128 under the mDNS key of the epoch, of instance, e, p, g and a (22 characters)
 *
 * The addresses stand in the record itself, because A and AAAA records can be forged by anybody on
 * the link: only what the MAC covers is dialled. A tag that is not ours is somebody else's cluster
 * and passed over. Pure functions, any thread.
 */
#ifndef CLUSTER_MDNS_TXT_H
#define CLUSTER_MDNS_TXT_H

#include "auth/secret.h"
#include "net/addr.h"

#define MDNS_TXT_MAX      200           /* bytes of rdata */
#define MDNS_INSTANCE     12            /* "rn-01234567" and NUL */
#define MDNS_ADDRS_MAX    3
#define MDNS_TAG_BYTES    8

struct mdns_keys {
    uint8_t epoch;
    uint8_t tag[MDNS_TAG_BYTES];
    struct secret key;
};

struct mdns_entry {
    unsigned n_addrs;
    struct net_addr addrs[MDNS_ADDRS_MAX];
    uint16_t gossip_port;
};

/* "rn-" and 8 hex digits that change with the epoch. */
void mdns_instance(const struct mdns_keys *k, uint64_t nid, char out[MDNS_INSTANCE]);

/* The record's rdata: strings, each behind its length. Returns its length. */
size_t mdns_txt_write(const struct mdns_keys *k, const char *instance, const struct mdns_entry *e,
                      uint8_t out[MDNS_TXT_MAX]);

/* 0; -ERR_NOT_FOUND: of another cluster, or an epoch that keys does not give; -ERR_FORMAT: not
 * such a record; -ERR_PERMISSION: forged. keys gives the keys of an epoch by its low byte. */
MUST_CHECK int mdns_txt_read(const uint8_t *rdata, size_t len, const char *instance,
                             bool (*keys)(void *arg, uint8_t epoch, struct mdns_keys *ret),
                             void *arg, struct mdns_entry *ret);

#endif
