/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread.c - asking nodes in turn, and saying what became of it
 */
#include "ctl/spread.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/bytes.h"
#include "ctl/exits.h"
#include "ctl/manifest.h"
#include "ctl/targets.h"

#include <string.h>

#define ANSWER_MS       (10 * 60 * 1000)
#define LIST_MS         10000

struct answer { int exit; char *code, *message; };

struct target { char *name; struct answer checked, done; bool tried; };

struct round_targets { struct target at[TARGETS_MAX]; size_t n; };

static void answer_set(struct answer *a, int exit, const char *code, const char *message)
{
    mem_free(a->code);
    mem_free(a->message);
    *a = (struct answer){ exit, mem_strdup(code), mem_strdup(message) };
}

/* --- one node ----------------------------------------------------------------------------------- */

/* What goes with each request of a round. */
struct round {
    const struct spread *s;
    struct spread_file manifest;            /* goes first; data NULL: none */
    size_t files_n;                         /* how many of s->files go */
};

static int send_all(const struct round *r, struct client *c, request_t *rq, uint32_t *ret_id)
{
    const struct spread_file *first = &r->manifest;
    size_t n = first->data != NULL;
    int rc;

    rq->files = (uint32_t)(n + r->files_n);
    rc = client_request(c, rq, ret_id);
    if (rc == 0 && n > 0)
        rc = client_file(c, *ret_id, first->name, first->data, first->len);
    for (size_t i = 0; rc == 0 && i < r->files_n; i++) {
        const struct spread_file *f = &r->s->files[i];

        rc = client_file(c, *ret_id, f->name, f->data, f->len);
    }
    return rc;
}

/* Words for people, with the name of the node before them. */
struct notes { FILE *err; const char *node; };

static void take_note(void *arg, const frame_t *f)
{
    const struct notes *n = arg;

    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_CHUNK &&
        f->chunk->stream == RNODE__CONTROL__CHUNK__STREAM__NOTE)
        fprintf(n->err, "%s: %.*s", n->node, (int)f->chunk->data.len,
                (const char *)f->chunk->data.data);
}

/* Frames of request id go to take, the last one into *ret. */
static void read_answer(struct client *c, uint32_t id, int64_t timeout_ms,
                        void (*take)(void *arg, const frame_t *f), void *arg, struct answer *ret)
{
    for (;;) {
        frame_t *f;
        int rc = client_next(c, id, timeout_ms, &f);

        if (rc == -ERR_BUSY)
            continue;
        if (rc < 0) {
            answer_set(ret, EXIT_UNREACHABLE, "RN0106",
                       "the connection was lost before the answer: it may have been done");
            return;
        }
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
            answer_set(ret, (int)f->done->exit, f->done->code, f->done->message);
            frame_free(f);
            return;
        }
        if (take != NULL)
            take(arg, f);
        frame_free(f);
    }
}

/* node NULL: the one of the context. */
static void ask(const struct round *r, const char *node, request_t *rq, int64_t timeout_ms,
                void (*take)(void *arg, const frame_t *f), void *arg, struct answer *ret)
{
    char *path = client_socket_path(r->s->context);
    struct client c = { .fd = -1 };
    frame_t *refused = NULL;
    uint32_t id;
    int rc = client_open(&c, path);

    if (rc == 0 && node != NULL)
        rc = client_tunnel(&c, node, LIST_MS, &refused);
    if (rc == 0)
        rc = send_all(r, &c, rq, &id);
    if (rc == 0)
        read_answer(&c, id, timeout_ms, take, arg, ret);
    else if (refused != NULL)
        answer_set(ret, (int)refused->done->exit, refused->done->code, refused->done->message);
    else
        answer_set(ret, EXIT_UNREACHABLE, "RN0105", "it does not answer");
    if (refused != NULL)
        frame_free(refused);
    client_close(&c);
    mem_free(path);
}

/* --- which nodes --------------------------------------------------------------------------------- */

/* 0, or an exit code after telling why. */
static int find_targets(const struct spread *s, struct round_targets *t)
{
    struct targets *found = MEM_NEW(struct targets);
    int exit = 0;

    if (!targets_find(found, s->context, s->to)) {
        fprintf(s->err, "error[%s]: %s\n", found->code, found->message);
        exit = found->exit;
    }
    for (; exit == 0 && t->n < found->n; t->n++)
        t->at[t->n] = (struct target){ .name = mem_strdup(found->names[t->n]) };
    targets_fini(found);
    mem_free(found);
    return exit;
}

/* --- the manifest ---------------------------------------------------------------------------------- */

static char *names_with_commas(const struct round_targets *t)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < t->n; i++)
        buf_printf(&b, "%s%s", i > 0 ? "," : "", t->at[i].name);
    return buf_cstr(&b);                    /* the bytes are the caller's now */
}

static void take_output(void *arg, const frame_t *f)
{
    if (f->body_case == RNODE__CONTROL__CONTROL__BODY_CHUNK &&
        f->chunk->stream == RNODE__CONTROL__CHUNK__STREAM__OUTPUT)
        buf_add(arg, f->chunk->data.data, f->chunk->data.len);
}

static void option_set(request_t *rq, option_t *o, const char *key, const char *value)
{
    *o = (option_t)RNODE__CONTROL__OPTION__INIT;
    o->key = (char *)(uintptr_t)key;
    o->value = (char *)(uintptr_t)value;
    rq->options[rq->n_options++] = o;
}

/* The node of the context reads the files and signs what they are. 0, or an exit code. */
static int get_manifest(const struct spread *s, const struct round_targets *t, struct buf *out)
{
    struct round r = { .s = s, .files_n = s->files_n };
    struct answer a = { 0 };
    option_t step, target;
    char *names = names_with_commas(t);

    option_set(s->rq, &step, "step", "sign");
    option_set(s->rq, &target, "target", names);
    ask(&r, NULL, s->rq, ANSWER_MS, take_output, out, &a);
    s->rq->n_options -= 2;
    if (a.exit != 0)
        fprintf(s->err, "error[%s]: %s\n", a.code, a.message);
    mem_free(names);
    mem_free(a.code);
    mem_free(a.message);
    return a.exit;
}

/* --- rounds ---------------------------------------------------------------------------------------- */

static size_t longest(const struct round_targets *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        n = strlen(t->at[i].name) > n ? strlen(t->at[i].name) : n;
    return n;
}

static void say(FILE *out, const struct round_targets *t, const struct target *k, const struct answer *a,
                const char *good)
{
    if (a->exit == 0)
        fprintf(out, "%-*s  %s  %s\n", (int)longest(t), k->name, good, a->message);
    else
        fprintf(out, "%-*s  FAILED  [%s] %s\n", (int)longest(t), k->name, a->code, a->message);
}

/* All are asked, so that all that is wrong is known. 0: nobody refuses. */
static int check_round(const struct round *r, struct round_targets *t)
{
    const struct spread *s = r->s;
    bool stages = s->files_n > 0;
    size_t refused = 0;
    option_t step;
    int exit = 0;

    s->rq->dry_run = s->dry_run || !stages;
    if (stages)
        option_set(s->rq, &step, "step", "stage");
    for (size_t i = 0; i < t->n; i++) {
        struct target *k = &t->at[i];
        struct notes notes = { s->err, k->name };

        ask(r, k->name, s->rq, ANSWER_MS, take_note, &notes, &k->checked);
        say(s->out, t, k, &k->checked, "checked");
        fflush(s->out);
        if (k->checked.exit != 0) {
            exit = k->checked.exit;
            refused++;
        }
    }
    s->rq->dry_run = false;
    s->rq->n_options -= stages;
    if (refused > 0)
        fprintf(s->err, "error[RN0209]: %zu of %zu nodes would refuse it; nothing was changed\n",
                refused, t->n);
    return exit;
}

static void list_names(FILE *out, const struct round_targets *t, bool done, const char *between)
{
    const char *sep = "";

    for (size_t i = 0; i < t->n; i++) {
        if ((t->at[i].tried && t->at[i].done.exit == 0) == done) {
            fprintf(out, "%s%s", sep, t->at[i].name);
            sep = between;
        }
    }
}

/* Stops at the first that fails: the next would most likely fail as well. */
static int act_round(const struct round *r, struct round_targets *t)
{
    const struct spread *s = r->s;
    size_t good = 0;
    option_t step;
    int exit = 0;

    if (s->files_n > 0)
        option_set(s->rq, &step, "step", "activate");
    for (size_t i = 0; i < t->n && exit == 0; i++) {
        struct target *k = &t->at[i];
        struct notes notes = { s->err, k->name };

        k->tried = true;
        ask(r, k->name, s->rq, ANSWER_MS, take_note, &notes, &k->done);
        say(s->out, t, k, &k->done, "done");
        exit = k->done.exit;
        good += exit == 0;
    }
    s->rq->n_options -= s->files_n > 0;
    if (exit == 0)
        return 0;
    fprintf(s->err, "error[RN0209]: %s is done on %zu of %zu nodes\n", s->rq->command, good, t->n);
    if (good > 0) {
        fprintf(s->err, "  done      ");
        list_names(s->err, t, true, ", ");
        fprintf(s->err, "\n");
    }
    fprintf(s->err, "  not done  ");
    list_names(s->err, t, false, ", ");
    if (strcmp(s->rq->command, "deploy") != 0 || good > 0) {
        bool undo = strcmp(s->rq->command, "deploy") == 0;

        fprintf(s->err, "\n  = %s  rnodectl rollback --to ", undo ? "Undo:" : "Again:");
        list_names(s->err, t, undo, ",");
    }
    fprintf(s->err, "\n");
    return exit;
}

int spread_run(const struct spread *s)
{
    struct round_targets *t = MEM_NEW(struct round_targets);
    struct round r = { .s = s, .files_n = s->files_n };
    struct buf manifest = { 0 };
    int exit = find_targets(s, t);

    if (exit == 0 && s->files_n > 0)
        exit = get_manifest(s, t, &manifest);
    if (s->files_n > 0)
        r.manifest = (struct spread_file){ MANIFEST_FILE, manifest.data, manifest.len };
    if (exit == 0)
        exit = check_round(&r, t);
    r.files_n = 0;                          /* they have them */
    if (exit == 0 && !s->dry_run)
        exit = act_round(&r, t);
    buf_fini(&manifest);
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->at[i].name);
        mem_free(t->at[i].checked.code);
        mem_free(t->at[i].checked.message);
        mem_free(t->at[i].done.code);
        mem_free(t->at[i].done.message);
    }
    mem_free(t);
    return exit;
}
