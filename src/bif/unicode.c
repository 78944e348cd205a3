/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unicode.c - chardata to UTF-8 binaries and to lists of code points
 *
 * The input is checked whole for its shape first (badarg), then converted. What cannot be converted
 * ends the work with {error, Done, Rest}; bytes at the very end that are the start of a character
 * give {incomplete, Done, Bytes}. Rest has the nesting of the input: what is left at the place of
 * the error, inside what is left at each level above. A character may be cut into several binaries:
 * its first bytes wait as `cut`. Encodings other than latin1 and UTF-8 are done by the Erlang part
 * of the module.
 */
#include "bif/bif.h"

#include "base/bytes.h"
#include "base/fiber.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "term/stack.h"
#include "vm/code.h"

#define BYTES_PER_REDUCTION 32

struct conversion {
    struct heap *h;
    struct term_stack above;    /* tails of the levels above */
    struct buf out;             /* UTF-8, or uint32_t code points */
    bool latin1;                /* of the input */
    bool to_list;
    uint8_t cut[4];             /* first bytes of a character whose others have not come yet */
    unsigned ncut;
    term rest;                  /* what could not be converted, or TERM_NONE */
};

/* --- UTF-8 ---------------------------------------------------------------------------------- */

/* Bytes of a character that begins with this one; 0: none does. */
static unsigned sequence_length(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC0)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
}

static bool is_scalar(int64_t c)
{
    return c >= 0 && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
}

/* A complete sequence of n bytes, n as sequence_length says. False: not a character. */
static bool sequence_decode(const uint8_t *s, unsigned n, uint32_t *ret)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7Fu >> n);

    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return false;
        c = c << 6 | (s[i] & 0x3F);
    }
    *ret = c;
    return c >= least[n] && is_scalar(c);
}

/* Could these n bytes, fewer than a character has, be its start? Only the form counts. */
static bool is_sequence_start(const uint8_t *s, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return false;
    }
    return true;
}

/* --- output --------------------------------------------------------------------------------- */

static void emit(struct conversion *c, uint32_t code_point)
{
    if (c->to_list)
        buf_add(&c->out, &code_point, sizeof code_point);
    else
        text_put(&c->out, code_point);
}

/* Bytes that are whole UTF-8 characters already. */
static void emit_utf8(struct conversion *c, const uint8_t *s, size_t len)
{
    size_t n;
    uint32_t cp;

    if (!c->to_list) {
        if (len > 0)
            fiber_copy(buf_room(&c->out, len), s, len);
        return;
    }
    for (const uint8_t *end = s + len; s < end; s += n) {
        if (UNLIKELY(((uintptr_t)s & 255) < 4))
            fiber_tick(64);
        n = sequence_length(*s);
        sequence_decode(s, (unsigned)n, &cp);
        buf_add(&c->out, &cp, sizeof cp);
    }
}

static term output(struct conversion *c)
{
    const uint32_t *cp = (const uint32_t *)(const void *)c->out.data;
    size_t n = c->out.len / sizeof *cp;
    term *at, list = TERM_NIL;

    if (!c->to_list)
        return heap_binary(c->h, c->out.data, c->out.len);
    at = heap_alloc(c->h, CONS_WORDS * n);
    for (size_t i = 0; i < n; i = (size_t)fiber_step((int64_t)i))
        list = cons_make(&at, small_make(cp[n - 1 - i]), list);
    return list;
}

/* --- what is left --------------------------------------------------------------------------- */

/* x as the rest of this level, within the rests of the levels above. */
static term nested_rest(struct conversion *c, term x)
{
    while (c->above.len > 0)
        x = heap_cons(c->h, x, stack_pop(&c->above));
    return x;
}

static void fail(struct conversion *c, term x)
{
    c->rest = nested_rest(c, x);
}

/* The rest begins with the bytes that were cut off: [Bytes, Rest]. */
static void fail_after_cut(struct conversion *c, term x)
{
    term rest = nested_rest(c, x);

    c->rest = heap_cons(c->h, heap_binary(c->h, c->cut, c->ncut),
                        heap_cons(c->h, rest, TERM_NIL));
}

/* The cut bytes, which reach to the end of a binary, are no character; x comes after it at this
 * level. */
static void fail_in_cut(struct conversion *c, term x)
{
    for (;;) {
        if (is_cons(x) && is_nil(car(x)))
            x = cdr(x);
        else if (is_nil(x) && c->above.len > 0)
            x = stack_pop(&c->above);
        else
            break;
    }
    if (is_nil(x))
        c->rest = heap_binary(c->h, c->cut, c->ncut);
    else
        fail_after_cut(c, x);
}

/* --- input ---------------------------------------------------------------------------------- */

size_t text_utf8_prefix(const uint8_t *s, size_t len)
{
    size_t at = 0, next_tick = FIBER_CHUNK_BYTES;

    while (at < len) {
        unsigned n;
        uint32_t cp;

        if (UNLIKELY(at >= next_tick)) {
            fiber_tick_bytes(FIBER_CHUNK_BYTES);
            next_tick += FIBER_CHUNK_BYTES;
        }

        if (s[at] < 0x80) {
            at++;
            continue;
        }
        n = sequence_length(s[at]);
        if (n == 0 || n > len - at || !sequence_decode(s + at, n, &cp))
            break;
        at += n;
    }
    return at;
}

/* More bytes for the character that was cut; after: the input behind this binary at its level;
 * here: from this binary on. Returns how many bytes were used; c->rest is set on failure. */
static size_t complete_cut(struct conversion *c, const uint8_t *s, size_t len, term here,
                           term after)
{
    unsigned whole = sequence_length(c->cut[0]), need = whole - c->ncut;
    uint8_t sequence[4];
    uint32_t cp;

    if (len < need) {
        memcpy(c->cut + c->ncut, s, len);
        c->ncut += (unsigned)len;
        if (!is_sequence_start(c->cut, c->ncut))
            fail_in_cut(c, after);
        return len;
    }
    memcpy(sequence, c->cut, c->ncut);
    memcpy(sequence + c->ncut, s, need);
    if (!sequence_decode(sequence, whole, &cp)) {
        fail_after_cut(c, here);
        return 0;
    }
    emit(c, cp);
    c->ncut = 0;
    return need;
}

/* The binary bin, which is car(here), or here itself when it is the end of a list. */
static void take_utf8(struct conversion *c, term bin, term here, const uint8_t *s, size_t len)
{
    term after = is_cons(here) ? cdr(here) : TERM_NIL;
    size_t at = 0, good;

    if (c->ncut > 0) {
        at = complete_cut(c, s, len, here, after);
        if (c->rest != TERM_NONE || c->ncut > 0)
            return;
    }
    good = text_utf8_prefix(s + at, len - at);
    emit_utf8(c, s + at, good);
    at += good;
    if (at == len)
        return;
    if (len - at < sequence_length(s[at])) {
        c->ncut = (unsigned)(len - at);
        memcpy(c->cut, s + at, c->ncut);
        if (!is_sequence_start(c->cut, c->ncut))
            fail_in_cut(c, after);
        return;
    }
    bin = bitstring_sub(c->h, bin, 8 * (uint64_t)at, 8 * (uint64_t)(len - at));
    fail(c, is_cons(here) ? heap_cons(c->h, bin, after) : bin);
}

static void take_binary(struct conversion *c, term bin, term here)
{
    const uint8_t *s;
    uint8_t *scratch;
    size_t len;
    bool ok = binary_bytes(bin, &s, &len, &scratch);

    ASSERT(ok);
    if (len > 0 && c->latin1) {
        for (size_t i = 0; i < len; i = (size_t)fiber_step((int64_t)i))
            emit(c, s[i]);
    } else if (len > 0) {
        take_utf8(c, bin, here, s, len);
    }
    mem_free(scratch);
}

static void take_integer(struct conversion *c, term n, term here)
{
    if (c->ncut > 0)
        fail_after_cut(c, here);
    else if (!is_small(n) || !is_scalar(small_val(n)) || (c->latin1 && small_val(n) > 255))
        fail(c, here);
    else
        emit(c, (uint32_t)small_val(n));
}

/* Convert t, whose shape has been checked, until the end or until c->rest is set. */
static void convert(struct conversion *c, term t)
{
    for (int64_t n = 0; c->rest == TERM_NONE; n = fiber_step(n)) {
        if (is_cons(t)) {
            term head = car(t), here = t;

            t = cdr(t);
            if (is_integer(head)) {
                take_integer(c, head, here);
            } else if (is_bitstring(head)) {
                take_binary(c, head, here);
            } else {
                stack_push(&c->above, t);
                t = head;
            }
        } else {
            if (!is_nil(t))
                take_binary(c, t, t);
            if (c->rest != TERM_NONE || c->above.len == 0)
                return;
            t = stack_pop(&c->above);
        }
    }
}

/* Only integers, binaries and lists of such, ending in a list or binary? */
static bool is_chardata(term t)
{
    struct term_stack st;
    int64_t n = 0;
    bool ok = true;

    stack_init(&st);
    stack_push(&st, t);
    while (ok && st.len > 0) {
        t = stack_pop(&st);
        for (; is_cons(t); t = cdr(t), n = fiber_step(n)) {
            term head = car(t);

            if (is_list(head))
                stack_push(&st, head);
            else if (!is_integer(head) && !is_binary(head))
                ok = false;
        }
        ok = ok && (is_nil(t) || is_binary(t));
    }
    stack_fini(&st);
    return ok;
}

static term conversion_result(struct conversion *c)
{
    if (c->rest != TERM_NONE)
        return heap_tuple3(c->h, ATOM_error, output(c), c->rest);
    if (c->ncut > 0)
        return heap_tuple3(c->h, ATOM_incomplete, output(c), heap_binary(c->h, c->cut, c->ncut));
    return output(c);
}

static term convert_chardata(struct process *p, term t, bool latin1, bool to_list)
{
    struct conversion c = { .h = &p->heap, .latin1 = latin1, .to_list = to_list,
                            .rest = TERM_NONE };

    if (!is_chardata(t))
        return bif_badarg(p);
    stack_init(&c.above);
    convert(&c, t);
    t = conversion_result(&c);
    charge(p, (int64_t)(c.out.len / BYTES_PER_REDUCTION));
    stack_fini(&c.above);
    buf_fini(&c.out);
    return t;
}

/* t is all UTF-8 already and its own result. */
static bool is_utf8_binary(struct process *p, term t)
{
    struct bits b;

    if (!is_binary(t))
        return false;
    b = bits_of(t);
    charge(p, (int64_t)(b.bits / 8 / BYTES_PER_REDUCTION / 8));
    return b.bit_offset == 0 && text_utf8_prefix(b.base, b.bits / 8) == b.bits / 8;
}

/* Latin1, UTF-8, or the Erlang function of that name for the rest. */
static term characters(struct process *p, const term *a, bool to_list, const char *other)
{
    term t = a[0], copy[2] = { a[0], a[1] };

    if (a[1] == ATOM_latin1)
        return convert_chardata(p, t, true, to_list);
    if (a[1] != ATOM_unicode && a[1] != ATOM_utf8)
        return bif_trap(p, export_get(ATOM_unicode, atom_from_cstr(other), 2), 2, copy);
    if (!to_list) {
        if (is_cons(t) && is_nil(cdr(t)) && is_binary(car(t)))
            t = car(t);     /* OTP looks through such a list: {error, _, Rest} is without it */
        if (is_utf8_binary(p, t))
            return t;
    }
    return convert_chardata(p, t, false, to_list);
}

term bif_unicode_characters_to_binary(struct process *p, const term *a)
{
    return characters(p, a, false, "characters_to_binary_int");
}

term bif_unicode_characters_to_list(struct process *p, const term *a)
{
    return characters(p, a, true, "characters_to_list_int");
}

term bif_unicode_bin_is_7bit(struct process *p, const term *a)
{
    struct bits b;
    uint64_t any = 0;

    if (!is_binary(a[0]))
        return ATOM_false;
    b = bits_of(a[0]);
    for (uint64_t at = 0; at < b.bits; at += 8)
        any |= bits_get(b, at, 8);
    charge(p, (int64_t)(b.bits / 8 / BYTES_PER_REDUCTION));
    return any < 0x80 ? ATOM_true : ATOM_false;
}
