/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.c - the first flight
 */
#include "auth/flight.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/errors.h"

#include <sodium.h>

#define MAGIC "RND1"
#define SUITE 1
#define MAC_AT 16
#define MAC_BYTES 16
#define E_AT 32

_Static_assert(E_AT + DH_BYTES == FLIGHT_BYTES && MAC_AT + MAC_BYTES == E_AT, "flight layout");

static void mac_of(const uint8_t in[FLIGHT_BYTES], const struct secret *door, uint8_t out[MAC_BYTES])
{
    crypto_generichash_state st;

    crypto_generichash_init(&st, door->bytes, SECRET_BYTES, MAC_BYTES);
    crypto_generichash_update(&st, in, FLIGHT_HEAD);
    crypto_generichash_update(&st, in + E_AT, DH_BYTES);
    crypto_generichash_final(&st, out, MAC_BYTES);
}

void flight_write(const struct flight *f, const struct secret *door, uint8_t out[FLIGHT_BYTES])
{
    memcpy(out, MAGIC, 4);
    out[4] = SUITE;
    out[5] = f->purpose;
    out[6] = (uint8_t)(f->epoch >> 8);
    out[7] = (uint8_t)f->epoch;
    memcpy(out + 8, f->tag, FLIGHT_TAG);
    memcpy(out + E_AT, f->e, DH_BYTES);
    mac_of(out, door, out + MAC_AT);
}

int flight_read(const uint8_t in[FLIGHT_BYTES], struct flight *ret)
{
    if (memcmp(in, MAGIC, 4) != 0 || in[5] < FLIGHT_PEER || in[5] > FLIGHT_OPERATOR)
        return -ERR_PROTOCOL;
    if (in[4] != SUITE)
        return -ERR_VERSION;
    ret->purpose = in[5];
    ret->epoch = (uint16_t)(in[6] << 8 | in[7]);
    memcpy(ret->tag, in + 8, FLIGHT_TAG);
    memcpy(ret->e, in + E_AT, DH_BYTES);
    return 0;
}

bool flight_mac_ok(const uint8_t in[FLIGHT_BYTES], const struct secret *door)
{
    uint8_t mac[MAC_BYTES];

    mac_of(in, door, mac);
    return bytes_same(mac, in + MAC_AT, MAC_BYTES);
}

void flight_prologue(const uint8_t flight[FLIGHT_BYTES], uint8_t out[PROLOGUE_BYTES])
{
    memcpy(out, "rnode peer 1", 12);
    memcpy(out + 12, flight, FLIGHT_HEAD);
}

/* --- seen before? ---------------------------------------------------------------------------- */

#define SLOTS (2 * REPLAY_MAX)

/* Hashes of e under a key of ours; 0 is a free slot. A chance in 2^48 that a new e is taken for an
 * old one: its dialler tries again with another. */
struct replay_set {
    uint8_t  key[crypto_shorthash_KEYBYTES];
    uint32_t count;                         /* in newer */
    int64_t  turned_ns;
    uint64_t *newer, *older;
};

struct replay_set *replay_new(void)
{
    struct replay_set *r = MEM_NEW(struct replay_set);

    random_bytes(r->key, sizeof r->key);
    r->newer = MEM_NEW_ARRAY(uint64_t, SLOTS);
    r->older = MEM_NEW_ARRAY(uint64_t, SLOTS);
    return r;
}

void replay_free(struct replay_set *r)
{
    if (r == NULL)
        return;
    mem_free(r->newer);
    mem_free(r->older);
    mem_free(r);
}

/* The slot of hash, or the free one where it would go. At most half of the slots are in use. */
static uint64_t *slot_of(uint64_t *set, uint64_t hash)
{
    size_t i = hash % SLOTS;

    while (set[i] != 0 && set[i] != hash)
        i = (i + 1) % SLOTS;
    return &set[i];
}

bool replay_add(struct replay_set *r, const uint8_t e[DH_BYTES], int64_t now_ns)
{
    uint64_t hash, *slot;

    crypto_shorthash((uint8_t *)&hash, e, DH_BYTES, r->key);
    hash |= hash == 0;
    if (r->count >= REPLAY_MAX || now_ns - r->turned_ns > REPLAY_NS) {
        uint64_t *swap = r->older;

        r->older = r->newer;
        r->newer = swap;
        memset(r->newer, 0, SLOTS * sizeof *r->newer);
        r->count = 0;
        r->turned_ns = now_ns;
    }
    slot = slot_of(r->newer, hash);
    if (*slot != 0 || *slot_of(r->older, hash) != 0)
        return false;
    *slot = hash;
    r->count++;
    return true;
}
