/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_dump.c - Core as text, in the form that core_text.h describes
 */
#include "lang/core.h"

#include <stdio.h>
#include <string.h>

static void quoted(struct buf *out, const char *s, size_t len, char quote)
{
    buf_u8(out, (uint8_t)quote);
    for (size_t i = 0; i < len; i++) {
        uint8_t b = (uint8_t)s[i];

        if (b < 32 || b == 127 || b == (uint8_t)quote || b == '\\')
            buf_printf(out, "\\%02x", b);
        else
            buf_u8(out, b);
    }
    buf_u8(out, (uint8_t)quote);
}

static void dump_big(struct buf *out, const struct core_const *c)
{
    uint8_t *left = memcpy(buf_room(out, c->n), c->bytes, c->n);
    size_t at = out->len - c->n, n = c->n;
    struct buf digits = { 0 };

    while (n > 0) {
        unsigned rest = 0;

        left = out->data + at;
        for (size_t i = n; i-- > 0;) {
            rest = rest * 256 + left[i];
            left[i] = (uint8_t)(rest / 10);
            rest %= 10;
        }
        buf_u8(&digits, (uint8_t)('0' + rest));
        while (n > 0 && left[n - 1] == 0)
            n--;
    }
    out->len = at;
    if (c->negative)
        buf_u8(out, '-');
    while (digits.len > 0)
        buf_u8(out, digits.data[--digits.len]);
    buf_fini(&digits);
}

void core_dump_const(struct buf *out, const struct core_const *c)
{
    char real[40];

    switch (c->kind) {
    case CC_INT:
        buf_printf(out, "%lld", (long long)c->i);
        break;
    case CC_BIG:
        dump_big(out, c);
        break;
    case CC_FLOAT:
        snprintf(real, sizeof real, "%.17g", c->real);
        buf_printf(out, "%s%s", real, strpbrk(real, ".e") == NULL ? ".0" : "");
        break;
    case CC_ATOM:
        quoted(out, c->atom->name, c->atom->len, '\'');
        break;
    case CC_BITS:
        quoted(out, (const char *)c->bytes, c->n, '"');
        break;
    case CC_NIL:
    case CC_CONS:
        buf_str(out, "(list");
        for (; c->kind == CC_CONS; c = c->tail) {
            buf_u8(out, ' ');
            core_dump_const(out, c->head);
        }
        if (c->kind != CC_NIL) {
            buf_str(out, " | ");
            core_dump_const(out, c);
        }
        buf_u8(out, ')');
        break;
    case CC_TUPLE:
        buf_str(out, "(tuple");
        for (uint32_t i = 0; i < c->n; i++) {
            buf_u8(out, ' ');
            core_dump_const(out, c->elements[i]);
        }
        buf_u8(out, ')');
        break;
    case CC_MAP:
        buf_str(out, "(map -");
        for (uint32_t i = 0; i < c->n; i++) {
            buf_str(out, " (");
            core_dump_const(out, c->elements[2 * i]);
            buf_u8(out, ' ');
            core_dump_const(out, c->elements[2 * i + 1]);
            buf_u8(out, ')');
        }
        buf_u8(out, ')');
        break;
    case CC_EXTERNAL:
        buf_printf(out, "(remote 'erlang' 'make_fun' '%s' '%s' %u)", c->module->name,
                   c->function->name, c->n);
        break;
    }
}

struct dump { struct buf *out; const struct core_module *m; };

static void dump_expr(struct dump *d, const struct core_expr *e, int indent);

static void newline(struct dump *d, int indent)
{
    buf_printf(d->out, "\n%*s", indent, "");
}

static void dump_var(struct dump *d, core_var v)
{
    const char *name = v < d->m->n_vars ? d->m->var_names[v] : NULL;

    buf_printf(d->out, "%s@%u", name != NULL ? name : "v", v);
}

static void dump_vars(struct dump *d, const core_var *v, size_t n)
{
    buf_str(d->out, "(");
    for (size_t i = 0; i < n; i++) {
        buf_str(d->out, i > 0 ? " " : "");
        dump_var(d, v[i]);
    }
    buf_str(d->out, ")");
}

static void dump_pat(struct dump *d, const struct core_pat *p);

static void dump_segment(struct dump *d, const struct core_segment *s)
{
    static const char *const names[] = { "integer", "float", "binary", "utf8", "utf16", "utf32",
                                         "string" };

    buf_printf(d->out, " (%s ", names[s->type]);
    if (s->value != NULL)
        dump_expr(d, s->value, 0);
    else
        dump_pat(d, s->pat);
    if (s->type != CB_STRING) {
        buf_str(d->out, " ");
        if (s->size != NULL)
            dump_expr(d, s->size, 0);
        else
            buf_str(d->out, "-");
        buf_printf(d->out, " %u %u", s->unit, s->flags);
    }
    buf_str(d->out, ")");
}

static void dump_pat(struct dump *d, const struct core_pat *p)
{
    switch (p->kind) {
    case CP_ANY:
        buf_str(d->out, "_");
        return;
    case CP_VAR:
        dump_var(d, p->var);
        return;
    case CP_LIT:
        core_dump_const(d->out, p->lit);
        return;
    case CP_PIN:
        buf_str(d->out, "(pin ");
        dump_var(d, p->var);
        break;
    case CP_ALIAS:
        buf_str(d->out, "(= ");
        dump_var(d, p->var);
        buf_str(d->out, " ");
        dump_pat(d, p->sub);
        break;
    case CP_TUPLE:
        buf_str(d->out, "(tuple");
        for (uint32_t i = 0; i < p->n; i++) {
            buf_str(d->out, " ");
            dump_pat(d, p->elements[i]);
        }
        break;
    case CP_CONS:
        buf_str(d->out, "(list");
        for (; p->kind == CP_CONS; p = p->elements[1]) {
            buf_str(d->out, " ");
            dump_pat(d, p->elements[0]);
        }
        buf_str(d->out, " | ");
        dump_pat(d, p);
        break;
    case CP_MAP:
        buf_str(d->out, "(map");
        for (uint32_t i = 0; i < p->n; i++) {
            buf_str(d->out, " (");
            dump_expr(d, p->pairs[i].key, 0);
            buf_str(d->out, " ");
            dump_pat(d, p->pairs[i].pat);
            buf_str(d->out, ")");
        }
        break;
    case CP_BITS:
        buf_str(d->out, "(bits");
        for (uint32_t i = 0; i < p->n; i++)
            dump_segment(d, &p->segments[i]);
        break;
    }
    buf_str(d->out, ")");
}

static void dump_clauses(struct dump *d, const struct core_expr *e, int indent)
{
    for (uint32_t i = 0; i < e->n; i++) {
        const struct core_clause *c = e->clauses[i];

        newline(d, indent);
        buf_str(d->out, "((");
        for (uint32_t j = 0; j < c->n; j++) {
            buf_str(d->out, j > 0 ? " " : "");
            dump_pat(d, c->pats[j]);
        }
        buf_str(d->out, ") ");
        if (c->guard != NULL)
            dump_expr(d, c->guard, indent + 2);
        else
            buf_str(d->out, "-");
        newline(d, indent + 2);
        dump_expr(d, c->body, indent + 2);
        buf_str(d->out, ")");
    }
}

static void dump_args(struct dump *d, const struct core_expr *e, int indent)
{
    for (uint32_t i = 0; i < e->n; i++) {
        buf_str(d->out, " ");
        dump_expr(d, e->args[i], indent);
    }
}

static void dump_fun(struct dump *d, const struct core_fun *f, int indent)
{
    dump_vars(d, f->params, f->arity);
    newline(d, indent);
    dump_expr(d, f->body, indent);
}

static void dump_pairs(struct dump *d, const struct core_expr *e, int indent)
{
    for (uint32_t i = 0; i < e->n; i++) {
        buf_str(d->out, e->pairs[i].exact ? " (:= " : " (");
        dump_expr(d, e->pairs[i].key, indent);
        buf_str(d->out, " ");
        dump_expr(d, e->pairs[i].value, indent);
        buf_str(d->out, ")");
    }
}

static void dump_try(struct dump *d, const struct core_try *t, int indent)
{
    const core_var caught[] = { t->class, t->reason, t->trace };

    buf_str(d->out, "try");
    newline(d, indent);
    dump_expr(d, t->protected, indent);
    newline(d, indent);
    dump_var(d, t->value);
    buf_str(d->out, " ");
    dump_expr(d, t->body, indent);
    newline(d, indent);
    dump_vars(d, caught, 3);
    buf_str(d->out, " ");
    dump_expr(d, t->handler, indent);
}

/* A let or its like up to its body. */
static void dump_front(struct dump *d, const struct core_expr *e, int indent)
{
    if (e->kind == CORE_SEQ) {
        buf_str(d->out, "(seq ");
        dump_expr(d, e->value, indent);
    } else if (e->kind == CORE_LET) {
        buf_str(d->out, "(let ");
        dump_var(d, e->bound);
        buf_str(d->out, " ");
        dump_expr(d, e->value, indent);
    } else if (e->kind == CORE_JOIN) {
        buf_printf(d->out, "(join l%u ", e->join->number);
        dump_vars(d, e->join->params, e->join->n);
        newline(d, indent + 2);
        dump_expr(d, e->value, indent + 2);
    } else {
        buf_str(d->out, "(letrec (");
        for (uint32_t i = 0; i < e->n; i++) {
            buf_str(d->out, i > 0 ? " (" : "(");
            dump_var(d, e->funs[i]->var);
            buf_str(d->out, " ");
            dump_fun(d, e->funs[i], indent + 4);
            buf_str(d->out, ")");
        }
        buf_str(d->out, ")");
    }
}

static bool has_body(const struct core_expr *e)
{
    return e->kind == CORE_LET || e->kind == CORE_SEQ || e->kind == CORE_LETREC
           || e->kind == CORE_JOIN;
}

static void dump_expr(struct dump *d, const struct core_expr *e, int indent)
{
    static const char *const prims[] = { "raise", "reraise", "fail", "stacktrace" };
    int close = 1;

    for (; has_body(e); e = e->body, close++) {
        dump_front(d, e, indent);
        newline(d, indent);
    }
    if (e->kind == CORE_LIT || e->kind == CORE_VAR) {
        if (e->kind == CORE_LIT)
            core_dump_const(d->out, e->lit);
        else
            dump_var(d, e->var);
        close--;
    } else {
        buf_str(d->out, "(");
    }
    switch (e->kind) {
    case CORE_TUPLE:
        buf_str(d->out, "tuple");
        dump_args(d, e, indent);
        break;
    case CORE_CONS:
        buf_str(d->out, "list");
        for (; e->kind == CORE_CONS; e = e->args[1]) {
            buf_str(d->out, " ");
            dump_expr(d, e->args[0], indent);
        }
        buf_str(d->out, " | ");
        dump_expr(d, e, indent);
        break;
    case CORE_MAP:
        buf_str(d->out, "map ");
        if (e->base != NULL)
            dump_expr(d, e->base, indent);
        else
            buf_str(d->out, "-");
        dump_pairs(d, e, indent);
        break;
    case CORE_BITS:
        buf_str(d->out, "bits");
        for (uint32_t i = 0; i < e->n; i++)
            dump_segment(d, &e->segments[i]);
        break;
    case CORE_FUN:
        buf_str(d->out, "fn ");
        dump_fun(d, e->fun, indent + 2);
        break;
    case CORE_LOCAL:
        buf_printf(d->out, "local %s %u", e->name->name, e->n);
        break;
    case CORE_JUMP:
        buf_printf(d->out, "jump l%u", e->label->number);
        dump_args(d, e, indent);
        break;
    case CORE_CASE:
        buf_str(d->out, "case (");
        for (uint32_t i = 0; i < e->n_values; i++) {
            buf_str(d->out, i > 0 ? " " : "");
            dump_expr(d, e->values[i], indent);
        }
        buf_str(d->out, ")");
        dump_clauses(d, e, indent + 2);
        break;
    case CORE_RECEIVE:
        buf_str(d->out, "receive (");
        dump_clauses(d, e, indent + 2);
        buf_str(d->out, ")");
        if (e->timeout != NULL) {
            buf_str(d->out, " ");
            dump_expr(d, e->timeout, indent + 2);
            buf_str(d->out, " ");
            dump_expr(d, e->after, indent + 2);
        }
        break;
    case CORE_TRY:
        dump_try(d, e->try, indent + 2);
        break;
    case CORE_CALL:
        buf_printf(d->out, "call %s", e->name->name);
        dump_args(d, e, indent);
        break;
    case CORE_REMOTE:
        buf_str(d->out, "remote ");
        dump_expr(d, e->module, indent);
        buf_str(d->out, " ");
        dump_expr(d, e->function, indent);
        dump_args(d, e, indent);
        break;
    case CORE_APPLY:
        buf_str(d->out, "apply ");
        dump_expr(d, e->callee, indent);
        dump_args(d, e, indent);
        break;
    case CORE_AND:
    case CORE_OR:
        buf_str(d->out, e->kind == CORE_AND ? "and" : "or");
        dump_args(d, e, indent);
        break;
    case CORE_PRIM:
        buf_str(d->out, prims[e->prim]);
        dump_args(d, e, indent);
        break;
    default:
        break;
    }
    while (close-- > 0)
        buf_str(d->out, ")");
}

void core_dump(struct buf *out, const struct core_module *m)
{
    struct dump d = { out, m };

    buf_str(out, "(module ");
    quoted(out, m->name->name, m->name->len, '\'');
    for (size_t i = 0; i < m->n_files; i++) {
        buf_str(out, "\n  (file ");
        quoted(out, m->files[i], strlen(m->files[i]), '"');
        buf_str(out, ")");
    }
    for (size_t i = 0; i < m->n_attributes; i++) {
        buf_printf(out, "\n  (attribute '%s' ", m->attributes[i].key->name);
        core_dump_const(out, m->attributes[i].value);
        buf_str(out, ")");
    }
    for (size_t i = 0; i < m->n_functions; i++) {
        const struct core_function *f = &m->functions[i];

        if (f->exported)
            buf_printf(out, "\n  (export (%s %u))", f->name->name, f->fun->arity);
        buf_printf(out, "\n  (def %s ", f->name->name);
        dump_fun(&d, f->fun, 4);
        buf_str(out, ")");
    }
    buf_str(out, ")\n");
}
