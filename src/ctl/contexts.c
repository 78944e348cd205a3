/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contexts.c - reading, changing and writing contexts.conf
 */
#include "ctl/contexts.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/commands.h"
#include "ctl/exits.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *config_folder(void)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (base != NULL && base[0] == '/')
        return mem_printf("%s/rnode", base);
    return mem_printf("%s/.config/rnode", home != NULL ? home : "");
}

static char *config_file(void)
{
    char *folder = config_folder(), *file = mem_printf("%s/contexts.conf", folder);

    mem_free(folder);
    return file;
}

/* --- reading --------------------------------------------------------------------------- */

static struct buf *errors_now;      /* where libConfuse's complaints go while it parses */

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[500];

    vsnprintf(text, sizeof text, fmt, ap);
    buf_printf(errors_now, "%s:%d: %s\n", cfg->filename != NULL ? cfg->filename : "", cfg->line,
               text);
}

int contexts_load(struct contexts *c, struct buf *errors)
{
    cfg_opt_t context[] = { CFG_STR("socket", "", CFGF_NONE), CFG_END() };
    cfg_opt_t all[] = { CFG_STR("use", "", CFGF_NONE),
                        CFG_SEC("context", context, CFGF_MULTI | CFGF_TITLE), CFG_END() };
    cfg_t *cfg = cfg_init(all, CFGF_NONE);
    char *file = config_file();
    int rc;

    *c = (struct contexts){ .use = mem_strdup("") };
    errors_now = errors;
    cfg_set_error_function(cfg, on_error);
    rc = cfg_parse(cfg, file);
    mem_free(file);
    for (unsigned i = 0; rc == CFG_SUCCESS && i < cfg_size(cfg, "context"); i++) {
        cfg_t *one = cfg_getnsec(cfg, "context", i);

        contexts_put(c, cfg_title(one), cfg_getstr(one, "socket"));
    }
    if (rc == CFG_SUCCESS) {
        mem_free(c->use);
        c->use = mem_strdup(cfg_getstr(cfg, "use"));
    }
    cfg_free(cfg);
    return rc == CFG_PARSE_ERROR ? -ERR_FORMAT : 0;
}

void contexts_fini(struct contexts *c)
{
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->list[i].name);
        mem_free(c->list[i].socket);
    }
    mem_free(c->list);
    mem_free(c->use);
}

struct context *contexts_find(const struct contexts *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i].name, name) == 0)
            return &c->list[i];
    return NULL;
}

char *contexts_socket(const char *name)
{
    struct buf errors = { 0 };
    struct contexts c;
    struct context *found = NULL;
    char *socket = NULL;

    if (contexts_load(&c, &errors) == 0)
        found = contexts_find(&c, name != NULL ? name : c.use);
    if (found != NULL)
        socket = mem_strdup(found->socket);
    contexts_fini(&c);
    buf_fini(&errors);
    return socket;
}

/* --- changing ---------------------------------------------------------------------------- */

void contexts_put(struct contexts *c, const char *name, const char *socket)
{
    struct context *there = contexts_find(c, name);

    if (there == NULL) {
        c->list = mem_realloc(c->list, (c->n + 1) * sizeof *c->list);
        there = &c->list[c->n++];
        *there = (struct context){ mem_strdup(name), NULL };
    }
    mem_free(there->socket);
    there->socket = mem_strdup(socket);
}

bool contexts_remove(struct contexts *c, const char *name)
{
    struct context *there = contexts_find(c, name);

    if (there == NULL)
        return false;
    mem_free(there->name);
    mem_free(there->socket);
    *there = c->list[--c->n];
    if (strcmp(c->use, name) == 0)
        c->use[0] = 0;
    return true;
}

/* In the syntax of the file; names and paths hold neither quotes nor backslashes. */
static void write_text(const struct contexts *c, struct buf *out)
{
    buf_printf(out, "use = \"%s\"\n", c->use);
    for (size_t i = 0; i < c->n; i++)
        buf_printf(out, "context \"%s\" { socket = \"%s\" }\n", c->list[i].name, c->list[i].socket);
}

int contexts_save(const struct contexts *c)
{
    char *folder = config_folder(), *parent = mem_strdup(folder);
    char *file = config_file(), *fresh = mem_printf("%s.new", file);
    struct buf out = { 0 };
    int fd, rc = -ERR_SYSTEM;

    *strrchr(parent, '/') = 0;
    mkdir(parent, 0700);
    mkdir(folder, 0700);        /* what is missing after this shows when the file is opened */
    write_text(c, &out);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, out.data, out.len) == (ssize_t)out.len && close(fd) == 0 &&
        rename(fresh, file) == 0)
        rc = 0;
    buf_fini(&out);
    mem_free(fresh);
    mem_free(file);
    mem_free(parent);
    mem_free(folder);
    return rc;
}

/* --- the command ---------------------------------------------------------------------------- */

static int complain(int exit, const char *code, const char *what, const char *name)
{
    const struct explanation *ex = explanation_find(code);

    fprintf(stderr, "error[%s]: %s%s\n  = Try:  %s\n", code, what, name, ex != NULL ? ex->hint : "");
    return exit;
}

static bool name_is_good(const char *s)
{
    return s[0] != 0 && strpbrk(s, "\"\\/\n") == NULL;
}

static int list_contexts(const struct contexts *c)
{
    for (size_t i = 0; i < c->n; i++)
        printf("%s %-16s %s\n", strcmp(c->list[i].name, c->use) == 0 ? "*" : " ", c->list[i].name,
               c->list[i].socket);
    if (c->n == 0)
        fprintf(stderr, "no context yet: rnodectl context add NAME SOCKET\n");
    return EXIT_OK;
}

static int change(struct contexts *c, char **args, size_t n)
{
    const char *word = args[0], *name = n > 1 ? args[1] : "";

    if (strcmp(word, "add") == 0 && n == 3) {
        if (!name_is_good(name) || args[2][0] != '/' || strpbrk(args[2], "\"\\\n") != NULL)
            return complain(EXIT_USAGE, "RN0112", "add NAME /PATH/OF/SOCKET, not ", args[2]);
        contexts_put(c, name, args[2]);
    } else if (strcmp(word, "use") == 0 && n == 2) {
        if (contexts_find(c, name) == NULL)
            return complain(EXIT_NO, "RN0112", "no context ", name);
        mem_free(c->use);
        c->use = mem_strdup(name);
    } else if (strcmp(word, "rm") == 0 && n == 2) {
        if (!contexts_remove(c, name))
            return complain(EXIT_NO, "RN0112", "no context ", name);
    } else {
        return complain(EXIT_USAGE, "RN0112", "context list, use NAME, add NAME SOCKET or rm NAME, not ",
                        word);
    }
    if (contexts_save(c) < 0)
        return complain(EXIT_CANNOT_CREATE, "RN0404", "contexts.conf cannot be written: ",
                        strerror(errno));
    return EXIT_OK;
}

int contexts_command(char **args, size_t n)
{
    struct buf errors = { 0 };
    struct contexts c;
    int rc;

    if (contexts_load(&c, &errors) < 0)
        rc = complain(EXIT_CONFIG, "RN0401", "contexts.conf cannot be read: ", buf_cstr(&errors));
    else if (n == 0 || (strcmp(args[0], "list") == 0 && n == 1))
        rc = list_contexts(&c);
    else
        rc = change(&c, args, n);
    contexts_fini(&c);
    buf_fini(&errors);
    return rc;
}
