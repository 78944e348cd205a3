/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render.c - answers for eyes and for programs
 */
#include "ctl/render.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <utf8proc.h>

bool output_form_parse(const char *text, enum output_form *ret)
{
    static const char *const names[] = { "table", "wide", "json", "jsonl", "tsv" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum output_form)i;
            return true;
        }
    }
    return false;
}

void add_escaped(struct buf *out, const char *s, bool newlines)
{
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c < 32 && !(newlines && (c == '\n' || c == '\t'))) || c == 127)
            buf_printf(out, "\\x%02X", c);
        /* C1 controls are two bytes, C2 80..9F */
        else if (c == 0xC2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xA0)
            buf_printf(out, "\\x%02X", (unsigned char)*++s);
        else
            buf_u8(out, c);
    }
}

/* Columns of the terminal that s takes. */
static size_t display_width(const char *s)
{
    size_t width = 0;
    utf8proc_int32_t c;
    utf8proc_ssize_t n;

    while (*s != 0 && (n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c)) > 0) {
        width += (size_t)utf8proc_charwidth(c);
        s += n;
    }
    return width;
}

static bool is_text(const column_t *c)
{
    return c->kind == RNODE__CONTROL__COLUMN__KIND__TEXT || c->kind == RNODE__CONTROL__COLUMN__KIND__JSON;
}

/* --- cells -------------------------------------------------------------------------- */

static void add_iso_time(struct buf *out, int64_t ns)
{
    time_t sec = (time_t)(ns / 1000000000);
    struct tm tm;

    gmtime_r(&sec, &tm);
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ns / 1000000 % 1000));
}

static void add_time_ago(struct buf *out, int64_t ns)
{
    char text[UNIT_TEXT_MAX];

    if (ns == 0)
        buf_str(out, "-");
    else
        buf_printf(out, "%s ago", age_text(clock_system_ns() - ns, text));
}

/* Text in one line: a line break and the blanks after it become a separator. */
static void add_one_line(struct buf *out, const char *s)
{
    for (const char *nl; (nl = strchr(s, '\n')) != NULL; s = nl + 1 + strspn(nl + 1, " ")) {
        char *line = mem_printf("%.*s", (int)(nl - s), s);

        add_escaped(out, line, false);
        buf_str(out, " · ");
        mem_free(line);
    }
    add_escaped(out, s, false);
}

/* A cell for people. */
static void add_cell(struct buf *out, const column_t *col, const cell_t *c)
{
    char text[UNIT_TEXT_MAX];

    if (c->text[0] != 0 || is_text(col)) {
        add_one_line(out, c->text);
        return;
    }
    switch (col->kind) {
    case RNODE__CONTROL__COLUMN__KIND__BYTES:
        buf_str(out, size_text((uint64_t)c->number, text));
        break;
    case RNODE__CONTROL__COLUMN__KIND__RATE:
        buf_str(out, rate_text((uint64_t)c->number, text));
        break;
    case RNODE__CONTROL__COLUMN__KIND__NANOSECONDS:
        buf_str(out, age_text(c->number, text));
        break;
    case RNODE__CONTROL__COLUMN__KIND__TIME:
        add_time_ago(out, c->number);
        break;
    case RNODE__CONTROL__COLUMN__KIND__FLAG:
        buf_str(out, c->number != 0 ? "yes" : "no");
        break;
    default:
        buf_str(out, c->number < 0 ? "-" : count_text((uint64_t)c->number, text));
        break;
    }
}

/* A cell in base units: bytes, seconds, counts. */
static json_t *json_cell(const column_t *col, const cell_t *c)
{
    struct buf b = { 0 };
    json_t *j;

    if (col->kind == RNODE__CONTROL__COLUMN__KIND__JSON) {
        j = json_loads(c->text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        return j != NULL ? j : json_string(c->text);
    }
    if (is_text(col))
        return c->text[0] != 0 ? json_string(c->text) : json_string("");
    if (c->text[0] != 0)
        return json_null();
    switch (col->kind) {
    case RNODE__CONTROL__COLUMN__KIND__NANOSECONDS:
        return json_real((double)c->number / 1e9);
    case RNODE__CONTROL__COLUMN__KIND__TIME:
        add_iso_time(&b, c->number);
        j = json_string(buf_cstr(&b));
        buf_fini(&b);
        return j;
    case RNODE__CONTROL__COLUMN__KIND__FLAG:
        return json_boolean(c->number != 0);
    default:
        return json_integer(c->number);
    }
}

json_t *render_json_row(const head_t *h, const row_t *row)
{
    json_t *j = json_object();

    for (size_t i = 0; i < h->n_columns && i < row->n_cells; i++)
        json_object_set_new(j, h->columns[i]->name, json_cell(h->columns[i], row->cells[i]));
    return j;
}

static void add_tsv(struct buf *out, const column_t *col, const cell_t *c)
{
    if (is_text(col) || c->text[0] != 0)
        add_escaped(out, c->text, false);
    else if (col->kind == RNODE__CONTROL__COLUMN__KIND__NANOSECONDS)
        buf_printf(out, "%.9g", (double)c->number / 1e9);
    else if (col->kind == RNODE__CONTROL__COLUMN__KIND__TIME)
        add_iso_time(out, c->number);
    else
        buf_printf(out, "%" PRId64, c->number);
}

static void put(struct render *r, struct buf *b)
{
    fwrite(b->data, 1, b->len, r->out);
    buf_fini(b);
}

/* --- as rows come ------------------------------------------------------------------- */

static void tsv_head(struct render *r)
{
    struct buf b = { 0 };
    const head_t *h = r->head->head;

    for (size_t i = 0; i < h->n_columns; i++)
        buf_printf(&b, "%s%s", i > 0 ? "\t" : "", h->columns[i]->name);
    buf_u8(&b, '\n');
    put(r, &b);
}

static void tsv_row(struct render *r, const row_t *row)
{
    struct buf b = { 0 };
    const head_t *h = r->head->head;

    for (size_t i = 0; i < h->n_columns && i < row->n_cells; i++) {
        if (i > 0)
            buf_u8(&b, '\t');
        add_tsv(&b, h->columns[i], row->cells[i]);
    }
    buf_u8(&b, '\n');
    put(r, &b);
}

/* One line at once: the widths of later rows are not known, so columns get a usual width. */
#define STREAM_WIDTH 12

static void stream_row(struct render *r, const row_t *row)
{
    struct buf b = { 0 };
    const head_t *h = r->head->head;
    size_t ends = 0;

    for (size_t i = 0; i < h->n_columns && i < row->n_cells; i++) {
        size_t start;

        if (h->columns[i]->wide && r->form != FORM_WIDE)
            continue;
        if (b.len > 0) {
            while (b.len < ends)
                buf_u8(&b, ' ');
            buf_str(&b, "  ");
        }
        start = b.len;
        add_cell(&b, h->columns[i], row->cells[i]);
        ends = start + STREAM_WIDTH;
    }
    buf_u8(&b, '\n');
    put(r, &b);
    fflush(r->out);
}

static void take_row(struct render *r, frame_t *f)
{
    if (r->head == NULL) {      /* against the protocol; nothing to show it under */
        frame_free(f);
        return;
    }
    if (r->form == FORM_TSV) {
        tsv_row(r, f->row);
    } else if (r->head->head->stream && r->form <= FORM_WIDE) {
        stream_row(r, f->row);
    } else if (r->form == FORM_JSONL) {
        json_t *j = render_json_row(r->head->head, f->row);

        json_dumpf(j, r->out, JSON_COMPACT);
        fputc('\n', r->out);
        json_decref(j);
    } else {
        if (r->nrows == r->cap) {
            r->cap = r->cap == 0 ? 64 : r->cap * 2;
            r->rows = mem_realloc(r->rows, r->cap * sizeof(frame_t *));
        }
        r->rows[r->nrows++] = f;
        return;
    }
    frame_free(f);
}

/* Words for people. */
static void say(struct render *r, const char *text)
{
    fprintf(r->err, "%s%s%s\n", r->prefix != NULL ? r->prefix : "", r->prefix != NULL ? ": " : "",
            text);
}

static void take_chunk(struct render *r, const chunk_t *c)
{
    if (c->stream == RNODE__CONTROL__CHUNK__STREAM__NOTE) {
        struct buf b = { 0 };
        char *text = mem_printf("%.*s", (int)c->data.len, (const char *)c->data.data);

        add_escaped(&b, text, true);
        if (!r->quiet)
            say(r, buf_cstr(&b));
        buf_fini(&b);
        mem_free(text);
    } else if (r->form == FORM_JSON || r->form == FORM_JSONL) {
        buf_add(&r->text, c->data.data, c->data.len);
    } else {
        fwrite(c->data.data, 1, c->data.len, r->out);
        fflush(r->out);
    }
}

static void take_progress(struct render *r, progress_t *p)
{
    struct buf b = { 0 };
    char *text = p->text;

    if (r->quiet || r->progress == NULL)
        return;
    add_escaped(&b, text, false);
    p->text = (char *)(uintptr_t)buf_cstr(&b);
    progress_step(r->progress, r->err, r->prefix, p);
    p->text = text;
    buf_fini(&b);
}

/* What is written next must not stand behind a bar. */
static void clear_bar(struct render *r)
{
    if (r->progress != NULL)
        progress_clear(r->progress, r->err);
}

void render_frame(struct render *r, frame_t *f)
{
    if (f->body_case != RNODE__CONTROL__CONTROL__BODY_PROGRESS)
        clear_bar(r);
    switch (f->body_case) {
    case RNODE__CONTROL__CONTROL__BODY_HEAD:
        frame_free(r->head);
        r->head = f;
        if (r->form == FORM_TSV)
            tsv_head(r);
        return;
    case RNODE__CONTROL__CONTROL__BODY_ROW:
        take_row(r, f);
        return;
    case RNODE__CONTROL__CONTROL__BODY_CHUNK:
        take_chunk(r, f->chunk);
        break;
    case RNODE__CONTROL__CONTROL__BODY_PROGRESS:
        take_progress(r, f->progress);
        break;
    default:
        break;
    }
    frame_free(f);
}

/* --- tables ------------------------------------------------------------------------- */

#define COLUMN_WIDTH_MAX 60

static bool shown(const struct render *r, const column_t *c)
{
    return r->form == FORM_WIDE || !c->wide;
}

static void add_padded(struct buf *out, const char *s, size_t width, bool right, bool last)
{
    size_t w = display_width(s);

    if (right && w < width)
        buf_printf(out, "%*s", (int)(width - w), "");
    buf_str(out, s);
    if (!right && !last && w < width)
        buf_printf(out, "%*s", (int)(width - w), "");
}

/* Findings speak for themselves: no line of names above them. */
static bool is_findings(const head_t *h)
{
    return strcmp(h->schema, "rnode.doctor/1") == 0 || strcmp(h->schema, "rnode.check/1") == 0;
}

static void end_table(struct render *r)
{
    const head_t *h = r->head->head;
    size_t *width = MEM_NEW_ARRAY(size_t, h->n_columns), last = 0;
    char **cells = MEM_NEW_ARRAY(char *, (r->nrows + 1) * h->n_columns);
    struct buf out = { 0 };

    for (size_t i = 0; i < h->n_columns; i++) {
        struct buf b = { 0 };

        for (const char *s = h->columns[i]->name; *s != 0; s++)
            buf_u8(&b, *s == '_' ? ' ' : (uint8_t)toupper((unsigned char)*s));
        cells[i] = buf_cstr(&b);
        width[i] = b.len;
        if (shown(r, h->columns[i]))
            last = i;
    }
    for (size_t k = 0; k < r->nrows; k++) {
        const row_t *row = r->rows[k]->row;

        for (size_t i = 0; i < h->n_columns && i < row->n_cells; i++) {
            struct buf b = { 0 };
            size_t w;

            if (is_findings(h) && strcmp(h->columns[i]->name, "fix") == 0 && row->cells[i]->text[0] != 0)
                buf_str(&b, "fix: ");
            add_cell(&b, h->columns[i], row->cells[i]);
            cells[(k + 1) * h->n_columns + i] = buf_cstr(&b);
            w = display_width((char *)b.data);
            if (w > width[i] && w <= COLUMN_WIDTH_MAX)
                width[i] = w;
        }
    }
    for (size_t k = is_findings(h); k <= r->nrows; k++) {
        for (size_t i = 0; i < h->n_columns; i++) {
            const char *s = cells[k * h->n_columns + i];

            if (!shown(r, h->columns[i]))
                continue;
            if (k == 0 && r->color)
                buf_str(&out, "\033[1m");
            /* numbers stand left too, as in the field's tools; widths line them up */
            add_padded(&out, s != NULL ? s : "", width[i], false, i == last);
            if (k == 0 && r->color)
                buf_str(&out, "\033[0m");
            if (i != last)
                buf_str(&out, "  ");
        }
        buf_u8(&out, '\n');
    }
    for (size_t i = 0; i < (r->nrows + 1) * h->n_columns; i++)
        mem_free(cells[i]);
    mem_free(cells);
    mem_free(width);
    put(r, &out);
}

/* --- records ------------------------------------------------------------------------ */

static const cell_t *cell_named(const head_t *h, const row_t *row, const char *name,
                                const column_t **ret_column)
{
    for (size_t i = 0; i < h->n_columns && i < row->n_cells; i++) {
        if (strcmp(h->columns[i]->name, name) == 0) {
            *ret_column = h->columns[i];
            return row->cells[i];
        }
    }
    return NULL;
}

/* Replace each {name} of the pattern by the cell of that name. */
static void add_pattern(struct buf *out, const head_t *h, const row_t *row, const char *pattern)
{
    while (*pattern != 0) {
        const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;

        if (end != NULL) {
            char name[64];
            const column_t *col;
            const cell_t *c;

            snprintf(name, sizeof name, "%.*s", (int)(end - pattern - 1), pattern + 1);
            c = cell_named(h, row, name, &col);
            if (c != NULL)
                add_cell(out, col, c);
            pattern = end + 1;
        } else {
            buf_u8(out, (uint8_t)*pattern++);
        }
    }
}

/* rnodectl status is read more often than anything else, so it has lines of its own. */
static const char status_pattern[] =
    "● {node} ({id}) up {uptime} · rnode {version} · you: {role} ({user})\n"
    "  vm        {schedulers} schedulers {busy}% busy · {processes} of {processes_max} processes"
    " · run queue {run_queue}\n"
    "  memory    {memory} of {memory_max} · heaps {heaps} · tables {tables} · code {code}"
    " · atoms {atoms} of {atoms_max}\n"
    "  store     {store}\n"
    "  cluster   {cluster}\n"
    "  code      {deployment}\n"
    "  control   {socket}\n";

/* The first column is what it is about: it stands alone on the first line, the others below it. */
static bool is_titled(const head_t *h)
{
    static const char *const schemas[] = { "rnode.inspect/1", "rnode.module/1", "rnode.table/1",
                                           "rnode.node/1", "rnode.port/1" };

    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        if (strcmp(h->schema, schemas[i]) == 0)
            return true;
    }
    return false;
}

static void end_record(struct render *r, const row_t *row)
{
    const head_t *h = r->head->head;
    struct buf out = { 0 };
    size_t width = 0, indent = 0;
    const column_t *col;
    const cell_t *c;

    if (strcmp(h->schema, "rnode.status/1") == 0) {
        add_pattern(&out, h, row, status_pattern);
        c = cell_named(h, row, "warnings", &col);
        if (c != NULL)
            add_escaped(&out, c->text, true);
        put(r, &out);
        return;
    }
    if (strcmp(h->schema, "rnode.deploy/1") == 0) {
        add_pattern(&out, h, row, "done      {id} on {node} in {time}"
                                  " · modules changed: {changed} of {modules}"
                                  " · processes on old code: {on_old_code}\n"
                                  "undo      {undo}\n");
        put(r, &out);
        return;
    }
    c = cell_named(h, row, "value", &col);
    if (c != NULL && strcmp(h->schema, "rnode.call/1") == 0) {
        buf_printf(&out, "%s%s\n", r->label != NULL ? r->label : "", c->text);
        put(r, &out);
        return;
    }
    for (size_t i = 0; i < h->n_columns; i++) {
        size_t n = strlen(h->columns[i]->name);

        if (shown(r, h->columns[i]))
            width = n > width ? n : width;
    }
    if (is_titled(h) && row->n_cells > 0) {
        add_escaped(&out, row->cells[0]->text, false);
        buf_u8(&out, '\n');
        indent = 2;
    }
    for (size_t i = indent > 0; i < h->n_columns && i < row->n_cells; i++) {
        const char *text = row->cells[i]->text;

        if (!shown(r, h->columns[i]) || (is_text(h->columns[i]) && text[0] == 0))
            continue;
        buf_printf(&out, "%*s%-*s  ", (int)indent, "", (int)width, h->columns[i]->name);
        if (is_text(h->columns[i])) {
            /* the lines of a text stand under each other */
            for (const char *nl; (nl = strchr(text, '\n')) != NULL; text = nl + 1) {
                char *line = mem_printf("%.*s", (int)(nl - text), text);

                add_escaped(&out, line, false);
                buf_printf(&out, "\n%*s  ", (int)(indent + width), "");
                mem_free(line);
            }
            add_escaped(&out, text, false);
        } else {
            add_cell(&out, h->columns[i], row->cells[i]);
        }
        buf_u8(&out, '\n');
    }
    put(r, &out);
}

/* --- the end ------------------------------------------------------------------------ */

json_t *render_json(const struct render *r, const done_t *done)
{
    json_t *j = json_object(), *items = json_array();
    struct buf t = { 0 };
    char *schema = r->head != NULL ? mem_strdup(r->head->head->schema)
                                   : mem_printf("rnode.%s/1", r->command);

    add_iso_time(&t, clock_system_ns());
    json_object_set_new(j, "schema", json_string(schema));
    json_object_set_new(j, "node", json_string(r->node != NULL ? r->node : ""));
    json_object_set_new(j, "time", json_string(buf_cstr(&t)));
    for (size_t i = 0; i < r->nrows; i++)
        json_array_append_new(items, render_json_row(r->head->head, r->rows[i]->row));
    json_object_set_new(j, "items", items);
    if (r->text.len > 0)
        json_object_set_new(j, "output", json_stringn_nocheck((char *)r->text.data, r->text.len));
    if (r->head == NULL && done->message[0] != 0)
        json_object_set_new(j, "message", json_string(done->message));
    json_object_set_new(j, "left_out", json_integer((json_int_t)done->left_out));
    buf_fini(&t);
    mem_free(schema);
    return j;
}

static void dump_json(json_t *j, FILE *out)
{
    json_dumpf(j, out, JSON_COMPACT);
    fputc('\n', out);
    json_decref(j);
}

void render_end(struct render *r, const done_t *done)
{
    clear_bar(r);
    if (r->form == FORM_JSON) {
        if (done->code[0] == 0 || r->nrows > 0)
            dump_json(render_json(r, done), r->out);
    } else if (r->form <= FORM_WIDE && r->head != NULL) {
        if (!r->head->head->record && !r->head->head->stream)
            end_table(r);
        for (size_t i = 0; r->head->head->record && i < r->nrows; i++)
            end_record(r, r->rows[i]->row);
    }
    fflush(r->out);
    if (done->code[0] == 0 && done->message[0] != 0 && !r->quiet &&
        (r->form <= FORM_WIDE || r->form == FORM_TSV)) {
        struct buf b = { 0 };

        add_escaped(&b, done->message, true);
        say(r, buf_cstr(&b));
        buf_fini(&b);
    }
}

void render_fini(struct render *r)
{
    frame_free(r->head);
    for (size_t i = 0; i < r->nrows; i++)
        frame_free(r->rows[i]);
    mem_free(r->rows);
    buf_fini(&r->text);
}

json_t *render_json_error(const done_t *d)
{
    json_t *e = json_object(), *j = json_object();

    json_object_set_new(e, "code", json_string(d->code));
    json_object_set_new(e, "exit", json_integer(d->exit));
    json_object_set_new(e, "message", json_string(d->message));
    if (d->needs[0] != 0)
        json_object_set_new(e, "needs", json_string(d->needs));
    if (d->hint[0] != 0)
        json_object_set_new(e, "hint", json_string(d->hint));
    if (d->n_detail > 0) {
        json_t *lines = json_array();

        for (size_t i = 0; i < d->n_detail; i++)
            json_array_append_new(lines, json_string(d->detail[i]));
        json_object_set_new(e, "detail", lines);
    }
    json_object_set_new(j, "error", e);
    return j;
}

void render_error(struct render *r, const done_t *d)
{
    struct buf b = { 0 };

    clear_bar(r);
    if (r->form == FORM_JSON || r->form == FORM_JSONL) {
        dump_json(render_json_error(d), r->err);
        return;
    }
    buf_printf(&b, "%serror[%s]%s: ", r->color ? "\033[31m" : "", d->code,
               r->color ? "\033[0m" : "");
    add_escaped(&b, d->message, true);
    buf_u8(&b, '\n');
    for (size_t i = 0; i < d->n_detail; i++) {
        buf_str(&b, "  ");
        add_escaped(&b, d->detail[i], false);
        buf_u8(&b, '\n');
    }
    if (d->needs[0] != 0)
        buf_printf(&b, "  = needs the role %s\n", d->needs);
    if (d->hint[0] != 0) {
        buf_str(&b, "  = Try:  ");
        add_escaped(&b, d->hint, false);
        buf_u8(&b, '\n');
    }
    fprintf(r->err, "%s", buf_cstr(&b));
    buf_fini(&b);
}
