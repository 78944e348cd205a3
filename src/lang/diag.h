/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - what a compiler has to say about a program, with the places it speaks of
 *
 * One compile collects its diagnostics here and prints them at the end, in source order; the form
 * is binding (rata.md and batuta.md, "Diagnostics"). base/diag.h is the other form, for single
 * errors in configuration. One thread; everything lives in the compile's arena.
 */
#ifndef LANG_DIAG_H
#define LANG_DIAG_H

#include "base/bytes.h"
#include "lang/source.h"

#define DIAG_ERRORS_SHOWN 20    /* of one run */
#define DIAG_WARNINGS_SHOWN 20
#define DIAG_ERRORS_KEPT  200   /* after these a compiler should give up */

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag_remark {
    struct diag_remark *next;
    bool is_hint;               /* else a note */
    const char *text;
};

struct diagnostic {
    enum diag_severity severity;
    const char *code;           /* "E0201"; a row of codes.tab */
    struct span span;
    const char *message;
    struct diag_remark *remarks;
    uint32_t order;             /* of arrival, breaks ties */
};

struct diags {
    struct arena *arena;
    const struct source *sources;   /* the files of this compile, by number */
    struct diagnostic **items;
    size_t n, cap;
    size_t n_errors, n_warnings;
};

void diags_init(struct diags *d, struct arena *a, const struct source *sources);

/* Add one; the result is for diag_hint and diag_note. */
struct diagnostic *diag_error(struct diags *d, struct span at, const char *code,
                              const char *fmt, ...) PRINTF_LIKE(4, 5);
struct diagnostic *diag_warning(struct diags *d, struct span at, const char *code,
                                const char *fmt, ...) PRINTF_LIKE(4, 5);
void diag_hint(struct diags *d, struct diagnostic *to, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_note(struct diags *d, struct diagnostic *to, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Append all of them, up to DIAG_ERRORS_SHOWN and DIAG_WARNINGS_SHOWN, as people read them or as
 * one JSON object a line. Sorts d. */
void diags_print(struct buf *out, struct diags *d);
void diags_print_json(struct buf *out, struct diags *d);

/* What a code means: its title, and the long text of `explain`; NULL for an unknown one. */
const char *diag_title(const char *code);
const char *diag_explanation(const char *code);

#endif
