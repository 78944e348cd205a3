/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - from tokens to a tree
 */
#ifndef LANG_RATA_PARSE_H
#define LANG_RATA_PARSE_H

#include "lang/rata/ast.h"

struct parsed {
    struct node *root;          /* a BLOCK of items: MODULE, LIBRARY, statements */
    bool incomplete;            /* the text ended inside a construct: more text may complete it */
};

/* Read source number `file` of d. Errors go to d; the tree then lacks what was in error. */
void rata_parse(struct diags *d, uint32_t file, struct parsed *ret_parsed);

#endif
