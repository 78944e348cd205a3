/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - walking through the instructions of a .beam file
 *
 *     struct beam_cursor c;
 *     struct beam_instr in;
 *     beam_cursor_init(&c, &file);
 *     while ((rc = beam_next(&c, &in)) > 0)
 *         ...
 *     beam_cursor_fini(&c);
 *
 * Everything a cursor hands out is checked against the tables of the file: atom, literal and
 * label numbers are in range, registers too. What an operand must be for its instruction is the
 * loader's to check. One cursor is used by one thread at a time.
 */
#ifndef BEAM_DECODE_H
#define BEAM_DECODE_H

#include "beam/file.h"
#include "beam/opcodes.h"
#include "base/bytes.h"

#define BEAM_X_MAX     1024         /* x registers are 0..1023 */
#define BEAM_Y_MAX     65536
#define BEAM_FR_MAX    1024
#define BEAM_LIST_MAX  (1u << 20)   /* elements of one list operand */
#define BEAM_BIG_MAX   (1u << 20)   /* bytes of one integer operand */

enum beam_kind {
    BEAM_U,         /* u: untagged number (count, arity, import or fun row, string offset, flags) */
    BEAM_I,         /* i: integer that fits 64 bits */
    BEAM_BIG,       /* bytes: larger integer, two's complement, big-endian, lent from the file */
    BEAM_ATOM,      /* u: atom number, from 1 */
    BEAM_NIL,       /* [] */
    BEAM_X,         /* u: register; type is set when the file gives a hint */
    BEAM_Y,         /* the same */
    BEAM_F,         /* u: label; 0: none, failure raises */
    BEAM_FR,        /* u: float register */
    BEAM_LITERAL,   /* u: row of the literal table */
    BEAM_LIST,      /* list, n */
    BEAM_ALLOC,     /* alloc: heap room */
};

struct beam_arg {
    uint8_t kind;                       /* enum beam_kind */
    uint32_t type;                      /* of X and Y: row of the Type chunk plus 1; 0: no hint */
    union {
        uint64_t u;
        int64_t i;
        struct beam_bytes bytes;
        struct { const struct beam_arg *list; uint32_t n; };
        struct { uint32_t words, floats, funs; } alloc;
    };
};

struct beam_instr {
    unsigned op;                        /* enum beam_op, always an accepted one */
    unsigned argc;                      /* its arity */
    size_t at;                          /* offset of the opcode in file->code, for messages */
    struct beam_arg args[BEAM_ARITY_MAX];
};

struct beam_cursor {
    const struct beam_file *file;
    struct reader in;
    bool done;                          /* int_code_end was given */
    struct beam_arg *list;              /* owned; elements of the list of the last instruction */
    uint32_t list_cap;
    struct beam_error error;            /* set when beam_next fails */
};

void beam_cursor_init(struct beam_cursor *c, const struct beam_file *f);
void beam_cursor_fini(struct beam_cursor *c);

/* Decode the next instruction, the last one being int_code_end. 1: *ret_instr is filled (its list
 * is lent until the next call); 0: there is no more; -ERR_FORMAT or -ERR_LIMIT with c->error. */
MUST_CHECK int beam_next(struct beam_cursor *c, struct beam_instr *ret_instr);

/* Decode one compact number with its tag from r, as the line table does. -ERR_FORMAT. */
MUST_CHECK int beam_decode_number(struct reader *r, unsigned *ret_tag, int64_t *ret_value);

/* One instruction as text, for messages and the disassembler; appended to out. */
void beam_instr_print(struct buf *out, const struct beam_file *f, const struct beam_instr *in);

#endif
