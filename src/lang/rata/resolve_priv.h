/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_priv.h - what the resolver's files share
 *
 * Variables are found through their symbol: symbol->bound is the innermost binding at the point
 * the walk has reached. Binding pushes the old value on a stack; leaving a block pops to where it
 * began. So a look-up costs one hash, however many names there are.
 */
#ifndef LANG_RATA_RESOLVE_PRIV_H
#define LANG_RATA_RESOLVE_PRIV_H

#include "lang/rata/resolve.h"

struct undo { struct symbol *name; struct binding *old; };

/* A `~` whose body is being read; its list of parameters grows. */
struct short_fn {
    struct short_fn *outer;
    struct node *node;
};

struct resolver {
    struct program *pr;
    struct diags *d;
    struct arena *a;
    struct module *module;          /* NULL in the script */
    struct alias_scope *scope;
    struct symbol **symbols;        /* hash table */
    size_t n_symbols, cap_symbols;
    struct undo *undo;
    size_t n_undo, cap_undo;
    struct binding **bindings;      /* all, for the warnings */
    size_t n_bindings, cap_bindings;
    struct short_fn *short_fn;
    uint32_t block, next_block, pattern;
    unsigned functions;             /* functions around; 0: `return` has none */
};

/* --- names (resolve_names.c) --- */
struct symbol *symbol_get(struct resolver *r, const char *text, uint32_t len);
struct binding *name_bind(struct resolver *r, const struct node *name);
struct binding *name_lookup(struct resolver *r, const char *text, uint32_t len);
uint32_t block_enter(struct resolver *r);               /* a mark for block_leave */
void block_leave(struct resolver *r, uint32_t mark, uint32_t outer_block);
void warn_unused(struct resolver *r);

/* --- modules (resolve_module.c) --- */
struct module *module_find(struct resolver *r, const char *name);
struct function *function_find(struct module *m, const char *name, uint32_t arity);
/* The .beam module that an expression names, or NULL when it names none. ret_unchecked: it is
 * Erlang's or Elixir's. */
const char *module_of(struct resolver *r, const struct node *n, bool *ret_unchecked);
void resolve_library(struct resolver *r, const struct node *n);
/* E0202 with the nearest names. */
void unknown_module(struct resolver *r, struct span at, const char *name);
const struct known_module *module_outside(struct resolver *r, const char *beam);
struct module *module_by_beam(struct resolver *r, const char *beam);
/* "Rata.A.B" as the source names it: "A.B". */
const char *source_name(const char *beam);

/* --- references (resolve_call.c) --- */
void resolve_name(struct resolver *r, struct node *n);
void resolve_member(struct resolver *r, struct node *n);
void resolve_call(struct resolver *r, struct node *n);
bool resolve_capture(struct resolver *r, struct node *n);

/* --- expressions, patterns, guards, types --- */
void resolve_node(struct resolver *r, struct node *n);
void resolve_list(struct resolver *r, const struct node_list *list);
void resolve_block(struct resolver *r, struct node *block);
void resolve_function(struct resolver *r, struct node *n, bool in_module);
void resolve_pattern(struct resolver *r, struct node *n);
void pattern_begin(struct resolver *r);                 /* names from here on are of one pattern */
void resolve_guard(struct resolver *r, struct node *n);
void resolve_type(struct resolver *r, struct node *n);
void check_argument_types(struct resolver *r, const struct node *call, const struct function *f);

/* A hint "did you mean `x`?" when one of the words is near. */
void hint_nearest(struct resolver *r, struct diagnostic *it, const char *word,
             const char *const *known, size_t n, const char *prefix);

#endif
