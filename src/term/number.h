/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.h - integers and floats compared and converted by exact value
 *
 * Pure functions; any thread that may read the terms.
 */
#ifndef TERM_NUMBER_H
#define TERM_NUMBER_H

#include "term/term.h"

/* Nearest double of an integer (ties to even), or a float's own value; false when t is not a
 * number or too large for a double. */
bool number_to_double(term t, double *ret);

/* <0, 0, >0 by exact value, any mix of integers and floats; both must be numbers. */
int number_cmp(term a, term b);

#endif
