/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_names.c - variables: binding, looking up, leaving blocks, warnings
 */
#include "lang/rata/resolve_priv.h"

#include "base/suggest.h"

#include <string.h>

static void grow(struct resolver *r)
{
    size_t cap = r->cap_symbols != 0 ? r->cap_symbols * 2 : 256;
    struct symbol **table = ARENA_NEW_ARRAY(r->a, struct symbol *, cap);

    for (size_t i = 0; i < r->cap_symbols; i++) {
        struct symbol *s = r->symbols[i], *next;

        for (; s != NULL; s = next) {
            struct symbol **slot = &table[bytes_hash(s->text, s->len) & (cap - 1)];

            next = s->next;
            s->next = *slot;
            *slot = s;
        }
    }
    r->symbols = table;
    r->cap_symbols = cap;
}

struct symbol *symbol_get(struct resolver *r, const char *text, uint32_t len)
{
    struct symbol *s, **slot;

    if (r->n_symbols >= r->cap_symbols)
        grow(r);
    slot = &r->symbols[bytes_hash(text, len) & (r->cap_symbols - 1)];
    for (s = *slot; s != NULL; s = s->next)
        if (s->len == len && memcmp(s->text, text, len) == 0)
            return s;
    s = ARENA_NEW(r->a, struct symbol);
    *s = (struct symbol){ text, len, *slot, NULL };
    *slot = s;
    r->n_symbols++;
    return s;
}

struct binding *name_lookup(struct resolver *r, const char *text, uint32_t len)
{
    return symbol_get(r, text, len)->bound;
}

/* The earlier value was never read, and from here on nobody can. */
static void warn_hidden(struct resolver *r, const struct binding *old, const struct node *name)
{
    struct diagnostic *it;

    if (!r->pr->warn || old == NULL || old->block != r->block || old->uses > 0 || old->quiet)
        return;
    it = diag_warning(r->d, name->span, "W0202", "`%s` is bound again before it was read",
                      name->text);
    diag_note(r->d, it, "the first binding is in line %u",
              source_place(&r->d->sources[old->span.file], old->span.from).line);
}

struct binding *name_bind(struct resolver *r, const struct node *name)
{
    struct symbol *s = symbol_get(r, name->text, name->text_len);
    struct binding *b;

    warn_hidden(r, s->bound, name);
    if (s->bound != NULL && s->bound->block == r->block && s->bound->uses == 0)
        s->bound->quiet = true;             /* said already */
    b = ARENA_NEW(r->a, struct binding);
    *b = (struct binding){ .name = s, .span = name->span, .block = r->block,
                           .pattern = r->pattern, .quiet = name->text[0] == '_' };
    r->undo = arena_grow(r->a, r->undo, r->n_undo, &r->cap_undo, sizeof *r->undo);
    r->undo[r->n_undo++] = (struct undo){ s, s->bound };
    r->bindings = arena_grow(r->a, r->bindings, r->n_bindings, &r->cap_bindings,
                             sizeof *r->bindings);
    r->bindings[r->n_bindings++] = b;
    s->bound = b;
    return b;
}

uint32_t block_enter(struct resolver *r)
{
    r->block = ++r->next_block;
    return (uint32_t)r->n_undo;
}

void block_leave(struct resolver *r, uint32_t mark, uint32_t outer_block)
{
    while (r->n_undo > mark) {
        struct undo *u = &r->undo[--r->n_undo];

        u->name->bound = u->old;
    }
    r->block = outer_block;
}

void warn_unused(struct resolver *r)
{
    for (size_t i = 0; i < r->n_bindings; i++) {
        const struct binding *b = r->bindings[i];
        struct diagnostic *it;

        if (b->uses > 0 || b->quiet)
            continue;
        it = diag_warning(r->d, b->span, "W0201", "`%s` is never used", b->name->text);
        diag_hint(r->d, it, "name it `_%s` if that is intended", b->name->text);
    }
}

void hint_nearest(struct resolver *r, struct diagnostic *it, const char *word,
             const char *const *known, size_t n, const char *prefix)
{
    const char *near = suggest_nearest(word, known, n);

    if (near != NULL && strcmp(near, word) != 0)
        diag_hint(r->d, it, "did you mean `%s%s`?", prefix, near);
}
