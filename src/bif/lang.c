/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lang.c - rnode_lang:compile/4: arguments to a job, results to terms
 */
#include "bif/lang.h"

#include "base/alloc.h"
#include "bif/bif.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "heap/heap.h"
#include "heap/map.h"
#include "term/atom.h"

#include <stdio.h>
#include <string.h>

#define TEXTS_MAX 10000

bool (*lang_compile_hook)(struct lang_job *j);

/* --- the job --------------------------------------------------------------------------------- */

static void free_texts(struct lang_text *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(at[i].name);
        buf_fini(&at[i].text);
    }
    mem_free(at);
}

static void free_bufs(struct buf *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_fini(&at[i]);
    mem_free(at);
}

static void lang_free(struct job *job)
{
    struct lang_job *j = CONTAINER_OF(job, struct lang_job, job);

    for (size_t i = 0; j->bindings != NULL && j->bindings[i] != NULL; i++)
        mem_free(j->bindings[i]);
    mem_free(j->bindings);
    mem_free(j->script);
    free_texts(j->libraries, j->n_libraries);
    free_texts(j->texts, j->n_texts);
    for (size_t i = 0; i < j->n_beams; i++) {
        mem_free(j->beams[i].module);
        buf_fini(&j->beams[i].beam);
    }
    mem_free(j->beams);
    free_bufs(j->errors, j->n_errors);
    free_bufs(j->library_lines, j->n_library_lines);
    mem_free(j);
}

static void lang_run(struct job *job)
{
    struct lang_job *j = CONTAINER_OF(job, struct lang_job, job);

    /* Nothing at all as the result: not a language of this program. */
    if (lang_compile_hook == NULL || !lang_compile_hook(j))
        j->language[0] = 0;
}

/* --- arguments ------------------------------------------------------------------------------- */

static bool add_text(struct lang_text **at, size_t *n, term name, term text)
{
    struct buf file = { 0 };
    struct lang_text *t;

    if (*n == TEXTS_MAX || !text_append(&file, name)) {
        buf_fini(&file);
        return false;
    }
    *at = mem_realloc(*at, (*n + 1) * sizeof **at);
    t = &(*at)[(*n)++];
    *t = (struct lang_text){ mem_strdup(buf_cstr(&file)), { 0 } };
    buf_fini(&file);
    {
        const uint8_t *bytes;
        size_t len;
        uint8_t *scratch = NULL;
        bool ok = binary_bytes(text, &bytes, &len, &scratch);

        if (ok)
            buf_add(&t->text, bytes, len);
        mem_free(scratch);
        return ok;
    }
}

static bool take_source(struct lang_job *j, term file, term source)
{
    if (!is_list(source))
        return add_text(&j->texts, &j->n_texts, file, source);
    for (; is_cons(source); source = cdr(source)) {
        term row = car(source);

        if (!is_tuple(row) || tuple_arity(row) != 2
            || !add_text(&j->texts, &j->n_texts, tuple_elem(row, 0), tuple_elem(row, 1)))
            return false;
    }
    return source == TERM_NIL;
}

static bool take_bindings(struct lang_job *j, term list)
{
    int64_t n = list_length(list);

    if (n < 0 || n > TEXTS_MAX)
        return false;
    j->bindings = MEM_NEW_ARRAY(char *, (size_t)n + 1);
    for (size_t i = 0; is_cons(list); list = cdr(list), i++) {
        if (!is_atom(car(list)))
            return false;
        j->bindings[i] = mem_strdup(atom_text(car(list), NULL));
    }
    return true;
}

static term option(term map, const char *key)
{
    return map_get(map, atom_from_cstr(key));
}

static bool take_options(struct lang_job *j, term map)
{
    term script, list;

    if (!is_map(map))
        return false;
    script = option(map, "script");
    if (script != TERM_NONE) {
        if (!is_atom(script))
            return false;
        j->script = mem_strdup(atom_text(script, NULL));
    }
    j->cover = option(map, "cover") == ATOM_true;
    list = option(map, "bindings");
    if (!take_bindings(j, list != TERM_NONE ? list : TERM_NIL))
        return false;
    list = option(map, "libraries");
    for (; list != TERM_NONE && is_cons(list); list = cdr(list))
        if (!add_text(&j->libraries, &j->n_libraries, TERM_NIL, car(list)))
            return false;
    return list == TERM_NONE || list == TERM_NIL;
}

/* --- results --------------------------------------------------------------------------------- */

static term texts(struct heap *h, const struct buf *at, size_t n)
{
    term list = TERM_NIL;

    while (n-- > 0)
        list = heap_cons(h, heap_binary(h, at[n].data, at[n].len), list);
    return list;
}

static term result(struct process *p, const struct lang_job *j)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;

    if (j->incomplete && j->script != NULL)
        return atom_from_cstr("incomplete");
    if (!j->ok)
        return heap_tuple2(h, ATOM_error, texts(h, j->errors, j->n_errors));
    for (size_t i = j->n_beams; i-- > 0;) {
        const struct lang_beam *b = &j->beams[i];
        term name = atom_from_utf8(b->module, strlen(b->module));

        if (name == TERM_NONE)
            return TERM_NONE;
        list = heap_cons(h, heap_tuple2(h, name, heap_binary(h, b->beam.data, b->beam.len)), list);
    }
    if (j->script == NULL)
        return heap_tuple2(h, ATOM_ok, list);
    return heap_tuple3(h, ATOM_ok, list, texts(h, j->library_lines, j->n_library_lines));
}

/* Called twice: to start the job, and when it is done. */
term bif_lang_compile(struct process *p, const term *a)
{
    struct lang_job *j;

    if (p->job != NULL && atomic_load(&p->job->done)) {
        term value;

        j = CONTAINER_OF(p->job, struct lang_job, job);
        if (j->language[0] == 0) {
            job_finish(p);
            return bif_error2(p, atom_from_cstr("not_supported"), a[0]);
        }
        value = result(p, j);
        job_finish(p);
        return value != TERM_NONE ? value : bif_badarg(p);
    }
    if (!is_atom(a[0]))
        return bif_badarg(p);
    j = MEM_NEW(struct lang_job);
    j->job = (struct job){ .run = lang_run, .free = lang_free };
    snprintf(j->language, sizeof j->language, "%s", atom_text(a[0], NULL));
    if (!take_options(j, a[3]) || !take_source(j, a[1], a[2])) {
        lang_free(&j->job);
        return bif_badarg(p);
    }
    return job_submit(p, &j->job, 4, a);
}
