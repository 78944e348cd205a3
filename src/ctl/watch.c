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
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FILTER_MAX 64
#define WORD_MAX   64

struct screen {
    const struct watch *w;
    bool tty, paused, filtering, help, quit;
    const char *sort;
    char filter[FILTER_MAX];
    size_t row, rows;           /* the chosen row from 1 on, 0: none; rows that are shown */
    char chosen[WORD_MAX];      /* its first word */
    char wish;                  /* the key that wants to see it; 0: none */
    char *text, *head, *opened; /* the answer, what is above it, and instead of it; free(), or NULL */
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
    buf_str(out, "  up, down  choose a row\033[K\r\n  Enter  look at it\033[K\r\n"
                 "  t  its messages for a few seconds\033[K\r\n"
                 "  /  show only lines with a text\033[K\r\n  p  pause\033[K\r\n  q  quit\033[K\r\n");
}

/* As many lines of text as fit; how many. */
static size_t add_text(struct buf *out, const char *text, size_t room)
{
    size_t shown = 0;

    for (; *text != 0 && shown < room; shown++) {
        size_t n = strcspn(text, "\n");

        buf_printf(out, "%.*s\033[K\r\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
    return shown;
}

/* A row, turned over if it is the chosen one, whose first word is kept. */
static void add_row(struct screen *s, struct buf *out, const char *line)
{
    bool chosen = ++s->rows == s->row;

    if (chosen)
        snprintf(s->chosen, sizeof s->chosen, "%.*s", (int)strcspn(line, " "), line);
    buf_printf(out, chosen ? "\033[7m%s\033[0m\033[K\r\n" : "%s\033[K\r\n", line);
}

/* Lines of text that the filter lets through, as many as fit; the first is a head and stays. */
static void add_lines(struct screen *s, struct buf *out, char *text, size_t room)
{
    char *save = NULL, *line = strtok_r(text, "\n", &save);

    s->rows = 0;
    s->chosen[0] = 0;
    if (line != NULL)
        buf_printf(out, "%s\033[K\r\n", line);
    while (line != NULL && s->rows + 1 < room && (line = strtok_r(NULL, "\n", &save)) != NULL)
        if (s->filter[0] == 0 || strstr(line, s->filter) != NULL)
            add_row(s, out, line);
}

static void show(struct screen *s)
{
    struct buf out = { 0 };
    size_t room = terminal_rows() - 2;
    char *text;

    if (s->text == NULL)
        return;

    if (!s->tty) {
        printf("%s\n", s->text);
        fflush(stdout);
        return;
    }
    buf_str(&out, "\033[H");
    add_status_line(s, &out);
    if (s->opened != NULL) {
        add_text(&out, s->opened, room);
    } else if (s->help) {
        add_help(&out);
    } else {
        if (s->head != NULL && room > 16)
            room -= add_text(&out, s->head, room / 2);
        text = mem_strdup(s->text);
        add_lines(s, &out, text, room);
        mem_free(text);
    }
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

/* The rest of what an arrow key sends. */
static void arrow_key(struct screen *s)
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
    char key[2] = { 0 };

    for (int i = 0; i < 2; i++)
        if (poll(&in, 1, 20) <= 0 || read(STDIN_FILENO, &key[i], 1) != 1)
            return;
    if (key[1] == 'A' && s->row > 1)
        s->row--;
    if (key[1] == 'B' && s->row < s->rows)
        s->row++;
}

static void take_key(struct screen *s, char key)
{
    if (s->opened != NULL) {
        free(TAKE(s->opened));
        return;
    }
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
    if (key == 27)
        arrow_key(s);
    if ((key == '\n' || key == '\r' || key == 't') && s->chosen[0] != 0)
        s->wish = key;
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

/* --- asking ------------------------------------------------------------------------------------- */

/* One question, on a thread of its own, so that keys are answered meanwhile. */
struct asking {
    const struct watch *w;
    const char *sort;
    char *text, *head;          /* the answers */
    int rc;
    int done[2];                /* a pipe: closed for writing when all is there */
};

static void *ask_main(void *arg)
{
    struct asking *a = arg;
    size_t len = 0;
    FILE *out = open_memstream(&a->text, &len);

    a->rc = a->w->ask(a->w->arg, a->sort, out);
    fclose(out);
    if (a->rc == 0 && a->w->head != NULL) {
        out = open_memstream(&a->head, &len);
        a->w->head(a->w->arg, out);
        fclose(out);
    }
    if (a->done[1] >= 0)
        close(a->done[1]);
    return NULL;
}

/* Wait for a key and take it. False: the answer came first. */
static bool key_before(struct screen *s, int done)
{
    struct pollfd in[] = { { STDIN_FILENO, POLLIN, 0 }, { done, POLLIN, 0 } };
    char key;

    if (poll(in, 2, -1) < 0)
        return true;
    if (in[1].revents != 0)
        return false;
    if (read(STDIN_FILENO, &key, 1) == 1)
        take_key(s, key);
    return true;
}

/* Ask and keep the answer. 0, or the exit code that ends the watch. */
static int ask(struct screen *s)
{
    struct asking a = { .w = s->w, .sort = s->sort, .done = { -1, -1 } };
    pthread_t thread;

    if (s->tty && pipe(a.done) == 0 && pthread_create(&thread, NULL, ask_main, &a) == 0) {
        while (key_before(s, a.done[0]))
            show(s);
        pthread_join(thread, NULL);
        close(a.done[0]);
    } else {
        ask_main(&a);
    }
    free(s->head);
    free(s->text);
    s->head = a.head;
    s->text = a.text;
    return a.rc;
}

/* What Enter or t on a row shows; not while something else is being asked. */
static void open_wish(struct screen *s)
{
    size_t len = 0;
    char key = s->wish;
    FILE *out;

    s->wish = 0;
    if (key == 0)
        return;
    out = open_memstream(&s->opened, &len);
    s->w->open(s->w->arg, key, s->chosen, out);
    fclose(out);
}

/* --- turns -------------------------------------------------------------------------------------- */

/* Does the picture stay when its time is over? */
static bool stays(const struct screen *s)
{
    return s->paused || s->opened != NULL;
}

static int turn(struct screen *s)
{
    int64_t start = clock_monotonic_ns(), took;
    int64_t until = start + s->w->interval_ms * 1000000;
    int rc = ask(s);

    if (rc != 0)
        return rc;
    took = clock_monotonic_ns() - start - s->w->settle_ms * 1000000;
    if (took > LONG_NS && start + REST_TIMES * took > until)
        until = start + REST_TIMES * took;
    do {
        int64_t left = (until - clock_monotonic_ns()) / 1000000;

        open_wish(s);
        show(s);
        if (s->quit || s->w->ended())
            break;
        if (!wait_key(s, stays(s) ? 1000 : left > 0 ? left : 0) && !stays(s))
            break;
    } while (s->tty);
    return 0;
}

int watch_run(const struct watch *w)
{
    struct screen s = { .w = w };
    int rc = 0;

    terminal_open(&s);
    while (rc == 0 && !s.quit && !w->ended())
        rc = turn(&s);
    terminal_close(&s);
    if (rc != 0)
        fputs(s.text, stderr);
    free(s.head);
    free(s.text);
    free(s.opened);
    return rc;
}
