/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.c - changes that are on the disk before their transaction is
 */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC        0x726e4a31u        /* "rnJ1" */
#define HEAD_BYTES   20
#define SUM_AT       4                  /* the checksum; it is of what is behind it */
#define NUMBER_AT    8
#define RECORDS_MAX  (JOURNAL_BYTES / JOURNAL_ALIGN)
#define TRY_AGAIN_NS (10 * (int64_t)1000000000)

static size_t aligned(size_t n)
{
    return (n + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN * JOURNAL_ALIGN;
}

static uint32_t sum_of(const uint8_t *record, size_t body_bytes)
{
    return (uint32_t)crc32_z(0, record + NUMBER_AT, HEAD_BYTES - NUMBER_AT + body_bytes);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void add_names(struct store *st, struct buf *b)
{
    unsigned n = atomic_load_explicit(&st->ndbs, memory_order_acquire);

    buf_u8(b, (uint8_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_u8(b, (uint8_t)strlen(st->db[i].name));
        buf_str(b, st->db[i].name);
    }
}

/* Set 4 bytes of what is there already. */
static void patch(struct buf *b, size_t at, uint32_t v)
{
    size_t len = b->len;

    b->len = at;
    buf_be(b, v, 4);
    b->len = len;
}

static void record_build(struct store *st, const struct group *g, size_t n, uint64_t number)
{
    struct buf *b = &st->journal.record;
    size_t body, padding;

    b->len = 0;
    buf_be(b, MAGIC, 4);
    buf_be(b, 0, 4);
    buf_be(b, number, 8);
    buf_be(b, 0, 4);
    add_names(st, b);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            g = g->next;
        buf_be(b, (uint64_t)g->time, 8);
        buf_be(b, g->ops.len, 4);
        buf_add(b, g->ops.data, g->ops.len);
    }
    body = b->len - HEAD_BYTES;
    patch(b, HEAD_BYTES - 4, (uint32_t)body);
    patch(b, SUM_AT, sum_of(b->data, body));
    padding = aligned(b->len) - b->len;
    memset(buf_room(b, padding), 0, padding);
}

static int write_at(int fd, const uint8_t *data, size_t len, size_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return EIO;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            at += (size_t)n;
        }
    }
    return 0;
}

int journal_write(struct store *st, const struct group *g, size_t n)
{
    struct journal *j = &st->journal;
    int rc;

    if (j->fd < 0)
        return ENOSPC;
    record_build(st, g, n, j->number + 1);
    if (j->record.len > JOURNAL_BYTES - j->at)
        return ENOSPC;
    /* the number is used whatever comes of it: the record may be on the disk after a failure */
    j->number++;
    rc = write_at(j->fd, j->record.data, j->record.len, j->at);
    if (rc == 0 && fdatasync(j->fd) < 0)
        rc = errno;
    if (rc != 0) {
        metric_inc(M_store_error_journal);
        j->at = JOURNAL_BYTES;
        return rc;
    }
    j->at += j->record.len;
    return 0;
}

/* --- the file --------------------------------------------------------------------------------- */

/* Its blocks are written, not only reserved: a first write to a reserved one changes metadata. */
static int fill(int fd)
{
    uint8_t *zeros;
    struct stat file;
    int rc = fstat(fd, &file) < 0 ? errno : 0;

    if (rc != 0 || file.st_size >= JOURNAL_BYTES)
        return rc;
    zeros = mem_zalloc(JOURNAL_BYTES);
    rc = write_at(fd, zeros, JOURNAL_BYTES - (size_t)file.st_size, (size_t)file.st_size);
    mem_free(zeros);
    return rc == 0 && fsync(fd) < 0 ? errno : rc;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fsync(fd) < 0)
        rc = errno;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int open_file(const struct store *st, int flags)
{
    char *path = mem_printf("%s/journal", st->path);
    int fd = open(path, flags | O_CLOEXEC, 0600);

    mem_free(path);
    return fd;
}

void journal_make(struct store *st)
{
    struct journal *j = &st->journal;
    int64_t now = clock_monotonic_ns();

    if (j->fd >= 0 || (j->tried_ns != 0 && now - j->tried_ns < TRY_AGAIN_NS))
        return;
    j->tried_ns = now;
    j->fd = open_file(st, O_RDWR | O_CREAT);
    if (j->fd >= 0 && (fill(j->fd) != 0 || sync_folder(st->path) != 0)) {
        (void)!ftruncate(j->fd, 0);     /* what little room there is is needed by the store */
        close(j->fd);
        j->fd = -1;
    }
    j->at = JOURNAL_BYTES;
    /* a first number that no journal of another store is likely to have near */
    if (j->number == 0)
        j->number = (uint64_t)clock_system_ns();
}

void journal_close(struct store *st)
{
    if (st->journal.fd >= 0)
        close(st->journal.fd);
    buf_fini(&st->journal.record);
}

int journal_put_number(struct store *st, MDB_txn *txn, MDB_dbi meta)
{
    struct buf b = { 0 };
    MDB_val k = store_val("journal", 7), v;
    int rc;

    buf_be(&b, st->journal.number, 8);
    v = store_val(b.data, b.len);
    rc = mdb_put(txn, meta, &k, &v, 0);
    buf_fini(&b);
    return rc;
}

void journal_restart(struct store *st)
{
    st->journal.at = 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct record { uint64_t number; struct reader body; size_t bytes; };

/* The record at data, whole and unharmed. */
static bool record_at(const uint8_t *data, size_t len, struct record *ret)
{
    struct reader r = reader_make(data, len);
    uint32_t magic = reader_u32(&r), sum = reader_u32(&r), body;
    const uint8_t *at;

    ret->number = reader_u64(&r);
    body = reader_u32(&r);
    at = reader_take(&r, body);
    if (r.bad || magic != MAGIC || sum != sum_of(data, body))
        return false;
    ret->body = reader_make(at, body);
    ret->bytes = aligned(HEAD_BYTES + (size_t)body);
    return true;
}

/* Our numbers of the databases a record names. False: they cannot be names. */
static bool read_names(struct store *st, struct reader *r, uint8_t map[DATABASES_MAX],
                       unsigned *ret_n)
{
    *ret_n = reader_u8(r);
    for (unsigned i = 0; i < *ret_n; i++) {
        size_t len = reader_u8(r);
        const char *text = (const char *)reader_take(r, len);
        char *name;

        if (r->bad || len == 0 || i == DATABASES_MAX || memchr(text, 0, len) != NULL ||
            atomic_load(&st->ndbs) == DATABASES_MAX)
            return false;
        name = mem_printf("%.*s", (int)len, text);
        map[i] = (uint8_t)writer_db(st, name);
        mem_free(name);
    }
    return !r->bad;
}

/* Operations as they were submitted, with our numbers of databases. */
static bool translate(struct buf *ops, const uint8_t map[DATABASES_MAX], unsigned n)
{
    struct reader r = reader_make(ops->data, ops->len);

    while (reader_left(&r) > 0) {
        unsigned op = reader_u8(&r), db = reader_u8(&r);
        uint8_t *at = ops->data + (ops->len - reader_left(&r)) - 1;
        size_t key_len = reader_u16(&r), len = reader_u32(&r);

        reader_take(&r, key_len);
        reader_take(&r, len);
        if (r.bad || op > OP_DROP || db >= n || key_len == 0 || key_len > STORE_KEY_MAX ||
            len > STORE_VALUE_MAX)
            return false;
        *at = map[db];
    }
    return true;
}

static bool read_groups(struct store *st, struct reader *r)
{
    uint8_t map[DATABASES_MAX];
    unsigned names;

    if (!read_names(st, r, map, &names))
        return false;
    while (reader_left(r) > 0) {
        int64_t time = (int64_t)reader_u64(r);
        size_t len = reader_u32(r);
        const uint8_t *ops = reader_take(r, len);
        struct group *g;

        if (r->bad || time <= 0)
            return false;
        g = MEM_NEW(struct group);
        g->time = time;
        buf_add(&g->ops, ops, len);
        *st->kept_last = g;
        st->kept_last = &g->next;
        if (!translate(&g->ops, map, names))
            return false;
    }
    return true;
}

/* A record is written after the one before it is safe. So one that can be read behind one that
 * cannot be is no end of a journal, but a hole in it. Its number is near: bytes of a row may look
 * like a record, but not guess that. The first place holds a record or nothing. */
static bool has_later(const uint8_t *data, size_t len, size_t at, uint64_t last)
{
    struct record rec;

    for (; at < len; at += JOURNAL_ALIGN)
        if (record_at(data + at, len - at, &rec) && rec.number > last &&
            (at == 0 || rec.number - last <= RECORDS_MAX))
            return true;
    return false;
}

int journal_parse(struct store *st, const uint8_t *data, size_t len, uint64_t after,
                  uint64_t *ret_last)
{
    struct record rec;
    size_t at = 0;

    *ret_last = after;
    while (at < len && record_at(data + at, len - at, &rec) && rec.number == *ret_last + 1) {
        if (!read_groups(st, &rec.body))
            return -ERR_FORMAT;
        *ret_last = rec.number;
        at += rec.bytes;
    }
    return has_later(data, len, at, *ret_last) ? -ERR_FORMAT : 0;
}

/* The number of the last record that is committed; 0: this store never had a journal. */
static int committed_number(struct store *st, uint64_t *ret)
{
    struct buf b = { 0 };
    struct reader r;
    int rc = store_get(st, "meta", "journal", 7, &b);

    r = reader_make(b.data, b.len);
    *ret = rc == 0 ? reader_u64(&r) : 0;
    buf_fini(&b);
    return rc == -ERR_NOT_FOUND ? 0 : rc == 0 && r.bad ? -ERR_FORMAT : rc;
}

static int read_file(int fd, uint8_t *data, size_t *ret_len)
{
    for (*ret_len = 0; *ret_len < JOURNAL_BYTES;) {
        ssize_t n = pread(fd, data + *ret_len, JOURNAL_BYTES - *ret_len, (off_t)*ret_len);

        if (n < 0 && errno != EINTR)
            return -ERR_SYSTEM;
        if (n == 0)
            return 0;
        if (n > 0)
            *ret_len += (size_t)n;
    }
    return 0;
}

int journal_open(struct store *st)
{
    struct journal *j = &st->journal;
    uint64_t committed;
    uint8_t *data;
    size_t len;
    int fd, rc = committed_number(st, &committed);

    if (rc < 0)
        return rc;
    j->number = committed;
    fd = open_file(st, O_RDWR);
    if (fd < 0)
        return errno == ENOENT ? 0 : -ERR_SYSTEM;
    data = mem_alloc(JOURNAL_BYTES);
    rc = read_file(fd, data, &len);
    if (rc == 0)
        rc = journal_parse(st, data, len, committed, &j->number);
    mem_free(data);
    /* a file cut short in its making is made again when it is wanted */
    if (rc == 0 && len == JOURNAL_BYTES && committed != 0)
        j->fd = fd;
    else
        close(fd);
    j->at = JOURNAL_BYTES;
    if (st->kept != NULL)   /* the writer commits them, and store_settle waits for it */
        st->durable = st->last_ticket = 1;
    return rc;
}
