/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - rnode-asm: assemble one text (language: beam/asm.h) into a .beam file
 *
 * Usage: rnode-asm [-z] [-o OUT] FILE.s        -z: gzip the result; OUT: FILE.beam beside FILE.s
 * Exit codes: 0 done, 1 the text has an error, 2 wrong usage or a file cannot be read or written.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "beam/asm.h"

#include <stdio.h>
#include <unistd.h>

static int usage(void)
{
    fprintf(stderr, "usage: rnode-asm [-z] [-o OUT.beam] FILE.s\n");
    return 2;
}

static bool read_file(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    size_t got = 1;

    if (f == NULL)
        return false;
    while (got > 0) {
        size_t had = b->len;

        got = fread(buf_room(b, 65536), 1, 65536, f);
        b->len = had + got;
    }
    bool ok = ferror(f) == 0;

    fclose(f);
    return ok;
}

static bool write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && fwrite(b->data, 1, b->len, f) == b->len;

    return f != NULL && fclose(f) == 0 && ok;
}

static int assemble(const char *in, const char *out, const struct asm_options *options)
{
    const char *slash = strrchr(in, '/'), *name = slash != NULL ? slash + 1 : in;
    struct buf text = { 0 }, file = { 0 };
    struct text_error error;
    int status = 0;

    if (!read_file(in, &text)) {
        perror(in);
        status = 2;
    } else if (beam_assemble(buf_cstr(&text), text.len, name, options, &file, &error) < 0) {
        fprintf(stderr, "%s:%u:%u: %s\n", in, error.line, error.col, error.text);
        status = 1;
    } else if (!write_file(out, &file)) {
        perror(out);
        status = 2;
    }
    buf_fini(&text);
    buf_fini(&file);
    return status;
}

int main(int argc, char **argv)
{
    struct asm_options options = { false };
    char *out = NULL;
    int opt, status;

    while ((opt = getopt(argc, argv, "zo:")) != -1) {
        if (opt == 'z')
            options.compress = true;
        else if (opt == 'o' && out == NULL)
            out = mem_strdup(optarg);
        else
            return usage();
    }
    if (optind != argc - 1)
        return usage();
    if (out == NULL) {
        const char *in = argv[optind], *dot = strrchr(in, '.');
        int stem = dot != NULL && strchr(dot, '/') == NULL ? (int)(dot - in) : (int)strlen(in);

        out = mem_printf("%.*s.beam", stem, in);
    }
    status = assemble(argv[optind], out, &options);
    mem_free(out);
    return status;
}
