/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.h - texts of a node that a stranger may read
 *
 * What looks like a secret is replaced by "(secret)": invitations, and what stands behind a word such
 * as password or token. With MASK_TEXTS the contents of quoted texts and binaries go, too, and long
 * words that mix letters and digits. It errs on the side of masking; no thread of its own, no state.
 */
#ifndef CTL_MASK_H
#define CTL_MASK_H

#include "base/bytes.h"

enum mask { MASK_SECRETS, MASK_TEXTS };

void mask_text(struct buf *out, const char *text, enum mask mask);
/* Lines as rnodectl logs prints them. Of what programs logged, and of what people asked the node to
 * evaluate, only the length is left. */
void mask_log(struct buf *out, const char *lines);

#endif
