/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c - libedit: history, Emacs keys, Ctrl-R
 *
 * The history is kept in $XDG_STATE_HOME/rnode/history (~/.local/state by default), readable by
 * nobody else. Ctrl-C gives up the line that is being typed; while something runs, a thread that
 * waits for the signal sends the atom interrupt to the process rata_repl.
 */
#include "cmd/rata/line.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "bif/edit.h"
#include "term/atom.h"
#include "vm/process.h"
#include "vm/registry.h"

#include <histedit.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_LINES 1000

static EditLine *editor;
static History *history_lines;
static char *history_path;
static const char *prompt_now = "";
static bool interrupted;

static bool is_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static char *prompt_of(EditLine *e)
{
    (void)e;
    return (char *)(uintptr_t)prompt_now;
}

/* Ctrl-C arrives as a key: a signal would reach any thread, and not this one. */
static unsigned char on_interrupt(EditLine *e, int c)
{
    (void)e;
    (void)c;
    interrupted = true;
    return CC_EOF;
}

/* Where the history is, its folders made; NULL when there is no home. */
static char *find_history(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buf path = { 0 };

    if (state != NULL && *state == '/')
        buf_printf(&path, "%s", state);
    else if (home != NULL && *home == '/')
        buf_printf(&path, "%s/.local/state", home);
    else
        return NULL;
    buf_str(&path, "/rnode/history");
    buf_u8(&path, 0);
    for (char *s = (char *)path.data + 1; *s != 0; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        (void)mkdir((const char *)path.data, 0700);
        *s = '/';
    }
    return (char *)path.data;       /* kept until the program ends */
}

static void editor_open(void)
{
    HistEvent ev;

    editor = el_init("rata", stdin, stdout, stderr);
    history_lines = history_init();
    if (editor == NULL || history_lines == NULL)
        return;
    history(history_lines, &ev, H_SETSIZE, HISTORY_LINES);
    history(history_lines, &ev, H_SETUNIQUE, 1);
    history_path = find_history();
    if (history_path != NULL)
        history(history_lines, &ev, H_LOAD, history_path);
    el_set(editor, EL_PROMPT, prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, history_lines);
    el_set(editor, EL_SETTY, "-d", "-isig", NULL);
    el_set(editor, EL_ADDFN, "rata-interrupt", "give up this line", on_interrupt);
    el_set(editor, EL_BIND, "^C", "rata-interrupt", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(editor, NULL);
}

static void remember(const char *line)
{
    HistEvent ev;
    mode_t mask;

    history(history_lines, &ev, H_ENTER, line);
    if (history_path == NULL)
        return;
    mask = umask(0077);
    history(history_lines, &ev, H_SAVE, history_path);
    umask(mask);
}

/* --- Ctrl-C while something runs -------------------------------------------------------------- */

static void *interrupt_main(void *arg)
{
    sigset_t *set = arg;
    int sig;

    while (sigwait(set, &sig) == 0) {
        term pid;

        epoch_enter();
        pid = registry_whereis(atom_from_cstr("rata_repl"));
        if (is_pid(pid))
            process_send(NULL, pid, ATOM_interrupt);
        epoch_leave();
    }
    return NULL;
}

static enum edit_result read_line(const char *prompt, struct buf *out)
{
    const char *line;
    int n = 0;

    if (editor == NULL)
        editor_open();
    if (editor == NULL)
        return EDIT_END;
    prompt_now = prompt;
    interrupted = false;
    line = el_gets(editor, &n);
    if (interrupted) {
        el_reset(editor);
        fputc('\n', stdout);
        fflush(stdout);
        return EDIT_INTERRUPT;
    }
    if (line == NULL || n <= 0) {
        fputc('\n', stdout);
        fflush(stdout);
        return EDIT_END;
    }
    if (n > 1)
        remember(line);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    buf_add(out, line, (size_t)n);
    return EDIT_LINE;
}

void line_editor_plug(void)
{
    static const struct edit_hooks hooks = { is_terminal, read_line };

    edit_hooks = &hooks;
}

/* The signal is blocked here, before other threads start and inherit that. */
void line_watch_interrupts(void)
{
    static sigset_t set;
    pthread_t thread;

    if (!is_terminal())
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0
        && pthread_create(&thread, NULL, interrupt_main, &set) == 0)
        pthread_detach(thread);
}
