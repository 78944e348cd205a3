/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sorted.c - the sorted keys of one node of an ordered table
 */
#include "table/sorted.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/ids.h"
#include "term/map_walk.h"

#include <math.h>

/* --- sort words ------------------------------------------------------------------------------- */

/* As in the order of terms. */
enum { RANK_ATOM = 1, RANK_REF, RANK_FUN, RANK_PORT, RANK_PID, RANK_TUPLE, RANK_MAP, RANK_NIL,
       RANK_LIST, RANK_BITS, RANK_OTHER };

#define OTHERS      ((int64_t)1 << 62)
#define PART_BITS   58
#define part_of_seven(bytes) ((uint64_t)(bytes) << (PART_BITS - 56))

static int64_t ranked(unsigned rank, uint64_t part)
{
    return OTHERS | (int64_t)((uint64_t)rank << PART_BITS | part);
}

static int64_t float_word(double d)
{
    if (d >= 0x1p60)
        return (int64_t)1 << 60;
    return d < -0x1p60 ? -((int64_t)1 << 60) - 1 : (int64_t)floor(d);
}

static uint64_t atom_part(term t)
{
    size_t len;
    const char *text = atom_text(t, &len);
    uint8_t bytes[8] = { 0 };
    uint64_t v;

    memcpy(bytes + 1, text, len < 7 ? len : 7);
    memcpy(&v, bytes, sizeof v);
    return part_of_seven(__builtin_bswap64(v));
}

/* What is missing counts as zero bits, as in their order. */
static uint64_t bits_part(term t)
{
    struct bits b = bits_of(t);
    unsigned n = b.bits < 56 ? (unsigned)b.bits : 56;
    uint64_t v;

    if (n == 0)
        return 0;
    if (UNLIKELY(header_kind(box_header(t)) != HK_BIN))
        return part_of_seven(bits_get(b, 0, n) << (56 - n));
    memcpy(&v, b.base, sizeof v);       /* its bytes fill whole words */
    return part_of_seven(__builtin_bswap64(v) >> (64 - n) << (56 - n));
}

static int64_t word_of(term t, bool inner);

/* 47 bits of a term inside another. */
static uint64_t inner_part(term t)
{
    int64_t w = word_of(t, true), half = (int64_t)1 << 45;

    if (w >= OTHERS)
        return (uint64_t)(2 * half + ((w - OTHERS) >> 16));
    return (uint64_t)((w < -half ? -half : w >= half ? half - 1 : w) + half);
}

/* A byte for each element as long as they are small numbers; the end, by the rank of the tail,
 * comes before or behind all of them. */
enum { BYTE_END = 0, BYTE_LESS = 1, BYTE_ZERO = 2, BYTE_MORE = 254, BYTE_BITS = 255 };

static bool is_whole(term number, int64_t w)
{
    return is_small(number) || (is_float(number) && flt_val(number) == (double)w);
}

static uint64_t string_part(term t)
{
    uint64_t v = 0;
    unsigned n = 0;

    for (; n < 7 && is_cons(t); n++, t = cdr(t)) {
        int64_t w = word_of(car(t), true);
        unsigned rest = 8 * (6 - n);

        if (w < 0 || w >= BYTE_MORE - BYTE_ZERO)
            return part_of_seven((v << 8 | (w < 0 ? BYTE_LESS : BYTE_MORE)) << rest);
        v = v << 8 | (BYTE_ZERO + (uint64_t)w);
        if (!is_whole(car(t), w))   /* behind all lists that go on from w itself */
            return part_of_seven(v << rest | (((uint64_t)1 << rest) - 1));
    }
    if (n < 7)
        v = (v << 8 | (is_bitstring(t) ? BYTE_BITS : BYTE_END)) << 8 * (6 - n);
    return part_of_seven(v);
}

static int64_t boxed_word(term t, bool inner)
{
    size_t n;

    switch (header_kind(box_header(t))) {
    case HK_TUPLE:
        n = tuple_arity(t) < 2047 ? tuple_arity(t) : 2047;
        return ranked(RANK_TUPLE, (uint64_t)n << 47 |
                                  (inner || n == 0 || n == 2047 ? 0 : inner_part(tuple_elem(t, 0))));
    case HK_FLOAT:
        return float_word(flt_val(t));
    case HK_BIGPOS:
        return (int64_t)1 << 60;
    case HK_BIGNEG:
        return -((int64_t)1 << 60) - 1;
    case HK_BIN:
    case HK_BIN_REF:
    case HK_BIN_SUB:
        return ranked(RANK_BITS, bits_part(t));
    case HK_MAP_FLAT:
    case HK_MAP_ROOT:
        n = map_count(t) < 1 << 20 ? map_count(t) : 1 << 20;
        return ranked(RANK_MAP, (uint64_t)n << 37);
    case HK_FUN:
    case HK_EXPORT_FUN:
        return ranked(RANK_FUN, 0);
    case HK_REF:
    case HK_EXT_REF:
    case HK_MAGIC:
        return ranked(RANK_REF, 0);
    case HK_EXT_PID:
        return ranked(RANK_PID, (uint64_t)pid_number(t) << 26);
    case HK_EXT_PORT:
        return ranked(RANK_PORT, 0);
    default:
        return ranked(RANK_OTHER, 0);
    }
}

/* inner: of a term inside another, nothing inside which is looked at again. */
static int64_t word_of(term t, bool inner)
{
    if (is_small(t))
        return small_val(t);
    if (is_atom(t))
        return ranked(RANK_ATOM, atom_part(t));
    if (is_box(t))
        return boxed_word(t, inner);
    if (is_cons(t))
        return ranked(RANK_LIST, inner ? 0 : string_part(t));
    if (is_nil(t))
        return ranked(RANK_NIL, 0);
    if (is_imm_flt(t))
        return float_word(flt_val(t));
    if (is_local_pid(t))
        return ranked(RANK_PID, (uint64_t)pid_number(t) << 26);
    if (is_local_port(t))
        return ranked(RANK_PORT, 0);
    return ranked(is_imm_ref(t) ? RANK_REF : RANK_OTHER, 0);
}

int64_t sort_word_slow(term key)
{
    return word_of(key, false);
}

/* --- what all keys of a node begin with ------------------------------------------------------- */

bool sorted_fits(const struct sorted *s, term key)
{
    if (!is_tuple(key) || box_header(key) != s->header)
        return false;
    for (unsigned i = 0; i < s->skip; i++)
        if (tuple_elem(key, i) != s->lead[i])
            return false;
    return true;
}

static int64_t word_in(const struct sorted *s, term key)
{
    return sort_word(s->skip == 0 ? key : tuple_elem(key, s->skip));
}

/* As many elements as can be left out: what the first and the last key begin with, all between do,
 * in the order of terms. */
static unsigned skip_choose(const struct sorted *s)
{
    term a, b;
    unsigned skip = 0;

    if (s->n < s->first + 2u)
        return 0;
    a = s->at[s->first].key;
    b = s->at[s->n - 1].key;
    if (!is_tuple(a) || !is_tuple(b) || box_header(a) != box_header(b))
        return 0;
    while (skip < SKIP_MAX && skip + 1 < tuple_arity(a) && !is_ptr(tuple_elem(a, skip)) &&
           tuple_elem(a, skip) == tuple_elem(b, skip))
        skip++;
    return skip;
}

static void skip_set(struct sorted *s, unsigned skip)
{
    s->skip = (uint16_t)skip;
    if (skip > 0)
        s->header = box_header(s->at[s->first].key);
    for (unsigned i = 0; i < skip; i++)
        s->lead[i] = tuple_elem(s->at[s->first].key, i);
    for (uint32_t i = s->first; i < s->n; i++)
        s->word[i] = word_in(s, s->at[i].key);
}

static void skip_more(struct sorted *s)
{
    unsigned skip = skip_choose(s);

    if (skip > s->skip)
        skip_set(s, skip);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void words_end(struct sorted *s, uint32_t i)
{
    for (; i < NODE_KEYS; i++)
        s->word[i] = SORT_NONE;
}

void sorted_init(struct sorted *s, uint16_t first)
{
    s->n = 0;
    s->first = first;
    s->skip = 0;
    words_end(s, 0);
}

void sorted_set_least(struct sorted *s)
{
    s->at[0].key = TERM_NONE;
    s->word[0] = SORT_LEAST;
}

void sorted_put(struct sorted *s, uint32_t i, term key, void *of)
{
    memmove(&s->word[i + 1], &s->word[i], (s->n - i) * sizeof s->word[0]);
    memmove(&s->at[i + 1], &s->at[i], (s->n - i) * sizeof s->at[0]);
    s->at[i].key = key;
    s->at[i].of = of;
    s->n++;
    if (s->skip != 0 && !sorted_fits(s, key))
        skip_set(s, skip_choose(s));
    else
        s->word[i] = word_in(s, key);
    if (UNLIKELY(s->n % 8 == 0))
        skip_more(s);
}

void sorted_cut(struct sorted *s, uint32_t i)
{
    s->n--;
    memmove(&s->word[i], &s->word[i + 1], (s->n - i) * sizeof s->word[0]);
    memmove(&s->at[i], &s->at[i + 1], (s->n - i) * sizeof s->at[0]);
    s->word[s->n] = SORT_NONE;
}

void sorted_split(struct sorted *s, uint32_t keep, struct sorted *right)
{
    sorted_init(right, s->first);
    right->n = s->n - keep;
    right->skip = s->skip;
    right->header = s->header;
    memcpy(right->lead, s->lead, sizeof right->lead);
    memcpy(right->word, &s->word[keep], right->n * sizeof s->word[0]);
    memcpy(right->at, &s->at[keep], right->n * sizeof s->at[0]);
    s->n = keep;
    words_end(s, keep);
    skip_more(s);
    skip_more(right);
}

uint32_t sorted_find_slow(const struct sorted *s, term key, uint32_t lo, uint32_t hi,
                          bool *ret_equal)
{
    *ret_equal = false;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = key_cmp(s->at[mid].key, key);

        if (c == 0) {
            *ret_equal = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}
