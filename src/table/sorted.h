/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sorted.h - the sorted keys of one node of an ordered table, each with what it is the key of
 *
 * Beside each key lies a sort word: a number whose order is the order of the terms as far as it
 * goes. A search compares words without a jump and looks at keys themselves only where words are
 * equal, mostly at one; it costs some 10 ns for a node.
 *
 *   number      itself, rounded down, within -2^60 - 1 .. 2^60
 *   all others  2^62, the rank of the type above bit 58, below it: the first seven bytes of an atom,
 *               a bitstring or a string; of a tuple its size and something of its first element; of
 *               another list something of its head; the number of a pid; the size of a map
 *
 * Keys like {user, 17} would all have one word. So a node whose keys are tuples of one size that
 * begin with the same atoms or numbers leaves those out (skip), and the words are those of the element behind.
 *
 *   S1  word[i] belongs to at[i].key; from n on words are SORT_NONE.
 *   S2  With first = 1, at[0].key stands for what is less than all: its word is SORT_LEAST.
 *   S3  If skip > 0, every key is a tuple with this header and elements equal to lead (1 is 1.0).
 */
#ifndef TABLE_SORTED_H
#define TABLE_SORTED_H

#include "term/compare.h"

#define NODE_KEYS 64
#define SKIP_MAX 2
#define SORT_LEAST INT64_MIN
#define SORT_NONE  INT64_MAX

struct sorted {
    uint32_t n;
    uint16_t first, skip;
    term    header, lead[SKIP_MAX];
    int64_t word[NODE_KEYS];
    struct { term key; void *of; } at[NODE_KEYS];   /* side by side: both are wanted at the end */
};

void sorted_init(struct sorted *s, uint16_t first);
/* Put a key in at index i; n < NODE_KEYS. */
void sorted_put(struct sorted *s, uint32_t i, term key, void *of);
void sorted_cut(struct sorted *s, uint32_t i);
/* Move the keys from `keep` on to right, which is not initialised. */
void sorted_split(struct sorted *s, uint32_t keep, struct sorted *right);
/* The key at 0 of a node with first = 1 is less than all from now on. */
void sorted_set_least(struct sorted *s);

int64_t sort_word_slow(term key);
ALWAYS_INLINE int64_t sort_word(term key)
{
    return LIKELY(is_small(key)) ? small_val(key) : sort_word_slow(key);
}

ALWAYS_INLINE int key_cmp(term a, term b)
{
    if (LIKELY(both_small(a, b)))
        return (int64_t)a < (int64_t)b ? -1 : a != b;
    return a == b ? 0 : term_cmp(a, b);
}

/* How many of the words are below limit. Fifteen comparisons that do not wait for each other, and
 * no jump: which way it goes could not be foretold. */
ALWAYS_INLINE uint32_t words_below(const int64_t word[NODE_KEYS], int64_t limit)
{
    uint32_t from = 0, n = 0;

#pragma GCC unroll 7
    for (uint32_t i = 7; i < NODE_KEYS - 1; i += 8)
        from += word[i] < limit;
    from *= 8;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++)
        n += word[from + i] < limit;
    return from + n;
}

/* sorted_find by comparing keys lo to hi, all below and behind being less and greater. */
uint32_t sorted_find_slow(const struct sorted *s, term key, uint32_t lo, uint32_t hi,
                          bool *ret_equal);
/* Has the key what all keys of this node leave out? */
bool sorted_fits(const struct sorted *s, term key);

/* How many keys are below key, whose sort word is w; *ret_equal: the next one equals it. */
ALWAYS_INLINE uint32_t sorted_find(const struct sorted *s, term key, int64_t w, bool *ret_equal)
{
    uint32_t i;

    if (UNLIKELY(s->skip != 0)) {
        if (!sorted_fits(s, key))
            return sorted_find_slow(s, key, s->first, s->n, ret_equal);
        w = sort_word(tuple_elem(key, s->skip));
    }
    i = words_below(s->word, w);
    *ret_equal = false;
    if (i >= s->n || s->word[i] != w)
        return i;
    if (UNLIKELY(!term_eq(s->at[i].key, key)))
        return sorted_find_slow(s, key, i, words_below(s->word, w + 1), ret_equal);
    *ret_equal = true;
    return i;
}

#endif
