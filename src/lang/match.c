/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c - clauses to decision trees
 *
 * A row is a clause on its way: which places must still have which pattern, and what is bound so
 * far. The first row picks the place to look at; the rows are then split by what may be there, and
 * each part is compiled alone (L. Maranget, "Compiling pattern matching to good decision trees",
 * 2008; in the shape of J. Jacobs, "How to compile pattern matching", 2021). So no way through the
 * tree tests a place twice.
 *
 * A row that says nothing about the place belongs to every part. Where that would copy too many
 * rows, only the rows before the first such one are split; the rest becomes one block that all
 * failures share (the "mixture rule": L. Augustsson, "Compiling pattern matching", 1985). The
 * segments of bitstrings, whose tests do not exclude each other, are always split that way.
 */
#include "lang/lower_priv.h"

#include "base/assert.h"
#include "base/errors.h"

#include <string.h>

#define COPIES_MAX  48      /* rows copied at one split before the mixture rule is used */
#define LOOK_MAX    32      /* rows that are counted to choose a place */
#define DEPTH_MAX   4000    /* nested tests: C stack */
#define PREFIX_BYTES 7      /* of texts, read as one number, which is a small one then */

enum need_kind {
    NEED_LIT, NEED_TUPLE, NEED_CONS, NEED_MAP, NEED_BITS,   /* of the value as such */
    NEED_KEY,                                               /* of what a map has under a key */
    NEED_SEGMENTS,                                          /* of a match context, at a place */
    NEED_EQUAL,
};

/* A position in a match context. */
struct place {
    uint32_t context;                   /* variable; 0: the value is no context yet */
};

/* One thing a row asks for. Lists of them are shared and never changed. */
struct need {
    const struct need *next;
    enum need_kind kind;
    struct low_val value;               /* where */
    uint32_t n, from;                   /* arity; segments from `from` on */
    const struct core_const *lit;
    const struct core_pat *pat;
    struct low_val other;               /* NEED_EQUAL: the value; NEED_KEY: the key */
    struct place *place;                /* NEED_SEGMENTS */
};

struct binding { const struct binding *next; core_var var; struct low_val value; };

struct row {
    const struct need *needs;           /* in the order of the patterns */
    const struct binding *bound;
    uint32_t clause;
};

/* What is known of contexts on this way, newest first: where one stands now; or, with saved, the
 * value for going back to a place. */
struct stand {
    const struct stand *next;
    uint32_t context;
    const struct place *place;
    struct low_val saved;
};

struct match {
    struct lower *w;
    struct core_clause *const *clauses;
    struct low_block **bodies;
    core_var **vars;                    /* [clause]: what the parameters of its body stand for */
    uint32_t depth;
};

static void match_rows(struct match *m, struct row *rows, size_t n, struct low_block *fail,
                       const struct stand *stand);

static struct low_block *new_block(struct match *m)
{
    return lower_new_block(m->w);
}

/* --- rows ------------------------------------------------------------------------------------- */

static struct need *need_new(struct match *m, enum need_kind kind, struct low_val value)
{
    struct need *n = ARENA_NEW(m->w->u->arena, struct need);

    n->kind = kind;
    n->value = value;
    return n;
}

static struct low_val bound_value(const struct row *r, core_var v)
{
    for (const struct binding *b = r->bound; b != NULL; b = b->next)
        if (b->var == v)
            return b->value;
    return (struct low_val){ 0 };
}

static void add_need(struct row *r, struct need *n)
{
    n->next = r->needs;
    r->needs = n;
}

/* The variable is bound to value; when it is already, both must be equal. */
static void bind(struct match *m, struct row *r, core_var v, struct low_val value)
{
    struct low_val old = bound_value(r, v);
    struct binding *b;

    if (old.var != 0 || old.lit != NULL) {
        struct need *n = need_new(m, NEED_EQUAL, value);

        n->other = old;
        add_need(r, n);
        return;
    }
    b = ARENA_NEW(m->w->u->arena, struct binding);
    *b = (struct binding){ r->bound, v, value };
    r->bound = b;
}

static struct need *need_lit(struct match *m, struct low_val value, const struct core_const *lit)
{
    struct need *n = need_new(m, NEED_LIT, value);

    n->lit = lit;
    if (lit->kind == CC_CONS) {
        n->kind = NEED_CONS;
    } else if (lit->kind == CC_TUPLE) {
        n->kind = NEED_TUPLE;
        n->n = lit->n;
    }
    return n;
}

/* Put what the pattern asks of value in front of the needs of r. */
static void add_pattern(struct match *m, struct row *r, const struct core_pat *p,
                        struct low_val value)
{
    struct need *n;

    while (p->kind == CP_ALIAS) {
        bind(m, r, p->var, value);
        p = p->sub;
    }
    switch (p->kind) {
    case CP_ANY:
        return;
    case CP_VAR:
        bind(m, r, p->var, value);
        return;
    case CP_PIN:
        n = need_new(m, NEED_EQUAL, value);
        n->other = lower_get(m->w, p->var, p->span);
        break;
    case CP_LIT:
        n = need_lit(m, value, p->lit);
        break;
    case CP_TUPLE:
        n = need_new(m, NEED_TUPLE, value);
        n->n = p->n;
        break;
    case CP_CONS:
        n = need_new(m, NEED_CONS, value);
        break;
    case CP_MAP:
        n = need_new(m, NEED_MAP, value);
        break;
    default:
        n = need_new(m, NEED_BITS, value);
        break;
    }
    n->pat = p;
    add_need(r, n);
}

/* Element i of what a need of a tuple or cons asks for. */
static void add_element(struct match *m, struct row *r, const struct need *n, uint32_t i,
                        struct low_val value)
{
    const struct core_const *c = n->lit;

    if (c == NULL)
        add_pattern(m, r, n->pat->elements[i], value);
    else if (c->kind == CC_CONS)
        add_need(r, need_lit(m, value, i == 0 ? c->head : c->tail));
    else
        add_need(r, need_lit(m, value, c->elements[i]));
}

static bool same_value(struct low_val a, struct low_val b)
{
    return a.var == b.var && (a.var != 0 || a.lit == b.lit);
}

/* What r asks of a value as such. */
static const struct need *need_of(const struct row *r, struct low_val value)
{
    for (const struct need *n = r->needs; n != NULL; n = n->next)
        if (n->kind <= NEED_BITS && same_value(n->value, value))
            return n;
    return NULL;
}

static const struct need *need_key(const struct row *r, struct low_val map, struct low_val key)
{
    for (const struct need *n = r->needs; n != NULL; n = n->next)
        if (n->kind == NEED_KEY && same_value(n->value, map)
            && (same_value(n->other, key)
                || (key.lit != NULL && n->other.lit != NULL && cc_equal(n->other.lit, key.lit))))
            return n;
    return NULL;
}

static const struct need *need_at(const struct row *r, const struct place *p)
{
    for (const struct need *n = r->needs; n != NULL; n = n->next)
        if (n->kind == NEED_SEGMENTS && n->place == p)
            return n;
    return NULL;
}

/* r without need n. */
static void drop_need(struct match *m, struct row *r, const struct need *n)
{
    const struct need *list = r->needs;
    struct need *copy, *last = NULL;

    r->needs = NULL;
    for (; list != n; list = list->next) {
        copy = ARENA_NEW(m->w->u->arena, struct need);
        *copy = *list;
        *(last != NULL ? &last->next : &r->needs) = copy;
        last = copy;
    }
    *(last != NULL ? &last->next : &r->needs) = n->next;
}

static struct row *rows_copy(struct match *m, const struct row *rows, size_t n)
{
    return arena_dup(m->w->u->arena, rows, n * sizeof *rows);
}

static struct row *rows_new(struct match *m, size_t n)
{
    return ARENA_NEW_ARRAY(m->w->u->arena, struct row, n + 1);
}

/* Does a value that satisfies a satisfy b for sure, as far as the kind of value goes? */
static bool same_shape(const struct need *a, const struct need *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == NEED_LIT)
        return cc_equal(a->lit, b->lit);
    return a->kind != NEED_TUPLE || a->n == b->n;
}

/* --- leaves ----------------------------------------------------------------------------------- */

/* Jump to the body of r's clause with the values it uses. */
static void to_body(struct match *m, const struct row *r)
{
    struct low_block *body = m->bodies[r->clause];
    struct low_val *args = ARENA_NEW_ARRAY(m->w->u->arena, struct low_val, body->n_params + 1);

    for (uint32_t i = 0; i < body->n_params; i++)
        args[i] = bound_value(r, m->vars[r->clause][i]);
    lower_jump(m->w, body, args, body->n_params);
}

/* Nothing is asked any more of r but its guard. False: it surely matches. Otherwise the current
 * block is where it has failed. */
static bool leaf(struct match *m, const struct row *r)
{
    const struct core_clause *c = m->clauses[r->clause];
    struct low_block *yes, *no;

    if (c->guard == NULL || (c->guard->kind == CORE_LIT && cc_is_atom(c->guard->lit, "true"))) {
        to_body(m, r);
        return false;
    }
    for (const struct binding *b = r->bound; b != NULL; b = b->next)
        lower_set(m->w, b->var, b->value);
    yes = new_block(m);
    no = new_block(m);
    lower_condition(m->w, c->guard, yes, no, no);
    lower_enter(m->w, yes);
    to_body(m, r);
    lower_enter(m->w, no);
    return true;
}

/* --- failing together ------------------------------------------------------------------------- */

static struct low_val saved_value(const struct stand *stand, const struct place *p)
{
    while (stand != NULL && (stand->saved.var == 0 || stand->place != p))
        stand = stand->next;
    return stand != NULL ? stand->saved : (struct low_val){ 0 };
}

static void push_stand(struct match *m, const struct stand **list, struct stand entry)
{
    struct stand *s = ARENA_NEW(m->w->u->arena, struct stand);

    *s = entry;
    s->next = *list;
    *list = s;
}

/* Contexts will have moved on when rows are tried: note where they must go back to. A place that
 * is not noted yet on this way is where its context stands. */
static void save_places(struct match *m, const struct row *rows, size_t n,
                        const struct stand **stand)
{
    for (size_t i = 0; i < n; i++) {
        for (const struct need *d = rows[i].needs; d != NULL; d = d->next) {
            struct low_instr *in;

            if (d->kind != NEED_SEGMENTS || saved_value(*stand, d->place).var != 0)
                continue;
            in = lower_add(m->w, LO_BS_POSITION, (struct core_span){ 0 }, 1, 1, 0);
            in->args[0] = VAL_VAR(d->place->context);
            push_stand(m, stand, (struct stand){ .place = d->place,
                                                 .saved = VAL_VAR(in->dst[0]) });
        }
    }
}

/* The block where rows are tried after others have failed; fail itself when there are none. To be
 * completed by finish_rest, when the code in front of it is, with what *stand is now. */
static struct low_block *begin_rest(struct match *m, const struct row *rows, size_t n,
                                    struct low_block *fail, const struct stand **stand)
{
    if (n == 0)
        return fail;
    save_places(m, rows, n, stand);
    return new_block(m);
}

static void finish_rest(struct match *m, struct row *rows, size_t n, struct low_block *rest,
                        struct low_block *fail, const struct stand *stand)
{
    const struct stand *saved = NULL;

    if (n == 0)
        return;
    for (; stand != NULL; stand = stand->next)
        if (stand->saved.var != 0)
            push_stand(m, &saved, *stand);
    lower_enter(m->w, rest);
    match_rows(m, rows, n, fail, saved);
}

/* --- values ----------------------------------------------------------------------------------- */

/* What may be told apart of a value, and the rows for it. */
struct shape {
    const struct need *need;
    struct row *rows;
    size_t n, cap;
    struct low_block *block;
};

struct split {
    struct shape *shapes;
    size_t n, cap;
    uint32_t *hash;                     /* index + 1 of shapes */
    size_t hash_size;
    struct row *others;                 /* rows that ask nothing of the value */
    size_t n_others, cap_others;
};

static size_t shape_hash(const struct need *d)
{
    size_t h = d->kind * 31u + d->n;

    if (d->kind != NEED_LIT)
        return h;
    if (d->lit->kind == CC_ATOM)
        return h + ((uintptr_t)d->lit->atom >> 4) * 2654435761u;
    if (d->lit->kind == CC_INT)
        return h + (uint64_t)d->lit->i * 2654435761u;
    return h + d->lit->kind + d->lit->n * 7;
}

static struct shape *split_shape(struct match *m, struct split *s, const struct need *d)
{
    size_t slot = shape_hash(d) % s->hash_size;

    while (s->hash[slot] != 0) {
        if (same_shape(s->shapes[s->hash[slot] - 1].need, d))
            return &s->shapes[s->hash[slot] - 1];
        slot = (slot + 1) % s->hash_size;
    }
    s->shapes = arena_grow(m->w->u->arena, s->shapes, s->n, &s->cap, sizeof *s->shapes);
    s->shapes[s->n++] = (struct shape){ .need = d };
    s->hash[slot] = (uint32_t)s->n;
    return &s->shapes[s->n - 1];
}

static void push_row(struct match *m, struct row **rows, size_t *n, size_t *cap,
                     const struct row *r)
{
    *rows = arena_grow(m->w->u->arena, *rows, *n, cap, sizeof **rows);
    (*rows)[(*n)++] = *r;
}

static void split_rows(struct match *m, struct split *s, const struct row *rows, size_t n,
                       struct low_val value)
{
    s->hash_size = 2 * n + 1;
    s->hash = ARENA_NEW_ARRAY(m->w->u->arena, uint32_t, s->hash_size);
    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_of(&rows[i], value);

        if (d != NULL)
            (void)split_shape(m, s, d);
    }
    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_of(&rows[i], value);
        struct shape *at = d != NULL ? split_shape(m, s, d) : NULL;

        for (size_t j = 0; at == NULL && j < s->n; j++)
            push_row(m, &s->shapes[j].rows, &s->shapes[j].n, &s->shapes[j].cap, &rows[i]);
        if (at != NULL)
            push_row(m, &at->rows, &at->n, &at->cap, &rows[i]);
        else
            push_row(m, &s->others, &s->n_others, &s->cap_others, &rows[i]);
    }
}

/* Does some row of the shape ask anything of element i? */
static bool wants_element(const struct shape *s, struct low_val value, uint32_t i)
{
    for (size_t k = 0; k < s->n; k++) {
        const struct need *d = need_of(&s->rows[k], value);

        if (d != NULL && (d->lit != NULL || d->pat->elements[i]->kind != CP_ANY))
            return true;
    }
    return false;
}

/* The elements of value, a tuple or cons of the shape. known: the instruction that makes it. */
static struct low_val *get_elements(struct match *m, const struct shape *s, struct low_val value,
                                    const struct low_instr *known)
{
    uint32_t n = s->need->kind == NEED_CONS ? 2 : s->need->n;
    struct low_val *got = ARENA_NEW_ARRAY(m->w->u->arena, struct low_val, n + 1);

    for (uint32_t i = 0; i < n; i++) {
        struct low_instr *in;

        if (!wants_element(s, value, i))
            continue;
        if (known != NULL) {
            got[i] = known->args[i];
            continue;
        }
        if (value.lit != NULL
            && value.lit->kind == (s->need->kind == NEED_CONS ? CC_CONS : CC_TUPLE)) {
            got[i] = VAL_LIT(value.lit->kind == CC_TUPLE ? value.lit->elements[i]
                             : i == 0 ? value.lit->head : value.lit->tail);
            continue;
        }
        in = lower_add(m->w, s->need->kind == NEED_TUPLE ? LO_ELEMENT : i == 0 ? LO_HEAD : LO_TAIL,
                       (struct core_span){ 0 }, 1, 1, 0);
        in->imm = i;
        in->args[0] = value;
        got[i] = VAL_VAR(in->dst[0]);
    }
    return got;
}

/* Replace what the rows of the shape ask of the value by what they ask of its parts. */
static void descend(struct match *m, struct shape *s, struct low_val value,
                    const struct low_instr *known)
{
    enum need_kind kind = s->need->kind;
    struct low_val *got = NULL;
    struct place *place = NULL;

    if (kind == NEED_TUPLE || kind == NEED_CONS)
        got = get_elements(m, s, value, known);
    if (kind == NEED_BITS) {
        place = ARENA_NEW(m->w->u->arena, struct place);
        place->context = value.var;
    }
    for (size_t k = 0; k < s->n; k++) {
        struct row *r = &s->rows[k];
        const struct need *d = need_of(r, value);
        struct need *more;

        if (d == NULL)
            continue;
        drop_need(m, r, d);
        if (kind == NEED_BITS) {
            more = need_new(m, NEED_SEGMENTS, value);
            more->pat = d->pat;
            more->place = place;
            add_need(r, more);
        }
        for (uint32_t i = kind == NEED_MAP ? d->pat->n : 0; i-- > 0;) {
            more = need_new(m, NEED_KEY, value);
            more->other = lower_value(m->w, d->pat->pairs[i].key);
            more->pat = d->pat->pairs[i].pat;
            add_need(r, more);
        }
        for (uint32_t i = got == NULL ? 0 : kind == NEED_CONS ? 2 : d->n; i-- > 0;)
            if (d->lit != NULL || d->pat->elements[i]->kind != CP_ANY)
                add_element(m, r, d, i, got[i]);
    }
}

static void compile_shape(struct match *m, struct shape *s, struct low_val value,
                          struct low_block *fail, const struct stand *stand)
{
    lower_enter(m->w, s->block);
    descend(m, s, value, NULL);
    match_rows(m, s->rows, s->n, fail, stand);
}

/* A bitstring: a context is made of it, and what is asked becomes segments of that. */
static void compile_bits(struct match *m, struct shape *s, struct low_val value,
                         struct low_block *no, struct low_block *fail, const struct stand *stand)
{
    struct low_instr *in = lower_add(m->w, LO_BS_START, (struct core_span){ 0 }, 1, 1, 2);
    struct stand *now = ARENA_NEW(m->w->u->arena, struct stand);
    struct place *place = NULL;
    struct low_val context = VAL_VAR(in->dst[0]);

    in->args[0] = value;
    in->to[0] = s->block;
    in->to[1] = no;
    lower_enter(m->w, s->block);
    descend(m, s, value, NULL);
    for (size_t k = 0; k < s->n; k++) {
        for (const struct need *d = s->rows[k].needs; d != NULL; d = d->next) {
            if (d->kind == NEED_SEGMENTS && same_value(d->value, value) && d->from == 0
                && (place == NULL || d->place == place)) {
                place = d->place;
                place->context = context.var;
            }
        }
    }
    *now = (struct stand){ stand, context.var, place, { 0 } };
    match_rows(m, s->rows, s->n, fail, now);
}

/* Which kind of test tells the shape from others. */
static unsigned group_of(const struct shape *s)
{
    if (s->need->kind != NEED_LIT)
        return s->need->kind;
    switch (s->need->lit->kind) {
    case CC_ATOM:
        return 16;
    case CC_INT:
        return 17;
    default:
        return 18;
    }
}

static struct low_instr *switch_new(struct match *m, enum low_op op, struct low_val value,
                                    size_t n, struct low_block *no)
{
    struct low_instr *in = lower_add(m->w, op, (struct core_span){ 0 }, 1, 0, n + 1);

    if (in->n == 0)
        return NULL;
    in->args[0] = value;
    in->cases = ARENA_NEW_ARRAY(m->w->u->arena, struct low_case, n);
    in->to[n] = no;
    return in;
}

/* Tests that lead to the blocks of shapes[0..n), all of one group, or to no. */
static void test_group(struct match *m, struct shape **shapes, size_t n, struct low_val value,
                       struct low_block *no)
{
    struct shape *s = shapes[0];
    struct low_block *tuple;
    struct low_instr *in;

    switch (s->need->kind) {
    case NEED_CONS:
        lower_if(m->w, "$cons", value, s->block, no);
        return;
    case NEED_MAP:
        lower_if(m->w, "is_map", value, s->block, no);
        return;
    case NEED_TUPLE:
        tuple = new_block(m);
        lower_if(m->w, "is_tuple", value, tuple, no);
        lower_enter(m->w, tuple);
        if (n == 1) {
            in = lower_add(m->w, LO_IF_ARITY, (struct core_span){ 0 }, 1, 0, 2);
            in->args[0] = value;
            in->imm = s->need->n;
            in->to[0] = s->block;
            in->to[1] = no;
            return;
        }
        in = switch_new(m, LO_SWITCH_ARITY, value, n, no);
        for (size_t i = 0; in != NULL && i < n; i++) {
            in->cases[i].arity = shapes[i]->need->n;
            in->to[i] = shapes[i]->block;
        }
        return;
    default:
        if (n == 1) {
            lower_if_lit(m->w, value, s->need->lit, s->block, no);
            return;
        }
        in = switch_new(m, LO_SWITCH, value, n, no);
        for (size_t i = 0; in != NULL && i < n; i++) {
            in->cases[i].lit = shapes[i]->need->lit;
            in->to[i] = shapes[i]->block;
        }
        return;
    }
}

/* The shapes of the group of the first of them, at most `max`, taken out of the list. */
static size_t take_group(struct shape **list, size_t *n, struct shape **ret)
{
    unsigned group = group_of(list[0]);
    size_t max = group == 18 ? 1 : 30000, taken = 0, left = 0;

    for (size_t i = 0; i < *n; i++) {
        if (group_of(list[i]) == group && taken < max)
            ret[taken++] = list[i];
        else
            list[left++] = list[i];
    }
    *n = left;
    return taken;
}

/* [] and a cons later: a loop over a list is at its end once only, so ask for a cons first. */
static void cons_first(struct shape **list, size_t n)
{
    if (list[0]->need->kind != NEED_LIT || list[0]->need->lit->kind != CC_NIL)
        return;
    for (size_t i = 1; i < n; i++) {
        struct shape *s = list[i];

        if (s->need->kind != NEED_CONS)
            continue;
        memmove(list + 1, list, i * sizeof *list);
        list[0] = s;
        return;
    }
}

static void test_shapes(struct match *m, struct split *s, struct low_val value,
                        struct low_block *fail, const struct stand *stand)
{
    struct shape **list = ARENA_NEW_ARRAY(m->w->u->arena, struct shape *, s->n);
    struct shape **group = ARENA_NEW_ARRAY(m->w->u->arena, struct shape *, s->n);
    size_t left = s->n, n;
    struct low_block *others = s->n_others > 0 ? new_block(m) : fail;

    for (size_t i = 0; i < s->n; i++) {
        s->shapes[i].block = new_block(m);
        list[i] = &s->shapes[i];
    }
    cons_first(list, left);
    while (left > 0) {
        struct low_block *no = others;

        n = take_group(list, &left, group);
        if (left > 0)
            no = new_block(m);
        if (group[0]->need->kind == NEED_BITS) {
            compile_bits(m, group[0], value, no, fail, stand);
        } else {
            test_group(m, group, n, value, no);
            for (size_t i = 0; i < n; i++)
                compile_shape(m, group[i], value, fail, stand);
        }
        lower_enter(m->w, no);
    }
    if (s->n_others > 0) {
        lower_enter(m->w, others);
        match_rows(m, s->others, s->n_others, fail, stand);
    }
}

/* The value is a constant, or made here: what matches is known now. */
static bool match_known(struct match *m, const struct row *rows, size_t n, struct low_val value,
                        struct low_block *fail, const struct stand *stand)
{
    const struct low_instr *made = value.var != 0 ? m->w->l->vars[value.var].def : NULL;
    struct shape s = { 0 };
    bool tuple = made != NULL && made->op == LO_TUPLE;

    if (!tuple && !(made != NULL && made->op == LO_CONS) && value.lit == NULL)
        return false;
    if (value.lit != NULL && (value.lit->kind == CC_BITS || value.lit->kind == CC_MAP))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_of(&rows[i], value);
        struct row r = rows[i];

        if (d != NULL && value.lit != NULL
            && !(d->kind == NEED_LIT ? cc_equal(d->lit, value.lit)
                 : d->kind == NEED_CONS ? value.lit->kind == CC_CONS
                 : d->kind == NEED_TUPLE && value.lit->kind == CC_TUPLE && value.lit->n == d->n))
            continue;
        if (d != NULL && value.lit == NULL
            && !(tuple ? d->kind == NEED_TUPLE && d->n == made->n : d->kind == NEED_CONS))
            continue;
        if (d != NULL && d->kind == NEED_LIT)
            drop_need(m, &r, d);
        else if (d != NULL && s.need == NULL)
            s.need = d;
        push_row(m, &s.rows, &s.n, &s.cap, &r);
    }
    if (s.need != NULL)
        descend(m, &s, value, made);
    match_rows(m, s.rows, s.n, fail, stand);
    return true;
}

/* A literal string beside bit patterns becomes one of them. */
static void lits_to_bits(struct match *m, struct row *rows, size_t n, struct low_val value)
{
    bool bits = false;

    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_of(&rows[i], value);

        bits |= d != NULL && d->kind == NEED_BITS;
    }
    for (size_t i = 0; bits && i < n; i++) {
        const struct need *d = need_of(&rows[i], value);
        struct core_module *cm = m->w->u->m;
        struct core_segment seg = { .type = CB_STRING };
        struct need *more;

        if (d == NULL || d->kind != NEED_LIT || d->lit->kind != CC_BITS)
            continue;
        seg.value = core_lit(cm, (struct core_span){ 0 }, d->lit);
        more = need_new(m, NEED_BITS, value);
        more->pat = cp_bits(cm, (struct core_span){ 0 }, &seg, d->lit->n > 0);
        drop_need(m, &rows[i], d);
        add_need(&rows[i], more);
    }
}

static void match_value(struct match *m, struct row *rows, size_t n, struct low_val value,
                        struct low_block *fail, const struct stand *stand)
{
    struct split s = { 0 };
    struct low_block *rest = fail;
    size_t first = n;

    if (match_known(m, rows, n, value, fail, stand))
        return;
    lits_to_bits(m, rows, n, value);
    split_rows(m, &s, rows, n, value);
    if (s.n_others * s.n > COPIES_MAX) {
        for (first = 1; need_of(&rows[first], value) != NULL;)
            first++;
        s = (struct split){ 0 };
        split_rows(m, &s, rows, first, value);
        rest = begin_rest(m, rows + first, n - first, fail, &stand);
    }
    test_shapes(m, &s, value, rest, stand);
    finish_rest(m, rows + first, n - first, rest, fail, stand);
}

/* --- keys of maps ----------------------------------------------------------------------------- */

/* May the key go into one instruction with those before it? */
static bool key_fits(const struct low_val *keys, size_t n, struct low_val key)
{
    if (n == 0)
        return true;
    if (n >= 32 || key.lit == NULL || keys[0].lit == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if (cc_equal(keys[i].lit, key.lit))
            return false;
    return true;
}

/* The keys to ask for: those of the first row, or when the second asks for some of them those. */
static size_t choose_keys(const struct row *rows, size_t n, struct low_val map,
                          struct low_val *keys)
{
    size_t n_keys = 0, shared = 0;
    struct low_val common[32];

    for (const struct need *d = rows[0].needs; d != NULL; d = d->next) {
        if (d->kind != NEED_KEY || !same_value(d->value, map) || !key_fits(keys, n_keys, d->other))
            continue;
        if (n > 1 && need_key(&rows[1], map, d->other) != NULL)
            common[shared++] = d->other;
        keys[n_keys++] = d->other;
    }
    if (shared == 0)
        return n_keys;
    low_copy(keys, common, shared);
    return shared;
}

static void match_keys(struct match *m, struct row *rows, size_t n, struct low_val map,
                       struct low_block *fail, const struct stand *stand)
{
    struct low_val keys[32];
    size_t n_keys = choose_keys(rows, n, map, keys), first = 0;
    struct low_block *rest, *yes = new_block(m);
    struct low_instr *in;

    for (bool all = true; first < n && all; first += all)
        for (size_t i = 0; i < n_keys; i++)
            all &= need_key(&rows[first], map, keys[i]) != NULL;
    rest = begin_rest(m, rows + first, n - first, fail, &stand);
    in = lower_add(m->w, LO_MAP_GET, (struct core_span){ 0 }, 1 + n_keys, n_keys, 2);
    in->args[0] = map;
    in->to[0] = yes;
    in->to[1] = rest;
    low_copy(in->args + 1, keys, n_keys);
    lower_enter(m->w, yes);
    rows = rows_copy(m, rows, n);
    for (size_t r = 0; r < first; r++) {
        for (size_t i = n_keys; i-- > 0;) {
            const struct need *d = need_key(&rows[r], map, keys[i]);

            drop_need(m, &rows[r], d);
            add_pattern(m, &rows[r], d->pat, VAL_VAR(in->dst[i]));
        }
    }
    match_rows(m, rows, first, rest, stand);
    finish_rest(m, rows + first, n - first, rest, fail, stand);
}

/* --- segments --------------------------------------------------------------------------------- */

static const struct core_segment *segment_of(const struct need *d)
{
    return d->from < d->pat->n ? &d->pat->segments[d->from] : NULL;
}

static struct low_val size_of(struct match *m, const struct row *r, const struct core_segment *s)
{
    struct low_val v = { 0 };

    if (s->size == NULL)
        return v;
    if (s->size->kind == CORE_VAR)
        v = bound_value(r, s->size->var);
    return v.var != 0 || v.lit != NULL ? v : lower_value(m->w, s->size);
}

static bool same_size(struct low_val a, struct low_val b)
{
    return same_value(a, b) || (a.lit != NULL && b.lit != NULL && cc_equal(a.lit, b.lit));
}

/* Do both rows read the same at this place? */
static bool same_read(struct match *m, const struct row *ra, const struct need *a,
                      const struct row *rb, const struct need *b)
{
    const struct core_segment *x = segment_of(a), *y = segment_of(b);

    if (x == NULL || y == NULL)
        return x == y;
    if (x->type != y->type || x->flags != y->flags || x->unit != y->unit)
        return false;
    if (x->type == CB_STRING)
        return cc_equal(x->value->lit, y->value->lit);
    return same_size(size_of(m, ra, x), size_of(m, rb, y));
}

static unsigned default_unit(enum core_bits_type type)
{
    return type == CB_BINARY ? 8 : 1;
}

/* Read the segment at the front of the context; *ret_value is what was read, if wanted. Goes on in
 * a new block. */
static void read_segment(struct match *m, const struct row *r, uint32_t context,
                         const struct core_segment *s, bool wanted, struct low_block *fail,
                         struct low_val *ret_value)
{
    static const enum low_op ops[] = {
        [CB_INTEGER] = LO_BS_INT, [CB_FLOAT] = LO_BS_FLOAT, [CB_BINARY] = LO_BS_BINARY,
        [CB_UTF8] = LO_BS_UTF, [CB_UTF16] = LO_BS_UTF, [CB_UTF32] = LO_BS_UTF,
        [CB_STRING] = LO_BS_STRING,
    };
    bool utf = s->type >= CB_UTF8 && s->type <= CB_UTF32, string = s->type == CB_STRING;
    enum low_op op = ops[s->type];
    struct low_val size = string ? (struct low_val){ 0 } : size_of(m, r, s);
    struct low_block *next = new_block(m);
    struct low_instr *in;

    if (!wanted && utf)
        op = LO_BS_SKIP_UTF;
    else if (!wanted && (op == LO_BS_INT || op == LO_BS_BINARY))
        op = LO_BS_SKIP;
    in = lower_add(m->w, op, (struct core_span){ 0 }, utf || string ? 1 : 2,
                   wanted && !string, 2);
    in->args[0] = VAL_VAR(context);
    in->imm = s->flags;
    in->unit = s->unit != 0 ? s->unit : default_unit(s->type);
    if (utf)
        in->unit = s->type;
    if (string)
        in->string = s->value->lit;
    if (in->n == 2 && size.var == 0 && size.lit == NULL)
        size = VAL_LIT(cc_int(m->w->u->m, s->type == CB_FLOAT ? 64 : 8));
    if (in->n == 2)
        in->args[1] = size;
    in->to[0] = next;
    in->to[1] = fail;
    if (in->n_dst > 0)
        *ret_value = VAL_VAR(in->dst[0]);
    lower_enter(m->w, next);
}

/* All that is left, as a last segment without a size. */
static void read_rest(struct match *m, uint32_t context, const struct core_segment *s,
                      bool wanted, struct low_block *fail, struct low_val *ret_value)
{
    unsigned unit = s->unit != 0 ? s->unit : 8;
    struct low_block *next = new_block(m);
    struct low_instr *in;

    if (unit > 1) {
        in = lower_add(m->w, LO_BS_UNIT, (struct core_span){ 0 }, 1, 0, 2);
        in->args[0] = VAL_VAR(context);
        in->unit = unit;
        in->to[0] = next;
        in->to[1] = fail;
        lower_enter(m->w, next);
    }
    if (wanted) {
        in = lower_add(m->w, LO_BS_TAIL, (struct core_span){ 0 }, 1, 1, 0);
        in->args[0] = VAL_VAR(context);
        *ret_value = VAL_VAR(in->dst[0]);
    }
}

static void seek(struct match *m, const struct place *p, const struct stand *stand)
{
    struct low_val saved = saved_value(stand, p);
    struct low_instr *in;

    while (stand != NULL && (stand->context != p->context || stand->saved.var != 0))
        stand = stand->next;
    if (stand != NULL && stand->place == p)
        return;
    ASSERT(saved.var != 0);
    in = lower_add(m->w, LO_BS_SEEK, (struct core_span){ 0 }, 2, 0, 0);
    in->args[0] = VAL_VAR(p->context);
    in->args[1] = saved;
}

/* rows[0..n) all read the segment of the first at this place: read it and go on with the next. */
static void match_read(struct match *m, struct row *rows, size_t n, struct place *p,
                       const struct core_segment *s, struct low_block *fail,
                       const struct stand *stand)
{
    struct place *after = ARENA_NEW(m->w->u->arena, struct place);
    struct stand *now = ARENA_NEW(m->w->u->arena, struct stand);
    bool wanted = false, all = s->type == CB_BINARY && s->size == NULL;
    struct low_val value = { 0 };

    for (size_t i = 0; i < n && s->type != CB_STRING; i++)
        wanted |= segment_of(need_at(&rows[i], p))->pat->kind != CP_ANY;
    if (all)
        read_rest(m, p->context, s, wanted, fail, &value);
    else
        read_segment(m, &rows[0], p->context, s, wanted, fail, &value);
    after->context = p->context;
    *now = (struct stand){ stand, p->context, all ? p : after, { 0 } };
    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_at(&rows[i], p);
        struct need *more;

        drop_need(m, &rows[i], d);
        if (!all) {
            more = need_new(m, NEED_SEGMENTS, d->value);
            more->pat = d->pat;
            more->from = d->from + 1;
            more->place = after;
            add_need(&rows[i], more);
        }
        if (s->type != CB_STRING)
            add_pattern(m, &rows[i], segment_of(d)->pat, value);
    }
    match_rows(m, rows, n, fail, now);
}

static const struct core_const *string_at(const struct row *r, const struct place *p)
{
    const struct need *d = need_at(r, p);
    const struct core_segment *s = d != NULL ? segment_of(d) : NULL;

    return s != NULL && s->type == CB_STRING ? s->value->lit : NULL;
}

/* How many rows from the first on begin with a text of at least a byte, and the length of the
 * shortest of these texts. */
static size_t count_strings(const struct row *rows, size_t n, const struct place *p,
                            uint32_t *ret_shortest)
{
    const struct core_const *text;
    size_t i = 0;

    *ret_shortest = PREFIX_BYTES;
    for (; i < n && (text = string_at(&rows[i], p)) != NULL && text->n > 0; i++)
        if (text->n < *ret_shortest)
            *ret_shortest = text->n;
    return i;
}

/* What the pattern of d asks for behind the first `bytes` of its text. */
static struct need *need_behind(struct match *m, const struct need *d, uint32_t bytes,
                                struct place *after)
{
    struct core_module *cm = m->w->u->m;
    const struct core_const *text = segment_of(d)->value->lit;
    struct need *more = need_new(m, NEED_SEGMENTS, d->value);
    struct core_segment *segments;

    more->place = after;
    more->pat = d->pat;
    more->from = d->from + 1;
    if (text->n == bytes)
        return more;
    segments = arena_dup(m->w->u->arena, d->pat->segments + d->from,
                         (d->pat->n - d->from) * sizeof *segments);
    segments[0].value = core_lit(cm, d->pat->span,
                                 cc_bits(cm, text->bytes + bytes, 8ull * (text->n - bytes)));
    more->pat = cp_bits(cm, d->pat->span, segments, d->pat->n - d->from);
    more->from = 0;
    return more;
}

/* rows[0..n) begin with texts of at least so many bytes: read these as a number, which one switch
 * tells apart. */
static void match_strings(struct match *m, struct row *rows, size_t n, struct place *p,
                          uint32_t bytes, struct low_block *fail, const struct stand *stand)
{
    struct core_module *cm = m->w->u->m;
    struct core_segment s = { .type = CB_INTEGER, .unit = 8 };
    struct place *after = ARENA_NEW(m->w->u->arena, struct place);
    struct low_val value = { 0 };

    s.size = core_lit(cm, (struct core_span){ 0 }, cc_int(cm, bytes));
    read_segment(m, &rows[0], p->context, &s, true, fail, &value);
    after->context = p->context;
    for (size_t i = 0; i < n; i++) {
        const struct need *d = need_at(&rows[i], p);
        const struct core_const *text = string_at(&rows[i], p);
        int64_t number = 0;

        for (uint32_t j = 0; j < bytes; j++)
            number = number << 8 | text->bytes[j];
        drop_need(m, &rows[i], d);
        add_need(&rows[i], need_behind(m, d, bytes, after));
        add_need(&rows[i], need_lit(m, value, cc_int(cm, number)));
    }
    push_stand(m, &stand, (struct stand){ .context = p->context, .place = after });
    match_rows(m, rows, n, fail, stand);
}

static void match_end(struct match *m, struct row *rows, size_t n, struct place *p,
                      struct low_block *fail, const struct stand *stand)
{
    struct low_instr *in = lower_add(m->w, LO_BS_AT_END, (struct core_span){ 0 }, 1, 0, 2);

    in->args[0] = VAL_VAR(p->context);
    in->to[0] = new_block(m);
    in->to[1] = fail;
    lower_enter(m->w, in->to[0]);
    for (size_t i = 0; i < n; i++)
        drop_need(m, &rows[i], need_at(&rows[i], p));
    match_rows(m, rows, n, fail, stand);
}

static void match_segments(struct match *m, struct row *rows, size_t n, const struct need *d,
                           struct low_block *fail, const struct stand *stand)
{
    const struct core_segment *s = segment_of(d);
    struct place *p = d->place;
    struct low_block *rest;
    uint32_t bytes;
    size_t first = 1, strings = count_strings(rows, n, p, &bytes);

    while (first < n && need_at(&rows[first], p) != NULL
           && same_read(m, &rows[0], d, &rows[first], need_at(&rows[first], p)))
        first++;
    if (strings > first)
        first = strings;
    else
        strings = 0;
    seek(m, p, stand);
    rest = begin_rest(m, rows + first, n - first, fail, &stand);
    rows = rows_copy(m, rows, n);
    if (s == NULL)
        match_end(m, rows, first, p, rest, stand);
    else if (strings > 0)
        match_strings(m, rows, first, p, bytes, rest, stand);
    else
        match_read(m, rows, first, p, s, rest, stand);
    finish_rest(m, rows + first, n - first, rest, fail, stand);
}

/* --- choosing --------------------------------------------------------------------------------- */

static size_t count_needs(const struct row *rows, size_t n, struct low_val value)
{
    size_t count = 0;

    for (size_t i = 0; i < n && i < LOOK_MAX; i++)
        count += need_of(&rows[i], value) != NULL;
    return count;
}

/* What to look at first: the value that most rows ask about; then keys, then segments. */
static const struct need *choose(const struct row *rows, size_t n)
{
    const struct need *best = NULL;
    size_t best_count = 0;

    for (const struct need *d = rows[0].needs; d != NULL; d = d->next) {
        size_t count = d->kind <= NEED_BITS ? count_needs(rows, n, d->value) : 0;

        if (best == NULL || count > best_count
            || (count == 0 && best_count == 0 && d->kind < best->kind)) {
            best = d;
            best_count = count;
        }
    }
    return best;
}

static void match_equal(struct match *m, struct row *rows, size_t n, const struct need *d,
                        struct low_block *fail, const struct stand *stand)
{
    struct low_block *rest = begin_rest(m, rows + 1, n - 1, fail, &stand);
    struct low_instr *in = lower_add(m->w, LO_IF, (struct core_span){ 0 }, 2, 0, 2);
    struct row *one = rows_copy(m, rows, 1);

    in->bif = low_bif("=:=", 2);
    in->args[0] = d->value;
    in->args[1] = d->other;
    in->to[0] = new_block(m);
    in->to[1] = rest;
    lower_enter(m->w, in->to[0]);
    drop_need(m, one, d);
    match_rows(m, one, 1, rest, stand);
    finish_rest(m, rows + 1, n - 1, rest, fail, stand);
}

static void match_rows(struct match *m, struct row *rows, size_t n, struct low_block *fail,
                       const struct stand *stand)
{
    const struct need *d;

    while (n > 0 && rows[0].needs == NULL) {
        if (!leaf(m, &rows[0]))
            return;
        rows++;
        n--;
    }
    if (n == 0 || m->w->u->rc < 0) {
        lower_jump(m->w, fail, NULL, 0);
        return;
    }
    if (++m->depth > DEPTH_MAX)
        unit_fail(m->w->u, -ERR_LIMIT, m->clauses[rows[0].clause]->span,
                  "the patterns of a clause are too large");
    d = choose(rows, n);
    if (d->kind <= NEED_BITS)
        match_value(m, rows, n, d->value, fail, stand);
    else if (d->kind == NEED_KEY)
        match_keys(m, rows, n, d->value, fail, stand);
    else if (d->kind == NEED_SEGMENTS)
        match_segments(m, rows, n, d, fail, stand);
    else
        match_equal(m, rows, n, d, fail, stand);
    m->depth--;
}

/* --- clauses ---------------------------------------------------------------------------------- */

/* A parameter of the clause's body for the variable, if it is used and has none. */
static void body_var(struct match *m, uint32_t clause, size_t *cap, core_var v)
{
    struct low_block *body = m->bodies[clause];

    if (m->w->u->vars[v].uses == 0 && m->w->u->vars[v].calls == 0)
        return;
    for (uint32_t i = 0; i < body->n_params; i++)
        if (m->vars[clause][i] == v)
            return;
    m->vars[clause] = arena_grow(m->w->u->arena, m->vars[clause], body->n_params, cap,
                                 sizeof **m->vars);
    m->vars[clause][body->n_params] = v;
    lower_add_param(m->w, body, low_var_new(m->w->l));
}

static void body_vars(struct match *m, uint32_t clause, size_t *cap, const struct core_pat *p)
{
    while (p->kind == CP_CONS || p->kind == CP_ALIAS) {
        if (p->kind == CP_ALIAS) {
            body_var(m, clause, cap, p->var);
            p = p->sub;
        } else {
            body_vars(m, clause, cap, p->elements[0]);
            p = p->elements[1];
        }
    }
    if (p->kind == CP_VAR)
        body_var(m, clause, cap, p->var);
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->kind == CP_TUPLE)
            body_vars(m, clause, cap, p->elements[i]);
        else if (p->kind == CP_MAP)
            body_vars(m, clause, cap, p->pairs[i].pat);
        else if (p->kind == CP_BITS && p->segments[i].pat != NULL)
            body_vars(m, clause, cap, p->segments[i].pat);
    }
}

void lower_match(struct lower *w, const struct low_val *values, size_t n,
                   struct core_clause *const *clauses, size_t n_clauses, struct low_block *fail,
                   struct low_block **ret_bodies)
{
    struct match m = { .w = w, .clauses = clauses, .bodies = ret_bodies };
    struct row *rows = rows_new(&m, n_clauses);

    m.vars = ARENA_NEW_ARRAY(w->u->arena, core_var *, n_clauses + 1);
    for (uint32_t i = 0; i < n_clauses; i++) {
        size_t cap = 0;

        ret_bodies[i] = new_block(&m);
        rows[i].clause = i;
        for (size_t j = 0; j < n; j++)
            body_vars(&m, i, &cap, clauses[i]->pats[j]);
        for (size_t j = n; j-- > 0;)
            add_pattern(&m, &rows[i], clauses[i]->pats[j], values[j]);
    }
    match_rows(&m, rows, n_clauses, fail, NULL);
    for (uint32_t i = 0; i < n_clauses; i++)
        for (uint32_t j = 0; j < ret_bodies[i]->n_params; j++)
            lower_set(w, m.vars[i][j], VAL_VAR(ret_bodies[i]->params[j]));
}
