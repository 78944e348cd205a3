/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disasm.h - a .beam file as the text that asm.h reads
 *
 * Assembled again the text gives a module that does the same: its code, tables, attributes and
 * lines. What only tools read is lost: debug information, documentation, hints of types.
 */
#ifndef BEAM_DISASM_H
#define BEAM_DISASM_H

#include "base/bytes.h"
#include "beam/file.h"

/* Append the text of f to out. -ERR_FORMAT with *ret_error when its code has a form that the text
 * has not (no compiler makes such); a part may have been appended. Any thread. */
MUST_CHECK int beam_disassemble(const struct beam_file *f, struct buf *out,
                                struct beam_error *ret_error);

#endif
