/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_ring.h - this node's key, its copy of the ring, cluster secrets and tokens; and their store
 *
 * auth/ring.h is the logic, this is the owner: it locks, keeps everything in the store (databases
 * self, ring, secrets, addrs) and tells whoever watches. Any thread; calls that change something
 * wait for the disk and are not for I/O or scheduler threads, unless they say so.
 */
#ifndef DIST_PEER_RING_H
#define DIST_PEER_RING_H

#include "auth/flight.h"
#include "auth/ring.h"
#include "net/addr.h"
#include "store/store.h"
#include "wire/unpack.h"

/* Open: the key file (made on first start), ring, secrets, the creation number of this boot (written
 * before it returns). name: label@host. Errors of identity_open and of the store. */
MUST_CHECK int ring_open(struct store *st, const char *key_file, const char *name);
void ring_close(void);
struct identity *ring_identity(void);
/* The X25519 pair of this node, bound by its key; renewed here when half its time is over. */
void ring_dh(struct secret *ret_secret, uint8_t ret_public[DH_BYTES], struct binding *ret);

/* --- members ------------------------------------------------------------------------------------- */

/* Copy what the ring says; false: nothing. */
bool ring_lookup(const uint8_t key[NODE_KEY_BYTES], struct ring_member *ret);
bool ring_lookup_nid(uint64_t nid, struct ring_member *ret);            /* members only */
bool ring_lookup_name(const char *name, size_t len, struct ring_member *ret);
/* Visit everybody, revoked too; under the lock: visit must not call the ring. */
void ring_visit(void (*visit)(void *arg, const struct ring_member *m), void *arg);
bool ring_founded(void);
void ring_cluster_id(uint8_t ret[RING_CLUSTER_BYTES]);
uint64_t ring_version(void);                /* equal on nodes with equal rings */
size_t ring_size(void);

/* Told after a change, on the thread that made it; any thread. revoked: keys that were members. */
struct ring_watch { void (*changed)(void); void (*revoked)(const uint8_t *key); struct ring_watch *next; };
void ring_watch(struct ring_watch *w);      /* before anything can change; not taken */

/* Addresses at which a member was last met, newest first; kept in the store (database addrs). */
void ring_keep_addrs(const uint8_t key[NODE_KEY_BYTES], const struct net_addr *a, unsigned n);
unsigned ring_known_addrs(const uint8_t key[NODE_KEY_BYTES], struct net_addr *ret, unsigned max);
/* The port of this node at its last start, so that it is found again; 0: none. */
uint16_t ring_last_port(void);
void ring_keep_port(uint16_t port);

/* --- secrets --------------------------------------------------------------------------------------- */

/* The epoch in use now; 0: there is none yet. */
uint32_t ring_epoch(void);
/* A sub-key of an epoch by the low 16 bits of its number. False: not known, or retired. */
bool ring_secret(uint16_t epoch, enum secret_use use, struct secret *ret);
/* The present epoch and the one before, for gossip; by the low 8 bits. */
bool ring_gossip_secret(uint8_t epoch, struct secret *ret);
void ring_tag(uint16_t epoch, uint8_t ret[FLIGHT_TAG]);
/* A new epoch: used in a minute, or now. -ERR_PERMISSION: this node may not admit. */
MUST_CHECK int ring_rotate(bool now);
/* Is a secret that is used since then (seconds since 1970; 0: not known here) to be changed? Who made
 * it goes first; another node that may admit, a day later. */
bool ring_secret_is_due(uint64_t use_from_s, uint64_t now_s, bool ours);
/* Change the secret if it is due and this node may. Now and then; writes to the store then. */
void ring_tend(void);

/* --- changes --------------------------------------------------------------------------------------- */

/* Found a cluster, if there is none. */
MUST_CHECK int ring_found(void);
/* -ERR_PERMISSION: we may not; -ERR_EXISTS: the name is taken. */
MUST_CHECK int ring_admit(const uint8_t key[NODE_KEY_BYTES], const char *name, uint32_t rights);
/* Give a member other rights. -ERR_PERMISSION: we may not admit, or do not hold all of them ourselves;
 * -ERR_NOT_FOUND: no member, or the founder, whose rights stay. */
MUST_CHECK int ring_set_rights(const uint8_t key[NODE_KEY_BYTES], uint32_t rights);
/* Revoke, keep what the key admitted by signing it too, and rotate the secret. */
MUST_CHECK int ring_revoke(const uint8_t key[NODE_KEY_BYTES]);
/* Forget the cluster: ring, secrets and tokens, for a node that leaves or joins another. */
MUST_CHECK int ring_reset(void);
/* Serialized entries from a peer or a reply: good ones are taken in, kept, and told. Returns how many
 * changed something. Any thread; the store is written behind its back. */
int ring_merge(const ProtobufCBinaryData *entries, size_t n);
/* A secret from a peer; by must be a member that may admit. Any thread. */
int ring_merge_secret(const Rn__EpochSecret *m);
/* For a newcomer: the secret comes in the reply and is trusted as the reply is. */
MUST_CHECK int ring_accept_secret(uint32_t epoch, const struct secret *s);

/* Append packed RingEntry messages to list (each a mem_alloc'd block): the chain of a key, or all. */
struct packed_entries { ProtobufCBinaryData *item; size_t n; };
void ring_pack_chain(const uint8_t key[NODE_KEY_BYTES], struct packed_entries *list);
void ring_pack_all(struct packed_entries *list);
void packed_entries_fini(struct packed_entries *list);
/* Visit known secrets as messages; lent. */
void ring_visit_secrets(void (*visit)(void *arg, const Rn__EpochSecret *m), void *arg);

/* --- invitations ------------------------------------------------------------------------------------ */

#define TOKEN_PREFIX   "rnj1_"
#define TOKEN_TEXT_MAX 256
#define TOKEN_ADDRS    4

struct token {
    uint8_t  id[FLIGHT_TAG], secret[16], inviter[NODE_KEY_BYTES];
    uint32_t end_s;                         /* since 1970 */
    uint32_t rights;
    unsigned n_addrs;
    struct net_addr addrs[TOKEN_ADDRS];
};

/* Make one; the cluster is founded if need be. */
MUST_CHECK int token_make(uint32_t rights, uint32_t ttl_s, unsigned uses,
                          const struct net_addr *addrs, unsigned n_addrs, struct token *ret);
void token_text(const struct token *t, char out[TOKEN_TEXT_MAX]);
/* -ERR_FORMAT: not a token, or mistyped (a check sum says so). */
MUST_CHECK int token_parse(const char *text, struct token *ret);
/* Keys of both sides, from the token's secret. */
void token_keys(const struct token *t, struct secret *ret_door, struct secret *ret_psk);
/* At the inviter, any thread: keys of a token by id. -ERR_NOT_FOUND: unknown, used or revoked;
 * -ERR_TIMEOUT. */
MUST_CHECK int token_find(const uint8_t id[FLIGHT_TAG], struct secret *ret_door,
                          struct secret *ret_psk, uint32_t *ret_rights);
/* Use it once; waits for the disk. -ERR_NOT_FOUND: somebody was faster. */
MUST_CHECK int token_use(const uint8_t id[FLIGHT_TAG]);

#endif
