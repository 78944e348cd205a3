/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.c - rnode_lang:compile for Rata: runs on the blocking threads
 *
 * What a program may call there is what is loaded, then what lies on the code path.
 */
#include "cmd/rata/plug.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "bif/lang.h"
#include "heap/heap.h"
#include "lang/rata/compile.h"
#include "lang/rata/library.h"
#include "lang/rata/parse.h"
#include "term/atom.h"
#include "vm/code.h"

#include <string.h>

/* --- modules that are loaded ----------------------------------------------------------------- */

struct view {
    struct arena arena;
    struct library *disk;
    const char **folders;
};

static bool in_list(term list, term what)
{
    for (; is_cons(list); list = cdr(list))
        if (car(list) == what)
            return true;
    return false;
}

static term constants_of(term attributes)
{
    term key = atom_from_cstr("rata_constants");

    for (; is_cons(attributes); attributes = cdr(attributes)) {
        term row = car(attributes);

        if (is_tuple(row) && tuple_arity(row) == 2 && tuple_elem(row, 0) == key)
            return tuple_elem(row, 1);
    }
    return TERM_NIL;
}

static struct known_module *describe(struct view *v, const char *beam, term exports, term constants)
{
    struct known_module *m = ARENA_NEW(&v->arena, struct known_module);
    int64_t n = list_length(exports);

    m->beam = arena_strndup(&v->arena, beam, strlen(beam));
    m->functions = ARENA_NEW_ARRAY(&v->arena, struct known_function, (size_t)n + 1);
    for (; is_cons(exports); exports = cdr(exports)) {
        term row = car(exports), name = tuple_elem(row, 0);
        const char *text = atom_text(name, NULL);
        int64_t arity;

        if (strcmp(text, "module_info") == 0 || strncmp(text, "__", 2) == 0
            || !term_to_int64(tuple_elem(row, 1), &arity))
            continue;
        m->functions[m->n++] = (struct known_function){
            arena_strndup(&v->arena, text, strlen(text)), (uint32_t)arity,
            arity == 0 && in_list(constants, name) };
    }
    return m;
}

static const struct known_module *find(void *arg, const char *beam)
{
    struct view *v = arg;
    term module = atom_from_utf8(beam, strlen(beam));
    const struct module_source *disk = library_source(v->disk);
    struct known_module *m = NULL;
    struct heap bag;

    if (module == TERM_NONE)
        return NULL;
    heap_bag_init(&bag);
    epoch_enter();
    if (code_is_loaded(module)) {
        term exports = code_module_info(&bag, module, atom_from_cstr("exports"));
        term attributes = code_module_info(&bag, module, atom_from_cstr("attributes"));

        if (exports != TERM_NONE)
            m = describe(v, beam, exports,
                         attributes != TERM_NONE ? constants_of(attributes) : TERM_NIL);
    }
    epoch_leave();
    heap_fini(&bag);
    return m != NULL ? m : disk->find(disk->arg, beam);
}

static const char *const *names(void *arg)
{
    const struct module_source *disk = library_source(((struct view *)arg)->disk);

    return disk->names(disk->arg);
}

static void view_init(struct view *v)
{
    size_t n = code_path_count();

    *v = (struct view){ .folders = MEM_NEW_ARRAY(const char *, n + 1) };
    for (size_t i = 0; i < n; i++)
        v->folders[i] = code_path_get(i);
    v->disk = library_new(v->folders);
}

static void view_fini(struct view *v)
{
    library_free(v->disk);
    mem_free(v->folders);
    arena_fini(&v->arena);
}

/* --- one compile ----------------------------------------------------------------------------- */

static struct buf *add_buf(struct buf **at, size_t *n)
{
    *at = mem_realloc(*at, (*n + 1) * sizeof **at);
    (*at)[*n] = (struct buf){ 0 };
    return &(*at)[(*n)++];
}

/* Each diagnostic as a text of its own. */
static void give_errors(struct lang_job *j, struct rata_compile *c)
{
    struct buf all = { 0 };
    const char *at, *end;

    diags_print(&all, &c->diags);
    at = buf_cstr(&all);
    while (*at != 0) {
        end = strstr(at, "\n\n");
        end = end != NULL ? end + 1 : at + strlen(at);
        buf_add(add_buf(&j->errors, &j->n_errors), at, (size_t)(end - at));
        at = *end == '\n' ? end + 1 : end;
    }
    buf_fini(&all);
}

static void give_beams(struct lang_job *j, const struct rata_compile *c)
{
    j->beams = MEM_NEW_ARRAY(struct lang_beam, c->n_beams + 1);
    for (size_t i = 0; i < c->n_beams; i++) {
        j->beams[i].module = mem_strdup(c->beams[i].module);
        buf_add(&j->beams[i].beam, c->beams[i].data, c->beams[i].len);
    }
    j->n_beams = c->n_beams;
}

/* The `library` lines of the source, for the next inputs of a session. */
static void give_libraries(struct lang_job *j, const struct rata_compile *c)
{
    for (size_t i = 0; i < c->n_libraries; i++) {
        struct span s = c->libraries[i];

        buf_add(add_buf(&j->library_lines, &j->n_library_lines),
                c->sources[s.file].text + s.from, s.to - s.from);
    }
}

static bool compile(struct lang_job *j)
{
    size_t n = j->n_libraries + j->n_texts;
    struct rata_text *texts = MEM_NEW_ARRAY(struct rata_text, n + 1);
    struct view view;
    struct module_source source = { find, names, &view };
    struct rata_compile c = { .outside = &source, .script_name = j->script,
                              .n_context = j->n_libraries, .cover = j->cover };

    if (strcmp(j->language, "rata") != 0) {
        mem_free(texts);
        return false;
    }
    view_init(&view);
    if (j->script != NULL)
        c.preset = (const char *const *)j->bindings;
    for (size_t i = 0; i < n; i++) {
        struct lang_text *t = i < j->n_libraries ? &j->libraries[i] : &j->texts[i - j->n_libraries];

        texts[i] = (struct rata_text){ t->name, buf_cstr(&t->text), t->text.len };
    }
    j->ok = rata_compile(&c, texts, n) == 0;
    j->incomplete = c.incomplete;
    if (j->ok)
        give_beams(j, &c);
    else
        give_errors(j, &c);
    give_libraries(j, &c);
    rata_compile_fini(&c);
    view_fini(&view);
    mem_free(texts);
    return true;
}

/* --- names for the editor --------------------------------------------------------------------- */

static bool begins(const char *word, const char *start)
{
    return strncmp(word, start, strlen(start)) == 0;
}

/* Functions of the module in front of the last point of start. */
static void complete_functions(struct view *v, const char *start, size_t point, rata_found found,
                               void *arg)
{
    struct buf name = { 0 }, word = { 0 };
    const struct known_module *m;

    buf_printf(&name, "Rata.%.*s", (int)point, start);
    m = find(v, buf_cstr(&name));
    for (size_t i = 0; m != NULL && i < m->n; i++) {
        const struct known_function *f = &m->functions[i];

        word.len = 0;
        buf_printf(&word, "%.*s.%s", (int)point, start, f->name);
        if (begins(buf_cstr(&word), start))
            found(arg, buf_cstr(&word), f->constant ? -1 : (int)f->arity);
    }
    buf_fini(&name);
    buf_fini(&word);
}

void rata_complete(const char *start, rata_found found, void *arg)
{
    const char *point = strrchr(start, '.');
    struct view v;

    view_init(&v);
    for (const char *const *at = names(&v); at != NULL && *at != NULL; at++)
        if (*start != 0 && begins(*at, start))
            found(arg, *at, -1);
    if (point != NULL)
        complete_functions(&v, start, (size_t)(point - start), found, arg);
    for (size_t i = 0; i < n_core_fns; i++)
        if (begins(core_fns[i].name, start))
            found(arg, core_fns[i].name, core_fns[i].arity);
    view_fini(&v);
}

void rata_plug(void)
{
    lang_compile_hook = compile;
}
