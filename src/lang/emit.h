/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.h - from a Core module to a .beam file
 */
#ifndef LANG_EMIT_H
#define LANG_EMIT_H

#include "lang/core.h"

/* Compile m, which is checked first (core_check) and may be changed by this: emit it once. Append
 * the file to out; the same module gives the same bytes always. 0, -ERR_LIMIT (something is nested
 * too deeply or too large: ret_error says what and where; a message for the user), -ERR_ARGUMENT
 * (a bug of the front end; the same). Memory comes from the module's arena. */
MUST_CHECK int lang_emit(struct core_module *m, struct buf *out, struct core_error *ret_error);

#endif
