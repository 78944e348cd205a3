/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arith.h - integers and floats beyond what the engine does in line
 *
 * All return a term, or TERM_NONE with *ret_error = ATOM_badarith or ATOM_system_limit. Operands
 * are any terms; a non-number is badarith. Bignums use GMP's mpn functions on heap words.
 */
#ifndef HEAP_ARITH_H
#define HEAP_ARITH_H

#include "heap/heap.h"
#include "term/number.h"     /* number_cmp, number_to_double */

term arith_add(struct heap *h, term a, term b, term *ret_error);
term arith_sub(struct heap *h, term a, term b, term *ret_error);
term arith_mul(struct heap *h, term a, term b, term *ret_error);
term arith_fdiv(struct heap *h, term a, term b, term *ret_error);    /* '/' */
term arith_div(struct heap *h, term a, term b, term *ret_error);
term arith_rem(struct heap *h, term a, term b, term *ret_error);
term arith_neg(struct heap *h, term a, term *ret_error);
term arith_abs(struct heap *h, term a, term *ret_error);             /* badarg */
term arith_band(struct heap *h, term a, term b, term *ret_error);
term arith_bor(struct heap *h, term a, term b, term *ret_error);
term arith_bxor(struct heap *h, term a, term b, term *ret_error);
term arith_bnot(struct heap *h, term a, term *ret_error);
term arith_bsl(struct heap *h, term a, term b, term *ret_error);
term arith_bsr(struct heap *h, term a, term b, term *ret_error);
/* float/1, round, trunc, floor, ceil: *ret_error is badarg */
term arith_to_float(struct heap *h, term a, term *ret_error);
term arith_round(struct heap *h, term a, term *ret_error);
term arith_trunc(struct heap *h, term a, term *ret_error);
term arith_floor(struct heap *h, term a, term *ret_error);
term arith_ceil(struct heap *h, term a, term *ret_error);

term big_from_double(struct heap *h, double d);     /* d integral and finite */

/* Integers as text. base 2..36. */
size_t integer_text_max(term t, int base);          /* enough bytes for integer_print */
size_t integer_print(term t, int base, char *out);  /* upper case digits; returns the length */
/* [+-]digits; TERM_NONE when malformed or above the size limit of integers. */
term integer_parse(struct heap *h, const char *s, size_t len, int base);
/* [+-]digits.digits[(e|E)[+-]digits], all of it and in range; false otherwise. */
bool float_parse(const char *s, size_t len, double *ret);
/* Length of the longest start of s that has this form, 0: none. */
size_t float_text_span(const char *s, size_t len);
/* Integers as bytes: sign and magnitude (ETF) and two's complement of any bit width. */
size_t integer_bytes(term t);                       /* bytes of the magnitude */
/* The low len bytes of the magnitude, zeros above it. */
void integer_to_bytes_le(term t, uint8_t *out, size_t len, bool *ret_negative);
/* Any len, leading zeros included; TERM_NONE above the size limit of integers. */
term integer_from_bytes_le(struct heap *h, const uint8_t *in, size_t len, bool negative);
/* Store the low `bits` bits (two's complement) at any bit position, big or little endian. */
void integer_put_bits(term t, uint8_t *dst, uint64_t dst_bit, uint64_t bits, bool little);
/* Read such a field; TERM_NONE above the size limit of integers. */
term integer_get_bits(struct heap *h, const uint8_t *src, uint64_t src_bit, uint64_t bits,
                      bool little, bool is_signed);

#endif
