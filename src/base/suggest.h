/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.h - which known word a mistyped one was meant to be
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include "base/compiler.h"

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; words of up to 63 bytes,
 * longer ones are cut. */
size_t edit_distance(const char *a, const char *b);

/* The nearest of n words, or NULL when none is near enough to be meant: one edit in words of less
 * than six letters, in longer ones a third of their letters and one more. */
const char *suggest_nearest(const char *word, const char *const *known, size_t n);

#endif
