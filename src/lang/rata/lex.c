/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lex.c - one pass over the text, without recursion
 *
 * Interpolated strings nest: a stack remembers, for each string whose hole is being read, where it
 * began and how many braces are open inside the hole. The source is NUL-terminated, so looking at
 * the next few characters is always allowed; a NUL inside the text is an unknown character.
 */
#include "lang/rata/lex.h"

#include "base/assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct hole { uint32_t from, braces; };

struct lexer {
    struct diags *d;
    const struct source *src;
    struct tokens *out;
    struct comments *comments;
    struct hole *holes;             /* innermost last */
    size_t n_holes, cap_holes;
    uint32_t file, at, depth, n_fns;
    bool newline, space;            /* seen since the last token */
};

static const char *const token_text[] = {
#define TOKEN(name, text) text,
#include "lang/rata/tokens.tab"
#undef TOKEN
};

const char *token_name(enum tok kind)
{
    ASSERT(kind < TOK_COUNT);
    return token_text[kind];
}

bool token_is_word(enum tok kind)
{
    return kind >= TOK_AND && kind <= TOK_DOT;
}

static const char *here(const struct lexer *lx)
{
    return lx->src->text + lx->at;
}

static struct span span_from(const struct lexer *lx, uint32_t from)
{
    return (struct span){ lx->file, from, lx->at };
}

static struct token *push(struct lexer *lx, enum tok kind, uint32_t from)
{
    struct tokens *ts = lx->out;
    struct token *t;

    ts->at = arena_grow(lx->d->arena, ts->at, ts->n, &ts->cap, sizeof *ts->at);
    t = &ts->at[ts->n++];
    *t = (struct token){ .kind = (uint8_t)kind, .newline = lx->newline, .space = lx->space,
                         .from = from, .to = lx->at, .depth = lx->depth, .text = "" };
    lx->newline = lx->space = false;
    return t;
}

static void set_text(struct lexer *lx, struct token *t, const void *text, size_t len)
{
    t->text = arena_strndup(lx->d->arena, text, len);
    t->len = (uint32_t)len;
}

/* --- letters --------------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Bytes of the letter, mark or digit at s that may continue a name; 0 when there is none. */
static uint32_t name_part(const char *s)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n;

    if ((uint8_t)*s < 0x80)
        return is_ascii_letter(*s) || is_digit(*s) || *s == '_';
    n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
    if (n <= 0)
        return 0;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL:
        return (uint32_t)n;
    default:
        return 0;
    }
}

/* Move over a name, with its final ? or !; false when none starts here. */
static bool take_name(struct lexer *lx)
{
    uint32_t n;

    if (!is_ascii_letter(*here(lx)) && *here(lx) != '_')
        return false;
    while ((n = name_part(here(lx))) != 0)
        lx->at += n;
    if ((*here(lx) == '?' || *here(lx) == '!') && here(lx)[1] != '=')
        lx->at++;
    return true;
}

/* A colon directly behind, and then white space, makes a key. */
static bool key_follows(const struct lexer *lx)
{
    const char *s = here(lx);

    return s[0] == ':' && (s[1] == ' ' || s[1] == '\t' || s[1] == '\n' || s[1] == '\r');
}

/* --- numbers --------------------------------------------------------------------------------- */

static void bad_number(struct lexer *lx, uint32_t from, const char *why)
{
    uint32_t n;
    struct diagnostic *it;

    while ((n = name_part(here(lx))) != 0)
        lx->at += n;
    it = diag_error(lx->d, span_from(lx, from), "E0105", "malformed number `%.*s`",
                    (int)(lx->at - from < 60 ? lx->at - from : 60), lx->src->text + from);
    diag_hint(lx->d, it, "%s", why);
    push(lx, TOK_BAD, from);
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* Digits of a base with single _ between them go to text; false when there is none, or a _ is
 * out of place. */
static bool take_digits(struct lexer *lx, int base, struct buf *text)
{
    bool digit = false;

    for (;; lx->at++) {
        char c = *here(lx);

        if (digit_value(c) < base) {
            buf_u8(text, (uint8_t)c);
            digit = true;
        } else if (c == '_' && digit && digit_value(here(lx)[1]) < base) {
            continue;
        } else {
            return digit;
        }
    }
}

static bool exponent_follows(const struct lexer *lx)
{
    const char *s = here(lx);

    if (*s != 'e' && *s != 'E')
        return false;
    s += s[1] == '-' || s[1] == '+';
    return is_digit(s[1]);
}

/* What follows the point of a float; the digits before it are in text. */
static void take_fraction(struct lexer *lx, struct buf *text)
{
    buf_u8(text, '.');
    lx->at++;
    take_digits(lx, 10, text);
    if (exponent_follows(lx)) {
        buf_u8(text, 'e');
        lx->at++;
        if (*here(lx) == '-' || *here(lx) == '+')
            buf_u8(text, (uint8_t)lx->src->text[lx->at++]);
        take_digits(lx, 10, text);
    }
}

static void lex_number(struct lexer *lx)
{
    uint32_t from = lx->at;
    struct buf text = { 0 };
    const char *why = NULL;
    int base = 10;
    bool real = false;

    if (*here(lx) == '0' && (here(lx)[1] == 'x' || here(lx)[1] == 'o' || here(lx)[1] == 'b')) {
        base = here(lx)[1] == 'x' ? 16 : here(lx)[1] == 'o' ? 8 : 2;
        lx->at += 2;
    }
    if (!take_digits(lx, base, &text))
        why = "digits must follow the prefix";
    if (base == 10 && *here(lx) == '.' && is_digit(here(lx)[1])) {
        take_fraction(lx, &text);
        real = true;
    } else if (base == 10 && exponent_follows(lx)) {
        why = "a float needs a point with digits on both sides: 1.0e5";
    }
    if (why == NULL && real && isinf(strtod(buf_cstr(&text), NULL)))
        why = "a float is at most 1.7976931348623157e308";
    if (why == NULL && name_part(here(lx)) != 0)
        why = base != 10 ? "this digit does not exist in the base that the prefix gives"
                         : "a name cannot start with a digit, and a number has no letters";
    if (why == NULL && !real && *here(lx) == '.' && here(lx)[1] != '.')
        why = "a float needs digits on both sides of the point";
    if (why != NULL) {
        bad_number(lx, from, why);
    } else {
        struct token *t = push(lx, real ? TOK_FLOAT : TOK_INT, from);

        t->base = (uint8_t)base;
        set_text(lx, t, text.data, text.len);
    }
    buf_fini(&text);
}

/* --- strings --------------------------------------------------------------------------------- */

static void add_utf8(struct buf *out, uint32_t c)
{
    uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);

    buf_add(out, bytes, (size_t)n);
}

/* \u{HEX}; at the u. */
static bool take_code_point(struct lexer *lx, struct buf *out)
{
    uint32_t c = 0, digits = 0;

    if (here(lx)[1] != '{')
        return false;
    for (lx->at += 2; digit_value(*here(lx)) < 16 && digits < 7; lx->at++, digits++)
        c = c * 16 + (uint32_t)digit_value(*here(lx));
    if (*here(lx) != '}' || digits == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return false;
    lx->at++;
    add_utf8(out, c);
    return true;
}

/* At a backslash. */
static void take_escape(struct lexer *lx, struct buf *out)
{
    static const char letters[] = "ntr0e\"\\{}", values[] = "\n\t\r\0\033\"\\{}";
    uint32_t from = lx->at++;
    const char *known = *here(lx) != 0 ? strchr(letters, *here(lx)) : NULL;
    struct diagnostic *it;

    if (known != NULL) {
        buf_u8(out, (uint8_t)values[known - letters]);
        lx->at++;
        return;
    }
    if (*here(lx) == 'u' && take_code_point(lx, out))
        return;
    if (lx->at < lx->src->len && lx->at == from + 1) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)here(lx), -1, &c);

        lx->at += n > 0 ? (uint32_t)n : 1;
    }
    it = diag_error(lx->d, span_from(lx, from), "E0108", "unknown escape in a string");
    diag_hint(lx->d, it, "known are \\n \\t \\r \\0 \\e \\\" \\\\ \\{ \\} and \\u{HEX}; "
              "a backslash itself is \\\\");
}

/* The text ended inside a string; the place is where the outermost one began. */
static void unterminated(struct lexer *lx, uint32_t from)
{
    struct diagnostic *it;
    uint32_t end = lx->at;

    if (lx->n_holes > 0)
        from = lx->holes[0].from;
    lx->n_holes = 0;
    lx->at = from + (lx->src->text[from] == 'f' ? 2 : 1);
    it = diag_error(lx->d, span_from(lx, from), "E0102", "this string is never closed");
    diag_hint(lx->d, it, "a string ends with \"; a quote inside of it is written \\\"");
    lx->at = end;
    lx->out->open_from = from;
    push(lx, TOK_BAD, from);
}

/* Text of a string up to its quote, or to a hole when there may be one; false: there is no end. */
static bool take_text(struct lexer *lx, struct buf *out, bool holes)
{
    while (lx->at < lx->src->len) {
        char c = *here(lx);

        if (c == '"' || (holes && c == '{'))
            return true;
        if (c == '\\') {
            take_escape(lx, out);
        } else {
            buf_u8(out, (uint8_t)c);
            lx->at++;
        }
    }
    return false;
}

#define ATOM_CHARS 255u         /* what the machine allows */

/* Names and atoms become atoms of the machine. */
static void check_length(struct lexer *lx, uint32_t from, const void *text, size_t len)
{
    size_t chars = 0;

    for (size_t i = 0; i < len; i++)
        chars += (((const uint8_t *)text)[i] & 0xC0) != 0x80;
    if (chars > ATOM_CHARS)
        diag_error(lx->d, span_from(lx, from), "E0101", "a name of %zu characters; at most %u",
                   chars, ATOM_CHARS);
}

static void push_string(struct lexer *lx, enum tok kind, uint32_t from, const struct buf *text)
{
    if (kind != TOK_STRING)
        check_length(lx, from, text->data, text->len);
    set_text(lx, push(lx, kind, from), text->data, text->len);
}

/* Inside an interpolated string that began at start: text, then its end or a hole. */
static void lex_fstring_part(struct lexer *lx, uint32_t start)
{
    struct buf text = { 0 };
    uint32_t from = lx->at;

    if (!take_text(lx, &text, true)) {
        unterminated(lx, start);
    } else {
        if (text.len > 0)
            push_string(lx, TOK_STRING, from, &text);
        from = lx->at++;
        if (lx->src->text[from] == '"') {
            push(lx, TOK_FSTRING_END, from);
        } else {
            push(lx, TOK_HOLE, from);
            lx->depth++;
            lx->holes = arena_grow(lx->d->arena, lx->holes, lx->n_holes, &lx->cap_holes,
                                   sizeof *lx->holes);
            lx->holes[lx->n_holes++] = (struct hole){ start, 0 };
        }
    }
    buf_fini(&text);
}

static void lex_string(struct lexer *lx)
{
    struct buf text = { 0 };
    uint32_t from = lx->at++;

    if (!take_text(lx, &text, false)) {
        unterminated(lx, from);
    } else {
        lx->at++;
        if (key_follows(lx)) {
            lx->at++;
            push_string(lx, TOK_KEY, from, &text);
        } else {
            push_string(lx, TOK_STRING, from, &text);
        }
    }
    buf_fini(&text);
}

/* --- strings of several lines ---------------------------------------------------------------- */

static size_t indent_of(const char *s, const char *end, bool *ret_empty)
{
    const char *p = s;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    *ret_empty = p == end || *p == '\n' || *p == '\r';
    return (size_t)(p - s);
}

/* The smallest indentation of the lines of raw text that are not empty, and of the last one. */
static size_t common_indent(const char *s, const char *end, bool last_counts)
{
    size_t least = SIZE_MAX;

    while (s <= end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        bool empty, last = nl == NULL;
        size_t n = indent_of(s, end, &empty);

        if ((!empty || (last && last_counts)) && n < least)
            least = n;
        if (last)
            break;
        s = nl + 1;
    }
    return least == SIZE_MAX ? 0 : least;
}

/* Raw text from lx->at to end, without the indentation, with its escapes replaced. */
static void take_lines(struct lexer *lx, uint32_t end, size_t indent, bool cut, struct buf *out)
{
    bool start = cut;

    while (lx->at < end) {
        char c = *here(lx);

        if (start) {
            for (size_t i = 0; i < indent && lx->at < end
                 && (*here(lx) == ' ' || *here(lx) == '\t'); i++)
                lx->at++;
            start = false;
        } else if (c == '\\') {
            take_escape(lx, out);
        } else {
            buf_u8(out, (uint8_t)c);
            start = c == '\n';
            lx->at++;
        }
    }
}

/* Offset of the closing quotes; len when there are none. */
static uint32_t find_close(const struct lexer *lx, uint32_t at)
{
    const char *s = lx->src->text;

    while (at < lx->src->len && (s[at] != '"' || s[at + 1] != '"' || s[at + 2] != '"'))
        at += s[at] == '\\' && at + 1 < lx->src->len ? 2 : 1;
    return at < lx->src->len ? at : lx->src->len;
}

static void lex_long_string(struct lexer *lx)
{
    const char *s = lx->src->text;
    uint32_t from = lx->at, end = find_close(lx, from + 3), last = end;
    struct buf text = { 0 };
    bool dropped, cut;

    lx->at += 3;
    if (end == lx->src->len) {
        lx->at = end;
        unterminated(lx, from);
        return;
    }
    cut = s[lx->at] == '\n' || (s[lx->at] == '\r' && s[lx->at + 1] == '\n');
    if (cut)
        lx->at += s[lx->at] == '\r' ? 2 : 1;
    while (last > lx->at && (s[last - 1] == ' ' || s[last - 1] == '\t'))
        last--;
    dropped = last > from + 3 && s[last - 1] == '\n' && last >= lx->at;
    {
        size_t indent = common_indent(s + lx->at, s + end, dropped);
        uint32_t stop = end;

        if (dropped) {
            stop = last > lx->at ? last - 1 : lx->at;
            if (stop > lx->at && s[stop - 1] == '\r')
                stop--;
        }
        take_lines(lx, stop, indent, cut, &text);
    }
    lx->at = end + 3;
    push_string(lx, TOK_STRING, from, &text);
    buf_fini(&text);
}

/* --- everything else ------------------------------------------------------------------------- */

static enum tok keyword(const char *s, size_t len)
{
    for (enum tok k = TOK_AND; k <= TOK_WHEN; k++)
        if (strlen(token_text[k]) == len && memcmp(token_text[k], s, len) == 0)
            return k;
    return TOK_NAME;
}

static bool after_dot(const struct lexer *lx)
{
    return lx->out->n > 0 && lx->out->at[lx->out->n - 1].kind == TOK_DOT;
}

static void lex_name(struct lexer *lx)
{
    uint32_t from = lx->at;
    const char *s = here(lx);
    enum tok kind = TOK_NAME, word;
    struct token *t;
    size_t len;

    take_name(lx);
    len = lx->at - from;
    check_length(lx, from, s, len);
    word = keyword(s, len);
    if (key_follows(lx) && !after_dot(lx)) {
        lx->at++;
        kind = TOK_KEY;
    } else if (after_dot(lx)) {
        kind = *s >= 'A' && *s <= 'Z' ? TOK_MODULE_NAME : TOK_NAME;
    } else if (word != TOK_NAME) {
        kind = word;
    } else if (len == 10 && memcmp(s, "__module__", 10) == 0) {
        kind = TOK_SELF;
    } else if (*s >= 'A' && *s <= 'Z') {
        kind = TOK_MODULE_NAME;
    }
    if (kind == TOK_END_FN && lx->n_fns > 0) {
        lx->n_fns--;
        lx->depth--;
    }
    t = push(lx, kind, from);
    t->keyword_text = word != TOK_NAME;
    set_text(lx, t, s, len);
    if (kind == TOK_FN) {
        lx->n_fns++;
        lx->depth++;
    }
}

static void lex_atom(struct lexer *lx)
{
    uint32_t from = lx->at++, start = lx->at;
    struct buf text = { 0 };

    if (*here(lx) == '"') {
        lx->at++;
        if (!take_text(lx, &text, false)) {
            unterminated(lx, from + 1);
        } else {
            lx->at++;
            push_string(lx, TOK_ATOM, from, &text);
        }
    } else if (take_name(lx)) {
        buf_add(&text, lx->src->text + start, lx->at - start);
        push_string(lx, TOK_ATOM, from, &text);
    } else {
        struct diagnostic *it = diag_error(lx->d, span_from(lx, from), "E0101",
                                           "a `:` that begins no atom and ends no key");
        diag_hint(lx->d, it, "atoms are :name or :\"any text\"; a key is followed by a blank: "
                  "`name: value`");
        push(lx, TOK_BAD, from);
    }
    buf_fini(&text);
}

static void lex_unknown(struct lexer *lx)
{
    uint32_t from = lx->at;
    utf8proc_int32_t c = 0;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)here(lx), -1, &c);
    struct diagnostic *it;

    lx->at += n > 0 ? (uint32_t)n : 1;
    if (c < 32 || c == 127)
        it = diag_error(lx->d, span_from(lx, from), "E0101",
                        "character U+%04X starts no token", (unsigned)c);
    else
        it = diag_error(lx->d, span_from(lx, from), "E0101", "`%.*s` starts no token",
                        (int)(lx->at - from), lx->src->text + from);
    if (c == 0x201C || c == 0x201D || c == 0x2018 || c == 0x2019 || c == '\'')
        diag_hint(lx->d, it, "strings are written with straight double quotes: \"text\"");
    else if (c == '%')
        diag_hint(lx->d, it, "the modulus is written %%%%");
    else if (c == '&')
        diag_hint(lx->d, it, "the logical operator is written && or and");
    else if (c >= 0x80 && name_part(lx->src->text + from) != 0)
        diag_hint(lx->d, it, "names begin with a letter from a to z, A to Z, or _");
    push(lx, TOK_BAD, from);
}

static bool closes(enum tok k)
{
    return k == TOK_PAREN_END || k == TOK_BRACKET_END || k == TOK_BRACE_END;
}

static bool opens(enum tok k)
{
    return k == TOK_PAREN || k == TOK_BRACKET || k == TOK_BRACE || k == TOK_SET;
}

/* A brace inside a hole: counted; the one that closes the hole goes on with the string. */
static bool hole_ends(struct lexer *lx, enum tok k)
{
    struct hole *h = lx->n_holes > 0 ? &lx->holes[lx->n_holes - 1] : NULL;

    if (h == NULL)
        return false;
    if (k == TOK_BRACE || k == TOK_SET)
        h->braces++;
    else if (k == TOK_BRACE_END && h->braces-- == 0)
        return true;
    return false;
}

static bool lex_operator(struct lexer *lx)
{
    for (enum tok k = TOK_IDENTICAL; k <= TOK_DOT; k++) {
        size_t len = strlen(token_text[k]);
        uint32_t from = lx->at;

        if (strncmp(here(lx), token_text[k], len) != 0)
            continue;
        lx->at += (uint32_t)len;
        if (closes(k) && lx->depth > 0) {
            lx->depth--;
            lx->n_fns = lx->n_fns < lx->depth ? lx->n_fns : lx->depth;
        }
        if (hole_ends(lx, k)) {
            uint32_t start = lx->holes[--lx->n_holes].from;

            push(lx, TOK_HOLE_END, from);
            lex_fstring_part(lx, start);
            return true;
        }
        push(lx, k, from);
        if (opens(k))
            lx->depth++;
        return true;
    }
    return false;
}

static void skip_comment(struct lexer *lx)
{
    uint32_t from = lx->at;

    while (lx->at < lx->src->len && *here(lx) != '\n')
        lx->at++;
    lx->space = true;
    if (lx->comments != NULL) {
        struct comments *c = lx->comments;

        c->at = arena_grow(lx->d->arena, c->at, c->n, &c->cap, sizeof *c->at);
        c->at[c->n++] = span_from(lx, from);
    }
}

static void lex_one(struct lexer *lx)
{
    const char *s = here(lx);

    if (*s == '\n') {
        lx->newline = lx->space = true;
        lx->at++;
    } else if (*s == ' ' || *s == '\t' || (*s == '\r' && s[1] == '\n')) {
        lx->space = true;
        lx->at++;
    } else if (*s == '#' && s[1] != '{') {
        skip_comment(lx);
    } else if (is_digit(*s)) {
        lex_number(lx);
    } else if (*s == 'f' && s[1] == '"') {
        uint32_t from = lx->at;

        lx->at += 2;
        push(lx, TOK_FSTRING, from);
        lex_fstring_part(lx, from);
    } else if (is_ascii_letter(*s) || *s == '_') {
        lex_name(lx);
    } else if (strncmp(s, "\"\"\"", 3) == 0) {
        lex_long_string(lx);
    } else if (*s == '"') {
        lex_string(lx);
    } else if (*s == ':') {
        lex_atom(lx);
    } else if (!lex_operator(lx)) {
        lex_unknown(lx);
    }
}

void rata_lex(struct diags *d, uint32_t file, struct tokens *ret_tokens, struct comments *comments)
{
    struct lexer lx = { .d = d, .src = &d->sources[file], .out = ret_tokens, .file = file,
                        .comments = comments, .newline = true };

    *ret_tokens = (struct tokens){ .open_from = UINT32_MAX };
    if (lx.src->len >= 3 && memcmp(lx.src->text, "\xEF\xBB\xBF", 3) == 0)
        lx.at = 3;
    if (strncmp(here(&lx), "#!", 2) == 0)       /* also when a brace follows */
        skip_comment(&lx);
    while (lx.at < lx.src->len && ret_tokens->n < TOKENS_MAX && d->n_errors < DIAG_ERRORS_KEPT)
        lex_one(&lx);
    if (lx.n_holes > 0 && d->n_errors < DIAG_ERRORS_KEPT)
        unterminated(&lx, lx.at);
    if (ret_tokens->n >= TOKENS_MAX)
        diag_error(d, span_from(&lx, lx.at), "E0106", "more than %u tokens in one file",
                   TOKENS_MAX);
    lx.at = lx.src->len;
    lx.newline = true;
    push(&lx, TOK_END, lx.at);
}
