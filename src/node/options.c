/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - rnoded.conf through libConfuse
 *
 * libConfuse is told that every key is a string (or a list of them): it finds tokens, sections and
 * lines; types, units and origins are checked here, where an error can show the place.
 */
#include "node/options.h"
#include "base/file.h"
#include "node/options_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/diag.h"
#include "base/errors.h"
#include "base/suggest.h"
#include "base/units.h"

#include <confuse.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct option_row option_rows[OPT_COUNT] = {
#define LIVE true
#define START false
#define OPTION(section, key, type, def, choices, reload, help) \
    { #section, #key, OPTION_##type, def, choices, reload, help },
#include "node/options.tab"
#undef OPTION
#undef LIVE
#undef START
};

#define CONFIG_BYTES_MAX (1u << 20)

/* --- values ------------------------------------------------------------------------- */

static void value_fini(struct option_value *v)
{
    for (size_t i = 0; v->items != NULL && v->items[i] != NULL; i++)
        mem_free(v->items[i]);
    mem_free(v->items);
    mem_free(v->text);
    mem_free(v->origin);
    *v = (struct option_value){ 0 };
}

static bool word_among(const char *word, const char *choices)
{
    size_t n = strlen(word);

    for (const char *s = choices; *s != 0; s += strcspn(s, "|"), s += *s == '|') {
        if (strcspn(s, "|") == n && memcmp(s, word, n) == 0 && n != 0)
            return true;
    }
    return false;
}

/* What is wrong with text as a value of row, or NULL. */
static const char *value_check(const struct option_row *row, const char *text, int64_t *ret)
{
    *ret = 0;
    if (row->type != OPTION_CHOICE && word_among(text, row->choices))
        return NULL;
    switch (row->type) {
    case OPTION_COUNT:
        return count_parse(text, ret) ? NULL : "a whole number is expected here";
    case OPTION_DURATION:
        return duration_parse(text, ret) ? NULL
                                         : "a time with its unit is expected: 50ms 10s 5m 2h 1d";
    case OPTION_SIZE:
        return size_parse(text, ret) ? NULL : "a size with its unit is expected: 64KiB 4MiB 1GiB";
    case OPTION_BOOL:
        *ret = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
        return *ret != 0 || strcmp(text, "false") == 0 || strcmp(text, "no") == 0
                   ? NULL : "true or false is expected here";
    case OPTION_CHOICE:
        return word_among(text, row->choices) ? NULL : "expected one of the words below";
    case OPTION_TEXT:
    case OPTION_LIST:
        break;
    }
    return NULL;
}

/* Takes items (of a list) and text; copies origin. number was checked by the caller. */
static void value_set(struct option_value *v, char *text, char **items, int64_t number,
                      const char *origin)
{
    value_fini(v);
    v->text = text;
    v->items = items;
    v->number = number;
    v->origin = mem_strdup(origin);
}

static char **items_split(const char *text, const char *separators)
{
    size_t n = 0;
    char **items = MEM_NEW_ARRAY(char *, strlen(text) + 2);

    for (const char *s = text; *s != 0;) {
        size_t len = strcspn(s, separators);

        if (len > 0)
            items[n++] = mem_printf("%.*s", (int)len, s);
        s += len;
        s += strspn(s, separators);
    }
    return items;
}

static char *items_join(char *const *items)
{
    struct buf out = { 0 };

    for (size_t i = 0; items[i] != NULL; i++)
        buf_printf(&out, "%s%s", i > 0 ? " " : "", items[i]);
    return buf_cstr(&out);
}

void options_init(struct options *o)
{
    *o = (struct options){ 0 };
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        int64_t number;
        const char *wrong = value_check(row, row->def, &number);

        ASSERT(wrong == NULL);
        value_set(&o->value[i], mem_strdup(row->def),
                  row->type == OPTION_LIST ? items_split(row->def, " ") : NULL, number, "default");
    }
}

void options_fini(struct options *o)
{
    for (int i = 0; i < OPT_COUNT; i++)
        value_fini(&o->value[i]);
    option_flocks_free(o);
}

static int option_find(const char *section, const char *key)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        if (strcmp(option_rows[i].section, section) == 0 && strcmp(option_rows[i].key, key) == 0)
            return i;
    }
    return -1;
}

/* --- one file ----------------------------------------------------------------------- */

/* What the callbacks of libConfuse need; it has no place for an argument, so one at a time. */
struct parse {
    struct options *o;
    const char *file, *short_name, *text;
    struct buf *errors;
    bool failed;
};
static _Thread_local struct parse *parsing;

/* Column (from 1) of word in line `line` of the text, 0 if it is not there. */
static size_t column_of(const char *text, size_t line, const char *word)
{
    size_t len, n = strlen(word);
    const char *at = source_line(text, line, &len);

    for (size_t i = 0; at != NULL && n > 0 && i + n <= len; i++) {
        if (memcmp(at + i, word, n) == 0)
            return i + 1;
    }
    return 0;
}

static void complain(const char *code, int line, const char *word, const char *message,
                     const char *note, const char *help)
{
    struct parse *ps = parsing;
    struct diag d = { .code = code, .file = ps->file, .line = line > 0 ? (size_t)line : 1,
                      .width = strlen(word), .message = message, .note = note, .help = help };

    ps->failed = true;
    d.column = column_of(ps->text, d.line, word);
    /* The scanner may be a line further than the word it complains about. */
    if (d.column == 0 && d.line > 1 && *word != 0) {
        d.column = column_of(ps->text, d.line - 1, word);
        d.line -= d.column != 0;
    }
    diag_print(ps->errors, &d, ps->text, true);
}

static size_t known_sections(const char *known[OPT_COUNT + 1])
{
    size_t n = 0;

    for (int i = 0; i < OPT_COUNT; i++) {
        if (n == 0 || strcmp(known[n - 1], option_rows[i].section) != 0)
            known[n++] = option_rows[i].section;
    }
    known[n++] = "flock";
    return n;
}

static void complain_unknown(int line, const char *section, const char *word)
{
    const char *known[OPT_COUNT + 2], *near;
    size_t n = 0;
    char *message, *note = NULL;

    if (section == NULL) {
        n = known_sections(known);
        message = mem_printf("unknown section or key `%s`", word);
    } else {
        for (int i = 0; i < OPT_COUNT; i++) {
            if (strcmp(option_rows[i].section, section) == 0)
                known[n++] = option_rows[i].key;
        }
        if (strcmp(section, "flock") == 0) {
            known[n++] = "match";
            known[n++] = "discover";
        }
        message = mem_printf("unknown key `%s` in [%s]", word, section);
    }
    near = suggest_nearest(word, known, n);
    if (near != NULL)
        note = mem_printf("did you mean `%s`?", near);
    complain("RN0402", line, word, message, note, NULL);
    mem_free(message);
    mem_free(note);
}

/* libConfuse tells everything through this one callback. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[512], word[128];
    const char *name = cfg_name(cfg);

    vsnprintf(text, sizeof text, fmt, ap);
    if (parsing->failed)    /* our own check has already said it better */
        return;
    if (sscanf(text, "no such option '%127[^']'", word) == 1) {
        complain_unknown(cfg->line, name != NULL && strcmp(name, "root") != 0 ? name : NULL, word);
        return;
    }
    complain("RN0401", cfg->line, "", "this line cannot be read", text,
             "section { key = \"value\" }");
}

static char **items_of(cfg_opt_t *opt)
{
    unsigned n = cfg_opt_size(opt);
    char **items = MEM_NEW_ARRAY(char *, n + 1);

    for (unsigned k = 0; k < n; k++) {
        const char *item = cfg_opt_getnstr(opt, k);

        items[k] = mem_strdup(item != NULL ? item : "");
    }
    return items;
}

/* The same for values of a section flock "NAME". */
static int on_flock_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct parse *ps = parsing;
    char *origin = mem_printf("%s:%d", ps->short_name, cfg->line);
    const char *wrong = option_flock_set(ps->o, cfg_title(cfg), cfg_opt_name(opt), items_of(opt),
                                         origin);

    if (wrong != NULL)
        complain("RN0403", cfg->line, cfg_opt_name(opt), "this is no value for a flock", wrong,
                 "flock \"workers\" { match = {\"zone=mad-1\"} }");
    mem_free(origin);
    return wrong != NULL ? -1 : 0;
}

/* Called after each value: check it and take it over. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct parse *ps = parsing;
    int i = option_find(cfg_name(cfg), cfg_opt_name(opt));
    unsigned n = cfg_opt_size(opt);
    const struct option_row *row;
    const char *text, *wrong;
    int64_t number;
    char *origin;

    ASSERT(i >= 0);
    row = &option_rows[i];
    origin = mem_printf("%s:%d", ps->short_name, cfg->line);
    if (row->type == OPTION_LIST) {
        char **items = items_of(opt);

        value_set(&ps->o->value[i], items_join(items), items, 0, origin);
        mem_free(origin);
        return 0;
    }
    text = n > 0 ? cfg_opt_getnstr(opt, n - 1) : NULL;
    if (text == NULL)
        text = "";
    wrong = value_check(row, text, &number);
    if (wrong != NULL) {
        char *message = mem_printf("`%s` is no value for %s.%s", text, row->section, row->key);

        complain("RN0403", cfg->line, text, message, wrong,
                 row->type == OPTION_CHOICE ? row->choices : NULL);
        mem_free(message);
    } else {
        value_set(&ps->o->value[i], mem_strdup(text), NULL, number, origin);
    }
    mem_free(origin);
    return wrong != NULL ? -1 : 0;
}

/* One cfg_opt_t array per section, all in one block: keys of section s start at keys[first of s]
 * shifted by the number of sections before it, for the CFG_END of each. */
static cfg_t *make_parser(cfg_opt_t *sections, cfg_opt_t *keys)
{
    static const cfg_opt_t end = CFG_END();
    size_t ns = 0, nk = 0;
    cfg_t *cfg;

    for (int i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        bool last = i + 1 == OPT_COUNT || strcmp(option_rows[i + 1].section, row->section) != 0;
        bool first = i == 0 || strcmp(option_rows[i - 1].section, row->section) != 0;

        if (first)
            sections[ns++] = (cfg_opt_t)CFG_SEC((char *)row->section, &keys[nk], CFGF_NONE);
        keys[nk++] = row->type == OPTION_LIST
                         ? (cfg_opt_t)CFG_STR_LIST((char *)row->key, NULL, CFGF_NODEFAULT)
                         : (cfg_opt_t)CFG_STR((char *)row->key, NULL, CFGF_NODEFAULT);
        if (last)
            keys[nk++] = end;
    }
    sections[ns++] = (cfg_opt_t)CFG_SEC("flock", &keys[nk], CFGF_MULTI | CFGF_TITLE);
    keys[nk++] = (cfg_opt_t)CFG_STR_LIST("match", NULL, CFGF_NODEFAULT);
    keys[nk++] = (cfg_opt_t)CFG_STR_LIST("discover", NULL, CFGF_NODEFAULT);
    keys[nk++] = end;
    sections[ns] = end;
    cfg = cfg_init(sections, CFGF_NONE);
    cfg_set_error_function(cfg, on_error);
    for (int i = 0; i < OPT_COUNT; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s|%s", option_rows[i].section, option_rows[i].key);
        cfg_set_validate_func(cfg, path, on_value);
    }
    cfg_set_validate_func(cfg, "flock|match", on_flock_value);
    cfg_set_validate_func(cfg, "flock|discover", on_flock_value);
    return cfg;
}

/* "/etc/rnode/rnoded.d/10-a.conf" is shown as "rnoded.d/10-a.conf", other files by their name. */
static const char *short_name_of(const char *file)
{
    const char *base = strrchr(file, '/');
    static const char dir[] = "rnoded.d";

    if (base == NULL)
        return file;
    if ((size_t)(base - file) > sizeof dir &&
        memcmp(base - (sizeof dir - 1), dir, sizeof dir - 1) == 0)
        return base - (sizeof dir - 1);
    return base + 1;
}

/* Bytes from s to the end of the string or comment that begins there; 1 for anything else. */
static size_t lexeme_length(const char *s, bool *ret_comment)
{
    const char *end = NULL;
    size_t n;

    *ret_comment = false;
    if (*s == '"' || *s == '\'') {
        for (n = 1; s[n] != 0 && s[n] != *s; n++)
            n += s[n] == '\\' && s[n + 1] != 0;
        return n + (s[n] != 0);
    }
    *ret_comment = *s == '#' || (*s == '/' && (s[1] == '/' || s[1] == '*'));
    if (*ret_comment)
        end = *s == '/' && s[1] == '*' ? strstr(s + 2, "*/") : strchr(s, '\n');
    else
        return 1;
    return end == NULL ? strlen(s) : (size_t)(end - s) + (*end == '*' ? 2 : 0);
}

/* libConfuse 3.3 counts the line of a comment more than once, so comments become blanks first. */
static char *without_comments(const char *text)
{
    char *copy = mem_strdup(text);
    bool comment;

    for (char *s = copy; *s != 0;) {
        size_t n = lexeme_length(s, &comment);

        for (size_t i = 0; comment && i < n; i++)
            s[i] = s[i] == '\n' ? '\n' : ' ';
        s += n;
    }
    return copy;
}

/* libConfuse calls nobody for `key = {}`: such a list has changed and is empty. */
static void take_empty_lists(cfg_t *cfg)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        cfg_t *section = cfg_getsec(cfg, row->section);
        cfg_opt_t *opt = section != NULL ? cfg_getopt(section, row->key) : NULL;

        if (row->type == OPTION_LIST && opt != NULL && (opt->flags & CFGF_MODIFIED) != 0 &&
            cfg_opt_size(opt) == 0)
            value_set(&parsing->o->value[i], mem_strdup(""), MEM_NEW_ARRAY(char *, 1), 0,
                      parsing->short_name);
    }
}

/* libConfuse takes the end of the file for that of a section: the line of the brace that is never
 * closed, 0: all are. */
static int find_open_brace(const char *bare)
{
    int line = 1, depth = 0, opened[16] = { 0 };
    bool comment;

    for (const char *s = bare; *s != 0;) {
        size_t n = lexeme_length(s, &comment);

        if (*s == '{' && depth++ < (int)ARRAY_LEN(opened))
            opened[depth - 1] = line;
        else if (*s == '}' && depth > 0)
            depth--;
        for (size_t i = 0; i < n; i++)
            line += s[i] == '\n';
        s += n;
    }
    return depth == 0 || depth > (int)ARRAY_LEN(opened) ? 0 : opened[depth - 1];
}

int options_parse(struct options *o, const char *file, const char *text, struct buf *errors)
{
    char *bare;
    cfg_opt_t sections[OPT_COUNT + 2], keys[OPT_COUNT * 2 + 4];
    struct parse ps = { o, file, short_name_of(file), text, errors, false };
    FILE *in;
    cfg_t *cfg;

    if (*text == 0)
        return 0;
    bare = without_comments(text);
    in = fmemopen(bare, strlen(bare), "r");
    if (in == NULL) {
        mem_free(bare);
        return -ERR_SYSTEM;
    }
    parsing = &ps;
    cfg = make_parser(sections, keys);
    cfg->filename = strdup(file);
    if (cfg_parse_fp(cfg, in) != CFG_SUCCESS && !ps.failed)
        complain("RN0401", cfg->line, "", "this file cannot be read", NULL, NULL);
    if (!ps.failed && find_open_brace(bare) != 0)
        complain("RN0401", find_open_brace(bare), "{", "this section is never closed", NULL, "}");
    if (!ps.failed)
        take_empty_lists(cfg);
    cfg_free(cfg);
    fclose(in);
    mem_free(bare);
    parsing = NULL;
    return ps.failed ? -ERR_FORMAT : 0;
}

/* --- files -------------------------------------------------------------------------- */

static int read_text(const char *path, char **ret)
{
    struct buf b = { 0 };
    int rc = file_read(path, CONFIG_BYTES_MAX, &b);

    if (rc == -ERR_LIMIT || (b.len > 0 && memchr(b.data, 0, b.len) != NULL))
        rc = -ERR_FORMAT;
    if (rc < 0)
        buf_fini(&b);
    else
        *ret = buf_cstr(&b);
    return rc;
}

int options_load(struct options *o, const char *path, struct buf *errors)
{
    char *text;
    int rc = read_text(path, &text);

    if (rc == -ERR_FORMAT)
        buf_printf(errors, "error[RN0401]: %s is not a text of at most 1 MiB\n", path);
    else if (rc == -ERR_SYSTEM)
        buf_printf(errors, "error[RN0404]: %s cannot be read: %s\n", path, strerror(errno));
    if (rc < 0)
        return rc;
    rc = options_parse(o, path, text, errors);
    mem_free(text);
    return rc;
}

static int is_drop_in(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

int options_load_all(struct options *o, const char *path, bool must_exist, struct buf *errors)
{
    const char *slash = strrchr(path, '/');
    struct dirent **found;
    int rc = options_load(o, path, errors), n;
    char *dir;

    if (rc == -ERR_NOT_FOUND && must_exist)
        buf_printf(errors, "error[RN0404]: %s cannot be opened\n", path);
    if (rc < 0 && (rc != -ERR_NOT_FOUND || must_exist))
        return rc;
    dir = mem_printf("%.*srnoded.d", slash != NULL ? (int)(slash - path) + 1 : 0, path);
    n = scandir(dir, &found, is_drop_in, alphasort);
    rc = 0;
    for (int i = 0; i < n; i++) {
        char *file = mem_printf("%s/%s", dir, found[i]->d_name);
        int one = options_load(o, file, errors);

        if (one < 0 && rc == 0)
            rc = one;
        mem_free(file);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    mem_free(dir);
    return rc;
}

static int set_failed(struct buf *errors, const char *code, const char *assignment,
                      const char *text)
{
    buf_printf(errors, "error[%s]: --set %s: %s\n", code, assignment, text);
    return -ERR_FORMAT;
}

static int flock_set(struct options *o, const char *assignment, struct buf *errors)
{
    char name[65], key[64];
    const char *wrong;
    int used = 0;

    if (sscanf(assignment, "flock.%64[a-zA-Z0-9_-].%63[a-z]=%n", name, key, &used) != 2
        || used == 0)
        return set_failed(errors, "RN0401", assignment, "expected flock.NAME.match=LABEL,...");
    wrong = option_flock_set(o, name, key, items_split(assignment + used, ","), "--set");
    return wrong != NULL ? set_failed(errors, "RN0403", assignment, wrong) : 0;
}

int options_set(struct options *o, const char *assignment, struct buf *errors)
{
    char section[64], key[64];
    int used = 0, i;
    const char *value, *wrong;
    int64_t number;

    if (strncmp(assignment, "flock.", 6) == 0)
        return flock_set(o, assignment, errors);
    if (sscanf(assignment, "%63[a-z_].%63[a-z_]=%n", section, key, &used) != 2 || used == 0)
        return set_failed(errors, "RN0401", assignment, "expected SECTION.KEY=VALUE");
    value = assignment + used;
    i = option_find(section, key);
    if (i < 0) {
        const char *known[OPT_COUNT], *near;
        char *names[OPT_COUNT], *full = mem_printf("%s.%s", section, key);

        for (int k = 0; k < OPT_COUNT; k++)
            known[k] = names[k] = mem_printf("%s.%s", option_rows[k].section, option_rows[k].key);
        near = suggest_nearest(full, known, OPT_COUNT);
        buf_printf(errors, "error[RN0402]: --set: unknown key `%s`%s%s%s\n", full,
                   near != NULL ? ", did you mean `" : "", near != NULL ? near : "",
                   near != NULL ? "`?" : "");
        for (int k = 0; k < OPT_COUNT; k++)
            mem_free(names[k]);
        mem_free(full);
        return -ERR_FORMAT;
    }
    wrong = value_check(&option_rows[i], value, &number);
    if (wrong != NULL)
        return set_failed(errors, "RN0403", assignment, wrong);
    if (option_rows[i].type == OPTION_LIST) {
        char **items = items_split(value, ",");

        value_set(&o->value[i], items_join(items), items, 0, "--set");
    } else {
        value_set(&o->value[i], mem_strdup(value), NULL, number, "--set");
    }
    return 0;
}

/* --- showing ------------------------------------------------------------------------ */

static void print_quoted(struct buf *out, const char *s)
{
    buf_u8(out, '"');
    for (; *s != 0; s++)
        buf_printf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    buf_u8(out, '"');
}

static void print_value(struct buf *out, const struct option_row *row, const struct option_value *v)
{
    if (row->type == OPTION_LIST) {
        buf_str(out, "{");
        for (size_t i = 0; v->items[i] != NULL; i++) {
            buf_str(out, i > 0 ? ", " : "");
            print_quoted(out, v->items[i]);
        }
        buf_str(out, "}");
    } else if (row->type == OPTION_COUNT || row->type == OPTION_BOOL) {
        buf_str(out, v->text);
    } else {
        print_quoted(out, v->text);
    }
}

void options_print(const struct options *o, struct buf *out)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        size_t start;
        bool first = i == 0 || strcmp(option_rows[i - 1].section, row->section) != 0;
        bool last = i + 1 == OPT_COUNT || strcmp(option_rows[i + 1].section, row->section) != 0;

        if (first)
            buf_printf(out, "%s {\n", row->section);
        start = out->len;
        buf_printf(out, "    %s = ", row->key);
        print_value(out, row, &o->value[i]);
        while (out->len - start < 44)
            buf_u8(out, ' ');
        buf_printf(out, " # %s\n", o->value[i].origin);
        if (last)
            buf_str(out, "}\n");
    }
    option_flocks_print(o, out);
}

enum option_id options_first_frozen_change(const struct options *a, const struct options *b)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!option_rows[i].live && strcmp(a->value[i].text, b->value[i].text) != 0)
            return (enum option_id)i;
    }
    return OPT_COUNT;
}
