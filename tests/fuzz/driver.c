/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c - feeds a fuzz target the files of its corpus, as one TAP case a file
 *
 * tests/fuzz/fuzz_x reads $srcdir/tests/fuzz/corpus/x, and besides each file every truncation of
 * it to a power of two, so that a build without libFuzzer still meets cut-off input.
 */
#include <dirent.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *read_file(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t len = 0, cap = 0, got;

    if (f == NULL)
        return NULL;
    do {
        if (len == cap) {
            cap = cap == 0 ? 4096 : cap * 2;
            data = realloc(data, cap);
        }
        got = fread(data + len, 1, cap - len, f);
        len += got;
    } while (got != 0);
    fclose(f);
    *ret_len = len;
    return data;
}

/* Run the target on an exact-size copy, so that a sanitizer sees a read past the end. */
static void run_exact(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);

    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

int main(int argc, char **argv)
{
    const char *srcdir = getenv("srcdir"), *name = strstr(basename(argv[0]), "fuzz_");
    char dir[4096], path[8192];
    struct dirent *ent;
    int cases = 0;
    DIR *d;

    if (name == NULL)
        name = "fuzz_";
    snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", name + 5);
    d = opendir(dir);
    if (d == NULL) {
        printf("1..1\nnot ok 1 - no corpus at %s\n", dir);
        return 1;
    }
    while ((ent = readdir(d)) != NULL) {
        size_t len = 0;
        uint8_t *data;

        if (ent->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, ent->d_name);
        data = read_file(path, &len);
        if (data == NULL)
            continue;
        run_exact(data, len);
        for (size_t cut = 1; cut < len; cut *= 2)
            run_exact(data, cut);
        free(data);
        printf("ok %d - %s\n", ++cases, ent->d_name);
    }
    closedir(d);
    printf("1..%d\n", cases);
    return cases == 0;
}
