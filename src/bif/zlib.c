/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib.c - compression with zlib: whole texts, and streams
 *
 * A stream is a blob behind a magic reference; one process uses it, as in OTP, though nobody checks.
 * Results are lists of one binary. Bytes are charged after the work: large inputs end the slice.
 */
#include "bif/bif.h"
#include "heap/blob.h"
#include "heap/iolist.h"
#include "base/alloc.h"
#include "base/bytes.h"

#include <zlib.h>

#define BYTES_PER_REDUCTION 1000
#define WINDOW_BITS 15
#define GZIP_BITS   16      /* added to the window bits: gzip header and trailer */
#define ROOM_BYTES  8192

/* The bytes of an iolist, in memory of our own. False: t is none, or larger than zlib counts. */
static bool bytes_of(struct buf *out, term t)
{
    size_t len;

    if ((!is_list(t) && !is_binary(t)) || !iolist_size(t, &len) || len > UINT32_MAX)
        return false;
    iolist_write(t, buf_room(out, len + 1));
    out->len = len;
    return true;
}

/* Feed all of in to step(z, flush) and collect what comes. The last return code of zlib. */
static int stream_run(z_stream *z, int (*step)(z_stream *z, int flush), int flush,
                      const struct buf *in, struct buf *out)
{
    int rc;

    z->next_in = in->data;
    z->avail_in = (uInt)in->len;
    do {
        z->next_out = buf_room(out, ROOM_BYTES);
        z->avail_out = ROOM_BYTES;
        rc = step(z, flush);
        out->len -= z->avail_out;
    } while (rc == Z_OK && (z->avail_out == 0 || (z->avail_in > 0 && step == inflate)));
    return rc;
}

static term binary_of(struct process *p, struct buf *out)
{
    term bin = heap_binary(&p->heap, out->data, out->len);

    charge(p, (int64_t)out->len / BYTES_PER_REDUCTION);
    return bin;
}

static term zlib_error(struct process *p, int rc)
{
    return bif_error(p, rc == Z_NEED_DICT ? ATOM_need_dictionary : rc == Z_STREAM_ERROR
                                          ? ATOM_stream_error : ATOM_data_error);
}

/* --- whole texts -------------------------------------------------------------------------------------- */

static term whole_deflate(struct process *p, term data, int bits)
{
    struct buf in = { 0 }, out = { 0 };
    z_stream z = { 0 };
    term result;

    if (!bytes_of(&in, data)) {
        buf_fini(&in);
        return bif_badarg(p);
    }
    deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
    stream_run(&z, deflate, Z_FINISH, &in, &out);
    deflateEnd(&z);
    result = binary_of(p, &out);
    buf_fini(&in);
    buf_fini(&out);
    return result;
}

/* A gzip file may be several, one after another. */
static int inflate_files(z_stream *z, const struct buf *in, struct buf *out)
{
    struct buf rest = *in;
    int rc = stream_run(z, inflate, Z_NO_FLUSH, &rest, out);

    while (rc == Z_STREAM_END && z->avail_in > 0) {
        rest.data += rest.len - z->avail_in;
        rest.len = z->avail_in;
        inflateReset(z);
        rc = stream_run(z, inflate, Z_NO_FLUSH, &rest, out);
    }
    return rc;
}

static term whole_inflate(struct process *p, term data, int bits)
{
    struct buf in = { 0 }, out = { 0 };
    z_stream z = { 0 };
    term result;
    int rc;

    if (!bytes_of(&in, data)) {
        buf_fini(&in);
        return bif_badarg(p);
    }
    inflateInit2(&z, bits);
    rc = bits > WINDOW_BITS ? inflate_files(&z, &in, &out)
                            : stream_run(&z, inflate, Z_NO_FLUSH, &in, &out);
    inflateEnd(&z);
    result = rc == Z_STREAM_END ? binary_of(p, &out) : zlib_error(p, Z_DATA_ERROR);
    buf_fini(&in);
    buf_fini(&out);
    return result;
}

term bif_zlib_compress(struct process *p, const term *a)
{
    return whole_deflate(p, a[0], WINDOW_BITS);
}

term bif_zlib_uncompress(struct process *p, const term *a)
{
    return whole_inflate(p, a[0], WINDOW_BITS);
}

term bif_zlib_gzip(struct process *p, const term *a)
{
    return whole_deflate(p, a[0], WINDOW_BITS + GZIP_BITS);
}

term bif_zlib_gunzip(struct process *p, const term *a)
{
    return whole_inflate(p, a[0], WINDOW_BITS + GZIP_BITS);
}

term bif_zlib_zip(struct process *p, const term *a)
{
    return whole_deflate(p, a[0], -WINDOW_BITS);
}

term bif_zlib_unzip(struct process *p, const term *a)
{
    return whole_inflate(p, a[0], -WINDOW_BITS);
}

/* --- streams ------------------------------------------------------------------------------------------- */

enum stream_state { STREAM_IDLE, STREAM_DEFLATE, STREAM_INFLATE };

struct stream { z_stream z; uint8_t state; bool ended; };

#define blob_stream(b) ((struct stream *)(void *)(b)->data)

static void stream_end(struct stream *s)
{
    if (s->state == STREAM_DEFLATE)
        deflateEnd(&s->z);
    else if (s->state == STREAM_INFLATE)
        inflateEnd(&s->z);
    s->state = STREAM_IDLE;
}

static void stream_dtor(struct blob *b)
{
    stream_end(blob_stream(b));
}

/* The stream if it is in this state; NULL otherwise. */
static struct stream *stream_of(term t, enum stream_state state)
{
    struct stream *s;

    if (!box_is(t, HK_MAGIC) || magic_blob(t)->dtor != stream_dtor)
        return NULL;
    s = blob_stream(magic_blob(t));
    return s->state == state ? s : NULL;
}

term bif_zlib_open(struct process *p, const term *a)
{
    struct blob *b = blob_new(sizeof(struct stream));

    memset(blob_stream(b), 0, sizeof(struct stream));
    b->dtor = stream_dtor;
    return magic_make(&p->heap, b);
}

term bif_zlib_close(struct process *p, const term *a)
{
    if (!box_is(a[0], HK_MAGIC) || magic_blob(a[0])->dtor != stream_dtor)
        return bif_badarg(p);
    stream_end(blob_stream(magic_blob(a[0])));
    return ATOM_ok;
}

/* Compression levels by name or number; -2: no level. */
static int level_of(term t)
{
    return t == ATOM_default ? Z_DEFAULT_COMPRESSION : t == ATOM_none ? Z_NO_COMPRESSION :
           t == ATOM_best_compression ? Z_BEST_COMPRESSION : t == ATOM_best_speed ? Z_BEST_SPEED :
           is_small(t) && small_val(t) >= 0 && small_val(t) <= 9 ? (int)small_val(t) : -2;
}

static term deflate_start(struct process *p, term stream, int level, int bits, int memory)
{
    struct stream *s = stream_of(stream, STREAM_IDLE);

    if (s == NULL || level == -2)
        return bif_badarg(p);
    memset(&s->z, 0, sizeof s->z);
    if (deflateInit2(&s->z, level, Z_DEFLATED, bits, memory, Z_DEFAULT_STRATEGY) != Z_OK)
        return bif_badarg(p);
    s->state = STREAM_DEFLATE;
    return ATOM_ok;
}

term bif_zlib_deflate_init_1(struct process *p, const term *a)
{
    return deflate_start(p, a[0], Z_DEFAULT_COMPRESSION, WINDOW_BITS, 8);
}

term bif_zlib_deflate_init_2(struct process *p, const term *a)
{
    return deflate_start(p, a[0], level_of(a[1]), WINDOW_BITS, 8);
}

/* (Stream, Level, Method, WindowBits, MemLevel, Strategy): the strategy is the default one. */
term bif_zlib_deflate_init_6(struct process *p, const term *a)
{
    if (a[2] != ATOM_deflated || !is_small(a[3]) || !is_small(a[4]))
        return bif_badarg(p);
    return deflate_start(p, a[0], level_of(a[1]), (int)small_val(a[3]), (int)small_val(a[4]));
}

static term deflate_some(struct process *p, term stream, term data, int flush)
{
    struct stream *s = stream_of(stream, STREAM_DEFLATE);
    struct buf in = { 0 }, out = { 0 };
    term list = TERM_NIL;
    int rc;

    if (s == NULL || flush < 0 || !bytes_of(&in, data)) {
        buf_fini(&in);
        return bif_badarg(p);
    }
    rc = stream_run(&s->z, deflate, flush, &in, &out);
    if (out.len > 0)
        list = heap_cons(&p->heap, binary_of(p, &out), TERM_NIL);
    buf_fini(&in);
    buf_fini(&out);
    return rc == Z_STREAM_ERROR ? zlib_error(p, rc) : list;
}

term bif_zlib_deflate_2(struct process *p, const term *a)
{
    return deflate_some(p, a[0], a[1], Z_NO_FLUSH);
}

term bif_zlib_deflate_3(struct process *p, const term *a)
{
    int flush = a[2] == ATOM_none ? Z_NO_FLUSH : a[2] == ATOM_sync ? Z_SYNC_FLUSH :
                a[2] == ATOM_full ? Z_FULL_FLUSH : a[2] == ATOM_finish ? Z_FINISH : -1;

    return deflate_some(p, a[0], a[1], flush);
}

term bif_zlib_deflate_reset(struct process *p, const term *a)
{
    struct stream *s = stream_of(a[0], STREAM_DEFLATE);

    return s == NULL || deflateReset(&s->z) != Z_OK ? bif_badarg(p) : ATOM_ok;
}

term bif_zlib_deflate_end(struct process *p, const term *a)
{
    struct stream *s = stream_of(a[0], STREAM_DEFLATE);

    if (s == NULL)
        return bif_badarg(p);
    stream_end(s);
    return ATOM_ok;
}

static term inflate_start(struct process *p, term stream, int bits)
{
    struct stream *s = stream_of(stream, STREAM_IDLE);

    if (s == NULL)
        return bif_badarg(p);
    memset(&s->z, 0, sizeof s->z);
    if (inflateInit2(&s->z, bits) != Z_OK)
        return bif_badarg(p);
    s->state = STREAM_INFLATE;
    s->ended = false;
    return ATOM_ok;
}

term bif_zlib_inflate_init_1(struct process *p, const term *a)
{
    return inflate_start(p, a[0], WINDOW_BITS);
}

term bif_zlib_inflate_init_2(struct process *p, const term *a)
{
    return is_small(a[1]) ? inflate_start(p, a[0], (int)small_val(a[1])) : bif_badarg(p);
}

term bif_zlib_inflate_2(struct process *p, const term *a)
{
    struct stream *s = stream_of(a[0], STREAM_INFLATE);
    struct buf in = { 0 }, out = { 0 };
    term list = TERM_NIL;
    int rc = Z_OK;

    if (s == NULL || !bytes_of(&in, a[1])) {
        buf_fini(&in);
        return bif_badarg(p);
    }
    if (!s->ended)
        rc = stream_run(&s->z, inflate, Z_NO_FLUSH, &in, &out);
    s->ended |= rc == Z_STREAM_END;
    if (out.len > 0)
        list = heap_cons(&p->heap, binary_of(p, &out), TERM_NIL);
    buf_fini(&in);
    buf_fini(&out);
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? list : zlib_error(p, rc);
}

term bif_zlib_inflate_reset(struct process *p, const term *a)
{
    struct stream *s = stream_of(a[0], STREAM_INFLATE);

    if (s == NULL || inflateReset(&s->z) != Z_OK)
        return bif_badarg(p);
    s->ended = false;
    return ATOM_ok;
}

/* The data must have come to its end. */
term bif_zlib_inflate_end(struct process *p, const term *a)
{
    struct stream *s = stream_of(a[0], STREAM_INFLATE);
    bool ended;

    if (s == NULL)
        return bif_badarg(p);
    ended = s->ended;
    stream_end(s);
    return ended ? ATOM_ok : zlib_error(p, Z_DATA_ERROR);
}
