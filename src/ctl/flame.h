/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flame.h - many stacks as one tree, and the tree as text, table and picture
 *
 * No locks: the caller has one.
 */
#ifndef CTL_FLAME_H
#define CTL_FLAME_H

#include "base/bytes.h"
#include "vm/profile.h"

struct flame_node {
    struct profile_frame frame;
    uint32_t self, total;           /* samples that end here; that pass or end here */
    uint32_t child, sibling;        /* indices; 0: none */
};

struct flame {
    struct flame_node *at;          /* at[0] is the root; its frame means nothing */
    size_t n, cap;
    uint64_t missed;                /* stacks that found no room */
};

struct flame_row { struct profile_frame frame; uint64_t self, total; };

void flame_init(struct flame *f);
void flame_fini(struct flame *f);
/* frames: innermost first. */
void flame_add(struct flame *f, const struct profile_frame *frames, size_t n);

/* "outer;inner 12" a line, as flame graph tools read it. */
void flame_folded(const struct flame *f, struct buf *out);
/* A picture of the tree: width is time, inner functions stand on outer ones. */
void flame_svg(const struct flame *f, const char *title, struct buf *out);
/* Each function once, those with most samples of their own first; mem_free(*ret). total counts a
 * sample once, however often the function is on its stack. */
size_t flame_functions(const struct flame *f, struct flame_row **ret);

void flame_name(struct buf *out, const struct profile_frame *frame);

#endif
