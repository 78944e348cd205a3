/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.c - what sessions between nodes cost, without a network: one core, figures on one line each
 *
 * records       64-byte sends through frames, dictionary, records of 16 KiB, seal, open, checks
 * bulk          a 1 MiB binary as a transfer, the same way
 * handshakes    both sides of the Noise part and the signatures, without sockets
 * flight        a first flight that is refused: one keyed hash
 */
#include "auth/flight.h"
#include "auth/record.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "dist/peer_priv.h"
#include "term/atom.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t delivered;

static int on_send(const struct peer_rx *rx)
{
    delivered++;
    return 0;
}

static struct session *make_session(struct peer *p)
{
    struct session *s = MEM_NEW(struct session);

    s->peer = p;
    s->rights = RIGHT_ALL;
    atomic_store(&s->state, SESSION_UP);
    pthread_mutex_init(&s->tx, NULL);
    stream_init(&s->stream, s);
    s->stream.makes_atoms = true;
    return s;
}

static struct peer_frame *make_frame(size_t payload)
{
    static uint8_t bytes[1 << 20];
    struct peer_frame *f = peer_frame_new(payload + 16);
    struct wire_sig s = { .kind = KIND_send, .to = 0x123456, .from = 0x654321 };
    uint8_t *at = peer_frame_room(&f, payload + 9);

    memcpy(at, "\x68\x02\x52", 3);
    at[3] = (uint8_t)peer_frame_atom(f, ATOM_true);
    at[4] = 0x6D;
    at[5] = (uint8_t)(payload >> 24);
    at[6] = (uint8_t)(payload >> 16);
    at[7] = (uint8_t)(payload >> 8);
    at[8] = (uint8_t)payload;
    memcpy(at + 9, bytes, payload);
    peer_frame_wrote(f, payload + 9);
    return peer_frame_seal(f, &s);
}

/* n frames from one session to another; seconds of CPU. Batches of `batch` frames. */
static double transport(unsigned n, unsigned batch, size_t payload)
{
    static struct peer peer = { .id = 1 };
    static uint8_t rec[RECORD_PLAIN_MAX + RECORD_OVERHEAD];
    struct session *a = make_session(&peer), *b = make_session(&peer);
    struct noise_keys nk;
    struct record_keys *ka, *kb;
    double start;

    random_bytes(&nk, sizeof nk);
    ka = record_keys_new(&nk, true);
    kb = record_keys_new(&nk, false);
    atomic_store(&a->stream.granted, UINT64_MAX);
    b->stream.credited = UINT64_MAX / 2;
    delivered = 0;
    start = cpu_now();
    for (unsigned done = 0; done < n; done += batch) {
        unsigned lane;
        uint8_t flags;
        size_t len;

        for (unsigned i = 0; i < batch; i++)
            stream_queue(&a->stream, make_frame(payload));
        while ((len = stream_build(&a->stream, rec + RECORD_HEAD, RECORD_PLAIN_MAX, &lane)) > 0) {
            int whole = record_seal(&ka->send, (uint8_t)lane, rec, len), plain;

            plain = record_open(&kb->receive, rec, (size_t)whole, &flags);
            ASSERT(plain == (int)len && stream_take(&b->stream, rec + RECORD_HEAD, len) == 0);
        }
    }
    start = cpu_now() - start;
    ASSERT(delivered == n);
    stream_fini(&a->stream);
    stream_fini(&b->stream);
    mem_free(a);
    mem_free(b);
    record_keys_free(ka);
    record_keys_free(kb);
    return start;
}

static void handshake(struct identity *id, const struct secret *psk)
{
    struct secret sd, sl;
    uint8_t pd[DH_BYTES], pl[DH_BYTES], e[DH_BYTES], payload[320] = { 0 };
    struct noise d, l;
    struct noise_keys k;
    struct buf m = { 0 }, got = { 0 };
    struct binding b;
    int rc;

    dh_pair(&sd, pd);                       /* a node keeps this pair for weeks; counted all the same */
    dh_pair(&sl, pl);
    noise_init(&d, true, "p", 1, &sd, pd, psk, NULL);
    noise_init(&l, false, "p", 1, &sl, pl, psk, NULL);
    noise_first_write(&d, e);
    noise_first_read(&l, e);
    rc = noise_write(&l, payload, sizeof payload, &m);
    rc |= noise_read(&d, m.data, m.len, &got);
    m.len = got.len = 0;
    rc |= noise_write(&d, payload, sizeof payload, &m);
    rc |= noise_read(&l, m.data, m.len, &got);
    binding_make(id, pd, 1800000000, &b);
    rc |= binding_check(&b, 1800000000);
    rc |= binding_check(&b, 1800000000);
    ASSERT(rc == 0);
    noise_split(&d, &k);
    noise_split(&l, &k);
    buf_fini(&m);
    buf_fini(&got);
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    struct identity *id;
    struct secret psk, door;
    struct flight f = { .purpose = FLIGHT_PEER };
    uint8_t bytes[FLIGHT_BYTES];
    double t;
    unsigned good = 0;

    auth_init();
    atom_table_init(0);
    peer_handlers[KIND_send] = on_send;
    t = transport(1000000 * scale, 400, 64);
    printf("records     %8.2f M messages of 64 bytes a second and core, both sides (%.0f ns)\n",
           scale / t, t * 1e3 / scale);
    t = transport(100000 * scale, 1, 64);
    printf("alone       %8.2f us for one message in its own record, both sides\n",
           t * 10 / scale);
    t = transport(500 * scale, 1, 1 << 20);
    printf("bulk        %8.2f GB/s of 1 MiB binaries, both sides on one core\n",
           500 * scale * 1.048576 / 1e3 / t);
    id = identity_new(NULL);
    secret_random(&psk);
    secret_random(&door);
    t = cpu_now();
    for (unsigned i = 0; i < 1000 * scale; i++)
        handshake(id, &psk);
    t = cpu_now() - t;
    printf("handshakes  %8.0f a second and core, both sides together\n", 1000 * scale / t);
    flight_write(&f, &door, bytes);
    bytes[20] ^= 1;
    t = cpu_now();
    for (unsigned i = 0; i < 1000000 * scale; i++)
        good += flight_read(bytes, &f) == 0 && flight_mac_ok(bytes, &door);
    t = cpu_now() - t;
    printf("flight      %8.2f us to refuse one (%u got through)\n", t / scale, good);
    return 0;
}
