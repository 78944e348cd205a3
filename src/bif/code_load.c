/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_load.c - loading a module because somebody called it: files, error_handler
 *
 * The file is read and translated on a blocking thread; the caller's scheduler commits it. A
 * built-in that loads is called twice: the first time it submits the job and waits.
 */
#include "bif/code.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/errors.h"
#include "base/log.h"
#include "vm/code.h"
#include "vm/engine.h"
#include "vm/exception.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

struct load_job {
    struct job job;
    term module;
    char *path;                     /* in: exact file, or NULL: search; out: the file */
    bool found;
    struct prepared *prepared;
    struct load_error error;
    term on_load;                   /* the process that runs the on_load function, or TERM_NONE */
};

/* --- files ------------------------------------------------------------------------------------ */

char *code_find_file(const char *name)
{
    for (size_t i = 0; i < code_path_count(); i++) {
        char *path = mem_printf("%s/%s", code_path_get(i), name);

        if (access(path, R_OK) == 0)
            return path;
        mem_free(path);
    }
    return NULL;
}

static void load_run(struct job *job)
{
    struct load_job *lj = (struct load_job *)job;

    if (lj->path == NULL) {
        char *name = mem_printf("%s.beam", atom_text(lj->module, NULL));

        lj->path = code_find_file(name);
        mem_free(name);
    }
    if (lj->path != NULL) {
        int rc = code_prepare_file(lj->path, lj->module, &lj->prepared, &lj->error);

        lj->found = rc != -ERR_NOT_FOUND && rc != -ERR_SYSTEM;
        if (rc < 0)
            lj->prepared = NULL;
    }
}

static void load_free(struct job *job)
{
    struct load_job *lj = (struct load_job *)job;

    prepared_free(lj->prepared);
    mem_free(lj->path);
    mem_free(lj);
}

/* --- where modules came from ------------------------------------------------------------------ */

struct origin { term module; const char *path; struct origin *next; };

static struct origin *_Atomic origins[256];     /* newest first; links are never removed */

void module_set_file(term module, const char *path)
{
    struct origin *_Atomic *bucket = &origins[atom_index(module) % ARRAY_LEN(origins)];
    const char *known = module_file(module);
    struct origin *o;

    if (known != NULL && strcmp(known, path) == 0)
        return;
    o = MEM_NEW(struct origin);
    o->module = module;
    o->path = mem_strdup(path);
    o->next = atomic_load(bucket);
    while (!atomic_compare_exchange_weak(bucket, &o->next, o))
        ;
}

const char *module_file(term module)
{
    const struct origin *o = atomic_load(&origins[atom_index(module) % ARRAY_LEN(origins)]);

    while (o != NULL && o->module != module)
        o = o->next;
    return o == NULL ? NULL : o->path;
}

/* --- loading ---------------------------------------------------------------------------------- */

/* The on_load function runs in a process of its own. */
term on_load_start(struct process *p, term module)
{
    const struct spawn_options so = {
        .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE,
    };
    term name, pid;

    if (!code_on_load_function(module, &name))
        return TERM_NONE;
    pid = process_spawn_mfa(p, module, name, TERM_NIL, &so, NULL);
    if (pid == TERM_NONE)
        code_on_load_done(module, false);
    else
        code_on_load_started(module, pid);
    return pid;
}

/* A process has returned: it may have been one that ran an on_load function. */
static void process_returned(struct process *p, term result)
{
    term name;

    if (UNLIKELY(code_on_load_function(p->initial[0], &name)) && p->initial[1] == name)
        code_on_load_done(p->initial[0], result == ATOM_ok);
}

void code_load_init(void)
{
    engine_result_hook = process_returned;
}

term on_load_begin(struct process *p, term module)
{
    struct export *await = export_get(atom_from_cstr("erts_internal"),
                                      atom_from_cstr("await_on_load"), 1);

    (void)on_load_start(p, module);
    return bif_trap(p, await, 1, &module);
}

term bif_await_on_load_1(struct process *p, const term *a)
{
    term why = atom_from_cstr("on_load_failure");

    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (code_is_loading(p, a[0]))
        return bif_yield(p, 1, a);
    return code_on_load_failed(a[0]) ? heap_tuple2(&p->heap, ATOM_error, why)
                                     : heap_tuple2(&p->heap, ATOM_module, a[0]);
}

/* Make the file that was read current. Whoever asked for it waits for its on_load function, since
 * what the function sets up is what the first call needs. */
static enum load_state commit(struct process *p, struct load_job *lj)
{
    bool on_load = prepared_has_on_load(lj->prepared);
    term busy;

    if (code_commit(&lj->prepared, 1, &busy) < 0)
        return LOAD_BUSY;
    lj->prepared = NULL;
    module_set_file(lj->module, lj->path);
    if (on_load)
        lj->on_load = on_load_start(p, lj->module);
    return LOAD_DONE;
}

/* Held from the look whether somebody else was faster to the commit. Only tried: a scheduler that
 * waited for it would keep the holder from stopping the world. */
static pthread_mutex_t commit_lock = PTHREAD_MUTEX_INITIALIZER;

/* Several processes may have called a missing module at once: the first loads it, the others take
 * that. LOAD_WAITING: look again. */
static enum load_state commit_unless_there(struct process *p, struct load_job *lj, bool any_will_do)
{
    enum load_state state;

    if (pthread_mutex_trylock(&commit_lock) != 0)
        return LOAD_WAITING;
    if (code_is_loading(p, lj->module))
        state = LOAD_WAITING;
    else if (any_will_do && code_is_loaded(lj->module))
        state = LOAD_DONE;
    else
        state = commit(p, lj);
    pthread_mutex_unlock(&commit_lock);
    return state;
}

enum load_state module_load(struct process *p, term module, const char *path, size_t n,
                            const term *args)
{
    struct load_job *lj = (struct load_job *)p->job;
    enum load_state state = LOAD_DONE;

    if (lj == NULL) {
        lj = MEM_NEW(struct load_job);
        lj->job.run = load_run;
        lj->job.free = load_free;
        lj->module = module;
        lj->on_load = TERM_NONE;
        lj->path = path != NULL ? mem_strdup(path) : NULL;
        (void)job_submit(p, &lj->job, n, args);
        return LOAD_WAITING;
    }
    if (!atomic_load(&lj->job.done)) {
        (void)bif_wait(p, n, args);
        return LOAD_WAITING;
    }
    if (!lj->found) {
        state = LOAD_NO_FILE;
    } else if (lj->on_load == TERM_NONE && lj->prepared == NULL) {
        LOG(WARNING, "code.refused", LOG_FIELDS("file", lj->path), "%s", lj->error.text);
        state = LOAD_BAD_FILE;
    } else if (lj->on_load == TERM_NONE) {
        state = commit_unless_there(p, lj, path == NULL);
    }
    if (state == LOAD_WAITING || (lj->on_load != TERM_NONE && code_is_loading(p, module))) {
        (void)bif_yield(p, n, args);
        return LOAD_WAITING;
    }
    if (lj->on_load != TERM_NONE && code_on_load_failed(module))
        state = LOAD_ON_LOAD_FAILED;
    job_finish(p);
    return state;
}

/* --- error_handler ---------------------------------------------------------------------------- */

/* undef for M:F(Args), as if the call itself had raised it. */
static term undef(struct process *p, const term *a)
{
    (void)bif_error(p, ATOM_undef);
    exception_trace_take(p, NULL, a[0], a[1], a[2]);
    return TERM_NONE;
}

static term call_again(struct process *p, const term *a, struct export *e)
{
    term args[256], list = a[2];

    for (size_t i = 0; i < e->arity; i++, list = cdr(list))
        args[i] = car(list);
    return bif_trap(p, e, e->arity, args);
}

/* M:F(Args) is not there even with M loaded. */
static term no_function(struct process *p, const term *a)
{
    struct export *h = export_find(a[0], ATOM_handle_undefined_function, 2);
    term args[2] = { a[1], a[2] };

    if (h != NULL && export_is_defined(h))
        return bif_trap(p, h, 2, args);
    return undef(p, a);
}

term bif_undefined_function_3(struct process *p, const term *a)
{
    int64_t n = list_length(a[2]);
    struct export *e;

    if (!is_atom(a[0]) || !is_atom(a[1]) || n < 0)
        return bif_badarg(p);
    if (n > 255)
        return undef(p, a);
    e = export_get(a[0], a[1], (uint32_t)n);
    if (p->job == NULL && code_is_loading(p, a[0]))
        return bif_yield(p, 3, a);
    if (p->job == NULL) {
        if (export_is_defined(e))
            return call_again(p, a, e);
        if (code_is_loaded(a[0]))
            return no_function(p, a);
    }
    switch (module_load(p, a[0], NULL, 3, a)) {
    case LOAD_WAITING:
        return TERM_NONE;
    case LOAD_NO_FILE:
        export_use_fallback(e);
        break;
    case LOAD_DONE:
    case LOAD_BAD_FILE:
    case LOAD_BUSY:
    case LOAD_ON_LOAD_FAILED:
        break;
    }
    if (export_is_defined(e))
        return call_again(p, a, e);
    return code_is_loaded(a[0]) ? no_function(p, a) : undef(p, a);
}

term bif_undefined_lambda_3(struct process *p, const term *a)
{
    term top[3] = { a[0], ATOM_EMPTY, a[2] };

    if (!is_fun(a[1]))
        return bif_badarg(p);
    if (p->job != NULL || !code_is_loaded(a[0])) {
        if (module_load(p, a[0], NULL, 3, a) == LOAD_WAITING)
            return TERM_NONE;
        if (is_local_fun(a[1]) && atomic_load(&fun_entry_of(a[1])->code) != NULL) {
            term args[256], list = a[2];
            size_t n = 0;

            for (; is_cons(list) && n < 255; list = cdr(list))
                args[n++] = car(list);
            return bif_trap_fun(p, a[1], n, args);
        }
    }
    if (is_local_fun(a[1]))
        top[1] = fun_entry_of(a[1])->function;
    return undef(p, top);
}
