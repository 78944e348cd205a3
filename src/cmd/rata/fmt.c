/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fmt.c - `rata fmt [--check|--diff] [FILE...|-]`: the one style
 *
 * Files are rewritten in place, only when something changes, through a new file beside them that
 * is renamed over the old one. Without files: those of the project, src/ and test/. - is standard
 * input to standard output. --check names the files that would change, --diff shows the lines.
 */
#include "cmd/rata/fmt.h"

#include "base/alloc.h"
#include "base/file.h"
#include "ctl/exits.h"
#include "lang/rata/format.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_SOURCE 2           /* the source has errors, as for all commands of compilers */

enum action { WRITE, CHECK, DIFF };

/* --- showing what would change --------------------------------------------------------------- */

static const char *line_end(const char *s)
{
    const char *end = strchr(s, '\n');

    return end != NULL ? end + 1 : s + strlen(s);
}

static void show_lines(char mark, const char *from, const char *to)
{
    while (from < to) {
        const char *end = line_end(from);

        printf("%c%.*s%s", mark, (int)(end - from), from, end[-1] == '\n' ? "" : "\n");
        from = end;
    }
}

/* Does the line at a stand in b within the next few lines? Where, or NULL. */
static const char *found_ahead(const char *a, const char *b)
{
    size_t len = (size_t)(line_end(a) - a);

    for (int i = 0; i < 20 && *b != 0; i++, b = line_end(b)) {
        if (len > 1 && strncmp(a, b, len) == 0)
            return b;
    }
    return NULL;
}

/* Lines of both texts, - and + where they differ. Formatting moves few lines, so what is the same
 * is found close by. */
static void show_diff(const char *name, const char *a, const char *b)
{
    printf("--- %s\n+++ %s\n", name, name);
    for (size_t line = 1; *a != 0 || *b != 0; line++) {
        const char *a_end = line_end(a), *b_end = line_end(b), *again;

        if (a_end - a == b_end - b && strncmp(a, b, (size_t)(a_end - a)) == 0) {
            a = a_end;
            b = b_end;
            continue;
        }
        printf("@@ line %zu @@\n", line);
        while (*a != 0 && (again = found_ahead(a, b)) == NULL) {
            show_lines('-', a, line_end(a));
            a = line_end(a);
            line++;
        }
        again = *a != 0 ? found_ahead(a, b) : b + strlen(b);
        show_lines('+', b, again);
        b = again;
        line--;
    }
}

/* --- one text -------------------------------------------------------------------------------- */

/* The new text in out. 0 or an exit status, with a message. */
static int format_text(const char *name, const struct buf *text, struct buf *out)
{
    struct arena arena = { 0 };
    struct source src;
    struct diags d;
    struct buf words = { 0 };
    int rc = 0;

    if (text->len > SOURCE_BYTES_MAX) {
        fprintf(stderr, "rata fmt: %s: too long for a source\n", name);
        return EXIT_SOURCE;
    }
    diags_init(&d, &arena, &src);
    if (source_open(&arena, name, (const char *)text->data, (uint32_t)text->len, &src) < text->len) {
        fprintf(stderr, "rata fmt: %s: not UTF-8\n", name);
        rc = EXIT_SOURCE;
    } else if (!rata_format(&d, 0, out)) {
        diags_print(&words, &d);
        fwrite(words.data, 1, words.len, stderr);
        rc = d.n_errors > 0 ? EXIT_SOURCE : EXIT_BUG;
        if (rc == EXIT_BUG)
            fprintf(stderr, "rata fmt: %s: left alone: the result would be another program,"
                            " which is an error of rata\n", name);
    }
    buf_fini(&words);
    arena_fini(&arena);
    return rc;
}

static int replace_file(const char *name, const struct buf *text)
{
    struct buf path = { 0 };
    struct stat st;
    int fd, rc = -1;

    buf_printf(&path, "%s.rata-fmt", name);
    buf_u8(&path, 0);
    fd = open((const char *)path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0) {
        bool good = write(fd, text->data, text->len) == (ssize_t)text->len;

        if (stat(name, &st) == 0)
            good = fchmod(fd, st.st_mode & 07777) == 0 && good;
        good = close(fd) == 0 && good;
        rc = good ? rename((const char *)path.data, name) : -1;
        if (rc < 0)
            unlink((const char *)path.data);
    }
    buf_fini(&path);
    return rc;
}

static int finish(const char *name, enum action action, const struct buf *old, struct buf *new)
{
    if (old->len == new->len && memcmp(old->data, new->data, old->len) == 0)
        return 0;
    buf_u8(new, 0);
    new->len--;
    switch (action) {
    case CHECK:
        printf("%s\n", name);
        return EXIT_NO;
    case DIFF:
        show_diff(name, (const char *)old->data, (const char *)new->data);
        return EXIT_NO;
    default:
        if (replace_file(name, new) == 0)
            return 0;
        fprintf(stderr, "rata fmt: %s: %s\n", name, strerror(errno));
        return EXIT_CANNOT_CREATE;
    }
}

static int format_file(const char *name, enum action action)
{
    bool pipe = strcmp(name, "-") == 0;
    int fd = pipe ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC), rc;
    struct buf old = { 0 }, new = { 0 };

    if (fd < 0 || file_read_fd(fd, SOURCE_BYTES_MAX + 1, &old) < 0) {
        fprintf(stderr, "rata fmt: %s: %s\n", name, strerror(errno));
        rc = EXIT_NO_INPUT;
    } else {
        buf_cstr(&old);
        rc = format_text(pipe ? "standard input" : name, &old, &new);
        if (rc == 0 && pipe && action == WRITE)
            fwrite(new.data, 1, new.len, stdout);
        else if (rc == 0)
            rc = finish(name, action, &old, &new);
    }
    if (fd >= 0 && !pipe)
        close(fd);
    buf_fini(&old);
    buf_fini(&new);
    return rc;
}

/* --- the command ----------------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: rata fmt [--check|--diff] [FILE...|-]\n", stderr);
    return EXIT_USAGE;
}

/* The worse of two exit statuses: errors before changes before nothing. */
static int worse(int a, int b)
{
    return a > b ? a : b;
}

static int format_project(enum action action)
{
    glob_t found;
    int rc = 0;

    if (glob("src/*.rata", 0, NULL, &found) == GLOB_NOMATCH)
        found = (glob_t){ 0 };
    if (glob("test/*.rata", found.gl_pathc > 0 ? GLOB_APPEND : 0, NULL, &found) != 0
        && found.gl_pathc == 0) {
        fputs("rata fmt: no files given, and no src/*.rata or test/*.rata here\n", stderr);
        return EXIT_NO_INPUT;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        rc = worse(rc, format_file(found.gl_pathv[i], action));
    globfree(&found);
    return rc;
}

int cmd_fmt(int argc, char **argv)
{
    enum action action = WRITE;
    int rc = 0, i = 1;

    for (; i < argc && argv[i][0] == '-' && argv[i][1] != 0; i++) {
        if (strcmp(argv[i], "--check") == 0)
            action = CHECK;
        else if (strcmp(argv[i], "--diff") == 0)
            action = DIFF;
        else
            return usage();
    }
    if (i == argc)
        return format_project(action);
    for (; i < argc; i++)
        rc = worse(rc, format_file(argv[i], action));
    return rc;
}
