/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - rnode-asm: one text (language: beam/asm.h) into a .beam file, or back
 *
 * Usage: rnode-asm [-z] [-o OUT] FILE.s        -z: gzip the result; OUT: FILE.beam beside FILE.s
 *        rnode-asm -d [-o OUT] FILE.beam       disassemble; OUT: standard output
 * Exit codes: 0 done, 1 the text has an error, 2 wrong usage or a file cannot be read or written.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "beam/asm.h"
#include "beam/disasm.h"
#include "beam/file.h"
#include "lang/source.h"

#include <stdio.h>
#include <unistd.h>

static int usage(void)
{
    fprintf(stderr, "usage: rnode-asm [-z] [-o OUT.beam] FILE.s\n"
                    "       rnode-asm -d [-o OUT.s] FILE.beam\n");
    return 2;
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

    if (file_read(in, SOURCE_BYTES_MAX, &text) < 0) {
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

/* out NULL: to standard output. */
static int disassemble(const char *in, const char *out)
{
    struct buf file = { 0 }, text = { 0 };
    struct beam_file f = { 0 };
    struct beam_error error;
    int status = 0;

    if (file_read(in, BEAM_FILE_BYTES_MAX, &file) < 0) {
        perror(in);
        status = 2;
    } else if (beam_open(file.data, file.len, false, &f, &error) < 0 ||
               beam_disassemble(&f, &text, &error) < 0) {
        fprintf(stderr, "%s: %s\n", in, error.text);
        status = 1;
    } else if (out == NULL ? fwrite(text.data, 1, text.len, stdout) != text.len
                           : !write_file(out, &text)) {
        perror(out == NULL ? "standard output" : out);
        status = 2;
    }
    beam_close(&f);
    buf_fini(&text);
    buf_fini(&file);
    return status;
}

/* FILE.beam beside FILE.s */
static char *beam_beside(const char *in)
{
    const char *dot = strrchr(in, '.');
    int stem = dot != NULL && strchr(dot, '/') == NULL ? (int)(dot - in) : (int)strlen(in);

    return mem_printf("%.*s.beam", stem, in);
}

int main(int argc, char **argv)
{
    struct asm_options options = { false };
    bool back = false;
    char *out = NULL;
    int opt, status;

    while ((opt = getopt(argc, argv, "dzo:")) != -1) {
        if (opt == 'z')
            options.compress = true;
        else if (opt == 'd')
            back = true;
        else if (opt == 'o' && out == NULL)
            out = mem_strdup(optarg);
        else
            return usage();
    }
    if (optind != argc - 1 || (back && options.compress))
        return usage();
    if (!back && out == NULL)
        out = beam_beside(argv[optind]);
    status = back ? disassemble(argv[optind], out) : assemble(argv[optind], out, &options);
    mem_free(out);
    return status;
}
