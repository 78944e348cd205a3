/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - the form of a program between a front end and the emitter
 *
 * Core is a small strict functional language in the manner of Core Erlang: a module of functions
 * whose bodies are trees of the nodes below. A front end builds it with the functions of this
 * file, bottom up; lang/emit.h makes a .beam of it. Everything lives in one arena and is freed
 * with it. One thread at a time.
 *
 * Rules, checked by core_check:
 *   C1  A variable is bound once in a function, and used only inside the scope of that binding.
 *       Exception: a variable may occur several times in the patterns of one clause; the values
 *       must then be exactly equal (=:=).
 *   C2  A jump stands in tail position of the first part of its join (core_join), not inside a
 *       fun, the protected part of a try, or an argument.
 *   C3  A guard holds literals, variables, tuples, conses, core_let, core_and, core_or, and
 *       calls of erlang functions that guards allow; nothing else. A guard that fails is false;
 *       anything but true is false.
 *   C4  A node is used once: trees do not share nodes. Constants may be shared.
 *   C5  No node is nested deeper than CORE_DEPTH_MAX. The body of a let, seq, letrec or join and
 *       what follows a join count no depth, so sequences may be as long as they like. Builders
 *       never fail: they count, and the check reports.
 *
 * Order of evaluation: arguments from left to right, then the node itself. The fields of maps,
 * too: keys and values in the order given.
 */
#ifndef LANG_CORE_H
#define LANG_CORE_H

#include "base/arena.h"
#include "base/bytes.h"

#define CORE_DEPTH_MAX   2000
#define CORE_ARITY_MAX   255        /* parameters of a function or fun, free variables included */

/* A place in a source file. line 0: made by the compiler, belongs to no line. Lines and columns
 * from 1; the end is the place after the last character. */
struct core_span {
    uint32_t file;                  /* index given by core_add_file */
    uint32_t line, column, end_line, end_column;
};

/* --- constants -------------------------------------------------------------------------------- */

/* Interned: two atoms of a module are the same pointer when their names are equal. */
struct core_atom {
    const char *name;               /* UTF-8, NUL-terminated; at most 255 code points */
    size_t len;
    struct core_atom *next;         /* of the table */
    uint32_t number;                /* in the file; of the emitter */
};

enum core_const_kind {
    CC_INT, CC_BIG, CC_FLOAT, CC_ATOM, CC_BITS, CC_NIL, CC_CONS, CC_TUPLE, CC_MAP, CC_EXTERNAL,
};

/* A term known when compiling. Never changed once made. */
struct core_const {
    enum core_const_kind kind;
    bool negative;                              /* CC_BIG */
    uint8_t last_bits;                          /* CC_BITS: bits used of the last byte, 1 to 8 */
    uint32_t depth;                             /* of nesting; lists count one for their length */
    uint32_t n;                                 /* bytes, elements, pairs; arity of an external */
    union {
        int64_t i;                              /* CC_INT */
        double real;                            /* CC_FLOAT, finite */
        const struct core_atom *atom;           /* CC_ATOM */
        const uint8_t *bytes;                   /* CC_BIG: magnitude, little-endian; CC_BITS */
        const struct core_const *const *elements;  /* CC_TUPLE: n; CC_MAP: key, value, ... */
        struct { const struct core_const *head, *tail; };                   /* CC_CONS */
        struct { const struct core_atom *module, *function; };              /* CC_EXTERNAL */
    };
};

/* --- variables and patterns ------------------------------------------------------------------- */

typedef uint32_t core_var;                      /* number in a module; 0 is none */

enum core_pat_kind {
    CP_ANY,                 /* anything */
    CP_VAR,                 /* anything, bound to var */
    CP_ALIAS,               /* what sub matches, bound to var too */
    CP_PIN,                 /* a value exactly equal to that of var, bound outside of the clause */
    CP_LIT, CP_TUPLE, CP_CONS,
    CP_MAP,                 /* a map that has all the keys; n pairs of key and pattern */
    CP_BITS,                /* a bitstring: n segments, which must use up all bits */
};

enum core_bits_type {
    CB_INTEGER, CB_FLOAT, CB_BINARY, CB_UTF8, CB_UTF16, CB_UTF32,
    CB_STRING,              /* the bytes of a literal; in patterns they must be there */
};
enum { CB_LITTLE = 2, CB_SIGNED = 4, CB_NATIVE = 16 };      /* as in the instructions */

/* One segment of a bitstring, in a pattern or under construction. */
struct core_segment {
    enum core_bits_type type;
    unsigned flags;
    unsigned unit;                  /* 1 to 256; size * unit bits. 0: the default of the type */
    struct core_expr *size;         /* literal or variable in patterns. NULL: the default of the
                                     * type: 8 bits, 64 bits, all that is left */
    struct core_expr *value;        /* construction; CB_STRING: a CC_BITS of whole bytes in both */
    struct core_pat *pat;           /* patterns, but CB_STRING: literal number, CP_VAR or CP_ANY */
};

struct core_map_pat {
    struct core_expr *key;          /* literal or variable bound outside of the pattern */
    struct core_pat *pat;
};

struct core_pat {
    enum core_pat_kind kind;
    uint32_t n;
    uint32_t depth;
    core_var var;                                   /* CP_VAR, CP_ALIAS, CP_PIN */
    struct core_span span;
    union {
        struct core_pat *sub;                       /* CP_ALIAS */
        const struct core_const *lit;               /* CP_LIT */
        struct core_pat **elements;                 /* CP_TUPLE: n; CP_CONS: head and tail */
        struct core_map_pat *pairs;                 /* CP_MAP */
        struct core_segment *segments;              /* CP_BITS */
    };
};

/* --- expressions ------------------------------------------------------------------------------ */

enum core_kind {
    CORE_LIT, CORE_VAR,
    CORE_TUPLE, CORE_CONS,
    CORE_MAP,               /* base with n pairs put in; base NULL: a new map */
    CORE_BITS,              /* n segments */
    CORE_LET,               /* var := value; then body */
    CORE_SEQ,               /* value for its effect; then body */
    CORE_FUN,               /* a closure */
    CORE_LETREC,            /* n local functions that know each other; then body */
    CORE_LOCAL,             /* the function name/arity of this module, as a value */
    CORE_JOIN,              /* value, in whose tail positions jumps lead to body */
    CORE_JUMP,
    CORE_CASE,
    CORE_RECEIVE,
    CORE_TRY,
    CORE_CALL,              /* args to the function name/arity of this module */
    CORE_REMOTE,            /* args to module:function, both expressions */
    CORE_APPLY,             /* args to a function value */
    CORE_AND, CORE_OR,      /* args[1] is evaluated only if args[0] is true, false */
    CORE_PRIM,
};

enum core_prim {
    PRIM_RAISE,             /* class, reason: literal class error, exit or throw */
    PRIM_RERAISE,           /* class, reason, raw trace, as caught by a try */
    PRIM_MATCH_FAIL,        /* reason of class error: raised at the place of the node. The tuples
                             * {badmatch,V}, {case_clause,V} and {try_clause,V} and the atoms
                             * function_clause and if_clause get their own instructions */
    PRIM_STACKTRACE,        /* raw trace: the list that programs see */
};

struct core_clause {
    uint32_t n;                     /* patterns: as many as the case has values; receive: 1 */
    struct core_pat **pats;
    struct core_expr *guard;        /* NULL: true */
    struct core_expr *body;
    struct core_span span;
};

struct core_fun {
    uint32_t arity;
    core_var *params;
    struct core_expr *body;
    core_var var;                   /* letrec: the name; 0 in CORE_FUN */
    const char *name;               /* part of the name that stack traces show, or NULL */
    struct core_span span;
};

struct core_pair {
    struct core_expr *key, *value;
    bool exact;                     /* the key must be there: badkey otherwise */
};

struct core_expr {
    enum core_kind kind;
    uint32_t n;                     /* length of the array below */
    uint32_t depth;
    struct core_span span;
    union {
        const struct core_const *lit;                           /* CORE_LIT */
        core_var var;                                           /* CORE_VAR */
        struct core_fun *fun;                                   /* CORE_FUN */
        struct { struct core_expr **args;                       /* tuple, cons, calls, prim ... */
                 union {
                     enum core_prim prim;                       /* CORE_PRIM */
                     const struct core_atom *name;              /* CORE_CALL, CORE_LOCAL: n is arity */
                     struct core_expr *callee;                  /* CORE_APPLY */
                     struct core_label *label;                  /* CORE_JUMP */
                     struct { struct core_expr *module, *function; };       /* CORE_REMOTE */
                 }; };
        struct { struct core_pair *pairs; struct core_expr *base; };        /* CORE_MAP */
        struct core_segment *segments;                          /* CORE_BITS */
        struct { struct core_expr *value, *body;                /* let, seq, letrec, join */
                 union {
                     core_var bound;                            /* CORE_LET */
                     struct core_fun **funs;                    /* CORE_LETREC; value is NULL */
                     struct core_label *join;                   /* CORE_JOIN */
                 }; };
        struct { struct core_clause **clauses;                  /* CORE_CASE, CORE_RECEIVE */
                 uint32_t n_values;
                 union {
                     struct core_expr **values;                 /* CORE_CASE */
                     struct { struct core_expr *timeout, *after; };         /* CORE_RECEIVE */
                 }; };
        struct core_try *try;                                   /* CORE_TRY */
    };
};

/* The target of jumps. */
struct core_label {
    uint32_t n;
    core_var *params;
    uint32_t number;                /* in its module, for the dump */
    void *emit;                     /* of the emitter */
};

/* value := protected; then body outside of the protection; or else handler. */
struct core_try {
    struct core_expr *protected, *body, *handler;
    core_var value;
    core_var class, reason, trace;  /* trace: raw, for PRIM_RERAISE and PRIM_STACKTRACE alone */
};

/* --- modules ---------------------------------------------------------------------------------- */

struct core_function {
    const struct core_atom *name;
    struct core_fun *fun;
    bool exported;
    const char *doc;                /* UTF-8, or NULL */
    const char *signature;          /* as people write it: "add(a, b)", or NULL */
    bool hidden;                    /* left out of the documentation */
};

struct core_attribute { const struct core_atom *key; const struct core_const *value; };

struct core_module {
    struct arena *arena;                        /* lent */
    const struct core_atom *name;
    const char *language;                       /* of the documentation: "rata" */
    const char *doc;                            /* of the module, or NULL */
    struct core_function *functions;            /* in the order of the file */
    struct core_attribute *attributes;
    const char **files;                         /* names as stack traces show them */
    const char **var_names;                     /* [core_var]; for dumps; NULL: none given */
    size_t n_functions, cap_functions;
    size_t n_attributes, cap_attributes;
    size_t n_files, cap_files;
    size_t n_vars, cap_vars;                    /* n_vars counts the unused 0 */
    uint32_t n_labels;
    bool too_deep;                              /* a builder met CORE_DEPTH_MAX */
    struct core_atom **atoms;                   /* hash table */
    size_t n_atoms, cap_atoms;
    const struct core_const *nil, *true_, *false_;
};

/* Texts given to any of these functions are copied, arrays too. */
struct core_module *core_module_new(struct arena *arena, const char *name, size_t len);
/* A file counts when its name does, so asking twice gives the same index. */
uint32_t core_add_file(struct core_module *m, const char *name);
core_var core_var_new(struct core_module *m, const char *name);     /* NULL: no name */
void core_add_attribute(struct core_module *m, const char *key, const struct core_const *value);
/* Takes fun. The result may be changed (doc, signature, hidden) until the next is added. */
struct core_function *core_add_function(struct core_module *m, const char *name, size_t len,
                                        struct core_fun *fun, bool exported);

/* --- making constants ------------------------------------------------------------------------- */

const struct core_atom *core_atom(struct core_module *m, const char *name, size_t len);

const struct core_const *cc_int(struct core_module *m, int64_t i);
/* magnitude: little-endian bytes; the smallest kind that holds it. */
const struct core_const *cc_big(struct core_module *m, bool negative, const void *magnitude,
                                size_t len);
const struct core_const *cc_float(struct core_module *m, double real);
const struct core_const *cc_atom(struct core_module *m, const char *name);
const struct core_const *cc_atom_n(struct core_module *m, const char *name, size_t len);
const struct core_const *cc_binary(struct core_module *m, const void *data, size_t len);
const struct core_const *cc_bits(struct core_module *m, const void *data, size_t bits);
const struct core_const *cc_nil(struct core_module *m);
const struct core_const *cc_cons(struct core_module *m, const struct core_const *head,
                                 const struct core_const *tail);
const struct core_const *cc_list(struct core_module *m, const struct core_const *const *elements,
                                 size_t n, const struct core_const *tail);  /* tail NULL: [] */
const struct core_const *cc_tuple(struct core_module *m, const struct core_const *const *elements,
                                  size_t n);
/* n pairs, key before value. Of equal keys the last one counts. */
const struct core_const *cc_map(struct core_module *m, const struct core_const *const *pairs,
                                size_t n);
const struct core_const *cc_external(struct core_module *m, const struct core_atom *module,
                                     const struct core_atom *function, unsigned arity);
bool cc_equal(const struct core_const *a, const struct core_const *b);      /* =:= */
bool cc_is_atom(const struct core_const *c, const char *name);

/* --- making expressions ----------------------------------------------------------------------- */

struct core_expr *core_lit(struct core_module *m, struct core_span at, const struct core_const *c);
struct core_expr *core_use(struct core_module *m, struct core_span at, core_var var);
/* Tuples and conses of literals become literals by themselves. */
struct core_expr *core_tuple(struct core_module *m, struct core_span at,
                             struct core_expr *const *elements, size_t n);
struct core_expr *core_cons(struct core_module *m, struct core_span at, struct core_expr *head,
                            struct core_expr *tail);
struct core_expr *core_list(struct core_module *m, struct core_span at,
                            struct core_expr *const *elements, size_t n, struct core_expr *tail);
struct core_expr *core_map(struct core_module *m, struct core_span at, struct core_expr *base,
                           const struct core_pair *pairs, size_t n);
struct core_expr *core_bits(struct core_module *m, struct core_span at,
                            const struct core_segment *segments, size_t n);
struct core_expr *core_let(struct core_module *m, struct core_span at, core_var var,
                           struct core_expr *value, struct core_expr *body);
struct core_expr *core_seq(struct core_module *m, struct core_span at, struct core_expr *value,
                           struct core_expr *body);

struct core_fun *core_fun_new(struct core_module *m, struct core_span at, const core_var *params,
                              size_t arity, struct core_expr *body);
struct core_expr *core_fun(struct core_module *m, struct core_fun *fun);
/* fun->var names each of them: used as a value it is a closure, applied it is a direct call. */
struct core_expr *core_letrec(struct core_module *m, struct core_span at,
                              struct core_fun *const *funs, size_t n, struct core_expr *body);

/* A join point: jumps in tail positions of `first` continue in `then`, whose parameters they set;
 * what `first` gives without a jump is the value of the whole. */
struct core_label *core_label_new(struct core_module *m, const core_var *params, size_t n);
struct core_expr *core_join(struct core_module *m, struct core_span at, struct core_label *label,
                            struct core_expr *first, struct core_expr *then);
struct core_expr *core_jump(struct core_module *m, struct core_span at, struct core_label *label,
                            struct core_expr *const *args, size_t n);

struct core_clause *core_clause(struct core_module *m, struct core_span at,
                                struct core_pat *const *pats, size_t n, struct core_expr *guard,
                                struct core_expr *body);
/* The values are evaluated once, then clauses are tried in order. A case that no clause matches
 * raises {case_clause, V} with the value, or the tuple of values when there are several; a front
 * end that wants something else ends with a clause that matches anything. */
struct core_expr *core_case(struct core_module *m, struct core_span at,
                            struct core_expr *const *values, size_t n_values,
                            struct core_clause *const *clauses, size_t n);
/* timeout NULL: waits forever (after is NULL too); otherwise milliseconds or the atom infinity.
 * No clauses: only waits. */
struct core_expr *core_receive(struct core_module *m, struct core_span at,
                               struct core_clause *const *clauses, size_t n,
                               struct core_expr *timeout, struct core_expr *after);
/* See struct core_try. All four variables are bound by the node. */
struct core_expr *core_try(struct core_module *m, struct core_span at,
                           struct core_expr *protected, core_var value, struct core_expr *body,
                           core_var class, core_var reason, core_var trace,
                           struct core_expr *handler);
/* Run `cleanup` for its effect when `protected` is left, by its value or by an exception. */
struct core_expr *core_after(struct core_module *m, struct core_span at,
                             struct core_expr *protected, struct core_expr *cleanup);

struct core_expr *core_call(struct core_module *m, struct core_span at,
                            const struct core_atom *name, struct core_expr *const *args, size_t n);
struct core_expr *core_local(struct core_module *m, struct core_span at,
                             const struct core_atom *name, unsigned arity);
struct core_expr *core_remote(struct core_module *m, struct core_span at,
                              struct core_expr *module, struct core_expr *function,
                              struct core_expr *const *args, size_t n);
/* The same with names known: core_bif for module erlang (also send, self, spawn ...). What has an
 * instruction gets it. */
struct core_expr *core_remote_named(struct core_module *m, struct core_span at, const char *module,
                                    const char *function, struct core_expr *const *args, size_t n);
struct core_expr *core_bif(struct core_module *m, struct core_span at, const char *function,
                           struct core_expr *const *args, size_t n);
struct core_expr *core_apply(struct core_module *m, struct core_span at, struct core_expr *callee,
                             struct core_expr *const *args, size_t n);
struct core_expr *core_and(struct core_module *m, struct core_span at, struct core_expr *a,
                           struct core_expr *b);
struct core_expr *core_or(struct core_module *m, struct core_span at, struct core_expr *a,
                          struct core_expr *b);
struct core_expr *core_prim(struct core_module *m, struct core_span at, enum core_prim prim,
                            struct core_expr *const *args, size_t n);

/* --- making patterns -------------------------------------------------------------------------- */

struct core_pat *cp_any(struct core_module *m, struct core_span at);
struct core_pat *cp_var(struct core_module *m, struct core_span at, core_var var);
struct core_pat *cp_alias(struct core_module *m, struct core_span at, core_var var,
                          struct core_pat *sub);
struct core_pat *cp_pin(struct core_module *m, struct core_span at, core_var var);
struct core_pat *cp_lit(struct core_module *m, struct core_span at, const struct core_const *lit);
struct core_pat *cp_tuple(struct core_module *m, struct core_span at,
                          struct core_pat *const *elements, size_t n);
struct core_pat *cp_cons(struct core_module *m, struct core_span at, struct core_pat *head,
                         struct core_pat *tail);
struct core_pat *cp_list(struct core_module *m, struct core_span at,
                         struct core_pat *const *elements, size_t n, struct core_pat *tail);
struct core_pat *cp_map(struct core_module *m, struct core_span at,
                        const struct core_map_pat *pairs, size_t n);
struct core_pat *cp_bits(struct core_module *m, struct core_span at,
                         const struct core_segment *segments, size_t n);

/* --- looking at it ---------------------------------------------------------------------------- */

/* Append the module in a text form for tests and people, one construct a line. */
void core_dump(struct buf *out, const struct core_module *m);
void core_dump_const(struct buf *out, const struct core_const *c);

/* Check the rules above. 0, -ERR_LIMIT when something is nested too deeply or has too many
 * parameters, or -ERR_ARGUMENT for a bug of the front end; ret_error says what and where. */
struct core_error {
    struct core_span span;
    char text[200];
};
MUST_CHECK int core_check(const struct core_module *m, struct core_error *ret_error);

#endif
