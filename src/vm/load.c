/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a .beam file becomes an image
 *
 *   tables (beam_open) -> atoms, imports, literals, fun entries -> code (load_code.c) -> image
 *
 * Ways to fail: the file is malformed, or asks for what we do not have; the reason goes to
 * load_error and everything made so far is freed. Atoms, exports and fun entries that were made on
 * the way stay: they are immortal and harmless.
 */
#include "vm/load_priv.h"
#include "vm/load_verify.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/file.h"
#include "heap/arith.h"
#include "heap/etf.h"
#include "term/atom.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- integers of the code --------------------------------------------------------------------- */

static term big_term(struct heap *h, const struct beam_arg *a)
{
    if (a->kind == BEAM_I)
        return heap_int(h, a->i);
    return integer_get_bits(h, a->bytes.data, 0, 8 * (uint64_t)a->bytes.len, false, true);
}

term load_big(struct loader *ld, const struct beam_arg *a)
{
    const uint8_t *bytes = a->kind == BEAM_BIG ? a->bytes.data : NULL;
    int64_t value = a->kind == BEAM_I ? a->i : 0;

    for (size_t i = 0; i < ld->n_bigs; i++)
        if (ld->bigs[i].bytes == bytes && ld->bigs[i].value == value)
            return ld->literals[ld->n_literals + i];
    load_fail(ld, "integer constant was not collected");
    return TERM_NIL;
}

/* Literals of the image that no instruction names: attributes, compile information, files. */
static size_t own_literals(const struct loader *ld)
{
    return 2 + (size_t)ld->file.n_files + 1;
}

static void collect_big(struct loader *ld, const struct beam_arg *a, struct heap *bag)
{
    const uint8_t *bytes = a->kind == BEAM_BIG ? a->bytes.data : NULL;
    int64_t value = a->kind == BEAM_I ? a->i : 0;

    if (a->kind == BEAM_LIST) {
        for (uint32_t i = 0; i < a->n; i++)
            if (a->list[i].kind != BEAM_LIST)
                collect_big(ld, &a->list[i], bag);
        return;
    }
    if (a->kind != BEAM_BIG && !(a->kind == BEAM_I && !fits_small(a->i)))
        return;
    for (size_t i = 0; i < ld->n_bigs; i++)
        if (ld->bigs[i].bytes == bytes && ld->bigs[i].value == value)
            return;
    if (ld->n_bigs == ld->cap_bigs) {
        ld->cap_bigs = ld->cap_bigs ? 2 * ld->cap_bigs : 16;
        ld->bigs = mem_realloc(ld->bigs, ld->cap_bigs * sizeof *ld->bigs);
        ld->literals =
            mem_realloc(ld->literals,
                        (ld->n_literals + ld->cap_bigs + own_literals(ld)) * sizeof(term));
    }
    ld->bigs[ld->n_bigs].bytes = bytes;
    ld->bigs[ld->n_bigs].value = value;
    ld->literals[ld->n_literals + ld->n_bigs++] = big_term(bag, a);
}

static bool collect_bigs(struct loader *ld, struct heap *bag)
{
    struct beam_cursor c;
    struct beam_instr in;
    int rc;

    beam_cursor_init(&c, &ld->file);
    while ((rc = beam_next(&c, &in)) > 0)
        for (unsigned i = 0; i < in.argc; i++)
            collect_big(ld, &in.args[i], bag);
    if (rc < 0)
        load_fail(ld, "%s", c.error.text);
    beam_cursor_fini(&c);
    return rc == 0;
}

/* --- tables ----------------------------------------------------------------------------------- */

static bool load_atoms(struct loader *ld)
{
    const struct beam_file *f = &ld->file;

    ld->atoms = mem_array(f->n_atoms + 1, sizeof(term));
    ld->atoms[0] = TERM_NIL;
    for (uint32_t i = 1; i <= f->n_atoms; i++) {
        ld->atoms[i] = atom_from_utf8((const char *)f->atoms[i].data, f->atoms[i].len);
        if (ld->atoms[i] == TERM_NONE)
            return load_fail(ld, "the table of atoms is full");
    }
    ld->module = ld->image->module = ld->atoms[1];
    return true;
}

static bool load_imports(struct loader *ld)
{
    const struct beam_file *f = &ld->file;

    ld->imports = mem_array(f->n_imports + 1, sizeof *ld->imports);
    for (uint32_t i = 0; i < f->n_imports; i++) {
        const struct beam_import *im = &f->imports[i];

        if (im->arity > 255)
            return load_fail(ld, "import of arity %u", im->arity);
        ld->imports[i] = export_get(ld->atoms[im->module], ld->atoms[im->function], im->arity);
    }
    return true;
}

static term decode(struct loader *ld, const struct beam_bytes *b, struct heap *bag,
                   const char *what)
{
    struct reader r = reader_make(b->data, b->len);
    term t = etf_decode(bag, &r, 0);

    if (t == TERM_NONE)
        load_fail(ld, "malformed %s", what);
    return t;
}

/* {file, Name} as stack traces have it. */
static term file_pair(struct heap *bag, const char *name)
{
    return heap_tuple2(bag, ATOM_file, heap_cstr(bag, name));
}

/* File 0 is the module's own. */
static void file_pairs(struct loader *ld, struct heap *bag, term *out)
{
    const struct beam_file *f = &ld->file;
    char *own = mem_printf("%s.erl", atom_text(ld->module, NULL));

    out[0] = file_pair(bag, own);
    mem_free(own);
    for (uint32_t i = 1; i <= f->n_files; i++) {
        char *name = mem_printf("%.*s", (int)f->files[i].len, (const char *)f->files[i].data);

        out[i] = file_pair(bag, name);
        mem_free(name);
    }
}

/* Literals, integers of the code, attributes, compile information, names of files: one area. */
static bool load_literals(struct loader *ld)
{
    const struct beam_file *f = &ld->file;
    struct image *im = ld->image;
    struct heap bag;
    size_t n;

    heap_bag_init(&bag);
    ld->n_literals = f->n_literals;
    ld->literals = mem_array(f->n_literals + own_literals(ld), sizeof(term));
    for (uint32_t i = 0; i < f->n_literals && ld->rc == 0; i++)
        ld->literals[i] = decode(ld, &f->literals[i], &bag, "literal");
    if (ld->rc == 0 && collect_bigs(ld, &bag)) {
        n = ld->n_literals + ld->n_bigs;
        ld->literals[n] =
            f->attributes.len > 0 ? decode(ld, &f->attributes, &bag, "Attr") : TERM_NIL;
        ld->literals[n + 1] = f->compile_info.len > 0
                            ? decode(ld, &f->compile_info, &bag, "CInf") : TERM_NIL;
        file_pairs(ld, &bag, &ld->literals[n + 2]);
        if (ld->rc == 0) {
            literal_area_build(&im->literals, ld->literals, n + own_literals(ld));
            im->attributes = ld->literals[n];
            im->compile_info = ld->literals[n + 1];
            im->n_files = f->n_files + 1;
            im->files = mem_array(im->n_files, sizeof(term));
            memcpy(im->files, &ld->literals[n + 2], im->n_files * sizeof(term));
        }
    }
    heap_fini(&bag);
    return ld->rc == 0;
}

static bool load_funs(struct loader *ld)
{
    const struct beam_file *f = &ld->file;
    struct image *im = ld->image;

    im->n_funs = f->n_funs;
    im->funs = mem_array(f->n_funs + 1, sizeof(struct fun_entry *));
    im->fun_entries = mem_array(f->n_funs + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < f->n_funs; i++) {
        const struct beam_fun *fun = &f->funs[i];

        if (fun->arity > 255)
            return load_fail(ld, "fun of arity %u", fun->arity);
        im->funs[i] = fun_entry_get(ld->module, fun->index, f->md5, fun->old_uniq,
                                    fun->arity - fun->num_free, fun->num_free);
        /* relaxed: who reads it has got the entry from the code that this load publishes */
        atomic_store_explicit(&im->funs[i]->function, ld->atoms[fun->function],
                              memory_order_relaxed);
    }
    return true;
}

static void load_lines(struct loader *ld)
{
    const struct beam_file *f = &ld->file;
    struct image *im = ld->image;

    im->n_lines = f->n_lines;
    im->lines = mem_array(f->n_lines + 1, sizeof *im->lines);
    for (uint32_t i = 0; i < f->n_lines; i++)
        im->lines[i] = (struct code_line){ f->lines[i].file, f->lines[i].line };
}

/* --- labels of exports and funs --------------------------------------------------------------- */

static bool entry_of(struct loader *ld, uint32_t label, const char *what, uint32_t *ret)
{
    uint32_t off = label < ld->file.label_count ? ld->label_off[label] : 0;

    if (off == 0)
        return load_fail(ld, "%s at label %u, which is not defined", what, label);
    *ret = off - 1;
    return true;
}

/* The function that starts at off must have this arity. */
static bool check_arity(struct loader *ld, uint32_t off, uint32_t arity, const char *what)
{
    const char *code = (const char *)ld->image->code;     /* NULL: a module without a function */
    const struct code_function *f = code != NULL ? image_function(ld->image, code + off) : NULL;

    if (f == NULL || f->entry != off || f->arity != arity)
        return load_fail(ld, "%s is not the entry of a function of arity %u", what, arity);
    return true;
}

static bool load_entries(struct loader *ld)
{
    const struct beam_file *f = &ld->file;
    struct image *im = ld->image;

    im->exports = mem_array(f->n_exports + 1, sizeof *im->exports);
    for (uint32_t i = 0; i < f->n_exports; i++) {
        const struct beam_export *e = &f->exports[i];

        if (e->arity > 255)
            return load_fail(ld, "export of arity %u", e->arity);
        if (!entry_of(ld, e->label, "export", &im->exports[i].entry) ||
            !check_arity(ld, im->exports[i].entry, e->arity, "export"))
            return false;
        im->exports[i].export = export_get(ld->module, ld->atoms[e->function], e->arity);
        im->n_exports++;
    }
    im->n_listed = im->n_exports;
    /* The on_load function need not be exported, but a process is started by a name. */
    if (im->has_on_load) {
        if (!check_arity(ld, im->on_load_entry, 0, "on_load"))
            return false;
        im->exports[im->n_exports].entry = im->on_load_entry;
        im->exports[im->n_exports++].export =
            export_get(ld->module, atom_from_cstr(ON_LOAD_EXPORT), 0);
    }
    for (uint32_t i = 0; i < f->n_funs; i++)
        if (!entry_of(ld, f->funs[i].label, "fun", &im->fun_entries[i]) ||
            !check_arity(ld, im->fun_entries[i], f->funs[i].arity, "fun"))
            return false;
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool load_all(struct loader *ld, term expect)
{
    const struct beam_file *f = &ld->file;
    struct image *im = ld->image;

    if (!load_atoms(ld))
        return false;
    if (expect != TERM_NONE && ld->module != expect)
        return load_fail(ld, "the file holds module %s", atom_text(ld->module, NULL));
    memcpy(im->md5, f->md5, sizeof im->md5);
    im->n_strings = f->strings.len;
    im->strings = mem_dup(f->strings.len > 0 ? (const void *)f->strings.data : "",
                          f->strings.len + (f->strings.len == 0));
    load_lines(ld);
    if (!load_imports(ld) || !load_funs(ld) || !load_literals(ld))
        return false;
    ld->label_off = mem_array(f->label_count + 1, sizeof *ld->label_off);
    ld->label_frame = mem_array(f->label_count + 1, sizeof *ld->label_frame);
    ld->handler_y = mem_array(f->label_count + 1, sizeof *ld->handler_y);
    ld->entry_arity = mem_array(f->label_count + 1, sizeof *ld->entry_arity);
    verify_init(ld);
    for (uint32_t i = 0; i <= f->label_count; i++)
        ld->label_frame[i] = FRAME_UNKNOWN;
    if (!load_code(ld))
        return false;
    im->code = TAKE(ld->code);
    im->code_bytes = ld->words * sizeof(uint64_t);
    return load_entries(ld);
}

static void loader_fini(struct loader *ld)
{
    verify_fini(ld);
    beam_close(&ld->file);
    mem_free(ld->atoms);
    mem_free(ld->imports);
    mem_free(ld->literals);
    mem_free(ld->bigs);
    mem_free(ld->label_off);
    mem_free(ld->label_frame);
    mem_free(ld->handler_y);
    mem_free(ld->entry_arity);
    mem_free(ld->code);
    mem_free(ld->fixups);
    mem_free(ld->tables);
}

int code_prepare(const void *beam, size_t len, term expect, struct prepared **ret,
                 struct load_error *ret_error)
{
    struct load_error ignored;
    struct beam_error why;
    struct loader *ld = MEM_NEW(struct loader);
    int rc;

    ld->error = ret_error != NULL ? ret_error : &ignored;
    ld->error->text[0] = '\0';
    rc = beam_open(beam, len, false, &ld->file, &why);
    if (rc < 0) {
        snprintf(ld->error->text, sizeof ld->error->text, "%s", why.text);
        mem_free(ld);
        return rc;
    }
    ld->image = MEM_NEW(struct image);
    if (load_all(ld, expect)) {
        struct prepared *pr = MEM_NEW(struct prepared);

        pr->image = ld->image;
        *ret = pr;
        rc = 0;
    } else {
        image_free(ld->image);
        rc = -ERR_FORMAT;
    }
    loader_fini(ld);
    mem_free(ld);
    return rc;
}

int code_prepare_file(const char *path, term expect, struct prepared **ret,
                      struct load_error *ret_error)
{
    struct buf beam = { 0 };
    int rc = file_read(path, BEAM_FILE_BYTES_MAX, &beam);

    if (rc == 0)
        rc = code_prepare(beam.data, beam.len, expect, ret, ret_error);
    else
        snprintf(ret_error->text, sizeof ret_error->text, "%s", strerror(errno));
    buf_fini(&beam);
    return rc;
}

bool code_file_chunk(const void *data, size_t len, const char *tag, const uint8_t **ret,
                     size_t *ret_len)
{
    struct beam_bytes chunk;

    if (beam_chunk(data, len, tag, &chunk) < 0)
        return false;
    *ret = chunk.data;
    *ret_len = chunk.len;
    return true;
}

bool code_file_md5(const void *data, size_t len, uint8_t ret[16])
{
    struct beam_file f;

    if (beam_open(data, len, false, &f, NULL) < 0)
        return false;
    memcpy(ret, f.md5, 16);
    beam_close(&f);
    return true;
}
