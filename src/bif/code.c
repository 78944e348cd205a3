/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.c - modules: loading, asking, purging
 */
#include "bif/code.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "bif/text.h"
#include "heap/blob.h"
#include "vm/code.h"

#include <stdlib.h>
#include <sys/stat.h>

static term boolean(bool b)
{
    return b ? ATOM_true : ATOM_false;
}

static term error_pair(struct process *p, const char *why)
{
    return heap_tuple2(&p->heap, ATOM_error, atom_from_cstr(why));
}

/* --- questions -------------------------------------------------------------------------------- */

term bif_module_loaded_1(struct process *p, const term *a)
{
    return is_atom(a[0]) ? boolean(code_is_loaded(a[0])) : bif_badarg(p);
}

term bif_function_exported_3(struct process *p, const term *a)
{
    struct export *e;

    if (!is_atom(a[0]) || !is_atom(a[1]) || !is_integer(a[2]))
        return bif_badarg(p);
    if (!is_small(a[2]) || small_val(a[2]) < 0 || small_val(a[2]) > 255)
        return ATOM_false;
    e = export_find(a[0], a[1], (uint32_t)small_val(a[2]));
    return boolean(e != NULL && export_is_defined(e));
}

term bif_is_builtin_3(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || !is_atom(a[1]) || !is_small(a[2]) || small_val(a[2]) < 0)
        return bif_badarg(p);
    return boolean(bif_find(a[0], a[1], (uint32_t)small_val(a[2])) != NULL);
}

term bif_get_module_info_2(struct process *p, const term *a)
{
    term v = is_atom(a[0]) ? code_module_info(&p->heap, a[0], a[1]) : TERM_NONE;

    return v == TERM_NONE ? bif_badarg(p) : v;
}

term bif_get_module_info_1(struct process *p, const term *a)
{
    static const char *const items[] = { "md5", "compile", "attributes", "exports", "module" };
    struct heap *h = &p->heap;
    term list = TERM_NIL;

    if (!is_atom(a[0]) || !code_is_loaded(a[0]))
        return bif_badarg(p);
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        term item = atom_from_cstr(items[i]);

        list = heap_cons(h, heap_tuple2(h, item, code_module_info(h, a[0], item)), list);
    }
    return list;
}

term bif_loaded_0(struct process *p, const term *a)
{
    (void)a;
    return code_loaded_list(&p->heap);
}

term bif_pre_loaded_0(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    return TERM_NIL;
}

term bif_check_old_code_1(struct process *p, const term *a)
{
    return is_atom(a[0]) ? boolean(code_has_old(a[0])) : bif_badarg(p);
}

term bif_check_process_code_2(struct process *p, const term *a)
{
    struct process *other;

    if (!is_local_pid(a[0]) || !is_atom(a[1]))
        return bif_badarg(p);
    other = process_lookup(a[0]);
    /* Another process may move on at once, whatever the answer; purging looks again. */
    return boolean(other == p && code_process_uses_old(other, a[1]));
}

/* --- loading from binaries -------------------------------------------------------------------- */

/* Prepare the module in binary t. 0 or a negative code; -ERR_ARGUMENT: not a binary. */
static int prepare(struct process *p, term module, term t, struct prepared **ret,
                   struct load_error *err)
{
    const uint8_t *data;
    uint8_t *scratch;
    size_t len;
    int rc;

    if (!is_atom(module) || !binary_bytes(t, &data, &len, &scratch))
        return -ERR_ARGUMENT;
    charge(p, (int64_t)(len / 64));
    rc = code_prepare(data, len, module, ret, err);
    mem_free(scratch);
    return rc;
}

struct prepared_blob { struct prepared *prepared; };

static struct prepared_blob *prepared_in(struct blob *b)
{
    return (struct prepared_blob *)b->data;
}

static void prepared_dtor(struct blob *b)
{
    prepared_free(prepared_in(b)->prepared);
}

term bif_prepare_loading_2(struct process *p, const term *a)
{
    struct load_error err;
    struct prepared *pr;
    struct blob *b;
    int rc = prepare(p, a[0], a[1], &pr, &err);

    if (rc == -ERR_ARGUMENT)
        return bif_badarg(p);
    if (rc < 0)
        return error_pair(p, "badfile");
    b = blob_new(sizeof(struct prepared_blob));
    b->dtor = prepared_dtor;
    prepared_in(b)->prepared = pr;
    return magic_make(&p->heap, b);
}

/* The prepared module that a magic reference holds, or NULL. */
static struct prepared_blob *prepared_ref(term t)
{
    struct blob *b = box_is(t, HK_MAGIC) ? magic_blob(t) : NULL;

    return b != NULL && b->dtor == prepared_dtor ? prepared_in(b) : NULL;
}

term bif_has_prepared_code_on_load_1(struct process *p, const term *a)
{
    struct prepared_blob *pb = prepared_ref(a[0]);

    if (pb == NULL || pb->prepared == NULL)
        return bif_badarg(p);
    return boolean(prepared_has_on_load(pb->prepared));
}

#define LOAD_TOGETHER_MAX 4096

term bif_finish_loading_1(struct process *p, const term *a)
{
    struct prepared **pr;
    int64_t n = list_length(a[0]);
    term list = a[0], busy, result = ATOM_ok, *modules;

    if (n < 0 || n > LOAD_TOGETHER_MAX)
        return bif_badarg(p);
    for (; is_cons(list); list = cdr(list))
        if (prepared_ref(car(list)) == NULL || prepared_ref(car(list))->prepared == NULL)
            return bif_badarg(p);
    pr = mem_array((size_t)n + 1, sizeof(struct prepared *));
    modules = mem_array((size_t)n + 1, sizeof(term));
    list = a[0];
    for (int64_t i = 0; i < n; i++, list = cdr(list)) {
        pr[i] = prepared_ref(car(list))->prepared;
        modules[i] = prepared_module(pr[i]);
        for (int64_t j = 0; j < i; j++) {
            if (prepared_module(pr[j]) == prepared_module(pr[i]))
                result = heap_tuple2(&p->heap, atom_from_cstr("duplicated"),
                                     heap_cons(&p->heap, prepared_module(pr[i]), TERM_NIL));
        }
    }
    if (result == ATOM_ok) {
        if (code_commit(pr, (size_t)n, &busy) < 0) {
            result = heap_tuple2(&p->heap, atom_from_cstr("not_purged"),
                                 heap_cons(&p->heap, busy, TERM_NIL));
        } else {
            for (list = a[0]; is_cons(list); list = cdr(list))
                prepared_ref(car(list))->prepared = NULL;
            for (int64_t i = 0; i < n; i++)
                (void)on_load_start(p, modules[i]);
        }
    }
    mem_free(pr);
    mem_free(modules);
    return result;
}

/* Load binary t as module: {module, M} or {error, Why}. */
static term load_binary(struct process *p, term module, term t, bool purge)
{
    struct load_error err;
    struct prepared *pr;
    term busy;
    bool on_load;
    int rc = prepare(p, module, t, &pr, &err);

    if (rc == -ERR_ARGUMENT)
        return bif_badarg(p);
    if (rc < 0)
        return error_pair(p, "badfile");
    if (purge && code_has_old(module))
        (void)!code_purge_start(p, module, true);
    on_load = prepared_has_on_load(pr);
    if (code_commit(&pr, 1, &busy) < 0) {
        prepared_free(pr);
        return error_pair(p, "not_purged");
    }
    if (on_load)
        return on_load_begin(p, module);
    return heap_tuple2(&p->heap, ATOM_module, module);
}

term bif_load_module_2(struct process *p, const term *a)
{
    return load_binary(p, a[0], a[1], false);
}

term bif_code_load_binary_3(struct process *p, const term *a)
{
    struct buf path = { 0 };
    term r;

    if (!text_path(&path, a[1])) {
        buf_fini(&path);
        return bif_badarg(p);
    }
    r = load_binary(p, a[0], a[2], true);
    if (is_tuple(r) && tuple_elem(r, 0) == ATOM_module)
        module_set_file(a[0], buf_cstr(&path));
    buf_fini(&path);
    return r;
}

/* --- removing --------------------------------------------------------------------------------- */

term bif_delete_module_1(struct process *p, const term *a)
{
    int rc;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    rc = code_delete(a[0]);
    if (rc == -ERR_BUSY)
        return bif_badarg(p);
    return rc == 0 ? ATOM_true : ATOM_undefined;
}

term bif_purge_module_1(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || code_purge_start(p, a[0], true) == -ERR_NOT_FOUND)
        return bif_badarg(p);
    return ATOM_true;
}

/* erts_internal:purge_module(M, Step): all of it happens in the last step. */
term bif_internal_purge_module_2(struct process *p, const term *a)
{
    const char *step = is_atom(a[1]) ? atom_text(a[1], NULL) : "";

    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (strcmp(step, "prepare") == 0 || strcmp(step, "prepare_on_load") == 0)
        return boolean(code_has_old(a[0]));
    if (strcmp(step, "abort") == 0)
        return ATOM_true;
    if (strcmp(step, "complete") == 0)
        return boolean(code_purge_start(p, a[0], true) == 0);
    return bif_badarg(p);
}

term bif_code_purge_1(struct process *p, const term *a)
{
    size_t killed = 0;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    (void)!code_purge(p, a[0], true, &killed);
    return boolean(killed > 0);
}

term bif_code_soft_purge_1(struct process *p, const term *a)
{
    return is_atom(a[0]) ? boolean(code_purge_start(p, a[0], false) != -ERR_BUSY) : bif_badarg(p);
}

term bif_code_delete_1(struct process *p, const term *a)
{
    return is_atom(a[0]) ? boolean(code_delete(a[0]) == 0) : bif_badarg(p);
}

/* --- files: the native code server ------------------------------------------------------------ */

static term load_result(struct process *p, term module, enum load_state state)
{
    switch (state) {
    case LOAD_WAITING:
        return TERM_NONE;
    case LOAD_DONE:
        return heap_tuple2(&p->heap, ATOM_module, module);
    case LOAD_NO_FILE:
        return error_pair(p, "nofile");
    case LOAD_BUSY:
        return error_pair(p, "not_purged");
    case LOAD_ON_LOAD_FAILED:
        return error_pair(p, "on_load_failure");
    case LOAD_BAD_FILE:
        break;
    }
    return error_pair(p, "badfile");
}

term bif_code_ensure_loaded_1(struct process *p, const term *a)
{
    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (p->job == NULL && code_is_loading(p, a[0]))
        return bif_yield(p, 1, a);
    if (p->job == NULL && code_is_loaded(a[0]))
        return heap_tuple2(&p->heap, ATOM_module, a[0]);
    return load_result(p, a[0], module_load(p, a[0], NULL, 1, a));
}

/* One after the other: the list that is waited with starts at the module being loaded. */
term bif_code_ensure_modules_loaded_1(struct process *p, const term *a)
{
    term list = a[0];

    for (; is_cons(list); list = cdr(list)) {
        if (!is_atom(car(list)))
            return bif_badarg(p);
        if ((p->job != NULL || !code_is_loaded(car(list))) &&
            module_load(p, car(list), NULL, 1, &list) == LOAD_WAITING)
            return TERM_NONE;
    }
    return is_nil(list) ? ATOM_ok : bif_badarg(p);
}

term bif_code_load_file_1(struct process *p, const term *a)
{
    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (p->job == NULL && code_has_old(a[0]))
        (void)!code_purge_start(p, a[0], true);
    return load_result(p, a[0], module_load(p, a[0], NULL, 1, a));
}

term bif_code_is_loaded_1(struct process *p, const term *a)
{
    const char *file;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    if (!code_is_loaded(a[0]))
        return ATOM_false;
    file = module_file(a[0]);
    return heap_tuple2(&p->heap, ATOM_file, heap_cstr(&p->heap, file != NULL ? file : ""));
}

term bif_code_where_is_file_1(struct process *p, const term *a)
{
    struct buf name = { 0 };
    char *path;
    term r;

    if (!text_path(&name, a[0])) {
        buf_fini(&name);
        return bif_badarg(p);
    }
    path = code_find_file(buf_cstr(&name));
    r = path == NULL ? atom_from_cstr("non_existing") : heap_cstr(&p->heap, path);
    buf_fini(&name);
    mem_free(path);
    return r;
}

term bif_code_which_1(struct process *p, const term *a)
{
    const char *file;
    char *name, *path;
    term r;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    file = module_file(a[0]);
    if (code_is_loaded(a[0]))
        return heap_cstr(&p->heap, file != NULL ? file : "");
    name = mem_printf("%s.beam", atom_text(a[0], NULL));
    path = code_find_file(name);
    r = path == NULL ? atom_from_cstr("non_existing") : heap_cstr(&p->heap, path);
    mem_free(name);
    mem_free(path);
    return r;
}

term bif_code_all_loaded_0(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;

    (void)a;
    for (term l = code_loaded_list(h); is_cons(l); l = cdr(l)) {
        const char *file = module_file(car(l));

        list = heap_cons(h, heap_tuple2(h, car(l), heap_cstr(h, file != NULL ? file : "")), list);
    }
    return list;
}

term bif_code_get_path_0(struct process *p, const term *a)
{
    term list = TERM_NIL;

    (void)a;
    for (size_t i = code_path_count(); i-- > 0; )
        list = heap_cons(&p->heap, heap_cstr(&p->heap, code_path_get(i)), list);
    return list;
}

static term add_path(struct process *p, term t, bool first)
{
    struct buf dir = { 0 };
    struct stat st;
    term r = ATOM_true;

    if (!text_path(&dir, t)) {
        buf_fini(&dir);
        return bif_badarg(p);
    }
    if (stat(buf_cstr(&dir), &st) < 0 || !S_ISDIR(st.st_mode))
        r = error_pair(p, "bad_directory");
    else if (first)
        code_path_add_first(buf_cstr(&dir));
    else
        code_path_add(buf_cstr(&dir));
    buf_fini(&dir);
    return r;
}

term bif_code_add_pathz_1(struct process *p, const term *a)
{
    return add_path(p, a[0], false);
}

term bif_code_add_patha_1(struct process *p, const term *a)
{
    return add_path(p, a[0], true);
}

/* The directory of an application: the parent of a path entry .../App/ebin or .../App-Version/ebin.
 */
static char *app_dir(const char *app)
{
    size_t len = strlen(app);

    for (size_t i = 0; i < code_path_count(); i++) {
        char *dir = mem_strdup(code_path_get(i)), *end, *base;

        while ((end = strrchr(dir, '/')) != NULL && end[1] == '\0' && end != dir)
            *end = '\0';
        if (end != NULL && strcmp(end, "/ebin") == 0) {
            *end = '\0';
            base = strrchr(dir, '/') != NULL ? strrchr(dir, '/') + 1 : dir;
            if (strncmp(base, app, len) == 0 && (base[len] == '\0' || base[len] == '-'))
                return dir;
        }
        mem_free(dir);
    }
    return NULL;
}

static term lib_dir(struct process *p, term t, const char *sub)
{
    struct buf app = { 0 };
    char *dir, *full;
    term r;

    if (!text_path(&app, t)) {
        buf_fini(&app);
        return bif_badarg(p);
    }
    dir = app_dir(buf_cstr(&app));
    buf_fini(&app);
    if (dir == NULL)
        return error_pair(p, "bad_name");
    full = mem_printf("%s%s", dir, sub);
    r = heap_cstr(&p->heap, full);
    mem_free(full);
    mem_free(dir);
    return r;
}

term bif_code_lib_dir_1(struct process *p, const term *a)
{
    return lib_dir(p, a[0], "");
}

term bif_code_priv_dir_1(struct process *p, const term *a)
{
    return lib_dir(p, a[0], "/priv");
}

term bif_code_root_dir_0(struct process *p, const term *a)
{
    const char *root = getenv("ROOTDIR");

    (void)a;
    return heap_cstr(&p->heap, root != NULL ? root : "/");
}

term bif_code_get_mode_0(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    return atom_from_cstr("interactive");
}

/* --- looking into files ----------------------------------------------------------------------- */

term bif_beamfile_chunk_2(struct process *p, const term *a)
{
    const uint8_t *data, *chunk;
    uint8_t *scratch;
    size_t len, chunk_len;
    char tag[5] = { 0 };
    term list = a[1], r = ATOM_undefined;

    for (int i = 0; i < 4; i++, list = cdr(list)) {
        if (!is_cons(list) || !is_small(car(list)))
            return bif_badarg(p);
        tag[i] = (char)small_val(car(list));
    }
    if (!is_nil(list) || !binary_bytes(a[0], &data, &len, &scratch))
        return bif_badarg(p);
    if (code_file_chunk(data, len, tag, &chunk, &chunk_len))
        r = heap_binary(&p->heap, chunk, chunk_len);
    mem_free(scratch);
    return r;
}

term bif_beamfile_module_md5_1(struct process *p, const term *a)
{
    const uint8_t *data;
    uint8_t *scratch, md5[16];
    size_t len;
    term r = ATOM_undefined;

    if (!binary_bytes(a[0], &data, &len, &scratch))
        return bif_badarg(p);
    if (code_file_md5(data, len, md5))
        r = heap_binary(&p->heap, md5, sizeof md5);
    mem_free(scratch);
    return r;
}
