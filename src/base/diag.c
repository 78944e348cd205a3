/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.c - message, place, line, marker
 */
#include "base/diag.h"

#include <stdio.h>

const char *source_line(const char *source, size_t line, size_t *ret_len)
{
    const char *at = source, *end;

    while (line > 1 && (end = strchr(at, '\n')) != NULL) {
        at = end + 1;
        line--;
    }
    if (line != 1)
        return NULL;
    end = strchr(at, '\n');
    *ret_len = end != NULL ? (size_t)(end - at) : strlen(at);
    return at;
}

static void add_line(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        buf_u8(out, c < 32 || c == 127 ? ' ' : c);
    }
}

static void add_marked(struct buf *out, const struct diag *d, const char *source, bool utf8)
{
    const char *bar = utf8 ? "│" : "|";
    size_t len, digits;
    const char *text = source_line(source, d->line, &len);

    if (text == NULL)
        return;
    digits = (size_t)snprintf(NULL, 0, "%zu", d->line);
    buf_printf(out, "%zu%s ", d->line, bar);
    add_line(out, text, len < 200 ? len : 200);
    buf_printf(out, "\n%*s%s ", (int)digits, "", bar);
    if (d->column > 1)
        buf_printf(out, "%*s", (int)(d->column - 1), "");
    for (size_t i = 0; i < d->width || i == 0; i++)
        buf_u8(out, '^');
    if (d->note != NULL)
        buf_printf(out, " %s", d->note);
    buf_u8(out, '\n');
}

void diag_print(struct buf *out, const struct diag *d, const char *source, bool utf8)
{
    buf_printf(out, "error[%s]: %s\n", d->code, d->message);
    if (d->file != NULL && d->line != 0) {
        buf_printf(out, "  %s %s:%zu:%zu\n", utf8 ? "┌─" : "-->", d->file, d->line,
                   d->column != 0 ? d->column : 1);
        if (source != NULL && d->column != 0)
            add_marked(out, d, source, utf8);
    } else if (d->file != NULL) {
        buf_printf(out, "  %s %s\n", utf8 ? "┌─" : "-->", d->file);
    }
    if (d->column == 0 && d->note != NULL)
        buf_printf(out, "  = %s\n", d->note);
    if (d->help != NULL)
        buf_printf(out, "  = Try:  %s\n", d->help);
}
