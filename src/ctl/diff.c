/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.c - rnodectl diff: what a deployment would change, or has changed
 *
 * Two lists of modules are laid beside each other: files against what runs, a deployment against the
 * live one, or two deployments. A module is the same when its code is: md5 of the chunks that
 * matter, so another compiler's debug information is no change. Worker thread.
 */
#include "ctl/handlers.h"

#include "base/alloc.h"
#include "base/units.h"
#include "beam/file.h"
#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "term/atom.h"
#include "vm/inspect.h"

#include <stdlib.h>

/* One module of one side. The file may be unknown: modules that came with the node. */
struct side {
    char *name;
    struct buf bytes;               /* of the file; empty: unknown */
    struct beam_file beam;          /* open when bytes are there */
    uint8_t md5[16];
};
struct sides { struct side *at; size_t n; };

static void sides_fini(struct sides *s)
{
    for (size_t i = 0; i < s->n; i++) {
        beam_close(&s->at[i].beam);
        buf_fini(&s->at[i].bytes);
        mem_free(s->at[i].name);
    }
    mem_free(s->at);
}

static struct side *side_add(struct sides *s)
{
    s->at = mem_realloc(s->at, (s->n + 1) * sizeof s->at[0]);
    s->at[s->n] = (struct side){ 0 };
    return &s->at[s->n++];
}

static struct side *side_find(const struct sides *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->at[i].name, name) == 0)
            return &s->at[i];
    }
    return NULL;
}

/* Open its bytes. False: why says what is wrong with them. */
static bool side_open(struct side *s, struct beam_error *why)
{
    if (beam_open(s->bytes.data, s->bytes.len, false, &s->beam, why) < 0)
        return false;
    memcpy(s->md5, s->beam.md5, sizeof s->md5);
    if (s->name == NULL)
        s->name = mem_printf("%.*s", (int)s->beam.atoms[1].len,
                             (const char *)s->beam.atoms[1].data);
    return true;
}

/* --- the two sides ----------------------------------------------------------------------------- */

static bool take_files(struct request *rq, struct sides *ret)
{
    for (size_t i = 0; i < rq->nfiles; i++) {
        struct side *s = side_add(ret);
        struct beam_error why = { "" };

        buf_add(&s->bytes, rq->files[i].data.data, rq->files[i].data.len);
        if (side_open(s, &why))
            continue;
        s->name = mem_strdup("");
        reply_error(rq, EXIT_BAD_INPUT, "RN0201", NULL, why.text, "%s is refused",
                    rq->files[i].name);
        return false;
    }
    return true;
}

/* A file that is gone or damaged counts as unknown: the others are still worth comparing. */
static void take_deployment(const struct deployment *d, struct sides *ret)
{
    for (size_t i = 0; i < d->nmodules; i++) {
        struct side *s = side_add(ret);
        struct beam_error why;

        s->name = mem_strdup(d->modules[i].name);
        if (deploy_read_file(d->modules[i].digest, &s->bytes) < 0 || !side_open(s, &why))
            buf_fini(&s->bytes);
    }
}

static bool take_id(struct request *rq, const char *text, struct sides *ret)
{
    struct deployment d;
    uint32_t id = 0;

    if (!deployment_id_parse(text, &id) || deploy_get(id, &d) < 0) {
        reply_error(rq, EXIT_NO, "RN0205", "rnodectl history", NULL, "no deployment `%s`", text);
        return false;
    }
    take_deployment(&d, ret);
    deployment_fini(&d);
    return true;
}

static void take_live(struct sides *ret)
{
    struct deployment d;

    deploy_live(&d);
    take_deployment(&d, ret);
    deployment_fini(&d);
}

/* What runs, as far as the other side asks: deployed modules, and others by their md5. */
static void add_loaded(void *arg, const struct module_view *v)
{
    struct sides *s = arg;
    const char *name = atom_text(v->name, NULL);
    struct side *one = side_find(s, name);

    if (one == NULL) {
        one = side_add(s);
        one->name = mem_strdup(name);
    }
    memcpy(one->md5, v->md5, sizeof one->md5);
}

static void keep_named(struct sides *s, const struct sides *names)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (side_find(names, s->at[i].name) != NULL) {
            s->at[n++] = s->at[i];
            continue;
        }
        beam_close(&s->at[i].beam);
        buf_fini(&s->at[i].bytes);
        mem_free(s->at[i].name);
    }
    s->n = n;
}

/* --- the answer --------------------------------------------------------------------------------- */

static const struct column columns[] = {
    { "module", COL_TEXT, false }, { "change", COL_TEXT, false }, { "exports", COL_TEXT, false },
    { "before", COL_BYTES, false }, { "after", COL_BYTES, false },
};

static bool has_export(const struct beam_file *f, const struct beam_bytes *name, uint32_t arity)
{
    for (uint32_t i = 0; i < f->n_exports; i++) {
        const struct beam_bytes *at = &f->atoms[f->exports[i].function];

        if (f->exports[i].arity == arity && at->len == name->len &&
            memcmp(at->data, name->data, at->len) == 0)
            return true;
    }
    return false;
}

/* Exports of a that b has not, each with sign in front. */
static void add_exports(struct buf *out, char sign, const struct side *a, const struct side *b)
{
    if (a == NULL || b == NULL || a->bytes.len == 0 || b->bytes.len == 0)
        return;
    for (uint32_t i = 0; i < a->beam.n_exports; i++) {
        const struct beam_bytes *name = &a->beam.atoms[a->beam.exports[i].function];

        if (!has_export(&b->beam, name, a->beam.exports[i].arity))
            buf_printf(out, "%s%c%.*s/%u", out->len > 0 ? " " : "", sign, (int)name->len,
                       (const char *)name->data, a->beam.exports[i].arity);
    }
}

static void reply_change(struct request *rq, const struct side *before, const struct side *after)
{
    struct buf exports = { 0 };

    add_exports(&exports, '+', after, before);
    add_exports(&exports, '-', before, after);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(after != NULL ? after->name : before->name),
        CELL_TEXT(before == NULL ? "new" : after == NULL ? "removed" : "changed"),
        CELL_TEXT(buf_cstr(&exports)), CELL_NUMBER(before != NULL ? before->bytes.len : 0),
        CELL_NUMBER(after != NULL ? after->bytes.len : 0),
    }, ARRAY_LEN(columns));
    buf_fini(&exports);
}

static void reply_changes(struct request *rq, const struct sides *before, const struct sides *after)
{
    size_t changes = 0;

    reply_head(rq, "rnode.diff/1", columns, ARRAY_LEN(columns), false);
    for (size_t i = 0; i < after->n; i++) {
        const struct side *was = side_find(before, after->at[i].name);

        if (was != NULL && memcmp(was->md5, after->at[i].md5, sizeof was->md5) == 0)
            continue;
        reply_change(rq, was, &after->at[i]);
        changes++;
    }
    for (size_t i = 0; i < before->n; i++) {
        if (side_find(after, before->at[i].name) != NULL)
            continue;
        reply_change(rq, &before->at[i], NULL);
        changes++;
    }
    if (changes == 0)
        reply_done(rq, 0, 0, "no difference in %zu module%s", after->n, plural_s(after->n));
    else
        reply_done(rq, 0, changes, "%zu module%s", changes, changes == 1 ? " differs" : "s differ");
}

void ctl_diff(struct request *rq)
{
    struct sides before = { 0 }, after = { 0 };
    bool good;

    if (rq->nfiles > 0) {
        good = take_files(rq, &after);
        take_live(&before);
        inspect_modules(add_loaded, &before);
        keep_named(&before, &after);
    } else {
        good = take_id(rq, request_arg(rq, 0), &before);
        if (good && rq->msg->n_args > 1)
            good = take_id(rq, request_arg(rq, 1), &after);
        else if (good)
            take_live(&after);
    }
    if (good)
        reply_changes(rq, &before, &after);
    sides_fini(&before);
    sides_fini(&after);
}
