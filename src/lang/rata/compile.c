/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.c - lexer to .beam, stopping at the first pass with errors
 */
#include "lang/rata/compile.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "lang/emit.h"
#include "lang/rata/lower.h"
#include "lang/rata/parse.h"

#include <string.h>

/* --- reading --------------------------------------------------------------------------------- */

static void open_sources(struct rata_compile *c, const struct rata_text *texts, size_t n)
{
    c->sources = ARENA_NEW_ARRAY(&c->arena, struct source, n + 1);
    diags_init(&c->diags, &c->arena, c->sources);
    for (size_t i = 0; i < n; i++) {
        uint32_t len = texts[i].len < SOURCE_BYTES_MAX ? (uint32_t)texts[i].len : 0, bad;
        struct diagnostic *it;

        bad = source_open(&c->arena, texts[i].name, len != 0 ? texts[i].text : "", len,
                          &c->sources[i]);
        if (len != texts[i].len)
            diag_error(&c->diags, (struct span){ (uint32_t)i, 0, 0 }, "E0100",
                       "the file is larger than %u MiB", SOURCE_BYTES_MAX >> 20);
        if (bad == len)
            continue;
        it = diag_error(&c->diags, (struct span){ (uint32_t)i, bad, bad + 1 }, "E0100",
                        "this byte (0x%02x) is not UTF-8", (unsigned char)texts[i].text[bad]);
        diag_hint(&c->diags, it, "save the file as UTF-8");
    }
}

static struct node **parse_all(struct rata_compile *c, size_t n)
{
    struct node **roots = ARENA_NEW_ARRAY(&c->arena, struct node *, n + 1);

    for (size_t i = 0; i < n; i++) {
        struct parsed p;

        rata_parse(&c->diags, (uint32_t)i, &p);
        roots[i] = p.root;
        c->incomplete |= p.incomplete;
    }
    return roots;
}

/* Texts that are context keep their `library` lines alone. */
static void keep_libraries(struct node *root)
{
    size_t kept = 0;

    for (size_t i = 0; i < root->list.n; i++)
        if (root->list.at[i]->kind == N_LIBRARY)
            root->list.at[kept++] = root->list.at[i];
    root->list.n = kept;
}

static void note_libraries(struct rata_compile *c, struct node *const *roots, size_t n)
{
    size_t cap = 0;

    for (size_t i = c->n_context; i < n; i++)
        for (size_t k = 0; k < roots[i]->list.n; k++) {
            const struct node *item = roots[i]->list.at[k];

            if (item->kind != N_LIBRARY)
                continue;
            c->libraries = arena_grow(&c->arena, c->libraries, c->n_libraries, &cap,
                                      sizeof *c->libraries);
            c->libraries[c->n_libraries++] = item->span;
        }
}

/* The aliases of context texts hold in the text after them: its scope is inside of theirs. */
static int front(struct rata_compile *c, const struct rata_text *texts, size_t n,
                 struct program *ret_program, struct node ***ret_roots)
{
    struct node **roots;

    open_sources(c, texts, n);
    if (c->diags.n_errors > 0)
        return -ERR_FORMAT;
    roots = parse_all(c, n);
    for (size_t i = 0; i < c->n_context && i < n; i++)
        keep_libraries(roots[i]);
    note_libraries(c, roots, n);
    *ret_roots = roots;
    if (c->diags.n_errors > 0)
        return -ERR_FORMAT;
    *ret_program = (struct program){ .arena = &c->arena, .d = &c->diags, .outside = c->outside,
                                     .warn = c->warn, .cover = c->cover, .preset = c->preset,
                                     .script_name = c->script_name != NULL ? c->script_name
                                                                           : "Rata.Script",
                                     .n_context = c->n_context };
    rata_resolve(ret_program, roots, n);
    return c->diags.n_errors > 0 ? -ERR_FORMAT : 0;
}

/* --- code ------------------------------------------------------------------------------------ */

/* What the emitter refuses is too large or too deep; its span is by line and column. */
static void refused(struct rata_compile *c, struct span at, const struct core_error *why)
{
    struct diagnostic *it = diag_error(&c->diags, at, "E0206", "%s", why->text);

    if (why->span.line != 0)
        diag_note(&c->diags, it, "near line %u, column %u", why->span.line, why->span.column);
    diag_hint(&c->diags, it, "split the function, or give inner parts names of their own");
}

static void emit(struct rata_compile *c, struct core_module *m, struct span at, const char *name,
                 bool asserts, bool script)
{
    struct buf *out = &c->buffers[c->n_buffers++];
    struct core_error why = { .text = "" };

    if (lang_emit(m, out, &why) < 0) {
        refused(c, at, &why);
        return;
    }
    c->beams[c->n_beams++] = (struct rata_beam){ name, out->data, out->len, asserts, script };
}

static void emit_all(struct rata_compile *c, struct program *pr)
{
    c->beams = ARENA_NEW_ARRAY(&c->arena, struct rata_beam, pr->n_modules + 1);
    c->buffers = ARENA_NEW_ARRAY(&c->arena, struct buf, pr->n_modules + 1);
    for (size_t i = 0; i < pr->n_modules; i++) {
        struct module *m = pr->modules[i];

        emit(c, rata_lower_module(pr, m), m->node->mark, m->beam, m->asserts.n > 0, false);
    }
    if (pr->script != NULL)
        emit(c, rata_lower_script(pr), pr->script->span, pr->script_name, false, true);
}

int rata_compile(struct rata_compile *c, const struct rata_text *texts, size_t n)
{
    struct program pr;
    struct node **roots;
    int rc = front(c, texts, n, &pr, &roots);

    if (rc < 0 || c->check_only)
        return rc;
    emit_all(c, &pr);
    return c->diags.n_errors > 0 ? -ERR_FORMAT : 0;
}

int rata_dump(struct rata_compile *c, const struct rata_text *texts, size_t n,
              enum rata_dump what, struct buf *out)
{
    struct program pr;
    struct node **roots = NULL;
    int rc = front(c, texts, n, &pr, &roots);

    if (what == RATA_DUMP_TREE) {
        for (size_t i = 0; roots != NULL && i < n; i++)
            node_dump(out, roots[i]);
        return roots != NULL ? 0 : rc;
    }
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < pr.n_modules; i++)
        core_dump(out, rata_lower_module(&pr, pr.modules[i]));
    if (pr.script != NULL)
        core_dump(out, rata_lower_script(&pr));
    return 0;
}

void rata_compile_fini(struct rata_compile *c)
{
    for (size_t i = 0; i < c->n_buffers; i++)
        buf_fini(&c->buffers[i]);
    arena_fini(&c->arena);
    *c = (struct rata_compile){ 0 };
}
