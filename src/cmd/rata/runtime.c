/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.c - rata build --with-runtime: the library modules that a program needs, beside it
 */
#include "cmd/rata/rata.h"

#include "base/alloc.h"
#include "base/file.h"
#include "beam/file.h"
#include "node/boot.h"
#include "node/library_path.h"

#include <string.h>
#include <unistd.h>

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

int rata_copy_runtime(const struct rata_compile *c, const char *folder)
{
    struct needed all = { NULL, 0 };
    int rc = RATA_OK;

    for (size_t i = 0; i < c->n_beams; i++)
        need_of(&all, c->beams[i].data, c->beams[i].len);
    for (size_t i = 0; i < all.n; i++) {                /* grows while we walk */
        char *from = mem_printf("%s/%s.beam", library_path(), all.at[i]);
        char *to = mem_printf("%s/%s.beam", folder, all.at[i]);
        struct buf data = { 0 };

        if (file_read(from, BEAM_FILE_BYTES_MAX, &data) == 0 && rc == RATA_OK)
            rc = rata_write_file(to, data.data, data.len);
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
