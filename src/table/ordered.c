/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordered.c - a B+ tree of rows
 *
 *   O1  keys[i] of an inner node (i > 0) is a copy of its own, <= every key below child i and
 *       greater than every key below child i - 1; keys[0] is LEAST.
 *   O2  No leaf is empty but the root of an empty tree; leaves are linked in order.
 *   O3  If is_small is set all keys of the node are small numbers; behind the last they are NONE.
 *
 * Deleting merges a leaf with a neighbour only when it gets empty: trees that shrink and grow
 * keep their shape, and one that only shrinks loses its leaves one by one.
 */
#include "table/ordered.h"
#include "base/slab.h"
#include "term/compare.h"

#define HEIGHT_MAX 16

struct separator { term *offheap; uint32_t words; term data[]; };

/* As numbers below and above all that small numbers can be. */
#define LEAST ((term)INT64_MIN)
#define NONE  ((term)INT64_MAX)

struct inner {
    uint32_t n;             /* children */
    bool is_small;
    term keys[NODE_KEYS];
    struct separator *own[NODE_KEYS];  /* words of keys[i], NULL: immediate */
    void *child[NODE_KEYS];
};

struct path { struct inner *node[HEIGHT_MAX]; uint32_t at[HEIGHT_MAX]; };

ALWAYS_INLINE int key_cmp(term a, term b)
{
    if (LIKELY(both_small(a, b)))
        return (int64_t)a < (int64_t)b ? -1 : a != b;
    return a == b ? 0 : term_cmp(a, b);
}

/* --- separators ------------------------------------------------------------------------------- */

static term separator_new(term key, struct separator **ret_own)
{
    size_t words = term_size_whole(key);
    struct separator *s;
    term *at;

    *ret_own = NULL;
    if (words == 0)
        return key;
    s = slab_alloc(sizeof *s + words * sizeof(term));
    s->offheap = NULL;
    s->words = (uint32_t)words;
    at = s->data;
    *ret_own = s;
    return term_copy_whole(key, &at, &s->offheap);
}

static void separator_free(struct separator *s)
{
    if (s == NULL)
        return;
    if (s->offheap != NULL)
        term_chain_release(s->offheap);
    slab_free(s, sizeof *s + s->words * sizeof(term));
}

/* --- finding ---------------------------------------------------------------------------------- */

/* How many of the keys of a node of small numbers are below limit. Eleven comparisons that do not
 * wait for each other, and no jump: which way it goes could not be foretold. */
ALWAYS_INLINE uint32_t smalls_below(const term keys[NODE_KEYS], int64_t limit)
{
    uint32_t from = 0, n = 0;

#pragma GCC unroll 3
    for (uint32_t i = 7; i < NODE_KEYS - 1; i += 8)
        from += (int64_t)keys[i] < limit;
    from *= 8;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++)
        n += (int64_t)keys[from + i] < limit;
    return from + n;
}

/* How many of the keys of leaf are < key. */
ALWAYS_INLINE uint32_t leaf_below(const struct leaf *leaf, term key)
{
    uint32_t lo = 0, hi = leaf->n;

    if (LIKELY(leaf->is_small && is_small(key)))
        return smalls_below(leaf->keys, (int64_t)key);
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (key_cmp(leaf->keys[mid], key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The child below which key belongs. */
ALWAYS_INLINE uint32_t child_of(const struct inner *node, term key)
{
    uint32_t lo = 1, hi = node->n;

    if (LIKELY(node->is_small && is_small(key)))
        return smalls_below(node->keys, (int64_t)key + 1) - 1;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (key_cmp(node->keys[mid], key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

/* Does key lie between the first and the last key of leaf? */
static bool leaf_spans(const struct leaf *leaf, term key)
{
    return leaf->n > 0 && key_cmp(leaf->keys[0], key) <= 0 &&
           key_cmp(leaf->keys[leaf->n - 1], key) >= 0;
}

ALWAYS_INLINE struct leaf *leaf_find(struct ordered *o, term key, struct path *path)
{
    void *node = o->root;

    for (unsigned h = o->height; h > 0; h--) {
        struct inner *in = node;
        uint32_t i = child_of(in, key);

        if (path != NULL) {
            path->node[h - 1] = in;
            path->at[h - 1] = i;
        }
        node = in->child[i];
    }
    return node;
}

/* For steps from key to key: where key is or would be. */
static struct leaf *leaf_near(struct ordered *o, term key, uint32_t *ret_i)
{
    struct leaf *leaf = o->hint;

    if (LIKELY(leaf != NULL && o->hint_i < leaf->n && leaf->keys[o->hint_i] == key)) {
        *ret_i = o->hint_i;
        return leaf;
    }
    if (leaf == NULL || !leaf_spans(leaf, key))
        leaf = o->hint = leaf_find(o, key, NULL);
    *ret_i = leaf_below(leaf, key);
    return leaf;
}

/* What a step gave will mostly be where the next one begins. */
static struct place remember(struct ordered *o, struct place at)
{
    if (at.leaf != NULL) {
        o->hint = at.leaf;
        o->hint_i = at.i;
    }
    return at;
}

struct row *ordered_search(struct ordered *o, term key)
{
    struct leaf *leaf = leaf_find(o, key, NULL);
    uint32_t i = leaf_below(leaf, key);

    if (i >= leaf->n || key_cmp(leaf->keys[i], key) != 0)
        return NULL;
    if (LIKELY(leaf->keys[i] == key))
        keycache_note(&o->cache, key, leaf->rows[i], count_get(o->count));
    return leaf->rows[i];
}

/* --- inserting -------------------------------------------------------------------------------- */

/* There are no keys from i on. */
static void keys_end(term keys[NODE_KEYS], uint32_t i)
{
    for (; i < NODE_KEYS; i++)
        keys[i] = NONE;
}

static struct leaf *leaf_new(void)
{
    struct leaf *leaf = slab_alloc(sizeof *leaf);

    leaf->n = 0;
    leaf->is_small = true;
    keys_end(leaf->keys, 0);
    leaf->prev = leaf->next = NULL;
    return leaf;
}

static void leaf_put(struct leaf *leaf, uint32_t i, term key, struct row *r)
{
    memmove(&leaf->keys[i + 1], &leaf->keys[i], (leaf->n - i) * sizeof(term));
    memmove(&leaf->rows[i + 1], &leaf->rows[i], (leaf->n - i) * sizeof leaf->rows[0]);
    leaf->keys[i] = key;
    leaf->is_small &= is_small(key);
    leaf->rows[i] = r;
    leaf->n++;
}

static void inner_put(struct inner *in, uint32_t i, term key, struct separator *own, void *child)
{
    uint32_t move = in->n - i;

    memmove(&in->keys[i + 1], &in->keys[i], move * sizeof(term));
    memmove(&in->own[i + 1], &in->own[i], move * sizeof in->own[0]);
    memmove(&in->child[i + 1], &in->child[i], move * sizeof in->child[0]);
    in->keys[i] = key;
    in->is_small &= is_small(key);
    in->own[i] = own;
    in->child[i] = child;
    in->n++;
}

/* Move the children from `keep` on to a new node; the key that parts them is handed up. */
static struct inner *inner_split(struct inner *in, uint32_t keep, term *ret_key,
                                 struct separator **ret_own)
{
    struct inner *right = slab_alloc(sizeof *right);

    right->n = in->n - keep;
    memcpy(right->keys, &in->keys[keep], right->n * sizeof(term));
    memcpy(right->own, &in->own[keep], right->n * sizeof in->own[0]);
    memcpy(right->child, &in->child[keep], right->n * sizeof in->child[0]);
    right->is_small = in->is_small;
    keys_end(right->keys, right->n);
    in->n = keep;
    keys_end(in->keys, keep);
    *ret_key = right->keys[0];
    *ret_own = right->own[0];
    right->keys[0] = LEAST;
    right->own[0] = NULL;
    return right;
}

static void root_grow(struct ordered *o, term key, struct separator *own, void *right)
{
    struct inner *root = slab_alloc(sizeof *root);

    ASSERT(o->height + 1 < HEIGHT_MAX);
    root->n = 1;
    root->is_small = true;
    keys_end(root->keys, 0);
    root->keys[0] = LEAST;
    root->own[0] = NULL;
    root->child[0] = o->root;
    inner_put(root, 1, key, own, right);
    o->root = root;
    o->height++;
}

/* A new node stands right of the one at path: tell the levels above, splitting full ones. */
static void path_add(struct ordered *o, struct path *path, term key, struct separator *own,
                     void *right)
{
    for (unsigned h = 0; h < o->height; h++) {
        struct inner *in = path->node[h], *split;
        uint32_t at = path->at[h] + 1, keep;
        term up;
        struct separator *up_own;

        if (in->n < NODE_KEYS) {
            inner_put(in, at, key, own, right);
            return;
        }
        keep = at == in->n ? in->n - 1 : at == 1 ? 2 : in->n / 2;
        split = inner_split(in, keep, &up, &up_own);
        if (at <= keep)
            inner_put(in, at, key, own, right);
        else
            inner_put(split, at - keep, key, own, right);
        key = up;
        own = up_own;
        right = split;
    }
    root_grow(o, key, own, right);
}

/* How many rows a full leaf keeps when it is split for a key that belongs at i. Rising and falling
 * keys fill each leaf before they start the next. */
static uint32_t leaf_keep(const struct leaf *leaf, uint32_t i)
{
    if (i == leaf->n && leaf->next == NULL)
        return leaf->n;
    return i == 0 && leaf->prev == NULL ? 0 : leaf->n / 2;
}

/* Split a full leaf and put the row into the half where it belongs. */
static void leaf_split(struct ordered *o, struct path *path, struct leaf *leaf, uint32_t i,
                       term key, struct row *r)
{
    struct leaf *right = leaf_new();
    uint32_t keep = leaf_keep(leaf, i);
    struct separator *own;
    term up;

    right->n = leaf->n - keep;
    memcpy(right->keys, &leaf->keys[keep], right->n * sizeof(term));
    memcpy(right->rows, &leaf->rows[keep], right->n * sizeof leaf->rows[0]);
    right->is_small = leaf->is_small;
    leaf->n = keep;
    keys_end(leaf->keys, keep);
    right->next = leaf->next;
    right->prev = leaf;
    leaf->next = right;
    if (right->next != NULL)
        right->next->prev = right;
    else
        o->last = right;
    if (i < keep || (i == keep && right->n > 0))
        leaf_put(leaf, i, key, r);
    else
        leaf_put(right, i - keep, key, r);
    up = separator_new(right->keys[0], &own);
    path_add(o, path, up, own, right);
}

static int64_t row_words(const struct row *r)
{
    return (int64_t)(row_bytes(r) / sizeof(term));
}

/* The leaf at an end of the tree, when key lies beyond it and there is room for one more. */
static struct leaf *leaf_beyond(struct ordered *o, term key, uint32_t *ret_i)
{
    struct leaf *last = o->last, *first = o->first;

    *ret_i = last->n;
    if (last->n > 0 && last->n < NODE_KEYS && key_cmp(last->keys[last->n - 1], key) < 0)
        return last;
    *ret_i = 0;
    return first->n > 0 && first->n < NODE_KEYS && key_cmp(key, first->keys[0]) < 0 ? first : NULL;
}

/* with, whose key is equal, takes the place of the row at index i of leaf, which is freed. */
static void leaf_replace(struct ordered *o, struct leaf *leaf, uint32_t i, struct row *with)
{
    struct row *old = leaf->rows[i];

    keycache_forget(&o->cache, leaf->keys[i]);
    leaf->rows[i] = with;
    leaf->keys[i] = row_key(with, o->keypos);
    leaf->is_small &= is_small(leaf->keys[i]);      /* 1.0 takes the place of 1 */
    count_add(o->words, row_words(with) - row_words(old));
    row_free(old);
}

/* A row for object in leaf, where its key belongs at i; path leads there if the leaf is full. */
static void leaf_add(struct ordered *o, struct path *path, struct leaf *leaf, uint32_t i,
                     term object)
{
    struct row *r = row_new(object);

    count_add(o->words, row_words(r));
    count_add(o->count, 1);
    if (LIKELY(leaf->n < NODE_KEYS))
        leaf_put(leaf, i, row_key(r, o->keypos), r);
    else
        leaf_split(o, path, leaf, i, row_key(r, o->keypos), r);
}

/* Can object be written over the row of an equal key? The words of the old key stay where they
 * are, so only a key of one word can, and it must be the same. */
static bool row_takes(struct ordered *o, struct row *r, term key, term object)
{
    return row_key(r, o->keypos) == key && !is_ptr(key) && row_refill(r, object);
}

void ordered_insert(struct ordered *o, term object)
{
    term key = tuple_elem(object, o->keypos - 1);
    struct row *r = keycache_find(&o->cache, key);
    struct path path;
    struct leaf *leaf;
    uint32_t i;

    if (r != NULL && row_takes(o, r, key, object))
        return;
    leaf = leaf_beyond(o, key, &i);
    if (leaf != NULL) {
        leaf_add(o, NULL, leaf, i, object);
        return;
    }
    leaf = leaf_find(o, key, &path);
    i = leaf_below(leaf, key);
    if (i == leaf->n || key_cmp(leaf->keys[i], key) != 0) {
        leaf_add(o, &path, leaf, i, object);
        return;
    }
    if (leaf->keys[i] == key)
        keycache_note(&o->cache, key, leaf->rows[i], count_get(o->count));
    if (!row_takes(o, leaf->rows[i], key, object))
        leaf_replace(o, leaf, i, row_new(object));
}

void ordered_replace(struct ordered *o, struct row *with)
{
    term key = row_key(with, o->keypos);
    struct leaf *leaf = leaf_find(o, key, NULL);
    uint32_t i = leaf_below(leaf, key);

    ASSERT(i < leaf->n && key_cmp(leaf->keys[i], key) == 0);
    leaf_replace(o, leaf, i, with);
}

/* --- removing --------------------------------------------------------------------------------- */

/* Take child i out of the node; its separator goes too. */
static void inner_cut(struct inner *in, uint32_t i)
{
    uint32_t move = in->n - i - 1;

    separator_free(in->own[i]);
    memmove(&in->keys[i], &in->keys[i + 1], move * sizeof(term));
    memmove(&in->own[i], &in->own[i + 1], move * sizeof in->own[0]);
    memmove(&in->child[i], &in->child[i + 1], move * sizeof in->child[0]);
    in->n--;
    in->keys[in->n] = NONE;
    if (i == 0 && in->n > 0) {
        separator_free(in->own[0]);
        in->own[0] = NULL;
        in->keys[0] = LEAST;
    }
}

static void leaf_drop(struct ordered *o, struct path *path, struct leaf *leaf)
{
    unsigned h = 0;

    o->hint = NULL;
    if (leaf->prev != NULL)
        leaf->prev->next = leaf->next;
    else
        o->first = leaf->next;
    if (leaf->next != NULL)
        leaf->next->prev = leaf->prev;
    else
        o->last = leaf->prev;
    slab_free(leaf, sizeof *leaf);
    for (; h < o->height; h++) {
        inner_cut(path->node[h], path->at[h]);
        if (path->node[h]->n > 0)
            break;
        slab_free(path->node[h], sizeof(struct inner));
    }
    /* some leaf is left (O2), so the root is; it may have become a chain of single children */
    while (o->height > 0 && ((struct inner *)o->root)->n == 1) {
        struct inner *root = o->root;

        o->root = root->child[0];
        o->height--;
        slab_free(root, sizeof *root);
    }
}

struct row *ordered_remove(struct ordered *o, term key)
{
    struct path path;
    struct leaf *leaf = leaf_find(o, key, &path);
    uint32_t i = leaf_below(leaf, key);
    struct row *r;

    if (i >= leaf->n || key_cmp(leaf->keys[i], key) != 0)
        return NULL;
    r = leaf->rows[i];
    keycache_forget(&o->cache, leaf->keys[i]);
    leaf->n--;
    memmove(&leaf->keys[i], &leaf->keys[i + 1], (leaf->n - i) * sizeof(term));
    memmove(&leaf->rows[i], &leaf->rows[i + 1], (leaf->n - i) * sizeof leaf->rows[0]);
    leaf->keys[leaf->n] = NONE;
    count_add(o->count, -1);
    count_add(o->words, -row_words(r));
    if (leaf->n == 0 && o->height > 0)
        leaf_drop(o, &path, leaf);
    return r;
}

/* --- places ----------------------------------------------------------------------------------- */

static const struct place nowhere = { NULL, 0 };

struct row *place_row(struct place at)
{
    return at.leaf == NULL ? NULL : at.leaf->rows[at.i];
}

struct place place_next(struct place at)
{
    if (at.leaf == NULL)
        return at;
    if (++at.i < at.leaf->n)
        return at;
    return at.leaf->next == NULL ? nowhere : (struct place){ at.leaf->next, 0 };
}

struct place place_prev(struct place at)
{
    if (at.leaf == NULL)
        return at;
    if (at.i > 0) {
        at.i--;
        return at;
    }
    return at.leaf->prev == NULL ? nowhere
                                 : (struct place){ at.leaf->prev, at.leaf->prev->n - 1 };
}

struct place ordered_first(struct ordered *o)
{
    return o->count == 0 ? nowhere : (struct place){ o->first, 0 };
}

struct place ordered_last(struct ordered *o)
{
    return o->count == 0 ? nowhere : (struct place){ o->last, o->last->n - 1 };
}

/* Place of index i of leaf, where i may be just behind its last row. */
static struct place place_at(struct leaf *leaf, uint32_t i)
{
    if (i < leaf->n)
        return (struct place){ leaf, i };
    return leaf->next == NULL ? nowhere : (struct place){ leaf->next, 0 };
}

/* The place before index i of leaf. */
static struct place place_below(struct leaf *leaf, uint32_t i)
{
    if (i > 0)
        return (struct place){ leaf, i - 1 };
    return leaf->prev == NULL ? nowhere : (struct place){ leaf->prev, leaf->prev->n - 1 };
}

struct place ordered_after(struct ordered *o, term key, bool or_equal)
{
    uint32_t i;
    struct leaf *leaf = leaf_near(o, key, &i);

    if (!or_equal && i < leaf->n && key_cmp(leaf->keys[i], key) == 0)
        i++;
    return remember(o, place_at(leaf, i));
}

struct place ordered_before(struct ordered *o, term key, bool or_equal)
{
    uint32_t i;
    struct leaf *leaf = leaf_near(o, key, &i);

    if (or_equal && i < leaf->n && key_cmp(leaf->keys[i], key) == 0)
        return remember(o, (struct place){ leaf, i });
    return remember(o, place_below(leaf, i));
}

/* Walk down with a comparison of keys to a range; behind: skip the range itself as well. The
 * result is the index in the leaf of the first key that is not skipped. */
static struct leaf *range_descend(struct ordered *o, range_cmp *cmp, const void *range,
                                  bool behind, uint32_t *ret_i)
{
    int limit = behind ? 1 : 0;     /* keys with cmp < limit are skipped */
    void *node = o->root;
    struct leaf *leaf;
    uint32_t i = 0;

    for (unsigned h = o->height; h > 0; h--) {
        struct inner *in = node;
        uint32_t c = 0;

        while (c + 1 < in->n && cmp(in->keys[c + 1], range) < limit)
            c++;
        node = in->child[c];
    }
    leaf = node;
    while (i < leaf->n && cmp(leaf->keys[i], range) < limit)
        i++;
    *ret_i = i;
    return leaf;
}

struct place ordered_range_start(struct ordered *o, range_cmp *cmp, const void *range)
{
    uint32_t i;
    struct leaf *leaf = range_descend(o, cmp, range, false, &i);

    return place_at(leaf, i);
}

struct place ordered_range_end(struct ordered *o, range_cmp *cmp, const void *range)
{
    uint32_t i;
    struct leaf *leaf = range_descend(o, cmp, range, true, &i);

    return place_below(leaf, i);
}

/* --- whole trees ------------------------------------------------------------------------------ */

static void inner_free(struct inner *in, unsigned height)
{
    for (uint32_t i = 0; i < in->n; i++) {
        separator_free(in->own[i]);
        if (height > 1)
            inner_free(in->child[i], height - 1);
    }
    slab_free(in, sizeof *in);
}

static void tree_free(struct ordered *o)
{
    struct leaf *leaf = o->first;

    while (leaf != NULL) {
        struct leaf *next = leaf->next;

        for (uint32_t i = 0; i < leaf->n; i++)
            row_free(leaf->rows[i]);
        slab_free(leaf, sizeof *leaf);
        leaf = next;
    }
    if (o->height > 0)
        inner_free(o->root, o->height);
}

void ordered_init(struct ordered *o, unsigned keypos)
{
    o->keypos = keypos;
    o->height = 0;
    o->hint = NULL;
    o->root = o->first = o->last = leaf_new();
    o->count = o->words = 0;
    keycache_init(&o->cache);
}

void ordered_fini(struct ordered *o)
{
    keycache_fini(&o->cache);
    tree_free(o);
}

bool ordered_bury(struct ordered *o, unsigned n)
{
    for (; n > 0 && o->first != NULL; n--) {
        struct leaf *leaf = o->first;

        for (uint32_t i = 0; i < leaf->n; i++)
            row_free(leaf->rows[i]);
        o->first = leaf->next;
        slab_free(leaf, sizeof *leaf);
    }
    return o->first != NULL;
}

void ordered_move(struct ordered *o, struct ordered *to)
{
    to->keypos = o->keypos;
    to->height = o->height;
    to->root = o->root;
    to->first = o->first;
    to->last = o->last;
    keycache_init(&to->cache);
    keycache_fini(&o->cache);
    ordered_init(o, o->keypos);
}

void ordered_clear(struct ordered *o)
{
    ordered_fini(o);
    ordered_init(o, o->keypos);
}
