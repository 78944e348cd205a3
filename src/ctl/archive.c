/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c - backups as tar files
 */
#include "ctl/archive.h"

#include "base/alloc.h"
#include "base/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     512
#define HEAD_NAME "rnode-backup"
#define HEAD_MAX  4096
#define PIECE     65536

/* A ustar header: offsets and lengths of the fields used. */
struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct tar_header) == BLOCK, "a tar header is one block");

struct archive { int fd; char *path, *tmp; };

/* --- numbers of headers ----------------------------------------------------------------------- */

/* Octal, or above 8 GiB base 256 with the first bit set, as GNU tar writes it. */
static void size_put(char field[12], uint64_t v)
{
    if (v < (uint64_t)1 << 33) {
        snprintf(field, 12, "%011llo", (unsigned long long)v);
        return;
    }
    memset(field, 0, 12);
    field[0] = (char)0x80;
    for (int i = 0; i < 8; i++)
        field[11 - i] = (char)(v >> 8 * i);
}

static bool size_get(const char field[12], uint64_t *ret)
{
    uint64_t v = 0;

    if ((uint8_t)field[0] == 0x80) {
        for (int i = 4; i < 12; i++)
            v = v << 8 | (uint8_t)field[i];
    } else {
        for (int i = 0; i < 11; i++) {
            if (field[i] < '0' || field[i] > '7')
                return false;
            v = v << 3 | (uint64_t)(field[i] - '0');
        }
    }
    *ret = v;
    return v < (uint64_t)1 << 56;
}

static unsigned checksum(const struct tar_header *h)
{
    struct tar_header copy = *h;
    unsigned sum = 0;

    memset(copy.checksum, ' ', sizeof copy.checksum);
    for (size_t i = 0; i < sizeof copy; i++)
        sum += ((const uint8_t *)&copy)[i];
    return sum;
}

static struct tar_header header_make(const char *name, uint64_t size)
{
    struct tar_header h;

    memset(&h, 0, sizeof h);
    snprintf(h.name, sizeof h.name, "%s", name);
    memcpy(h.mode, "0000600", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    memcpy(h.mtime, "00000000000", 12);
    size_put(h.size, size);
    h.type = '0';
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    snprintf(h.checksum, sizeof h.checksum, "%06o", checksum(&h));
    h.checksum[7] = ' ';
    return h;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_all(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const uint8_t *)data + at, len - at);

        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return -ERR_SYSTEM;
    }
    return 0;
}

static int pad(int fd, uint64_t len)
{
    static const char zeros[BLOCK];

    return len % BLOCK == 0 ? 0 : write_all(fd, zeros, BLOCK - (size_t)(len % BLOCK));
}

int archive_create(const char *path, struct archive **ret)
{
    struct archive *a = MEM_NEW(struct archive);

    a->path = mem_strdup(path);
    a->tmp = mem_printf("%s.part", path);
    a->fd = open(a->tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (a->fd >= 0) {
        *ret = a;
        return 0;
    }
    mem_free(a->path);
    mem_free(a->tmp);
    mem_free(a);
    return -ERR_SYSTEM;
}

int archive_add(struct archive *a, const char *name, const void *data, size_t len)
{
    struct tar_header h = header_make(name, len);
    int rc = write_all(a->fd, &h, sizeof h);

    if (rc == 0)
        rc = write_all(a->fd, data, len);
    return rc == 0 ? pad(a->fd, len) : rc;
}

int archive_add_stream(struct archive *a, const char *name, int (*stream)(void *arg, int fd),
                       void *arg)
{
    off_t at = lseek(a->fd, 0, SEEK_CUR), end;
    struct tar_header h = header_make(name, 0);
    int rc = at < 0 ? -ERR_SYSTEM : write_all(a->fd, &h, sizeof h);

    if (rc == 0)
        rc = stream(arg, a->fd);
    if (rc < 0)
        return rc;
    end = lseek(a->fd, 0, SEEK_END);
    if (end < 0)
        return -ERR_SYSTEM;
    rc = pad(a->fd, (uint64_t)(end - at));
    h = header_make(name, (uint64_t)(end - at) - sizeof h);
    if (rc == 0 && pwrite(a->fd, &h, sizeof h, at) != (ssize_t)sizeof h)
        rc = -ERR_SYSTEM;
    return rc;
}

static void archive_free(struct archive *a)
{
    if (a->fd >= 0)
        close(a->fd);
    mem_free(a->path);
    mem_free(a->tmp);
    mem_free(a);
}

int archive_finish(struct archive *a, uint64_t *ret_bytes)
{
    static const char zeros[2 * BLOCK];
    struct stat st;
    int rc = write_all(a->fd, zeros, sizeof zeros);

    if (rc == 0 && (fsync(a->fd) < 0 || fstat(a->fd, &st) < 0 || rename(a->tmp, a->path) < 0))
        rc = -ERR_SYSTEM;
    if (rc < 0) {
        archive_abandon(a);
        return rc;
    }
    *ret_bytes = (uint64_t)st.st_size;
    archive_free(a);
    return 0;
}

void archive_abandon(struct archive *a)
{
    int saved = errno;

    if (a == NULL)
        return;
    unlink(a->tmp);
    archive_free(a);
    errno = saved;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A name that a backup may have: nothing that could leave the folder. */
static bool name_is_good(const char *name)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    size_t n;

    if (strcmp(name, "store/data.mdb") == 0)
        return true;
    if (strncmp(name, "code/", 5) != 0)
        return false;
    n = strspn(name + 5, digits);
    return n > 0 && strcmp(name + 5 + n, ".beam") == 0;
}

/* How much of the file has been read, told to who wants it. */
struct reading { FILE *in; uint64_t total; archive_progress_fn *progress; void *arg; };

static void tell(const struct reading *r)
{
    if (r->progress != NULL)
        r->progress(r->arg, (uint64_t)ftello(r->in), r->total);
}

static int copy_out(const struct reading *r, uint64_t size, const char *path)
{
    static const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(path, flags, 0600), rc = fd < 0 ? -ERR_SYSTEM : 0;
    char *piece = mem_alloc(PIECE);

    while (rc == 0 && size > 0) {
        size_t n = size < PIECE ? (size_t)size : PIECE;

        if (fread(piece, 1, n, r->in) != n)
            rc = -ERR_FORMAT;
        else
            rc = write_all(fd, piece, n);
        size -= n;
        tell(r);
    }
    mem_free(piece);
    if (rc == 0 && fsync(fd) < 0)
        rc = -ERR_SYSTEM;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The next header; 0: it is there, 1: the end. */
static int next_header(FILE *in, struct tar_header *h, uint64_t *ret_size)
{
    char stored[9] = "";

    if (fread(h, 1, sizeof *h, in) != sizeof *h)
        return -ERR_FORMAT;
    if (h->name[0] == '\0')
        return 1;
    memcpy(stored, h->checksum, 8);
    if (strtoul(stored, NULL, 8) != checksum(h) || h->name[sizeof h->name - 1] != '\0' ||
        h->type != '0' || !size_get(h->size, ret_size))
        return -ERR_FORMAT;
    return 0;
}

static int skip_pad(FILE *in, uint64_t size)
{
    char rest[BLOCK];
    size_t n = (size_t)((BLOCK - size % BLOCK) % BLOCK);

    return fread(rest, 1, n, in) == n ? 0 : -ERR_FORMAT;
}

static int read_head(FILE *in, struct buf *head)
{
    struct tar_header h;
    uint64_t size = 0;
    int rc = next_header(in, &h, &size);

    if (rc != 0 || strcmp(h.name, HEAD_NAME) != 0 || size > HEAD_MAX)
        return -ERR_FORMAT;
    if (fread(buf_room(head, (size_t)size), 1, (size_t)size, in) != size)
        return -ERR_FORMAT;
    if (strncmp(buf_cstr(head), "format=1\n", 9) != 0)
        return strncmp(buf_cstr(head), "format=", 7) == 0 ? -ERR_VERSION : -ERR_FORMAT;
    return skip_pad(in, size);
}

int archive_extract(const char *path, const char *folder, struct buf *head, const char **ret_what,
                    archive_progress_fn *progress, void *arg)
{
    FILE *in = fopen(path, "rbe");
    struct reading r = { .in = in, .progress = progress, .arg = arg };
    struct stat st;
    struct tar_header h;
    uint64_t size = 0;
    bool has_store = false;
    int rc;

    *ret_what = path;
    if (in == NULL)
        return -ERR_SYSTEM;
    r.total = fstat(fileno(in), &st) == 0 ? (uint64_t)st.st_size : 0;
    rc = read_head(in, head);
    while (rc == 0 && (rc = next_header(in, &h, &size)) == 0) {
        char *to = mem_printf("%s/%s", folder, h.name);

        rc = name_is_good(h.name) ? copy_out(&r, size, to) : -ERR_FORMAT;
        has_store |= strcmp(h.name, "store/data.mdb") == 0;
        mem_free(to);
        if (rc == 0)
            rc = skip_pad(in, size);
    }
    fclose(in);
    if (rc == 1)
        rc = has_store ? 0 : -ERR_FORMAT;
    if (rc == 0 && progress != NULL)
        progress(arg, r.total, r.total);
    return rc;
}
