/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - the key ring: signed entries, and what follows from them
 *
 * A pure set: the order in which entries come in does not matter. Not thread-safe; the owner locks.
 *
 * An entry counts when one of its signers is active, has the right to admit, and grants no more than
 * it holds; a chain leads in at most RING_CHAIN_MAX steps to the founder. A revocation counts when
 * its signer may admit, or is the key itself; it beats everything, and what the revoked key signed
 * alone falls with it. Revocations are weighed in order of serial, then hash. Of two admissions of
 * one name the lower serial keeps it; the other key is parked: not a member until the name is free.
 *
 * Not done: changing the founders.
 */
#ifndef AUTH_RING_H
#define AUTH_RING_H

#include "auth/identity.h"
#include "auth/rights.h"
#include "base/bytes.h"

#define RING_CLUSTER_BYTES 16
#define RING_NAME_MAX      255
#define RING_SIGS_MAX      16
#define RING_CHAIN_MAX     4
#define RING_ENTRIES_MAX   50000u
#define RING_HASH_BYTES    32
#define RING_LABEL         "rn ring 1"

enum ring_kind { RING_FOUND = 1, RING_ADMIT, RING_REVOKE, RING_REPLACE, RING_RIGHTS };

struct ring_sig { uint8_t by[NODE_KEY_BYTES], sig[SIGNATURE_BYTES]; };

/* What a body says; whoever decoded it vouches for the bounds. */
struct ring_body {
    enum ring_kind kind;
    uint64_t serial, not_after, made_at;    /* not_after 0: no end */
    uint32_t rights;
    uint8_t  cluster[RING_CLUSTER_BYTES];
    uint8_t  subject[NODE_KEY_BYTES], replaces[NODE_KEY_BYTES];
    char     name[RING_NAME_MAX + 1];
};

struct ring_entry {
    struct ring_body body;
    uint8_t  hash[RING_HASH_BYTES];         /* of the bytes */
    uint8_t *bytes;                         /* what was signed */
    size_t   len;
    unsigned n_sigs;
    struct ring_sig sigs[RING_SIGS_MAX];    /* checked */
};

struct ring_member {
    uint8_t  key[NODE_KEY_BYTES];
    uint64_t nid, not_after, since;         /* since: made_at of the admission */
    uint32_t rights;
    char     name[RING_NAME_MAX + 1];
    bool     founder, revoked, parked;      /* a member is neither revoked nor parked */
};

struct ring;
struct ring *ring_new(void);
void ring_free(struct ring *r);

/* Add an entry with these signatures, bytes and body copied. An entry that is there gains the
 * signatures it lacks. 1: something changed; 0: all known; -ERR_PERMISSION: no signature is good;
 * -ERR_PROTOCOL: another cluster; -ERR_LIMIT. Costs 43 us for each signature not seen before. */
MUST_CHECK int ring_add(struct ring *r, const struct ring_body *body, const void *bytes, size_t len,
                        const struct ring_sig *sigs, unsigned n_sigs);

bool ring_empty(const struct ring *r);
const uint8_t *ring_cluster(const struct ring *r);      /* RING_CLUSTER_BYTES; zeros when empty */
uint64_t ring_next_serial(const struct ring *r);
/* Changes with each entry or signature and is the same for the same set. */
uint64_t ring_digest(const struct ring *r);

/* Everybody the ring speaks of, revoked and parked too; NULL: not known. Lent until the next ring_add. */
const struct ring_member *ring_find(const struct ring *r, const uint8_t key[NODE_KEY_BYTES]);
const struct ring_member *ring_find_nid(const struct ring *r, uint64_t nid);    /* members only */
const struct ring_member *ring_find_name(const struct ring *r, const char *name, size_t len);
const struct ring_member *ring_member_at(const struct ring *r, size_t i);       /* NULL: no more */
bool ring_is_member(const struct ring_member *m);                               /* NULL: false */

const struct ring_entry *ring_entry_at(const struct ring *r, size_t i);         /* NULL: no more */
/* Entries that lead from this key to the founder, its own first; at most max. */
size_t ring_chain(const struct ring *r, const uint8_t key[NODE_KEY_BYTES],
                  const struct ring_entry **ret, size_t max);

#endif
