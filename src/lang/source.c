/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - checks the encoding, finds the lines
 */
#include "lang/source.h"

#include "base/assert.h"

/* Bytes of the UTF-8 sequence at s (NUL-terminated), or 0 when it is none: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
static unsigned sequence_len(const uint8_t *s)
{
    uint8_t low = 0x80, high = 0xBF;
    unsigned n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    switch (s[0]) {
    case 0xE0: low = 0xA0; break;
    case 0xED: high = 0x9F; break;
    case 0xF0: low = 0x90; break;
    case 0xF4: high = 0x8F; break;
    }
    if (s[1] < low || s[1] > high)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

static uint32_t chars_in(const uint8_t *s, uint32_t from, uint32_t to)
{
    uint32_t n = 0;

    for (uint32_t i = from; i < to; i++)
        n += (s[i] & 0xC0) != 0x80;
    return n;
}

static uint32_t *count_chars(struct arena *a, const uint8_t *s, uint32_t len)
{
    uint32_t blocks = len / SOURCE_BLOCK, *chars = ARENA_NEW_ARRAY(a, uint32_t, blocks + 1);

    for (uint32_t i = 1; i <= blocks; i++)
        chars[i] = chars[i - 1] + chars_in(s, (i - 1) * SOURCE_BLOCK, i * SOURCE_BLOCK);
    return chars;
}

uint32_t source_open(struct arena *a, const char *name, const char *text, uint32_t len,
                     struct source *ret_source)
{
    const uint8_t *s = (const uint8_t *)text;
    uint32_t lines = 1, at = 0, bad = len;

    ASSERT(len <= SOURCE_BYTES_MAX && text[len] == 0);
    for (uint32_t i = 0; i < len; i++)
        lines += s[i] == '\n';
    *ret_source = (struct source){ .name = name, .text = text, .len = len, .n_lines = 1,
                                   .line_start = ARENA_NEW_ARRAY(a, uint32_t, lines),
                                   .chars = count_chars(a, s, len) };
    while (at < len) {
        unsigned n = sequence_len(s + at);

        if (n == 0 && bad == len)
            bad = at;
        if (s[at] == '\n')
            ret_source->line_start[ret_source->n_lines++] = at + 1;
        at += n != 0 ? n : 1;
    }
    ret_source->valid = bad == len;
    return bad;
}

static uint32_t line_of(const struct source *s, uint32_t at)
{
    uint32_t low = 0, high = s->n_lines;

    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (s->line_start[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static uint32_t chars_before(const struct source *s, uint32_t at)
{
    uint32_t block = at / SOURCE_BLOCK;

    return s->chars[block] + chars_in((const uint8_t *)s->text, block * SOURCE_BLOCK, at);
}

struct place source_place(const struct source *s, uint32_t at)
{
    uint32_t line = line_of(s, at), column;

    if (at > s->len)
        at = s->len;
    column = chars_before(s, at) - chars_before(s, s->line_start[line]) + 1;
    /* The byte order mark takes no column. */
    if (line == 0 && column > 1 && s->len >= 3 && (uint8_t)s->text[0] == 0xEF
        && (uint8_t)s->text[1] == 0xBB && (uint8_t)s->text[2] == 0xBF)
        column--;
    return (struct place){ line + 1, column };
}

const char *source_line_text(const struct source *s, uint32_t line, uint32_t *ret_len)
{
    uint32_t from, to;

    ASSERT(line >= 1 && line <= s->n_lines);
    from = s->line_start[line - 1];
    to = line < s->n_lines ? s->line_start[line] - 1 : s->len;
    if (line < s->n_lines && to > from && s->text[to - 1] == '\r')
        to--;
    if (from == 0 && to >= 3 && (uint8_t)s->text[0] == 0xEF && (uint8_t)s->text[1] == 0xBB
        && (uint8_t)s->text[2] == 0xBF)
        from = 3;
    *ret_len = to - from;
    return s->text + from;
}
