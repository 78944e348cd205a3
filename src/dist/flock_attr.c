/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock_attr.c - attributes and patterns
 */
#include "dist/flock_attr.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"
#include "dist/share.h"
#include "heap/etf.h"
#include "heap/map.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/compare.h"

#include <stdlib.h>

/* One attribute in such bytes; lent. */
struct attr {
    const uint8_t *key, *value;
    uint8_t key_len, type;
    uint16_t len;
};

/* True: *ret is the next; false: the end, or r->bad. */
static bool attr_next(struct reader *r, struct attr *ret)
{
    if (reader_left(r) == 0)
        return false;
    ret->key_len = reader_u8(r);
    ret->key = reader_take(r, ret->key_len);
    ret->type = reader_u8(r);
    ret->len = reader_u16(r);
    ret->value = reader_take(r, ret->len);
    return !r->bad;
}

/* Type, bytes and length of a clause_value, as arguments. */
#define VALUE(v) (v)->data[0], (v)->data + 1, (v)->len - 1u

/* --- values ------------------------------------------------------------------------------------------ */

/* The bytes of a text, lent or written to out; false: t is no text. */
static bool text_of(term t, struct buf *out)
{
    size_t len;
    const char *s;
    struct bits b;

    if (is_atom(t)) {
        s = atom_text(t, &len);
        buf_add(out, s, len);
        return true;
    }
    if (!is_binary(t))
        return false;
    b = bits_of(t);
    bits_copy(buf_room(out, (size_t)(b.bits / 8)), 0, b.base, b.bit_offset, b.bits);
    return true;
}

/* Append the value's bytes; its type is the result, 0: it has too many. */
static uint8_t value_write(struct buf *out, term v)
{
    size_t before = out->len;
    uint8_t type = 'e';
    int64_t n;
    double d;

    if (is_atom(v) || is_binary(v)) {
        type = is_atom(v) ? 'a' : 'b';
        text_of(v, out);
    } else if (term_to_int64(v, &n)) {
        type = 'i';
        buf_be(out, (uint64_t)n, 8);
    } else if (is_float(v)) {
        uint64_t bits;

        type = 'f';
        d = flt_val(v);
        memcpy(&bits, &d, sizeof(bits));
        buf_be(out, bits, 8);
    } else {
        share_encode(out, v);
    }
    return out->len - before <= ATTRS_BYTES ? type : 0;
}

static term value_term(struct heap *h, uint8_t type, const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);
    uint64_t bits;
    term t = TERM_NONE;
    double d;

    switch (type) {
    case 'a':
        t = atom_existing_utf8((const char *)data, len);
        return t != TERM_NONE ? t : heap_binary(h, data, len);
    case 'b':
        return heap_binary(h, data, len);
    case 'i':
        return heap_int(h, (int64_t)reader_u64(&r));
    case 'f':
        bits = reader_u64(&r);
        memcpy(&d, &bits, sizeof(d));
        return heap_float(h, d);
    default:
        t = etf_decode(h, &r, ETF_NO_VERSION | ETF_SAFE);
        return t != TERM_NONE ? t : heap_binary(h, data, len);
    }
}

static bool value_ok(uint8_t type, const uint8_t *data, size_t len)
{
    uint64_t bits;
    double d;

    if (type == 'i')
        return len == 8;
    if (type == 'f') {
        struct reader r = reader_make(data, len);

        bits = reader_u64(&r);
        memcpy(&d, &bits, sizeof(d));
        return len == 8 && d - d == 0;              /* finite */
    }
    return type == 'a' || type == 'b' || type == 'e';
}

static bool is_text(uint8_t type)
{
    return type == 'a' || type == 'b';
}

static bool same_value(uint8_t at, const uint8_t *a, size_t a_len, uint8_t bt, const uint8_t *b,
                       size_t b_len)
{
    return (at == bt || (is_text(at) && is_text(bt))) && a_len == b_len
        && memcmp(a, b, a_len) == 0;
}

static bool number_of(uint8_t type, const uint8_t *data, size_t len, double *ret)
{
    struct reader r = reader_make(data, len);
    uint64_t bits = reader_u64(&r);

    if (type == 'i')
        *ret = (double)(int64_t)bits;
    else if (type == 'f')
        memcpy(ret, &bits, sizeof(*ret));
    return !r.bad && (type == 'i' || type == 'f');
}

/* --- attributes -------------------------------------------------------------------------------------- */

static int attr_write(struct buf *out, const uint8_t *key, size_t key_len, term value)
{
    struct buf v = { 0 };
    uint8_t type = value_write(&v, value);
    int rc = type == 0 || key_len > 255 ? -ERR_LIMIT : key_len == 0 ? -ERR_ARGUMENT : 0;

    if (rc == 0) {
        buf_u8(out, (uint8_t)key_len);
        buf_add(out, key, key_len);
        buf_u8(out, type);
        buf_be(out, v.len, 2);
        buf_add(out, v.data, v.len);
    }
    buf_fini(&v);
    return rc;
}

int attrs_write(struct buf *out, term map)
{
    term pairs[2 * ATTRS_MAX];
    size_t n, before = out->len;
    int rc = 0;

    if (!is_map(map))
        return -ERR_ARGUMENT;
    n = map_size(map);
    if (n > ATTRS_MAX)
        return -ERR_LIMIT;
    map_pairs(map, pairs, true);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct buf key = { 0 };

        rc = text_of(pairs[2 * i], &key) ? attr_write(out, key.data, key.len, pairs[2 * i + 1])
                                         : -ERR_ARGUMENT;
        buf_fini(&key);
    }
    return rc == 0 && out->len - before > ATTRS_BYTES ? -ERR_LIMIT : rc;
}

int attrs_add_text(struct buf *out, const char *key, const char *value)
{
    size_t key_len = strlen(key), len = strlen(value);

    if (key_len == 0 || key_len > 255 || len > ATTRS_BYTES)
        return -ERR_LIMIT;
    buf_u8(out, (uint8_t)key_len);
    buf_add(out, key, key_len);
    buf_u8(out, 'b');
    buf_be(out, len, 2);
    buf_add(out, value, len);
    return 0;
}

bool attrs_ok(const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);
    struct attr a;

    /* Twice, because a process has the attributes of its node besides its own. */
    if (len > 2 * ATTRS_BYTES)
        return false;
    while (attr_next(&r, &a))
        if (a.key_len == 0 || !value_ok(a.type, a.value, a.len))
            return false;
    return !r.bad;
}

term attrs_term(struct heap *h, const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);
    term map = map_empty(h);
    struct attr a;

    while (attr_next(&r, &a)) {
        term key = value_term(h, 'a', a.key, a.key_len);

        map = map_put(h, map, key, value_term(h, a.type, a.value, a.len));
    }
    return map;
}

static bool clause_holds(const struct clause *c, const struct attr *a)
{
    double have, least;

    switch (c->op) {
    case OP_HAS:
        return true;
    case OP_IS:
    case OP_ONE_OF:
        for (unsigned i = 0; i < c->n; i++)
            if (same_value(a->type, a->value, a->len, VALUE(&c->values[i])))
                return true;
        return false;
    case OP_AT_LEAST:
        return number_of(a->type, a->value, a->len, &have) && c->n == 1
            && number_of(VALUE(&c->values[0]), &least)
            && have >= least;
    }
    return false;
}

bool attrs_match(const uint8_t *data, size_t len, const struct pattern *p)
{
    for (unsigned i = 0; p != NULL && i < p->n; i++) {
        struct reader r = reader_make(data, len);
        bool held = false;
        struct attr a;

        while (!held && attr_next(&r, &a))
            held = a.key_len == strlen(p->clauses[i].key)
                && memcmp(a.key, p->clauses[i].key, a.key_len) == 0
                && clause_holds(&p->clauses[i], &a);
        if (!held)
            return false;
    }
    return true;
}

/* --- patterns ---------------------------------------------------------------------------------------- */

static struct clause_value value_new(uint8_t type, const void *data, size_t len)
{
    struct clause_value v = { .len = (uint16_t)(len + 1), .data = mem_alloc(len + 1) };

    v.data[0] = type;
    if (len != 0)
        memcpy(v.data + 1, data, len);
    return v;
}

static void clause_fini(struct clause *c)
{
    for (unsigned i = 0; i < c->n; i++)
        mem_free(c->values[i].data);
    mem_free(c->values);
    mem_free(c->key);
}

void pattern_free(struct pattern *p)
{
    for (unsigned i = 0; p != NULL && i < p->n; i++)
        clause_fini(&p->clauses[i]);
    mem_free(p);
}

struct pattern *pattern_copy(const struct pattern *p)
{
    struct pattern *q;

    if (p == NULL)
        return NULL;
    q = mem_dup(p, sizeof(*p));
    for (unsigned i = 0; i < p->n; i++) {
        struct clause *c = &q->clauses[i];

        c->key = mem_strdup(c->key);
        c->values = mem_dup(c->values, c->n * sizeof(c->values[0]));
        for (unsigned k = 0; k < c->n; k++)
            c->values[k].data = mem_dup(c->values[k].data, c->values[k].len);
    }
    return q;
}

static const char *const op_names[] = { [OP_IS] = "is", [OP_ONE_OF] = "one_of",
                                        [OP_AT_LEAST] = "at_least", [OP_HAS] = "has" };

static int op_from_term(term t, enum clause_op *ret)
{
    for (enum clause_op op = OP_IS; op <= OP_HAS; op++)
        if (t == atom_from_cstr(op_names[op])) {
            *ret = op;
            return 0;
        }
    return -ERR_ARGUMENT;
}

static int clause_value_add(struct clause *c, term v)
{
    struct buf b = { 0 };
    uint8_t type = value_write(&b, v);

    if (type != 0 && c->n < CLAUSE_VALUES_MAX)
        c->values[c->n++] = value_new(type, b.data, b.len);
    else
        type = 0;
    buf_fini(&b);
    return type != 0 ? 0 : -ERR_LIMIT;
}

static int clause_from_terms(struct clause *c, term key, enum clause_op op, term value)
{
    struct buf k = { 0 };
    int rc = 0;

    if (!text_of(key, &k) || k.len == 0 || k.len > 255 || memchr(k.data, 0, k.len) != NULL) {
        buf_fini(&k);
        return -ERR_ARGUMENT;
    }
    *c = (struct clause){ .key = mem_strdup(buf_cstr(&k)), .op = op,
                          .values = MEM_NEW_ARRAY(struct clause_value, CLAUSE_VALUES_MAX) };
    buf_fini(&k);
    if (op == OP_ONE_OF) {
        for (; rc == 0 && is_cons(value); value = cdr(value))
            rc = clause_value_add(c, car(value));
        return rc == 0 && !is_nil(value) ? -ERR_ARGUMENT : rc;
    }
    if (op == OP_AT_LEAST && !is_number(value))
        return -ERR_ARGUMENT;
    return op == OP_HAS ? 0 : clause_value_add(c, value);
}

static int clause_from_term(struct clause *c, term t)
{
    enum clause_op op = OP_IS;

    if (is_tuple_n(t, 2))
        return clause_from_terms(c, tuple_elem(t, 0), OP_IS, tuple_elem(t, 1));
    if (!is_tuple_n(t, 3) || op_from_term(tuple_elem(t, 1), &op) < 0)
        return -ERR_ARGUMENT;
    return clause_from_terms(c, tuple_elem(t, 0), op, tuple_elem(t, 2));
}

static int clauses_from_map(struct pattern *p, term map)
{
    term pairs[2 * CLAUSES_MAX];
    int rc = 0;

    if (map_size(map) > CLAUSES_MAX)
        return -ERR_LIMIT;
    map_pairs(map, pairs, true);
    for (size_t i = 0; rc == 0 && i < map_size(map); i++) {
        p->clauses[p->n] = (struct clause){ 0 };
        rc = clause_from_terms(&p->clauses[p->n], pairs[2 * i], OP_IS, pairs[2 * i + 1]);
        p->n += p->clauses[p->n].key != NULL;
    }
    return rc;
}

int pattern_from_term(term t, struct pattern **ret)
{
    struct pattern *p = MEM_NEW(struct pattern);
    int rc = is_map(t) ? clauses_from_map(p, t) : 0;

    for (; rc == 0 && is_cons(t); t = cdr(t)) {
        if (p->n == CLAUSES_MAX) {
            rc = -ERR_LIMIT;
            break;
        }
        rc = clause_from_term(&p->clauses[p->n], car(t));
        p->n += p->clauses[p->n].key != NULL;
    }
    if (rc == 0 && !is_nil(t) && !is_map(t))
        rc = -ERR_ARGUMENT;
    if (rc < 0) {
        pattern_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

term pattern_term(struct heap *h, const struct pattern *p)
{
    term list = TERM_NIL;

    for (unsigned i = p->n; i-- > 0;) {
        const struct clause *c = &p->clauses[i];
        term value = TERM_NIL;

        for (unsigned k = c->n; k-- > 0;) {
            const struct clause_value *v = &c->values[k];

            value = heap_cons(h, value_term(h, VALUE(v)), value);
        }
        if (c->op != OP_ONE_OF)
            value = c->n == 1 ? car(value) : ATOM_true;
        list = heap_cons(h, heap_tuple3(h, value_term(h, 'a', (const uint8_t *)c->key,
                                                      strlen(c->key)),
                                        atom_from_cstr(op_names[c->op]), value), list);
    }
    return list;
}

int pattern_add_text(struct pattern *p, const char *key, const char *value)
{
    struct clause *c = &p->clauses[p->n];

    if (p->n == CLAUSES_MAX || strlen(key) > 255 || strlen(value) > ATTRS_BYTES)
        return -ERR_LIMIT;
    *c = (struct clause){ .key = mem_strdup(key), .op = OP_IS, .n = 1,
                          .values = MEM_NEW_ARRAY(struct clause_value, CLAUSE_VALUES_MAX) };
    c->values[0] = value_new('b', value, strlen(value));
    p->n++;
    return 0;
}

static void value_text(struct buf *out, uint8_t type, const uint8_t *data, size_t len)
{
    double d = 0;

    if (is_text(type))
        buf_add(out, data, len);
    else if (number_of(type, data, len, &d))
        buf_printf(out, "%.15g", d);
    else
        buf_str(out, "(term)");
}

void attrs_visit_texts(const uint8_t *data, size_t len,
                       void (*visit)(void *arg, const char *key, const char *value), void *arg)
{
    struct reader r = reader_make(data, len);
    struct attr a;

    while (attr_next(&r, &a)) {
        char *key, *value;

        if (!is_text(a.type))
            continue;
        key = mem_printf("%.*s", a.key_len, (const char *)a.key);
        value = mem_printf("%.*s", a.len, (const char *)a.value);
        visit(arg, key, value);
        mem_free(key);
        mem_free(value);
    }
}

void attrs_text(struct buf *out, const uint8_t *data, size_t len)
{
    struct reader r = reader_make(data, len);
    const char *gap = "";
    struct attr a;

    for (; attr_next(&r, &a); gap = " ") {
        buf_printf(out, "%s%.*s=", gap, a.key_len, (const char *)a.key);
        value_text(out, a.type, a.value, a.len);
    }
}

void pattern_text(struct buf *out, const struct pattern *p)
{
    static const char *const words[] = { [OP_IS] = " is ", [OP_ONE_OF] = " one of ",
                                         [OP_AT_LEAST] = " at least ", [OP_HAS] = " there" };

    for (unsigned i = 0; i < p->n; i++) {
        const struct clause *c = &p->clauses[i];

        buf_printf(out, "%s%s%s", i > 0 ? ", " : "", c->key, words[c->op]);
        for (unsigned k = 0; k < c->n; k++) {
            buf_str(out, k > 0 ? "|" : "");
            value_text(out, VALUE(&c->values[k]));
        }
    }
}

/* --- as messages ------------------------------------------------------------------------------------- */

void pattern_to_wire(const struct pattern *p, struct pattern_wire *ret)
{
    ret->n = p == NULL ? 0 : p->n;
    for (unsigned i = 0; i < ret->n; i++) {
        const struct clause *c = &p->clauses[i];
        Rn__Clause *m = ret->pointers[i] = &ret->clauses[i];

        rn__clause__init(m);
        m->key = BYTES_OF(c->key, strlen(c->key));
        m->op = c->op;
        m->n_values = c->n;
        m->values = ret->values[i];
        for (unsigned k = 0; k < c->n; k++)
            ret->values[i][k] = BYTES_OF(c->values[k].data, c->values[k].len);
    }
}

static int clause_from_wire(struct clause *c, const Rn__Clause *m)
{
    *c = (struct clause){ .op = (enum clause_op)m->op };
    if (m->op < OP_IS || m->op > OP_HAS || m->key.len == 0 || m->key.len > 255
        || m->n_values > CLAUSE_VALUES_MAX || memchr(m->key.data, 0, m->key.len) != NULL)
        return -ERR_PROTOCOL;
    c->key = mem_printf("%.*s", (int)m->key.len, (const char *)m->key.data);
    c->values = MEM_NEW_ARRAY(struct clause_value, CLAUSE_VALUES_MAX);
    for (size_t k = 0; k < m->n_values; k++) {
        const ProtobufCBinaryData *v = &m->values[k];

        if (v->len < 1 || v->len > ATTRS_BYTES + 1 || !value_ok(v->data[0], v->data + 1, v->len - 1))
            return -ERR_PROTOCOL;
        c->values[c->n++] = value_new(v->data[0], v->data + 1, v->len - 1);
    }
    return 0;
}

int pattern_from_wire(Rn__Clause *const *clauses, size_t n, struct pattern **ret)
{
    struct pattern *p;
    int rc = n <= CLAUSES_MAX ? 0 : -ERR_PROTOCOL;

    *ret = NULL;
    if (n == 0 || rc < 0)
        return rc;
    p = MEM_NEW(struct pattern);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = clause_from_wire(&p->clauses[i], clauses[i]);
        p->n++;
    }
    if (rc < 0) {
        pattern_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}
