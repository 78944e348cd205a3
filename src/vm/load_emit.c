/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_emit.c - writing operations: fusing, choosing variants, resolving labels
 *
 * Operations wait in a short queue so that neighbours can be fused. An operand that no variant
 * takes goes through a scratch register of the scheduler, so every op needs only one variant to be
 * complete; the others are for speed.
 */
#include "vm/load_priv.h"

#include "base/alloc.h"
#include "vm/process.h"

#include <stdio.h>

#define SCRATCH(i) ((int64_t)(offsetof(struct sched, scratch) + (i) * sizeof(term)))

static bool fits32(int64_t v)
{
    return v == (int32_t)v;
}

/* Can an operand be written as this kind? */
static bool accepts(char kind, const struct operand *o)
{
    switch (kind) {
    case 'x':
    case 'y':
    case 'l':
    case 'f':
    case 't':
        return o->class == kind;
    case 'i':
        return o->class == 'k' && is_small((term)o->n) && fits32(o->n);
    case 'c':
        return o->class == 'k' && fits32(o->n);
    case 'q':
        return o->class == 'k';
    case 'a':
        return o->class == 'x' || o->class == 'y' || o->class == 'k';
    case 'r':
        return o->class == 'x' || o->class == 'y';
    case 'p':
        return o->class == 'p';
    case 'u':
        return o->class == 'n' && o->n >= 0 && o->n <= 0xFFFF;
    case 'h':
        return o->class == 'n' && o->n >= 0 && o->n <= 0xFFFFFFFF;
    case 'n':
        return o->class == 'n' && fits32(o->n);
    case 'w':
        return o->class == 'n' && o->n >= 0 && o->n < (1 << 27);
    default:
        return false;
    }
}

static int find_variant(uint16_t op, unsigned n, const struct operand *o)
{
    const struct op_group *g = &op_groups[op];

    for (unsigned i = g->first; i < g->first + g->n; i++) {
        const char *kinds = op_variants[i].kinds;
        unsigned k = 0;

        while (k < n && kinds[k] != '\0' && accepts(kinds[k], &o[k]))
            k++;
        if (k == n && kinds[k] == '\0')
            return (int)i;
    }
    return -1;
}

term any_word(const struct operand *o)
{
    if (o->class == 'k')
        return (term)o->n;
    return (term)o->n << 4 | (o->class == 'y') << 3 | TAG_HDR;
}

static void add_fixup(struct loader *ld, uint32_t instr, uint32_t field, uint32_t label, bool wide)
{
    if (ld->n_fixups == ld->cap_fixups) {
        ld->cap_fixups = ld->cap_fixups ? 2 * ld->cap_fixups : 256;
        ld->fixups = mem_realloc(ld->fixups, ld->cap_fixups * sizeof *ld->fixups);
    }
    ld->fixups[ld->n_fixups++] = (struct fixup){ instr, field, label, wide };
}

static void write_operand(struct loader *ld, uint32_t instr, uint8_t *at, char kind,
                          const struct operand *o)
{
    uint32_t field = (uint32_t)(at - (uint8_t *)ld->code);
    term w;

    switch (kind) {
    case 'x':
    case 'y':
    case 'l':
    case 'u':
        *(uint16_t *)at = (uint16_t)o->n;
        break;
    case 'i':
    case 'c':
    case 'n':
    case 'h':
        *(uint32_t *)at = (uint32_t)o->n;
        break;
    case 'w':
        *(int32_t *)at = (int32_t)(o->n * 8);
        break;
    case 'q':
    case 'p':
        *(int64_t *)at = o->n;
        break;
    case 'a':
    case 'r':
        w = any_word(o);
        memcpy(at, &w, sizeof w);
        break;
    case 'f':
        if (o->n != 0)
            add_fixup(ld, instr, field, (uint32_t)o->n, false);
        break;
    case 't':
        if (o->n != 0)
            memcpy(at, o->words, (size_t)o->n * sizeof(term));
        for (int64_t i = o->label_from; o->label_step != 0 && i < o->n; i += o->label_step)
            if (o->words[i] != 0)
                add_fixup(ld, instr, field + (uint32_t)i * 8, (uint32_t)o->words[i], true);
        break;
    }
}

void emit_range(struct loader *ld, int32_t frame, uint32_t line)
{
    struct image *im = ld->image;
    struct code_range *last = im->n_ranges > 0 ? &im->ranges[im->n_ranges - 1] : NULL;
    uint32_t off = (uint32_t)(ld->words * 8);

    if (last != NULL && last->frame == frame && last->line == line)
        return;
    if (last != NULL && last->off == off) {
        last->frame = frame;
        last->line = line;
        return;
    }
    if (im->n_ranges == ld->cap_ranges) {
        ld->cap_ranges = ld->cap_ranges ? 2 * ld->cap_ranges : 64;
        im->ranges = mem_realloc(im->ranges, ld->cap_ranges * sizeof *im->ranges);
    }
    im->ranges[im->n_ranges++] = (struct code_range){ off, frame, line };
}

static void write_instr(struct loader *ld, int variant, unsigned n, const struct operand *o)
{
    const struct op_variant *v = &op_variants[variant];
    uint32_t instr = (uint32_t)(ld->words * 8);
    size_t words = v->size / 8;

    for (unsigned i = 0; i < n; i++)
        if (v->kinds[i] == 't')
            words += (size_t)o[i].n;
    if (ld->words + words > ld->cap) {
        ld->cap = 2 * ld->cap + words + 64;
        ld->code = mem_realloc(ld->code, ld->cap * sizeof *ld->code);
    }
    memset(&ld->code[ld->words], 0, words * sizeof *ld->code);
    *(int32_t *)&ld->code[ld->words] = op_labels[variant];
    for (unsigned i = 0; i < n; i++)
        write_operand(ld, instr, (uint8_t *)&ld->code[ld->words] + v->off[i], v->kinds[i], &o[i]);
    ld->words += words;
}

static void write_move(struct loader *ld, struct operand from, struct operand to)
{
    struct operand o[] = { from, to };
    int v = find_variant(OP_move, 2, o);

    ASSERT(v >= 0);
    write_instr(ld, v, 2, o);
}

/* Write one op; operands that no variant takes pass through scratch registers. */
static void write_single(struct loader *ld, struct pending *q)
{
    struct operand o[OP_OPERANDS_MAX], after_from = { 0 }, after_to = { 0 };
    const char *types = op_variants[op_groups[q->op].first].types;
    int v = find_variant(q->op, q->n, q->o);
    unsigned scratch = 0;

    emit_range(ld, q->frame, q->line);
    if (v >= 0) {
        write_instr(ld, v, q->n, q->o);
        return;
    }
    memcpy(o, q->o, q->n * sizeof *o);
    for (unsigned i = 0; i < q->n && v < 0; i++) {
        struct operand x = { 'x', SCRATCH(scratch), NULL, 0, 0 };

        if (types[i] == 's' && (o[i].class == 'k' || o[i].class == 'y')) {
            write_move(ld, o[i], x);
            o[i] = x;
            scratch++;
        } else if (types[i] == 'd' && o[i].class == 'y' && after_from.class == 0) {
            after_to = o[i];
            o[i] = after_from = x;
            scratch++;
        } else {
            continue;
        }
        v = find_variant(q->op, q->n, o);
    }
    if (v < 0) {
        load_fail(ld, "operands of %s are not supported", op_groups[q->op].name);
        return;
    }
    write_instr(ld, v, q->n, o);
    if (after_from.class != 0)
        write_move(ld, after_from, after_to);
}

static void drop(struct loader *ld, unsigned n)
{
    ld->queued -= n;
    memmove(&ld->queue[0], &ld->queue[n], ld->queued * sizeof ld->queue[0]);
}

/* One range describes a fused instruction: frame and line of the last of n operations in the queue
 * whose place matters. */
static const struct pending *place_of(const struct loader *ld, unsigned n)
{
    const struct pending *q = &ld->queue[n - 1];

    while (q > ld->queue && op_groups[q->op].place == PLACE_NOWHERE)
        q--;
    return q;
}

static bool same_place(const struct pending *q, const struct pending *at)
{
    enum op_place place = op_groups[q->op].place;

    return (place < PLACE_FRAME || q->frame == at->frame) &&
           (place < PLACE_LINE || q->line == at->line);
}

/* Does the frame go and the function return right after the first n queued instructions? */
static bool returns_after(const struct loader *ld, unsigned n)
{
    return ld->queued >= n + 2 && ld->queue[n].op == OP_deallocate && ld->queue[n + 1].op == OP_return;
}

static bool try_fuse(struct loader *ld, const struct op_fuse *f)
{
    struct operand o[OP_OPERANDS_MAX];
    const struct pending *at;
    unsigned n = 0;
    int v;

    if (f->n > ld->queued)
        return false;
    for (unsigned i = 0; i < f->n; i++)
        if (ld->queue[i].op != f->ops[i])
            return false;
    if (f->ops[f->n - 1] == OP_call_fun && returns_after(ld, f->n))
        return false;           /* tail_call comes first, when it is the call's turn */
    at = place_of(ld, f->n);
    for (unsigned i = 0; i < f->n; i++) {
        if (n + ld->queue[i].n > OP_OPERANDS_MAX || !same_place(&ld->queue[i], at))
            return false;
        memcpy(&o[n], ld->queue[i].o, ld->queue[i].n * sizeof *o);
        n += ld->queue[i].n;
    }
    v = find_variant(f->result, n, o);
    if (v < 0)
        return false;
    emit_range(ld, at->frame, at->line);
    write_instr(ld, v, n, o);
    drop(ld, f->n);
    return true;
}

/* A fun call whose result is only returned: the frame goes first. */
static bool tail_call(struct loader *ld)
{
    struct pending call = ld->queue[0], dealloc = ld->queue[1];
    struct operand x = { 'x', SCRATCH(0), NULL, 0, 0 };

    if (!returns_after(ld, 1))
        return false;
    switch (call.op) {
    case OP_call_fun:
        call.op = OP_call_fun_only;
        emit_range(ld, call.frame, call.line);
        if (call.o[0].class == 'y') {
            write_move(ld, call.o[0], x);
            call.o[0] = x;
        }
        break;
    case OP_apply:
        call.op = OP_apply_only;
        break;
    default:
        return false;
    }
    write_single(ld, &dealloc);
    call.frame = FRAME_NONE;
    write_single(ld, &call);
    drop(ld, 3);
    return true;
}

static void flush_one(struct loader *ld)
{
    if (tail_call(ld))
        return;
    for (const struct op_fuse *f = op_fuses; f->n != 0; f++)
        if (ld->queue[0].op == f->ops[0] && try_fuse(ld, f))
            return;
    write_single(ld, &ld->queue[0]);
    drop(ld, 1);
}

void emit_flush(struct loader *ld)
{
    while (ld->queued > 0)
        flush_one(ld);
    ld->n_tables = 0;
}

void emit(struct loader *ld, enum op_id op, unsigned n, const struct operand *o)
{
    struct pending *q;

    if (ld->measuring || ld->dead)
        return;
    if (ld->queued == LOAD_QUEUE_MAX)
        flush_one(ld);
    q = &ld->queue[ld->queued++];
    q->op = (uint16_t)op;
    q->n = (uint8_t)n;
    q->frame = ld->frame;
    q->line = ld->line;
    if (n > 0)
        memcpy(q->o, o, n * sizeof *o);
}

term *emit_table(struct loader *ld, size_t words)
{
    if (words == 0)
        return ld->tables;
    /* Queued tables point into this room, so it must not move while any is waiting. */
    if (ld->n_tables + words > ld->cap_tables) {
        emit_flush(ld);
        if (words > ld->cap_tables) {
            ld->cap_tables = words + 1024;
            ld->tables = mem_realloc(ld->tables, ld->cap_tables * sizeof *ld->tables);
        }
    }
    ld->n_tables += words;
    return ld->tables + ld->n_tables - words;
}

uint32_t emit_offset(const struct loader *ld)
{
    ASSERT(ld->queued == 0);
    return (uint32_t)(ld->words * 8);
}

bool emit_finish(struct loader *ld)
{
    for (size_t i = 0; i < ld->n_fixups; i++) {
        const struct fixup *f = &ld->fixups[i];
        int64_t to = (int64_t)ld->label_off[f->label] - 1 - f->instr;
        uint8_t *at = (uint8_t *)ld->code + f->field;

        if (ld->label_off[f->label] == 0)
            return load_fail(ld, "jump to label %u, which is not defined", f->label);
        if (f->wide)
            memcpy(at, &to, sizeof to);
        else
            *(int32_t *)at = (int32_t)to;
    }
    return true;
}
