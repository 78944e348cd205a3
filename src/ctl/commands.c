/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.c - the command table, and the texts that are made of it
 */
#include "ctl/commands.h"

#include "base/errors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

const struct command commands[CMD_COUNT] = {
#define COMMAND(name, role, min, max, where, args, summary) \
    { #name, ROLE_##role, min, max, PLACE_##where, args, summary },
#define FLAG(command, name, letter, arg, help)
#include "ctl/commands.tab"
#undef COMMAND
#undef FLAG
};

const struct command_flag command_flags[] = {
#define COMMAND(name, role, min, max, where, args, summary)
#define FLAG(command, name, letter, arg, help) { #command, name, letter, arg, help },
#include "ctl/commands.tab"
#undef COMMAND
#undef FLAG
};
const size_t command_flags_len = ARRAY_LEN(command_flags);

static const struct explanation explanations[] = {
#define EXPLAIN(code, title, text, hint) { code, title, text, hint },
#include "ctl/explain.tab"
#undef EXPLAIN
/* Those of base/errors.tab that have no row above: found last. */
#define ERR(name, number, code, title) \
    { code, title, "A part of the node gave up for this reason; the message before it says which.", \
      "rnodectl logs" },
#include "base/errors.tab"
#undef ERR
};

const char *role_name(enum role role)
{
    static const char *const names[ROLE_COUNT] = { "none", "view", "operate", "admin" };

    return names[role];
}

enum role role_of(const char *name)
{
    for (enum role r = ROLE_VIEW; r < ROLE_COUNT; r++) {
        if (strcmp(role_name(r), name) == 0)
            return r;
    }
    return ROLE_NONE;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < CMD_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

const struct command_flag *flag_find(const char *command, const char *name, char letter)
{
    for (size_t i = 0; i < command_flags_len; i++) {
        const struct command_flag *f = &command_flags[i];

        if (f->command[0] != 0 && (command == NULL || strcmp(f->command, command) != 0))
            continue;
        if (name != NULL ? strcmp(f->name, name) == 0 : letter != 0 && f->letter == letter)
            return f;
    }
    return NULL;
}

bool deployment_id_parse(const char *text, uint32_t *ret)
{
    const char *digits = text + (text[0] == 'd');
    char *end;

    *ret = (uint32_t)strtoul(digits, &end, 10);
    return isdigit((unsigned char)digits[0]) && *end == 0;
}

const struct explanation *explanation_find(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(explanations); i++) {
        if (strcasecmp(explanations[i].code, code) == 0)
            return &explanations[i];
    }
    return NULL;
}

/* --- help --------------------------------------------------------------------------- */

/* Options of `command` ("" for those of every command), as `used` takes them: a letter that it has for
 * an option of its own is not the other's. */
static void help_flags(struct buf *out, const char *command, const char *used)
{
    for (size_t i = 0; i < command_flags_len; i++) {
        const struct command_flag *f = &command_flags[i];
        bool has_letter = f->letter != 0 && flag_find(used, NULL, f->letter) == f;
        const char *inside = f->arg + (f->arg[0] == '[');
        char left[48];

        if (strcmp(f->command, command) != 0)
            continue;
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", has_letter ? '-' : ' ',
                 has_letter ? f->letter : ' ', has_letter ? ", " : "  ", f->name,
                 f->arg[0] == '[' ? "[=" : f->arg[0] != 0 ? " " : "", inside);
        buf_printf(out, "  %-26s %s\n", left, f->help);
    }
}

void help_overview(struct buf *out)
{
    buf_str(out, "usage: rnodectl [OPTION...] COMMAND [ARG...]\n\ncommands:\n");
    for (size_t i = 0; i < CMD_COUNT; i++)
        buf_printf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    buf_str(out, "\noptions of every command:\n");
    help_flags(out, "", NULL);
    buf_str(out, "\nMore on a command: rnodectl help COMMAND; on an error: rnodectl explain CODE.\n");
}

void help_command(struct buf *out, const struct command *c)
{
    buf_printf(out, "usage: rnodectl %s%s%s\n\n  %s\n", c->name, c->args[0] != 0 ? " " : "", c->args,
               c->summary);
    if (c->role != ROLE_NONE)
        buf_printf(out, "  needs the role %s\n", role_name(c->role));
    buf_str(out, "\noptions:\n");
    help_flags(out, c->name, c->name);
    help_flags(out, "", c->name);
}

/* --- completion --------------------------------------------------------------------- */

static void add_names(struct buf *out)
{
    for (size_t i = 0; i < CMD_COUNT; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", commands[i].name);
}

static void add_flags(struct buf *out, const char *command)
{
    for (size_t i = 0; i < command_flags_len; i++) {
        if (command_flags[i].command[0] == 0 || strcmp(command_flags[i].command, command) == 0)
            buf_printf(out, " --%s", command_flags[i].name);
    }
}

/* Live words come from the node itself, in 200 ms or not at all. */
#define LIVE_ASK "rnodectl --timeout 200ms -q -l 200 -o tsv"

/* "-n|--node|...": options of every command that take the word behind them. */
static void add_value_flags(struct buf *out)
{
    const char *bar = "";

    for (size_t i = 0; i < command_flags_len; i++) {
        const struct command_flag *f = &command_flags[i];

        if (f->command[0] != 0 || f->arg[0] == 0 || f->arg[0] == '[')
            continue;
        if (f->letter != 0)
            buf_printf(out, "%s-%c|--%s", bar, f->letter, f->name);
        else
            buf_printf(out, "%s--%s", bar, f->name);
        bar = "|";
    }
}

/* What may stand behind an option. */
static const char bash_values[] =
    "    case $prev in\n"
    "    -n|--node|--on|--to) words=\"all $(" LIVE_ASK " nodes 2>/dev/null | tail -n +2 | cut -f1)\" ;;\n"
    "    -c|--context) words=$(rnodectl context list 2>/dev/null | cut -c3- | cut -d' ' -f1) ;;\n"
    "    -o|--output) words=\"table wide json jsonl tsv\" ;;\n"
    "    --color) words=\"auto always never\" ;;\n"
    "    --progress) words=\"auto bar plain json none\" ;;\n"
    "    --syntax) words=\"erlang elixir rata batuta\" ;;\n"
    "    --terms) words=\"text json\" ;;\n"
    "    --level) words=\"debug info notice warning error\" ;;\n"
    "    --lang) words=\"rata erlang\" ;;\n"
    "    --file) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
    "    esac\n"
    "    if [ -n \"$words\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n        return\n    fi\n";

/* What an argument of a command may be. */
static const char bash_arguments[] =
    "        case $cmd:$cur in\n"
    "        *:-*) ;;\n"
    "        inspect:*|kill:*|tree:*|send:*|gc:*|restart:*) words=$(" LIVE_ASK " names 2>/dev/null |"
    " tail -n +2 | cut -f1) ;;\n"
    "        modules:*|purge:*|call:*|spawn:*|trace:*|profile:*) words=$(" LIVE_ASK " modules"
    " 2>/dev/null | tail -n +2 | cut -f1) ;;\n"
    "        rollback:*|diff:*) words=$(" LIVE_ASK " history 2>/dev/null | tail -n +2 | cut -f1) ;;\n"
    "        tables:*) words=$(" LIVE_ASK " tables 2>/dev/null | tail -n +2 | cut -f1) ;;\n"
    "        flocks:*) words=$(" LIVE_ASK " flocks 2>/dev/null | tail -n +2 | cut -f1) ;;\n"
    "        ping:*|forget:*) words=$(" LIVE_ASK " nodes 2>/dev/null | tail -n +2 | cut -f1) ;;\n"
    "        completion:*) words=\"bash zsh fish\" ;;\n"
    "        deploy:*|backup:*|restore:*) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n";

static void completion_bash(struct buf *out)
{
    buf_str(out, "# bash completion for rnodectl; made from its command table\n"
                 "_rnodectl() {\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= words= i\n"
                 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "        case ${COMP_WORDS[i]} in\n        ");
    add_value_flags(out);
    buf_str(out, ") ((i++)) ;;\n        -*) ;;\n        *) cmd=${COMP_WORDS[i]}; break ;;\n"
                 "        esac\n    done\n");
    buf_str(out, bash_values);
    buf_str(out, "    if [ -z \"$cmd\" ]; then\n        words=\"");
    add_names(out);
    add_flags(out, "");
    buf_str(out, "\"\n    else\n        case $cmd in\n");
    for (size_t i = 0; i < CMD_COUNT; i++) {
        buf_printf(out, "        %s) words=\"", commands[i].name);
        add_flags(out, commands[i].name);
        buf_str(out, "\" ;;\n");
    }
    buf_str(out, "        esac\n");
    buf_str(out, bash_arguments);
    buf_str(out, "        help:*) words=\"");
    add_names(out);
    buf_str(out, "\" ;;\n        esac\n    fi\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "}\ncomplete -F _rnodectl rnodectl\n");
}

static void add_zsh_text(struct buf *out, const char *s)
{
    for (; *s != 0; s++) {
        if (*s == '\'')
            buf_str(out, "'\\''");
        else if (strchr("[]:", *s) != NULL)
            buf_printf(out, "\\%c", *s);
        else
            buf_u8(out, (uint8_t)*s);
    }
}

static void completion_zsh(struct buf *out)
{
    buf_str(out, "#compdef rnodectl\n# made from the command table of rnodectl\n"
                 "local -a cmds flags\ncmds=(\n");
    for (size_t i = 0; i < CMD_COUNT; i++) {
        buf_printf(out, "  '%s:", commands[i].name);
        add_zsh_text(out, commands[i].summary);
        buf_str(out, "'\n");
    }
    buf_str(out, ")\nif (( CURRENT == 2 )); then\n  _describe command cmds\n  return\nfi\n"
                 "case $words[2] in\n");
    for (size_t i = 0; i < CMD_COUNT; i++) {
        buf_printf(out, "%s) flags=(", commands[i].name);
        for (size_t k = 0; k < command_flags_len; k++) {
            const struct command_flag *f = &command_flags[k];

            if (f->command[0] != 0 && strcmp(f->command, commands[i].name) != 0)
                continue;
            buf_printf(out, " '--%s[", f->name);
            add_zsh_text(out, f->help);
            buf_printf(out, "]%s%s'", f->arg[0] != 0 ? ":" : "", f->arg[0] != 0 ? "value:" : "");
        }
        buf_str(out, ") ;;\n");
    }
    buf_str(out, "esac\n_arguments $flags '*:argument:_files'\n");
}

static void completion_fish(struct buf *out)
{
    buf_str(out, "# fish completion for rnodectl; made from its command table\n");
    for (size_t i = 0; i < CMD_COUNT; i++)
        buf_printf(out, "complete -c rnodectl -n __fish_use_subcommand -f -a %s -d \"%s\"\n",
                   commands[i].name, commands[i].summary);
    for (size_t k = 0; k < command_flags_len; k++) {
        const struct command_flag *f = &command_flags[k];

        buf_str(out, "complete -c rnodectl");
        if (f->command[0] != 0)
            buf_printf(out, " -n '__fish_seen_subcommand_from %s'", f->command);
        buf_printf(out, " -l %s", f->name);
        if (f->letter != 0)
            buf_printf(out, " -s %c", f->letter);
        buf_printf(out, "%s -d \"%s\"\n", f->arg[0] != 0 ? " -r" : "", f->help);
    }
}

int completion_script(struct buf *out, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        completion_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(out);
    else if (strcmp(shell, "fish") == 0)
        completion_fish(out);
    else
        return -ERR_NOT_FOUND;
    return 0;
}
