/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_shake.c - the messages of a handshake, as they are once the seal of each is opened
 *
 * A stranger's bytes stop at the first MAC, so fuzzing from the socket would meet nothing else. Here
 * the liar knows the secrets. First byte: what the rest is.
 *   0  credentials, as they come in messages 2 and 3
 *   1  the hello of a member, whose binding is good; behind it (length in two bytes) an entry of its
 *      chain
 *   2  a length and a message of Noise, on the side that listens
 *   3  a request to join, from a key that holds an invitation
 *   4  entries of the ring, and 5 a cluster secret, as in a reply to a newcomer or in a session
 * Nobody is let in that the ring does not know, and its version does not move.
 */
#include "../../src/dist/peer_shake.c"

#include <fcntl.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *store;
static struct identity *member, *stranger;

static void begin(void)
{
    struct store_options so = { .map_bytes = 16 << 20, .sync = STORE_SYNC_OFF };
    char folder[] = "/tmp/fuzz_shake.XXXXXX", *path;
    bool made = mkdtemp(folder) != NULL;
    int rc = made ? store_open(folder, &so, &store) : -1;

    ASSERT(rc == 0);
    log_configure(LOG_LEVEL_CRITICAL, LOG_FORMAT_TEXT, 2);
    path = mem_printf("%s/node.key", folder);
    rc = ring_open(store, path, "me@x");
    mem_free(path);
    if (rc == 0)
        rc = ring_found();
    member = identity_new(NULL);
    stranger = identity_new(NULL);
    if (rc == 0)
        rc = ring_admit(identity_key(member), "member@x", role_rights("peer"));
    ASSERT(rc == 0);
    path = mem_printf("rm -rf %s", folder);     /* the files are open: that will do */
    rc = system(path);
    ASSERT(rc == 0);
    mem_free(path);
}

/* A connection whose handshake has come so far that messages of the other side are read. */
static struct conn *listener(struct binding *theirs, struct identity *who)
{
    static const struct net_addr from = { .port = 7465 };
    struct conn *c = conn_new(open("/dev/null", O_WRONLY | O_CLOEXEC), false, &from);
    struct secret dh, psk;
    struct binding ours;
    struct noise_keys k;
    uint8_t pub[DH_BYTES];

    dh_pair(&dh, pub);
    binding_make(who, pub, (uint64_t)(clock_system_ns() / 1000000000), theirs);
    secret_random(&psk);
    begin_noise(c, &psk, &ours);
    memcpy(c->noise->rs, pub, DH_BYTES);
    memset(&k, 7, sizeof k);
    c->keys = record_keys_new(&k, false);
    c->flight.purpose = FLIGHT_PEER;
    return c;
}

static void try_credentials(const uint8_t *data, size_t size)
{
    struct binding b;
    struct conn *c = listener(&b, stranger);
    struct buf payload = { 0 };
    bool in;

    buf_add(&payload, data, size);
    in = check_credentials(c, &payload);
    ASSERT(!in);
    buf_fini(&payload);
    conn_free(c);
}

static void try_hello(const uint8_t *data, size_t size)
{
    Rn__Credentials m = RN__CREDENTIALS__INIT;
    struct reader r = reader_make(data, size);
    ProtobufCBinaryData chain;
    struct binding b;
    struct conn *c = listener(&b, member);
    struct buf payload = { 0 }, binding = { 0 };
    size_t n = size >= 2 ? reader_u16(&r) : 0;

    if (n > reader_left(&r))
        n = reader_left(&r);
    m.hello = BYTES_OF(r.at, n);
    chain = BYTES_OF(r.at + n, reader_left(&r) - n);
    m.chain = &chain;
    m.n_chain = 1;
    pack_binding(&b, &binding);
    m.binding = BYTES_OF(binding.data, binding.len);
    wire_pack(&m.base, &payload);
    if (check_credentials(c, &payload))
        ASSERT(strcmp(c->peer.name, "member@x") == 0 && c->peer.n_addrs <= ARRAY_LEN(c->peer.addrs));
    buf_fini(&payload);
    buf_fini(&binding);
    conn_free(c);
}

static void try_message(const uint8_t *data, size_t size)
{
    struct binding b;
    struct conn *c = listener(&b, stranger);
    uint8_t e[DH_BYTES] = { 9 };
    int rc;

    noise_first_read(c->noise, e);
    rc = send_message(c, &b);
    buf_add(&c->in, data, size < 2 + HANDSHAKE_BYTES ? size : 2 + HANDSHAKE_BYTES);
    if (rc == 0)
        rc = take_message(c);
    ASSERT(rc <= 0);
    conn_free(c);
}

static void try_join(const uint8_t *data, size_t size)
{
    struct wire_arena arena = { 0 };
    const Rn__JoinRequest *m = wire_unpack(&rn__join_request__descriptor, data, size, &arena);
    struct binding b;
    struct conn *c = listener(&b, stranger);

    memcpy(c->peer.key, identity_key(stranger), NODE_KEY_BYTES);
    c->flight.purpose = FLIGHT_JOIN;
    if (m != NULL)
        judge_join(c, m);
    wire_arena_fini(&arena);
    conn_free(c);
}

static void try_secret(const uint8_t *data, size_t size)
{
    struct wire_arena arena = { 0 };
    const Rn__EpochSecret *m = wire_unpack(&rn__epoch_secret__descriptor, data, size, &arena);

    if (m != NULL) {
        int rc = ring_merge_secret(m);

        ASSERT(rc < 0 || m->epoch == ring_epoch());
    }
    wire_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCBinaryData entry;
    uint64_t version;

    if (size < 1)
        return 0;
    if (store == NULL)
        begin();
    version = ring_version();
    switch (data[0]) {
    case 0: try_credentials(data + 1, size - 1); break;
    case 1: try_hello(data + 1, size - 1); break;
    case 2: try_message(data + 1, size - 1); break;
    case 3: try_join(data + 1, size - 1); break;
    case 4:
        entry = BYTES_OF(data + 1, size - 1);
        ring_merge(&entry, 1);
        break;
    case 5: try_secret(data + 1, size - 1); break;
    default: break;
    }
    ASSERT(ring_version() == version);
    return 0;
}
