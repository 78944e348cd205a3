/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.c - rnodectl shell: commands and calls, a line each
 *
 * A line that begins with the name of a command is that command, as if rnodectl stood in front of
 * it; any other is a call, as for eval. Each is asked over a connection of its own, so a node that
 * restarts in between is no trouble. On a terminal there are history and completion (libedit);
 * elsewhere lines are read as they are.
 */
#include "ctl/shell.h"

#include "base/alloc.h"
#include "ctl/cli.h"
#include "ctl/exits.h"
#include "ctl/line_history.h"

#include <histedit.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 64
#define COMPLETION_MS 200

struct shell {
    struct cli *cli;
    char *prompt;
    EditLine *editor;
    struct line_history history;
};

/* --- running a line ---------------------------------------------------------------------------- */

/* Split line, in place, at spaces; '...' and "..." keep them. How many words, -1: too many or an
 * open quote. */
static int split_words(char *line, char **words, int max)
{
    int n = 0;
    char *to = line;

    for (char *s = line; *s != 0;) {
        s += strspn(s, " \t\n");
        if (*s == 0)
            break;
        if (n == max)
            return -1;
        words[n++] = to;
        for (char quote = 0; *s != 0 && (quote != 0 || strchr(" \t\n", *s) == NULL); s++) {
            if (quote == 0 && (*s == '\'' || *s == '"'))
                quote = *s;
            else if (*s == quote)
                quote = 0;
            else
                *to++ = *s;
            if (s[1] == 0 && quote != 0)
                return -1;
        }
        if (*s != 0)
            s++;
        *to++ = 0;
    }
    return n;
}

/* As if `rnodectl -c CONTEXT -n NODE words...` had been typed. */
static int run_words(const struct shell *sh, char **words, int n)
{
    char *argv[WORDS_MAX + 6];
    int argc = 0;

    argv[argc++] = (char *)(uintptr_t)"rnodectl";
    if (sh->cli->context != NULL) {
        argv[argc++] = (char *)(uintptr_t)"-c";
        argv[argc++] = (char *)(uintptr_t)sh->cli->context;
    }
    if (sh->cli->node != NULL) {
        argv[argc++] = (char *)(uintptr_t)"-n";
        argv[argc++] = (char *)(uintptr_t)sh->cli->node;
    }
    for (int i = 0; i < n; i++)
        argv[argc++] = words[i];
    argv[argc] = NULL;
    return cli_main(argc, argv);
}

static int run_line(const struct shell *sh, const char *line)
{
    char *copy = mem_strdup(line), *words[WORDS_MAX];
    int n = split_words(copy, words, WORDS_MAX), rc;

    if (n < 0) {
        rc = cli_fail(sh->cli, EXIT_USAGE, "RN0102", NULL,
                      "a quote is open, or there are more than %d words", WORDS_MAX);
    } else if (n == 0) {
        rc = EXIT_OK;
    } else if (command_find(words[0]) != NULL) {
        rc = command_find(words[0]) == &commands[CMD_shell] ? EXIT_OK : run_words(sh, words, n);
    } else {
        char *call[] = { (char *)(uintptr_t)"eval", (char *)(uintptr_t)"--", (char *)(uintptr_t)line };

        rc = run_words(sh, call, 3);
    }
    mem_free(copy);
    return rc;
}

/* --- completion -------------------------------------------------------------------------------- */

struct candidates { char **at; size_t n; };

static void candidate_add(struct candidates *c, const char *prefix, const char *word, size_t len)
{
    if (len < strlen(prefix) || strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    c->at = mem_realloc(c->at, (c->n + 1) * sizeof c->at[0]);
    c->at[c->n++] = mem_printf("%.*s", (int)len, word);
}

/* The first column of what the node answers to `command`; silent when it does not. */
static void ask_candidates(struct shell *sh, enum command_id command, const char *prefix,
                           struct candidates *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len), *nowhere = fopen("/dev/null", "we");
    struct cli cli = {
        .cmd = &commands[command], .context = sh->cli->context, .node = sh->cli->node,
        .timeout_ms = COMPLETION_MS, .timeout_given = true,
        .render = { .form = FORM_TSV, .quiet = true, .out = out, .err = nowhere,
                    .command = commands[command].name },
    };
    struct client client = { .fd = -1 };
    struct cli_files none = { 0 };
    uint32_t id;
    bool good = out != NULL && nowhere != NULL && cli_connect(&cli, &client) == 0 &&
                cli_send(&cli, &client, &none, &id) == 0 && cli_answer(&cli, &client, id) == 0;

    render_fini(&cli.render);
    client_close(&client);
    if (nowhere != NULL)
        fclose(nowhere);
    if (out != NULL)
        fclose(out);
    for (char *s = good ? strchr(text, '\n') : NULL; s != NULL && s[1] != 0; s = strchr(s + 1, '\n'))
        candidate_add(c, prefix, s + 1, strcspn(s + 1, "\t\n"));
    free(text);
}

static void gather(struct shell *sh, const char *prefix, bool first_word, struct candidates *c)
{
    for (size_t i = 0; first_word && i < CMD_COUNT; i++)
        candidate_add(c, prefix, commands[i].name, strlen(commands[i].name));
    if (!first_word)
        ask_candidates(sh, CMD_names, prefix, c);
    ask_candidates(sh, CMD_modules, prefix, c);
}

/* How many bytes behind the prefix all candidates have in common. */
static size_t common_length(const struct candidates *c)
{
    size_t n = strlen(c->at[0]);

    for (size_t i = 1; i < c->n; i++) {
        size_t k = 0;

        while (k < n && c->at[i][k] == c->at[0][k])
            k++;
        n = k;
    }
    return n;
}

static unsigned char on_tab(EditLine *e, int key)
{
    const LineInfo *li = el_line(e);
    const char *word = li->cursor;
    struct candidates c = { 0 };
    struct shell *sh;
    char *prefix;
    unsigned char result = CC_ERROR;

    (void)key;
    el_get(e, EL_CLIENTDATA, &sh);
    while (word > li->buffer && strchr(" \t'\"", word[-1]) == NULL)
        word--;
    prefix = mem_printf("%.*s", (int)(li->cursor - word), word);
    gather(sh, prefix, word == li->buffer, &c);
    if (c.n > 0) {
        char *more = mem_printf("%.*s%s", (int)(common_length(&c) - strlen(prefix)),
                                c.at[0] + strlen(prefix), c.n == 1 ? " " : "");

        if (*more != 0 && el_insertstr(e, more) == 0) {
            result = CC_REFRESH;
        } else {
            putchar('\n');
            for (size_t i = 0; i < c.n && i < 100; i++)
                printf("%s  ", c.at[i]);
            putchar('\n');
            result = CC_REDISPLAY;
        }
        mem_free(more);
    }
    for (size_t i = 0; i < c.n; i++)
        mem_free(c.at[i]);
    mem_free(c.at);
    mem_free(prefix);
    return result;
}

/* --- lines ------------------------------------------------------------------------------------- */

static char *prompt_of(EditLine *e)
{
    struct shell *sh;

    el_get(e, EL_CLIENTDATA, &sh);
    return sh->prompt;
}

static bool open_editor(struct shell *sh)
{
    sh->editor = el_init("rnodectl", stdin, stdout, stderr);
    if (sh->editor == NULL || !line_history_open(&sh->history, "ctl_history"))
        return false;
    el_set(sh->editor, EL_CLIENTDATA, sh);
    el_set(sh->editor, EL_PROMPT, prompt_of);
    el_set(sh->editor, EL_EDITOR, "emacs");
    el_set(sh->editor, EL_SIGNAL, 1);
    el_set(sh->editor, EL_HIST, history, sh->history.lines);
    el_set(sh->editor, EL_ADDFN, "rnode-complete", "complete a word", on_tab);
    el_set(sh->editor, EL_BIND, "^I", "rnode-complete", NULL);
    el_set(sh->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(sh->editor, NULL);
    return true;
}

static int edit_lines(struct shell *sh)
{
    const char *line;
    int n, rc = EXIT_OK;

    /* EL_PREP_TERM before the prompt stands: libedit itself takes the terminal over behind it, and a
     * Ctrl-D or Tab in between would be the terminal's and lost. */
    while (el_set(sh->editor, EL_PREP_TERM, 1) == 0 &&
           (line = el_gets(sh->editor, &n)) != NULL && n > 0) {
        if (n > 1)
            line_history_add(&sh->history, line);
        rc = run_line(sh, line);
    }
    putchar('\n');
    return rc;
}

static int read_lines(struct shell *sh)
{
    char *line = NULL;
    size_t cap = 0;
    int rc = EXIT_OK;

    while (getline(&line, &cap, stdin) >= 0)
        rc = run_line(sh, line);
    free(line);
    return rc;
}

int cli_shell(struct cli *cli)
{
    struct shell sh = { .cli = cli };
    struct client c = { .fd = -1 };
    int rc = cli_connect(cli, &c);
    frame_t *f;

    if (rc != 0)
        return rc;
    while (c.hello == NULL && client_next(&c, 0, 100, &f) == 0)
        frame_free(f);          /* nothing was asked: only Hello comes */
    sh.prompt = mem_printf("erlang@%s> ", cli->node != NULL ? cli->node
                                          : c.hello != NULL ? c.hello->hello->node : "node");
    client_close(&c);
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && open_editor(&sh))
        rc = edit_lines(&sh);
    else
        rc = read_lines(&sh);
    if (sh.editor != NULL)
        el_end(sh.editor);
    line_history_close(&sh.history);
    mem_free(sh.prompt);
    return rc;
}
