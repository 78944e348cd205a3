/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence.c - who sent what to whom, as a diagram: lines of text, SVG, Mermaid
 */
#include "ctl/sequence.h"

#include "base/alloc.h"

#include <string.h>

#define OTHERS "others"

/* --- collecting ------------------------------------------------------------------------------ */

static unsigned party(struct sequence *s, const char *name)
{
    if (name == NULL)
        name = "node";
    for (unsigned i = 0; i < s->nparties; i++) {
        if (strcmp(s->parties[i], name) == 0)
            return i;
    }
    if (s->nparties == SEQUENCE_PARTIES_MAX)
        return SEQUENCE_PARTIES_MAX - 1;
    s->parties[s->nparties] = mem_strdup(s->nparties + 1 == SEQUENCE_PARTIES_MAX ? OTHERS : name);
    return s->nparties++;
}

void sequence_add(struct sequence *s, const char *from, const char *to, const char *label)
{
    struct sequence_event *e;

    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->at = mem_realloc(s->at, s->cap * sizeof s->at[0]);
    }
    e = &s->at[s->n++];
    e->from = party(s, from);
    e->to = party(s, to);
    e->label = mem_strdup(label);
}

void sequence_fini(struct sequence *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->at[i].label);
    for (unsigned i = 0; i < s->nparties; i++)
        mem_free(s->parties[i]);
    mem_free(s->at);
    *s = (struct sequence){ 0 };
}

/* --- text ------------------------------------------------------------------------------------ */

#define COLUMN 14

static void text_heads(const struct sequence *s, struct buf *out)
{
    for (unsigned i = 0; i < s->nparties; i++)
        buf_printf(out, "%-*.*s", COLUMN, COLUMN - 1, s->parties[i]);
    buf_u8(out, '\n');
}

/* A lifeline in each column, the arrow over those between its ends. */
static void text_event(const struct sequence *s, const struct sequence_event *e, struct buf *out)
{
    unsigned left = e->from < e->to ? e->from : e->to, right = e->from < e->to ? e->to : e->from;

    for (unsigned i = 0; i < s->nparties; i++) {
        bool inside = i >= left && i < right;

        if (left == right)
            buf_str(out, i == left ? "●" : "│");
        else if (i == left)
            buf_str(out, e->to == left ? "│◀" : "├─");
        else if (i == right)
            buf_str(out, e->to == right ? "│" : "┤");
        else
            buf_str(out, inside ? "┼─" : "│");
        for (unsigned k = inside ? 2 : 1; k < COLUMN && i + 1 < s->nparties; k++)
            buf_str(out, !inside ? " " : k + 1 == COLUMN && i + 1 == right && e->to == right ? "▶"
                                                                                             : "─");
    }
    buf_printf(out, "  %s\n", e->label);
}

static void draw_text(const struct sequence *s, struct buf *out)
{
    text_heads(s, out);
    for (size_t i = 0; i < s->n; i++)
        text_event(s, &s->at[i], out);
}

/* --- SVG ------------------------------------------------------------------------------------- */

#define LANE 170
#define STEP 26
#define TOP  50

static void svg_event(const struct sequence_event *e, unsigned y, struct buf *out)
{
    unsigned x1 = e->from * LANE + LANE / 2, x2 = e->to * LANE + LANE / 2;
    size_t n = strlen(e->label), letters = utf8_start(e->label, n < 60 ? n : 60);

    if (e->from == e->to)
        buf_printf(out, "<circle cx=\"%u\" cy=\"%u\" r=\"4\"/>"
                   "<text x=\"%u\" y=\"%u\">", x1, y, x1 + 9, y + 4);
    else
        buf_printf(out, "<path d=\"M%u %uH%u\" stroke=\"#333\" marker-end=\"url(#a)\"/>"
                   "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">", x1, y, x2, (x1 + x2) / 2,
                   y - 4);
    buf_str(out, "<title>");
    buf_markup(out, e->label, n);
    buf_str(out, "</title>");
    buf_markup(out, e->label, letters);
    buf_str(out, letters < n ? "…</text>\n" : "</text>\n");
}

static void draw_svg(const struct sequence *s, struct buf *out)
{
    unsigned width = s->nparties * LANE, height = TOP + ((unsigned)s->n + 1) * STEP;

    buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
               "height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n"
               "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
               "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", width, height, width,
               height);
    for (unsigned i = 0; i < s->nparties; i++) {
        unsigned x = i * LANE + LANE / 2;

        buf_printf(out, "<path d=\"M%u 36V%u\" stroke=\"#bbb\"/>"
                   "<rect x=\"%u\" y=\"10\" width=\"%d\" height=\"26\" rx=\"4\" fill=\"#dde7f3\"/>"
                   "<text x=\"%u\" y=\"28\" text-anchor=\"middle\">", x, height, x - LANE / 2 + 8,
                   LANE - 16, x);
        buf_markup(out, s->parties[i], strlen(s->parties[i]));
        buf_str(out, "</text>\n");
    }
    for (size_t i = 0; i < s->n; i++)
        svg_event(&s->at[i], TOP + (unsigned)(i + 1) * STEP - 8, out);
    buf_str(out, "</svg>\n");
}

/* --- Mermaid ---------------------------------------------------------------------------------- */

/* Its texts end at a newline or semicolon, and # begins the number of a character. */
static void mermaid_text(struct buf *out, const char *s)
{
    for (; *s != 0; s++) {
        if (*s == ';' || *s == '#' || *s == '<' || *s == '>')
            buf_printf(out, "#%d;", *s);
        else
            buf_u8(out, *s == '\n' ? ' ' : (uint8_t)*s);
    }
    buf_u8(out, '\n');
}

static void draw_mermaid(const struct sequence *s, struct buf *out)
{
    buf_str(out, "sequenceDiagram\n");
    for (unsigned i = 0; i < s->nparties; i++) {
        buf_printf(out, "    participant p%u as ", i);
        mermaid_text(out, s->parties[i]);
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct sequence_event *e = &s->at[i];

        if (e->from == e->to)
            buf_printf(out, "    Note over p%u: ", e->from);
        else
            buf_printf(out, "    p%u->>p%u: ", e->from, e->to);
        mermaid_text(out, e->label);
    }
}

void sequence_draw(const struct sequence *s, enum sequence_form form, struct buf *out)
{
    switch (form) {
    case SEQUENCE_TEXT:
        draw_text(s, out);
        break;
    case SEQUENCE_SVG:
        draw_svg(s, out);
        break;
    case SEQUENCE_MERMAID:
        draw_mermaid(s, out);
        break;
    }
}
