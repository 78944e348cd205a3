/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - the one style of Rata sources
 *
 * Lines stay where the author broke them; what is between tokens and before lines is ours. So the
 * result is the same program, comments and all, and formatting it again changes nothing.
 */
#ifndef LANG_RATA_FORMAT_H
#define LANG_RATA_FORMAT_H

#include "lang/diag.h"

/* Append source number `file` of d in that style. False: it has errors, which are in d, or (with no
 * error in d) the result would not be the same program, which is a bug of ours. */
bool rata_format(struct diags *d, uint32_t file, struct buf *out);

#endif
