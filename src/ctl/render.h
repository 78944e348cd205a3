/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render.h - how rnodectl shows an answer: tables, records, JSON, TSV
 *
 * One thread. Rows of tables and of JSON envelopes are kept until the end, because widths and
 * left_out are known only then; tsv and jsonl are written as rows come.
 */
#ifndef CTL_RENDER_H
#define CTL_RENDER_H

#include "ctl/progress.h"
#include "wire/frame.h"

#include <jansson.h>
#include <stdio.h>

enum output_form { FORM_TABLE, FORM_WIDE, FORM_JSON, FORM_JSONL, FORM_TSV };

struct render {
    enum output_form form;
    bool color, utf8, quiet;
    const char *command;        /* words of the request */
    const char *label;          /* stands before the value of a call: "_3 = "; NULL: nothing */
    const char *prefix;         /* stands before words for people: a node; NULL: nothing does */
    const char *node;           /* name, for JSON; may be set late */
    FILE *out, *err;
    struct progress *progress;  /* lent; NULL: not shown */
    frame_t *head;              /* owned; NULL until it came */
    frame_t **rows;             /* owned */
    size_t nrows, cap;
    struct buf text;            /* output chunks, kept for JSON */
};

bool output_form_parse(const char *text, enum output_form *ret);

/* Take one frame of an answer. */
void render_frame(struct render *r, frame_t *f);
/* Write what was kept, with what done says of rows left out. */
void render_end(struct render *r, const done_t *done);
void render_fini(struct render *r);

/* The same as JSON values, each the caller's: one row; the envelope of the rows kept so far, with
 * what done says; an error. */
json_t *render_json_row(const head_t *h, const row_t *row);
json_t *render_json(const struct render *r, const done_t *done);
json_t *render_json_error(const done_t *d);

/* An error as people or, with FORM_JSON, as programs read it. */
void render_error(struct render *r, const done_t *d);

/* Append s with control characters escaped, so that it cannot steer a terminal. */
void add_escaped(struct buf *out, const char *s, bool newlines);

#endif
