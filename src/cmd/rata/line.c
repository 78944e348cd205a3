/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.c - libedit: history, Emacs keys, Ctrl-R, Tab
 *
 * Tab completes the word before the cursor: a module, a function of a module, a core function, or
 * one of the words that come with the prompt. When there are several, and no more letters that all of
 * them have, they are shown, functions with their arities.
 *
 * The history is kept in $XDG_STATE_HOME/rnode/history (~/.local/state by default), readable by
 * nobody else. Ctrl-C gives up the line that is being typed; while something runs, a thread that
 * waits for the signal sends the atom interrupt to the process rata_repl.
 */
#include "cmd/rata/line.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "bif/edit.h"
#include "cmd/rata/plug.h"
#include "ctl/line_history.h"
#include "term/atom.h"
#include "vm/process.h"
#include "vm/registry.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static EditLine *editor;
static struct line_history typed;
static const char *prompt_now = "", *words_now = "";
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

/* --- Tab -------------------------------------------------------------------------------------- */

#define SHOWN_COLUMNS 78

struct completion {
    char common[256];                   /* what all begin with */
    struct buf shown;                   /* all of them, in lines */
    size_t n, column;
};

static void show(struct completion *c, const char *word, int arity)
{
    struct buf text = { 0 };

    if (arity >= 0)
        buf_printf(&text, "%s/%d  ", word, arity);
    else
        buf_printf(&text, "%s  ", word);
    if (c->column + text.len > SHOWN_COLUMNS) {
        buf_str(&c->shown, "\r\n");
        c->column = 0;
    }
    c->column += text.len;
    buf_add(&c->shown, text.data, text.len);
    buf_fini(&text);
}

static void found(void *arg, const char *word, int arity)
{
    struct completion *c = arg;
    size_t same = 0;

    if (c->n++ == 0)
        snprintf(c->common, sizeof c->common, "%s", word);
    while (c->common[same] != 0 && c->common[same] == word[same])
        same++;
    c->common[same] = 0;
    show(c, word, arity);
}

static void find_words(struct completion *c, const char *start)
{
    char word[256];

    for (const char *at = words_now; *at != 0;) {
        size_t len = strcspn(at, " ");

        if (len > 0 && len < sizeof word && strncmp(at, start, strlen(start)) == 0) {
            memcpy(word, at, len);
            word[len] = 0;
            found(c, word, -1);
        }
        at += len + (at[len] == ' ');
    }
    rata_complete(start, found, c);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
           || strchr("_.:?!", c) != NULL;
}

static unsigned char on_tab(EditLine *e, int key)
{
    const LineInfo *line = el_line(e);
    const char *at = line->cursor;
    struct completion c = { .n = 0 };
    char start[128];
    unsigned char answer = CC_ERROR;
    size_t len;

    (void)key;
    while (at > line->buffer && is_word(at[-1]))
        at--;
    len = (size_t)(line->cursor - at);
    if (words_now == NULL || len >= sizeof start)
        return CC_ERROR;
    memcpy(start, at, len);
    start[len] = 0;
    find_words(&c, start);
    if (c.n > 0 && strlen(c.common) > len) {
        answer = el_insertstr(e, c.common + len) == 0 ? CC_REFRESH : CC_ERROR;
    } else if (c.n > 1) {
        printf("\r\n%s\r\n", buf_cstr(&c.shown));
        fflush(stdout);
        answer = CC_REDISPLAY;
    }
    buf_fini(&c.shown);
    return answer;
}

static void editor_open(void)
{
    editor = el_init("rata", stdin, stdout, stderr);
    if (editor == NULL || !line_history_open(&typed, "history"))
        return;
    el_set(editor, EL_PROMPT, prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, typed.lines);
    el_set(editor, EL_SETTY, "-d", "-isig", NULL);
    el_set(editor, EL_ADDFN, "rata-interrupt", "give up this line", on_interrupt);
    el_set(editor, EL_BIND, "^C", "rata-interrupt", NULL);
    el_set(editor, EL_ADDFN, "rata-complete", "complete the word", on_tab);
    el_set(editor, EL_BIND, "^I", "rata-complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(editor, NULL);
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

static enum edit_result read_line(const char *prompt, const char *words, struct buf *out)
{
    const char *line;
    int n = 0;

    if (editor == NULL)
        editor_open();
    if (editor == NULL)
        return EDIT_END;
    prompt_now = prompt;
    words_now = words;
    interrupted = false;
    /* Before the prompt stands: libedit itself takes the terminal over behind it, and a Ctrl-D or Tab
     * in between would be the terminal's and lost. */
    el_set(editor, EL_PREP_TERM, 1);
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
        line_history_add(&typed, line);
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
