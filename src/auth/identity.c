/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - the key file, and what the key signs
 */
#include "auth/identity.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HEAD  "rnode node key 1\n"
#define SEED_TEXT  (2 * SECRET_BYTES)
#define FILE_BYTES (sizeof FILE_HEAD - 1 + SEED_TEXT + 1)

struct identity {
    pthread_mutex_t lock;                   /* readable memory is one at a time */
    uint8_t key[NODE_KEY_BYTES];            /* [set] */
    uint8_t *secret;                        /* [lk lock] guarded, crypto_sign_SECRETKEYBYTES */
};

struct identity *identity_new(const struct secret *seed)
{
    struct identity *id = MEM_NEW(struct identity);
    struct secret own;

    if (seed == NULL) {
        secret_random(&own);
        seed = &own;
    }
    pthread_mutex_init(&id->lock, NULL);
    id->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
    ASSERT(id->secret != NULL);
    crypto_sign_seed_keypair(id->key, id->secret, seed->bytes);
    sodium_mprotect_noaccess(id->secret);
    sodium_memzero(&own, sizeof own);
    return id;
}

void identity_free(struct identity *id)
{
    if (id == NULL)
        return;
    sodium_mprotect_readwrite(id->secret);
    sodium_free(id->secret);                /* wipes */
    pthread_mutex_destroy(&id->lock);
    mem_free(id);
}

const uint8_t *identity_key(const struct identity *id)
{
    return id->key;
}

/* --- the file ----------------------------------------------------------------------------- */

static int read_seed(int fd, struct secret *ret)
{
    char text[FILE_BYTES + 1];
    struct stat st;
    size_t bin = 0;
    ssize_t n;
    int rc = -ERR_FORMAT;

    if (fstat(fd, &st) < 0)
        return -ERR_SYSTEM;
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 ||
        (st.st_uid != geteuid() && st.st_uid != 0))
        return -ERR_PERMISSION;
    n = read(fd, text, sizeof text);
    if (n == FILE_BYTES && memcmp(text, FILE_HEAD, sizeof FILE_HEAD - 1) == 0 &&
        sodium_hex2bin(ret->bytes, SECRET_BYTES, text + sizeof FILE_HEAD - 1, SEED_TEXT, NULL, &bin,
                       NULL) == 0 &&
        bin == SECRET_BYTES)
        rc = 0;
    sodium_memzero(text, sizeof text);
    return n < 0 ? -ERR_SYSTEM : rc;
}

/* Write beside and rename, so that a half-written key never has the name. */
static int write_seed(const char *path, const struct secret *seed)
{
    char *beside = mem_printf("%s.new", path), text[FILE_BYTES + 1];
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;

    memcpy(text, FILE_HEAD, sizeof FILE_HEAD);
    sodium_bin2hex(text + sizeof FILE_HEAD - 1, SEED_TEXT + 1, seed->bytes, SECRET_BYTES);
    text[FILE_BYTES - 1] = '\n';
    if (fd < 0 || write(fd, text, FILE_BYTES) != (ssize_t)FILE_BYTES || fsync(fd) < 0 ||
        rename(beside, path) < 0)
        rc = -ERR_SYSTEM;
    sodium_memzero(text, sizeof text);
    if (fd >= 0)
        close(fd);
    mem_free(beside);
    return rc;
}

int identity_open(const char *path, bool make, struct identity **ret)
{
    struct secret seed;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;

    if (fd >= 0) {
        rc = read_seed(fd, &seed);
        close(fd);
    } else if (errno != ENOENT) {
        rc = -ERR_SYSTEM;
    } else if (!make) {
        rc = -ERR_NOT_FOUND;
    } else {
        secret_random(&seed);
        rc = write_seed(path, &seed);
    }
    if (rc == 0)
        *ret = identity_new(&seed);
    sodium_memzero(&seed, sizeof seed);
    return rc;
}

/* --- signatures --------------------------------------------------------------------------- */

/* The label and a NUL, then the bytes: no label is the beginning of another. */
static void signed_bytes(struct buf *b, const char *label, const void *data, size_t len)
{
    buf_add(b, label, strlen(label) + 1);
    buf_add(b, data, len);
}

void identity_sign(struct identity *id, const char *label, const void *data, size_t len,
                   uint8_t ret_sig[SIGNATURE_BYTES])
{
    struct buf b = { 0 };

    signed_bytes(&b, label, data, len);
    pthread_mutex_lock(&id->lock);
    sodium_mprotect_readonly(id->secret);
    crypto_sign_detached(ret_sig, NULL, b.data, b.len, id->secret);
    sodium_mprotect_noaccess(id->secret);
    pthread_mutex_unlock(&id->lock);
    buf_fini(&b);
}

bool signature_ok(const uint8_t key[NODE_KEY_BYTES], const char *label, const void *data, size_t len,
                  const uint8_t sig[SIGNATURE_BYTES])
{
    struct buf b = { 0 };
    bool ok;

    signed_bytes(&b, label, data, len);
    ok = crypto_sign_verify_detached(sig, b.data, b.len, key) == 0;
    buf_fini(&b);
    return ok;
}

bool node_key_parse(const char *text, uint8_t ret[NODE_KEY_BYTES])
{
    size_t digits = strcspn(text, " \t\r\n"), n;

    return digits == 2 * NODE_KEY_BYTES &&
           sodium_hex2bin(ret, NODE_KEY_BYTES, text, digits, NULL, &n, NULL) == 0 &&
           n == NODE_KEY_BYTES;
}

uint64_t node_nid(const uint8_t key[NODE_KEY_BYTES])
{
    uint8_t digest[32];
    struct reader r;

    hash_labelled("rn nid 1", NULL, key, NODE_KEY_BYTES, digest, sizeof digest);
    r = reader_make(digest, sizeof digest);
    return reader_u64(&r);
}

const char *nid_letters(uint64_t nid, char out[NODE_LETTERS])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    char *at = out;

    for (int i = 0; i < 8; i++) {
        if (i == 4)
            *at++ = '-';
        *at++ = letters[nid >> (59 - 5 * i) & 31];
    }
    *at = 0;
    return out;
}

/* --- bindings ----------------------------------------------------------------------------- */

static void binding_text(const struct binding *b, struct buf *out)
{
    buf_add(out, b->node, sizeof b->node);
    buf_add(out, b->dh, sizeof b->dh);
    buf_be(out, b->not_before, 8);
    buf_be(out, b->not_after, 8);
}

void binding_make(struct identity *id, const uint8_t dh[DH_BYTES], uint64_t now_s,
                  struct binding *ret)
{
    struct buf b = { 0 };

    memcpy(ret->node, id->key, sizeof ret->node);
    memcpy(ret->dh, dh, sizeof ret->dh);
    ret->not_before = now_s;
    ret->not_after = now_s + BINDING_LIFE_S;
    binding_text(ret, &b);
    identity_sign(id, "rn binding 1", b.data, b.len, ret->sig);
    buf_fini(&b);
}

int binding_check(const struct binding *b, uint64_t now_s)
{
    struct buf text = { 0 };
    bool ok;

    if (now_s + BINDING_SKEW_S < b->not_before ||
        (now_s > BINDING_SKEW_S && now_s - BINDING_SKEW_S > b->not_after))
        return -ERR_TIMEOUT;
    binding_text(b, &text);
    ok = signature_ok(b->node, "rn binding 1", text.data, text.len, b->sig);
    buf_fini(&text);
    return ok ? 0 : -ERR_PERMISSION;
}

void dh_pair(struct secret *ret_secret, uint8_t ret_public[DH_BYTES])
{
    secret_random(ret_secret);
    crypto_scalarmult_base(ret_public, ret_secret->bytes);
}
