/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pager.c - measuring text, and handing it to a pager
 */
#include "ctl/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool pager_wanted(FILE *out)
{
    const char *pager = getenv("PAGER"), *term = getenv("TERM");

    return isatty(fileno(out)) && (term == NULL || strcmp(term, "dumb") != 0) &&
           (pager == NULL || (*pager != 0 && strcmp(pager, "cat") != 0));
}

/* The byte behind an escape sequence that begins at s. */
static const char *skip_escape(const char *s, const char *end)
{
    for (s += 2; s < end && (*s < '@' || *s > '~'); s++)
        ;
    return s < end ? s + 1 : end;
}

bool pager_is_longer(const char *text, size_t len, unsigned rows, unsigned columns)
{
    const char *end = text + len;
    unsigned lines = 0, width = 0;

    for (const char *s = text; s < end && lines < rows;) {
        if (*s == '\033' && s + 1 < end && s[1] == '[') {
            s = skip_escape(s, end);
            continue;
        }
        if (*s == '\n' || (columns > 0 && width == columns)) {
            lines++;
            width = 0;
        }
        /* bytes that go on a character take no room of their own */
        width += *s != '\n' && ((unsigned char)*s & 0xC0) != 0x80;
        s++;
    }
    return lines >= rows;
}

static bool is_longer_than(FILE *out, const char *text, size_t len)
{
    struct winsize w;

    if (ioctl(fileno(out), TIOCGWINSZ, &w) < 0 || w.ws_row == 0)
        return false;
    return pager_is_longer(text, len, w.ws_row, w.ws_col);
}

/* A pager with its standard input at *ret_fd, or -1. */
static pid_t start_pager(int *ret_fd)
{
    const char *pager = getenv("PAGER");
    char *shell[] = { (char *)(uintptr_t)"/bin/sh", (char *)(uintptr_t)"-c",
                      (char *)(uintptr_t)pager, NULL };
    char *less[] = { (char *)(uintptr_t)"less", (char *)(uintptr_t)"-FRX", NULL };
    char **argv = pager != NULL ? shell : less;
    posix_spawn_file_actions_t files;
    pid_t pid;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
    rc = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(ends[0]);
    if (rc != 0) {
        close(ends[1]);
        return -1;
    }
    *ret_fd = ends[1];
    return pid;
}

/* Until all is written or the reader has seen enough. */
static void feed(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR)
            return;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void pager_show(FILE *out, const char *text, size_t len)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, pipe_was, int_was;
    pid_t pid = -1;
    int fd = -1, status;

    fflush(out);
    if (pager_wanted(out) && is_longer_than(out, text, len)) {
        setenv("LESS", "FRX", 0);       /* for a $PAGER that is less */
        pid = start_pager(&fd);
    }
    if (pid < 0) {
        fwrite(text, 1, len, out);
        return;
    }
    /* Leaving the pager early and Ctrl-C in it are the pager's matter. */
    sigaction(SIGPIPE, &ignore, &pipe_was);
    sigaction(SIGINT, &ignore, &int_was);
    feed(fd, text, len);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    sigaction(SIGPIPE, &pipe_was, NULL);
    sigaction(SIGINT, &int_was, NULL);
}
