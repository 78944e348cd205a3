/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.h - what the files about numbers as text share
 */
#ifndef BIF_NUMBER_H
#define BIF_NUMBER_H

#include "term/term.h"

/* Length of the start of s that is an integer in base, with an optional sign; 0: none. */
size_t integer_text_span(const char *s, size_t len, int base);

/* The list after its first n elements, which exist. */
term list_skip(term list, size_t n);

#endif
