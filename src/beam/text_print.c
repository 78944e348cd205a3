/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_print.c - external terms as text, the inverse of text_term
 */
#include "beam/text_print.h"

#include "base/errors.h"
#include "beam/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EXT_NEW_FLOAT = 70, EXT_BIT_BINARY = 77, EXT_SMALL_INT = 97, EXT_INT = 98, EXT_FLOAT = 99,
    EXT_OLD_ATOM = 100, EXT_SMALL_TUPLE = 104, EXT_TUPLE = 105, EXT_NIL = 106, EXT_STRING = 107,
    EXT_LIST = 108, EXT_BINARY = 109, EXT_SMALL_BIG = 110, EXT_BIG = 111, EXT_EXPORT = 113,
    EXT_OLD_SMALL_ATOM = 115, EXT_MAP = 116, EXT_ATOM = 118, EXT_SMALL_ATOM = 119,
};
#define FLOAT_TEXT_BYTES 31

static int print_term(struct buf *out, struct reader *r, unsigned depth);

/* --- atoms and strings --------------------------------------------------------------------- */

static bool is_digits(const uint8_t *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return len > 0;
}

static bool is_plain(const uint8_t *s, size_t len)
{
    static const char *const taken[] = { "fun", "none", "room", "safe", "unsafe" };

    if (len == 0 || s[0] < 'a' || s[0] > 'z')
        return false;
    for (size_t i = 1; i < len; i++) {
        uint8_t c = s[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '@'))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (strlen(taken[i]) == len && memcmp(taken[i], s, len) == 0)
            return false;
    if ((s[0] == 'x' || s[0] == 'y') && is_digits(s + 1, len - 1))
        return false;
    return len < 2 || s[0] != 'f' || s[1] != 'r' || !is_digits(s + 2, len - 2);
}

/* One byte inside quotes; those above 127 as they are when the text is UTF-8. */
static void print_byte(struct buf *out, uint8_t c, char quote, bool utf8)
{
    if (c == (uint8_t)quote || c == '\\')
        buf_printf(out, "\\%c", c);
    else if (c < 32 || c == 127 || (c > 127 && !utf8))
        buf_printf(out, "\\x{%X}", c);
    else
        buf_u8(out, c);
}

void text_print_atom(struct buf *out, const uint8_t *utf8, size_t len)
{
    if (is_plain(utf8, len)) {
        buf_add(out, utf8, len);
        return;
    }
    buf_u8(out, '\'');
    for (size_t i = 0; i < len; i++)
        print_byte(out, utf8[i], '\'', true);
    buf_u8(out, '\'');
}

void text_print_string(struct buf *out, const uint8_t *bytes, size_t len)
{
    buf_u8(out, '"');
    for (size_t i = 0; i < len; i++)
        print_byte(out, bytes[i], '"', false);
    buf_u8(out, '"');
}

static int print_atom(struct buf *out, struct reader *r, size_t len, bool latin1)
{
    const uint8_t *s = reader_take(r, len);
    struct buf utf8 = { 0 };

    if (s == NULL)
        return -ERR_FORMAT;
    for (size_t i = 0; latin1 && i < len; i++) {
        if (s[i] >= 0x80)
            buf_u8(&utf8, (uint8_t)(0xc0 | s[i] >> 6));
        buf_u8(&utf8, s[i] < 0x80 ? s[i] : (uint8_t)(0x80 | (s[i] & 0x3f)));
    }
    text_print_atom(out, latin1 ? utf8.data : s, latin1 ? utf8.len : len);
    buf_fini(&utf8);
    return 0;
}

/* --- numbers -------------------------------------------------------------------------------- */

/* Magnitude, most significant byte first. Hexadecimal: exact without arithmetic. */
static void print_magnitude(struct buf *out, const uint8_t *bytes, size_t len, bool negative)
{
    while (len > 1 && bytes[0] == 0) {
        bytes++;
        len--;
    }
    buf_str(out, negative ? "-16#" : "16#");
    for (size_t i = 0; i < len; i++)
        buf_printf(out, i == 0 ? "%X" : "%02X", bytes[i]);
    if (len == 0)
        buf_str(out, "0");
}

void text_print_big(struct buf *out, const uint8_t *bytes, size_t len)
{
    bool negative = len > 0 && bytes[0] >= 0x80;
    struct buf mag = { 0 };
    unsigned carry = 1;

    buf_add(&mag, bytes, len);
    for (size_t i = len; negative && i > 0; i--) {
        carry += (uint8_t)~bytes[i - 1];
        mag.data[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
    print_magnitude(out, mag.data, len, negative);
    buf_fini(&mag);
}

static int print_ext_big(struct buf *out, struct reader *r, size_t len)
{
    bool negative = reader_u8(r) != 0;
    const uint8_t *low_first = reader_take(r, len);
    struct buf mag = { 0 };

    if (low_first == NULL || len > TEXT_DIGITS_MAX / 2)
        return -ERR_FORMAT;
    for (size_t i = len; i > 0; i--)
        buf_u8(&mag, low_first[i - 1]);
    print_magnitude(out, mag.data, len, negative);
    buf_fini(&mag);
    return 0;
}

/* Seventeen digits tell every double; a point, which the scanner wants, before any exponent. */
static int print_double(struct buf *out, double v)
{
    char text[40], *e;

    if (!isfinite(v))
        return -ERR_FORMAT;
    snprintf(text, sizeof text, "%.17g", v);
    e = strchr(text, 'e');
    if (strchr(text, '.') != NULL)
        buf_str(out, text);
    else if (e == NULL)
        buf_printf(out, "%s.0", text);
    else
        buf_printf(out, "%.*s.0%s", (int)(e - text), text, e);
    return 0;
}

static int print_float(struct buf *out, struct reader *r)
{
    uint64_t bits = reader_u64(r);
    double v;

    memcpy(&v, &bits, sizeof v);
    return print_double(out, v);
}

static int print_old_float(struct buf *out, struct reader *r)
{
    const uint8_t *s = reader_take(r, FLOAT_TEXT_BYTES);
    char text[FLOAT_TEXT_BYTES + 1] = { 0 };

    if (s == NULL)
        return -ERR_FORMAT;
    memcpy(text, s, FLOAT_TEXT_BYTES);
    return print_double(out, strtod(text, NULL));
}

/* --- what has parts -------------------------------------------------------------------------- */

static int print_parts(struct buf *out, struct reader *r, uint32_t n, unsigned depth)
{
    int rc = 0;

    if (n > reader_left(r))
        return -ERR_FORMAT;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        buf_str(out, i > 0 ? ", " : "");
        rc = print_term(out, r, depth);
    }
    return rc;
}

static int print_tuple(struct buf *out, struct reader *r, uint32_t n, unsigned depth)
{
    int rc;

    buf_u8(out, '{');
    rc = print_parts(out, r, n, depth);
    buf_u8(out, '}');
    return rc;
}

static int print_list(struct buf *out, struct reader *r, uint32_t n, unsigned depth)
{
    int rc;

    buf_u8(out, '[');
    rc = print_parts(out, r, n, depth);
    if (rc == 0 && reader_left(r) > 0 && *r->at == EXT_NIL) {
        r->at++;
    } else if (rc == 0) {
        buf_str(out, " | ");
        rc = print_term(out, r, depth);
    }
    buf_u8(out, ']');
    return rc;
}

static int print_map(struct buf *out, struct reader *r, uint32_t n, unsigned depth)
{
    int rc = 0;

    if (n > reader_left(r))
        return -ERR_FORMAT;
    buf_str(out, "#{");
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        buf_str(out, i > 0 ? ", " : "");
        rc = print_term(out, r, depth);
        buf_str(out, " => ");
        if (rc == 0)
            rc = print_term(out, r, depth);
    }
    buf_u8(out, '}');
    return rc;
}

/* A list of bytes: as a string, or as numbers when it does not read like text. */
static int print_byte_list(struct buf *out, struct reader *r, uint16_t n)
{
    const uint8_t *s = reader_take(r, n);
    bool text = n > 0;

    if (s == NULL)
        return -ERR_FORMAT;
    for (size_t i = 0; i < n; i++)
        text &= (s[i] >= 32 && s[i] < 127) || s[i] == '\n' || s[i] == '\t';
    if (text) {
        text_print_string(out, s, n);
        return 0;
    }
    buf_u8(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%u", i > 0 ? ", " : "", s[i]);
    buf_u8(out, ']');
    return 0;
}

/* last_bits: of the last byte, which is written as Value:Size when it is no whole one. */
static int print_binary(struct buf *out, struct reader *r, uint32_t n, unsigned last_bits)
{
    const uint8_t *s = reader_take(r, n);
    size_t whole = last_bits == 8 || n == 0 ? n : n - 1;

    if (s == NULL || last_bits < 1 || last_bits > 8)
        return -ERR_FORMAT;
    buf_str(out, "<<");
    if (whole > 0)
        text_print_string(out, s, whole);
    if (whole < n)
        buf_printf(out, "%s%u:%u", whole > 0 ? ", " : "", s[whole] >> (8 - last_bits), last_bits);
    buf_str(out, ">>");
    return 0;
}

static int print_export(struct buf *out, struct reader *r)
{
    int rc;

    buf_str(out, "fun ");
    rc = print_term(out, r, TEXT_DEPTH_MAX);
    buf_u8(out, ':');
    if (rc == 0)
        rc = print_term(out, r, TEXT_DEPTH_MAX);
    buf_u8(out, '/');
    return rc < 0 ? rc : print_term(out, r, TEXT_DEPTH_MAX);
}

static int print_term(struct buf *out, struct reader *r, unsigned depth)
{
    uint8_t tag = reader_u8(r);
    uint32_t n;
    int rc = 0;

    if (depth > TEXT_DEPTH_MAX)
        return -ERR_FORMAT;
    switch (tag) {
    case EXT_SMALL_INT:   buf_printf(out, "%u", reader_u8(r)); break;
    case EXT_INT:         buf_printf(out, "%" PRId32, (int32_t)reader_u32(r)); break;
    case EXT_SMALL_BIG:   rc = print_ext_big(out, r, reader_u8(r)); break;
    case EXT_BIG:         rc = print_ext_big(out, r, reader_u32(r)); break;
    case EXT_NEW_FLOAT:   rc = print_float(out, r); break;
    case EXT_FLOAT:       rc = print_old_float(out, r); break;
    case EXT_SMALL_ATOM:  rc = print_atom(out, r, reader_u8(r), false); break;
    case EXT_ATOM:        rc = print_atom(out, r, reader_u16(r), false); break;
    case EXT_OLD_SMALL_ATOM: rc = print_atom(out, r, reader_u8(r), true); break;
    case EXT_OLD_ATOM:    rc = print_atom(out, r, reader_u16(r), true); break;
    case EXT_NIL:         buf_str(out, "[]"); break;
    case EXT_STRING:      rc = print_byte_list(out, r, reader_u16(r)); break;
    case EXT_LIST:        rc = print_list(out, r, reader_u32(r), depth + 1); break;
    case EXT_SMALL_TUPLE: rc = print_tuple(out, r, reader_u8(r), depth + 1); break;
    case EXT_TUPLE:       rc = print_tuple(out, r, reader_u32(r), depth + 1); break;
    case EXT_MAP:         rc = print_map(out, r, reader_u32(r), depth + 1); break;
    case EXT_BINARY:      n = reader_u32(r); rc = print_binary(out, r, n, 8); break;
    case EXT_BIT_BINARY:  n = reader_u32(r); rc = print_binary(out, r, n, reader_u8(r)); break;
    case EXT_EXPORT:      rc = print_export(out, r); break;
    default:              rc = -ERR_FORMAT; break;
    }
    return r->bad ? -ERR_FORMAT : rc;
}

int text_print_term(struct buf *out, struct reader *r)
{
    return print_term(out, r, 0);
}
