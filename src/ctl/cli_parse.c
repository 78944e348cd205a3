/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_parse.c - the command line, and errors of our own
 *
 * Options may stand anywhere; everything after `--` is an argument, and so is a negative number.
 */
#include "ctl/cli_priv.h"

#include "base/alloc.h"
#include "base/suggest.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "term/syntax.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

int cli_fail(struct cli *cli, int exit, const char *code, const char *hint, const char *fmt, ...)
{
    const struct explanation *ex = explanation_find(code);
    done_t d = RNODE__CONTROL__DONE__INIT;
    char *text, usage[64];
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        return EXIT_BUG;
    va_end(ap);
    if (hint == NULL && exit == EXIT_USAGE && cli->cmd != NULL) {
        snprintf(usage, sizeof usage, "rnodectl help %s", cli->cmd->name);
        hint = usage;
    }
    d.exit = (uint32_t)exit;
    d.code = (char *)(uintptr_t)code;
    d.message = text;
    d.hint = (char *)(uintptr_t)(hint != NULL ? hint : ex != NULL ? ex->hint : "");
    render_error(&cli->render, &d);
    mem_free(text);
    return exit;
}

/* Value of an option of the command ("" for a switch), or NULL. */
const char *cli_option(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->noptions; i++)
        if (strcmp(cli->options[i].key, name) == 0)
            return cli->options[i].value;
    return NULL;
}

/* --- parsing ------------------------------------------------------------------------ */

static int unknown_option(struct cli *cli, const char *word)
{
    const char *known[128], *near;
    size_t n = 0;

    for (size_t i = 0; i < command_flags_len && n < ARRAY_LEN(known); i++) {
        const struct command_flag *f = &command_flags[i];

        if (f->command[0] == 0 || (cli->cmd != NULL && strcmp(f->command, cli->cmd->name) == 0))
            known[n++] = f->name;
    }
    near = suggest_nearest(word + strspn(word, "-"), known, n);
    if (near != NULL) {
        char hint[64];

        snprintf(hint, sizeof hint, "--%s", near);
        return cli_fail(cli, EXIT_USAGE, "RN0101", hint, "unknown option `%s`", word);
    }
    return cli_fail(cli, EXIT_USAGE, "RN0101", NULL, "unknown option `%s`", word);
}

static int bad_value(struct cli *cli, const struct command_flag *f, const char *value,
                     const char *expected)
{
    return cli_fail(cli, EXIT_USAGE, "RN0101", expected, "`%s` is no value for --%s", value,
                    f->name);
}

/* Take a global option. 0, or an exit code; -1: it goes to the node. */
static int global_option(struct cli *cli, const struct command_flag *f, const char *value)
{
    enum syntax syntax;
    int64_t n;

    if (strcmp(f->name, "context") == 0) {
        cli->context = value;
    } else if (strcmp(f->name, "node") == 0) {
        cli->node = value;
    } else if (strcmp(f->name, "output") == 0) {
        if (!output_form_parse(value, &cli->render.form))
            return bad_value(cli, f, value, "-o table, wide, json, jsonl or tsv");
    } else if (strcmp(f->name, "json") == 0) {
        cli->render.form = FORM_JSON;
    } else if (strcmp(f->name, "limit") == 0) {
        if (!count_parse(value, &n) || n > UINT32_MAX)
            return bad_value(cli, f, value, "-l 50, or -l 0 for all");
        cli->limit = (uint32_t)n;
    } else if (strcmp(f->name, "timeout") == 0) {
        if (!duration_parse(value, &cli->timeout_ms))
            return bad_value(cli, f, value, "--timeout 10s");
        cli->timeout_given = true;
    } else if (strcmp(f->name, "quiet") == 0) {
        cli->render.quiet = true;
    } else if (strcmp(f->name, "verbose") == 0) {
        cli->verbose = true;
    } else if (strcmp(f->name, "yes") == 0) {
        cli->yes = true;
    } else if (strcmp(f->name, "dry-run") == 0) {
        cli->dry_run = true;
    } else if (strcmp(f->name, "color") == 0) {
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 &&
            strcmp(value, "never") != 0)
            return bad_value(cli, f, value, "--color auto, always or never");
        cli->color = value;
    } else if (strcmp(f->name, "no-pager") == 0) {
        cli->no_pager = true;
    } else if (strcmp(f->name, "progress") == 0) {
        if (!progress_form_parse(value, &cli->progress.form))
            return bad_value(cli, f, value, "--progress auto, bar, plain, json or none");
    } else if (strcmp(f->name, "watch") == 0) {
        if (value == NULL)
            value = "1s";
        if (!duration_parse(value, &cli->watch_ms) || cli->watch_ms < 100)
            return bad_value(cli, f, value, "--watch=2s");
    } else if (strcmp(f->name, "help") == 0) {
        cli->help = true;
    } else if (strcmp(f->name, "syntax") == 0) {
        return syntax_parse(value, &syntax)
                   ? -1 : bad_value(cli, f, value, "--syntax erlang, elixir, rata or batuta");
    } else if (strcmp(f->name, "terms") == 0) {
        return strcmp(value, "json") == 0 || strcmp(value, "text") == 0
                   ? -1 : bad_value(cli, f, value, "--terms text or json");
    } else if (strcmp(f->name, "sort") == 0) {
        return -1; /* the node sorts */
    }
    return 0;
}

static int take_option(struct cli *cli, const struct command_flag *f, const char *value)
{
    int rc = f->command[0] == 0 ? global_option(cli, f, value) : -1;
    option_t *o;

    if (rc >= 0)
        return rc;
    if (cli->noptions == OPTIONS_MAX)
        return cli_fail(cli, EXIT_USAGE, "RN0101", NULL, "too many options");
    o = &cli->options[cli->noptions];
    rnode__control__option__init(o);
    o->key = (char *)(uintptr_t)f->name;
    o->value = (char *)(uintptr_t)(value != NULL ? value : "");
    cli->option_ptrs[cli->noptions++] = o;
    return 0;
}

/* "[TIME]" may be left out, and then only =TIME gives it. */
static bool takes_value(const struct command_flag *f)
{
    return f->arg[0] != 0 && f->arg[0] != '[';
}

void cli_set(struct cli *cli, const char *name, const char *value)
{
    (void)!take_option(cli, flag_find(cli->cmd->name, name, 0), value);
}

/* Long options: --name, --name=value, --name value. */
static int long_option(struct cli *cli, char **argv, int *at)
{
    const char *word = argv[*at], *eq = strchr(word, '='), *value = eq != NULL ? eq + 1 : NULL;
    char *name = mem_printf("%.*s", (int)(eq != NULL ? eq - word - 2 : (long)strlen(word) - 2),
                            word + 2);
    const struct command_flag *f = flag_find(cli->cmd != NULL ? cli->cmd->name : NULL, name, 0);
    int rc = 0;

    if (f == NULL)
        rc = unknown_option(cli, word);
    else if (f->arg[0] == 0 && value != NULL)
        rc = cli_fail(cli, EXIT_USAGE, "RN0101", NULL, "--%s takes no value", name);
    else if (takes_value(f) && value == NULL && (value = argv[++*at]) == NULL)
        rc = cli_fail(cli, EXIT_USAGE, "RN0102", NULL, "--%s needs %s", name, f->arg);
    else
        rc = take_option(cli, f, value);
    mem_free(name);
    return rc;
}

/* Short options: -v, -qv, -l5, -l 5. */
static int short_options(struct cli *cli, char **argv, int *at)
{
    const char *word = argv[*at];

    for (const char *s = word + 1; *s != 0; s++) {
        const char *name = cli->cmd != NULL ? cli->cmd->name : NULL;
        const struct command_flag *f = flag_find(name, NULL, *s);
        const char *value = NULL;
        int rc;

        if (f == NULL)
            return unknown_option(cli, word);
        if (takes_value(f)) {
            value = s[1] != 0 ? s + 1 : argv[++*at];
            if (value == NULL)
                return cli_fail(cli, EXIT_USAGE, "RN0102", NULL, "-%c needs %s", *s, f->arg);
        }
        rc = take_option(cli, f, value);
        if (rc != 0 || value != NULL)
            return rc;
    }
    return 0;
}

int cli_find_command(struct cli *cli, const char *word)
{
    const char *known[CMD_COUNT], *near;
    char hint[64];

    cli->cmd = command_find(word);
    if (cli->cmd != NULL)
        return 0;
    for (size_t i = 0; i < CMD_COUNT; i++)
        known[i] = commands[i].name;
    near = suggest_nearest(word, known, CMD_COUNT);
    snprintf(hint, sizeof hint, "rnodectl %s", near != NULL ? near : "help");
    return cli_fail(cli, EXIT_USAGE, "RN0101", hint, "unknown command `%s`", word);
}

/* In which form the errors of the command line itself are to be told. */
static void find_form(struct cli *cli, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = strncmp(argv[i], "--output=", 9) == 0 ? argv[i] + 9
                            : strncmp(argv[i], "-o", 2) == 0 && argv[i][2] != 0 ? argv[i] + 2
                            : strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0
                                ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--json") == 0)
            cli->render.form = FORM_JSON;
        else if (value != NULL)
            (void)!output_form_parse(value, &cli->render.form);
    }
}

/* The command is found first, because its options may come before it on the line. */
int cli_parse(struct cli *cli, int argc, char **argv)
{
    bool only_args = false;
    int rc;

    find_form(cli, argc, argv);
    for (int i = 1; i < argc && cli->cmd == NULL; i++) {
        const struct command_flag *f;

        if (argv[i][0] != '-') {
            rc = cli_find_command(cli, argv[i]);
            if (rc != 0)
                return rc;
            argv[i] = (char *)(uintptr_t)""; /* not an argument */
            break;
        }
        f = argv[i][1] == '-' ? flag_find(NULL, argv[i] + 2, 0) : flag_find(NULL, NULL, argv[i][1]);
        if (f != NULL && takes_value(f) && (argv[i][1] == '-' || argv[i][2] == 0))
            i++; /* its value is not the command */
    }
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (!only_args && strcmp(word, "--") == 0) {
            only_args = true;
            continue;
        }
        if (only_args || word[0] != '-' || word[1] == 0 || isdigit((unsigned char)word[1])) {
            if (word[0] != 0 || cli->cmd == NULL || only_args)
                cli->args[cli->nargs++] = argv[i];
            continue;
        }
        rc = word[1] == '-' ? long_option(cli, argv, &i) : short_options(cli, argv, &i);
        if (rc != 0)
            return rc;
    }
    return 0;
}
