/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - one request of a control client, as its handler sees it
 *
 * A handler is called once, on the control thread (PLACE_LOOP: must not block) or on the worker
 * thread (PLACE_SLOW). It holds one reference, answers with reply_* from any thread, and ends with
 * exactly one reply_done or reply_error, which takes that reference. Whoever needs the request
 * longer refs it. Replies to a request whose client is gone are dropped.
 */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include "base/bytes.h"
#include "ctl/commands.h"
#include "term/syntax.h"
#include "wire/frame.h"

#include <stdatomic.h>

struct conn;
struct request;

typedef void request_fn(struct request *rq);

struct request_file { char *name; struct buf data; };

/* Limits of the configuration at the time the request came. */
struct request_limits {
    int64_t eval_ms, eval_heap_bytes, eval_output_bytes, deploy_bytes;
    int64_t trace_events, trace_rate, trace_ms, trace_sessions;
    int64_t mailbox_warn, deploy_keep, purge_wait_ms;
    bool purge_kill;
};

struct request {
    uint32_t magic;
    _Atomic uint32_t refs;          /* [any] */
    _Atomic bool cancelled;         /* [any] set once by the control thread */
    uint64_t serial;                /* [set] never repeats on this node */
    uint32_t id;                    /* [set] the client's number */
    const struct command *cmd;      /* [set] */
    const request_t *msg;           /* [set] */
    frame_t *frame;                 /* [set] owns msg */
    struct request_file *files;     /* [set] when the handler starts */
    size_t nfiles;
    enum role role;                 /* [set] of the caller */
    char *user;                     /* [set] name of the caller */
    struct request_limits limits;   /* [set] */
    int64_t start_ns;               /* [set] */

    /* The handler may ask to be told, on the control thread, when the client cancels or goes
     * away; it takes no reference and must be set before the handler returns. */
    void (*on_cancel)(struct request *rq);
    void *data;                     /* [handler] */

    request_fn *later;              /* of request_later */

    /* --- control thread only --- */
    struct conn *conn;              /* NULL once the client is gone */
    struct request *next;
    uint32_t credit;
    struct pending *pending, **pending_tail;
    size_t pending_bytes;
    uint64_t missed;
    size_t file_at;                 /* file that chunks are added to */
    size_t file_bytes;
    bool started, done;
};

#define REQUEST_MAGIC 0x52515354u

struct request *request_ref(struct request *rq);
void request_unref(struct request *rq);             /* any thread; NULL is fine */

bool request_flag(const struct request *rq, const char *name);
/* Value of an option, or NULL. */
const char *request_option(const struct request *rq, const char *name);
#define request_arg(rq, i) ((const char *)(rq)->msg->args[i])

/* The language in which the caller wants to read terms; JSON when it asked for --terms json. */
enum syntax request_syntax(const struct request *rq);
/* Append t in that language, max_bytes of it, for a column COL_TERM. */
void request_print(const struct request *rq, struct buf *out, term t, size_t max_bytes);

/* --- answers ------------------------------------------------------------------------ */

enum column_kind { COL_TEXT, COL_COUNT_, COL_BYTES, COL_RATE, COL_NS, COL_TIME, COL_FLAG,
                   COL_TERM };  /* text of request_print */
struct column { const char *name; enum column_kind kind; bool wide; };
struct cell { const char *text; int64_t number; };
#define CELL_TEXT(s)   ((struct cell){ (s), 0 })
#define CELL_NUMBER(n) ((struct cell){ NULL, (int64_t)(n) })

void reply_head(struct request *rq, const char *schema, const struct column *cols, size_t n,
                bool record);
/* Rows that people want to see as they come. */
void reply_head_stream(struct request *rq, const char *schema, const struct column *cols, size_t n);
void reply_row(struct request *rq, const struct cell *cells, size_t n);
/* stream: RNODE__CONTROL__CHUNK__STREAM__OUTPUT or __NOTE. Long data becomes several chunks. */
void reply_chunk(struct request *rq, int stream, const void *data, size_t len);
void reply_note(struct request *rq, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* text: a line that stays; NULL: done of total so far (total 0: not known). */
void reply_progress(struct request *rq, const char *phase, uint64_t done, uint64_t total,
                    const char *text);
void reply_progress_bytes(struct request *rq, const char *phase, uint64_t done, uint64_t total);

/* The end. All went well; left_out rows were not sent of total (0, 0 when nothing was counted). */
void reply_done(struct request *rq, uint64_t left_out, uint64_t total, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The end, with an exit code that is an answer and no error: EXIT_OK or EXIT_NO. */
void reply_end(struct request *rq, int exit, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The end, with an error: exit code, RN code; hint NULL: that of explain.tab; detail: lines after
 * the message, separated by newlines, or NULL. */
void reply_error(struct request *rq, int exit, const char *code, const char *hint,
                 const char *detail, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* Handlers by command; NULL where rnodectl does it alone. */
extern request_fn *const request_handlers[CMD_COUNT];

/* Go on with rq after so long, on the worker thread, which is free for others meanwhile. The caller
 * returns without having ended rq. */
void request_later(struct request *rq, int64_t ms, request_fn *fn);

#endif
