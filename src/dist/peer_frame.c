/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_frame.c - frames on their way out: one block of memory each
 *
 * While a frame is made, data is: room for the head, the term so far, room. Sealing writes the head
 * right before the term (moving the term only if the head is unusually long) and the rest behind
 * it. Atoms are kept by index; the slots they get are written when the frame enters a record.
 */
#include "dist/peer_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/slab.h"
#include "term/atom.h"

#define HEAD_ROOM 48u
#define ATOM_CACHE 512u

/* Which number an atom has in the frame that this thread makes. */
static __thread struct { uint32_t stamp; uint32_t atom; uint8_t number; } atom_cache[ATOM_CACHE];
static __thread uint32_t atom_stamp;

static size_t block_bytes(uint32_t cap)
{
    return sizeof(struct peer_frame) + cap;
}

struct peer_frame *peer_frame_new(size_t term_hint)
{
    uint32_t cap = (uint32_t)(HEAD_ROOM + (term_hint < 64 ? 64 : term_hint) + 32);
    struct peer_frame *f = slab_alloc(block_bytes(cap));

    memset(f, 0, sizeof *f);
    f->cap = cap;
    f->at = HEAD_ROOM;
    f->atoms = f->inline_atoms;
    f->stamp = ++atom_stamp != 0 ? atom_stamp : ++atom_stamp;
    return f;
}

void peer_frame_free(struct peer_frame *f)
{
    if (f == NULL)
        return;
    if (f->atoms != f->inline_atoms)
        mem_free(f->atoms);
    slab_free(f, block_bytes(f->cap));
}

/* The same frame with room for n bytes behind what is written. */
static struct peer_frame *grow(struct peer_frame *f, size_t n)
{
    size_t need = (size_t)f->at + f->len + n;
    uint32_t cap = (uint32_t)(need < 2 * (size_t)f->cap ? 2 * (size_t)f->cap : need + need / 2);
    struct peer_frame *g = slab_alloc(block_bytes(cap));

    memcpy(g, f, block_bytes(f->at + f->len));
    if (f->atoms == f->inline_atoms)
        g->atoms = g->inline_atoms;
    slab_free(f, block_bytes(f->cap));
    g->cap = cap;
    return g;
}

uint8_t *peer_frame_room(struct peer_frame **f, size_t n)
{
    ASSERT(!(*f)->sealed && n < UINT32_MAX / 4);
    if (n > (*f)->cap - (*f)->at - (*f)->len)
        *f = grow(*f, n);
    return (*f)->data + (*f)->at + (*f)->len;
}

void peer_frame_wrote(struct peer_frame *f, size_t n)
{
    ASSERT(n <= f->cap - f->at - f->len);
    f->len += (uint32_t)n;
}

size_t peer_frame_term_len(const struct peer_frame *f)
{
    return f->len;
}

static int add_atom(struct peer_frame *f, uint32_t index)
{
    if (f->n_atoms == SIG_ATOMS_MAX)
        return -1;
    if (f->n_atoms == FRAME_ATOMS_INLINE) {
        f->atoms = MEM_NEW_ARRAY(uint32_t, SIG_ATOMS_MAX);
        memcpy(f->atoms, f->inline_atoms, sizeof f->inline_atoms);
    }
    f->atoms[f->n_atoms] = index;
    return f->n_atoms++;
}

int peer_frame_atom(struct peer_frame *f, term atom)
{
    uint32_t index = (uint32_t)atom_index(atom), at = (index ^ index >> 9) % ATOM_CACHE;
    int n;

    if (atom_cache[at].stamp == f->stamp && atom_cache[at].atom == index)
        return atom_cache[at].number;
    /* Another atom may have taken the place in the cache: an atom twice in the list is no harm. */
    n = add_atom(f, index);
    if (n >= 0) {
        atom_cache[at].stamp = f->stamp;
        atom_cache[at].atom = index;
        atom_cache[at].number = (uint8_t)n;
    }
    return n;
}

/* --- sealing ------------------------------------------------------------------------------------ */

/* Put head[0..n) right before the term. */
static struct peer_frame *put_head(struct peer_frame *f, const uint8_t *head, size_t n)
{
    if (n > f->at) {
        uint32_t by = (uint32_t)n - f->at;

        if (f->cap - f->at - f->len < by)
            f = grow(f, by);
        memmove(f->data + f->at + by, f->data + f->at, f->len);
        f->at += by;
    }
    f->at -= (uint32_t)n;
    memcpy(f->data + f->at, head, n);
    f->len += (uint32_t)n;
    return f;
}

struct peer_frame *peer_frame_seal(struct peer_frame *f, const struct wire_sig *sig)
{
    uint8_t small[256], *scratch = small, *end;
    size_t room = sig_head_room(sig), n;

    ASSERT(!f->sealed && sig_known(sig->kind));
    if (f->len == 0 && sig->term.len != 0) {
        memcpy(peer_frame_room(&f, sig->term.len), sig->term.data, sig->term.len);
        peer_frame_wrote(f, sig->term.len);
    }
    if (room > sizeof small)
        scratch = mem_alloc(room);
    end = sig_write_head(sig, f->len, scratch);
    f = put_head(f, scratch, (size_t)(end - scratch));
    f->split = f->len;
    end = sig_write_tail(sig, scratch);
    n = (size_t)(end - scratch);
    if (n > 0) {
        memcpy(peer_frame_room(&f, n), scratch, n);
        peer_frame_wrote(f, n);
    }
    if (scratch != small)
        mem_free(scratch);
    f->kind = sig->kind;
    f->sealed = true;
    return f;
}

struct peer_frame *peer_frame_packed(enum frame_kind kind, const void *body, size_t len)
{
    struct peer_frame *f = peer_frame_new(len);

    memcpy(peer_frame_room(&f, len), body, len);
    peer_frame_wrote(f, len);
    f->split = f->len;
    f->kind = (uint8_t)kind;
    f->sealed = true;
    return f;
}
