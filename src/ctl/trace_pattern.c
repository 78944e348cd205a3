/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_pattern.c - which calls a trace shows, and how
 */
#include "ctl/trace_pattern.h"

#include "heap/parse.h"
#include "term/atom.h"
#include "term/compare.h"

#include <stdio.h>
#include <stdlib.h>

/* Longer ones before those that they begin with. */
static const struct { const char *text; enum trace_op op; } operators[] = {
    { "=:=", OP_EXACT }, { "=/=", OP_NOT_EXACT }, { "==", OP_EQUAL }, { "/=", OP_NOT_EQUAL },
    { ">=", OP_NOT_LESS }, { "=<", OP_NOT_MORE }, { ">", OP_MORE }, { "<", OP_LESS },
};

static const char *skip_spaces(const char *s)
{
    return s + strspn(s, " \t\n");
}

/* Moves *at behind word, if that stands there. */
static bool take(const char **at, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(*at, word, n) != 0)
        return false;
    *at = skip_spaces(*at + n);
    return true;
}

static bool parse_head(const char **at, struct trace_pattern *tp)
{
    size_t n = strcspn(*at, ": \t\n");

    if (n == 0 || n >= sizeof tp->module)
        return false;
    snprintf(tp->module, sizeof tp->module, "%.*s", (int)n, *at);
    *at += n;
    if (**at == ':') {
        const char *f = *at + 1, *slash;

        n = strcspn(f, " \t\n");
        *at = f + n;
        slash = memrchr(f, '/', n);
        if (slash != NULL && slash > f && slash + 1 < *at) {
            char *end;

            tp->arity = (int)strtol(slash + 1, &end, 10);
            if (end != *at || tp->arity < 0 || tp->arity > 255)
                return false;
            n = (size_t)(slash - f);
        }
        if (n == 0 || n >= sizeof tp->function)
            return false;
        snprintf(tp->function, sizeof tp->function, "%.*s", (int)n, f);
    }
    *at = skip_spaces(*at);
    return true;
}

static bool parse_test(const char **at, struct heap *bag, struct trace_pattern *tp, struct buf *why)
{
    char err[160] = "";
    char *end;
    size_t used, i = 0;
    long arg;

    if (tp->ntests == TRACE_TESTS_MAX) {
        buf_printf(why, "more than %d tests", TRACE_TESTS_MAX);
        return false;
    }
    if (strncmp(*at, "arg", 3) != 0 || (arg = strtol(*at + 3, &end, 10)) < 1 || arg > 255) {
        buf_printf(why, "expected arg1, arg2, ... at `%s`", *at);
        return false;
    }
    *at = skip_spaces(end);
    while (i < ARRAY_LEN(operators) && !take(at, operators[i].text))
        i++;
    if (i == ARRAY_LEN(operators)) {
        buf_printf(why, "expected =:=, ==, /=, >, <, >= or =< at `%s`", *at);
        return false;
    }
    tp->tests[tp->ntests].arg = (unsigned)arg;
    tp->tests[tp->ntests].op = operators[i].op;
    tp->tests[tp->ntests].value = parse_term(bag, *at, strlen(*at), &used, err, sizeof err);
    if (tp->tests[tp->ntests++].value == TERM_NONE) {
        buf_printf(why, "no term at `%s`: %s", *at, err);
        return false;
    }
    *at = skip_spaces(*at + used);
    return true;
}

static bool parse_actions(const char **at, struct trace_pattern *tp, struct buf *why)
{
    do {
        if (take(at, "return"))
            tp->returns = true;
        else if (take(at, "time"))
            tp->time = true;
        else if (take(at, "stack"))
            tp->stack = true;
        else {
            buf_printf(why, "expected return, time or stack at `%s`", *at);
            return false;
        }
    } while (take(at, ","));
    return true;
}

bool trace_pattern_parse(const char *text, struct heap *bag, struct trace_pattern *ret,
                         struct buf *why)
{
    const char *at = skip_spaces(text);

    *ret = (struct trace_pattern){ .arity = -1, .m = TERM_NONE, .f = TERM_NONE };
    if (!parse_head(&at, ret)) {
        buf_str(why, "expected M:F/A, M:F or M");
        return false;
    }
    if (take(&at, "when ")) {
        do {
            if (!parse_test(&at, bag, ret, why))
                return false;
        } while (take(&at, "and ") || take(&at, ","));
    }
    if (take(&at, "->") && !parse_actions(&at, ret, why))
        return false;
    if (*at != 0) {
        buf_printf(why, "unexpected `%s`", at);
        return false;
    }
    ret->m = atom_existing_utf8(ret->module, strlen(ret->module));
    if (ret->function[0] != 0)
        ret->f = atom_existing_utf8(ret->function, strlen(ret->function));
    return true;
}

bool trace_pattern_covers(const struct trace_pattern *tp, term module, term function, uint32_t arity)
{
    return tp->m == module && (tp->function[0] == 0 || tp->f == function) &&
           (tp->arity < 0 || (uint32_t)tp->arity == arity);
}

static bool holds(enum trace_op op, term a, term b)
{
    switch (op) {
    case OP_EXACT:
        return term_eq(a, b);
    case OP_NOT_EXACT:
        return !term_eq(a, b);
    case OP_EQUAL:
        return term_cmp(a, b) == 0;
    case OP_NOT_EQUAL:
        return term_cmp(a, b) != 0;
    case OP_NOT_LESS:
        return term_cmp(a, b) >= 0;
    case OP_NOT_MORE:
        return term_cmp(a, b) <= 0;
    case OP_MORE:
        return term_cmp(a, b) > 0;
    case OP_LESS:
        return term_cmp(a, b) < 0;
    }
    return false;
}

bool trace_pattern_admits(const struct trace_pattern *tp, uint32_t arity, const term *x)
{
    for (size_t i = 0; i < tp->ntests; i++) {
        if (tp->tests[i].arg > arity ||
            !holds(tp->tests[i].op, x[tp->tests[i].arg - 1], tp->tests[i].value))
            return false;
    }
    return true;
}
