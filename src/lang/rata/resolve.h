/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.h - what every name of a program means
 *
 * The resolver reads the trees of all files of one compile, finds the modules and their functions,
 * and writes into each node what it stands for (the last fields of struct node). Patterns, guards,
 * `return` and types are checked on the way. Lowering then has nothing to look up and cannot fail.
 */
#ifndef LANG_RATA_RESOLVE_H
#define LANG_RATA_RESOLVE_H

#include "lang/rata/ast.h"

/* A name somewhere in the program; equal names are the same symbol. */
struct symbol {
    const char *text;
    uint32_t len;
    struct symbol *next;            /* of the hash chain */
    struct binding *bound;          /* what it stands for at this point of the walk */
};

/* One binding of a variable. */
struct binding {
    struct symbol *name;
    struct span span;
    uint32_t uses;
    uint32_t block;                 /* number of the block that binds it */
    uint32_t pattern;               /* number of the pattern that binds it */
    uint32_t var;                   /* of lowering: its core_var */
    bool own_function;              /* name = function(...): known inside of it */
    bool quiet;                     /* no warning when it is not used */
};

enum core_inline { CORE_INLINE_CALL, CORE_INLINE_BIF, CORE_INLINE_TYPE, CORE_INLINE_OTHER };

struct core_fn {
    const char *name;
    uint8_t arity;
    bool guard;
    uint8_t how;                    /* enum core_inline */
};

/* All definitions of one name and arity in one module. */
struct function {
    const char *name;
    struct span span;               /* of the name, first definition */
    uint32_t arity;
    uint32_t defaults;              /* the smaller arities arity - defaults ... too */
    bool private, constant;
    bool supplied;                  /* by `use`; has no defs */
    struct node_list defs;          /* DEF nodes, in order */
    const char *doc;
};

struct alias {
    const char *name;
    const char *module;             /* name of the .beam module */
    bool unchecked;                 /* of Erlang or Elixir */
    struct alias *next;
};

/* Where `library` aliases are looked up: a module in the one around it, in its file. */
struct alias_scope {
    struct alias_scope *outer;
    struct alias *aliases;
};

enum module_use { USE_NONE = 0, USE_GEN_SERVER = 1, USE_SUPERVISOR = 2 };

struct module {
    const char *name;               /* "A.B" */
    const char *beam;               /* "Rata.A.B" */
    struct module *outer;           /* it is nested in */
    struct alias_scope scope;
    struct node *node;
    struct function **functions;
    size_t n_functions, cap_functions;
    struct node_list asserts;
    unsigned uses;                  /* enum module_use, a set */
    const char *doc;
    struct node_list attributes;
};

/* What is known of a module outside of this compile. */
struct known_function { const char *name; uint32_t arity; bool constant; };
struct known_module {
    const char *beam;
    struct known_function *functions;
    size_t n;
};

/* Answers questions about modules outside of this compile. */
struct module_source {
    /* NULL: no such module. Lent until the end of the compile. */
    const struct known_module *(*find)(void *arg, const char *beam);
    /* All Rata names ("Enum"), NULL-terminated, for suggestions. */
    const char *const *(*names)(void *arg);
    void *arg;
};

enum meaning {
    MEANS_NOTHING,
    MEANS_VARIABLE,                 /* NAME, DOT_NAME: bound */
    MEANS_MODULE,                   /* an expression that is the atom `module` */
    MEANS_FUNCTION,                 /* the function value callee */
    MEANS_CONSTANT,                 /* the value of the constant callee */
    MEANS_CALL,                     /* CALL: callee is called; a is not evaluated */
    MEANS_APPLY,                    /* CALL: the value of a is called */
    MEANS_DYNAMIC_CALL,             /* CALL of :erlang.apply(M, F, [...]) */
    MEANS_PROTECT,                  /* CALL of :"$rata".protect(f) */
    MEANS_FIELD,                    /* MEMBER of a map */
};

enum callee_kind { CALLEE_OWN, CALLEE_REMOTE, CALLEE_CORE };

struct callee {
    uint8_t kind;                   /* enum callee_kind */
    const char *module, *name;      /* REMOTE: the .beam module */
    uint32_t arity;
    const struct core_fn *core;     /* CORE */
    struct function *function;      /* when it belongs to this compile */
};

struct program {
    struct arena *arena;
    struct diags *d;
    struct module **modules;
    size_t n_modules, cap_modules;
    struct node *script;            /* BLOCK of the top-level statements, or NULL */
    struct alias_scope *file_scopes;    /* one per file */
    const struct module_source *outside;
    const char *script_name;        /* "Rata.Script" */
    size_t n_context;               /* the aliases of the first files hold in all others */
    bool warn;                      /* look for unused names */
    /* Before a statement runs {{File, Line}} is put into the ETS table '$rata_cover'; the attribute
     * rata_cover of a module lists what may come: [{File, Line}]. */
    bool cover;
    /* REPL: names that exist already, and what the script's names are at its end. */
    const char *const *preset;      /* NULL-terminated, or NULL */
    struct binding **preset_bound;
    struct binding **final_bound;   /* of the outermost block, newest of each name */
    size_t n_final, cap_final;
};

/* roots[i] is the tree of file i. Fills modules and script; errors go to d. */
void rata_resolve(struct program *pr, struct node *const *roots, size_t n);

extern const struct core_fn core_fns[];
extern const size_t n_core_fns;

#endif
