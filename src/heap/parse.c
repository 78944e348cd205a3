/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - one Erlang term from text
 *
 * Recursive descent with a limit on depth. Elements of what is being read wait on a stack of
 * values until the closing bracket tells how many they are.
 */
#include "heap/parse.h"

#include "heap/arith.h"
#include "heap/blob.h"
#include "heap/map.h"
#include "term/atom.h"
#include "term/ids.h"
#include "term/print.h"
#include "term/stack.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_CHARS_MAX (1u << 20)

struct parser {
    struct heap *h;
    const char *s;
    size_t len, at;
    char *err;
    size_t err_len;
    int depth;
    struct term_stack values;
    struct buf text;            /* characters of the quoted text being read, as 32-bit numbers */
};

static term parse_value(struct parser *p);

static term fail(struct parser *p, const char *what)
{
    snprintf(p->err, p->err_len, "column %zu: %s", p->at + 1, what);
    return TERM_NONE;
}

/* --- characters --------------------------------------------------------------------------- */

static int peek_at(const struct parser *p, size_t ahead)
{
    return ahead < p->len - p->at ? (uint8_t)p->s[p->at + ahead] : -1;
}

static int peek(const struct parser *p)
{
    return peek_at(p, 0);
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->len) {
        char c = p->s[p->at];

        if (c == '%')
            while (p->at < p->len && p->s[p->at] != '\n')
                p->at++;
        else if (c == ' ' || (c >= '\t' && c <= '\r'))
            p->at++;
        else
            break;
    }
}

/* Skip blanks, and `token` if it comes next. */
static bool accept(struct parser *p, const char *token)
{
    size_t n = strlen(token);

    skip_blanks(p);
    if (p->len - p->at < n || memcmp(p->s + p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static int digit_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

/* The next character, decoded from UTF-8; a byte that starts no sequence stands for itself. */
static uint32_t next_char(struct parser *p)
{
    uint32_t c = (uint8_t)p->s[p->at++];
    unsigned more = c < 0xC2 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : 0;
    uint32_t v = c & (0x3Fu >> more);

    if (more == 0 || p->len - p->at < more)
        return c;
    for (unsigned i = 0; i < more; i++) {
        uint8_t b = (uint8_t)p->s[p->at + i];

        if ((b & 0xC0) != 0x80)
            return c;
        v = v << 6 | (b & 0x3Fu);
    }
    p->at += more;
    return v;
}

static bool is_scalar(uint32_t c)
{
    return c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
}

/* After \x: two hexadecimal digits, or any number in braces. */
static bool hex_escape(struct parser *p, uint32_t *ret)
{
    bool braces = peek(p) == '{';
    uint32_t v = 0;
    int digits = 0;

    p->at += braces;
    while (digit_value(peek(p)) < 16 && v < 0x110000 && (braces || digits < 2)) {
        v = v * 16 + (uint32_t)digit_value(peek(p));
        p->at++;
        digits++;
    }
    if (digits == 0 || (braces && peek(p) != '}'))
        return false;
    p->at += braces;
    *ret = v;
    return is_scalar(v);
}

/* After a backslash. */
static bool escape(struct parser *p, uint32_t *ret)
{
    static const char names[] = "nrtvbfesd";
    static const uint8_t codes[] = { 10, 13, 9, 11, 8, 12, 27, 32, 127 };
    const char *known;
    uint32_t v = 0;

    if (p->at == p->len)
        return false;
    if (peek(p) >= '0' && peek(p) <= '7') {
        for (int i = 0; i < 3 && peek(p) >= '0' && peek(p) <= '7'; i++)
            v = v * 8 + (uint32_t)(p->s[p->at++] - '0');
        *ret = v;
        return true;
    }
    v = next_char(p);
    if (v == 'x')
        return hex_escape(p, ret);
    if (v == '^' && p->at < p->len) {
        *ret = next_char(p) & 31;
        return true;
    }
    known = v != 0 && v < 128 ? strchr(names, (int)v) : NULL;
    *ret = known != NULL ? codes[known - names] : v;
    return true;
}

/* Read up to the closing quote into p->text; the opening one has been read. */
static bool quoted(struct parser *p, char quote)
{
    uint32_t c;

    while (p->at < p->len) {
        if (p->s[p->at] == quote) {
            p->at++;
            return true;
        }
        c = next_char(p);
        if (c == '\\' && !escape(p, &c)) {
            fail(p, "bad escape sequence");
            return false;
        }
        buf_add(&p->text, &c, sizeof c);
    }
    fail(p, "missing closing quote");
    return false;
}

static size_t text_chars(const struct parser *p)
{
    return p->text.len / sizeof(uint32_t);
}

static uint32_t text_char(const struct parser *p, size_t i)
{
    uint32_t c;

    memcpy(&c, p->text.data + i * sizeof c, sizeof c);
    return c;
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* --- atoms and strings -------------------------------------------------------------------- */

static term atom_of_text(struct parser *p)
{
    char utf8[4 * ATOM_CHARS_MAX];
    size_t n = 0;
    term atom;

    if (text_chars(p) > ATOM_CHARS_MAX)
        return fail(p, "atom is longer than 255 characters");
    for (size_t i = 0; i < text_chars(p); i++)
        n += put_utf8(text_char(p, i), utf8 + n);
    atom = atom_from_utf8(utf8, n);
    return atom == TERM_NONE ? fail(p, "not an atom, or the atom table is full") : atom;
}

static bool is_atom_start(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7);
}

static bool is_atom_char(uint32_t c)
{
    return is_atom_start(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '@' || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
}

static term plain_atom(struct parser *p)
{
    p->text.len = 0;
    while (p->at < p->len) {
        size_t before = p->at;
        uint32_t c = next_char(p);

        if (!(p->text.len == 0 ? is_atom_start(c) : is_atom_char(c))) {
            p->at = before;
            break;
        }
        buf_add(&p->text, &c, sizeof c);
    }
    return p->text.len == 0 ? fail(p, "term expected") : atom_of_text(p);
}

static term quoted_atom(struct parser *p)
{
    p->text.len = 0;
    return quoted(p, '\'') ? atom_of_text(p) : TERM_NONE;
}

static term string(struct parser *p)
{
    term list = TERM_NIL, *at;
    size_t n;

    p->text.len = 0;
    do {
        if (!quoted(p, '"'))
            return TERM_NONE;
    } while (accept(p, "\""));          /* "a" "b" is "ab" */
    n = text_chars(p);
    if (n == 0)
        return TERM_NIL;
    at = heap_alloc(p->h, CONS_WORDS * n);
    while (n-- > 0)
        list = cons_make(&at, small_make(text_char(p, n)), list);
    return list;
}

/* --- numbers ------------------------------------------------------------------------------ */

/* Copy digits of a base to p->text as bytes, dropping underscores between them. */
static size_t digits(struct parser *p, int base)
{
    size_t n = 0;

    for (;;) {
        int c = peek(p);

        if (digit_value(c) < base) {
            buf_u8(&p->text, (uint8_t)c);
            n++;
        } else if (c != '_' || n == 0 || digit_value(peek_at(p, 1)) >= base) {
            return n;
        }
        p->at++;
    }
}

static term integer_of_text(struct parser *p, int base)
{
    term t;

    if (p->text.len > NUMBER_CHARS_MAX)
        return fail(p, "number is too long");
    t = integer_parse(p->h, (const char *)p->text.data, p->text.len, base);
    return t == TERM_NONE ? fail(p, "bad number") : t;
}

static term float_rest(struct parser *p)
{
    double d;
    int c;

    buf_u8(&p->text, '.');
    p->at++;
    digits(p, 10);
    c = peek(p);
    if (c == 'e' || c == 'E') {
        int sign = peek_at(p, 1);
        bool has_sign = sign == '-' || sign == '+';

        if (digit_value(peek_at(p, 1 + has_sign)) < 10) {
            buf_u8(&p->text, 'e');
            if (has_sign)
                buf_u8(&p->text, (uint8_t)sign);
            p->at += 1 + has_sign;
            digits(p, 10);
        }
    }
    d = strtod(buf_cstr(&p->text), NULL);
    return isfinite(d) ? heap_float(p->h, d) : fail(p, "float out of range");
}

static term number(struct parser *p)
{
    int sign = peek(p);
    size_t first;
    int base = 0;

    p->text.len = 0;
    if (sign == '-' || sign == '+') {
        buf_u8(&p->text, (uint8_t)sign);
        p->at++;
    }
    first = p->text.len;
    if (digits(p, 10) == 0)
        return fail(p, "digit expected");
    if (peek(p) == '.' && digit_value(peek_at(p, 1)) < 10)
        return float_rest(p);
    if (peek(p) != '#')
        return integer_of_text(p, 10);
    for (size_t i = first; i < p->text.len && base <= 36; i++)
        base = base * 10 + (p->text.data[i] - '0');
    if (base < 2 || base > 36)
        return fail(p, "base is not 2 to 36");
    p->at++;
    p->text.len = first;
    return digits(p, base) == 0 ? fail(p, "digit expected") : integer_of_text(p, base);
}

static term character(struct parser *p)
{
    uint32_t c;

    p->at++;
    if (p->at == p->len)
        return fail(p, "character expected after $");
    c = next_char(p);
    if (c == '\\' && !escape(p, &c))
        return fail(p, "bad escape sequence");
    return small_make(c);
}

/* --- identifiers -------------------------------------------------------------------------- */

/* `n` numbers of at most 64 bits with dots between them and `>` after; returns how many, 0: bad. */
static unsigned dotted(struct parser *p, uint64_t *out, unsigned most)
{
    for (unsigned n = 0; n < most; n++) {
        uint64_t v = 0;

        if (digit_value(peek(p)) >= 10)
            return 0;
        while (digit_value(peek(p)) < 10)
            if (__builtin_mul_overflow(v, 10, &v) ||
                __builtin_add_overflow(v, (uint64_t)(p->s[p->at++] - '0'), &v))
                return 0;
        out[n] = v;
        if (peek(p) == '>') {
            p->at++;
            return n + 1;
        }
        if (peek(p) != '.')
            return 0;
        p->at++;
    }
    return 0;
}

static term pid(struct parser *p)
{
    uint64_t v[3];

    if (dotted(p, v, 3) != 3 || v[1] >> PID_SLOT_BITS != 0 || v[2] >> 30 != 0)
        return fail(p, "bad pid: <0.N.S> expected");
    return v[0] == 0 ? pid_make(v[1], v[2]) : fail(p, "pid of another node");
}

static term reference(struct parser *p)
{
    uint64_t v[1 + REF_WORDS_MAX];
    uint32_t words[REF_WORDS_MAX];
    unsigned n = dotted(p, v, 1 + REF_WORDS_MAX);
    term room[ALIAS_WORDS], *at = room, t;

    if (n < 4 || v[0] != 0)
        return fail(p, "bad reference: #Ref<0.A.B.C> expected");
    for (unsigned i = 1; i < n; i++) {
        if (v[i] > UINT32_MAX)
            return fail(p, "number in reference is too large");
        words[n - 1 - i] = (uint32_t)v[i];
    }
    t = ref_from_words(words, n - 1, &at);
    if (t == TERM_NONE)
        return fail(p, "no reference of this node");
    return at == room ? t : heap_copy(p->h, t);
}

static term port(struct parser *p)
{
    uint64_t v[2];

    if (dotted(p, v, 2) != 2 || v[0] != 0 || v[1] >> 58 != 0)
        return fail(p, "bad port: #Port<0.N> expected");
    return imm_make(IMM_PORT, v[1]);
}

/* --- binaries ----------------------------------------------------------------------------- */

struct bit_sink { struct buf bytes; uint64_t bits; };

static void sink_bits(struct bit_sink *s, const uint8_t *src, uint64_t src_bit, uint64_t n)
{
    while (s->bytes.len * 8 < s->bits + n)
        buf_u8(&s->bytes, 0);
    bits_copy(s->bytes.data, s->bits, src, src_bit, n);
    s->bits += n;
}

static bool segment_text(struct parser *p, struct bit_sink *s)
{
    bool utf8;

    p->text.len = 0;
    if (!quoted(p, '"'))
        return false;
    utf8 = accept(p, "/utf8");
    for (size_t i = 0; i < text_chars(p); i++) {
        char bytes[4];
        size_t n = 1;

        bytes[0] = (char)text_char(p, i);       /* as Erlang: the low byte */
        if (utf8)
            n = put_utf8(text_char(p, i), bytes);
        sink_bits(s, (uint8_t *)bytes, 0, n * 8);
    }
    return true;
}

static bool segment_number(struct parser *p, struct bit_sink *s)
{
    size_t before = p->at;
    term value, size = small_make(8);
    uint8_t *bytes;
    uint64_t n;

    value = peek(p) == '$' ? character(p) : number(p);
    if (value != TERM_NONE && !is_integer(value)) {
        p->at = before;
        value = fail(p, "integer or string expected in a binary");
    }
    if (value == TERM_NONE)
        return false;
    if (accept(p, ":")) {
        skip_blanks(p);
        size = number(p);
        if (size == TERM_NONE)
            return false;
        if (!is_small(size) || small_val(size) < 0 || small_val(size) > 65536) {
            fail(p, "size of 0 to 65536 bits expected");
            return false;
        }
    }
    n = (uint64_t)small_val(size);
    if (n == 0)
        return true;
    bytes = mem_zalloc(n / 8 + 1);
    integer_put_bits(value, bytes, 0, n, false);
    sink_bits(s, bytes, 0, n);
    mem_free(bytes);
    return true;
}

static bool segments(struct parser *p, struct bit_sink *s)
{
    if (accept(p, ">>"))
        return true;
    do {
        skip_blanks(p);
        if (accept(p, "\"") ? !segment_text(p, s) : !segment_number(p, s))
            return false;
    } while (accept(p, ","));
    if (accept(p, ">>"))
        return true;
    fail(p, ", or >> expected");
    return false;
}

static term binary(struct parser *p)
{
    struct bit_sink s = { .bits = 0 };
    term t = TERM_NONE;
    uint8_t *to;

    if (segments(p, &s)) {
        t = bitstring_room(p->h, s.bits, &to);
        if (s.bytes.len > 0)
            memcpy(to, s.bytes.data, s.bytes.len);
    }
    buf_fini(&s.bytes);
    return t;
}

/* --- brackets ----------------------------------------------------------------------------- */

static bool push_value(struct parser *p)
{
    term t = parse_value(p);

    if (t != TERM_NONE)
        stack_push(&p->values, t);
    return t != TERM_NONE;
}

static bool elements(struct parser *p)
{
    do {
        if (!push_value(p))
            return false;
    } while (accept(p, ","));
    return true;
}

static term tuple(struct parser *p, size_t first)
{
    if (accept(p, "}"))
        return heap_tuple(p->h, 0, NULL);
    if (!elements(p))
        return TERM_NONE;
    if (!accept(p, "}"))
        return fail(p, ", or } expected");
    return heap_tuple(p->h, p->values.len - first, p->values.base + first);
}

static term list(struct parser *p, size_t first)
{
    term tail = TERM_NIL;
    size_t n;

    if (accept(p, "]"))
        return TERM_NIL;
    if (!elements(p))
        return TERM_NONE;
    n = p->values.len - first;
    if (accept(p, "|")) {
        tail = parse_value(p);
        if (tail == TERM_NONE)
            return TERM_NONE;
    }
    if (!accept(p, "]"))
        return fail(p, ", or | or ] expected");
    return heap_list(p->h, p->values.base + first, n, tail);
}

static term map(struct parser *p, size_t first)
{
    if (accept(p, "}"))
        return map_empty(p->h);
    do {
        if (!push_value(p))
            return TERM_NONE;
        if (!accept(p, "=>"))
            return fail(p, "=> expected");
        if (!push_value(p))
            return TERM_NONE;
    } while (accept(p, ","));
    if (!accept(p, "}"))
        return fail(p, ", or } expected");
    return map_from_pairs(p->h, p->values.base + first, (p->values.len - first) / 2);
}

/* --- any term ----------------------------------------------------------------------------- */

static term bracketed(struct parser *p)
{
    size_t first = p->values.len;
    term t;

    if (p->depth == PARSE_DEPTH_MAX)
        return fail(p, "nested too deeply");
    p->depth++;
    if (accept(p, "{"))
        t = tuple(p, first);
    else if (accept(p, "["))
        t = list(p, first);
    else
        t = accept(p, "#{") ? map(p, first) : fail(p, "term expected");
    p->depth--;
    p->values.len = first;
    return t;
}

static term parse_value(struct parser *p)
{
    int c;

    skip_blanks(p);
    c = peek(p);
    if (c < 0)
        return fail(p, "term expected, text ends");
    if (digit_value(c) < 10 || c == '-' || c == '+')
        return number(p);
    if (c == '$')
        return character(p);
    if (accept(p, "'"))
        return quoted_atom(p);
    if (accept(p, "\""))
        return string(p);
    if (accept(p, "<<"))
        return binary(p);
    if (accept(p, "<"))
        return pid(p);
    if (accept(p, "#Ref<"))
        return reference(p);
    if (accept(p, "#Port<"))
        return port(p);
    if (c == '_' || (c >= 'A' && c <= 'Z'))
        return fail(p, "a variable is no term");
    return (c >= 'a' && c <= 'z') || c >= 0x80 ? plain_atom(p) : bracketed(p);
}

term parse_term(struct heap *h, const char *text, size_t len, size_t *ret_used, char *err,
                size_t err_len)
{
    struct parser p = { .h = h, .s = text, .len = len, .err = err, .err_len = err_len };
    term t;

    stack_init(&p.values);
    t = parse_value(&p);
    if (t != TERM_NONE && ret_used != NULL)
        *ret_used = p.at;
    stack_fini(&p.values);
    buf_fini(&p.text);
    return t;
}
