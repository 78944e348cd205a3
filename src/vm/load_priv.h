/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_priv.h - the loader's state while it makes an image of one file
 *
 * load.c reads the tables, load_code.c turns generic instructions into operations, load_emit.c
 * chooses variants, fuses neighbours and writes the code. One thread; nothing is shared until the
 * image is committed.
 */
#ifndef VM_LOAD_PRIV_H
#define VM_LOAD_PRIV_H

#include "beam/decode.h"
#include "vm/code_priv.h"
#include "vm/ops/op.h"

#define HANDLER_OF_TRY 1u
#define FRAME_UNKNOWN (-2)
#define FRAME_NONE    (-1)
#define FRAME_MIXED   (-3)     /* reached with different frames; minus the y registers of all */
#define FRAME_MAX     8000      /* y registers: displacements are 16 bits wide */

/* One operand on its way to a variant. Classes: x y (n: displacement), k constant term (n), f label
 * (n), n number, l float register (displacement), p 64 bits, t table. */
struct operand {
    char     class;
    int64_t  n;
    const term *words;          /* t: n words */
    uint32_t label_from, label_step;    /* t: words that are label numbers; step 0: none */
};

/* The longest that is fused, and what makes a call behind it a tail call. */
#define LOAD_QUEUE_MAX (OP_FUSE_MAX + 2)

struct pending {
    uint16_t op;
    uint8_t  n;
    int32_t  frame;
    uint32_t line;
    struct operand o[OP_OPERANDS_MAX];
};

struct fixup { uint32_t instr, field, label; bool wide; };

struct loader {
    struct beam_file file;
    struct image *image;
    struct load_error *error;
    int      rc;                        /* first failure */
    term     module;

    term    *atoms;                     /* by number */
    struct export **imports;
    term    *literals;                  /* file literals, then integers of the code */
    size_t   n_literals, cap_literals;
    struct {
        const uint8_t *bytes;
        int64_t value;
    } * bigs; /* integers, same order, from n_literals */
    size_t   n_bigs, cap_bigs;

    uint32_t *label_off;                /* offset in code + 1; 0: not seen */
    int32_t  *label_frame;
    uint16_t *handler_y;                /* displacement of the catch slot, for labels of handlers;
                                           with HANDLER_OF_TRY */
    uint16_t *entry_arity;              /* arity + 1 of the function a label enters; 0: none */
    bool      frames_changed;           /* or states at labels */
    struct verifier *verifier;          /* load_verify.c */

    uint64_t *code;
    size_t   words, cap;
    struct fixup *fixups;
    size_t   n_fixups, cap_fixups;
    size_t   cap_ranges, cap_functions;
    struct pending queue[LOAD_QUEUE_MAX];
    unsigned queued;
    term *tables; /* words of queued tables, released when the queue empties */
    size_t   n_tables, cap_tables;

    /* the instruction being looked at */
    bool     measuring;                 /* first passes: frames of labels only */
    int32_t  frame;
    bool     dead;                      /* no way leads here */
    uint32_t line;
    size_t   at;
    term     function;                  /* the one being looked at, and its arity */
    uint32_t arity;
    bool     entry_next;                /* the next label is a function's entry */
    bool     at_handler;                /* the instruction is the first of a handler */
    uint16_t handler_next;              /* the next instruction must end the catch in this slot */
};

/* Refuse the file; the first reason is kept. Always returns false. */
bool load_fail(struct loader *ld, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* load_code.c: translate all instructions into ld->image. */
bool load_code(struct loader *ld);

/* load_emit.c */
void emit(struct loader *ld, enum op_id op, unsigned n, const struct operand *o);
void emit_flush(struct loader *ld);             /* before a label */
term *emit_table(struct loader *ld, size_t words);      /* room that lives until the flush */
bool emit_finish(struct loader *ld);            /* resolve labels */
uint32_t emit_offset(const struct loader *ld);  /* bytes so far; after a flush */
void emit_range(struct loader *ld, int32_t frame, uint32_t line);
/* A register or constant as one word of a table. */
term any_word(const struct operand *o);

/* An integer of the code that is no small, as a literal. */
term load_big(struct loader *ld, const struct beam_arg *a);

#endif
