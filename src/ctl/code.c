/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.c - deploy and rollback
 *
 * A deployment: read every file - compare with the manifest, or sign one - check (who calls what) -
 * prepare every module - make room (purge softly what is two generations old) - keep the files -
 * switch all modules at once - record. What fails before the switch leaves the node as it was; the
 * record comes after the switch, so a crash in between comes up with the previous deployment.
 *
 * For several nodes (spread.h) the same goes in steps, named by the option `step`:
 *   sign      the node of the user reads the files and gives the manifest, for the nodes in `target`
 *   stage     each node gets manifest and files, checks all of it, and keeps the files
 *   activate  each node gets the manifest alone, and goes on with the kept files
 */
#include "ctl/handlers.h"

#include "auth/digest.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/units.h"
#include "beam/file.h"
#include "bif/bif.h"
#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "ctl/manifest.h"
#include "ctl/node_api.h"
#include "ctl/run.h"
#include "ctl/view.h"
#include "dist/peer.h"
#include "dist/peer_ring.h"
#include "term/atom.h"
#include "vm/code.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One module on its way. */
struct incoming {
    const char *file;           /* lent: name for messages */
    const void *data;           /* lent */
    size_t len;
    struct beam_file beam;
    struct prepared *prepared;
    char *name;                 /* owned */
    char digest[DIGEST_TEXT];
    bool unchanged;             /* the same file is live already */
    bool is_new;                /* no such module was loaded */
};

struct plan {
    struct request *rq;
    const char *step;           /* lent; "" when it is done in one step */
    struct incoming *in;
    size_t n;
    struct buf *kept;           /* n, when the files come from the node itself */
    struct buf offer;           /* the signed manifest */
    struct manifest manifest;
    struct deployment live;     /* before */
    int64_t start_ns;
    size_t old_left;            /* processes on old code after the switch */
};

static char *atom_of(const struct beam_file *f, uint32_t atom)
{
    return mem_printf("%.*s", (int)f->atoms[atom].len, (const char *)f->atoms[atom].data);
}

static const struct deploy_module *live_module(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->live.nmodules; i++) {
        if (strcmp(p->live.modules[i].name, name) == 0)
            return &p->live.modules[i];
    }
    return NULL;
}

static void plan_fini(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        prepared_free(p->in[i].prepared);
        beam_close(&p->in[i].beam);
        mem_free(p->in[i].name);
    }
    for (size_t i = 0; p->kept != NULL && i < p->n; i++)
        buf_fini(&p->kept[i]);
    mem_free(p->kept);
    mem_free(p->in);
    buf_fini(&p->offer);
    manifest_fini(&p->manifest);
    deployment_fini(&p->live);
}

static bool is_step(const struct plan *p, const char *step)
{
    return strcmp(p->step, step) == 0;
}

/* --- check: every file by itself ---------------------------------------------------- */

static bool open_file(struct plan *p, struct incoming *in)
{
    struct beam_error why = { "" };
    const struct deploy_module *live;
    term name;

    if (beam_open(in->data, in->len, false, &in->beam, &why) < 0) {
        reply_error(p->rq, EXIT_BAD_INPUT, "RN0201", NULL, why.text, "%s is refused", in->file);
        return false;
    }
    in->name = atom_of(&in->beam, 1);
    digest_text(in->data, in->len, in->digest);
    live = live_module(p, in->name);
    in->unchanged = live != NULL && strcmp(live->digest, in->digest) == 0;
    name = atom_existing_utf8(in->name, strlen(in->name));
    in->is_new = name == TERM_NONE || !code_is_loaded(name);
    return true;
}

static bool open_files(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!open_file(p, &p->in[i]))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->in[k].name, p->in[i].name) == 0) {
                reply_error(p->rq, EXIT_BAD_INPUT, "RN0207", NULL, NULL, "%s and %s both hold %s",
                            p->in[k].file, p->in[i].file, p->in[i].name);
                return false;
            }
        }
    }
    return true;
}

/* --- check: who answers the calls --------------------------------------------------- */

static bool beam_exports(const struct beam_file *f, const struct beam_bytes *function,
                         uint32_t arity)
{
    for (uint32_t i = 0; i < f->n_exports; i++) {
        const struct beam_bytes *name = &f->atoms[f->exports[i].function];

        if (f->exports[i].arity == arity && name->len == function->len &&
            memcmp(name->data, function->data, name->len) == 0)
            return true;
    }
    return function->len == 11 && memcmp(function->data, "module_info", 11) == 0 && arity <= 1;
}

static const struct beam_file *deployed_with(const struct plan *p, const struct beam_bytes *module)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct beam_bytes *name = &p->in[i].beam.atoms[1];

        if (name->len == module->len && memcmp(name->data, module->data, name->len) == 0)
            return &p->in[i].beam;
    }
    return NULL;
}

static bool on_code_path(const struct beam_bytes *module)
{
    for (size_t i = 0; i < code_path_count(); i++) {
        char *file = mem_printf("%s/%.*s.beam", code_path_get(i), (int)module->len,
                                (const char *)module->data);
        bool found = access(file, R_OK) == 0;

        mem_free(file);
        if (found)
            return true;
    }
    return false;
}

static bool import_resolves(const struct plan *p, const struct beam_file *f,
                            const struct beam_import *im)
{
    const struct beam_bytes *module = &f->atoms[im->module], *function = &f->atoms[im->function];
    const struct beam_file *with = deployed_with(p, module);
    term m, fn;
    const struct export *e;

    if (with != NULL)
        return beam_exports(with, function, im->arity);
    m = atom_existing_utf8((const char *)module->data, module->len);
    fn = atom_existing_utf8((const char *)function->data, function->len);
    if (m != TERM_NONE && fn != TERM_NONE) {
        e = export_find(m, fn, im->arity);
        if ((e != NULL && export_is_defined(e)) || bif_find(m, fn, im->arity) != NULL)
            return true;
        if (code_is_loaded(m))
            return false;
    }
    /* A module of the code path is loaded by the first call; its exports are not looked at here. */
    return on_code_path(module);
}

/* Append the calls that nobody answers. Returns how many there are. */
static size_t unresolved(const struct plan *p, struct buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct beam_file *f = &p->in[i].beam;

        for (uint32_t k = 0; k < f->n_imports; k++) {
            char *module, *function;

            if (import_resolves(p, f, &f->imports[k]))
                continue;
            module = atom_of(f, f->imports[k].module);
            function = atom_of(f, f->imports[k].function);
            if (n++ < 20)
                buf_printf(out, "%s calls %s:%s/%" PRIu32 "\n", p->in[i].name, module, function,
                           f->imports[k].arity);
            mem_free(module);
            mem_free(function);
        }
    }
    if (n > 20)
        buf_printf(out, "and %zu more\n", n - 20);
    return n;
}

static bool check_calls(struct plan *p, size_t *ret_open)
{
    struct buf calls = { 0 };

    *ret_open = unresolved(p, &calls);
    if (*ret_open > 0 && !request_flag(p->rq, "force")) {
        reply_error(p->rq, EXIT_BAD_INPUT, "RN0202", NULL, buf_cstr(&calls),
                    "%zu calls lead nowhere; nothing was deployed", *ret_open);
        buf_fini(&calls);
        return false;
    }
    buf_fini(&calls);
    return true;
}

static bool prepare_all(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct incoming *in = &p->in[i];
        struct load_error why = { "" };
        term name = atom_from_utf8(in->name, strlen(in->name));

        if (in->unchanged)
            continue;
        if (name == TERM_NONE ||
            code_prepare(in->data, in->len, name, &in->prepared, &why) < 0) {
            reply_error(p->rq, EXIT_BAD_INPUT, "RN0201", NULL, why.text,
                        "%s is refused; nothing was deployed", in->file);
            return false;
        }
    }
    return true;
}

static void say_check(struct plan *p, size_t open_calls)
{
    struct buf line = { 0 };
    const char *word = " · new";
    size_t unchanged = 0;

    buf_printf(&line, "%zu module%s", p->n, p->n == 1 ? "" : "s");
    for (int want_new = 1; want_new >= 0; want_new--, word = " · changed") {
        bool first = true;

        for (size_t i = 0; i < p->n; i++) {
            if (p->in[i].unchanged || p->in[i].is_new != (want_new == 1))
                continue;
            buf_printf(&line, "%s %s", first ? word : "", p->in[i].name);
            first = false;
        }
    }
    for (size_t i = 0; i < p->n; i++)
        unchanged += p->in[i].unchanged;
    if (unchanged > 0)
        buf_printf(&line, " · %zu unchanged", unchanged);
    if (open_calls == 0)
        buf_str(&line, " · every call resolves");
    else
        buf_printf(&line, " · %zu calls lead nowhere", open_calls);
    reply_progress(p->rq, "check", p->n, p->n, buf_cstr(&line));
    buf_fini(&line);
}

/* --- the switch --------------------------------------------------------------------- */

struct old_users { struct buf text; size_t n; };

static bool name_old_user(void *arg, const struct process_view *v)
{
    struct old_users *o = arg;

    if (!v->old_code)
        return true;
    if (o->n++ < 10) {
        view_pid(&o->text, v->pid);
        if (is_atom(v->name))
            buf_printf(&o->text, " %s", atom_text(v->name, NULL));
        buf_str(&o->text, " in ");
        view_mfa(&o->text, v->current);
        buf_u8(&o->text, '\n');
    }
    return true;
}

/* Make modules[0..n) free for a new version, or for none: drop their old code if nobody runs it, or
 * only look. False: the request is answered with who does. */
static bool make_room(struct request *rq, const term *modules, size_t n, bool look)
{
    bool kill = rq->limits.purge_kill;

    for (size_t i = 0; i < n; i++) {
        struct old_users o = { { 0 }, 0 };

        if (!code_has_old(modules[i]) ||
            (look ? kill || !code_old_in_use(modules[i])
                  : code_purge_start(NULL, modules[i], kill) == 0))
            continue;
        inspect_processes(true, name_old_user, &o);
        reply_error(rq, EXIT_TIMEOUT, "RN0203", NULL, buf_cstr(&o.text),
                    "%s has old code that %zu process%s still run%s; nothing was changed",
                    atom_text(modules[i], NULL), o.n, o.n == 1 ? "" : "es", o.n == 1 ? "s" : "");
        buf_fini(&o.text);
        return false;
    }
    return true;
}

/* Run the on_load functions of what is new. What failed is appended to the log and told. */
static void run_on_loads(struct request *rq, const term *modules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf why = { 0 };

        if (run_on_load(modules[i], &why) < 0) {
            LOG(ERROR, "deploy.on_load", LOG_FIELDS("code", "RN0208"), "%s: %s",
                atom_text(modules[i], NULL), buf_cstr(&why));
            reply_note(rq, "warning[RN0208]: on_load of %s gave %s; the module is not loaded",
                       atom_text(modules[i], NULL), buf_cstr(&why));
        }
        buf_fini(&why);
    }
}

/* The prepared modules pr[0..n), and behind them those of gone[0..n_gone), which lose their code. */
static bool make_room_for(struct request *rq, struct prepared **pr, size_t n, const term *gone,
                          size_t n_gone, bool look)
{
    term *modules = MEM_NEW_ARRAY(term, n + n_gone);
    bool ok;

    for (size_t i = 0; i < n; i++)
        modules[i] = prepared_module(pr[i]);
    for (size_t i = 0; i < n_gone; i++)
        modules[n + i] = gone[i];
    ok = make_room(rq, modules, n + n_gone, look);
    mem_free(modules);
    return ok;
}

static bool switch_prepared(struct request *rq, struct prepared **pr, size_t n)
{
    term *modules = MEM_NEW_ARRAY(term, n), busy = TERM_NONE;
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        modules[i] = prepared_module(pr[i]);
    if (n > 0 && code_commit(pr, n, &busy) < 0) {
        reply_error(rq, EXIT_TIMEOUT, "RN0203", NULL, NULL,
                    "%s got old code meanwhile; nothing was changed", atom_text(busy, NULL));
        ok = false;
    }
    if (ok)
        run_on_loads(rq, modules, n);
    mem_free(modules);
    return ok;
}

/* Make room for the modules of p and switch to them, or only look whether there is room. */
static bool switch_plan(struct plan *p, bool look)
{
    struct prepared **pr = MEM_NEW_ARRAY(struct prepared *, p->n);
    size_t n = 0;
    bool ok;

    for (size_t i = 0; i < p->n; i++) {
        if (p->in[i].prepared != NULL)
            pr[n++] = p->in[i].prepared;
    }
    ok = make_room_for(p->rq, pr, n, NULL, 0, look);
    if (ok && !look) {
        ok = switch_prepared(p->rq, pr, n);
        for (size_t i = 0; ok && i < p->n; i++)
            p->in[i].prepared = NULL; /* taken */
    }
    mem_free(pr);
    return ok;
}

static bool count_old_user(void *arg, const struct process_view *v)
{
    *(size_t *)arg += v->old_code;
    return true;
}

static bool keep_files(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (deploy_keep_file(p->in[i].data, p->in[i].len, p->in[i].digest) < 0) {
            reply_error(p->rq, EXIT_IO, "RN0004", NULL, strerror(errno),
                        "%s cannot be kept; nothing was deployed", p->in[i].name);
            return false;
        }
    }
    return true;
}

/* --- the record --------------------------------------------------------------------- */

static int by_module_name(const void *a, const void *b)
{
    return strcmp(((const struct deploy_module *)a)->name, ((const struct deploy_module *)b)->name);
}

/* What is live after the switch: the old list with the new files in it. */
static void new_list(const struct plan *p, struct deployment *d)
{
    d->modules = MEM_NEW_ARRAY(struct deploy_module, p->live.nmodules + p->n);
    for (size_t i = 0; i < p->n; i++) {
        struct deploy_module *m = &d->modules[d->nmodules++];

        m->name = mem_strdup(p->in[i].name);
        m->digest = mem_strdup(p->in[i].digest);
        m->md5 = mem_strdup("");
        d->changed += !p->in[i].unchanged;
    }
    for (size_t i = 0; i < p->live.nmodules; i++) {
        bool replaced = false;

        for (size_t k = 0; k < p->n; k++)
            replaced |= strcmp(p->in[k].name, p->live.modules[i].name) == 0;
        if (replaced)
            continue;
        d->modules[d->nmodules].name = mem_strdup(p->live.modules[i].name);
        d->modules[d->nmodules].digest = mem_strdup(p->live.modules[i].digest);
        d->modules[d->nmodules++].md5 = mem_strdup("");
    }
    qsort(d->modules, d->nmodules, sizeof d->modules[0], by_module_name);
}

static const struct column deploy_columns[] = {
    { "id", COL_TEXT, false }, { "node", COL_TEXT, false }, { "changed", COL_COUNT_, false },
    { "modules", COL_COUNT_, false }, { "time", COL_NS, false },
    { "on_old_code", COL_COUNT_, false },
    { "undo", COL_TEXT, false },
};

static void reply_deployed(struct request *rq, const struct deployment *d, uint32_t before,
                           int64_t start_ns)
{
    char id[16], undo[48] = "";
    size_t old = 0;

    if (inspect_has_old_code())
        inspect_processes(true, count_old_user, &old);
    snprintf(id, sizeof id, "d%" PRIu32, d->id);
    if (before != 0)
        snprintf(undo, sizeof undo, "rnodectl rollback d%" PRIu32, before);
    else
        snprintf(undo, sizeof undo, "rnodectl rollback d0");
    reply_head(rq, "rnode.deploy/1", deploy_columns, ARRAY_LEN(deploy_columns), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(id), CELL_TEXT(node_api.name), CELL_NUMBER(d->changed), CELL_NUMBER(d->nmodules),
        CELL_NUMBER(clock_monotonic_ns() - start_ns), CELL_NUMBER(old), CELL_TEXT(undo),
    }, ARRAY_LEN(deploy_columns));
    reply_done(rq, 0, 0, "%s", "");
}

static void record(struct request *rq, struct deployment *d, const struct buf *manifest,
                   const char *old_state, uint32_t before, int64_t start_ns)
{
    int rc = deploy_record(d, manifest, old_state, (size_t)rq->limits.deploy_keep);

    if (rc < 0) {
        reply_error(rq, EXIT_IO, "RN0601", NULL, error_text(rc),
                    "the modules run, but the deployment was not recorded: a restart loses it");
        return;
    }
    metric_inc(strcmp(old_state, "rolled back") == 0 ? M_deployed_back : M_deployed_ok);
    metric_time(M_deployment, clock_monotonic_ns() - start_ns);
    LOG(NOTICE, "deploy.done", LOG_FIELDS("user", d->user), "d%" PRIu32 " is live: %" PRIu32
        " modules changed", d->id, d->changed);
    reply_deployed(rq, d, before, start_ns);
}

/* --- files and manifest --------------------------------------------------------------- */

/* Files of the request, from the first-th on. */
static void take_files(struct plan *p, size_t first)
{
    p->n = p->rq->nfiles - first;
    p->in = MEM_NEW_ARRAY(struct incoming, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct request_file *f = &p->rq->files[first + i];

        p->in[i].file = f->name;
        p->in[i].data = f->data.data;
        p->in[i].len = f->data.len;
    }
}

/* What the manifest names, from the files that were kept when it was staged. */
static bool take_staged(struct plan *p)
{
    p->n = p->manifest.n;
    p->in = MEM_NEW_ARRAY(struct incoming, p->n);
    p->kept = MEM_NEW_ARRAY(struct buf, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct manifest_module *m = &p->manifest.modules[i];

        if (deploy_read_file(m->digest, &p->kept[i]) < 0) {
            reply_error(p->rq, EXIT_NO, "RN0211", NULL, NULL,
                        "%s is not staged here; nothing was changed", m->name);
            return false;
        }
        p->in[i].file = m->name;
        p->in[i].data = p->kept[i].data;
        p->in[i].len = p->kept[i].len;
    }
    return true;
}

static void sign_plan(struct plan *p, const char *target)
{
    const char *message = request_option(p->rq, "message");
    struct manifest_module *m = MEM_NEW_ARRAY(struct manifest_module, p->n);

    for (size_t i = 0; i < p->n; i++) {
        m[i].name = p->in[i].name;
        memcpy(m[i].digest, p->in[i].digest, DIGEST_TEXT);
    }
    manifest_make(ring_identity(), m, p->n, p->rq->user, message != NULL ? message : "", target,
                  &p->offer);
    mem_free(m);
}

/* The files are what the manifest names, no more and no less. */
static bool compare_with_manifest(struct plan *p)
{
    bool same = p->n == p->manifest.n;

    for (size_t i = 0; same && i < p->n; i++) {
        const char *digest = manifest_digest(&p->manifest, p->in[i].name);

        same = digest != NULL && strcmp(digest, p->in[i].digest) == 0;
    }
    if (!same)
        reply_error(p->rq, EXIT_BAD_INPUT, "RN0210", NULL, NULL,
                    "the files are not those of the manifest; nothing was changed");
    return same;
}

/* The manifest of this request: the one that came, or our own over the files that came. */
static bool read_manifest(struct plan *p)
{
    const char *why = manifest_check(p->offer.data, p->offer.len, p->live.made_at_us, &p->manifest);

    if (why == NULL)
        return true;
    LOG(WARNING, "deploy.refused", LOG_FIELDS("code", "RN0210", "user", p->rq->user),
        "a manifest is refused: %s", why);
    reply_error(p->rq, EXIT_PERMISSION, "RN0210", NULL, NULL,
                "the manifest is refused: %s; nothing was changed", why);
    return false;
}

/* Files and manifest of each step; false: the request is answered. */
static bool take_request(struct plan *p)
{
    bool foreign = is_step(p, "stage") || is_step(p, "activate");

    if (foreign && (p->rq->nfiles == 0 || strcmp(p->rq->files[0].name, MANIFEST_FILE) != 0)) {
        reply_error(p->rq, EXIT_BAD_INPUT, "RN0210", NULL, NULL, "no manifest came first");
        return false;
    }
    if (foreign) {
        buf_add(&p->offer, p->rq->files[0].data.data, p->rq->files[0].data.len);
        if (!read_manifest(p))
            return false;
    }
    if (is_step(p, "activate"))
        return take_staged(p) && open_files(p) && compare_with_manifest(p);
    take_files(p, foreign);
    if (p->n == 0) {
        reply_error(p->rq, EXIT_NO_INPUT, "RN0206", NULL, NULL, "no file came with the request");
        return false;
    }
    if (!open_files(p))
        return false;
    if (foreign)
        return compare_with_manifest(p);
    if (is_step(p, "sign"))
        return true;
    sign_plan(p, peer_self.name);
    return read_manifest(p);
}

static void activate(struct plan *p)
{
    struct deployment d = { 0 };

    if (!keep_files(p) || !switch_plan(p, false))
        return;
    new_list(p, &d);
    d.user = mem_strdup(p->rq->user);
    d.message = mem_strdup(p->manifest.message);
    d.signer = mem_strdup(p->manifest.signer);
    d.made_at_us = p->manifest.made_at_us;
    record(p->rq, &d, &p->offer, "replaced", p->live.id, p->start_ns);
    deployment_fini(&d);
}

void ctl_deploy(struct request *rq)
{
    const char *step = request_option(rq, "step"), *target = request_option(rq, "target");
    struct plan p = { .rq = rq, .step = step != NULL ? step : "", .start_ns = clock_monotonic_ns() };
    size_t open_calls = 0;

    deploy_live(&p.live);
    if (!take_request(&p)) {
        metric_inc(M_deployed_refused);
        goto out;
    }
    if (is_step(&p, "sign")) {
        sign_plan(&p, target != NULL ? target : "");
        reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, p.offer.data, p.offer.len);
        reply_done(rq, 0, 0, "%s", "");
        goto out;
    }
    if (!check_calls(&p, &open_calls) || !prepare_all(&p)) {
        metric_inc(M_deployed_refused);
        goto out;
    }
    say_check(&p, open_calls);
    if (is_step(&p, "stage") || rq->msg->dry_run) {
        bool keep = !rq->msg->dry_run;

        if (switch_plan(&p, true) && (!keep || keep_files(&p)))
            reply_done(rq, 0, 0, "%s", keep ? "staged; nothing was changed" : "nothing was changed");
        goto out;
    }
    activate(&p);
out:
    plan_fini(&p);
}

/* --- rollback ----------------------------------------------------------------------- */

static bool previous_id(void *arg, const struct deployment *d)
{
    uint32_t *ids = arg; /* [0] live, [1] answer */

    if (d->id >= ids[0] || strcmp(d->state, "rolled back") == 0)
        return true;
    ids[1] = d->id;
    return false;
}

/* The deployment to go back to. id 0: nothing deployed, every module of ours goes. */
static bool rollback_target(struct request *rq, const struct deployment *live,
                            struct deployment *ret)
{
    uint32_t ids[2] = { live->id, 0 };

    *ret = (struct deployment){ 0 };
    if (rq->msg->n_args > 0) {
        const char *text = request_arg(rq, 0);

        if (!deployment_id_parse(text, &ids[1])) {
            reply_error(rq, EXIT_USAGE, "RN0205", NULL, NULL, "`%s` is no id of a deployment",
                        text);
            return false;
        }
    } else if (deploy_history(previous_id, ids) < 0) {
        ids[1] = 0;
    }
    if (live->id == 0 || (ids[1] != 0 && deploy_get(ids[1], ret) < 0)) {
        reply_error(rq, EXIT_NO, "RN0205", NULL, NULL,
                    live->id == 0 ? "nothing was deployed yet" : "no deployment `%s`",
                    rq->msg->n_args > 0 ? request_arg(rq, 0) : "");
        return false;
    }
    return true;
}

static const char *digest_in(const struct deployment *d, const char *name)
{
    for (size_t i = 0; i < d->nmodules; i++) {
        if (strcmp(d->modules[i].name, name) == 0)
            return d->modules[i].digest;
    }
    return NULL;
}

/* Prepare the modules of target that differ from live. */
static bool prepare_target(struct request *rq, const struct deployment *live,
                           const struct deployment *target, struct prepared **pr, size_t *n)
{
    for (size_t i = 0; i < target->nmodules; i++) {
        const struct deploy_module *m = &target->modules[i];
        const char *now = digest_in(live, m->name);
        struct load_error why = { "" };
        struct buf b = { 0 };
        int rc;

        if (now != NULL && strcmp(now, m->digest) == 0)
            continue;
        rc = deploy_read_file(m->digest, &b);
        if (rc == 0)
            rc = code_prepare(b.data, b.len, atom_from_cstr(m->name), &pr[*n], &why);
        buf_fini(&b);
        if (rc < 0) {
            reply_error(rq, EXIT_IO,
                        rc == -ERR_FORMAT && why.text[0] == 0 ? "RN0603" : "RN0205", NULL,
                        why.text[0] != 0 ? why.text : error_text(rc),
                        "%s cannot be loaded; nothing was changed", m->name);
            return false;
        }
        (*n)++;
    }
    return true;
}

/* Modules of live that target does not have, into names; how many. */
static size_t missing_in(const struct deployment *live, const struct deployment *target, term *names)
{
    size_t n = 0;

    for (size_t i = 0; i < live->nmodules; i++) {
        if (digest_in(target, live->modules[i].name) == NULL)
            names[n++] = atom_from_cstr(live->modules[i].name);
    }
    return n;
}

/* Their code becomes old, calls to them undefined; there is room for it (make_room). How many did. */
static size_t drop_modules(struct request *rq, const term *names, size_t n)
{
    size_t dropped = 0;

    for (size_t i = 0; i < n; i++) {
        if (code_delete(names[i]) == 0)
            dropped++;
        else if (code_is_loaded(names[i]))
            reply_note(rq, "warning[RN0203]: %s got old code meanwhile and stays",
                       atom_text(names[i], NULL));
    }
    return dropped;
}

/* Make room, and but for a dry run go from live to target. False: the request is answered. */
static bool go_back(struct request *rq, const struct deployment *live, struct deployment *target)
{
    struct prepared **pr = MEM_NEW_ARRAY(struct prepared *, target->nmodules);
    term *gone = MEM_NEW_ARRAY(term, live->nmodules);
    size_t n_gone = missing_in(live, target, gone), n = 0;
    bool ok = prepare_target(rq, live, target, pr, &n) &&
              make_room_for(rq, pr, n, gone, n_gone, rq->msg->dry_run);

    target->changed = (uint32_t)(n + n_gone);
    if (ok && !rq->msg->dry_run) {
        ok = switch_prepared(rq, pr, n);
        if (ok) {
            target->changed = (uint32_t)(n + drop_modules(rq, gone, n_gone));
            n = 0;                          /* taken */
        }
    }
    for (size_t i = 0; i < n; i++)
        prepared_free(pr[i]);
    mem_free(pr);
    mem_free(gone);
    return ok;
}

void ctl_rollback(struct request *rq)
{
    struct deployment live, target;
    int64_t start = clock_monotonic_ns();

    deploy_live(&live);
    if (!rollback_target(rq, &live, &target)) {
        deployment_fini(&live);
        return;
    }
    if (go_back(rq, &live, &target)) {
        if (rq->msg->dry_run) {
            reply_done(rq, 0, 0, "would go back to d%" PRIu32 ": %" PRIu32 " modules change",
                       target.id, target.changed);
        } else {
            mem_free(target.user);
            mem_free(target.message);
            target.user = mem_strdup(rq->user);
            target.message = mem_printf("rollback to d%" PRIu32, target.id);
            mem_free(target.signer);
            target.signer = mem_strdup("");
            target.made_at_us = live.made_at_us;
            record(rq, &target, NULL, "rolled back", live.id, start);
        }
    }
    deployment_fini(&live);
    deployment_fini(&target);
}
