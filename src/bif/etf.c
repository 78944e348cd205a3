/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etf.c - the external term format as built-ins
 *
 * The work is charged for by the size of the encoding; nothing here yields.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "heap/blob.h"
#include "heap/etf.h"
#include "term/atom.h"

#define BYTES_PER_REDUCTION 64

struct encode_options {
    unsigned flags;
    int minor, level;           /* level 0: not compressed */
};

static bool encode_pair(struct encode_options *o, term tag, term value, bool size_only)
{
    int64_t v = is_small(value) ? small_val(value) : -1;

    if (tag == ATOM_minor_version && v >= 0 && v <= 2)
        o->minor = (int)v;
    else if (tag == ATOM_compressed && v >= 0 && v <= 9 && !size_only)
        o->level = (int)v;
    else
        return false;
    return true;
}

/* `local` asks for an encoding that this node alone must understand: the ordinary one will do. */
static bool encode_options(struct encode_options *o, term opts, bool size_only)
{
    *o = (struct encode_options){ .minor = ETF_MINOR_DEFAULT };
    for (; is_cons(opts); opts = cdr(opts)) {
        term t = car(opts);

        if (t == ATOM_compressed && !size_only)
            o->level = ETF_COMPRESS_DEFAULT;
        else if (t == ATOM_deterministic)
            o->flags |= ETF_DETERMINISTIC;
        else if (t == ATOM_local)
            continue;
        else if (!is_tuple_n(t, 2) ||
                 !encode_pair(o, tuple_elem(t, 0), tuple_elem(t, 1), size_only))
            return false;
    }
    return is_nil(opts);
}

static term encode(struct process *p, term t, term opts)
{
    struct encode_options o;
    struct buf b = { 0 };
    term result;
    int rc;

    if (!encode_options(&o, opts, false))
        return bif_badarg(p);
    if (o.level != 0)
        rc = etf_encode_compressed(&b, t, o.flags, o.minor, o.level);
    else
        rc = etf_encode(&b, t, o.flags, o.minor);
    charge(p, (int64_t)(b.len / BYTES_PER_REDUCTION));
    result = rc < 0 ? bif_error(p, ATOM_system_limit) : heap_binary(&p->heap, b.data, b.len);
    buf_fini(&b);
    return result;
}

term bif_term_to_binary_1(struct process *p, const term *a)
{
    return encode(p, a[0], TERM_NIL);
}

term bif_term_to_binary_2(struct process *p, const term *a)
{
    return encode(p, a[0], a[1]);
}

/* How the bytes are cut is the implementation's choice: all in one. */
static term encode_iovec(struct process *p, term t, term opts)
{
    term binary = encode(p, t, opts);

    return binary == TERM_NONE ? TERM_NONE : heap_cons(&p->heap, binary, TERM_NIL);
}

term bif_term_to_iovec_1(struct process *p, const term *a)
{
    return encode_iovec(p, a[0], TERM_NIL);
}

term bif_term_to_iovec_2(struct process *p, const term *a)
{
    return encode_iovec(p, a[0], a[1]);
}

static term decode(struct process *p, term binary, term opts)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len, used_bytes;
    struct reader r;
    unsigned flags = 0;
    bool used = false;
    term t;

    for (; is_cons(opts); opts = cdr(opts)) {
        if (car(opts) == ATOM_safe)
            flags |= ETF_SAFE;
        else if (car(opts) == ATOM_used)
            used = true;
        else
            return bif_badarg(p);
    }
    if (!is_nil(opts) || !binary_bytes(binary, &bytes, &len, &scratch))
        return bif_badarg(p);
    r = reader_make(bytes, len);
    t = etf_decode(&p->heap, &r, flags);
    used_bytes = len - reader_left(&r);
    mem_free(scratch);
    charge(p, (int64_t)(used_bytes / BYTES_PER_REDUCTION));
    if (t == TERM_NONE)
        return bif_badarg(p);
    return used ? heap_tuple2(&p->heap, t, heap_uint(&p->heap, used_bytes)) : t;
}

term bif_binary_to_term_1(struct process *p, const term *a)
{
    return decode(p, a[0], TERM_NIL);
}

term bif_binary_to_term_2(struct process *p, const term *a)
{
    return decode(p, a[0], a[1]);
}

static term external_size(struct process *p, term t, term opts)
{
    struct encode_options o;
    size_t size;

    if (!encode_options(&o, opts, true))
        return bif_badarg(p);
    size = etf_size(t, o.flags, o.minor);
    charge(p, (int64_t)(size / BYTES_PER_REDUCTION));
    return heap_uint(&p->heap, size);
}

term bif_external_size_1(struct process *p, const term *a)
{
    return external_size(p, a[0], TERM_NIL);
}

term bif_external_size_2(struct process *p, const term *a)
{
    return external_size(p, a[0], a[1]);
}
