/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c - check, build, explain
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int check_once(const struct rata_options *o)
{
    struct rata_texts t;
    struct rata_compile c = { .check_only = true, .warn = true };
    int rc = o->n_words > 0 ? rata_texts_read(&t, o->words, (size_t)o->n_words)
                            : rata_texts_project(&t, false);

    if (rc == RATA_OK)
        rc = rata_build_texts(&c, o, &t);
    rata_compile_fini(&c);
    rata_texts_free(&t);
    return rc;
}

/* Newest change of any of the files, as a number that only grows. */
static int64_t newest_change(const struct rata_options *o)
{
    int64_t newest = 0;
    glob_t files = { 0 };

    if (o->n_words == 0 && glob("src/*.rata", 0, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < (o->n_words > 0 ? (size_t)o->n_words : files.gl_pathc); i++) {
        struct stat st;

        if (stat(o->n_words > 0 ? o->words[i] : files.gl_pathv[i], &st) == 0) {
            int64_t ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;

            newest = ns > newest ? ns : newest;
        }
    }
    globfree(&files);
    return newest;
}

/* Until Ctrl-C. A look at the clock of each file four times a second costs nothing noticeable. */
static NORETURN void watch(const struct rata_options *o)
{
    int64_t seen = -1;

    for (;;) {
        int64_t now = newest_change(o);

        if (now != seen) {
            fputs("\n---- checking\n", stderr);
            fputs(check_once(o) == RATA_OK ? "---- no errors\n" : "---- errors above\n", stderr);
        }
        seen = now;
        nanosleep(&(struct timespec){ 0, 250000000 }, NULL);
    }
}

int cmd_check(int argc, char **argv)
{
    struct rata_options o;

    if (!rata_options(&o, argc - 1, argv + 1, false))
        return RATA_USAGE;
    if (o.n_words == 0 && !rata_in_project())
        return rata_usage("check needs a FILE, or a folder with a project");
    if (o.watch)
        watch(&o);
    return check_once(&o);
}

/* --- writing --------------------------------------------------------------------------------- */

static bool make_folder(const char *path)
{
    char *part = mem_strdup(path);
    bool ok = true;

    for (char *s = part + 1; ok && *s != 0; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        ok = mkdir(part, 0777) == 0 || errno == EEXIST;
        *s = '/';
    }
    ok = ok && (mkdir(part, 0777) == 0 || errno == EEXIST);
    mem_free(part);
    return ok;
}

static int cannot_write(const char *path)
{
    fprintf(stderr, "error: cannot write %s: %s\n", path, strerror(errno));
    return RATA_CANNOT_CREATE;
}

/* To a name beside it, which is then renamed. */
int rata_write_file(const char *path, const void *data, size_t len)
{
    char *part = mem_printf("%s.part", path);
    FILE *f = fopen(part, "wbe");
    bool ok = f != NULL && fwrite(data, 1, len, f) == len;

    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    ok = ok && rename(part, path) == 0;
    mem_free(part);
    return ok ? RATA_OK : cannot_write(path);
}

int rata_write_beams(const struct rata_compile *c, const char *folder)
{
    int rc = RATA_OK;

    if (!make_folder(folder))
        return cannot_write(folder);
    for (size_t i = 0; i < c->n_beams && rc == RATA_OK; i++) {
        char *path = mem_printf("%s/%s.beam", folder, c->beams[i].module);

        rc = rata_write_file(path, c->beams[i].data, c->beams[i].len);
        mem_free(path);
    }
    return rc;
}

int cmd_build(int argc, char **argv)
{
    struct rata_options o;
    struct rata_texts t;
    struct rata_compile c = { .warn = true };
    int rc;

    if (!rata_options(&o, argc - 1, argv + 1, false))
        return RATA_USAGE;
    if (o.n_words == 0 && !rata_in_project())
        return rata_usage("build needs a FILE, or a folder with a project");
    rc = o.n_words > 0 ? rata_texts_read(&t, o.words, (size_t)o.n_words)
                       : rata_texts_project(&t, false);
    if (rc == RATA_OK)
        rc = rata_build_texts(&c, &o, &t);
    if (rc == RATA_OK)
        rc = rata_write_beams(&c, o.out != NULL ? o.out : "ebin");
    if (rc == RATA_OK && o.with_runtime)
        rc = rata_copy_runtime(&c, o.out != NULL ? o.out : "ebin");
    rata_compile_fini(&c);
    rata_texts_free(&t);
    return rc;
}

/* --- dump ------------------------------------------------------------------------------------ */

int cmd_dump(int argc, char **argv)
{
    struct rata_texts t;
    struct rata_compile c = { 0 };
    struct buf out = { 0 };
    bool core = argc == 3 && strcmp(argv[1], "core") == 0;
    int rc;

    if (!core && (argc != 3 || strcmp(argv[1], "tree") != 0))
        return rata_usage("dump takes `tree` or `core`, and a FILE");
    rc = rata_texts_read(&t, argv + 2, 1);
    if (rc == RATA_OK)
        rc = rata_dump_texts(&c, &t, core ? RATA_DUMP_CORE : RATA_DUMP_TREE, &out);
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
    rata_compile_fini(&c);
    rata_texts_free(&t);
    return rc;
}

/* --- explain --------------------------------------------------------------------------------- */

int cmd_explain(int argc, char **argv)
{
    const char *title = argc == 2 ? diag_title(argv[1]) : NULL;

    if (argc != 2)
        return rata_usage("explain needs one CODE, such as E0201");
    if (title == NULL) {
        fprintf(stderr, "error: `%s` is no code of this compiler\n"
                "  = hint: codes look like E0201; they stand in brackets before the message\n",
                argv[1]);
        return RATA_USAGE;
    }
    printf("%s: %s\n\n%s", argv[1], title, diag_explanation(argv[1]));
    return RATA_OK;
}
