/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asm.h - the assembler: instructions as text to a .beam file
 *
 * A line is a directive, a label or an instruction of opcodes.tab; % begins a comment. Brackets
 * may go over several lines.
 *
 *     module counter                    the first line
 *     export start/0 add/1              functions that others may call
 *     attribute author "someone"        for module_info(attributes)
 *     attributes [{author, ["x"]}]      all of them as one term, instead
 *     compile_info []                   what module_info(compile) gives
 *     strings "abc"                     the start of the string table
 *     file "counter.s"                  file of the line numbers that follow
 *     function add/1                    its code follows, up to the next function
 *     function add/1 17                 the same, at line 17 of its file (none: at no place)
 *     loop:                             a label, known inside the function
 *         line                          this line of the text is where the next call is
 *         line 18                       or another one, or none
 *         move x0 y1                    registers: x0.. y0.. fr0..
 *         move {ok, [1, "two"]} x0      terms as in Erlang; 'x0' is the atom
 *         is_eq_exact @loop x0 -7       @label; @none where a failure raises
 *         call_ext 2 erlang:'+'/2       functions of other modules, built-ins included
 *         call 1 add/1                  functions of this module
 *         test_heap room(3,1,0) 2       heap room: words, floats, funs
 *         select_val x0 @none [ok @a error @b]      lists of operands: commas are optional
 *         make_fun3 body/2 x0 [x1]      free variables are the last arguments of body
 *         bs_put_string 3 "abc"         strings of the string table, or an offset
 *
 * A number is what its place asks for (a count or a term); =7 is always a count and #7 a term.
 * Each function begins with its own func_info, which @clause names: jump there when no clause
 * matches. module_info/0 and /1 are added when the text has none.
 *
 * Any thread; no state between calls.
 */
#ifndef BEAM_ASM_H
#define BEAM_ASM_H

#include "base/bytes.h"
#include "beam/text.h"

struct asm_options {
    bool compress;          /* gzip the file */
};

/* Assemble text; source is its name for line tables. Appends the file to out. -ERR_FORMAT with
 * *ret_error; out is then unchanged. */
MUST_CHECK int beam_assemble(const char *text, size_t len, const char *source,
                             const struct asm_options *options, struct buf *out,
                             struct text_error *ret_error);

#endif
