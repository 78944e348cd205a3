/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.h - making a .beam file
 *
 * A writer collects tables and code, and beam_writer_finish puts them into one file with the
 * chunks in the order of OTP's compiler. Tables hand out the numbers that operands use; asking
 * twice for the same atom, import, literal or line gives the same number. One thread at a time.
 */
#ifndef BEAM_WRITE_H
#define BEAM_WRITE_H

#include "base/bytes.h"
#include "beam/decode.h"

struct beam_writer;

/* module: UTF-8 name, becomes atom 1. */
struct beam_writer *beam_writer_new(const char *module, size_t len);
void beam_writer_free(struct beam_writer *w);       /* NULL is fine */

uint32_t beam_add_atom(struct beam_writer *w, const void *utf8, size_t len);    /* from 1 */
uint32_t beam_add_import(struct beam_writer *w, uint32_t module, uint32_t function,
                         uint32_t arity);
/* etf: a complete external term, with the 131. */
uint32_t beam_add_literal(struct beam_writer *w, const void *etf, size_t len);
/* Offset in the string table. */
uint32_t beam_add_string(struct beam_writer *w, const void *data, size_t len);
/* Number for the line instruction. file: UTF-8 name, or NULL for the module's own with .erl. */
uint32_t beam_add_line(struct beam_writer *w, const char *file, uint32_t line);

void beam_add_export(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label);
void beam_add_local(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label);
/* Row for make_fun3. arity counts the free variables too. The same function may have one row. */
uint32_t beam_add_fun(struct beam_writer *w, uint32_t function, uint32_t arity, uint32_t label,
                      uint32_t num_free);

/* External terms for module_info(attributes) and (compile). Without the first, [{vsn,[Digest]}];
 * without the second, []. */
void beam_set_attributes(struct beam_writer *w, const void *etf, size_t len);
/* One more {Key, Values} behind that vsn, as an external term without the 131. Not together with
 * beam_set_attributes. */
void beam_add_attribute(struct beam_writer *w, const void *etf, size_t len);
void beam_set_compile_info(struct beam_writer *w, const void *etf, size_t len);

/* One more chunk, behind all others; in no digest. tag: four letters. */
void beam_add_chunk(struct beam_writer *w, const char *tag, const void *data, size_t len);

/* Append one instruction. Its operands must have the numbers that the functions above gave. A type
 * hint of a register is left out. Any label number may be used; label 0 is none. */
void beam_emit(struct beam_writer *w, const struct beam_instr *in);
/* The same without a struct: args are op's. */
void beam_emit_args(struct beam_writer *w, enum beam_op op, const struct beam_arg *args);

/* The short ways to write an operand. */
#define BARG_U(v)       ((struct beam_arg){ .kind = BEAM_U, .u = (v) })
#define BARG_I(v)       ((struct beam_arg){ .kind = BEAM_I, .i = (v) })
#define BARG_ATOM(v)    ((struct beam_arg){ .kind = BEAM_ATOM, .u = (v) })
#define BARG_NIL        ((struct beam_arg){ .kind = BEAM_NIL })
#define BARG_X(v)       ((struct beam_arg){ .kind = BEAM_X, .u = (v) })
#define BARG_Y(v)       ((struct beam_arg){ .kind = BEAM_Y, .u = (v) })
#define BARG_F(v)       ((struct beam_arg){ .kind = BEAM_F, .u = (v) })
#define BARG_LITERAL(v) ((struct beam_arg){ .kind = BEAM_LITERAL, .u = (v) })

/* Complete the code with int_code_end and append the file to out. compress: gzip the whole. The
 * writer can only be freed after this. */
void beam_writer_finish(struct beam_writer *w, bool compress, struct buf *out);

/* Append one number in compact form with its tag (0 to 6). */
void beam_encode_number(struct buf *out, unsigned tag, int64_t value);

#endif
