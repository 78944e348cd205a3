/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act.c - call, eval, send, kill
 *
 * A call lives as long as its request: when the client goes away, when time is up, or when the
 * output is too much, its process is killed, and the end comes back through run.h as for any other.
 */
#include "ctl/act_priv.h"

#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "ctl/run.h"
#include "ctl/server.h"
#include "ctl/view.h"
#include "heap/blob.h"
#include "heap/parse.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/process.h"
#include "vm/registry.h"

#include <ctype.h>
#include <event2/event.h>

/* What an evaluation in a language came to; see lib/rata/tool/shell.rata. */
enum outcome { OUTCOME_VALUE, OUTCOME_INCOMPLETE, OUTCOME_ERRORS, OUTCOME_UNSUPPORTED };

struct call {
    struct request *rq;         /* a reference, besides the handler's */
    uint64_t run;               /* id of the run */
    struct event *timer;        /* [loop] */
    _Atomic uint64_t output_bytes;
    _Atomic int why;            /* enum: what we killed it for */
    enum call_kind kind;
    enum outcome outcome;       /* set before the report */
    int64_t number;             /* of the result in its session */
};

enum kill_reason { KILL_NOT, KILL_TIME, KILL_OUTPUT, KILL_CANCEL };

static bool is_shell(const struct call *c)
{
    return c->kind == CALL_SHELL;
}

/* --- reading calls ------------------------------------------------------------------ */

static void bad_term(struct request *rq, const char *text, size_t at, const char *why)
{
    struct buf detail = { 0 };

    if (strlen(text) < 100 && strchr(text, '\n') == NULL)
        buf_printf(&detail, "%s\n%*s^ %s", text, (int)(at < 100 ? at : 100), "", why);
    else
        buf_str(&detail, why);
    reply_error(rq, EXIT_USAGE, "RN0103", NULL, buf_cstr(&detail), "this is not an Erlang term");
    buf_fini(&detail);
}

/* Parse one whole term. On failure the request is answered. */
static bool read_term(struct request *rq, struct heap *bag, const char *text, term *ret)
{
    char err[160] = "";
    size_t used = 0, len = strlen(text);
    term t = parse_term(bag, text, len, &used, err, sizeof err);

    if (t != TERM_NONE) {
        used += strspn(text + used, " \t\n");
        if (text[used] == '.')
            used++;
        used += strspn(text + used, " \t\n");
        if (used == len) {
            *ret = t;
            return true;
        }
        bad_term(rq, text, used, "unexpected text after the term");
        return false;
    }
    bad_term(rq, text, used, err);
    return false;
}

/* An atom at *at, quoted or not; moves *at behind it. TERM_NONE: none is there. */
static term read_atom(struct heap *bag, const char **at)
{
    char err[80];
    size_t used, n = strcspn(*at, ":(/ ");
    term t;

    if (**at == '\'')
        n = strlen(*at);
    t = parse_term(bag, *at, n, &used, err, sizeof err);
    if (t == TERM_NONE || !is_atom(t))
        return TERM_NONE;
    *at += used;
    return t;
}

/* The name of a module: an atom, or one of Rata or Elixir, which need no quotes here. */
static term read_module(struct heap *bag, const char **at)
{
    size_t n = 0;

    if (**at < 'A' || **at > 'Z')
        return read_atom(bag, at);
    while (isalnum((unsigned char)(*at)[n]) || (*at)[n] == '_' || (*at)[n] == '.')
        n++;
    *at += n;
    return atom_from_utf8(*at - n, n);
}

static bool read_mf(struct request *rq, struct heap *bag, const char **at, struct parsed *ret)
{
    const char *text = *at;

    ret->module = read_module(bag, at);
    if (ret->module != TERM_NONE && **at == ':') {
        (*at)++;
        ret->function = read_atom(bag, at);
        if (ret->function != TERM_NONE)
            return true;
    }
    reply_error(rq, EXIT_USAGE, "RN0103", "rnodectl call lists:reverse '[1,2,3]'", NULL,
                "`%s` does not begin with MODULE:FUNCTION", text);
    return false;
}

/* call M:F ARG...: each argument is a term. */
bool act_read_call(struct request *rq, struct heap *bag, struct parsed *ret)
{
    const char *at = request_arg(rq, 0);
    size_t n = rq->msg->n_args - 1;
    term *args = MEM_NEW_ARRAY(term, n);
    bool ok = read_mf(rq, bag, &at, ret);

    if (ok && *at != 0) {
        reply_error(rq, EXIT_USAGE, "RN0103",
                    "rnodectl eval 'M:F(A)' takes calls written as in Erlang", NULL,
                    "unexpected `%s` after the function", at);
        ok = false;
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = read_term(rq, bag, request_arg(rq, i + 1), &args[i]);
    if (ok)
        ret->args = heap_list(bag, args, n, TERM_NIL);
    mem_free(args);
    return ok;
}

/* eval 'M:F(A, B)': the arguments are read as a list. */
static bool read_eval(struct request *rq, struct heap *bag, struct parsed *ret)
{
    const char *text = request_arg(rq, 0), *at = text + strspn(text, " \t\n");
    size_t n;
    char *list;
    bool ok = read_mf(rq, bag, &at, ret);

    if (!ok)
        return false;
    at += strspn(at, " \t\n");
    n = strlen(at);
    while (n > 0 && (isspace((unsigned char)at[n - 1]) || at[n - 1] == '.'))
        n--;
    if (n < 2 || at[0] != '(' || at[n - 1] != ')') {
        reply_error(rq, EXIT_USAGE, "RN0103", "rnodectl eval 'lists:seq(1, 10)'", NULL,
                    "expected (ARGUMENTS) after the function in `%s`", text);
        return false;
    }
    list = mem_printf("[%.*s]", (int)(n - 2), at + 1);
    ok = read_term(rq, bag, list, &ret->args);
    mem_free(list);
    return ok;
}

/* --- running calls ------------------------------------------------------------------ */

static const struct column call_columns[] = {
    { "value", COL_TERM, false }, { "time", COL_NS, true }, { "reductions", COL_COUNT_, true },
    { "result", COL_COUNT_, true },     /* of an evaluation in a session alone: it is bound to _N */
};

static void call_kill(struct call *c, enum kill_reason why)
{
    int none = KILL_NOT;

    atomic_compare_exchange_strong(&c->why, &none, why);
    run_kill(c->run);
}

/* The atom killed in any of the languages. */
static bool is_killed(const char *text)
{
    return strcmp(text, "killed") == 0 || strcmp(text, ":killed") == 0;
}

static void reply_exited(struct request *rq, const struct run_report *r, int why)
{
    char limit[UNIT_TEXT_MAX];

    switch (why) {
    case KILL_TIME:
        reply_error(rq, EXIT_TIMEOUT, "RN0110", NULL, NULL,
                    "the call ran longer than %s and was killed",
                    age_text(r->time_ns, limit));
        break;
    case KILL_OUTPUT:
        reply_error(rq, EXIT_NO, "RN0303", NULL, NULL,
                    "the call printed more than %s and was killed",
                    size_text((uint64_t)rq->limits.eval_output_bytes, limit));
        break;
    case KILL_CANCEL:
        reply_error(rq, EXIT_INTERRUPTED, "RN0111", NULL, NULL, "cancelled");
        break;
    default:
        if (is_killed(r->text))
            reply_error(rq, EXIT_NO, "RN0303", NULL, NULL,
                        "the call was killed: by its heap limit of %s, or by somebody",
                        size_text((uint64_t)rq->limits.eval_heap_bytes, limit));
        else
            reply_error(rq, EXIT_NO, "RN0301", "", NULL, "exit: %s", r->text);
        break;
    }
}

/* Frees the timer, and with it the call. Control thread. */
static void call_free(evutil_socket_t fd, short what, void *arg)
{
    struct call *c = arg;

    event_free(c->timer);
    c->rq->on_cancel = NULL;
    request_unref(c->rq);
    mem_free(c);
}

static void reply_outcome(struct call *c, const struct run_report *r)
{
    struct request *rq = c->rq;
    size_t columns = ARRAY_LEN(call_columns) - !is_shell(c);

    switch (c->outcome) {
    case OUTCOME_INCOMPLETE:
        reply_error(rq, EXIT_BAD_INPUT, "RN0123", NULL, NULL, "the text ends too early");
        return;
    case OUTCOME_ERRORS:
        reply_error(rq, EXIT_BAD_INPUT, "RN0124", "", r->text, "this cannot be evaluated");
        return;
    case OUTCOME_UNSUPPORTED:
        reply_error(rq, EXIT_NO, "RN0125", NULL, NULL, "%.*s", (int)strcspn(r->text, "\n"), r->text);
        return;
    case OUTCOME_VALUE:
        break;
    }
    reply_head(rq, "rnode.call/1", call_columns, columns, true);
    reply_row(rq, (struct cell[]){ CELL_TEXT(r->text), CELL_NUMBER(r->time_ns),
                                   CELL_NUMBER(r->reductions), CELL_NUMBER(c->number) }, columns);
    reply_done(rq, 0, 0, "%s", "");
}

/* The stack down to what was asked for: how it came to be called is of no interest. */
static void reply_raised(struct call *c, const struct run_report *r)
{
    const char *ours = is_shell(c) ? strstr(r->trace, "'Rata.Tool.Shell':") : NULL;
    char *trace = mem_strdup(r->trace);

    if (ours != NULL) {
        size_t n = (size_t)(ours - r->trace);

        while (n > 0 && trace[n - 1] != '\n')
            n--;
        trace[n] = 0;
    }
    reply_error(c->rq, EXIT_NO, "RN0301", "", trace, "%s", r->text);
    mem_free(trace);
}

/* What erpc raised for a spawn at another node. */
static void reply_not_spawned(struct request *rq, const struct run_report *r)
{
    const char *on = request_option(rq, "on");

    if (strstr(r->text, "noconnection") != NULL)
        reply_error(rq, EXIT_UNREACHABLE, "RN0701", NULL, NULL, "%s cannot be reached", on);
    else if (strstr(r->text, "timeout") != NULL)
        reply_error(rq, EXIT_TIMEOUT, "RN0110", NULL, NULL, "%s did not answer in time", on);
    else if (strstr(r->text, "system_limit") != NULL)
        reply_error(rq, EXIT_TIMEOUT, "RN0309", NULL, NULL, "%s takes no new processes now", on);
    else if (strstr(r->text, "notsup") != NULL)
        reply_error(rq, EXIT_PERMISSION, "RN0726", NULL, NULL, "%s lets this node start nothing: %s", on,
                    r->text);
    else
        reply_error(rq, EXIT_NO, "RN0301", "", r->trace, "%s", r->text);
}

static void on_call_done(void *arg, const struct run_report *r)
{
    struct call *c = arg;
    struct request *rq = c->rq;

    switch (r->end) {
    case RUN_VALUE:
        reply_outcome(c, r);
        break;
    case RUN_RAISED:
        if (c->kind == CALL_SPAWN)
            reply_not_spawned(rq, r);
        else
            reply_raised(c, r);
        break;
    case RUN_EXITED:
        reply_exited(rq, r, atomic_load(&c->why));
        break;
    }
    /* The timer belongs to the control thread: it is told to go there and clean up. */
    if (event_base_once(server_base(), -1, EV_TIMEOUT, call_free, c,
                        &(struct timeval){ 0 }) < 0)
        LOG(ERROR, "control.call", NULL, "no memory for an event; a finished call stays behind");
}

static bool on_call_output(void *arg, const void *data, size_t len)
{
    struct call *c = arg;
    uint64_t before = atomic_fetch_add(&c->output_bytes, len);
    int none = KILL_NOT;

    if (before + len <= (uint64_t)c->rq->limits.eval_output_bytes) {
        reply_chunk(c->rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, data, len);
        return true;
    }
    atomic_compare_exchange_strong(&c->why, &none, KILL_OUTPUT);
    return false;
}

static void on_call_timeout(evutil_socket_t fd, short what, void *arg)
{
    call_kill(arg, KILL_TIME);
}

static void on_call_cancel(struct request *rq)
{
    call_kill(rq->data, KILL_CANCEL);
}

static int64_t call_ms(const struct request *rq)
{
    int64_t ms = rq->limits.eval_ms;

    return rq->msg->timeout_ms != 0 && rq->msg->timeout_ms < ms ? rq->msg->timeout_ms : ms;
}

static void print_text(struct buf *out, term text)
{
    const uint8_t *bytes;
    uint8_t *scratch = NULL;
    size_t len;

    if (binary_bytes(text, &bytes, &len, &scratch))
        buf_add(out, bytes, len);
    buf_u8(out, '\n');
    mem_free(scratch);
}

/* incomplete | {errors, Texts} | {unsupported, Text}; true: it was one of them. */
static bool print_outcome(struct call *c, struct buf *out, term t)
{
    bool is_pair = is_tuple_n(t, 2);
    term tag = is_pair ? tuple_elem(t, 0) : t;
    const char *word = is_atom(tag) ? atom_text(tag, NULL) : "";

    if (!is_pair && strcmp(word, "incomplete") == 0) {
        c->outcome = OUTCOME_INCOMPLETE;
    } else if (is_pair && strcmp(word, "errors") == 0) {
        c->outcome = OUTCOME_ERRORS;
        for (term l = tuple_elem(t, 1); is_cons(l); l = cdr(l))
            print_text(out, car(l));
    } else if (is_pair && strcmp(word, "unsupported") == 0) {
        c->outcome = OUTCOME_UNSUPPORTED;
        print_text(out, tuple_elem(t, 1));
    } else {
        return false;
    }
    return true;
}

/* Of run.h: the text of what a call gave, or why it did not. */
static void print_value(void *arg, struct buf *out, term t, bool is_value, size_t max_bytes)
{
    struct call *c = arg;
    enum syntax syntax = request_syntax(c->rq);

    if (!is_value) {            /* part of a sentence: never JSON */
        term_print_as(out, t, syntax != SYNTAX_JSON ? syntax : SYNTAX_ERLANG, max_bytes);
        return;
    }
    if (is_shell(c) && print_outcome(c, out, t))
        return;
    if (is_shell(c) && is_tuple_n(t, 3)) {      /* {value, Number, Value} */
        c->number = small_val(tuple_elem(t, 1));
        t = tuple_elem(t, 2);
    }
    request_print(c->rq, out, t, max_bytes);
}

void act_start(struct request *rq, const struct parsed *p, enum call_kind kind)
{
    struct run_limits limits = {
        .heap_words_max = (size_t)rq->limits.eval_heap_bytes / sizeof(term),
        .text_bytes_max = (size_t)rq->limits.eval_output_bytes < FRAME_CHUNK_BYTES
                              ? (size_t)rq->limits.eval_output_bytes : FRAME_CHUNK_BYTES,
        .print = print_value,
    };
    int64_t ms = call_ms(rq);
    struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    struct call *c = MEM_NEW(struct call);

    c->rq = request_ref(rq);
    c->kind = kind;
    c->timer = event_new(server_base(), -1, 0, on_call_timeout, c);
    event_add(c->timer, &tv);
    /* Set before the run: it may end before run_start returns, but c lives until call_free runs
     * on this very thread. */
    rq->data = c;
    rq->on_cancel = on_call_cancel;
    if (run_start(p->module, p->function, p->args, &limits, on_call_done, on_call_output, c,
                  &c->run) != TERM_NONE)
        return;
    rq->on_cancel = NULL;
    reply_error(rq, EXIT_TIMEOUT, "RN0304", NULL, NULL, "the table of processes is full");
    call_free(-1, 0, c);
}

static void do_call(struct request *rq,
                    bool (*read)(struct request *, struct heap *, struct parsed *))
{
    struct heap bag;
    struct parsed p;

    heap_bag_init(&bag);
    if (read(rq, &bag, &p)) {
        if (rq->msg->dry_run)
            reply_done(rq, 0, 0, "would call %s:%s/%lld", atom_text(p.module, NULL),
                       atom_text(p.function, NULL), (long long)list_length(p.args));
        else
            act_start(rq, &p, CALL_PLAIN);
    }
    heap_fini(&bag);
}

void ctl_call(struct request *rq)
{
    do_call(rq, act_read_call);
}

/* eval -l LANG TEXT: 'Rata.Tool.Shell':eval(LANG, SESSION, TEXT) */
static void eval_in(struct request *rq, const char *lang)
{
    const char *session = request_option(rq, "session"), *text = request_arg(rq, 0);
    struct parsed p = { atom_from_cstr("Rata.Tool.Shell"), atom_from_cstr("eval"), TERM_NIL };
    enum syntax known;
    struct heap bag;
    term args[3];

    if (!syntax_parse(lang, &known)) {
        reply_error(rq, EXIT_USAGE, "RN0101", "-l rata or -l erlang", NULL, "no language is called `%s`",
                    lang);
        return;
    }
    heap_bag_init(&bag);
    args[0] = atom_from_cstr(lang);
    args[1] = heap_binary(&bag, session != NULL ? session : "", session != NULL ? strlen(session) : 0);
    args[2] = heap_binary(&bag, text, strlen(text));
    p.args = heap_list(&bag, args, 3, TERM_NIL);
    act_start(rq, &p, CALL_SHELL);
    heap_fini(&bag);
}

void ctl_eval(struct request *rq)
{
    const char *lang = request_option(rq, "lang");

    if (lang == NULL)
        do_call(rq, read_eval);
    else if (rq->msg->dry_run)
        reply_done(rq, 0, 0, "would evaluate it in %s", lang);
    else
        eval_in(rq, lang);
}

/* --- send, kill --------------------------------------------------------------------- */

static bool find_process(struct request *rq, const char *who, term *ret)
{
    *ret = view_find(who);
    if (*ret != TERM_NONE)
        return true;
    reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "no process `%s`", who);
    return false;
}

void ctl_send(struct request *rq)
{
    struct heap bag;
    term pid, msg;

    heap_bag_init(&bag);
    if (find_process(rq, request_arg(rq, 0), &pid) &&
        read_term(rq, &bag, request_arg(rq, 1), &msg)) {
        epoch_enter();
        process_send(NULL, pid, msg);
        epoch_leave();
        reply_done(rq, 0, 0, "sent to %s", request_arg(rq, 0));
    }
    heap_fini(&bag);
}

void ctl_gc(struct request *rq)
{
    char from[UNIT_TEXT_MAX], to[UNIT_TEXT_MAX];
    size_t before, after;
    term pid;

    if (!find_process(rq, request_arg(rq, 0), &pid))
        return;
    if (!inspect_collect(pid, &before, &after))
        reply_error(rq, EXIT_TIMEOUT, "RN0302", "try again", NULL,
                    "%s cannot be collected now: it ends, or is inside a built-in",
                    request_arg(rq, 0));
    else
        reply_done(rq, 0, 0, "%s: %s -> %s", request_arg(rq, 0), size_text(before, from),
                   size_text(after, to));
}

static void reply_drain(struct request *rq, bool on)
{
    if (node_api.draining == on) {
        reply_done(rq, 0, 0, on ? "%s is draining already" : "%s was not draining", node_api.name);
        return;
    }
    if (!rq->msg->dry_run) {
        node_api.draining = on;
        node_api.drain(on);
    }
    reply_done(rq, 0, 0, on ? "%s is not ready for new work: /readyz says no, it has left its"
                                 " flocks, and other nodes start nothing here · undo: rnodectl resume"
                            : "%s is ready for new work, and in its flocks again", node_api.name);
}

void ctl_drain(struct request *rq)
{
    reply_drain(rq, true);
}

void ctl_resume(struct request *rq)
{
    reply_drain(rq, false);
}

void ctl_kill(struct request *rq)
{
    term pid;

    if (!find_process(rq, request_arg(rq, 0), &pid))
        return;
    if (rq->msg->dry_run) {
        reply_done(rq, 0, 0, "would kill %s", request_arg(rq, 0));
    } else if (!inspect_kill(pid)) {
        reply_error(rq, EXIT_NO, "RN0302", NULL, NULL, "%s is gone already", request_arg(rq, 0));
    } else {
        reply_done(rq, 0, 0, "killed %s", request_arg(rq, 0));
    }
}
