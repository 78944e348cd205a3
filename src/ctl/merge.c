/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c - rows of many into one table, records and texts in a row
 *
 * Frames that are made here go through the writer and the reader of frames, so that they are freed
 * like those that came over the socket.
 */
#include "ctl/merge.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/exits.h"

#include <stdlib.h>
#include <string.h>

static frame_t *owned_frame(const frame_t *f)
{
    struct buf b = { 0 };
    frame_t *copy = NULL;
    size_t used;

    if (frame_write(&b, f) < 0 || frame_read(b.data, b.len, &copy, &used) <= 0)
        copy = NULL;
    buf_fini(&b);
    return copy;
}

void merge_begin(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct part *p = &m->parts[i];

        p->own = *m->all;
        p->own.node = p->node;
        p->own.prefix = p->node;
        if (p->own.progress != NULL && p->own.progress->form == PROGRESS_BAR)
            p->own.progress->form = PROGRESS_PLAIN;     /* bars of several would overwrite each other */
        p->own.out = open_memstream(&p->text, &p->text_len);
        if (p->own.out == NULL)
            abort();            /* as for any memory that is not there */
    }
}

/* --- merged rows ---------------------------------------------------------------------- */

static size_t column_named(const head_t *h, const char *name)
{
    for (size_t i = 0; i < h->n_columns; i++) {
        if (strcasecmp(h->columns[i]->name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* Show a head or row that was put together here. False: it is too long to be one. */
static bool show_made(struct merge *m, const frame_t *f)
{
    frame_t *made = owned_frame(f);

    if (made != NULL)
        render_frame(m->all, made);
    return made != NULL;
}

/* The head of the table is that of the first answer, with the node in front. */
static void start_table(struct merge *m, const head_t *h)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    head_t head = *h;
    column_t node = RNODE__CONTROL__COLUMN__INIT;

    head.columns = MEM_NEW_ARRAY(column_t *, h->n_columns + 1);
    memcpy(head.columns + 1, h->columns, h->n_columns * sizeof h->columns[0]);
    head.columns[0] = &node;
    head.n_columns = h->n_columns + 1;
    head.record = false;
    node.name = (char *)(uintptr_t)(column_named(h, "node") == SIZE_MAX ? "node" : "asked");
    f.body_case = RNODE__CONTROL__CONTROL__BODY_HEAD;
    f.head = &head;
    (void)show_made(m, &f);
    mem_free(head.columns);
}

/* Takes f. */
static void part_head(struct merge *m, struct part *p, frame_t *f)
{
    const head_t *all;

    p->head = f;
    if (m->all->head == NULL)
        start_table(m, f->head);
    if (m->all->head == NULL)
        return;
    all = m->all->head->head;
    p->columns = MEM_NEW_ARRAY(size_t, all->n_columns);
    for (size_t i = 1; i < all->n_columns; i++)
        p->columns[i] = column_named(f->head, all->columns[i]->name);
}

static void part_row(struct merge *m, struct part *p, const row_t *row)
{
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    row_t merged = RNODE__CONTROL__ROW__INIT;
    cell_t node = RNODE__CONTROL__CELL__INIT, none = RNODE__CONTROL__CELL__INIT;

    if (p->columns == NULL)
        return;
    node.text = (char *)(uintptr_t)p->node;
    none.text = (char *)(uintptr_t)"-";
    merged.n_cells = m->all->head->head->n_columns;
    merged.cells = MEM_NEW_ARRAY(cell_t *, merged.n_cells);
    merged.cells[0] = &node;
    for (size_t i = 1; i < merged.n_cells; i++)
        merged.cells[i] = p->columns[i] < row->n_cells ? row->cells[p->columns[i]] : &none;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_ROW;
    f.row = &merged;
    if (!show_made(m, &f))
        fprintf(m->all->err, "%s: a row is too long to be shown\n", p->node);
    mem_free(merged.cells);
}

/* Does the answer with this head stay apart from the others? */
static bool stays_apart(const struct merge *m, const head_t *h)
{
    return m->all->form == FORM_JSON ||
           (m->all->form <= FORM_WIDE && h->record && strcmp(h->schema, "rnode.call/1") != 0);
}

void merge_frame(struct merge *m, struct part *p, frame_t *f)
{
    switch (f->body_case) {
    case RNODE__CONTROL__CONTROL__BODY_DONE:
        frame_free(p->done);
        p->done = f;
        return;
    case RNODE__CONTROL__CONTROL__BODY_HEAD:
        if (stays_apart(m, f->head))
            break;
        part_head(m, p, f);
        return;
    case RNODE__CONTROL__CONTROL__BODY_ROW:
        if (p->own.head != NULL)
            break;
        part_row(m, p, f->row);
        frame_free(f);
        return;
    default:
        break;
    }
    render_frame(&p->own, f);
}

void merge_fail(struct part *p, int exit, const char *code, const char *message)
{
    const struct explanation *ex = explanation_find(code);
    frame_t f = RNODE__CONTROL__CONTROL__INIT;
    done_t d = RNODE__CONTROL__DONE__INIT;

    d.exit = (uint32_t)exit;
    d.code = (char *)(uintptr_t)code;
    d.message = (char *)(uintptr_t)message;
    if (ex != NULL)
        d.hint = (char *)(uintptr_t)ex->hint;
    f.body_case = RNODE__CONTROL__CONTROL__BODY_DONE;
    f.done = &d;
    frame_free(p->done);
    p->done = owned_frame(&f);
}

/* --- the end -------------------------------------------------------------------------- */

/* The envelope of one node without what all have in common. */
static json_t *json_part(const struct part *p)
{
    bool good = p->done->done->code[0] == 0;
    json_t *j = render_json(&p->own, p->done->done), *e;

    json_object_del(j, "schema");
    json_object_del(j, "time");
    if (good)
        return j;
    e = render_json_error(p->done->done);
    json_object_set(j, "error", json_object_get(e, "error"));
    json_decref(e);
    return j;
}

static void end_json(struct merge *m)
{
    done_t none = RNODE__CONTROL__DONE__INIT;
    json_t *nodes = json_array(), *j;
    struct render *first = &m->parts[0].own;

    for (size_t i = 0; i < m->n; i++) {
        if (m->parts[i].own.head != NULL && first->head == NULL)
            first = &m->parts[i].own;
        json_array_append_new(nodes, json_part(&m->parts[i]));
    }
    j = render_json(first, &none);
    json_object_del(j, "node");
    json_object_del(j, "items");
    json_object_del(j, "output");
    json_object_del(j, "message");
    json_object_del(j, "left_out");
    json_object_set_new(j, "nodes", nodes);
    json_dumpf(j, m->all->out, JSON_COMPACT);
    fputc('\n', m->all->out);
    json_decref(j);
}

/* What one node has written, under its name. The status of a node begins with that anyway. */
static void end_text(struct merge *m, struct part *p)
{
    bool named = p->own.head != NULL && strcmp(p->own.head->head->schema, "rnode.status/1") == 0;

    fflush(p->own.out);
    if (p->text_len == 0)
        return;
    if (!named)
        fprintf(m->all->out, "%s== %s%s\n", m->all->color ? "\033[1m" : "", p->node,
                m->all->color ? "\033[0m" : "");
    fwrite(p->text, 1, p->text_len, m->all->out);
}

static const struct merge *sorting;     /* qsort has no argument for it */

/* Numbers from large to small, as the node sorts them, texts by the alphabet. */
static int by_column(const void *a, const void *b)
{
    const row_t *x = (*(frame_t *const *)a)->row, *y = (*(frame_t *const *)b)->row;
    const head_t *h = sorting->all->head->head;
    size_t i = column_named(h, sorting->sort);

    if (i >= x->n_cells || i >= y->n_cells)
        return 0;
    if (h->columns[i]->kind == RNODE__CONTROL__COLUMN__KIND__TEXT)
        return strcmp(x->cells[i]->text, y->cells[i]->text);
    return x->cells[i]->number < y->cells[i]->number ? 1
           : x->cells[i]->number > y->cells[i]->number ? -1 : 0;
}

static void sort_rows(struct merge *m)
{
    struct render *r = m->all;

    if (m->sort == NULL || r->head == NULL || column_named(r->head->head, m->sort) == SIZE_MAX)
        return;
    sorting = m;
    qsort(r->rows, r->nrows, sizeof r->rows[0], by_column);
    while (m->limit > 0 && r->nrows > m->limit)
        frame_free(r->rows[--r->nrows]);
}

static void end_rows(struct merge *m)
{
    done_t none = RNODE__CONTROL__DONE__INIT;

    for (size_t i = 0; i < m->n; i++) {
        render_end(&m->parts[i].own, m->parts[i].done->done);
        end_text(m, &m->parts[i]);
    }
    sort_rows(m);
    render_end(m->all, &none);
}

static int end_error(struct merge *m, const struct part *p)
{
    done_t d = *p->done->done;

    if (d.exit == EXIT_OK || d.code[0] == 0)
        return (int)d.exit;
    fflush(m->all->out);
    d.message = mem_printf("%s: %s", p->node, d.message);
    render_error(m->all, &d);
    mem_free(d.message);
    return (int)d.exit;
}

int merge_end(struct merge *m)
{
    int exit = EXIT_OK;

    if (m->all->form == FORM_JSON)
        end_json(m);
    else
        end_rows(m);
    for (size_t i = 0; i < m->n; i++) {
        int one = end_error(m, &m->parts[i]);

        if (exit == EXIT_OK)
            exit = one;
    }
    return exit;
}

void merge_fini(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct part *p = &m->parts[i];

        fclose(p->own.out);
        free(p->text);
        render_fini(&p->own);
        frame_free(p->head);
        frame_free(p->done);
        mem_free(p->columns);
    }
}
