/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c - check, build, explain
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "beam/file.h"
#include "node/boot.h"
#include "node/library_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cmd_check(int argc, char **argv)
{
    struct rata_options o;
    struct rata_texts t;
    struct rata_compile c = { .check_only = true, .warn = true };
    int rc;

    if (!rata_options(&o, argc - 1, argv + 1, false))
        return RATA_USAGE;
    if (o.n_words == 0)
        return rata_usage("check needs a FILE");
    rc = rata_texts_read(&t, o.words, (size_t)o.n_words);
    if (rc == RATA_OK)
        rc = rata_build_texts(&c, &o, &t);
    rata_compile_fini(&c);
    rata_texts_free(&t);
    return rc;
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

/* Write to a name beside it and rename, so that nobody reads half a file. */
static bool write_file(const char *path, const void *data, size_t len)
{
    char *part = mem_printf("%s.part", path);
    FILE *f = fopen(part, "wbe");
    bool ok = f != NULL && fwrite(data, 1, len, f) == len;

    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    ok = ok && rename(part, path) == 0;
    mem_free(part);
    return ok;
}

static int cannot_write(const char *path)
{
    fprintf(stderr, "error: cannot write %s: %s\n", path, strerror(errno));
    return RATA_CANNOT_CREATE;
}

int rata_write_beams(const struct rata_compile *c, const char *folder)
{
    int rc = RATA_OK;

    if (!make_folder(folder))
        return cannot_write(folder);
    for (size_t i = 0; i < c->n_beams && rc == RATA_OK; i++) {
        char *path = mem_printf("%s/%s.beam", folder, c->beams[i].module);

        if (!write_file(path, c->beams[i].data, c->beams[i].len))
            rc = cannot_write(path);
        mem_free(path);
    }
    return rc;
}

/* --- the runtime beside the program ---------------------------------------------------------- */

/* Library modules to copy, each once. Atoms of a module name what it may call, also by way of a
 * value. */
struct needed { char **at; size_t n; };

static void need(struct needed *all, const char *name, size_t len)
{
    char *path;

    for (size_t i = 0; i < all->n; i++)
        if (strlen(all->at[i]) == len && memcmp(all->at[i], name, len) == 0)
            return;
    path = mem_printf("%s/%.*s.beam", library_path(), (int)len, name);
    if (access(path, R_OK) == 0) {
        all->at = mem_realloc(all->at, (all->n + 1) * sizeof *all->at);
        all->at[all->n++] = mem_printf("%.*s", (int)len, name);
    }
    mem_free(path);
}

/* Atoms inside of a literal, such as functions as values: tag 119, length, name. */
static void need_of_literal(struct needed *all, const struct beam_bytes *lit)
{
    const uint8_t *at = lit->data, *end = lit->data + lit->len;

    while (end - at > 7 && (at = memmem(at, (size_t)(end - at), "Rata.", 5)) != NULL) {
        size_t len = at - lit->data >= 2 && at[-2] == 119 ? at[-1] : 0;

        if (len > 5 && (size_t)(end - at) >= len && memchr(at, '/', len) == NULL)
            need(all, (const char *)at, len);
        at += 5;
    }
}

static void need_of(struct needed *all, const void *data, size_t len)
{
    struct beam_file bf;

    if (beam_open(data, len, false, &bf, NULL) < 0)
        return;
    for (uint32_t i = 1; i <= bf.n_atoms; i++)
        if (bf.atoms[i].len > 5 && memcmp(bf.atoms[i].data, "Rata.", 5) == 0
            && memchr(bf.atoms[i].data, '/', bf.atoms[i].len) == NULL)
            need(all, (const char *)bf.atoms[i].data, bf.atoms[i].len);
    for (uint32_t i = 0; i < bf.n_literals; i++)
        need_of_literal(all, &bf.literals[i]);
    beam_close(&bf);
}

static int copy_runtime(const struct rata_compile *c, const char *folder)
{
    struct needed all = { NULL, 0 };
    int rc = RATA_OK;

    for (size_t i = 0; i < c->n_beams; i++)
        need_of(&all, c->beams[i].data, c->beams[i].len);
    for (size_t i = 0; i < all.n; i++) {                /* grows while we walk */
        char *from = mem_printf("%s/%s.beam", library_path(), all.at[i]);
        char *to = mem_printf("%s/%s.beam", folder, all.at[i]);
        struct buf data = { 0 };

        if (read_whole_file(from, &data) < 0 || !write_file(to, data.data, data.len))
            rc = cannot_write(to);
        need_of(&all, data.data, data.len);
        buf_fini(&data);
        mem_free(from);
        mem_free(to);
    }
    for (size_t i = 0; i < all.n; i++)
        mem_free(all.at[i]);
    mem_free(all.at);
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
    if (o.n_words == 0)
        return rata_usage("build needs a FILE");
    rc = rata_texts_read(&t, o.words, (size_t)o.n_words);
    if (rc == RATA_OK)
        rc = rata_build_texts(&c, &o, &t);
    if (rc == RATA_OK)
        rc = rata_write_beams(&c, o.out != NULL ? o.out : "ebin");
    if (rc == RATA_OK && o.with_runtime)
        rc = copy_runtime(&c, o.out != NULL ? o.out : "ebin");
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
                "  = hint: codes look like E0201; they stand in brackets before the message\n", argv[1]);
        return RATA_USAGE;
    }
    printf("%s: %s\n\n%s", argv[1], title, diag_explanation(argv[1]));
    return RATA_OK;
}
