/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c - text arguments of built-ins as C strings, and time units
 */
#include "bif/text.h"
#include "base/alloc.h"
#include "heap/blob.h"
#include "term/atom.h"

void text_put(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(out, (uint8_t)(0xC0 | c >> 6));
        buf_u8(out, (uint8_t)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_u8(out, (uint8_t)(0xE0 | c >> 12));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 63)));
        buf_u8(out, (uint8_t)(0x80 | (c & 63)));
    } else {
        buf_u8(out, (uint8_t)(0xF0 | c >> 18));
        buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 63)));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 63)));
        buf_u8(out, (uint8_t)(0x80 | (c & 63)));
    }
}

/* One leaf of chardata. */
static bool leaf_append(struct buf *out, term t)
{
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t len;

    if (is_small(t)) {
        int64_t c = small_val(t);

        if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return false;
        text_put(out, (uint32_t)c);
        return true;
    }
    if (!is_bitstring(t) || !binary_bytes(t, &bytes, &len, &scratch))
        return false;
    buf_add(out, bytes, len);
    mem_free(scratch);
    return true;
}

/* The tails still to be walked are kept on a stack that grows: nesting may be deep. */
bool text_append(struct buf *out, term t)
{
    struct buf tails = { 0 };
    bool good = true;

    for (;;) {
        while (is_cons(t)) {
            term tail = cdr(t);

            if (!is_nil(tail))
                buf_add(&tails, &tail, sizeof tail);
            t = car(t);
        }
        good = is_nil(t) || leaf_append(out, t);
        if (!good || tails.len == 0)
            break;
        tails.len -= sizeof t;
        memcpy(&t, tails.data + tails.len, sizeof t);
        /* an improper list may end in a binary, not in a character */
        if (is_small(t)) {
            good = false;
            break;
        }
    }
    buf_fini(&tails);
    return good;
}

bool text_path(struct buf *out, term t)
{
    size_t start = out->len, len;

    if (is_atom(t)) {
        const char *text = atom_text(t, &len);

        buf_add(out, text, len);
    } else if (is_small(t) || !text_append(out, t)) {
        return false;
    }
    return out->len == start || memchr(out->data + start, 0, out->len - start) == NULL;
}

/* --- time units ------------------------------------------------------------------------------- */

uint64_t time_unit_parts(term t)
{
    static const struct { term atom; uint64_t parts; } units[] = {
        { ATOM_second, 1 }, { ATOM_millisecond, 1000 }, { ATOM_microsecond, 1000000 },
        { ATOM_nanosecond, 1000000000 }, { ATOM_native, 1000000000 },
        { ATOM_perf_counter, 1000000000 }, { ATOM_seconds, 1 }, { ATOM_milli_seconds, 1000 },
        { ATOM_micro_seconds, 1000000 }, { ATOM_nano_seconds, 1000000000 },
    };

    if (is_small(t))
        return small_val(t) > 0 ? (uint64_t)small_val(t) : 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].atom == t)
            return units[i].parts;
    return 0;
}

int64_t time_in_parts(int64_t ns, uint64_t parts)
{
    __int128 v = (__int128)ns * (__int128)parts;
    __int128 q = v / 1000000000;

    return (int64_t)(v < 0 && q * 1000000000 != v ? q - 1 : q);
}
