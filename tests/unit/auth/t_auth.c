/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_auth.c - handshakes against published vectors; flights, records, identities, sub-keys
 */
#include "auth/flight.h"
#include "auth/identity.h"
#include "auth/noise.h"
#include "auth/record.h"
#include "base/alloc.h"
#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- vectors -------------------------------------------------------------------------------- */

struct vector {
    char protocol[80];
    uint8_t prologue[64], hash[NOISE_HASH_BYTES];
    size_t prologue_len;
    struct secret init_s, init_e, resp_s, resp_e, psk;
    bool has_psk;
    struct { uint8_t payload[64], sent[256]; size_t payload_len, sent_len; } message[8];
    size_t messages;
};

static size_t hex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;

    assert_int_equal(sodium_hex2bin(out, max, text, strlen(text), NULL, &n, NULL), 0);
    return n;
}

/* The next vector of the file. */
static bool read_vector(FILE *f, struct vector *v)
{
    char key[64], a[600], b[600], line[1300];

    memset(v, 0, sizeof *v);
    while (fgets(line, sizeof line, f) != NULL) {
        int n = sscanf(line, "%63s %599s %599s", key, a, b);

        if (n < 1 || key[0] == '#')
            continue;
        if (strcmp(key, "end") == 0)
            return true;
        if (strcmp(key, "protocol") == 0)
            snprintf(v->protocol, sizeof v->protocol, "%.79s", a);
        else if (strcmp(key, "init_prologue") == 0)
            v->prologue_len = hex(a, v->prologue, sizeof v->prologue);
        else if (strcmp(key, "init_static") == 0)
            hex(a, v->init_s.bytes, 32);
        else if (strcmp(key, "init_ephemeral") == 0)
            hex(a, v->init_e.bytes, 32);
        else if (strcmp(key, "resp_static") == 0)
            hex(a, v->resp_s.bytes, 32);
        else if (strcmp(key, "resp_ephemeral") == 0)
            hex(a, v->resp_e.bytes, 32);
        else if (strcmp(key, "handshake_hash") == 0)
            hex(a, v->hash, sizeof v->hash);
        else if (strcmp(key, "psk") == 0)
            v->has_psk = hex(a, v->psk.bytes, 32) == 32;
        else if (strcmp(key, "message") == 0) {
            v->message[v->messages].payload_len = hex(a, v->message[v->messages].payload, 64);
            v->message[v->messages].sent_len = hex(b, v->message[v->messages].sent, 256);
            v->messages++;
        }
    }
    return false;
}

static void init_pair(const struct vector *v, struct noise *d, struct noise *l)
{
    const struct secret *psk = v->has_psk ? &v->psk : NULL;
    uint8_t pub[DH_BYTES];

    crypto_scalarmult_base(pub, v->init_s.bytes);
    noise_init(d, true, v->prologue, v->prologue_len, &v->init_s, pub, psk, &v->init_e);
    crypto_scalarmult_base(pub, v->resp_s.bytes);
    noise_init(l, false, v->prologue, v->prologue_len, &v->resp_s, pub, psk, &v->resp_e);
}

/* A transport message of the vectors: no associated data, a counter from 0. */
static void check_transport(const struct secret *key, uint64_t n, const uint8_t *payload, size_t len,
                            const uint8_t *sent, size_t sent_len)
{
    uint8_t out[256], nonce[12] = { [4] = (uint8_t)n };
    unsigned long long out_len;

    crypto_aead_chacha20poly1305_ietf_encrypt(out, &out_len, payload, len, NULL, 0, NULL, nonce,
                                              key->bytes);
    assert_int_equal(out_len, sent_len);
    assert_memory_equal(out, sent, sent_len);
}

static void run_vector(const struct vector *v)
{
    struct noise d, l;
    struct noise_keys kd, kl;

    init_pair(v, &d, &l);
    for (size_t i = 0; i < 3; i++) {
        struct noise *from = i % 2 == 0 ? &d : &l, *to = i % 2 == 0 ? &l : &d;
        struct buf sent = { 0 }, got = { 0 };

        assert_int_equal(noise_write(from, v->message[i].payload, v->message[i].payload_len, &sent),
                         0);
        assert_int_equal(sent.len, v->message[i].sent_len);
        assert_memory_equal(sent.data, v->message[i].sent, sent.len);
        assert_int_equal(noise_read(to, sent.data, sent.len, &got), 0);
        assert_int_equal(got.len, v->message[i].payload_len);
        assert_memory_equal(got.data, v->message[i].payload, got.len);
        buf_fini(&sent);
        buf_fini(&got);
    }
    assert_memory_equal(d.h, v->hash, sizeof d.h);
    assert_memory_equal(l.h, v->hash, sizeof l.h);
    noise_split(&d, &kd);
    noise_split(&l, &kl);
    assert_memory_equal(&kd, &kl, sizeof kd);
    /* The vectors go on in turns; after three handshake messages the listener is next. */
    for (size_t i = 3; i < v->messages; i++)
        check_transport(i % 2 == 0 ? &kd.dialler_to_listener : &kd.listener_to_dialler,
                        (i - 3) / 2, v->message[i].payload, v->message[i].payload_len,
                        v->message[i].sent, v->message[i].sent_len);
    noise_wipe(&d);
    noise_wipe(&l);
}

static void with_vectors(void (*fn)(const struct vector *v))
{
    char path[4096];
    struct vector v;
    size_t n = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/unit/auth/noise.vectors", TESTS_SRCDIR);
    f = fopen(path, "r");
    assert_non_null(f);
    for (; read_vector(f, &v); n++)
        fn(&v);
    fclose(f);
    assert_int_equal(n, 2);
}

static void published_vectors(void **state)
{
    with_vectors(run_vector);
}

/* --- what must not pass ------------------------------------------------------------------------- */

static void make_pair(struct noise *d, struct noise *l, bool same_psk)
{
    struct secret sd, sl, psk, other;
    uint8_t pd[DH_BYTES], pl[DH_BYTES];

    dh_pair(&sd, pd);
    dh_pair(&sl, pl);
    secret_random(&psk);
    secret_random(&other);
    noise_init(d, true, "p", 1, &sd, pd, &psk, NULL);
    noise_init(l, false, "p", 1, &sl, pl, same_psk ? &psk : &other, NULL);
}

/* Both up to message `upto`, whose bytes are in out and unread. */
static void talk(struct noise *d, struct noise *l, int upto, struct buf *out)
{
    uint8_t e[DH_BYTES];
    struct buf got = { 0 };

    noise_first_write(d, e);
    noise_first_read(l, e);
    assert_int_equal(noise_write(l, "two", 3, out), 0);
    if (upto == 3) {
        assert_int_equal(noise_read(d, out->data, out->len, &got), 0);
        out->len = 0;
        assert_int_equal(noise_write(d, "three", 5, out), 0);
    }
    buf_fini(&got);
}

/* Each byte of messages 2 and 3 flipped, one byte short, one more: refused, keys wiped. */
static void damaged_messages(void **state)
{
    for (int message = 2; message <= 3; message++) {
        for (size_t i = 0;; i++) {
            struct noise d, l, *to = message == 2 ? &d : &l;
            struct buf out = { 0 }, got = { 0 };
            struct secret zero = { { 0 } };

            make_pair(&d, &l, true);
            talk(&d, &l, message, &out);
            if (i < out.len)
                out.data[i] ^= 1;
            else if (i == out.len)
                out.len--;
            else
                buf_u8(&out, 0);
            assert_int_equal(noise_read(to, out.data, out.len, &got), -ERR_PROTOCOL);
            assert_true(to->failed);
            assert_memory_equal(&to->s, &zero, sizeof zero);
            assert_memory_equal(&to->psk, &zero, sizeof zero);
            assert_int_equal(got.len, 0);
            buf_fini(&got);
            if (i > out.len) {
                buf_fini(&out);
                break;
            }
            buf_fini(&out);
        }
    }
}

static void first_message_without_its_tag(void **state)
{
    struct noise d, l;
    struct buf out = { 0 }, got = { 0 };

    make_pair(&d, &l, true);
    talk(&d, &l, 3, &out);
    assert_int_equal(noise_read(&l, out.data, out.len, &got), 0);
    assert_int_equal(got.len, 5);
    assert_memory_equal(d.h, l.h, sizeof d.h);
    assert_memory_equal(noise_remote_static(&l), d.s_pub, DH_BYTES);
    buf_fini(&out);
    buf_fini(&got);
    make_pair(&d, &l, false);               /* another psk: message 3 says so */
    out = (struct buf){ 0 };
    got = (struct buf){ 0 };
    talk(&d, &l, 3, &out);
    assert_int_equal(noise_read(&l, out.data, out.len, &got), -ERR_PROTOCOL);
    buf_fini(&out);
    buf_fini(&got);
}

static void zero_products_abort(void **state)
{
    static const uint8_t zero_point[DH_BYTES];
    struct noise d, l;
    struct buf out = { 0 };

    make_pair(&d, &l, true);
    noise_first_read(&l, zero_point);
    assert_int_equal(noise_write(&l, "", 0, &out), -ERR_PROTOCOL);
    assert_true(l.failed);
    noise_wipe(&d);
    buf_fini(&out);
}

/* --- first flight --------------------------------------------------------------------------------- */

static void every_byte_of_a_flight_counts(void **state)
{
    struct secret door;
    struct flight f = { .purpose = FLIGHT_PEER, .epoch = 0x1234, .tag = "tagtagta" }, back;
    uint8_t bytes[FLIGHT_BYTES];

    secret_random(&door);
    random_bytes(f.e, sizeof f.e);
    flight_write(&f, &door, bytes);
    assert_int_equal(flight_read(bytes, &back), 0);
    assert_true(flight_mac_ok(bytes, &door));
    assert_int_equal(back.epoch, 0x1234);
    assert_memory_equal(back.tag, "tagtagta", 8);
    for (int i = 0; i < FLIGHT_BYTES; i++) {
        bytes[i] ^= 0x80;
        assert_false(flight_read(bytes, &back) == 0 && flight_mac_ok(bytes, &door));
        bytes[i] ^= 0x80;
    }
    secret_random(&door);
    assert_false(flight_mac_ok(bytes, &door));
}

/* Fixed keys give fixed bytes: other builds must agree with this one. The mac was computed with
 * Python's hashlib.blake2b(digest_size=16, key=...). */
static void flight_vector(void **state)
{
    static const uint8_t mac[16] = { 0x02, 0x78, 0x7B, 0x1A, 0x57, 0x03, 0xB3, 0xFA,
                                    0xEB, 0x31, 0x85, 0x48, 0x7D, 0x1D, 0x9F, 0x3B };
    struct flight f = { .purpose = FLIGHT_JOIN, .epoch = 7, .tag = { 1, 2, 3, 4, 5, 6, 7, 8 } };
    struct secret door;
    uint8_t bytes[FLIGHT_BYTES];

    for (int i = 0; i < 32; i++) {
        door.bytes[i] = (uint8_t)i;
        f.e[i] = (uint8_t)(0xA0 + i);
    }
    flight_write(&f, &door, bytes);
    assert_memory_equal(bytes, "RND1\x01\x02\x00\x07\x01\x02\x03\x04\x05\x06\x07\x08", 16);
    assert_memory_equal(bytes + 16, mac, 16);
    assert_memory_equal(bytes + 32, f.e, 32);
}

static void replays_are_remembered(void **state)
{
    struct replay_set *r = replay_new();
    uint8_t e[DH_BYTES] = { 0 };
    const int64_t minute = INT64_C(60000000000);

    for (uint32_t i = 0; i < 3 * REPLAY_MAX; i++) {
        memcpy(e, &i, sizeof i);
        assert_true(replay_add(r, e, minute));
        assert_false(replay_add(r, e, minute));
    }
    assert_false(replay_add(r, e, 6 * minute));     /* turned once: still in the older set */
    for (uint32_t i = 0; i < 2; i++) {              /* and forgotten after two more turns */
        memcpy(e, &i, sizeof i);
        assert_true(replay_add(r, e, (12 + 6 * i) * minute));
    }
    replay_free(r);
}

/* --- records -------------------------------------------------------------------------------------- */

static struct record_keys *dialler, *listener;

static int new_keys(void **state)
{
    struct noise_keys k;

    random_bytes(&k, sizeof k);
    dialler = record_keys_new(&k, true);
    listener = record_keys_new(&k, false);
    return 0;
}

static int drop_keys(void **state)
{
    record_keys_free(dialler);
    record_keys_free(listener);
    return 0;
}

static int seal(struct record_keys *k, uint8_t flags, const char *text, uint8_t *out)
{
    memcpy(out + RECORD_HEAD, text, strlen(text));
    return record_seal(&k->send, flags, out, strlen(text));
}

static void expect(struct record_keys *k, uint8_t *rec, int len, const char *text)
{
    uint8_t flags;

    assert_int_equal(record_length(rec), len);
    assert_int_equal(record_open(&k->receive, rec, (size_t)len, &flags), strlen(text));
    assert_memory_equal(rec + RECORD_HEAD, text, strlen(text));
}

static void records_go_both_ways(void **state)
{
    uint8_t rec[100];

    record_rekey_every = 8;                 /* for keys made from here on */
    drop_keys(NULL);
    new_keys(NULL);
    for (int i = 0; i < 50; i++) {          /* over several key changes */
        char text[20];

        snprintf(text, sizeof text, "record %d", i);
        expect(listener, rec, seal(dialler, 1, text, rec), text);
        expect(dialler, rec, seal(listener, 2, text, rec), text);
    }
    assert_int_equal(dialler->send.counter, 50);
    record_rekey_every = 1u << 20;
}

static void records_change_in_no_way(void **state)
{
    uint8_t rec[100], copy[100], flags;
    int n = seal(dialler, 0, "hello", rec);

    for (int i = 0; i < n; i++) {
        memcpy(copy, rec, sizeof rec);
        copy[i] ^= 2;
        if (record_length(copy) != n)
            continue;                       /* refused by the header alone, or another length */
        assert_int_equal(record_open(&listener->receive, copy, (size_t)n, &flags), -ERR_PROTOCOL);
    }
    memcpy(copy, rec, sizeof rec);
    expect(listener, rec, n, "hello");
    assert_int_equal(record_open(&listener->receive, copy, (size_t)n, &flags), -ERR_PROTOCOL);
}

static void lengths_and_flags_of_headers(void **state)
{
    assert_int_equal(record_length((uint8_t[]){ 0, 0, 16, 0 }), -ERR_PROTOCOL);
    assert_int_equal(record_length((uint8_t[]){ 0, 0, 17, 0 }), 21);
    assert_int_equal(record_length((uint8_t[]){ 0, 0x40, 0x10, 0 }), RECORD_HEAD + 16400);
    assert_int_equal(record_length((uint8_t[]){ 0, 0x40, 0x11, 0 }), -ERR_PROTOCOL);
    assert_int_equal(record_length((uint8_t[]){ 0, 0, 17, 3 }), -ERR_PROTOCOL);
    assert_int_equal(record_length((uint8_t[]){ 0, 0, 17, 8 }), -ERR_PROTOCOL);
    assert_int_equal(record_length((uint8_t[]){ 0, 0, 17, 6 }), 21);
}

static void rekeying_in_band(void **state)
{
    struct secret ed, el, old = dialler->send.key;
    uint8_t pd[DH_BYTES], pl[DH_BYTES], rec[100], zero[DH_BYTES] = { 0 };
    int n;

    dh_pair(&ed, pd);
    dh_pair(&el, pl);
    assert_int_equal(record_rekey(listener, false, &el, pd), 0);
    n = seal(listener, RECORD_SWITCH, "step 2", rec);
    assert_int_equal(record_rekey(dialler, true, &ed, pl), 0);
    expect(dialler, rec, n, "step 2");
    expect(dialler, rec, seal(listener, 0, "new key", rec), "new key");
    expect(listener, rec, seal(dialler, RECORD_SWITCH, "last of the old", rec), "last of the old");
    expect(listener, rec, seal(dialler, 0, "new too", rec), "new too");
    assert_memory_not_equal(&old, &dialler->send.key, sizeof old);
    assert_int_equal(record_rekey(dialler, true, &ed, zero), -ERR_PROTOCOL);
    /* A switch that nobody agreed on. */
    rec[3] = RECORD_SWITCH;
    n = seal(listener, 0, "x", rec);
    rec[3] |= RECORD_SWITCH;
    drop_keys(NULL);
    new_keys(NULL);
    uint8_t flags;
    assert_int_equal(record_open(&dialler->receive, rec, (size_t)n, &flags), -ERR_PROTOCOL);
}

static void the_last_counter_is_not_used(void **state)
{
    uint8_t rec[100];

    dialler->send.counter = listener->receive.counter = UINT64_C(1) << 63;
    expect(listener, rec, seal(dialler, 0, "far", rec), "far");
    dialler->send.counter = UINT64_MAX;
    assert_int_equal(seal(dialler, 0, "no more", rec), -ERR_LIMIT);
}

/* --- identity ------------------------------------------------------------------------------------- */

static void key_files(void **state)
{
    char *dir = mem_strdup("/tmp/t_auth.XXXXXX"), *path;
    struct identity *a, *b;
    struct stat st;

    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/node.key", dir);
    assert_int_equal(identity_open(path, false, &a), -ERR_NOT_FOUND);
    assert_int_equal(identity_open(path, true, &a), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(identity_open(path, true, &b), 0);
    assert_memory_equal(identity_key(a), identity_key(b), NODE_KEY_BYTES);
    identity_free(b);
    chmod(path, 0640);
    assert_int_equal(identity_open(path, true, &b), -ERR_PERMISSION);
    chmod(path, 0600);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(identity_open(path, true, &b), -ERR_FORMAT);
    identity_free(a);
    unlink(path);
    rmdir(dir);
    mem_free(path);
    mem_free(dir);
}

static void signatures_and_bindings(void **state)
{
    struct identity *a = identity_new(NULL), *b = identity_new(NULL);
    uint8_t sig[SIGNATURE_BYTES], dh[DH_BYTES];
    struct secret s;
    struct binding bind;
    const uint64_t now = 1800000000;

    identity_sign(a, "label", "data", 4, sig);
    assert_true(signature_ok(identity_key(a), "label", "data", 4, sig));
    assert_false(signature_ok(identity_key(a), "label", "dato", 4, sig));
    assert_false(signature_ok(identity_key(a), "labe", "data", 4, sig));
    assert_false(signature_ok(identity_key(b), "label", "data", 4, sig));
    dh_pair(&s, dh);
    binding_make(a, dh, now, &bind);
    assert_int_equal(binding_check(&bind, now), 0);
    assert_int_equal(binding_check(&bind, now - BINDING_SKEW_S), 0);
    assert_int_equal(binding_check(&bind, now - BINDING_SKEW_S - 1), -ERR_TIMEOUT);
    assert_int_equal(binding_check(&bind, now + BINDING_LIFE_S + BINDING_SKEW_S + 1), -ERR_TIMEOUT);
    bind.dh[0] ^= 1;
    assert_int_equal(binding_check(&bind, now), -ERR_PERMISSION);
    bind.dh[0] ^= 1;
    memcpy(bind.node, identity_key(b), NODE_KEY_BYTES);
    assert_int_equal(binding_check(&bind, now), -ERR_PERMISSION);
    identity_free(a);
    identity_free(b);
}

static void short_forms(void **state)
{
    char out[NODE_LETTERS];

    assert_string_equal(nid_letters(0, out), "0000-0000");
    assert_string_equal(nid_letters(UINT64_MAX, out), "zzzz-zzzz");
    assert_string_equal(nid_letters(UINT64_C(0x08864298E8000000), out), "1234-5678");
}

/* Sub-keys differ from each other and from the secret, and are what libsodium says they are. */
static void sub_keys(void **state)
{
    struct secret cs, sub[6], again;

    secret_random(&cs);
    for (int i = SECRET_DOOR; i <= SECRET_TAG; i++) {
        secret_derive(&cs, i, &sub[i]);
        secret_derive(&cs, i, &again);
        assert_memory_equal(&sub[i], &again, sizeof again);
        assert_memory_not_equal(&sub[i], &cs, sizeof cs);
        for (int j = SECRET_DOOR; j < i; j++)
            assert_memory_not_equal(&sub[i], &sub[j], sizeof cs);
    }
    crypto_kdf_derive_from_key(again.bytes, 32, 3, "rngossip", cs.bytes);
    assert_memory_equal(&sub[SECRET_GOSSIP], &again, sizeof again);
}

static void sealed_datagrams(void **state)
{
    struct secret k;
    uint8_t out[100], back[100];
    size_t n;

    secret_random(&k);
    n = datagram_seal(&k, "ad", 2, "gossip", 6, out);
    assert_int_equal(n, 6 + DATAGRAM_OVERHEAD);
    assert_true(datagram_open(&k, "ad", 2, out, n, back));
    assert_memory_equal(back, "gossip", 6);
    assert_false(datagram_open(&k, "da", 2, out, n, back));
    assert_false(datagram_open(&k, "ad", 2, out, DATAGRAM_OVERHEAD - 1, back));
    for (size_t i = 0; i < n; i++) {
        out[i] ^= 1;
        assert_false(datagram_open(&k, "ad", 2, out, n, back));
        out[i] ^= 1;
    }
}

static void cells_are_wiped(void **state)
{
    uint8_t *p = secret_alloc(), *q;

    for (int i = 0; i < SECRET_CELL; i++)
        assert_int_equal(p[i], 0);
    memset(p, 0xAA, SECRET_CELL);
    secret_free(p);
    q = secret_alloc();
    assert_ptr_equal(p, q);
    for (int i = 0; i < SECRET_CELL; i++)
        assert_int_equal(q[i], 0);
    secret_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(damaged_messages),
        cmocka_unit_test(first_message_without_its_tag),
        cmocka_unit_test(zero_products_abort),
        cmocka_unit_test(every_byte_of_a_flight_counts),
        cmocka_unit_test(flight_vector),
        cmocka_unit_test(replays_are_remembered),
        cmocka_unit_test_setup_teardown(records_go_both_ways, new_keys, drop_keys),
        cmocka_unit_test_setup_teardown(records_change_in_no_way, new_keys, drop_keys),
        cmocka_unit_test(lengths_and_flags_of_headers),
        cmocka_unit_test_setup_teardown(rekeying_in_band, new_keys, drop_keys),
        cmocka_unit_test_setup_teardown(the_last_counter_is_not_used, new_keys, drop_keys),
        cmocka_unit_test(key_files),
        cmocka_unit_test(signatures_and_bindings),
        cmocka_unit_test(short_forms),
        cmocka_unit_test(sub_keys),
        cmocka_unit_test(sealed_datagrams),
        cmocka_unit_test(cells_are_wiped),
    };

    auth_init();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
