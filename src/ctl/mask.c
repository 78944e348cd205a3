/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.c - texts of a node without secrets
 */
#include "ctl/mask.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdio.h>

#define OPAQUE_MIN 24       /* letters and digits in one word: keys and hashes are longer */

static const char word_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
static const char opaque_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=";

/* The word of n bytes names something that is kept to oneself. */
static bool names_secret(const char *word, size_t n)
{
    static const char *const names[] = {
        "password", "passwd", "passphrase", "secret", "token", "api_key", "api-key", "apikey",
        "authorization", "credential", "cookie", "private_key", "private-key", "bearer",
    };
    char lower[64];

    if (n >= sizeof lower)
        n = sizeof lower - 1;
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)tolower((unsigned char)word[i]);
    lower[n] = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strstr(lower, names[i]) != NULL)
            return true;
    }
    return false;
}

/* Bytes of the text or binary that begins at s, with its quotes; 0: none does. One without an end
 * goes to the end of the line. */
static size_t quoted_length(const char *s)
{
    size_t n = 1;

    if (s[0] == '<' && s[1] == '<') {
        const char *end = strstr(s, ">>");

        return end != NULL ? (size_t)(end - s) + 2 : strcspn(s, "\n");
    }
    if (s[0] != '"')
        return 0;
    while (s[n] != 0 && s[n] != '\n' && s[n] != '"')
        n += s[n] == '\\' && s[n + 1] != 0 && s[n + 1] != '\n' ? 2 : 1;
    return n + (s[n] == '"');
}

/* Bytes between a word and its value: `="`, ` => `, `",`; 0: the word has no value. */
static size_t separator_length(const char *s, bool bearer)
{
    size_t quote = s[0] == '"' || s[0] == '\'', blank, n;

    quote += strncmp(s + quote, ">>", 2) == 0 ? 2 : 0;
    blank = strspn(s + quote, " ");
    n = quote + blank;

    if (strncmp(s + n, "=>", 2) == 0)
        n += 2;
    else if (s[n] == '=' || s[n] == ':' || s[n] == ',')
        n++;
    else
        return bearer && blank > 0 ? n : 0;
    return n + strspn(s + n, " ");
}

static size_t value_length(const char *s)
{
    size_t n = quoted_length(s);

    return n > 0 ? n : strcspn(s, " \t\n,;)]}\"'");
}

static bool is_opaque(const char *s, size_t n)
{
    bool letter = false, digit = false;

    for (size_t i = 0; i < n; i++) {
        letter |= isalpha((unsigned char)s[i]) != 0;
        digit |= isdigit((unsigned char)s[i]) != 0;
    }
    return n >= OPAQUE_MIN && letter && digit;
}

/* The word at s, with its value if that is a secret. Returns how much of s it took. */
static size_t mask_word(struct buf *out, const char *s, enum mask mask)
{
    size_t n = strspn(s, word_chars), opaque = strspn(s, opaque_chars), gap, value;

    if (strncmp(s, "rnj1_", 5) == 0) {
        buf_str(out, "(secret)");
        return n;
    }
    if (names_secret(s, n)) {
        gap = separator_length(s + n, n == 6 && strncasecmp(s, "bearer", 6) == 0);
        value = gap > 0 ? value_length(s + n + gap) : 0;
        if (value > 0) {
            /* "Authorization: Bearer abc": the scheme is part of the value. */
            if (strncasecmp(s + n + gap, "bearer ", 7) == 0 || strncasecmp(s + n + gap, "basic ", 6) == 0)
                value += 1 + value_length(s + n + gap + value + 1);
            buf_add(out, s, n + gap);
            buf_str(out, "(secret)");
            return n + gap + value;
        }
    } else if (mask == MASK_TEXTS && is_opaque(s, opaque)) {
        buf_printf(out, "(%zu characters)", opaque);
        return opaque;
    }
    buf_add(out, s, n);
    return n;
}

void mask_text(struct buf *out, const char *text, enum mask mask)
{
    while (*text != 0) {
        size_t quoted = mask == MASK_TEXTS ? quoted_length(text) : 0;

        if (quoted > 0) {
            buf_str(out, *text == '"' ? "\"…\"" : "<<…>>");
            text += quoted;
        } else if (strspn(text, word_chars) > 0) {
            text += mask_word(out, text, mask);
        } else {
            buf_u8(out, (uint8_t)*text++);
        }
    }
}

/* --- the log ---------------------------------------------------------------------------------- */

/* "root asked for eval EXPR: done  user=root": the words before what was asked, and the fields. */
static void mask_request(struct buf *out, const char *text)
{
    const char *fields = strstr(text, "  user="), *at = text;

    for (int words = 0; words < 4 && *at != 0; words++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    if (fields == NULL || fields < at) {
        mask_text(out, text, MASK_TEXTS);
        return;
    }
    buf_add(out, text, (size_t)(at - text));
    buf_str(out, "…");
    mask_text(out, fields, MASK_TEXTS);
}

static void mask_line(struct buf *out, const char *line)
{
    char event[64] = "";
    int text = 0;

    if (sscanf(line, "%*s %*s %63s %n", event, &text) < 1 || text == 0) {
        mask_text(out, line, MASK_TEXTS);
        return;
    }
    buf_add(out, line, (size_t)text);
    if (strcmp(event, "app.report") == 0)
        buf_printf(out, "(what a program logged, %zu bytes)", strlen(line + text));
    else if (strcmp(event, "control.request") == 0)
        mask_request(out, line + text);
    else
        mask_text(out, line + text, MASK_TEXTS);
}

void mask_log(struct buf *out, const char *lines)
{
    while (*lines != 0) {
        size_t n = strcspn(lines, "\n");
        char *line = mem_printf("%.*s", (int)n, lines);

        mask_line(out, line);
        mem_free(line);
        lines += n;
        if (*lines == '\n') {
            buf_u8(out, '\n');
            lines++;
        }
    }
}
