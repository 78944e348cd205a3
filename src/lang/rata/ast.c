/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ast.c - lists of nodes, the dump, comparison of trees
 */
#include "lang/rata/ast.h"

#include <string.h>

void node_list_add(struct arena *a, struct node_list *list, struct node *n)
{
    list->at = arena_grow(a, list->at, list->n, &list->cap, sizeof *list->at);
    list->at[list->n++] = n;
}

static const char *const kind_names[] = {
#define NODE(name, parts) #name,
#include "lang/rata/nodes.tab"
#undef NODE
};

static void dump_text(struct buf *out, const struct node *n)
{
    buf_str(out, " \"");
    for (uint32_t i = 0; i < n->text_len; i++) {
        unsigned char c = (unsigned char)n->text[i];

        if (c < 32 || c == '"' || c == '\\' || c == 127)
            buf_printf(out, "\\x%02x", c);
        else
            buf_u8(out, c);
    }
    buf_u8(out, '"');
}

static void dump(struct buf *out, const struct node *n, int indent, const char *role)
{
    if (n == NULL)
        return;
    buf_printf(out, "%*s%s%s", indent, "", role, kind_names[n->kind]);
    if (n->kind == N_BINARY || n->kind == N_UNARY)
        buf_printf(out, " %s", token_name(n->op));
    if (n->text != NULL)
        dump_text(out, n);
    if (n->number != 0)
        buf_printf(out, " %u", n->number);
    if (n->flag)
        buf_str(out, " flag");
    buf_printf(out, " @%u-%u\n", n->span.from, n->span.to);
    for (size_t i = 0; i < n->list.n; i++)
        dump(out, n->list.at[i], indent + 2, "- ");
    dump(out, n->a, indent + 2, "a: ");
    dump(out, n->b, indent + 2, "b: ");
    dump(out, n->c, indent + 2, "c: ");
}

void node_dump(struct buf *out, const struct node *root)
{
    dump(out, root, 0, "");
}

static const struct node *bare(const struct node *n)
{
    while (n != NULL && n->kind == N_PAREN)
        n = n->a;
    return n;
}

bool node_equal(const struct node *a, const struct node *b)
{
    a = bare(a);
    b = bare(b);
    if (a == NULL || b == NULL)
        return a == b;
    if (a->kind != b->kind || a->op != b->op || a->number != b->number
        || a->list.n != b->list.n || (a->text == NULL) != (b->text == NULL)
        || a->text_len != b->text_len)
        return false;
    if (a->kind != N_CLAUSE && a->flag != b->flag)
        return false;
    if (a->text != NULL && memcmp(a->text, b->text, a->text_len) != 0)
        return false;
    for (size_t i = 0; i < a->list.n; i++)
        if (!node_equal(a->list.at[i], b->list.at[i]))
            return false;
    return node_equal(a->a, b->a) && node_equal(a->b, b->b) && node_equal(a->c, b->c);
}
