/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax_text.c - strings, atoms and floats as each language writes them
 */
#include "term/syntax_priv.h"

#include "term/atom.h"
#include "term/print.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- text ----------------------------------------------------------------------------------- */

/* Length of the character at s[0..n), 0: no well-formed UTF-8. */
static size_t utf8_length(const uint8_t *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;

    if (len == 0 || len > n || (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

/* A control character of the second half of latin-1 is C2 and this. */
static bool is_c1(const uint8_t *s)
{
    return s[0] == 0xC2 && s[1] < 0xA0;
}

bool syntax_is_text(const struct writer *w, const uint8_t *s, size_t n)
{
    bool elixir = w->syntax == SYNTAX_ELIXIR;

    for (size_t i = 0, len; i < n; i += len) {
        len = utf8_length(s + i, n - i);
        if (len == 0 || (elixir && ((s[i] < 32 && (s[i] < 7 || s[i] > 13) && s[i] != 27) ||
                                    (len == 2 && is_c1(s + i)))))
            return false;
    }
    return true;
}

/* The character c, which cannot stand as it is. */
static void write_escape(struct writer *w, uint32_t c, char quote)
{
    static const char elixir[] = "abtnvfr";         /* 7 to 13 */

    if (c == (uint32_t)quote || c == '\\' || c == '#')
        buf_printf(w->out, "\\%c", (int)c);
    else if (c == '\n' || c == '\t' || c == '\r')
        buf_printf(w->out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else if (w->syntax == SYNTAX_JSON)
        buf_printf(w->out, "\\u%04x", c);
    else if (w->syntax == SYNTAX_ELIXIR)
        buf_printf(w->out, "\\%c", c == 27 ? 'e' : c == 127 ? 'd' : elixir[c - 7]);
    else
        buf_printf(w->out, "\\u{%x}", c);
}

void syntax_quoted(struct writer *w, const uint8_t *s, size_t n, char quote)
{
    buf_u8(w->out, (uint8_t)quote);
    for (size_t i = 0; i < n && !writer_is_full(w); i++) {
        bool fills = w->syntax == SYNTAX_ELIXIR && s[i] == '#' && i + 1 < n && s[i + 1] == '{';

        if (fills || s[i] < 32 || s[i] == 127 || s[i] == (uint8_t)quote || s[i] == '\\')
            write_escape(w, s[i], quote);
        else if (i + 1 < n && is_c1(s + i))
            write_escape(w, s[++i], quote);
        else
            buf_u8(w->out, s[i]);
    }
    buf_u8(w->out, (uint8_t)quote);
}

/* --- numbers -------------------------------------------------------------------------------- */

/* Shortest digits that read back; positional from 0.0001 up to 10^16. */
void syntax_float(struct writer *w, double d)
{
    char text[FLOAT_TEXT_MAX], digits[32], *e;
    int precision = 0, exponent;

    if (w->syntax == SYNTAX_ELIXIR || w->syntax == SYNTAX_JSON || d == 0) {
        buf_add(w->out, text, float_print_short(d, text));
        return;
    }
    do
        snprintf(digits, sizeof digits, "%.*e", precision, d);
    while (strtod(digits, NULL) != d && ++precision < 17);
    e = strchr(digits, 'e');
    exponent = atoi(e + 1);
    *e = 0;
    if (exponent < -4 || exponent >= 16)
        buf_printf(w->out, "%s%se%d", digits, strchr(digits, '.') == NULL ? ".0" : "", exponent);
    else
        buf_printf(w->out, "%.*f", precision > exponent ? precision - exponent : 1, d);
}

/* --- atoms ---------------------------------------------------------------------------------- */

bool syntax_is_name(const char *s, size_t n, const char *more)
{
    if (n == 0 || (!isalpha((unsigned char)s[0]) && s[0] != '_'))
        return false;
    for (size_t i = 1; i < n; i++) {
        bool last = i == n - 1;

        if (!isalnum((unsigned char)s[i]) && s[i] != '_' && (s[i] == 0 || strchr(more, s[i]) == NULL) &&
            !(last && (s[i] == '?' || s[i] == '!')))
            return false;
    }
    return true;
}

static bool is_word(const char *s, size_t n)
{
    return (n == 4 && memcmp(s, "true", 4) == 0) || (n == 5 && memcmp(s, "false", 5) == 0) ||
           (n == 3 && memcmp(s, "nil", 3) == 0);
}

/* Module names stand without colon: Elixir.Foo.Bar is Foo.Bar, Rata.Foo is Foo. */
static const char *module_name(const struct writer *w, const char *s, size_t n)
{
    const char *prefix = w->syntax == SYNTAX_ELIXIR ? "Elixir." : w->syntax == SYNTAX_RATA ? "Rata." : NULL;
    size_t len = prefix != NULL ? strlen(prefix) : 0;

    if (prefix == NULL || n <= len || memcmp(s, prefix, len) != 0 || !isupper((unsigned char)s[len]) ||
        !syntax_is_name(s + len, n - len, "."))
        return NULL;
    return s + len;
}

void syntax_atom(struct writer *w, term t)
{
    size_t n;
    const char *s = atom_text(t, &n), *module = module_name(w, s, n);
    const char *more = w->syntax == SYNTAX_BATUTA ? "-./*+<>=" : w->syntax == SYNTAX_ELIXIR ? "@" : "";

    if (is_word(s, n)) {
        buf_str(w->out, w->syntax == SYNTAX_JSON && n == 3 ? "null" : s);
    } else if (w->syntax == SYNTAX_JSON) {
        syntax_quoted(w, (const uint8_t *)s, n, '"');
    } else if (module != NULL) {
        buf_str(w->out, module);
    } else if (syntax_is_name(s, n, more)) {
        buf_printf(w->out, ":%s", s);
    } else {
        buf_u8(w->out, ':');
        syntax_quoted(w, (const uint8_t *)s, n, w->syntax == SYNTAX_BATUTA ? '|' : '"');
    }
}
