/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_text.c - reading Core as text
 */
#include "lang/core_text.h"

#include "base/errors.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOK_END, TOK_OPEN, TOK_CLOSE, TOK_BAR, TOK_WORD, TOK_ATOM, TOK_STRING, TOK_INT,
                  TOK_FLOAT };

struct name {
    const struct name *outer;
    const char *text;
    core_var var;
    struct core_label *label;           /* a join, not a variable */
};

struct text {
    struct arena *arena;
    struct core_module *m;
    const char *at, *end, *line_start;
    uint32_t line, depth;
    enum token_kind kind;
    char *word;                         /* NUL-terminated; of words, atoms, strings, numbers */
    size_t len;
    struct core_span span;
    const struct name *names;
    int rc;
    struct core_error *error;
};

static void *fail(struct text *t, const char *fmt, ...)
{
    va_list ap;

    if (t->rc == 0) {
        t->rc = -ERR_FORMAT;
        t->error->span = t->span;
        va_start(ap, fmt);
        vsnprintf(t->error->text, sizeof t->error->text, fmt, ap);
        va_end(ap);
    }
    t->kind = TOK_END;
    return NULL;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void skip_blanks(struct text *t)
{
    while (t->at < t->end) {
        if (*t->at == '\n') {
            t->line++;
            t->line_start = t->at + 1;
        } else if (*t->at == ';') {
            while (t->at + 1 < t->end && t->at[1] != '\n')
                t->at++;
        } else if (*t->at != ' ' && *t->at != '\t' && *t->at != '\r') {
            return;
        }
        t->at++;
    }
}

static int hex(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to the quote; \xx is a byte, \ before anything else that. */
static void quoted(struct text *t, char quote)
{
    struct buf b = { 0 };

    for (t->at++; t->at < t->end && *t->at != quote; t->at++) {
        if (*t->at == '\\' && t->at + 2 < t->end && hex(t->at[1]) >= 0 && hex(t->at[2]) >= 0) {
            buf_u8(&b, (uint8_t)(hex(t->at[1]) * 16 + hex(t->at[2])));
            t->at += 2;
        } else if (*t->at == '\\' && t->at + 1 < t->end) {
            buf_u8(&b, (uint8_t)*++t->at);
        } else {
            buf_u8(&b, (uint8_t)*t->at);
        }
    }
    t->len = b.len;
    t->word = arena_strndup(t->arena, (const char *)b.data, b.len);
    buf_fini(&b);
    if (t->at == t->end)
        fail(t, "a quote has no end");
    else
        t->at++;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '(' || c == ')' || c == '\''
           || c == '"' || c == ';' || c == '|';
}

static void classify_word(struct text *t)
{
    const char *p = t->word + (t->word[0] == '-');
    bool digits = *p != '\0', real = *p >= '0' && *p <= '9';

    t->kind = TOK_WORD;
    for (; *p != '\0'; p++) {
        digits &= *p >= '0' && *p <= '9';
        real &= (*p >= '0' && *p <= '9') || strchr(".e+-", *p) != NULL;
    }
    if (digits)
        t->kind = TOK_INT;
    else if (real && strchr(t->word, '.') != NULL)
        t->kind = TOK_FLOAT;
}

static void next(struct text *t)
{
    const char *from;

    if (t->rc < 0)
        return;
    skip_blanks(t);
    t->span = (struct core_span){ 0, t->line, (uint32_t)(t->at - t->line_start) + 1, t->line,
                                  (uint32_t)(t->at - t->line_start) + 2 };
    if (t->at == t->end) {
        t->kind = TOK_END;
    } else if (*t->at == '(' || *t->at == ')' || *t->at == '|') {
        t->kind = *t->at == '(' ? TOK_OPEN : *t->at == ')' ? TOK_CLOSE : TOK_BAR;
        t->at++;
    } else if (*t->at == '\'' || *t->at == '"') {
        t->kind = *t->at == '\'' ? TOK_ATOM : TOK_STRING;
        quoted(t, *t->at);
    } else {
        for (from = t->at; t->at < t->end && !ends_word(*t->at);)
            t->at++;
        t->len = (size_t)(t->at - from);
        t->word = arena_strndup(t->arena, from, t->len);
        classify_word(t);
    }
}

static void expect(struct text *t, enum token_kind kind, const char *what)
{
    if (t->kind != kind)
        fail(t, "%s was expected here", what);
    next(t);
}

static bool take(struct text *t, enum token_kind kind)
{
    if (t->kind != kind)
        return false;
    next(t);
    return true;
}

static bool is_word(const struct text *t, const char *word)
{
    return t->kind == TOK_WORD && strcmp(t->word, word) == 0;
}

static const char *take_word(struct text *t)
{
    const char *w = t->word;

    if (t->kind != TOK_WORD)
        return fail(t, "a name was expected here");
    next(t);
    return w;
}

static uint32_t take_number(struct text *t, uint32_t max)
{
    long v = t->kind == TOK_INT ? strtol(t->word, NULL, 10) : -1;

    if (v < 0 || v > (long)max) {
        fail(t, "a number up to %u was expected here", max);
        return 0;
    }
    next(t);
    return (uint32_t)v;
}

/* --- names ------------------------------------------------------------------------------------ */

static const struct name *find_name(const struct text *t, const char *word, bool label)
{
    const struct name *n = t->names;

    while (n != NULL && (strcmp(n->text, word) != 0 || (n->label != NULL) != label))
        n = n->outer;
    return n;
}

static core_var push_name(struct text *t, const char *word, struct core_label *label)
{
    struct name *n = ARENA_NEW(t->arena, struct name);

    if (word == NULL)
        return 0;
    n->outer = t->names;
    n->text = word;
    n->label = label;
    if (label == NULL)
        n->var = core_var_new(t->m, word);
    t->names = n;
    return n->var;
}

/* (x y ...) */
static size_t take_params(struct text *t, core_var **ret)
{
    size_t n = 0, cap = 0;

    *ret = NULL;
    expect(t, TOK_OPEN, "(");
    while (t->rc == 0 && t->kind == TOK_WORD) {
        *ret = arena_grow(t->arena, *ret, n, &cap, sizeof **ret);
        (*ret)[n++] = push_name(t, take_word(t), NULL);
    }
    expect(t, TOK_CLOSE, ")");
    return n;
}

/* --- constants -------------------------------------------------------------------------------- */

static const struct core_const *take_int(struct text *t)
{
    uint8_t bytes[512] = { 0 };
    const char *p = t->word + (t->word[0] == '-');

    if (strlen(p) > 1000)
        return fail(t, "a number of more than 1000 digits");
    for (; *p != '\0'; p++) {
        unsigned carry = (unsigned)(*p - '0');

        for (size_t i = 0; i < sizeof bytes; i++) {
            carry += bytes[i] * 10u;
            bytes[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    return cc_big(t->m, t->word[0] == '-', bytes, sizeof bytes);
}

/* A constant of one token, or NULL. Moves on. */
static const struct core_const *take_simple(struct text *t)
{
    const struct core_const *c = NULL;
    double real;

    switch (t->kind) {
    case TOK_INT:
        c = take_int(t);
        break;
    case TOK_FLOAT:
        real = strtod(t->word, NULL);
        c = isfinite(real) ? cc_float(t->m, real) : fail(t, "the number is too large");
        break;
    case TOK_ATOM:
        if (t->len > 255)
            return fail(t, "the atom is too long");
        c = cc_atom_n(t->m, t->word, t->len);
        break;
    case TOK_STRING:
        c = cc_binary(t->m, t->word, t->len);
        break;
    default:
        return NULL;
    }
    next(t);
    return c;
}

/* --- lists of things -------------------------------------------------------------------------- */

struct exprs { struct core_expr **e; size_t n, cap; };

static struct core_expr *take_expr(struct text *t);
static struct core_pat *take_pat(struct text *t);

static bool push_expr(struct text *t, struct exprs *list, struct core_expr *e)
{
    if (e == NULL)
        return false;
    list->e = arena_grow(t->arena, list->e, list->n, &list->cap, sizeof *list->e);
    list->e[list->n++] = e;
    return true;
}

/* Expressions up to a ) or |, which stays. */
static struct exprs take_exprs(struct text *t)
{
    struct exprs list = { 0 };

    while (t->rc == 0 && t->kind != TOK_CLOSE && t->kind != TOK_BAR && t->kind != TOK_END)
        if (!push_expr(t, &list, take_expr(t)))
            break;
    return list;
}

struct pats { struct core_pat **p; size_t n, cap; };

static struct pats take_pats(struct text *t)
{
    struct pats list = { 0 };

    while (t->rc == 0 && t->kind != TOK_CLOSE && t->kind != TOK_BAR && t->kind != TOK_END) {
        struct core_pat *p = take_pat(t);

        if (p == NULL)
            break;
        list.p = arena_grow(t->arena, list.p, list.n, &list.cap, sizeof *list.p);
        list.p[list.n++] = p;
    }
    return list;
}

/* --- segments --------------------------------------------------------------------------------- */

static const char *const segment_names[] = { "integer", "float", "binary", "utf8", "utf16",
                                             "utf32", "string" };

static bool take_segment(struct text *t, bool pattern, struct core_segment *s)
{
    size_t type = 0;
    const char *word;

    expect(t, TOK_OPEN, "(");
    word = take_word(t);
    while (word != NULL && type < ARRAY_LEN(segment_names)
           && strcmp(word, segment_names[type]) != 0)
        type++;
    if (word == NULL || type == ARRAY_LEN(segment_names))
        return fail(t, "a type of segment was expected here");
    *s = (struct core_segment){ .type = (enum core_bits_type)type };
    if (s->type == CB_STRING || !pattern)
        s->value = take_expr(t);
    else
        s->pat = take_pat(t);
    if (s->value == NULL && s->pat == NULL)
        return false;
    if (s->type != CB_STRING) {
        if (!is_word(t, "-"))
            s->size = take_expr(t);
        else
            next(t);
        s->unit = take_number(t, 256);
        s->flags = take_number(t, 31);
    }
    expect(t, TOK_CLOSE, ")");
    return t->rc == 0;
}

static struct core_segment *take_segments(struct text *t, bool pattern, size_t *ret_n)
{
    struct core_segment *list = NULL;
    size_t cap = 0;

    for (*ret_n = 0; t->rc == 0 && t->kind == TOK_OPEN; ++*ret_n) {
        list = arena_grow(t->arena, list, *ret_n, &cap, sizeof *list);
        if (!take_segment(t, pattern, &list[*ret_n]))
            break;
    }
    return list;
}

/* --- patterns --------------------------------------------------------------------------------- */

static core_var use_name(struct text *t)
{
    const char *word = take_word(t);
    const struct name *n = word != NULL ? find_name(t, word, false) : NULL;

    if (n == NULL && word != NULL)
        fail(t, "no variable %.50s is known here", word);
    return n != NULL ? n->var : 0;
}

/* A name in a pattern: the same one in the same clause is the same variable. The names of a clause
 * lie on top of a mark. */
static core_var pattern_name(struct text *t, const char *word)
{
    for (const struct name *n = t->names; n != NULL && strcmp(n->text, "(") != 0; n = n->outer)
        if (n->label == NULL && strcmp(n->text, word) == 0)
            return n->var;
    return push_name(t, word, NULL);
}

static struct core_pat *map_pat(struct text *t, struct core_span at)
{
    struct core_map_pat *pairs = NULL;
    size_t n = 0, cap = 0;

    while (t->rc == 0 && take(t, TOK_OPEN)) {
        pairs = arena_grow(t->arena, pairs, n, &cap, sizeof *pairs);
        pairs[n].key = take_expr(t);
        pairs[n].pat = pairs[n].key != NULL ? take_pat(t) : NULL;
        expect(t, TOK_CLOSE, ")");
        n++;
    }
    return t->rc == 0 ? cp_map(t->m, at, pairs, n) : NULL;
}

static struct core_pat *pat_form(struct text *t, struct core_span at)
{
    const char *word = take_word(t);
    struct core_pat *tail = NULL, *p;
    struct pats list;
    size_t n;

    if (word == NULL)
        return NULL;
    if (strcmp(word, "pin") == 0)
        return cp_pin(t->m, at, use_name(t));
    if (strcmp(word, "=") == 0) {
        word = take_word(t);
        if (word == NULL)
            return NULL;
        n = pattern_name(t, word);
        p = take_pat(t);
        return p != NULL ? cp_alias(t->m, at, (core_var)n, p) : NULL;
    }
    if (strcmp(word, "tuple") == 0) {
        list = take_pats(t);
        return t->rc == 0 ? cp_tuple(t->m, at, list.p, list.n) : NULL;
    }
    if (strcmp(word, "list") == 0) {
        list = take_pats(t);
        if (t->rc == 0 && take(t, TOK_BAR) && (tail = take_pat(t)) == NULL)
            return NULL;
        return t->rc == 0 ? cp_list(t->m, at, list.p, list.n, tail) : NULL;
    }
    if (strcmp(word, "map") == 0)
        return map_pat(t, at);
    if (strcmp(word, "bits") == 0) {
        struct core_segment *segments = take_segments(t, true, &n);

        return t->rc == 0 ? cp_bits(t->m, at, segments, n) : NULL;
    }
    return fail(t, "%.50s begins no pattern", word);
}

static bool deeper(struct text *t)
{
    if (++t->depth > CORE_DEPTH_MAX)
        fail(t, "nested more than %d deep", CORE_DEPTH_MAX);
    return t->rc == 0;
}

static struct core_pat *take_pat(struct text *t)
{
    struct core_span at = t->span;
    const struct core_const *c;
    struct core_pat *p;
    core_var v;

    if (t->kind == TOK_WORD) {
        const char *word = take_word(t);

        if (strcmp(word, "_") == 0)
            return cp_any(t->m, at);
        v = pattern_name(t, word);
        return cp_var(t->m, at, v);
    }
    c = take_simple(t);
    if (c != NULL)
        return cp_lit(t->m, at, c);
    if (!take(t, TOK_OPEN) || !deeper(t))
        return fail(t, "a pattern was expected here");
    p = pat_form(t, at);
    expect(t, TOK_CLOSE, ")");
    t->depth--;
    return t->rc == 0 ? p : NULL;
}

/* --- expressions ------------------------------------------------------------------------------ */

/* ((p...) guard|- body), the bracket taken already. */
static struct core_clause *take_clause(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    struct core_expr *guard = NULL, *body;
    struct name mark = { names, "(", 0, NULL };
    struct pats pats;

    t->names = &mark;
    expect(t, TOK_OPEN, "(");
    pats = take_pats(t);
    expect(t, TOK_CLOSE, ")");
    if (is_word(t, "-"))
        next(t);
    else
        guard = take_expr(t);
    body = take_expr(t);
    expect(t, TOK_CLOSE, ")");
    t->names = names;
    return t->rc == 0 ? core_clause(t->m, at, pats.p, pats.n, guard, body) : NULL;
}

static struct core_clause **take_clauses(struct text *t, size_t *ret_n)
{
    struct core_clause **list = NULL;
    size_t cap = 0;

    for (*ret_n = 0; t->rc == 0 && t->kind == TOK_OPEN; ++*ret_n) {
        struct core_span at = t->span;

        next(t);
        list = arena_grow(t->arena, list, *ret_n, &cap, sizeof *list);
        list[*ret_n] = take_clause(t, at);
    }
    return list;
}

static struct core_expr *map_form(struct text *t, struct core_span at)
{
    struct core_expr *base = NULL;
    struct core_pair *pairs = NULL;
    size_t n = 0, cap = 0;

    if (is_word(t, "-"))
        next(t);
    else
        base = take_expr(t);
    while (t->rc == 0 && take(t, TOK_OPEN)) {
        pairs = arena_grow(t->arena, pairs, n, &cap, sizeof *pairs);
        pairs[n].exact = is_word(t, ":=");
        if (pairs[n].exact)
            next(t);
        pairs[n].key = take_expr(t);
        pairs[n].value = pairs[n].key != NULL ? take_expr(t) : NULL;
        expect(t, TOK_CLOSE, ")");
        n++;
    }
    return t->rc == 0 ? core_map(t->m, at, base, pairs, n) : NULL;
}

static struct core_fun *fun_form(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    core_var *params;
    size_t n = take_params(t, &params);
    struct core_expr *body = take_expr(t);

    t->names = names;
    return body != NULL ? core_fun_new(t->m, at, params, n, body) : NULL;
}

/* ((f (x...) body)...) body: first the names, so each function knows them all. */
static struct core_expr *letrec_form(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    struct text ahead = *t;
    struct core_error ignored;
    struct core_fun **funs = NULL;
    core_var vars[64];
    size_t n = 0, cap = 0, n_names = 0;
    struct core_expr *body;

    ahead.error = &ignored;
    expect(&ahead, TOK_OPEN, "(");
    while (ahead.rc == 0 && take(&ahead, TOK_OPEN) && n_names < 64) {
        uint32_t open = 1;

        vars[n_names++] = push_name(t, take_word(&ahead), NULL);
        for (; ahead.rc == 0 && open > 0 && ahead.kind != TOK_END; next(&ahead))
            open += ahead.kind == TOK_OPEN ? 1u : ahead.kind == TOK_CLOSE ? -1u : 0;
    }
    expect(t, TOK_OPEN, "(");
    while (t->rc == 0 && n < n_names && take(t, TOK_OPEN)) {
        struct core_span place = t->span;
        const char *word = take_word(t);

        funs = arena_grow(t->arena, funs, n, &cap, sizeof *funs);
        funs[n] = word != NULL ? fun_form(t, place) : NULL;
        if (funs[n] != NULL) {
            funs[n]->var = vars[n];
            funs[n]->name = word;
        }
        expect(t, TOK_CLOSE, ")");
        n++;
    }
    expect(t, TOK_CLOSE, ")");
    body = take_expr(t);
    t->names = names;
    return body != NULL ? core_letrec(t->m, at, funs, n, body) : NULL;
}

static struct core_expr *let_form(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    const char *word = take_word(t);
    struct core_expr *value = take_expr(t), *body;
    core_var v = value != NULL ? push_name(t, word, NULL) : 0;

    body = take_expr(t);
    t->names = names;
    return body != NULL ? core_let(t->m, at, v, value, body) : NULL;
}

static struct core_expr *join_form(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    const char *word = take_word(t);
    core_var *params;
    size_t n = take_params(t, &params);
    struct core_label *label = core_label_new(t->m, params, n);
    const struct name *inner = t->names;
    struct core_expr *first, *then;

    t->names = names;
    push_name(t, word, label);
    first = take_expr(t);
    t->names = inner;
    then = take_expr(t);
    t->names = names;
    return then != NULL ? core_join(t->m, at, label, first, then) : NULL;
}

static struct core_expr *try_form(struct text *t, struct core_span at)
{
    const struct name *names = t->names;
    struct core_expr *protected = take_expr(t), *body, *handler;
    core_var value = push_name(t, take_word(t), NULL), *params;

    body = take_expr(t);
    t->names = names;
    if (take_params(t, &params) != 3)
        return fail(t, "three names were expected");
    handler = take_expr(t);
    t->names = names;
    return handler != NULL && body != NULL && protected != NULL
           ? core_try(t->m, at, protected, value, body, params[0], params[1], params[2], handler)
           : NULL;
}

static struct core_expr *receive_form(struct text *t, struct core_span at)
{
    struct core_clause **clauses;
    struct core_expr *timeout = NULL, *after = NULL;
    size_t n;

    expect(t, TOK_OPEN, "(");
    clauses = take_clauses(t, &n);
    expect(t, TOK_CLOSE, ")");
    if (t->kind != TOK_CLOSE) {
        timeout = take_expr(t);
        after = take_expr(t);
    }
    return t->rc == 0 ? core_receive(t->m, at, clauses, n, timeout, after) : NULL;
}

static struct core_expr *case_form(struct text *t, struct core_span at)
{
    struct core_clause **clauses;
    struct exprs values;
    size_t n;

    expect(t, TOK_OPEN, "(");
    values = take_exprs(t);
    expect(t, TOK_CLOSE, ")");
    clauses = take_clauses(t, &n);
    return t->rc == 0 ? core_case(t->m, at, values.e, values.n, clauses, n) : NULL;
}

static struct core_expr *jump_form(struct text *t, struct core_span at)
{
    const char *word = take_word(t);
    const struct name *n = word != NULL ? find_name(t, word, true) : NULL;
    struct exprs args = take_exprs(t);

    if (n == NULL)
        return fail(t, "no join of that name is known here");
    return core_jump(t->m, at, n->label, args.e, args.n);
}

static struct core_expr *call_form(struct text *t, struct core_span at, bool local)
{
    const char *word = take_word(t);
    struct exprs args;

    if (word == NULL)
        return NULL;
    if (local)
        return core_local(t->m, at, core_atom(t->m, word, strlen(word)), take_number(t, 255));
    args = take_exprs(t);
    return core_call(t->m, at, core_atom(t->m, word, strlen(word)), args.e, args.n);
}

static struct core_expr *list_form(struct text *t, struct core_span at)
{
    struct exprs list = take_exprs(t);
    struct core_expr *tail = NULL;

    if (take(t, TOK_BAR) && (tail = take_expr(t)) == NULL)
        return NULL;
    return t->rc == 0 ? core_list(t->m, at, list.e, list.n, tail) : NULL;
}

/* Forms that are a word and expressions; any other word is a function of the module erlang. */
static struct core_expr *plain_form(struct text *t, struct core_span at, const char *word)
{
    static const struct { const char *word; enum core_prim prim; size_t n; } prims[] = {
        { "raise", PRIM_RAISE, 2 }, { "reraise", PRIM_RERAISE, 3 }, { "fail", PRIM_MATCH_FAIL, 1 },
        { "stacktrace", PRIM_STACKTRACE, 1 },
    };
    struct exprs a = take_exprs(t);

    if (t->rc < 0)
        return NULL;
    if (strcmp(word, "tuple") == 0)
        return core_tuple(t->m, at, a.e, a.n);
    if (strcmp(word, "remote") == 0 && a.n >= 2)
        return core_remote(t->m, at, a.e[0], a.e[1], a.e + 2, a.n - 2);
    if (strcmp(word, "apply") == 0 && a.n >= 1)
        return core_apply(t->m, at, a.e[0], a.e + 1, a.n - 1);
    if (strcmp(word, "seq") == 0 && a.n == 2)
        return core_seq(t->m, at, a.e[0], a.e[1]);
    if (strcmp(word, "and") == 0 && a.n == 2)
        return core_and(t->m, at, a.e[0], a.e[1]);
    if (strcmp(word, "or") == 0 && a.n == 2)
        return core_or(t->m, at, a.e[0], a.e[1]);
    for (size_t i = 0; i < ARRAY_LEN(prims); i++)
        if (strcmp(word, prims[i].word) == 0 && a.n == prims[i].n)
            return core_prim(t->m, at, prims[i].prim, a.e, a.n);
    return core_bif(t->m, at, word, a.e, a.n);
}

static struct core_expr *expr_form(struct text *t, struct core_span at)
{
    const char *word = take_word(t);
    struct core_fun *f;
    size_t n;

    if (word == NULL)
        return NULL;
    if (strcmp(word, "list") == 0)
        return list_form(t, at);
    if (strcmp(word, "map") == 0)
        return map_form(t, at);
    if (strcmp(word, "bits") == 0) {
        struct core_segment *s = take_segments(t, false, &n);

        return t->rc == 0 ? core_bits(t->m, at, s, n) : NULL;
    }
    if (strcmp(word, "let") == 0)
        return let_form(t, at);
    if (strcmp(word, "fn") == 0)
        return (f = fun_form(t, at)) != NULL ? core_fun(t->m, f) : NULL;
    if (strcmp(word, "letrec") == 0)
        return letrec_form(t, at);
    if (strcmp(word, "join") == 0)
        return join_form(t, at);
    if (strcmp(word, "jump") == 0)
        return jump_form(t, at);
    if (strcmp(word, "case") == 0)
        return case_form(t, at);
    if (strcmp(word, "receive") == 0)
        return receive_form(t, at);
    if (strcmp(word, "try") == 0)
        return try_form(t, at);
    if (strcmp(word, "call") == 0 || strcmp(word, "local") == 0)
        return call_form(t, at, word[0] == 'l');
    return plain_form(t, at, word);
}

static struct core_expr *take_expr(struct text *t)
{
    struct core_span at = t->span;
    const struct core_const *c;
    struct core_expr *e;

    if (t->rc < 0)
        return NULL;
    if (t->kind == TOK_WORD)
        return core_use(t->m, at, use_name(t));
    c = take_simple(t);
    if (c != NULL)
        return core_lit(t->m, at, c);
    if (!take(t, TOK_OPEN) || !deeper(t))
        return fail(t, "an expression was expected here");
    e = expr_form(t, at);
    expect(t, TOK_CLOSE, ")");
    t->depth--;
    return t->rc == 0 ? e : NULL;
}

/* --- modules ---------------------------------------------------------------------------------- */

struct export { const char *name; uint32_t arity; };

static void def_item(struct text *t, struct core_span at)
{
    const char *name = take_word(t);
    struct core_fun *f;

    t->names = NULL;
    f = fun_form(t, at);
    if (f != NULL && name != NULL)
        core_add_function(t->m, name, strlen(name), f, false);
}

static void attribute_item(struct text *t)
{
    const char *key = t->word;
    struct core_expr *value;

    expect(t, TOK_ATOM, "an atom");
    value = take_expr(t);
    if (value != NULL && value->kind == CORE_LIT)
        core_add_attribute(t->m, key, value->lit);
    else
        fail(t, "a constant was expected here");
}

static void take_item(struct text *t, struct export **exports, size_t *n, size_t *cap)
{
    struct core_span at = t->span;
    const char *word;

    expect(t, TOK_OPEN, "(");
    word = take_word(t);
    if (word == NULL)
        return;
    if (strcmp(word, "def") == 0) {
        def_item(t, at);
    } else if (strcmp(word, "attribute") == 0) {
        attribute_item(t);
    } else if (strcmp(word, "file") == 0) {
        if (t->kind == TOK_STRING)
            core_add_file(t->m, t->word);
        expect(t, TOK_STRING, "a string");
    } else if (strcmp(word, "export") == 0) {
        while (t->rc == 0 && take(t, TOK_OPEN)) {
            *exports = arena_grow(t->arena, *exports, *n, cap, sizeof **exports);
            (*exports)[*n].name = take_word(t);
            (*exports)[*n].arity = take_number(t, 255);
            *n += t->rc == 0;
            expect(t, TOK_CLOSE, ")");
        }
    } else {
        fail(t, "%.50s begins no item of a module", word);
    }
    expect(t, TOK_CLOSE, ")");
}

int core_read(struct arena *arena, const char *text, size_t len, struct core_module **ret_module,
              struct core_error *ret_error)
{
    struct text t = { .arena = arena, .at = text, .end = text + len, .line_start = text,
                      .line = 1, .error = ret_error };
    struct export *exports = NULL;
    size_t n = 0, cap = 0;

    next(&t);
    expect(&t, TOK_OPEN, "(");
    if (!is_word(&t, "module"))
        fail(&t, "(module ... was expected here");
    next(&t);
    if (t.kind != TOK_ATOM || t.len > 200 || t.len == 0) {
        fail(&t, "the name of the module was expected here");
        return t.rc;
    }
    t.m = core_module_new(arena, t.word, t.len);
    next(&t);
    while (t.rc == 0 && t.kind == TOK_OPEN)
        take_item(&t, &exports, &n, &cap);
    expect(&t, TOK_CLOSE, ")");
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < t.m->n_functions; j++)
            if (t.m->functions[j].fun->arity == exports[i].arity
                && strcmp(t.m->functions[j].name->name, exports[i].name) == 0)
                t.m->functions[j].exported = true;
    if (t.rc == 0)
        *ret_module = t.m;
    return t.rc;
}
