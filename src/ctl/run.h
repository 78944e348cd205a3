/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - one call in a fresh process, and what came of it
 *
 * A run is a process that calls M:F(Args) inside a try. Its end is reported exactly once, whatever
 * the end is: a value, an exception, or a kill from outside. Any thread may start runs; the report
 * comes on a scheduler thread and must not block.
 */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "base/bytes.h"
#include "term/term.h"
#include "vm/process.h"

enum run_end { RUN_VALUE, RUN_RAISED, RUN_EXITED };

struct run_report {
    enum run_end end;
    const char *text;       /* value, or "error: badarith", or the exit reason; lent */
    const char *trace;      /* lines of the stack, or ""; lent */
    int64_t time_ns;
    uint64_t reductions;
};
typedef void run_done_fn(void *arg, const struct run_report *r);
/* What the run prints, as it is printed; under a lock of the runs, so it must not start or kill
 * any. False: that is enough, kill it. */
typedef bool run_output_fn(void *arg, const void *data, size_t len);

/* The text of what the run came to, at most max_bytes; called once, before done, on a scheduler. is_value:
 * it is the value, else the reason of an exception or an exit. */
typedef void run_print_fn(void *arg, struct buf *out, term t, bool is_value, size_t max_bytes);

struct run_limits {
    size_t heap_words_max;      /* 0: none */
    size_t text_bytes_max;      /* of the value or exception; 0: none */
    run_print_fn *print;        /* NULL: as Erlang writes them */
};

/* Make the built-ins that report callable: before the first module is loaded. */
void run_register(void);
/* Load the module that runs are made of: once, after the engine is up. user: the group leader of
 * what prints to the node's own console. */
void run_init(term user);
/* io_output_hook: give what a leader was told to print to its run. False: no run has it. */
bool run_output(term leader, const char *data, size_t len);

/* Call module:function(args...) in a fresh process; args is a list, copied. output may be NULL:
 * then what it prints goes to the node's own console. TERM_NONE: no room for a process, and done
 * is not called. *ret_id names the run for run_kill. */
term run_start(term module, term function, term args, const struct run_limits *limits,
               run_done_fn *done, run_output_fn *output, void *arg, uint64_t *ret_id);
/* Ask a process for its state, as sys:get_state does; only one that answers system messages. The value
 * is the state; RUN_RAISED with RUN_LATE: it has not answered in time. As run_start otherwise. */
#define RUN_LATE "exit: late"
term run_start_state(term pid, int64_t timeout_ms, const struct run_limits *limits,
                     run_done_fn *done, void *arg);
/* Start a call and wait for its end, timeout_ms at most; then it is killed and -ERR_TIMEOUT. The
 * value or the exception, at most text_bytes_max of it, is appended to text. 0: it returned; -ERR_FORMAT: it raised or exited. Not a
 * scheduler. */
MUST_CHECK int run_and_wait(term module, term function, term args, int64_t timeout_ms,
                            size_t text_bytes_max, struct buf *text);
/* Call the on_load function of the current version of module, if it has one; unless that returns ok
 * the module is deleted again. -ERR_FORMAT or -ERR_TIMEOUT, the reason appended to text. */
MUST_CHECK int run_on_load(term module, struct buf *text);
/* Kill the process of a run that has not ended. Any thread. */
void run_kill(uint64_t id);
/* Every process's end passes here (vm_exit_hook). Any scheduler. */
void run_process_exited(const struct process *p);

/* The stack of an exception, a line for each entry. */
void stack_print(struct buf *out, term stack, const char *indent);

#endif
