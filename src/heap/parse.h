/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - one Erlang term from text, for people at a terminal and for tests
 *
 * Reads what ~w prints, and what one would type: {a,[1,2.5|T]}, "str", 'atom', $c, 16#ff,
 * <<"x",1:3,"y"/utf8>>, #{k=>v}, <0.1.2>, #Ref<0.1.2.3>, #Port<0.7>, blanks and % comments.
 * No variables, funs, operators or calls. Any bytes are safe; nesting is limited.
 */
#ifndef HEAP_PARSE_H
#define HEAP_PARSE_H

#include "heap/heap.h"

#define PARSE_DEPTH_MAX 500

/* Read the term at the start of text, building into h. *ret_used: bytes up to the end of the term
 * (what follows is the caller's business). TERM_NONE: err has a message with the place. */
term parse_term(struct heap *h, const char *text, size_t len, size_t *ret_used, char *err,
                size_t err_len);

#endif
