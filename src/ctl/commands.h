/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - the command table, for both ends of the control socket
 *
 * Constant data; any thread.
 */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "base/bytes.h"

enum role { ROLE_NONE, ROLE_VIEW, ROLE_OPERATE, ROLE_ADMIN, ROLE_COUNT };

enum command_place { PLACE_LOOP, PLACE_SLOW, PLACE_SELF };

enum command_id {
#define COMMAND(name, role, min, max, where, args, summary) CMD_##name,
#define FLAG(command, name, letter, arg, help)
#include "ctl/commands.tab"
#undef COMMAND
#undef FLAG
    CMD_COUNT,
};

struct command {
    const char *name;
    enum role role;
    uint8_t min, max;
    enum command_place place;
    const char *args, *summary;
};

struct command_flag {
    const char *command;    /* "" for every command */
    const char *name;
    char letter;            /* 0: none */
    const char *arg;        /* "" for a switch */
    const char *help;
};

extern const struct command commands[CMD_COUNT];
extern const struct command_flag command_flags[];
extern const size_t command_flags_len;

const char *role_name(enum role role);
enum role role_of(const char *name);    /* ROLE_NONE: none is called so */
/* The row of that name, or NULL. */
const struct command *command_find(const char *name);
/* The flag called name (long) or letter as command takes it, or NULL. */
const struct command_flag *flag_find(const char *command, const char *name, char letter);

/* "d41" or "41", the id of a deployment. */
bool deployment_id_parse(const char *text, uint32_t *ret);

struct explanation { const char *code, *title, *text, *hint; };
/* The row of an error code, or NULL. */
const struct explanation *explanation_find(const char *code);

void help_overview(struct buf *out);
void help_command(struct buf *out, const struct command *c);
/* A completion script. -ERR_NOT_FOUND: no such shell. */
MUST_CHECK int completion_script(struct buf *out, const char *shell);

#endif
