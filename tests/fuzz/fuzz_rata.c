/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rata.c - the compiler of Rata on any bytes
 *
 * Either there are errors, or every module that comes out passes the loader's verifier. The same
 * text is compiled as an input of a session too. The library is that of the build tree, if it has
 * been built; without it programs that call it end with errors. What parses is formatted, which
 * must give the same program, and twice, which must change nothing.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "bif/bif.h"
#include "heap/heap.h"
#include "lang/rata/compile.h"
#include "lang/rata/format.h"
#include "lang/rata/library.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct module_source *library(void)
{
    static struct library *lib;
    static char folder[4096];
    static const char *folders[2] = { folder, NULL };
    const char *build = getenv("builddir");

    if (lib == NULL) {
        snprintf(folder, sizeof folder, "%s/lib/ebin", build != NULL ? build : ".");
        lib = library_new(folders);
    }
    return library_source(lib);
}

static void start(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    atom_table_init(0);
    literal_region_init();
    engine_init();
    bif_init();
}

static void check(const struct rata_compile *c)
{
    for (size_t i = 0; i < c->n_beams; i++) {
        struct load_error why;
        struct prepared *pr;

        if (code_prepare(c->beams[i].data, c->beams[i].len, TERM_NONE, &pr, &why) < 0) {
            fprintf(stderr, "%s: %s\n", c->beams[i].module, why.text);
            ASSERT(!"what compiles must load");
        }
        prepared_free(pr);
    }
}

static void compile(const char *text, size_t len, bool session)
{
    static const char *const names[] = { "x", "y", NULL };
    struct rata_compile c = { .outside = library(), .warn = true,
                              .preset = session ? names : NULL };
    struct rata_text t = { "fuzz.rata", text, len };
    struct buf out = { 0 };
    int rc = rata_compile(&c, &t, 1);

    ASSERT((rc < 0) == (c.diags.n_errors > 0));
    diags_print(&out, &c.diags);
    out.len = 0;
    diags_print_json(&out, &c.diags);
    buf_fini(&out);
    if (rc == 0)
        check(&c);
    rata_compile_fini(&c);
}

/* The style anew: false when the text has errors. */
static bool format(const char *text, size_t len, struct buf *out)
{
    struct arena arena = { 0 };
    struct source src;
    struct diags d;
    bool ok = source_open(&arena, "fuzz.rata", text, (uint32_t)len, &src) == len;

    diags_init(&d, &arena, &src);
    if (ok) {
        ok = rata_format(&d, 0, out);
        ASSERT(ok || d.n_errors > 0);   /* else it would be another program */
    }
    arena_fini(&arena);
    return ok;
}

static void format_twice(const char *text, size_t len)
{
    struct buf once = { 0 }, twice = { 0 };

    if (format(text, len, &once)) {
        ASSERT(format(buf_cstr(&once), once.len, &twice));
        ASSERT(once.len == twice.len && memcmp(buf_cstr(&twice), once.data, once.len) == 0);
    }
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_alloc(size + 1);

    start();
    memcpy(text, data, size);
    text[size] = 0;
    compile(text, size, false);
    compile(text, size, true);
    format_twice(text, size);
    mem_free(text);
    return 0;
}
