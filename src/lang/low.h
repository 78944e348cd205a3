/* SPDX-License-Identifier: Apache-2.0 */
/*
 * low.h - the emitter's form of a function: blocks of instructions over variables set once
 *
 * Private to the room. A function is a graph of blocks. Every variable has one definition, which
 * stands on all ways to its uses; where ways meet, the block there has parameters and each jump to
 * it gives their values. Only receives make loops: all else runs forward. The last instruction of
 * a block is its terminator: it alone has successors.
 *
 * The passes, in order; each says in its file what it needs and leaves:
 *   free.c      counts uses and finds the free variables of closures (over Core)
 *   lower.c     Core to blocks; match.c for clauses
 *   tidy.c      merges blocks, drops parameters, dead instructions; fuses comparison and branch
 *   facts.c     types and values known on the way to a block; drops tests they decide
 *   markers.c   receives that start behind old messages
 *   floats.c    arithmetic on unboxed floats
 *   context.c   match contexts handed on in calls
 *   frame.c     which blocks have a stack frame, which variables live in it
 *   regs.c      registers
 *   code.c      instructions of the file
 */
#ifndef LANG_LOW_H
#define LANG_LOW_H

#include "lang/core.h"
#include "lang/emit.h"

#include "beam/write.h"

#include <string.h>

struct low_block;
struct low_instr;

/* Sets of types: what a value may be. */
enum {
    T_INT = 1 << 0, T_FLOAT = 1 << 1, T_TRUE = 1 << 2, T_FALSE = 1 << 3, T_OTHER_ATOM = 1 << 4,
    T_NIL = 1 << 5, T_CONS = 1 << 6, T_TUPLE = 1 << 7, T_MAP = 1 << 8, T_BITS = 1 << 9,
    T_FUN = 1 << 10, T_PID = 1 << 11, T_PORT = 1 << 12, T_REF = 1 << 13,
    T_ANY = (1 << 14) - 1,
    T_BOOL = T_TRUE | T_FALSE, T_ATOM = T_BOOL | T_OTHER_ATOM, T_NUMBER = T_INT | T_FLOAT,
    T_LIST = T_NIL | T_CONS,
    T_NOGUARD = 1 << 15,            /* of a row in bifs.tab */
};

enum bif_kind { BIF_TEST, BIF_BIF, BIF_GC };

struct bif_row { const char *name; unsigned arity; enum bif_kind kind; unsigned result; };

/* Row of erlang:name/arity, or NULL. */
const struct bif_row *low_bif(const char *name, unsigned arity);

/* Types of its result, for arguments of types. */
uint32_t low_bif_type(const struct bif_row *row, const uint32_t *types);
uint32_t low_const_type(const struct core_const *c);

/* A variable, or a constant. var 0 and lit NULL: nothing. */
struct low_val { uint32_t var; const struct core_const *lit; };

/* memcpy wants no NULL, not even for nothing. */
ALWAYS_INLINE void low_copy(struct low_val *to, const struct low_val *from, size_t n)
{
    if (n > 0)
        memcpy(to, from, n * sizeof *to);
}

#define VAL_VAR(v) ((struct low_val){ .var = (v) })
#define VAL_LIT(c) ((struct low_val){ .lit = (c) })

enum low_op {
    LO_TUPLE, LO_CONS, LO_FUN, LO_MAP, LO_BITS,
    LO_HEAD, LO_TAIL, LO_ELEMENT,
    LO_BIF,                         /* fails with an exception */
    LO_CALL, LO_CALL_EXT, LO_CALL_FUN, LO_APPLY, LO_SEND,
    LO_TRY, LO_TRY_END, LO_TRY_CASE, LO_STACKTRACE,
    LO_COPY,                        /* to the frame */
    LO_REMOVE_MESSAGE, LO_TIMEOUT,
    LO_MARK_RESERVE, LO_MARK_BIND, LO_MARK_USE, LO_MARK_CLEAR,
    LO_BS_TAIL, LO_BS_POSITION, LO_BS_SEEK,
    LO_FMOVE, LO_FCONV, LO_FBIN, LO_FBOX,
    /* terminators */
    LO_RETURN, LO_JUMP,
    LO_IF,                          /* a test of bifs.tab: to[0] true, to[1] false */
    LO_IF_LIT,                      /* args[0] is exactly args[1] */
    LO_IF_ARITY, LO_IF_TAGGED,      /* a tuple of size imm; and first element args[1] */
    LO_SWITCH, LO_SWITCH_ARITY,     /* cases; to[n_cases] is for what is not among them */
    LO_BIF_TRY,                     /* to[1] when it fails */
    LO_MAP_GET,                     /* args: map, keys; dst: values */
    LO_BS_START, LO_BS_INT, LO_BS_FLOAT, LO_BS_BINARY, LO_BS_UTF, LO_BS_SKIP,
    LO_BS_SKIP_UTF, LO_BS_AT_END, LO_BS_UNIT, LO_BS_STRING,
    LO_LOOP_REC, LO_LOOP_REC_END, LO_WAIT, LO_WAIT_TIMEOUT,
    LO_BADMATCH, LO_CASE_END, LO_IF_END, LO_TRY_CASE_END, LO_FUNC_INFO, LO_RERAISE,
    LO_TAIL_CALL, LO_TAIL_EXT, LO_TAIL_FUN, LO_TAIL_APPLY,
    LO_UNREACHABLE,
};

#define LOW_IS_TERM(op) ((op) >= LO_RETURN)
#define LOW_IS_CALL(op) ((op) >= LO_CALL && (op) <= LO_SEND)

/* imm of arithmetic, set by facts.c. LOW_FLOAT_ARG << i: argument i is a float. */
enum { LOW_FLOAT_RESULT = 1, LOW_FLOAT_ARG = 2, LOW_FLOAT_CHAIN = 8 };

struct low_case { const struct core_const *lit; uint32_t arity; };

struct low_instr {
    struct low_instr *prev, *next;
    enum low_op op;
    uint16_t n, n_dst, n_to;
    bool exact;                         /* LO_MAP */
    uint32_t imm;                       /* index, arity, flags ... */
    uint32_t unit;                      /* of a segment */
    uint32_t line, file;                /* 0: none */
    uint16_t live;                      /* x registers in use just before; regs.c */
    struct low_val *args;
    uint32_t *dst;                      /* variables */
    struct low_block **to;
    union {
        const struct bif_row *bif;
        struct low_case *cases;         /* n_to - 1 of them */
        const struct core_segment *segments;    /* LO_BITS: types, flags, units; see code.c */
        struct low_function *fun;       /* LO_CALL, LO_FUN */
        struct { const struct core_atom *module, *function; };
        const struct core_const *string;        /* LO_BS_STRING */
    };
};

/* The x registers that hold a term; code.c. */
struct x_set { uint64_t bits[16]; };

struct low_block {
    struct low_instr *first, *last;
    uint32_t *params;
    uint32_t n_params;
    uint32_t order;                     /* place in function->blocks; UINT32_MAX: unreachable */
    struct low_block **preds;           /* of low_order */
    uint32_t n_preds, cap_preds;
    struct low_block *handler;          /* where exceptions in here go, or NULL */
    struct low_block *idom;
    struct low_block *kid, *sibling;    /* the dominator tree; facts.c */
    bool mark, loop;                    /* loop: a receive comes back here */
    bool framed, allocates, raises;     /* frame.c */
    uint32_t label;                     /* code.c */
    uint32_t region;                    /* regs.c: frames that meet have one size */
    uint32_t slots;                     /* y registers of the frame */
    uint32_t stamp;
    struct x_set x_set;                 /* at its start */
    uint32_t *live_in;                  /* frame.c: variables, no order; parameters not */
    uint32_t n_live, cap_live;
};

struct low_var {
    uint32_t uses;                      /* tidy.c */
    uint32_t type;                      /* T_*; facts.c */
    const struct told *told;            /* NULL: nothing; infer.c */
    int32_t arity;                      /* of a tuple, when known and type is T_TUPLE; else -1 */
    int16_t x, y;                       /* registers; -1: none */
    int16_t hint;                       /* the x register it would like */
    bool in_frame;                      /* has a y register */
    bool copied;                        /* set by LO_COPY wherever a frame is made */
    uint32_t copy;                      /* the variable that has it in the frame, or 0 */
    uint32_t first, last;               /* where it is alive, in numbers of instructions */
    bool is_tag;                        /* of a try */
    bool is_float;                      /* an unboxed one */
    uint8_t tag_depth;
    struct low_instr *def;              /* NULL: a parameter */
    struct low_block *block;
    struct low_val alias;               /* is the same as */
};

/* A function of the file. */
struct low_function {
    struct low_function *next;
    const struct core_atom *name;
    uint32_t arity;                     /* free variables included */
    uint32_t n_free;
    struct core_fun *core;
    uint32_t entry_label, info_label;
    int32_t row;                        /* in the fun table, or -1 */
    const struct core_atom *top_name;   /* of a lambda: the function of the source around it */
    uint32_t top_arity;
    bool exported;
    const struct told **params_told, *result_told;      /* infer.c */
    uint32_t n_changes;                 /* of these */
    bool queued;
    struct low_function **callers;
    size_t n_callers, cap_callers;
    uint8_t *accepts;                   /* [parameter]: enum low_accepts; context.c */
    struct low *low;
};

/* May a parameter be given a match context instead of a binary; is it anywhere? */
enum low_accepts { CONTEXT_NEVER, CONTEXT_ACCEPTED, CONTEXT_GIVEN };

/* One function at work. */
struct low {
    struct arena *arena;
    struct core_module *m;
    struct low_function *fn;
    struct low_block *entry;
    struct low_block **blocks;          /* in order; low_order */
    uint32_t n_blocks;
    struct low_var *vars;               /* [0] is none */
    size_t n_vars, cap_vars;
    uint32_t n_tags;                    /* deepest nesting of tries */
    bool loops;                         /* a receive is in it */
    bool too_many;                      /* registers */
    bool has_floats;                    /* unboxed ones */
};

struct low_block *low_block_new(struct low *l, struct low_block *handler);
uint32_t low_var_new(struct low *l);
/* Append to b, which has no terminator yet; with room for n arguments, results, successors. */
struct low_instr *low_instr_new(struct low *l, struct low_block *b, enum low_op op, size_t n,
                                size_t n_dst, size_t n_to);
struct low_instr *low_instr_bare(struct low *l, enum low_op op, size_t n, size_t n_dst,
                                 size_t n_to);
void low_insert(struct low_block *b, struct low_instr *before, struct low_instr *in);
void low_remove(struct low_block *b, struct low_instr *in);
void low_append(struct low_block *b, struct low_instr *in);
/* Jump to `to` with n values. */
struct low_instr *low_jump(struct low *l, struct low_block *b, struct low_block *to,
                           const struct low_val *args, size_t n);
struct low_val low_resolve(const struct low *l, struct low_val v);

/* Find what can be reached, order it so that all but the ways back of receives lead forward, and
 * fill preds. true-ways come directly behind where they can. */
void low_order(struct low *l);
/* For changes between two calls of it: there is one more way to `to`. */
void low_add_pred(struct low *l, struct low_block *to, struct low_block *from);
void low_dump(struct buf *out, const struct low *l);

/* Core to blocks. */
struct unit;                            /* emit_priv.h */
int low_function_make(struct unit *u, struct low_function *fn, struct low *ret_low);

void tidy(struct low *l);               /* leaves order, preds, uses */
void facts(struct low *l);
void markers(struct low *l);
void floats(struct low *l);             /* needs what tidy leaves; then tidy again */
void floats_registers(struct low *l);
void low_dominators(struct low *l);     /* fills idom, kid, sibling */
/* For all functions of the module: first the first, then the second, then the third. */
void context_accepts(struct low *l);
void context_hand_on(struct low *l);
void context_remake(struct low *l);
void frame_place(struct low *l);
void low_liveness(struct low *l);       /* fills live_in; sets block and def of variables */
bool low_clobbers(const struct low_instr *in);      /* does nothing in x survive it? */
void regs_assign(struct low *l);

#endif
