/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options_flock.c - definitions of flocks in the configuration
 */
#include "node/options_priv.h"

#include "base/alloc.h"

#define FLOCK_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

static void items_free(char **items)
{
    for (size_t i = 0; items != NULL && items[i] != NULL; i++)
        mem_free(items[i]);
    mem_free(items);
}

static void flock_free(struct option_flock *f)
{
    items_free(f->match);
    items_free(f->discover);
    mem_free(f->name);
    mem_free(f->origin);
    mem_free(f);
}

void option_flocks_free(struct options *o)
{
    while (o->flocks != NULL) {
        struct option_flock *f = o->flocks;

        o->flocks = f->next;
        flock_free(f);
    }
}

struct option_flock *option_flock_get(struct options *o, const char *name)
{
    struct option_flock **at = &o->flocks;

    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (*at == NULL) {
        *at = MEM_NEW(struct option_flock);
        (*at)->name = mem_strdup(name);
        (*at)->match = MEM_NEW_ARRAY(char *, 1);
        (*at)->discover = MEM_NEW_ARRAY(char *, 1);
        (*at)->origin = mem_strdup("default");
    }
    return *at;
}

static const char *check(const char *name, const char *key, char **items)
{
    bool match = strcmp(key, "match") == 0;

    if (*name == 0 || name[strspn(name, FLOCK_NAME_CHARS)] != 0 || strlen(name) > 64)
        return "a flock is called by letters, digits, _ and -";
    if (!match && strcmp(key, "discover") != 0)
        return "a flock has the keys match and discover";
    for (size_t i = 0; items[i] != NULL; i++) {
        if (match && (strchr(items[i], '=') == NULL || items[i][0] == '='))
            return "labels are expected here, each \"key=value\"";
        if (!match && strcmp(items[i], "gossip") != 0 && strcmp(items[i], "mdns") != 0)
            return "gossip or mdns is expected here";
        if (i >= 15)
            return "at most 15 labels";
    }
    return NULL;
}

const char *option_flock_set(struct options *o, const char *name, const char *key, char **items,
                             const char *origin)
{
    const char *wrong = check(name, key, items);
    struct option_flock *f;
    char ***at;

    if (wrong != NULL) {
        items_free(items);
        return wrong;
    }
    f = option_flock_get(o, name);
    at = strcmp(key, "match") == 0 ? &f->match : &f->discover;
    items_free(*at);
    *at = items;
    mem_free(f->origin);
    f->origin = mem_strdup(origin);
    return NULL;
}

static void print_list(struct buf *out, const char *key, char *const *items)
{
    buf_printf(out, "    %s = {", key);
    for (size_t i = 0; items[i] != NULL; i++)
        buf_printf(out, "%s\"%s\"", i > 0 ? ", " : "", items[i]);
    buf_str(out, "}");
}

void option_flocks_print(const struct options *o, struct buf *out)
{
    for (const struct option_flock *f = o->flocks; f != NULL; f = f->next) {
        buf_printf(out, "flock \"%s\" {                              # %s\n", f->name, f->origin);
        print_list(out, "match", f->match);
        buf_str(out, "\n");
        print_list(out, "discover", f->discover);
        buf_str(out, "\n}\n");
    }
}
