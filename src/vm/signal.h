/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.h - everything one process does to another, in one ordered stream per receiver
 *
 * The inbox is an intrusive multi-producer single-consumer list. Push: exchange the tail, link the
 * predecessor. Take: whoever owns the process. Two pushes by one sender are taken in that order.
 */
#ifndef VM_SIGNAL_H
#define VM_SIGNAL_H

#include "heap/heap.h"

#include <stdatomic.h>

enum signal_kind {
#define SIGNAL(name, text) SIG_##name,
#include "vm/signals.tab"
#undef SIGNAL
    SIG_COUNT,
};

struct sig {
    struct sig *_Atomic next;   /* [any] */
    uint8_t  kind;              /* [set] enum signal_kind */
    uint8_t  flags;
    uint16_t aux;
    uint32_t bytes;             /* [set] of the whole slab block */
    term     from;              /* [set] sender's pid, or TERM_NONE */
    term     a, b;              /* [set] operands; boxed ones live in the fragment */
    struct frag *frag;          /* [set] words of a and b, in the same slab block or NULL */
};

struct inbox {
    struct sig *_Atomic tail;   /* [any] last pushed */
    struct sig *head;           /* [own] next to take */
    struct sig  stub;           /* kept in the list when it is empty */
};

void inbox_init(struct inbox *in);
void inbox_push(struct inbox *in, struct sig *sig);             /* any thread; takes sig */
struct sig *inbox_take(struct inbox *in);                       /* owner; NULL: empty (or a push is unfinished) */
bool inbox_is_empty(const struct inbox *in);                    /* owner */

#endif
