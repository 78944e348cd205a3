/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the configuration: defaults, rnoded.conf, drop-ins, --set
 *
 * A struct options is a value: made by one thread, then constant. A reload makes a second one and
 * compares. The keys are the rows of options.tab.
 */
#ifndef NODE_OPTIONS_H
#define NODE_OPTIONS_H

#include "base/bytes.h"

enum option_id {
#define OPTION(section, key, type, def, choices, reload, help) OPT_##section##_##key,
#include "node/options.tab"
#undef OPTION
    OPT_COUNT,
};

enum option_type {
    OPTION_TEXT, OPTION_LIST, OPTION_COUNT, OPTION_DURATION, OPTION_SIZE, OPTION_BOOL,
    OPTION_CHOICE,
};

struct option_row {
    const char *section, *key;
    enum option_type type;
    const char *def, *choices;
    bool live;
    const char *help;
};

extern const struct option_row option_rows[OPT_COUNT];

struct option_value {
    char   *text;           /* as written; of a LIST: the items separated by spaces */
    char  **items;          /* of a LIST, NULL-terminated; else NULL */
    int64_t number;         /* COUNT; DURATION in ms; SIZE in bytes; BOOL 0 or 1 */
    char   *origin;         /* "default", "rnoded.conf:14", "--set" */
};

/* flock "NAME" { match = {"zone=mad-1"} discover = {"gossip"} }: nodes whose labels match all. */
struct option_flock {
    char  *name;
    char **match, **discover;   /* NULL-terminated */
    char  *origin;
    struct option_flock *next;
};

struct options {
    struct option_value value[OPT_COUNT];
    struct option_flock *flocks;    /* in the order of the files; the last of a name wins */
};

void options_init(struct options *o);       /* every value at its default */
void options_fini(struct options *o);

/* Take over what text says. file names it in errors and origins (by its last part, with the folder
 * of a drop-in). Appends each complaint to errors and gives -ERR_FORMAT if there was one. */
int options_parse(struct options *o, const char *file, const char *text, struct buf *errors);
/* The same for a file: -ERR_NOT_FOUND when it cannot be opened, which is not a complaint. */
int options_load(struct options *o, const char *path, struct buf *errors);
/* path, then DIR/rnoded.d/ *.conf in the order of their names, DIR being path's folder. must_exist:
 * a missing path is an error. */
int options_load_all(struct options *o, const char *path, bool must_exist, struct buf *errors);
/* "section.key=value", "flock.NAME.match=..."; lists: items separated by commas. */
int options_set(struct options *o, const char *assignment, struct buf *errors);

/* Effective values, each with its origin, in the syntax of the file. */
void options_print(const struct options *o, struct buf *out);
/* The first key that differs and needs a restart, or OPT_COUNT. */
enum option_id options_first_frozen_change(const struct options *a, const struct options *b);

#define option_text(o, id)   ((const char *)(o)->value[id].text)
#define option_number(o, id) ((o)->value[id].number)
#define option_items(o, id)  ((const char *const *)(o)->value[id].items)

#endif
