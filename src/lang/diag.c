/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.c - collecting, sorting and printing diagnostics
 */
#include "lang/diag.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void diags_init(struct diags *d, struct arena *a, const struct source *sources)
{
    *d = (struct diags){ .arena = a, .sources = sources };
}

static char *format(struct diags *d, const char *fmt, va_list ap)
{
    va_list again;
    int len;
    char *text;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    ASSERT(len >= 0);
    text = arena_alloc(d->arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

static struct diagnostic *add(struct diags *d, enum diag_severity severity, struct span at,
                              const char *code, const char *message)
{
    struct diagnostic *item = ARENA_NEW(d->arena, struct diagnostic);

    *item = (struct diagnostic){ severity, code, at, message, NULL, (uint32_t)d->n };
    d->items = arena_grow(d->arena, d->items, d->n, &d->cap, sizeof *d->items);
    d->items[d->n++] = item;
    if (severity == DIAG_ERROR)
        d->n_errors++;
    else
        d->n_warnings++;
    return item;
}

struct diagnostic *diag_error(struct diags *d, struct span at, const char *code,
                              const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(d, fmt, ap);
    va_end(ap);
    return add(d, DIAG_ERROR, at, code, text);
}

struct diagnostic *diag_warning(struct diags *d, struct span at, const char *code,
                                const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(d, fmt, ap);
    va_end(ap);
    return add(d, DIAG_WARNING, at, code, text);
}

static void add_remark(struct diags *d, struct diagnostic *to, bool is_hint, char *text)
{
    struct diag_remark **at = &to->remarks;

    while (*at != NULL)
        at = &(*at)->next;
    *at = ARENA_NEW(d->arena, struct diag_remark);
    **at = (struct diag_remark){ NULL, is_hint, text };
}

void diag_hint(struct diags *d, struct diagnostic *to, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_remark(d, to, true, format(d, fmt, ap));
    va_end(ap);
}

void diag_note(struct diags *d, struct diagnostic *to, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_remark(d, to, false, format(d, fmt, ap));
    va_end(ap);
}

static int by_place(const void *pa, const void *pb)
{
    const struct diagnostic *a = *(struct diagnostic *const *)pa;
    const struct diagnostic *b = *(struct diagnostic *const *)pb;

    if (a->span.file != b->span.file)
        return a->span.file < b->span.file ? -1 : 1;
    if (a->span.from != b->span.from)
        return a->span.from < b->span.from ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void sort(struct diags *d)
{
    if (d->n > 1)
        qsort(d->items, d->n, sizeof *d->items, by_place);
}

/* --- for people ------------------------------------------------------------------------------ */

/* Of a long line only a window around the marked place is shown. */
#define EXCERPT_MAX 240u

/* Characters that would move a terminal's cursor, and bytes that are no text, become a question
 * mark; tabs stay. */
static void add_line(struct buf *out, const char *text, uint32_t len, bool utf8)
{
    for (uint32_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        buf_u8(out, (c < 32 && c != '\t') || c == 127 || (c >= 128 && !utf8) ? '?' : c);
    }
}

/* Move the window so that it starts before `from`, at the start of a character. */
static void narrow(const char **text, uint32_t *len, uint32_t from)
{
    uint32_t skip = from > EXCERPT_MAX / 2 ? from - EXCERPT_MAX / 2 : 0;

    if (*len <= EXCERPT_MAX)
        return;
    skip = (uint32_t)utf8_start(*text, skip);
    *text += skip;
    *len = (uint32_t)utf8_start(*text, *len - skip < EXCERPT_MAX ? *len - skip : EXCERPT_MAX);
}

static const char *severity_name(const struct diagnostic *it)
{
    return it->severity == DIAG_ERROR ? "error" : "warning";
}

static void add_blank(struct buf *out, const char *text, uint32_t len, char mark)
{
    for (uint32_t i = 0; i < len; i++)
        if (((uint8_t)text[i] & 0xC0) != 0x80)
            buf_u8(out, text[i] == '\t' && mark == ' ' ? '\t' : (uint8_t)mark);
}

/* The line and, under it, carets: at least one, at most to the end of the line. */
static int add_excerpt(struct buf *out, const struct source *s, const struct diagnostic *it,
                       struct place at)
{
    uint32_t len, from, to, start;
    const char *text = source_line_text(s, at.line, &len);
    int digits = snprintf(NULL, 0, "%u", at.line);

    start = (uint32_t)(text - s->text);
    narrow(&text, &len, it->span.from > start ? it->span.from - start : 0);
    start = (uint32_t)(text - s->text);
    buf_printf(out, "%*s |\n%u | ", digits, "", at.line);
    add_line(out, text, len, s->valid);
    buf_printf(out, "\n%*s | ", digits, "");
    from = it->span.from > start ? it->span.from - start : 0;
    from = from < len ? from : len;
    to = it->span.to > start ? it->span.to - start : 0;
    to = to < len ? to : len;
    add_blank(out, text, from, ' ');
    if (to > from)
        add_blank(out, text + from, to - from, '^');
    else
        buf_u8(out, '^');
    buf_u8(out, '\n');
    return digits;
}

static void print_one(struct buf *out, struct diags *d, const struct diagnostic *it)
{
    const struct source *s = &d->sources[it->span.file];
    struct place at = source_place(s, it->span.from);
    int digits;

    buf_printf(out, "%s[%s]: %s\n", severity_name(it), it->code, it->message);
    buf_printf(out, " --> %s:%u:%u\n", s->name, at.line, at.column);
    digits = add_excerpt(out, s, it, at);
    for (const struct diag_remark *r = it->remarks; r != NULL; r = r->next)
        buf_printf(out, "%*s = %s: %s\n", digits, "", r->is_hint ? "hint" : "note", r->text);
}

void diags_print(struct buf *out, struct diags *d)
{
    size_t errors = 0, warnings = 0;
    bool first = true;

    sort(d);
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i]->severity == DIAG_ERROR ? errors++ >= DIAG_ERRORS_SHOWN
                                                : warnings++ >= DIAG_WARNINGS_SHOWN)
            continue;
        if (!first)
            buf_u8(out, '\n');
        first = false;
        print_one(out, d, d->items[i]);
    }
    if (errors > DIAG_ERRORS_SHOWN)
        buf_printf(out, "\nand %zu more errors\n", errors - DIAG_ERRORS_SHOWN);
    if (warnings > DIAG_WARNINGS_SHOWN)
        buf_printf(out, "\nand %zu more warnings\n", warnings - DIAG_WARNINGS_SHOWN);
}

/* --- for programs ---------------------------------------------------------------------------- */

static void add_json_text(struct buf *out, const char *s)
{
    buf_u8(out, '"');
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 32)
            buf_printf(out, "\\u%04x", c);
        else
            buf_u8(out, c);
    }
    buf_u8(out, '"');
}

static void print_one_json(struct buf *out, struct diags *d, const struct diagnostic *it)
{
    const struct source *s = &d->sources[it->span.file];
    struct place at = source_place(s, it->span.from), end = source_place(s, it->span.to);
    bool first = true;

    buf_printf(out, "{\"severity\":\"%s\",\"code\":\"%s\",\"message\":", severity_name(it),
               it->code);
    add_json_text(out, it->message);
    buf_str(out, ",\"file\":");
    add_json_text(out, s->name);
    buf_printf(out, ",\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u,\"hints\":[",
               at.line, at.column, end.line, end.column);
    for (const struct diag_remark *r = it->remarks; r != NULL; r = r->next) {
        if (!first)
            buf_u8(out, ',');
        first = false;
        add_json_text(out, r->text);
    }
    buf_str(out, "]}\n");
}

void diags_print_json(struct buf *out, struct diags *d)
{
    size_t errors = 0;

    sort(d);
    for (size_t i = 0; i < d->n; i++)
        if (d->items[i]->severity != DIAG_ERROR || errors++ < DIAG_ERRORS_SHOWN)
            print_one_json(out, d, d->items[i]);
}

/* --- codes ----------------------------------------------------------------------------------- */

static const struct { const char *code, *title, *text; } codes[] = {
#define CODE(code, title, text) { #code, title, text },
#include "lang/codes.tab"
#undef CODE
};

const char *diag_title(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].title;
    return NULL;
}

const char *diag_explanation(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].text;
    return NULL;
}
