/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_verify.c - following what registers hold through the code of a file
 */
#include "vm/load_verify.h"

#include "base/alloc.h"
#include "vm/process.h"

struct write { bool y; uint32_t index, known; };

#define WRITES_MAX 4096

/* The state at a label: nx and ny registers, then what they hold. */
struct label_state {
    bool     seen;
    bool     building;
    int32_t  room;
    uint32_t nx, ny;
    uint32_t *known;                /* owned: nx + ny words */
};

struct verifier {
    uint32_t x[X_REGISTERS], y[FRAME_MAX];
    uint32_t nx;                    /* x registers from here on are not set */
    bool     building;              /* bs_init or bs_append has begun a binary */
    int32_t  room;
    struct write *writes;
    size_t   n_writes, cap_writes;
    struct label_state *labels;
};

static uint32_t y_number(const struct loader *ld)
{
    if (ld->frame <= FRAME_MIXED)
        return (uint32_t)(FRAME_MIXED - ld->frame);
    return ld->frame < 0 ? 0 : (uint32_t)ld->frame;
}

void verify_init(struct loader *ld)
{
    ld->verifier = MEM_NEW(struct verifier);
    ld->verifier->labels = mem_array(ld->file.label_count + 1, sizeof(struct label_state));
}

void verify_fini(struct loader *ld)
{
    struct verifier *v = ld->verifier;

    if (v == NULL)
        return;
    for (uint32_t i = 0; i <= ld->file.label_count; i++)
        mem_free(v->labels[i].known);
    mem_free(v->labels);
    mem_free(v->writes);
    mem_free(v);
}

void verify_entry(struct loader *ld, uint32_t arity)
{
    struct verifier *v = ld->verifier;

    for (uint32_t i = 0; i < arity; i++)
        v->x[i] = KNOWN_ANY;
    for (uint32_t i = arity; i < v->nx; i++)
        v->x[i] = KNOWN_UNSET;
    v->nx = arity;
    v->room = 0;
    v->building = false;
}

static uint32_t meet(uint32_t a, uint32_t b)
{
    if (a == b)
        return a;
    if (a == KNOWN_UNSET || b == KNOWN_UNSET)
        return KNOWN_UNSET;
    /* A slot that is a catch on one way only is never to be touched: as if it were not set. */
    if (a == KNOWN_CATCH || b == KNOWN_CATCH)
        return KNOWN_CATCH;
    if (known_kind(a) == KNOWN_TUPLE && known_kind(b) == KNOWN_TUPLE)
        return a < b ? a : b;
    return KNOWN_ANY;
}

static void state_save(struct verifier *v, struct label_state *s, uint32_t ny)
{
    mem_free(s->known);
    s->seen = true;
    s->building = v->building;
    s->room = v->room;
    s->nx = v->nx;
    s->ny = ny;
    s->known = mem_array(v->nx + ny + 1, sizeof(uint32_t));
    memcpy(s->known, v->x, v->nx * sizeof(uint32_t));
    memcpy(s->known + v->nx, v->y, ny * sizeof(uint32_t));
}

void verify_reach(struct loader *ld, uint32_t label)
{
    struct verifier *v = ld->verifier;
    struct label_state *s = &v->labels[label];
    uint32_t ny = y_number(ld), nx, *known;
    bool changed;

    if (!s->seen) {
        state_save(v, s, ny);
        ld->frames_changed = true;
        return;
    }
    nx = s->nx < v->nx ? s->nx : v->nx;
    ny = s->ny < ny ? s->ny : ny;
    changed = nx != s->nx || ny != s->ny || s->room > v->room ||
              (s->building && !v->building);
    known = s->known;
    for (uint32_t i = 0; i < nx; i++) {
        uint32_t k = meet(known[i], v->x[i]);

        changed |= k != known[i];
        known[i] = k;
    }
    for (uint32_t i = 0; i < ny; i++) {
        uint32_t k = meet(known[s->nx + i], v->y[i]);

        changed |= k != known[s->nx + i];
        known[nx + i] = k;
    }
    s->nx = nx;
    s->ny = ny;
    s->room = s->room < v->room ? s->room : v->room;
    s->building &= v->building;
    ld->frames_changed |= changed;
}

void verify_label(struct loader *ld, uint32_t label)
{
    struct verifier *v = ld->verifier;
    const struct label_state *s = &v->labels[label];

    if (!s->seen)
        return;
    memcpy(v->x, s->known, s->nx * sizeof(uint32_t));
    for (uint32_t i = s->nx; i < v->nx; i++)
        v->x[i] = KNOWN_UNSET;
    v->nx = s->nx;
    memcpy(v->y, s->known + s->nx, s->ny * sizeof(uint32_t));
    v->room = s->room;
    v->building = s->building;
}

void verify_reach_handler(struct loader *ld, uint32_t label)
{
    struct verifier *v = ld->verifier, saved;
    uint32_t ny = y_number(ld);

    saved.nx = v->nx;
    saved.room = v->room;
    saved.building = v->building;
    memcpy(saved.x, v->x, v->nx * sizeof(uint32_t));
    memcpy(saved.y, v->y, ny * sizeof(uint32_t));
    /* By the time anything raises, every y register is set; but to what, changes on the way. */
    for (uint32_t i = 0; i < ny; i++)
        if (v->y[i] != KNOWN_CATCH)
            v->y[i] = KNOWN_ANY;
    verify_entry(ld, 4);            /* a mark, the reason, the trace, the class */
    verify_reach(ld, label);
    memcpy(v->x, saved.x, saved.nx * sizeof(uint32_t));
    memcpy(v->y, saved.y, ny * sizeof(uint32_t));
    v->nx = saved.nx;
    v->room = saved.room;
    v->building = saved.building;
}

/* --- registers -------------------------------------------------------------------------------- */

uint32_t *verify_register(struct loader *ld, const struct beam_arg *a)
{
    struct verifier *v = ld->verifier;

    if (a->kind == BEAM_X && a->u < v->nx)
        return &v->x[a->u];
    if (a->kind == BEAM_Y && a->u < y_number(ld))
        return &v->y[a->u];
    return NULL;
}

bool verify_read(struct loader *ld, const struct beam_arg *a)
{
    const uint32_t *k = verify_register(ld, a);

    if (k == NULL || *k == KNOWN_UNSET)
        return load_fail(ld, "register %c%llu is not set", a->kind == BEAM_X ? 'x' : 'y',
                         (unsigned long long)a->u);
    if (*k == KNOWN_CATCH)
        return load_fail(ld, "y%llu belongs to a catch", (unsigned long long)a->u);
    return true;
}

void verify_write(struct loader *ld, const struct beam_arg *a, uint32_t known)
{
    struct verifier *v = ld->verifier;

    if (v->n_writes == v->cap_writes) {
        v->cap_writes = v->cap_writes ? 2 * v->cap_writes : 16;
        v->writes = mem_realloc(v->writes, v->cap_writes * sizeof *v->writes);
    }
    v->writes[v->n_writes++] = (struct write){ a->kind == BEAM_Y, (uint32_t)a->u, known };
}

void verify_commit(struct loader *ld)
{
    struct verifier *v = ld->verifier;

    for (size_t i = 0; i < v->n_writes; i++) {
        const struct write *w = &v->writes[i];

        if (w->y) {
            if (w->index >= y_number(ld))
                continue;
            if (v->y[w->index] == KNOWN_CATCH)
                load_fail(ld, "y%u belongs to a catch", w->index);
            v->y[w->index] = w->known;
        } else if (w->index < X_REGISTERS) {
            v->x[w->index] = w->known;
            if (w->index >= v->nx) {
                for (uint32_t j = v->nx; j < w->index; j++)
                    v->x[j] = KNOWN_UNSET;
                v->nx = w->index + 1;
            }
        }
    }
    v->n_writes = 0;
}

bool verify_live(struct loader *ld, uint32_t n)
{
    const struct verifier *v = ld->verifier;

    for (uint32_t i = 0; i < n; i++)
        if (i >= v->nx || v->x[i] == KNOWN_UNSET)
            return load_fail(ld, "x%u of %u live registers is not set", i, n);
    return true;
}

void verify_keep_x(struct loader *ld, uint32_t n)
{
    struct verifier *v = ld->verifier;

    for (uint32_t i = n; i < v->nx; i++)
        v->x[i] = KNOWN_UNSET;
    if (v->nx > n)
        v->nx = n;
}

void verify_settle(struct loader *ld)
{
    struct verifier *v = ld->verifier;
    uint32_t ny = y_number(ld);

    for (uint32_t i = 0; i < ny; i++) {
        if (v->y[i] == KNOWN_UNSET) {
            struct operand o = { 'y', (int64_t)(8 * (i + 1)), NULL, 0, 0 };

            /* A mixed frame may be any of several: such a place only raises or was settled. */
            emit(ld, OP_init1, 1, &o);
            v->y[i] = KNOWN_ANY;
        }
    }
}

void verify_frame(struct loader *ld, int32_t frame)
{
    for (int32_t i = 0; i < frame; i++)
        ld->verifier->y[i] = KNOWN_UNSET;
}

bool verify_no_catch(struct loader *ld)
{
    for (uint32_t i = 0; i < y_number(ld); i++)
        if (ld->verifier->y[i] == KNOWN_CATCH)
            return load_fail(ld, "frame left with the catch in y%u open", i);
    return true;
}

bool verify_trim(struct loader *ld, uint32_t n)
{
    struct verifier *v = ld->verifier;

    if (!verify_no_catch(ld))
        return false;
    memmove(v->y, v->y + n, (y_number(ld) - n) * sizeof *v->y);
    return true;
}

/* --- room ------------------------------------------------------------------------------------- */

void verify_room(struct loader *ld, int64_t words)
{
    ld->verifier->room = (int32_t)words;
}

bool verify_use(struct loader *ld, int64_t words)
{
    if (ld->verifier->room < words)
        return load_fail(ld, "%lld words of heap used, %d reserved", (long long)words,
                         ld->verifier->room);
    ld->verifier->room -= (int32_t)words;
    return true;
}

/* --- binaries -------------------------------------------------------------------------------- */

void verify_begin(struct loader *ld)
{
    ld->verifier->building = true;
}

bool verify_building(struct loader *ld, bool puts)
{
    struct verifier *v = ld->verifier;

    if (puts && !v->building)
        return load_fail(ld, "no binary to put into");
    v->building = puts;
    return true;
}
