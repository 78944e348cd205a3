/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.h - lines from a person at a terminal, for the shells of the languages
 */
#ifndef BIF_EDIT_H
#define BIF_EDIT_H

#include "base/bytes.h"

enum edit_result { EDIT_LINE, EDIT_END, EDIT_INTERRUPT };

/* Filled by a program that has a line editor, before vm_start; NULL in all others. */
struct edit_hooks {
    bool (*is_terminal)(void);
    /* Append a line without its end to out. words: what may be completed besides what the editor
     * knows itself, with blanks between; NULL: nothing is. Blocks; called by one thread at a time,
     * on one of the threads for blocking work. */
    enum edit_result (*read_line)(const char *prompt, const char *words, struct buf *out);
};

extern const struct edit_hooks *edit_hooks;

#endif
