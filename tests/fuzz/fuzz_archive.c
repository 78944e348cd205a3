/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_archive.c - backups, on any bytes
 *
 * Checksums of headers are put right where a header may be. Whatever is in the file, nothing
 * appears outside the folder it is unpacked into.
 */
#include "ctl/archive.c"

#include "base/assert.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_sums(uint8_t *data, size_t len)
{
    for (size_t at = 0; at + BLOCK <= len; at += BLOCK) {
        struct tar_header *h = (struct tar_header *)(void *)(data + at);

        if (memcmp(h->magic, "ustar", 5) == 0)
            snprintf(h->checksum, sizeof h->checksum, "%06o", checksum(h));
    }
}

/* How many files there are in path, which are removed. */
static unsigned empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    unsigned n = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        (void)!unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
    return n;
}

static char top[] = "/tmp/fuzz_archive.XXXXXX", file[64], folder[64], store[80], code[80];

static void remove_folders(void)
{
    (void)rmdir(store);
    (void)rmdir(code);
    (void)rmdir(folder);
    (void)rmdir(top);
}

static void make_folders(void)
{
    ASSERT(mkdtemp(top) != NULL);
    snprintf(file, sizeof file, "%s/backup", top);
    snprintf(folder, sizeof folder, "%s/to", top);
    snprintf(store, sizeof store, "%s/store", folder);
    snprintf(code, sizeof code, "%s/code", folder);
    ASSERT(mkdir(folder, 0700) == 0 && mkdir(store, 0700) == 0 && mkdir(code, 0700) == 0);
    atexit(remove_folders);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = mem_alloc(size + 1);
    struct buf head = { 0 };
    const char *what;
    FILE *f;

    if (file[0] == '\0')
        make_folders();
    memcpy(copy, data, size);
    mend_sums(copy, size);
    f = fopen(file, "wb");
    ASSERT(f != NULL && fwrite(copy, 1, size, f) == size);
    fclose(f);
    if (archive_extract(file, folder, &head, &what, NULL, NULL) == 0)
        ASSERT(access(store, F_OK) == 0 && head.len <= HEAD_MAX);
    empty_folder(store);
    empty_folder(code);
    ASSERT(empty_folder(folder) == 2);      /* the two folders, which stay */
    ASSERT(empty_folder(top) == 2);         /* the file and the folder */
    buf_fini(&head);
    mem_free(copy);
    return 0;
}
