/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c - walking the external term format
 *
 * A stack holds, for each open term, how many elements are still to come. Every element needs a
 * byte, so a count beyond the bytes left is refused at once and the counts never overflow.
 */
#include "wire/scan.h"

#include "base/errors.h"

enum {
    NEW_FLOAT = 70, BIT_BINARY = 77, ATOM_CACHE_REF = 82, NEW_PID = 88, NEW_PORT = 89,
    NEWER_REFERENCE = 90, SMALL_INTEGER = 97, INTEGER = 98, ATOM = 100, PORT = 102, PID = 103,
    SMALL_TUPLE = 104, LARGE_TUPLE = 105, NIL = 106, STRING = 107, LIST = 108, BINARY = 109,
    SMALL_BIG = 110, LARGE_BIG = 111, NEW_FUN = 112, EXPORT = 113, NEW_REFERENCE = 114,
    SMALL_ATOM = 115, MAP = 116, ATOM_UTF8 = 118, SMALL_ATOM_UTF8 = 119, V4_PORT = 120,
};

struct scan {
    struct reader r;
    unsigned n_atoms;
    scan_atom_fn *atom;
    void *arg;
    int rc;
    unsigned depth;
    uint64_t left[SCAN_DEPTH_MAX];          /* elements to come of each open term */
};

static void fail(struct scan *s, int rc)
{
    if (s->rc == 0)
        s->rc = rc;
}

/* n elements follow. */
static void open_term(struct scan *s, uint64_t n)
{
    if (n > reader_left(&s->r))
        fail(s, -ERR_PROTOCOL);
    else if (s->depth == SCAN_DEPTH_MAX)
        fail(s, -ERR_LIMIT);
    else
        s->left[s->depth++] = n;
}

static void atom_text(struct scan *s, size_t len, bool utf8)
{
    const uint8_t *p = reader_take(&s->r, len);

    if (p == NULL || len > (utf8 ? 1020 : 255))
        fail(s, -ERR_PROTOCOL);
    else if (s->atom != NULL && !s->atom(s->arg, p, len, utf8))
        fail(s, -ERR_LIMIT);
}

static void atom(struct scan *s)
{
    switch (reader_u8(&s->r)) {
    case ATOM_CACHE_REF:
        if (reader_u8(&s->r) >= s->n_atoms)
            fail(s, -ERR_PROTOCOL);
        break;
    case ATOM:            atom_text(s, reader_u16(&s->r), false); break;
    case SMALL_ATOM:      atom_text(s, reader_u8(&s->r), false); break;
    case ATOM_UTF8:       atom_text(s, reader_u16(&s->r), true); break;
    case SMALL_ATOM_UTF8: atom_text(s, reader_u8(&s->r), true); break;
    default:              fail(s, -ERR_PROTOCOL);
    }
}

static void integer(struct scan *s)
{
    switch (reader_u8(&s->r)) {
    case SMALL_INTEGER: reader_take(&s->r, 1); break;
    case INTEGER:       reader_take(&s->r, 4); break;
    default:            fail(s, -ERR_PROTOCOL);
    }
}

/* NEW_FUN: size, arity, md5, index, count of free variables, module, two integers, pid, variables.
 * Its size counts itself; it must end where the term ends, which the builder checks. */
static void new_fun(struct scan *s)
{
    uint64_t vars;

    reader_take(&s->r, 4 + 1 + 16 + 4);
    vars = reader_u32(&s->r);
    atom(s);
    integer(s);
    integer(s);
    open_term(s, vars + 1);                 /* the pid and the free variables */
}

static void reference(struct scan *s, size_t creation_bytes)
{
    size_t words = reader_u16(&s->r);

    atom(s);
    if (words == 0 || words > 5)
        fail(s, -ERR_PROTOCOL);
    reader_take(&s->r, creation_bytes + 4 * words);
}

static void one(struct scan *s)
{
    struct reader *r = &s->r;
    uint64_t n;

    switch (reader_u8(r)) {
    case SMALL_INTEGER: reader_take(r, 1); break;
    case INTEGER:       reader_take(r, 4); break;
    case NEW_FLOAT:     reader_take(r, 8); break;
    case NIL:           break;
    case ATOM_CACHE_REF: case ATOM: case SMALL_ATOM: case ATOM_UTF8: case SMALL_ATOM_UTF8:
        r->at--;
        atom(s);
        break;
    case STRING:      reader_take(r, reader_u16(r)); break;
    case BINARY:      reader_take(r, reader_u32(r)); break;
    case BIT_BINARY:
        n = reader_u32(r);
        if ((uint8_t)(reader_u8(r) - 1) > 7 || n == 0)
            fail(s, -ERR_PROTOCOL);
        reader_take(r, n);
        break;
    case SMALL_BIG:   reader_take(r, 1 + (size_t)reader_u8(r)); break;
    case LARGE_BIG:   reader_take(r, 1 + (size_t)reader_u32(r)); break;
    case SMALL_TUPLE: open_term(s, reader_u8(r)); break;
    case LARGE_TUPLE: open_term(s, reader_u32(r)); break;
    case LIST:        open_term(s, (uint64_t)reader_u32(r) + 1); break;
    case MAP:         open_term(s, 2 * (uint64_t)reader_u32(r)); break;
    case NEW_PID:     atom(s); reader_take(r, 12); break;
    case PID:         atom(s); reader_take(r, 9); break;
    case NEW_PORT:    atom(s); reader_take(r, 8); break;
    case V4_PORT:     atom(s); reader_take(r, 12); break;
    case PORT:        atom(s); reader_take(r, 5); break;
    case NEWER_REFERENCE: reference(s, 4); break;
    case NEW_REFERENCE:   reference(s, 1); break;
    case EXPORT:      atom(s); atom(s); open_term(s, 1); break;
    case NEW_FUN:     new_fun(s); break;
    default:          fail(s, -ERR_PROTOCOL);
    }
}

int term_scan(const uint8_t *data, size_t len, unsigned n_atoms, bool whole, scan_atom_fn *fn,
              void *arg, size_t *ret_len)
{
    struct scan s;

    s.r = reader_make(data, len);
    s.n_atoms = n_atoms;
    s.atom = fn;
    s.arg = arg;
    s.rc = 0;
    s.depth = 0;
    do {
        if (s.depth > 0)
            s.left[s.depth - 1]--;
        one(&s);
        while (s.depth > 0 && s.left[s.depth - 1] == 0)
            s.depth--;
    } while (s.depth > 0 && s.rc == 0 && !s.r.bad);
    if (s.rc == 0 && (s.r.bad || (whole && s.r.at != s.r.end)))
        s.rc = -ERR_PROTOCOL;
    if (s.rc == 0 && ret_len != NULL)
        *ret_len = (size_t)(s.r.at - data);
    return s.rc;
}
