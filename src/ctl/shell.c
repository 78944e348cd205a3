/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.c - rnodectl shell: commands and calls, a line each
 *
 * A line that begins with the name of a command is that command, as if rnodectl stood in front of
 * it; any other is a call, as for eval. With -l lines are expressions of that language, which may go
 * over several, and commands begin with a colon. Each line is asked over a connection of its own, so a
 * node that restarts in between is no trouble. On a terminal there are history and completion (libedit);
 * elsewhere lines are read as they are.
 *
 * The nth value is _n: with -l the session on the node knows it; otherwise the text of the value takes
 * the place of the name before the call is sent.
 */
#include "ctl/shell_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "ctl/cli.h"
#include "ctl/exits.h"
#include "term/syntax.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 64

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

/* Is the first word of line a command, or quit? In Rata :name may be an atom as well. */
static bool is_command(const char *line)
{
    size_t n = strcspn(line, " \t\n");
    char *word = mem_printf("%.*s", (int)n, line);
    bool found = command_find(word) != NULL || strcmp(word, "quit") == 0;

    mem_free(word);
    return found;
}

/* --- values ------------------------------------------------------------------------------------ */

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '@';
}

/* The value that the name at s means, with the bytes of the name, or NULL. */
static const char *value_at(const struct shell *sh, const char *line, const char *s, size_t *ret_len)
{
    char *end;
    unsigned long n;

    if (s[0] != '_' || !isdigit((unsigned char)s[1]) || (s > line && is_name_byte(s[-1])))
        return NULL;
    n = strtoul(s + 1, &end, 10);
    if (is_name_byte(*end) || n == 0 || n > sh->nvalues)
        return NULL;
    *ret_len = (size_t)(end - s);
    return sh->values[n - 1];
}

/* line with _1, _2, ... replaced by what they are, but not inside quotes; the caller's. */
static char *with_values(const struct shell *sh, const char *line)
{
    struct buf out = { 0 };
    char quote = 0, *text;

    for (const char *s = line; *s != 0;) {
        size_t len = 0;
        const char *value = quote == 0 ? value_at(sh, line, s, &len) : NULL;

        if (value != NULL) {
            buf_str(&out, value);
            s += len;
            continue;
        }
        if (*s == '\\' && quote != 0 && s[1] != 0)
            buf_u8(&out, (uint8_t)*s++);
        else if (*s == '"' || *s == '\'')
            quote = quote == 0 ? *s : quote == *s ? 0 : quote;
        buf_u8(&out, (uint8_t)*s++);
    }
    text = mem_strdup(buf_cstr(&out));
    buf_fini(&out);
    return text;
}

static void keep_value(struct shell *sh, char *value)
{
    if (value == NULL)
        return;
    sh->values = mem_realloc(sh->values, (sh->nvalues + 1) * sizeof sh->values[0]);
    sh->values[sh->nvalues++] = value;
}

/* --- evaluating -------------------------------------------------------------------------------- */

/* eval of text, as the shell asks it. */
static int evaluate(struct shell *sh, const char *text)
{
    struct evaluated e = { .numbered = sh->terminal, .next = sh->nvalues + 1 };
    char *args[] = { (char *)(uintptr_t)text };
    struct cli one = *sh->cli;
    int rc;

    one.cmd = &commands[CMD_eval];
    one.args = args;
    one.nargs = 1;
    one.noptions = 0;
    one.evaluated = &e;
    one.render.command = "eval";
    one.render.progress = &one.progress;
    for (size_t i = 0; i < sh->cli->noptions; i++)
        cli_set(&one, sh->cli->options[i].key, sh->cli->options[i].value);
    if (sh->lang != NULL)
        cli_set(&one, "session", sh->session);
    rc = cli_ask(&one);
    sh->incomplete = e.incomplete;
    if (sh->lang == NULL)
        keep_value(sh, e.value);
    else
        mem_free(e.value);
    return rc;
}

static int run_call(struct shell *sh, const char *line)
{
    char *text = with_values(sh, line);
    int rc;

    text[strcspn(text, "\n")] = 0;
    rc = evaluate(sh, text);
    mem_free(text);
    return rc;
}

/* A line that begins with a command, or quit. */
static int run_command(struct shell *sh, const char *line)
{
    char *copy = mem_strdup(line), *words[WORDS_MAX];
    int n = split_words(copy, words, WORDS_MAX), rc = EXIT_OK;

    if (n < 0)
        rc = cli_fail(sh->cli, EXIT_USAGE, "RN0102", NULL,
                      "a quote is open, or there are more than %d words", WORDS_MAX);
    else if (strcmp(words[0], "quit") == 0)
        sh->over = true;
    else if (command_find(words[0]) != &commands[CMD_shell])
        rc = run_words(sh, words, n);
    mem_free(copy);
    return rc;
}

static int run_plain(struct shell *sh, const char *line)
{
    line += strspn(line, " \t\n");
    if (is_command(line))
        return run_command(sh, line);
    return *line != 0 ? run_call(sh, line) : EXIT_OK;       /* its quotes are the node's matter */
}

/* A line of the language, behind those that it goes on from. */
static int run_expression(struct shell *sh, const char *line)
{
    int rc;

    buf_str(&sh->pending, line);
    if (line[0] != 0 && line[strlen(line) - 1] != '\n')
        buf_u8(&sh->pending, '\n');
    if (strspn(buf_cstr(&sh->pending), " \t\n") == sh->pending.len) {
        sh->pending.len = 0;
        return EXIT_OK;
    }
    rc = evaluate(sh, buf_cstr(&sh->pending));
    if (!sh->incomplete)
        sh->pending.len = 0;
    return sh->incomplete ? EXIT_OK : rc;
}

static int run_line(struct shell *sh, const char *line)
{
    if (sh->lang == NULL)
        return run_plain(sh, line);
    return line[0] == ':' && islower((unsigned char)line[1]) && sh->pending.len == 0 &&
                   is_command(line + 1)
               ? run_command(sh, line + 1) : run_expression(sh, line);
}

/* --- lines ------------------------------------------------------------------------------------- */

static char *prompt_of(EditLine *e)
{
    struct shell *sh;

    el_get(e, EL_CLIENTDATA, &sh);
    return sh->pending.len > 0 ? (char *)(uintptr_t)"  ... " : sh->prompt;
}

static bool open_editor(struct shell *sh)
{
    sh->editor = el_init("rnodectl", stdin, stdout, stderr);
    if (sh->editor == NULL || !line_history_open(&sh->history, "ctl_history"))
        return false;
    el_set(sh->editor, EL_CLIENTDATA, sh);
    el_set(sh->editor, EL_PROMPT_ESC, prompt_of, PROMPT_ESCAPE);
    el_set(sh->editor, EL_EDITOR, "emacs");
    el_set(sh->editor, EL_SIGNAL, 1);
    el_set(sh->editor, EL_HIST, history, sh->history.lines);
    el_set(sh->editor, EL_ADDFN, "rnode-complete", "complete a word", shell_on_tab);
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
    while (!sh->over && el_set(sh->editor, EL_PREP_TERM, 1) == 0 &&
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

    while (!sh->over && getline(&line, &cap, stdin) >= 0)
        rc = run_line(sh, line);
    free(line);
    if (sh->pending.len > 0)
        rc = cli_fail(sh->cli, EXIT_BAD_INPUT, "RN0123", NULL, "the input ends inside an expression");
    return rc;
}

/* LANG@NODE[ENV]>, red where the label env says production. */
static char *make_prompt(const struct shell *sh, const hello_t *h)
{
    const char *node = sh->cli->node != NULL ? sh->cli->node : h != NULL ? h->node : "node";
    const char *env = h != NULL ? h->env : "";
    bool red = strcmp(env, "production") == 0 && sh->cli->render.color;
    struct buf b = { 0 };
    char *prompt;

    if (red)
        buf_printf(&b, "%c\033[31m%c", PROMPT_ESCAPE, PROMPT_ESCAPE);
    buf_printf(&b, "%s@%s", sh->lang != NULL ? sh->lang : "erlang", node);
    if (env[0] != 0)
        buf_printf(&b, "[%s]", env);
    buf_str(&b, ">");
    if (red)
        buf_printf(&b, "%c\033[0m%c", PROMPT_ESCAPE, PROMPT_ESCAPE);
    buf_str(&b, " ");
    prompt = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return prompt;
}

static void shell_fini(struct shell *sh)
{
    if (sh->editor != NULL)
        el_end(sh->editor);
    line_history_close(&sh->history);
    for (size_t i = 0; i < sh->nvalues; i++)
        mem_free(sh->values[i]);
    mem_free(sh->values);
    mem_free(sh->prompt);
    mem_free(sh->session);
    buf_fini(&sh->pending);
}

int cli_shell(struct cli *cli)
{
    struct shell sh = { .cli = cli, .lang = cli_option(cli, "lang") };
    struct client c = { .fd = -1 };
    enum syntax known;
    int rc;

    if (sh.lang != NULL && !syntax_parse(sh.lang, &known))
        return cli_fail(cli, EXIT_USAGE, "RN0101", "-l rata or -l erlang",
                        "no language is called `%s`", sh.lang);
    rc = cli_connect(cli, &c);
    if (rc != 0)
        return rc;
    client_wait_hello(&c, 100);
    sh.prompt = make_prompt(&sh, c.hello != NULL ? c.hello->hello : NULL);
    sh.session = mem_printf("rnodectl-%ld-%" PRId64, (long)getpid(), clock_system_ns());
    client_close(&c);
    sh.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (sh.terminal && open_editor(&sh))
        rc = edit_lines(&sh);
    else
        rc = read_lines(&sh);
    shell_fini(&sh);
    return rc;
}
