/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey.h - the largest and the busiest processes, without a walk over all of them
 *
 * When a process rests, its scheduler leaves three figures in it that anybody may read: reductions,
 * messages in its queue, words of its heap. Neighbours in the process table are groups of 64; a group
 * in which somebody has rested (or begun, or ended) is marked. A look reads marked groups again and
 * keeps sums and largest figures of each, so it costs by what has happened since the last look,
 * not by how many processes there are, and it stops nothing.
 *
 * Figures are those of the last rest: of a process that runs or is delivered to at this moment, a
 * moment old. Any thread that is not a scheduler.
 */
#ifndef VM_SURVEY_H
#define VM_SURVEY_H

#include "vm/process.h"

struct survey_totals {
    uint64_t processes, messages, heap_words;
    uint64_t longest;               /* messages in the longest queue */
    uint64_t over;                  /* queues with more than so many */
};
void survey_totals(uint64_t messages_over, struct survey_totals *ret);

/* Reductions are also counted from the beginning of a window, which many may use: who wants the work
 * of the time from now on, of a second or so, takes the number of a window now. It is at most
 * SURVEY_WINDOW_NS old, and good for as long again. */
#define SURVEY_WINDOW_NS 1000000000
uint32_t survey_window(void);

enum survey_measure {
    SURVEY_ALL,                     /* no measure: every process */
    SURVEY_REDUCTIONS, SURVEY_MESSAGES, SURVEY_HEAP, SURVEY_AGE,
    SURVEY_WORK,                    /* reductions in the window */
    SURVEY_STATE,                   /* 0 waiting, 1 running or ready, 2 exiting. Is not summed up: a look
                                       reads a little of every process. */
};

struct survey_view {
    term pid, name;                 /* name: atom or NIL */
    enum process_state state;
    uint32_t messages, age_cs;
    uint64_t reductions, heap_words;
    uint64_t work;                  /* in the window; 0 without one */
};

struct survey_query {
    enum survey_measure measure;
    uint32_t window;                /* 0: none; set to the one that was used */
    int64_t floor;                  /* only processes whose measure is above; visit may raise it */
    void (*visit)(struct survey_query *q, const struct survey_view *v);
    int64_t window_ns;              /* result: how long the window has lasted */
};
/* Visit processes above the floor in the order of their place in the table. visit only copies. */
void survey_visit(struct survey_query *q);

#endif
