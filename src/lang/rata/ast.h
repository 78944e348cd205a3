/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ast.h - the tree of one source file
 *
 * One shape for all nodes; nodes.tab says what each kind uses. Nodes live in the arena of the
 * compile. The parser writes everything but the fields of the resolver.
 */
#ifndef LANG_RATA_AST_H
#define LANG_RATA_AST_H

#include "lang/diag.h"
#include "lang/rata/lex.h"

enum node_kind {
#define NODE(name, parts) N_##name,
#include "lang/rata/nodes.tab"
#undef NODE
    N_COUNT
};

/* No path from the root of an expression to a leaf is longer. */
#define NODE_DEPTH_MAX 600

struct node;

struct node_list {
    struct node **at;
    size_t n, cap;
};

struct node {
    uint8_t kind;               /* enum node_kind */
    uint8_t op;                 /* enum tok of BINARY and UNARY */
    bool flag;
    bool has_return;            /* a `return` of the function it stands in is inside; resolver */
    uint16_t depth;             /* longest path to a leaf */
    uint32_t text_len;
    struct span span;           /* the construct */
    struct span mark;           /* what to show of it: the name of a member, an operator */
    uint32_t number;
    const char *text;           /* NUL-terminated, may hold NUL (text_len) */
    struct node *a, *b, *c;
    struct node_list list;
    union {                     /* of the resolver */
        struct binding *bound;      /* NAME, PIN, patterns that bind, TRY with `as` */
        struct callee *callee;      /* CALL, CAPTURE, MEMBER and NAME that mean a function */
        const char *module;         /* MODULE_NAME, MEMBER, SELF, ATOM that mean a module */
    };
    uint8_t meaning;            /* enum meaning, resolver */
};

/* Append a tree, one node a line, indented. For tests and people. */
void node_dump(struct buf *out, const struct node *root);

void node_list_add(struct arena *a, struct node_list *list, struct node *n);

/* Does the tree hold the same program as the other? Positions and PAREN do not count. */
bool node_equal(const struct node *a, const struct node *b);

#endif
