/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_beam.c - compile a module of Core, written as text, to a .beam file; for tests
 *
 *   core_beam FILE.core DIR        writes DIR/<name of the module>.beam
 *   core_beam -d FILE.core         prints the module as it was read
 *
 * Exits with 1 when the text is refused (the reason is printed), 2 when a file cannot be used.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/file.h"
#include "lang/core_text.h"
#include "lang/emit.h"
#include "lang/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *path, const struct core_error *e)
{
    fprintf(stderr, "%s:%u:%u: %s\n", path, e->span.line, e->span.column, e->text);
    return 1;
}

static int write_module(const struct core_module *m, const struct buf *beam, const char *dir)
{
    char *path = mem_printf("%s/%s.beam", dir, m->name->name);
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(beam->data, 1, beam->len, f) != beam->len || fclose(f) != 0) {
        perror(path);
        return 2;
    }
    mem_free(path);
    return 0;
}

int main(int argc, char **argv)
{
    bool dump = argc == 3 && strcmp(argv[1], "-d") == 0;
    const char *path = dump ? argv[2] : argv[1];
    struct buf text = { 0 }, out = { 0 };
    struct arena arena = { 0 };
    struct core_module *m;
    struct core_error error;
    int status = 0;

    if (argc != 3 || file_read(path, SOURCE_BYTES_MAX, &text) < 0) {
        fprintf(stderr, "usage: core_beam FILE.core DIR, core_beam -d FILE.core\n");
        return 2;
    }
    if (core_read(&arena, (char *)text.data, text.len, &m, &error) < 0) {
        status = refuse(path, &error);
    } else if (dump) {
        core_dump(&out, m);
        fwrite(out.data, 1, out.len, stdout);
    } else {
        core_add_file(m, path);
        status = lang_emit(m, &out, &error) < 0 ? refuse(path, &error)
                                                : write_module(m, &out, argv[2]);
    }
    buf_fini(&text);
    buf_fini(&out);
    arena_fini(&arena);
    return status;
}
