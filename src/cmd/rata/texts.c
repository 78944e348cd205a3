/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts.c - source files, those of a project, compiling them, printing what was wrong
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/rata/project.h"
#include "lang/rata/library.h"
#include "lang/source.h"
#include "node/boot.h"
#include "node/library_path.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- reading --------------------------------------------------------------------------------- */

static void add_text(struct rata_texts *t, const char *name, struct buf data)
{
    t->at = mem_realloc(t->at, (t->n + 1) * sizeof *t->at);
    t->data = mem_realloc(t->data, (t->n + 1) * sizeof *t->data);
    t->data[t->n] = data;
    t->at[t->n] = (struct rata_text){ mem_strdup(name), buf_cstr(&t->data[t->n]), data.len };
    t->n++;
}

int rata_texts_read(struct rata_texts *t, char *const *words, size_t n)
{
    *t = (struct rata_texts){ 0 };
    for (size_t i = 0; i < n; i++) {
        const char *file = strcmp(words[i], "-") == 0 ? "/dev/stdin" : words[i];
        struct buf data = { 0 };

        if (file_read(file, SOURCE_BYTES_MAX + 1, &data) < 0) {
            fprintf(stderr, "error: cannot read %s: %s\n", words[i], strerror(errno));
            buf_fini(&data);
            return RATA_NO_INPUT;
        }
        add_text(t, words[i], data);
    }
    return RATA_OK;
}

void rata_texts_free(struct rata_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        buf_fini(&t->data[i]);
        mem_free((char *)(uintptr_t)t->at[i].name);
    }
    mem_free(t->data);
    mem_free(t->at);
    *t = (struct rata_texts){ 0 };
}

bool rata_in_project(void)
{
    return access(PROJECT_FILE, F_OK) == 0;
}

int rata_texts_project(struct rata_texts *t, bool start)
{
    struct project p;
    glob_t files;
    int rc = project_read(".", &p);

    *t = (struct rata_texts){ 0 };
    if (rc != 0)
        return rc;
    if (glob("src/*.rata", 0, NULL, &files) != 0) {
        fprintf(stderr, "error: this project has no src/*.rata\n");
        project_fini(&p);
        return RATA_NO_INPUT;
    }
    rc = rata_texts_read(t, files.gl_pathv, files.gl_pathc);
    globfree(&files);
    if (rc == RATA_OK && start && p.main[0] != 0) {
        struct buf text = { 0 };

        buf_printf(&text, "{:ok, _} = Application.start(%s)\n"
                   "IO.error(\"%s is running; Ctrl-C ends it\\n\")\nApplication.wait()\n",
                   p.main, p.main);
        add_text(t, PROJECT_FILE, text);
    } else if (rc == RATA_OK && start) {
        fprintf(stderr, "error: this project names no module to start\n"
                "  = hint: main = \"Hello\" in %s names one; libraries have tests: rata test\n",
                PROJECT_FILE);
        rc = RATA_USAGE;
    }
    project_fini(&p);
    return rc;
}

/* --- compiling ------------------------------------------------------------------------------- */

static void print_diags(struct rata_compile *c, const struct rata_options *o)
{
    struct buf out = { 0 };

    if (o->json)
        diags_print_json(&out, &c->diags);
    else
        diags_print(&out, &c->diags);
    fflush(stdout);
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stderr);
    buf_fini(&out);
}

static struct library *see_library(struct rata_compile *c, const struct rata_options *o,
                                   const char **folders)
{
    struct library *lib;
    size_t n = 0;

    for (size_t i = 0; i < o->n_path; i++)
        folders[n++] = o->path[i];
    folders[n++] = library_path();
    folders[n] = NULL;
    if (o->library)
        return NULL;
    lib = library_new(folders);
    c->outside = library_source(lib);
    return lib;
}

int rata_build_texts(struct rata_compile *c, const struct rata_options *o,
                     const struct rata_texts *t)
{
    const char *folders[ARRAY_LEN(o->path) + 2];
    struct library *lib = see_library(c, o, folders);
    int rc = rata_compile(c, t->at, t->n);

    print_diags(c, o);
    library_free(lib);
    c->outside = NULL;
    return rc < 0 || (o->werror && c->diags.n_warnings > 0) ? RATA_ERRORS : RATA_OK;
}

int rata_dump_texts(struct rata_compile *c, const struct rata_texts *t, enum rata_dump what,
                    struct buf *out)
{
    struct rata_options o = { 0 };
    const char *folders[ARRAY_LEN(o.path) + 2];
    struct library *lib = see_library(c, &o, folders);
    int rc = rata_dump(c, t->at, t->n, what, out);

    print_diags(c, &o);
    library_free(lib);
    c->outside = NULL;
    return rc < 0 ? RATA_ERRORS : RATA_OK;
}
