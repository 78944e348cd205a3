/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - processes as rows: picking, ordering, naming
 *
 * Any thread that is not a scheduler.
 */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include "base/bytes.h"
#include "vm/inspect.h"

enum view_order { ORDER_REDS, ORDER_WORK, ORDER_MSGQ, ORDER_HEAP, ORDER_PID, ORDER_NAME, ORDER_STATE,
                  ORDER_AGE };
enum view_pick { PICK_ALL, PICK_STUCK, PICK_OLD_CODE };

struct view_list {
    struct process_view *at;        /* in the order asked for */
    size_t n;
    size_t matching;                /* before the limit */
    size_t alive;
    int64_t window_ns;              /* of view_processes_since: the time in which work was done */
};

bool view_order_parse(const char *text, enum view_order *ret);
/* limit 0: all. stuck_over: messages above which a process counts as stuck even if it runs. */
void view_processes(enum view_pick pick, enum view_order order, size_t limit, uint64_t stuck_over,
                    struct view_list *ret);
/* The same; the views' work is what was done since that window (survey_window) began, and ORDER_WORK
 * orders by it. */
void view_processes_since(uint32_t window, enum view_pick pick, enum view_order order, size_t limit,
                          uint64_t stuck_over, struct view_list *ret);
/* Of the processes below root alone: those that it started, those that they started, and so on as far
 * as all between are alive; root, too. Walks over all processes twice. */
void view_below(term root, enum view_pick pick, enum view_order order, size_t limit,
                uint64_t stuck_over, struct view_list *ret);
void view_list_fini(struct view_list *l);

/* "lists:map/2", or "-" when unknown. */
void view_mfa(struct buf *out, const term mfa[3]);
/* "<0.12.0>" */
void view_pid(struct buf *out, term pid);

/* The pid that text names: "<0.12.0>", "0.12.0" or a registered name. TERM_NONE: nobody. */
term view_find(const char *text);

/* The state of the node as plain lines, for the log and crash dumps. */
void view_report(struct buf *out);

#endif
