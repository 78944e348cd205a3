/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c - the scanner, and terms from text to external form
 */
#include "beam/text.h"
#include "base/assert.h"
#include "base/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EXT_NEW_FLOAT = 70, EXT_BIT_BINARY = 77, EXT_SMALL_INT = 97, EXT_INT = 98, EXT_SMALL_TUPLE = 104, EXT_TUPLE = 105,
    EXT_NIL = 106, EXT_STRING = 107, EXT_LIST = 108, EXT_BINARY = 109, EXT_SMALL_BIG = 110,
    EXT_BIG = 111, EXT_EXPORT = 113, EXT_MAP = 116, EXT_ATOM = 118, EXT_SMALL_ATOM = 119,
};

/* --- errors ---------------------------------------------------------------------------------- */

int text_fail(struct text *t, const char *fmt, ...)
{
    va_list ap;

    if (t->error != NULL) {
        t->error->line = t->tok.line;
        t->error->col = t->tok.col;
        va_start(ap, fmt);
        vsnprintf(t->error->text, sizeof t->error->text, fmt, ap);
        va_end(ap);
    }
    return -ERR_FORMAT;
}

/* --- characters ------------------------------------------------------------------------------ */

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_lower(int c) { return c >= 'a' && c <= 'z'; }
static bool is_word(int c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '@';
}

/* Byte at offset i from the cursor, or -1. */
static int peek(const struct text *t, size_t i)
{
    return (size_t)(t->end - t->at) > i ? (unsigned char)t->at[i] : -1;
}

static int digit_value(int c)
{
    return is_digit(c) ? c - '0' : is_lower(c) ? c - 'a' + 10
           : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

static void put_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(b, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(b, (uint8_t)(0xc0 | c >> 6));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_u8(b, (uint8_t)(0xe0 | c >> 12));
        buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_u8(b, (uint8_t)(0xf0 | c >> 18));
        buf_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* One UTF-8 character at the cursor; moves past it. */
static int take_utf8(struct text *t, uint32_t *ret)
{
    int c = peek(t, 0);
    unsigned more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2
                    : c >= 0xf0 && c < 0xf5 ? 3 : 9;
    uint32_t v = more == 0 ? (uint32_t)c : (uint32_t)c & (0x3fu >> more);

    if (c < 0 || more == 9)
        return text_fail(t, "the text is not UTF-8");
    for (unsigned i = 1; i <= more; i++) {
        if ((peek(t, i) & 0xc0) != 0x80)
            return text_fail(t, "the text is not UTF-8");
        v = v << 6 | (uint32_t)(peek(t, i) & 0x3f);
    }
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return text_fail(t, "U+%X is no character", v);
    t->at += more + 1;
    *ret = v;
    return 0;
}

static int take_hex(struct text *t, uint32_t *ret)
{
    bool braces = peek(t, 0) == '{';
    unsigned n = 0;
    uint32_t v = 0;

    t->at += braces;
    for (; digit_value(peek(t, 0)) < 16 && n < (braces ? 6 : 2); n++)
        v = v << 4 | (uint32_t)digit_value(*t->at++);
    if (n == 0 || (braces && peek(t, 0) != '}') || v > 0x10ffff)
        return text_fail(t, "a bad \\x escape");
    t->at += braces;
    *ret = v;
    return 0;
}

/* After a backslash. */
static int take_escape(struct text *t, uint32_t *ret)
{
    static const char from[] = "nrtbfvesd0", to[] = "\n\r\t\b\f\v\033 \177\0";
    const char *p;

    if (peek(t, 0) == 'x') {
        t->at++;
        return take_hex(t, ret);
    }
    p = peek(t, 0) > 0 ? strchr(from, peek(t, 0)) : NULL;
    if (p == NULL)
        return take_utf8(t, ret);
    t->at++;
    *ret = (uint32_t)to[p - from];
    return 0;
}

static int take_char(struct text *t, uint32_t *ret)
{
    if (peek(t, 0) != '\\')
        return take_utf8(t, ret);
    t->at++;
    return take_escape(t, ret);
}

/* --- tokens ---------------------------------------------------------------------------------- */

static int scan_quoted(struct text *t, char quote)
{
    t->at++;
    while (peek(t, 0) != quote) {
        uint32_t c;
        int rc;

        if (peek(t, 0) < 0 || peek(t, 0) == '\n')
            return text_fail(t, "the closing %c is missing", quote);
        rc = take_char(t, &c);
        if (rc < 0)
            return rc;
        if (quote == '"')
            buf_be(&t->tok.text, c, 4);
        else
            put_utf8(&t->tok.text, c);
    }
    t->at++;
    t->tok.kind = quote == '"' ? TOK_STRING : TOK_ATOM;
    t->tok.quoted = true;
    return 0;
}

/* text := text * base + digit, on little-endian bytes. */
static void shift_in(struct buf *b, unsigned base, unsigned digit)
{
    unsigned carry = digit;

    for (size_t i = 0; i < b->len; i++) {
        carry += b->data[i] * base;
        b->data[i] = (uint8_t)carry;
        carry >>= 8;
    }
    for (; carry != 0; carry >>= 8)
        buf_u8(b, (uint8_t)carry);
}

static int scan_digits(struct text *t, unsigned base)
{
    unsigned n = 0;

    for (; (unsigned)digit_value(peek(t, 0)) < base || (peek(t, 0) == '_' && n > 0); t->at++) {
        if (*t->at == '_')
            continue;
        if (++n > TEXT_DIGITS_MAX)
            return text_fail(t, "more than %d digits", TEXT_DIGITS_MAX);
        shift_in(&t->tok.text, base, (unsigned)digit_value(*t->at));
    }
    t->tok.kind = TOK_INT;
    return n > 0 ? 0 : text_fail(t, "a digit is missing");
}

static int scan_float(struct text *t, const char *start)
{
    char copy[400], *stop;

    for (t->at++; is_digit(peek(t, 0)); t->at++)
        ;
    if ((peek(t, 0) | 32) == 'e') {
        t->at += peek(t, 1) == '-' || peek(t, 1) == '+' ? 2 : 1;
        while (is_digit(peek(t, 0)))
            t->at++;
    }
    if ((size_t)(t->at - start) >= sizeof copy)
        return text_fail(t, "a float of too many digits");
    memcpy(copy, start, (size_t)(t->at - start));
    copy[t->at - start] = '\0';
    t->tok.real = strtod(copy, &stop);
    t->tok.kind = TOK_FLOAT;
    return *stop == '\0' && t->tok.real <= 1.7976931348623157e308
           ? 0 : text_fail(t, "a bad float");
}

static int scan_number(struct text *t)
{
    const char *start = t->at;
    int rc = scan_digits(t, 10);

    if (rc < 0)
        return rc;
    if (peek(t, 0) == '.' && is_digit(peek(t, 1)))
        return scan_float(t, start);
    if (peek(t, 0) == '#' && digit_value(peek(t, 1)) < 36 && t->tok.text.len == 1
        && t->tok.text.data[0] >= 2 && t->tok.text.data[0] <= 36) {
        unsigned base = t->tok.text.data[0];

        t->tok.text.len = 0;
        t->at++;
        return scan_digits(t, base);
    }
    return 0;
}

static int scan_dollar(struct text *t)
{
    uint32_t c;
    int rc;

    t->at++;
    rc = take_char(t, &c);
    for (; rc == 0 && c != 0; c >>= 8)
        buf_u8(&t->tok.text, (uint8_t)c);
    t->tok.kind = TOK_INT;
    return rc;
}

static int scan_punct(struct text *t)
{
    static const struct { char text[3]; int punct; } pairs[] = {
        { "<<", PUNCT_OPEN_BIN }, { ">>", PUNCT_CLOSE_BIN },
        { "#{", PUNCT_OPEN_MAP }, { "=>", PUNCT_ARROW },
    };

    t->tok.kind = TOK_PUNCT;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (peek(t, 0) == pairs[i].text[0] && peek(t, 1) == pairs[i].text[1]) {
            t->at += 2;
            t->tok.punct = pairs[i].punct;
            return 0;
        }
    }
    t->tok.punct = *t->at++;
    return strchr("@=#[]{}(),:/|-", t->tok.punct) != NULL && t->tok.punct != 0
           ? 0 : text_fail(t, "an unexpected character");
}

static void skip_space(struct text *t)
{
    for (;; t->at++) {
        int c = peek(t, 0);

        if (c == '%') {
            while (peek(t, 1) >= 0 && peek(t, 1) != '\n')
                t->at++;
        } else if (c == '\n' && t->nested > 0) {
            t->line++;
            t->line_start = t->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

int text_next(struct text *t)
{
    int c;

    skip_space(t);
    t->tok.text.len = 0;
    t->tok.quoted = false;
    t->tok.line = t->line;
    t->tok.col = (unsigned)(t->at - t->line_start) + 1;
    c = peek(t, 0);
    if (c < 0) {
        t->tok.kind = TOK_END;
        return 0;
    }
    if (c == '\n') {
        t->at++;
        t->line++;
        t->line_start = t->at;
        t->tok.kind = TOK_NEWLINE;
        return 0;
    }
    if (is_lower(c)) {
        while (is_word(peek(t, 0)))
            buf_u8(&t->tok.text, (uint8_t)*t->at++);
        t->tok.kind = TOK_ATOM;
        return 0;
    }
    if (c == '\'' || c == '"')
        return scan_quoted(t, (char)c);
    if (is_digit(c))
        return scan_number(t);
    return c == '$' ? scan_dollar(t) : scan_punct(t);
}

int text_open(struct text *t, const char *data, size_t len, struct text_error *error)
{
    *t = (struct text){ .at = data, .end = data + len, .line_start = data, .line = 1,
                        .error = error };
    return text_next(t);
}

void text_close(struct text *t)
{
    buf_fini(&t->tok.text);
}

bool text_is_punct(const struct text *t, int punct)
{
    return t->tok.kind == TOK_PUNCT && t->tok.punct == punct;
}

bool text_is_atom(const struct text *t, const char *name)
{
    return t->tok.kind == TOK_ATOM && !t->tok.quoted && t->tok.text.len == strlen(name)
           && memcmp(t->tok.text.data, name, strlen(name)) == 0;
}

int text_expect(struct text *t, int punct)
{
    static const char *const names[] = { "<<", ">>", "#{", "=>" };

    if (text_is_punct(t, punct))
        return text_next(t);
    if (punct >= PUNCT_OPEN_BIN)
        return text_fail(t, "%s was expected here", names[punct - PUNCT_OPEN_BIN]);
    return text_fail(t, "%c was expected here", punct);
}

static bool token_u64(const struct token *tok, uint64_t *ret)
{
    uint64_t v = 0;

    if (tok->kind != TOK_INT || tok->text.len > 8)
        return false;
    for (size_t i = tok->text.len; i > 0; i--)
        v = v << 8 | tok->text.data[i - 1];
    *ret = v;
    return true;
}

int text_count(struct text *t, uint64_t max, uint64_t *ret)
{
    if (t->tok.kind != TOK_INT)
        return text_fail(t, "a number was expected here");
    if (!token_u64(&t->tok, ret) || *ret > max)
        return text_fail(t, "the number is too large");
    return text_next(t);
}

/* --- terms ----------------------------------------------------------------------------------- */

static int term_at(struct text *t, struct buf *out, unsigned depth);

static void put_integer(struct buf *out, const struct token *tok, bool negative)
{
    uint64_t v;

    if (token_u64(tok, &v) && v < 256 && !(negative && v > 0)) {
        buf_u8(out, EXT_SMALL_INT);
        buf_u8(out, (uint8_t)v);
    } else if (token_u64(tok, &v) && v <= 0x7fffffff + (uint64_t)negative) {
        buf_u8(out, EXT_INT);
        buf_be(out, negative ? -v : v, 4);
    } else {
        buf_u8(out, tok->text.len < 256 ? EXT_SMALL_BIG : EXT_BIG);
        buf_be(out, tok->text.len, tok->text.len < 256 ? 1 : 4);
        buf_u8(out, negative);
        buf_add(out, tok->text.data, tok->text.len);
    }
}

static void put_float(struct buf *out, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    buf_u8(out, EXT_NEW_FLOAT);
    buf_be(out, bits, 8);
}

static int put_atom(struct text *t, struct buf *out)
{
    const struct buf *name = &t->tok.text;
    size_t chars = 0;

    for (size_t i = 0; i < name->len; i++)
        chars += (name->data[i] & 0xc0) != 0x80;
    if (chars > 255)
        return text_fail(t, "an atom of more than 255 characters");
    buf_u8(out, name->len < 256 ? EXT_SMALL_ATOM : EXT_ATOM);
    buf_be(out, name->len, name->len < 256 ? 1 : 2);
    buf_add(out, name->data, name->len);
    return 0;
}

static uint32_t point_at(const struct buf *string, size_t i)
{
    const uint8_t *p = string->data + i;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_string(struct buf *out, const struct buf *s)
{
    bool bytes = s->len / 4 <= 0xffff;

    for (size_t i = 0; i < s->len; i += 4)
        bytes &= point_at(s, i) < 256;
    if (s->len == 0) {
        buf_u8(out, EXT_NIL);
        return;
    }
    buf_u8(out, bytes ? EXT_STRING : EXT_LIST);
    buf_be(out, s->len / 4, bytes ? 2 : 4);
    for (size_t i = 0; i < s->len; i += 4) {
        if (!bytes)
            buf_u8(out, EXT_INT);
        buf_be(out, point_at(s, i), bytes ? 1 : 4);
    }
    if (!bytes)
        buf_u8(out, EXT_NIL);
}

static void patch_count(struct buf *out, size_t at, uint32_t n)
{
    for (unsigned i = 0; i < 4; i++)
        out->data[at + i] = (uint8_t)(n >> (24 - 8 * i));
}

static int list_term(struct text *t, struct buf *out, unsigned depth)
{
    size_t start = out->len;
    uint32_t n = 0;
    int rc = text_next(t);

    if (rc == 0 && text_is_punct(t, ']')) {
        buf_u8(out, EXT_NIL);
        return 0;
    }
    buf_u8(out, EXT_LIST);
    buf_be(out, 0, 4);
    for (; rc == 0; n++) {
        rc = term_at(t, out, depth);
        if (rc < 0 || !text_is_punct(t, ','))
            break;
        rc = text_next(t);
    }
    if (rc < 0)
        return rc;
    patch_count(out, start + 1, n + 1);
    if (!text_is_punct(t, '|')) {
        buf_u8(out, EXT_NIL);
        return text_is_punct(t, ']') ? 0 : text_fail(t, "] was expected here");
    }
    rc = text_next(t);
    if (rc == 0)
        rc = term_at(t, out, depth);
    return rc < 0 || text_is_punct(t, ']') ? rc : text_fail(t, "] was expected here");
}

static int tuple_term(struct text *t, struct buf *out, unsigned depth)
{
    size_t start = out->len;
    uint32_t n = 0;
    int rc = text_next(t);

    buf_u8(out, EXT_TUPLE);
    buf_be(out, 0, 4);
    while (rc == 0 && !text_is_punct(t, '}')) {
        rc = n > 0 ? text_expect(t, ',') : 0;
        if (rc == 0)
            rc = term_at(t, out, depth);
        n++;
    }
    if (rc < 0)
        return rc;
    patch_count(out, start + 1, n);
    return 0;
}

static int map_term(struct text *t, struct buf *out, unsigned depth)
{
    size_t start = out->len;
    uint32_t n = 0;
    int rc = text_next(t);

    buf_u8(out, EXT_MAP);
    buf_be(out, 0, 4);
    while (rc == 0 && !text_is_punct(t, '}')) {
        rc = n > 0 ? text_expect(t, ',') : 0;
        if (rc == 0)
            rc = term_at(t, out, depth);
        if (rc == 0)
            rc = text_expect(t, PUNCT_ARROW);
        if (rc == 0)
            rc = term_at(t, out, depth);
        n++;
    }
    if (rc < 0)
        return rc;
    patch_count(out, start + 1, n);
    return 0;
}

/* Value:Size of fewer than eight bits, the value having been read: the last segment. */
static int bits_segment(struct text *t, struct buf *out, uint64_t v, unsigned *ret_bits)
{
    uint64_t bits;
    int rc = text_next(t);

    if (rc == 0)
        rc = text_count(t, 7, &bits);
    if (rc < 0)
        return rc;
    if (bits == 0 || v >> bits != 0)
        return text_fail(t, "a value of 1 to 7 bits was expected here");
    if (!text_is_punct(t, PUNCT_CLOSE_BIN))
        return text_fail(t, "bits that are no whole byte come last");
    buf_u8(out, (uint8_t)(v << (8 - bits)));
    *ret_bits = (unsigned)bits;
    return 0;
}

/* One segment of a binary: an integer of one byte, or a string, with /utf8 or without; or bits. */
static int binary_segment(struct text *t, struct buf *out, unsigned *ret_bits)
{
    struct buf points = { 0 };
    bool utf8 = false;
    uint64_t v;
    int rc = 0;

    if (t->tok.kind == TOK_STRING) {
        buf_add(&points, t->tok.text.data, t->tok.text.len);
        rc = text_next(t);
        if (rc == 0 && text_is_punct(t, '/')) {
            utf8 = true;
            rc = text_next(t);
            if (rc == 0)
                rc = text_is_atom(t, "utf8") ? text_next(t) : text_fail(t, "only /utf8 is known");
        }
    } else {
        rc = text_count(t, 255, &v);
        if (rc == 0 && text_is_punct(t, ':'))
            return bits_segment(t, out, v, ret_bits);
        if (rc == 0)
            buf_be(&points, v, 4);
    }
    for (size_t i = 0; rc == 0 && i < points.len; i += 4) {
        if (utf8)
            put_utf8(out, point_at(&points, i));
        else
            buf_u8(out, (uint8_t)point_at(&points, i));
    }
    buf_fini(&points);
    return rc;
}

static int binary_term(struct text *t, struct buf *out)
{
    size_t start = out->len;
    unsigned bits = 0;
    bool first = true;
    int rc = text_next(t);

    buf_u8(out, EXT_BINARY);
    buf_be(out, 0, 4);
    while (rc == 0 && !text_is_punct(t, PUNCT_CLOSE_BIN)) {
        rc = first ? 0 : text_expect(t, ',');
        if (rc == 0)
            rc = binary_segment(t, out, &bits);
        first = false;
    }
    if (rc < 0)
        return rc;
    patch_count(out, start + 1, (uint32_t)(out->len - start - 5));
    if (bits != 0) {            /* the other kind has one byte more in its head */
        buf_u8(out, 0);
        memmove(out->data + start + 6, out->data + start + 5, out->len - start - 6);
        out->data[start] = EXT_BIT_BINARY;
        out->data[start + 5] = (uint8_t)bits;
    }
    return 0;
}

/* fun Module:Function/Arity, the token under the eye being Module. */
static int fun_term(struct text *t, struct buf *out)
{
    uint64_t arity;
    int rc;

    buf_u8(out, EXT_EXPORT);
    for (int i = 0; i < 2; i++) {
        if (t->tok.kind != TOK_ATOM)
            return text_fail(t, "a name was expected here");
        rc = put_atom(t, out);
        if (rc == 0)
            rc = text_next(t);
        if (rc == 0)
            rc = text_expect(t, i == 0 ? ':' : '/');
        if (rc < 0)
            return rc;
    }
    rc = text_count(t, 255, &arity);
    buf_u8(out, EXT_SMALL_INT);
    buf_u8(out, rc < 0 ? 0 : (uint8_t)arity);
    return rc;
}

static int negative_term(struct text *t, struct buf *out)
{
    int rc = text_next(t);

    if (rc < 0)
        return rc;
    if (t->tok.kind == TOK_INT)
        put_integer(out, &t->tok, true);
    else if (t->tok.kind == TOK_FLOAT)
        put_float(out, -t->tok.real);
    else
        return text_fail(t, "a number was expected here");
    return text_next(t);
}

static int atom_term(struct text *t, struct buf *out)
{
    int rc;

    if (text_is_atom(t, "fun")) {
        rc = text_next(t);
        return rc < 0 ? rc : fun_term(t, out);
    }
    rc = put_atom(t, out);
    return rc < 0 ? rc : text_next(t);
}

/* Brackets: newlines inside are space, but the one after the closing bracket counts. */
static int bracket_term(struct text *t, struct buf *out, unsigned depth)
{
    int rc;

    t->nested++;
    switch (t->tok.punct) {
    case '[':            rc = list_term(t, out, depth + 1); break;
    case '{':            rc = tuple_term(t, out, depth + 1); break;
    case PUNCT_OPEN_MAP: rc = map_term(t, out, depth + 1); break;
    case PUNCT_OPEN_BIN: rc = binary_term(t, out); break;
    default:             rc = text_fail(t, "a term was expected here"); break;
    }
    t->nested--;
    return rc < 0 ? rc : text_next(t);
}

static int term_at(struct text *t, struct buf *out, unsigned depth)
{
    if (depth > TEXT_DEPTH_MAX)
        return text_fail(t, "nested deeper than %d", TEXT_DEPTH_MAX);
    switch (t->tok.kind) {
    case TOK_ATOM:   return atom_term(t, out);
    case TOK_INT:    put_integer(out, &t->tok, false); return text_next(t);
    case TOK_FLOAT:  put_float(out, t->tok.real); return text_next(t);
    case TOK_STRING: put_string(out, &t->tok.text); return text_next(t);
    case TOK_PUNCT:
        return t->tok.punct == '-' ? negative_term(t, out) : bracket_term(t, out, depth);
    default:         return text_fail(t, "a term was expected here");
    }
}

int text_term(struct text *t, struct buf *out)
{
    return term_at(t, out, 0);
}
