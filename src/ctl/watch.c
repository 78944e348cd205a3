/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - the screen as a pipe of answers
 *
 * Each turn: ask, keep the lines that the filter lets through and that fit, write them over the old
 * ones in one go so that nothing flickers, then wait for a key or the time to be over.
 */
#include "ctl/watch.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FILTER_MAX 64

struct screen {
    const struct watch *w;
    bool tty, paused, filtering, help, quit;
    const char *sort;
    char filter[FILTER_MAX];
    char *last_words;           /* what an answer said that ended the watch; owned */
    struct termios before;
};

static const struct { char key; const char *sort, *what; } orders[] = {
    { 'r', "reds", "work" }, { 'm', "heap", "memory" }, { 'g', "msgq", "messages waiting" },
    { 'n', "name", "name" },
};

/* --- the terminal ------------------------------------------------------------------------- */

static void terminal_open(struct screen *s)
{
    struct termios raw;

    s->tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &s->before) == 0;
    if (!s->tty)
        return;
    raw = s->before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout);      /* other screen, no cursor */
}

static void terminal_close(struct screen *s)
{
    if (!s->tty)
        return;
    tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

static size_t terminal_rows(void)
{
    struct winsize ws;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 2 ? ws.ws_row : 24;
}

/* --- one picture ---------------------------------------------------------------------------- */

static void add_status_line(const struct screen *s, struct buf *out)
{
    char when[16];
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(when, sizeof when, "%H:%M:%S", &tm);
    buf_printf(out, "\033[7m rnodectl %s  %s", s->w->title, when);
    if (s->paused)
        buf_str(out, "  paused");
    if (s->filtering || s->filter[0] != 0)
        buf_printf(out, "  /%s%s", s->filter, s->filtering ? "_" : "");
    buf_printf(out, "  %s \033[0m\033[K\r\n", s->w->keys ? "? keys  q quit" : "q quit");
}

static void add_help(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        buf_printf(out, "  %c  order by %s\033[K\r\n", orders[i].key, orders[i].what);
    buf_str(out, "  /  show only lines with a text\033[K\r\n  p  pause\033[K\r\n  q  quit\033[K\r\n");
}

/* Lines of text that the filter lets through, as many as fit; the first is a head and stays. */
static void add_lines(const struct screen *s, struct buf *out, char *text, size_t room)
{
    size_t shown = 0, at = 0;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL && shown < room;
         line = strtok_r(NULL, "\n", &save), at++) {
        if (at > 0 && s->filter[0] != 0 && strstr(line, s->filter) == NULL)
            continue;
        buf_printf(out, "%s\033[K\r\n", line);
        shown++;
    }
}

static void show(const struct screen *s, char *text)
{
    struct buf out = { 0 };

    if (!s->tty) {
        printf("%s\n", text);
        fflush(stdout);
        return;
    }
    buf_str(&out, "\033[H");
    add_status_line(s, &out);
    if (s->help)
        add_help(&out);
    else
        add_lines(s, &out, text, terminal_rows() - 2);
    buf_str(&out, "\033[J");
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
    buf_fini(&out);
}

/* --- keys -------------------------------------------------------------------------------------- */

static void filter_key(struct screen *s, char key)
{
    size_t n = strlen(s->filter);

    if (key == '\n' || key == '\r') {
        s->filtering = false;
    } else if (key == 27) {
        s->filtering = false;
        s->filter[0] = 0;
    } else if (key == 127 || key == 8) {
        if (n > 0)
            s->filter[n - 1] = 0;
    } else if (n + 1 < FILTER_MAX && (unsigned char)key >= ' ') {
        s->filter[n] = key;
        s->filter[n + 1] = 0;
    }
}

static void take_key(struct screen *s, char key)
{
    if (s->filtering) {
        filter_key(s, key);
        return;
    }
    if (key == 'q' || key == 4)
        s->quit = true;
    if (key == 'p')
        s->paused = !s->paused;
    if (!s->w->keys)
        return;
    if (key == '/')
        s->filtering = true;
    s->help = key == '?' && !s->help;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (orders[i].key == key)
            s->sort = orders[i].sort;
}

/* Wait until the time is over or a key came. True: a key, so show at once. */
static bool wait_key(struct screen *s, int64_t ms)
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
    char key;

    if (poll(&in, s->tty ? 1 : 0, (int)ms) <= 0 || read(STDIN_FILENO, &key, 1) != 1)
        return false;
    take_key(s, key);
    return true;
}

/* An answer that takes long costs the node something: look again the later. */
#define LONG_NS     20000000
#define REST_TIMES  50

/* --- turns -------------------------------------------------------------------------------------- */

static int turn(struct screen *s)
{
    int64_t start = clock_monotonic_ns(), took;
    int64_t until = start + s->w->interval_ms * 1000000;
    char *text = NULL, *copy;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int rc = s->w->ask(s->w->arg, s->sort, out);

    fclose(out);
    took = clock_monotonic_ns() - start - s->w->settle_ms * 1000000;
    if (took > LONG_NS && start + REST_TIMES * took > until)
        until = start + REST_TIMES * took;
    do {
        int64_t left = (until - clock_monotonic_ns()) / 1000000;

        copy = mem_strdup(text);
        if (rc == 0)
            show(s, copy);
        mem_free(copy);
        if (rc != 0 || s->quit || s->w->ended())
            break;
        if (!wait_key(s, s->paused ? 1000 : left > 0 ? left : 0) && !s->paused)
            break;
    } while (s->tty);
    if (rc != 0)
        s->last_words = mem_strdup(text);
    free(text);
    return rc;
}

int watch_run(const struct watch *w)
{
    struct screen s = { .w = w };
    int rc = 0;

    terminal_open(&s);
    while (rc == 0 && !s.quit && !w->ended())
        rc = turn(&s);
    terminal_close(&s);
    if (s.last_words != NULL)
        fputs(s.last_words, stderr);
    mem_free(s.last_words);
    return rc;
}
