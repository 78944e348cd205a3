/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flame.c - many stacks as one tree, and the tree as text, table and picture
 */
#include "ctl/flame.h"

#include "base/alloc.h"
#include "term/print.h"

#include <stdlib.h>

#define NODES_MAX 200000

void flame_init(struct flame *f)
{
    *f = (struct flame){ .n = 1, .cap = 256 };
    f->at = MEM_NEW_ARRAY(struct flame_node, f->cap);
}

void flame_fini(struct flame *f)
{
    mem_free(f->at);
    *f = (struct flame){ 0 };
}

static bool is_same(const struct profile_frame *a, const struct profile_frame *b)
{
    return a->function == b->function && a->module == b->module && a->arity == b->arity;
}

/* The child of `parent` with that frame, made if new; 0: no room. */
static uint32_t child_of(struct flame *f, uint32_t parent, const struct profile_frame *frame)
{
    for (uint32_t i = f->at[parent].child; i != 0; i = f->at[i].sibling) {
        if (is_same(&f->at[i].frame, frame))
            return i;
    }
    if (f->n == NODES_MAX)
        return 0;
    if (f->n == f->cap) {
        f->cap *= 2;
        f->at = mem_realloc(f->at, f->cap * sizeof f->at[0]);
    }
    f->at[f->n] = (struct flame_node){ .frame = *frame, .sibling = f->at[parent].child };
    f->at[parent].child = (uint32_t)f->n;
    return (uint32_t)f->n++;
}

void flame_add(struct flame *f, const struct profile_frame *frames, size_t n)
{
    uint32_t path[PROFILE_DEPTH_MAX + 1] = { 0 };

    for (size_t i = 0; i < n; i++) {
        path[i + 1] = child_of(f, path[i], &frames[n - 1 - i]);
        if (path[i + 1] == 0) {
            f->missed++;
            return;
        }
    }
    for (size_t i = 0; i <= n; i++)
        f->at[path[i]].total++;
    f->at[path[n]].self++;
}

void flame_name(struct buf *out, const struct profile_frame *frame)
{
    atom_print(out, frame->module);
    buf_u8(out, ':');
    atom_print(out, frame->function);
    buf_printf(out, "/%u", frame->arity);
}

/* --- text ------------------------------------------------------------------------------------ */

/* path: the outer names with a semicolon behind each. */
static void fold(const struct flame *f, uint32_t at, struct buf *path, struct buf *out)
{
    for (uint32_t i = f->at[at].child; i != 0; i = f->at[i].sibling) {
        size_t len = path->len;

        flame_name(path, &f->at[i].frame);
        if (f->at[i].self > 0) {
            buf_add(out, path->data, path->len);
            buf_printf(out, " %u\n", f->at[i].self);
        }
        buf_u8(path, ';');
        fold(f, i, path, out);
        path->len = len;
    }
}

void flame_folded(const struct flame *f, struct buf *out)
{
    struct buf path = { 0 };

    fold(f, 0, &path, out);
    buf_fini(&path);
}

/* --- table ----------------------------------------------------------------------------------- */

static int by_frame(const void *pa, const void *pb, void *arg)
{
    const struct flame *f = arg;
    const struct profile_frame *a = &f->at[*(const uint32_t *)pa].frame;
    const struct profile_frame *b = &f->at[*(const uint32_t *)pb].frame;

    if (a->module != b->module)
        return a->module < b->module ? -1 : 1;
    if (a->function != b->function)
        return a->function < b->function ? -1 : 1;
    return a->arity < b->arity ? -1 : a->arity > b->arity;
}

static int by_self(const void *pa, const void *pb)
{
    const struct flame_row *a = pa, *b = pb;

    if (a->self != b->self)
        return a->self < b->self ? 1 : -1;
    return a->total < b->total ? 1 : a->total > b->total ? -1 : 0;
}

struct summing {
    const struct flame *f;
    const uint32_t *row_of;         /* by node */
    struct flame_row *rows;
    uint32_t *on_path;              /* by row: how often */
};

static void sum(struct summing *s, uint32_t at)
{
    for (uint32_t i = s->f->at[at].child; i != 0; i = s->f->at[i].sibling) {
        uint32_t r = s->row_of[i];

        s->rows[r].self += s->f->at[i].self;
        if (s->on_path[r]++ == 0)
            s->rows[r].total += s->f->at[i].total;
        sum(s, i);
        s->on_path[r]--;
    }
}

size_t flame_functions(const struct flame *f, struct flame_row **ret)
{
    uint32_t *order = MEM_NEW_ARRAY(uint32_t, f->n), *row_of = MEM_NEW_ARRAY(uint32_t, f->n);
    struct summing s = { .f = f, .row_of = row_of };
    size_t n = 0;

    s.rows = MEM_NEW_ARRAY(struct flame_row, f->n);
    s.on_path = MEM_NEW_ARRAY(uint32_t, f->n);
    for (uint32_t i = 1; i < f->n; i++)
        order[i - 1] = i;
    qsort_r(order, f->n - 1, sizeof order[0], by_frame, (void *)(uintptr_t)f);
    for (size_t i = 0; i + 1 < f->n; i++) {
        if (i == 0 || !is_same(&f->at[order[i]].frame, &f->at[order[i - 1]].frame))
            s.rows[n++].frame = f->at[order[i]].frame;
        row_of[order[i]] = (uint32_t)n - 1;
    }
    sum(&s, 0);
    qsort(s.rows, n, sizeof s.rows[0], by_self);
    mem_free(s.on_path);
    mem_free(row_of);
    mem_free(order);
    *ret = s.rows;
    return n;
}

/* --- picture --------------------------------------------------------------------------------- */

#define WIDTH       1200.0
#define ROW_HEIGHT  17
#define HEAD_HEIGHT 34
#define LETTER      6.6         /* width of one, of the font below */
#define NARROWEST   0.4         /* narrower boxes are left out */

/* Modules differ in colour, so that one sees where the time of a module is. */
static unsigned hue_of(term module)
{
    return (unsigned)((module * 0x9E3779B97F4A7C15u) >> 33) % 70;       /* red to yellow */
}

struct drawing { const struct flame *f; struct buf *out; unsigned height; };

static void draw_box(const struct drawing *d, uint32_t i, double x, double width, unsigned depth)
{
    const struct flame_node *node = &d->f->at[i];
    unsigned y = d->height - (depth + 1) * ROW_HEIGHT;
    size_t letters = (size_t)(width / LETTER);
    struct buf name = { 0 };

    flame_name(&name, &node->frame);
    buf_printf(d->out, "<g><title>");
    buf_markup(d->out, buf_cstr(&name), name.len);
    buf_printf(d->out, ": %.1f %%, %u samples, %u of its own</title>"
               "<rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" fill=\"hsl(%u,75%%,68%%)\"/>",
               100.0 * node->total / d->f->at[0].total, node->total, node->self, x, y,
               width > 1 ? width - 0.5 : width, ROW_HEIGHT - 1, hue_of(node->frame.module));
    if (letters > 3) {
        size_t n = utf8_start(name.data, name.len <= letters - 1 ? name.len : letters - 2);

        buf_printf(d->out, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 12);
        buf_markup(d->out, buf_cstr(&name), n);
        buf_str(d->out, n < name.len ? "…</text>" : "</text>");
    }
    buf_str(d->out, "</g>\n");
    buf_fini(&name);
}

static void draw(const struct drawing *d, uint32_t at, double x, unsigned depth)
{
    for (uint32_t i = d->f->at[at].child; i != 0; i = d->f->at[i].sibling) {
        double width = WIDTH * d->f->at[i].total / d->f->at[0].total;

        if (width >= NARROWEST) {
            draw_box(d, i, x, width, depth);
            draw(d, i, x, depth + 1);
        }
        x += width;
    }
}

static unsigned depth_of(const struct flame *f, uint32_t at)
{
    unsigned deepest = 0;

    for (uint32_t i = f->at[at].child; i != 0; i = f->at[i].sibling) {
        unsigned depth = 1 + depth_of(f, i);

        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

void flame_svg(const struct flame *f, const char *title, struct buf *out)
{
    struct drawing d = { f, out, HEAD_HEIGHT + depth_of(f, 0) * ROW_HEIGHT };

    buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %u\" "
               "width=\"%.0f\" height=\"%u\" font-family=\"monospace\" font-size=\"11\">\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
               "<text x=\"3\" y=\"18\" font-size=\"14\">", WIDTH, d.height, WIDTH, d.height);
    buf_markup(out, title, strlen(title));
    buf_str(out, "</text>\n");
    if (f->at[0].total > 0)
        draw(&d, 0, 0, 0);
    buf_str(out, "</svg>\n");
}
