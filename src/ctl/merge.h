/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.h - the answers of several nodes shown as one
 *
 * Rows of tables get a column `node` in front (`asked` where the rows have a node already); records
 * and output stand one node after the other; JSON is one envelope with a list `nodes`, an element for
 * each: {"node", "items", "left_out"} and, where it failed, "error". One thread.
 */
#ifndef CTL_MERGE_H
#define CTL_MERGE_H

#include "ctl/render.h"

/* What one node says. */
struct part {
    const char *node;           /* [set] lent */
    struct render own;          /* what is not merged into rows */
    char *text;                 /* own.out */
    size_t text_len;
    frame_t *head;              /* of merged rows; owned */
    size_t *columns;            /* column of head for each merged one, SIZE_MAX: it has none */
    frame_t *done;              /* owned; NULL until the end came */
};

struct merge {
    struct render *all;         /* lent: form, where to, and the merged rows */
    struct part *parts;         /* lent, n of them */
    size_t n;
    const char *sort;           /* column to order merged rows by, or NULL */
    size_t limit;               /* of rows when sort is given; 0: none */
};

/* Set part->node first. */
void merge_begin(struct merge *m);
/* Take one frame of the answer of p. */
void merge_frame(struct merge *m, struct part *p, frame_t *f);
/* The end of p for a reason of ours. */
void merge_fail(struct part *p, int exit, const char *code, const char *message);
/* Write all that was kept; the exit code of the first that failed. */
int merge_end(struct merge *m);
/* Free what the parts have; all is the caller's to end. */
void merge_fini(struct merge *m);

#endif
