/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_complete.c - what the word before the cursor may become
 *
 * Commands, and what the node knows: modules, functions of the module before a colon (in Rata a dot),
 * registered names, and in a language the names of the session and its keywords. The node has 200 ms for
 * each; silence is no answer and no error.
 */
#include "ctl/shell_priv.h"

#include "base/alloc.h"

#include <stdlib.h>

#define COMPLETION_MS 200

struct candidates { char **at; size_t n; };

static void candidate_add(struct candidates *c, const char *prefix, const char *word, size_t len)
{
    if (len < strlen(prefix) || strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    c->at = mem_realloc(c->at, (c->n + 1) * sizeof c->at[0]);
    c->at[c->n++] = mem_printf("%.*s", (int)len, word);
}

/* What the node answers to a command, as tab-separated lines; NULL when it does not in time. The
 * caller's, of malloc. */
static char *ask_text(struct shell *sh, enum command_id command, char **args, size_t nargs)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len), *nowhere = fopen("/dev/null", "we");
    struct cli cli = {
        .cmd = &commands[command], .context = sh->cli->context, .node = sh->cli->node,
        .args = args, .nargs = nargs, .timeout_ms = COMPLETION_MS, .timeout_given = true,
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
    if (good)
        return text;
    free(text);
    return NULL;
}

/* The first column of the rows. */
static void ask_candidates(struct shell *sh, enum command_id command, const char *prefix,
                           struct candidates *c)
{
    char *text = ask_text(sh, command, NULL, 0);

    for (char *s = text != NULL ? strchr(text, '\n') : NULL; s != NULL && s[1] != 0;
         s = strchr(s + 1, '\n'))
        candidate_add(c, prefix, s + 1, strcspn(s + 1, "\t\n"));
    free(text);
}

/* Names of the session and words of the language: what words/2 prints, before its value. */
static void ask_words(struct shell *sh, const char *prefix, struct candidates *c)
{
    char *session = mem_printf("<<\"%s\">>", sh->session);
    char *args[] = { (char *)(uintptr_t)"Rata.Tool.Shell:words", (char *)(uintptr_t)sh->lang, session };
    char *text = ask_text(sh, CMD_call, args, 3);

    for (char *s = text; s != NULL && *s != 0 && strncmp(s, "value\t", 6) != 0;) {
        size_t n = strcspn(s, "\n");

        candidate_add(c, prefix, s, n);
        s += n + (s[n] == '\n');
    }
    free(text);
    mem_free(session);
}

/* Functions of the module before the last mark of the prefix, "lists:rev" or "Enum.ma". */
static void ask_functions(struct shell *sh, const char *prefix, char mark, struct candidates *c)
{
    const char *at = strrchr(prefix, mark);
    bool rata = mark == '.';
    char *module, *text, *exports;

    if (at == NULL || at == prefix)
        return;
    module = mem_printf("%s%.*s", rata ? "Rata." : "", (int)(at - prefix), prefix);
    text = ask_text(sh, CMD_inspect, &module, 1);
    exports = text != NULL ? strrchr(text, '\t') : NULL;    /* the last column */
    for (char *s = exports; s != NULL && *s != 0 && *s != '\n';) {
        size_t n = strcspn(s + 1, " \n");
        char *name = mem_printf("%.*s%.*s", (int)(at + 1 - prefix), prefix, (int)strcspn(s + 1, "/ \n"),
                                s + 1);

        candidate_add(c, prefix, name, strlen(name));
        mem_free(name);
        s += 1 + n;
    }
    free(text);
    mem_free(module);
}

/* Modules as the language names them. */
static void ask_modules(struct shell *sh, const char *prefix, struct candidates *c)
{
    bool rata = sh->lang != NULL && strcmp(sh->lang, "rata") == 0;
    struct candidates all = { 0 };

    ask_candidates(sh, CMD_modules, "", &all);
    for (size_t i = 0; i < all.n; i++) {
        const char *name = all.at[i];

        if (rata && strncmp(name, "Rata.", 5) == 0)
            name += 5;
        candidate_add(c, prefix, name, strlen(name));
        mem_free(all.at[i]);
    }
    mem_free(all.at);
}

static void gather_commands(const char *prefix, bool colon, struct candidates *c)
{
    for (size_t i = 0; i < CMD_COUNT; i++) {
        char *word = mem_printf("%s%s", colon ? ":" : "", commands[i].name);

        candidate_add(c, prefix, word, strlen(word));
        mem_free(word);
    }
}

static void gather(struct shell *sh, const char *prefix, bool first_word, struct candidates *c)
{
    bool rata = sh->lang != NULL && strcmp(sh->lang, "rata") == 0;

    if (first_word)
        gather_commands(prefix, sh->lang != NULL, c);
    if (sh->lang != NULL)
        ask_words(sh, prefix, c);
    if (sh->lang == NULL ? !first_word : prefix[0] == ':')
        ask_candidates(sh, CMD_names, prefix, c);
    ask_modules(sh, prefix, c);
    ask_functions(sh, prefix, rata ? '.' : ':', c);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each word once, by the alphabet. */
static void tidy(struct candidates *c)
{
    size_t n = 0;

    if (c->n > 0)
        qsort(c->at, c->n, sizeof c->at[0], by_text);
    for (size_t i = 0; i < c->n; i++) {
        if (n > 0 && strcmp(c->at[n - 1], c->at[i]) == 0)
            mem_free(c->at[i]);
        else
            c->at[n++] = c->at[i];
    }
    c->n = n;
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

unsigned char shell_on_tab(EditLine *e, int key)
{
    const LineInfo *li = el_line(e);
    const char *word = li->cursor;
    struct candidates c = { 0 };
    struct shell *sh;
    char *prefix;
    unsigned char result = CC_ERROR;

    (void)key;
    el_get(e, EL_CLIENTDATA, &sh);
    while (word > li->buffer && strchr(" \t'\"(,[{=", word[-1]) == NULL)
        word--;
    prefix = mem_printf("%.*s", (int)(li->cursor - word), word);
    gather(sh, prefix, word == li->buffer, &c);
    tidy(&c);
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
