/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - compact operands to struct beam_arg, with every bound checked
 *
 * An operand begins with a byte of which the low three bits are its tag and the rest says how its
 * number is stored (format: shared reference, section 4). Tag 7 is an escape to the operands that
 * have no number of their own: lists, float registers, heap room, literals, typed registers.
 */
#include "beam/decode.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum tag { TAG_U, TAG_I, TAG_A, TAG_X, TAG_Y, TAG_F, TAG_H, TAG_Z };
enum ztag { Z_LIST = 1, Z_FR = 2, Z_ALLOC = 3, Z_LITERAL = 4, Z_TYPED = 5 };

static int fail(struct beam_cursor *c, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail(struct beam_cursor *c, int rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->error.text, sizeof c->error.text, fmt, ap);
    va_end(ap);
    return rc;
}

/* --- numbers --------------------------------------------------------------------------------- */

/* A number as stored: either value, or bytes when it needs more than 64 bits. */
struct number {
    unsigned tag;
    int64_t value;
    struct beam_bytes bytes;    /* data NULL: value holds it */
};

static void drop_sign_bytes(struct beam_bytes *b)
{
    while (b->len > 1 && (b->data[0] == 0 || b->data[0] == 0xff)
           && (b->data[0] >> 7) == (b->data[1] >> 7)) {
        b->data++;
        b->len--;
    }
}

static int take_bytes(struct reader *in, size_t len, struct number *n)
{
    struct beam_bytes b = { reader_take(in, len), (uint32_t)len };

    if (b.data == NULL)
        return -ERR_FORMAT;
    drop_sign_bytes(&b);
    if (b.len > 8) {
        n->bytes = b;
        return 0;
    }
    uint64_t v = b.data[0] & 0x80 ? ~(uint64_t)0 : 0;

    for (uint32_t i = 0; i < b.len; i++)
        v = v << 8 | b.data[i];
    n->value = (int64_t)v;
    return 0;
}

/* The length of a number of nine bytes or more is itself a number, minus nine. */
static int take_long(struct reader *in, struct number *n)
{
    unsigned tag;
    int64_t len;
    int rc = reader_left(in) > 0 && in->at[0] >> 3 == 31 ? -ERR_FORMAT
                                                         : beam_decode_number(in, &tag, &len);

    if (rc < 0)
        return rc;
    if (tag != TAG_U || len < 0)
        return -ERR_FORMAT;
    if (len > BEAM_BIG_MAX - 9)
        return -ERR_LIMIT;
    return take_bytes(in, (size_t)len + 9, n);
}

static int take_number(struct reader *in, struct number *n)
{
    uint8_t first = reader_u8(in);

    *n = (struct number){ .tag = first & 7 };
    if (in->bad)
        return -ERR_FORMAT;
    if ((first & 8) == 0) {
        n->value = first >> 4;
        return 0;
    }
    if ((first & 16) == 0) {
        n->value = (first >> 5) << 8 | reader_u8(in);
        return in->bad ? -ERR_FORMAT : 0;
    }
    if (first >> 5 < 7)
        return take_bytes(in, (first >> 5) + 2u, n);
    return take_long(in, n);
}

int beam_decode_number(struct reader *r, unsigned *ret_tag, int64_t *ret_value)
{
    struct number n;
    int rc = take_number(r, &n);

    if (rc < 0)
        return rc;
    if (n.bytes.data != NULL)
        return -ERR_FORMAT;
    *ret_tag = n.tag;
    *ret_value = n.value;
    return 0;
}

/* A number that counts something: tag u, at most max. */
static int take_count(struct beam_cursor *c, uint64_t max, uint32_t *ret)
{
    unsigned tag;
    int64_t v;
    int rc = beam_decode_number(&c->in, &tag, &v);

    if (rc < 0)
        return fail(c, rc, "a count is cut short or too large");
    if (tag != TAG_U || v < 0)
        return fail(c, -ERR_FORMAT, "a count was expected, not tag %u", tag);
    if ((uint64_t)v > max)
        return fail(c, -ERR_LIMIT, "%" PRId64 " is above the limit of %" PRIu64, v, max);
    *ret = (uint32_t)v;
    return 0;
}

/* --- operands -------------------------------------------------------------------------------- */

static int set_index(struct beam_cursor *c, struct beam_arg *arg, enum beam_kind kind, int64_t v,
                     uint64_t end, const char *what)
{
    if (v < 0 || (uint64_t)v >= end)
        return fail(c, -ERR_FORMAT, "%s %" PRId64 " is out of range", what, v);
    arg->kind = (uint8_t)kind;
    arg->u = (uint64_t)v;
    return 0;
}

static int set_integer(struct beam_cursor *c, struct beam_arg *arg, const struct number *n)
{
    arg->kind = n->bytes.data != NULL ? BEAM_BIG : BEAM_I;
    if (n->bytes.data != NULL)
        arg->bytes = n->bytes;
    else
        arg->i = n->value;
    return 0;
}

static int take_plain(struct beam_cursor *c, struct beam_arg *arg)
{
    struct number n;
    int rc = take_number(&c->in, &n);

    if (rc < 0)
        return fail(c, rc, "an operand is cut short or too long");
    if (n.tag == TAG_I)
        return set_integer(c, arg, &n);
    if (n.bytes.data != NULL)
        return fail(c, -ERR_FORMAT, "an index of %u bytes", n.bytes.len);
    switch ((enum tag)n.tag) {
    case TAG_U:
        return set_index(c, arg, BEAM_U, n.value, INT64_MAX, "number");
    case TAG_A:
        rc = set_index(c, arg, BEAM_ATOM, n.value, c->file->n_atoms + (uint64_t)1, "atom");
        if (rc == 0 && n.value == 0)
            arg->kind = BEAM_NIL;
        return rc;
    case TAG_X:
        return set_index(c, arg, BEAM_X, n.value, BEAM_X_MAX, "register x");
    case TAG_Y:
        return set_index(c, arg, BEAM_Y, n.value, BEAM_Y_MAX, "register y");
    case TAG_F:
        return set_index(c, arg, BEAM_F, n.value, c->file->label_count, "label");
    case TAG_H:
        return set_index(c, arg, BEAM_I, n.value, 0x110000, "character");
    default:
        return fail(c, -ERR_FORMAT, "tag %u is not known", n.tag);
    }
}

static int take_alloc(struct beam_cursor *c, struct beam_arg *arg)
{
    uint32_t n, kind, count, room[3] = { 0, 0, 0 };
    int rc = take_count(c, 3, &n);

    for (; rc == 0 && n > 0; n--) {
        rc = take_count(c, 2, &kind);
        if (rc == 0)
            rc = take_count(c, 1u << 28, &count);
        if (rc == 0)
            room[kind] = count;
    }
    if (rc < 0)
        return rc;
    arg->kind = BEAM_ALLOC;
    arg->alloc.words = room[0];
    arg->alloc.floats = room[1];
    arg->alloc.funs = room[2];
    return 0;
}

/* A register with a hint of its type. The hint is only kept, never trusted. */
static int take_typed(struct beam_cursor *c, struct beam_arg *arg)
{
    uint32_t type;
    int rc = take_plain(c, arg);

    if (rc < 0)
        return rc;
    if (arg->kind != BEAM_X && arg->kind != BEAM_Y)
        return fail(c, -ERR_FORMAT, "a type hint on something that is no register");
    rc = take_count(c, UINT32_MAX - 1, &type);
    if (rc == 0 && type < c->file->n_types)
        arg->type = type + 1;
    return rc;
}

static int take_list(struct beam_cursor *c, struct beam_arg *arg);

static int take_arg(struct beam_cursor *c, struct beam_arg *arg, bool list_allowed)
{
    uint32_t v;
    int rc;

    *arg = (struct beam_arg){ 0 };
    if (reader_left(&c->in) == 0)
        return fail(c, -ERR_FORMAT, "the code ends inside an instruction");
    if ((c->in.at[0] & 15) != TAG_Z)
        return take_plain(c, arg);
    switch ((enum ztag)(reader_u8(&c->in) >> 4)) {
    case Z_LIST:
        return list_allowed ? take_list(c, arg) : fail(c, -ERR_FORMAT, "a list inside a list");
    case Z_FR:
        rc = take_count(c, BEAM_FR_MAX - 1, &v);
        arg->kind = BEAM_FR;
        arg->u = rc < 0 ? 0 : v;
        return rc;
    case Z_ALLOC:
        return take_alloc(c, arg);
    case Z_LITERAL:
        rc = take_count(c, UINT32_MAX, &v);
        return rc < 0 ? rc : set_index(c, arg, BEAM_LITERAL, v, c->file->n_literals, "literal");
    case Z_TYPED:
        return take_typed(c, arg);
    default:
        return fail(c, -ERR_FORMAT, "an extended operand of unknown kind");
    }
}

static void list_room(struct beam_cursor *c, uint32_t n)
{
    if (n <= c->list_cap)
        return;
    mem_free(c->list);
    c->list = MEM_NEW_ARRAY(struct beam_arg, n);
    c->list_cap = n;
}

static int take_list(struct beam_cursor *c, struct beam_arg *arg)
{
    uint32_t n;
    int rc = take_count(c, BEAM_LIST_MAX, &n);

    if (rc < 0)
        return rc;
    /* Each element takes a byte at least: a short file cannot ask for a large array. */
    if (n > reader_left(&c->in))
        return fail(c, -ERR_FORMAT, "a list of %u elements in %zu bytes", n, reader_left(&c->in));
    list_room(c, n);
    for (uint32_t i = 0; i < n; i++) {
        rc = take_arg(c, &c->list[i], false);
        if (rc < 0)
            return rc;
    }
    arg->kind = BEAM_LIST;
    arg->list = c->list;
    arg->n = n;
    return 0;
}

/* --- instructions ---------------------------------------------------------------------------- */

void beam_cursor_init(struct beam_cursor *c, const struct beam_file *f)
{
    *c = (struct beam_cursor){ .file = f, .in = reader_make(f->code.data, f->code.len) };
}

void beam_cursor_fini(struct beam_cursor *c)
{
    mem_free(c->list);
    c->list = NULL;
    c->list_cap = 0;
}

static int take_op(struct beam_cursor *c, const struct beam_op_info **ret_info, unsigned *ret_op)
{
    unsigned op = reader_u8(&c->in);
    const struct beam_op_info *info = beam_op_info(op);

    if (c->in.bad)
        return fail(c, -ERR_FORMAT, "the code has no int_code_end");
    if (info->name == NULL)
        return fail(c, -ERR_FORMAT, "instruction %u is not known", op);
    if (!info->accepted)
        return fail(c, -ERR_FORMAT, "instruction %s (%u) is not supported", info->name, op);
    *ret_info = info;
    *ret_op = op;
    return 0;
}

int beam_next(struct beam_cursor *c, struct beam_instr *ret_instr)
{
    const struct beam_op_info *info = NULL;
    bool had_list = false;
    int rc;

    if (c->done)
        return 0;
    ret_instr->at = (size_t)(c->in.at - c->file->code.data);
    rc = take_op(c, &info, &ret_instr->op);
    if (rc < 0)
        return rc;
    ASSERT(info->arity <= BEAM_ARITY_MAX);
    ret_instr->argc = info->arity;
    for (unsigned i = 0; i < info->arity; i++) {
        rc = take_arg(c, &ret_instr->args[i], !had_list);
        if (rc < 0)
            return rc;
        had_list |= ret_instr->args[i].kind == BEAM_LIST;
    }
    c->done = ret_instr->op == BOP_int_code_end;
    return 1;
}

/* --- text ------------------------------------------------------------------------------------ */

static void print_arg(struct buf *out, const struct beam_file *f, const struct beam_arg *a)
{
    switch ((enum beam_kind)a->kind) {
    case BEAM_U:       buf_printf(out, "%" PRIu64, a->u); break;
    case BEAM_I:       buf_printf(out, "#%" PRId64, a->i); break;
    case BEAM_BIG:     buf_printf(out, "#(%u bytes)", a->bytes.len); break;
    case BEAM_NIL:     buf_str(out, "[]"); break;
    case BEAM_X:       buf_printf(out, "x%" PRIu64, a->u); break;
    case BEAM_Y:       buf_printf(out, "y%" PRIu64, a->u); break;
    case BEAM_F:       buf_printf(out, "L%" PRIu64, a->u); break;
    case BEAM_FR:      buf_printf(out, "fr%" PRIu64, a->u); break;
    case BEAM_LITERAL: buf_printf(out, "literal(%" PRIu64 ")", a->u); break;
    case BEAM_ATOM:
        buf_printf(out, "'%.*s'", (int)f->atoms[a->u].len, (const char *)f->atoms[a->u].data);
        break;
    case BEAM_ALLOC:
        buf_printf(out, "room(%u,%u,%u)", a->alloc.words, a->alloc.floats, a->alloc.funs);
        break;
    case BEAM_LIST:
        buf_str(out, "[");
        for (uint32_t i = 0; i < a->n; i++) {
            buf_str(out, i > 0 ? " " : "");
            print_arg(out, f, &a->list[i]);
        }
        buf_str(out, "]");
        break;
    }
}

void beam_instr_print(struct buf *out, const struct beam_file *f, const struct beam_instr *in)
{
    buf_str(out, beam_op_info(in->op)->name);
    for (unsigned i = 0; i < in->argc; i++) {
        buf_str(out, " ");
        print_arg(out, f, &in->args[i]);
    }
}
