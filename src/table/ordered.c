/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordered.c - a B+ tree of rows
 *
 *   O1  Key i of an inner node (i > 0) is a copy of its own, <= every key below child i and
 *       greater than every key below child i - 1; key 0 is less than all.
 *   O2  No leaf is empty but the root of an empty tree; leaves are linked in order.
 *
 * Deleting merges a leaf with a neighbour only when it gets empty: trees that shrink and grow
 * keep their shape, and one that only shrinks loses its leaves one by one.
 */
#include "table/ordered.h"
#include "base/slab.h"
#include "term/compare.h"

#define HEIGHT_MAX 16

struct separator { term *offheap; uint32_t words; term data[]; };

struct inner {
    struct sorted s;                    /* of children */
    struct separator *own[NODE_KEYS];   /* words of key i, NULL: immediate */
};

struct path { struct inner *node[HEIGHT_MAX]; uint32_t at[HEIGHT_MAX]; };

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

/* How many keys of leaf are below key; *ret_equal: the next one equals it. */
ALWAYS_INLINE uint32_t leaf_index(const struct leaf *leaf, term key, bool *ret_equal)
{
    return sorted_find(&leaf->s, key, sort_word(key), ret_equal);
}

/* Does key lie between the first and the last key of leaf? */
static bool leaf_spans(const struct leaf *leaf, term key)
{
    return leaf->s.n > 0 && key_cmp(leaf->s.at[0].key, key) <= 0 &&
           key_cmp(leaf->s.at[leaf->s.n - 1].key, key) >= 0;
}

/* The leaf of a key with this sort word, and the way to it if path is not NULL. */
ALWAYS_INLINE struct leaf *leaf_find(struct ordered *o, term key, int64_t word, struct path *path)
{
    void *node = o->root;

    for (unsigned h = o->height; h > 0; h--) {
        struct inner *in = node;
        bool equal;
        uint32_t i = sorted_find(&in->s, key, word, &equal);

        i = i + equal - 1;
        if (path != NULL) {
            path->node[h - 1] = in;
            path->at[h - 1] = i;
        }
        node = in->s.at[i].of;
    }
    return node;
}

/* For steps from key to key: where key is or would be. */
static struct leaf *leaf_near(struct ordered *o, term key, uint32_t *ret_i, bool *ret_equal)
{
    struct leaf *leaf = o->hint;

    if (LIKELY(leaf != NULL && o->hint_i < leaf->s.n && leaf->s.at[o->hint_i].key == key)) {
        *ret_i = o->hint_i;
        *ret_equal = true;
        return leaf;
    }
    if (leaf == NULL || !leaf_spans(leaf, key))
        leaf = o->hint = leaf_find(o, key, sort_word(key), NULL);
    *ret_i = leaf_index(leaf, key, ret_equal);
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
    int64_t word = sort_word(key);
    struct leaf *leaf = leaf_find(o, key, word, NULL);
    bool equal;
    uint32_t i = sorted_find(&leaf->s, key, word, &equal);

    if (!equal)
        return NULL;
    if (LIKELY(leaf->s.at[i].key == key))
        keycache_note(&o->cache, key, leaf_row(leaf, i), count_get(o->count));
    return leaf_row(leaf, i);
}

/* --- inserting -------------------------------------------------------------------------------- */

static struct leaf *leaf_new(void)
{
    struct leaf *leaf = slab_alloc(sizeof *leaf);

    sorted_init(&leaf->s, 0);
    leaf->prev = leaf->next = NULL;
    return leaf;
}

static void inner_put(struct inner *in, uint32_t i, term key, struct separator *own, void *child)
{
    memmove(&in->own[i + 1], &in->own[i], (in->s.n - i) * sizeof in->own[0]);
    in->own[i] = own;
    sorted_put(&in->s, i, key, child);
}

/* The first separator of a node is none. */
static void inner_least(struct inner *in)
{
    sorted_set_least(&in->s);
    in->own[0] = NULL;
}

/* Move the children from `keep` on to a new node; the key that parts them is handed up. */
static struct inner *inner_split(struct inner *in, uint32_t keep, term *ret_key,
                                 struct separator **ret_own)
{
    struct inner *right = slab_alloc(sizeof *right);

    memcpy(right->own, &in->own[keep], (in->s.n - keep) * sizeof in->own[0]);
    sorted_split(&in->s, keep, &right->s);
    *ret_key = right->s.at[0].key;
    *ret_own = right->own[0];
    inner_least(right);
    return right;
}

static void root_grow(struct ordered *o, term key, struct separator *own, void *right)
{
    struct inner *root = slab_alloc(sizeof *root);

    ASSERT(o->height + 1 < HEIGHT_MAX);
    sorted_init(&root->s, 1);
    root->s.n = 1;
    root->s.at[0].of = o->root;
    inner_least(root);
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

        if (in->s.n < NODE_KEYS) {
            inner_put(in, at, key, own, right);
            return;
        }
        keep = at == in->s.n ? in->s.n - 1 : at == 1 ? 2 : in->s.n / 2;
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
    if (i == leaf->s.n && leaf->next == NULL)
        return leaf->s.n;
    return i == 0 && leaf->prev == NULL ? 0 : leaf->s.n / 2;
}

/* Split a full leaf and put the row into the half where it belongs. */
static void leaf_split(struct ordered *o, struct path *path, struct leaf *leaf, uint32_t i,
                       term key, struct row *r)
{
    struct leaf *right = slab_alloc(sizeof *right);
    uint32_t keep = leaf_keep(leaf, i);
    struct separator *own;
    term up;

    sorted_split(&leaf->s, keep, &right->s);
    right->next = leaf->next;
    right->prev = leaf;
    leaf->next = right;
    if (right->next != NULL)
        right->next->prev = right;
    else
        o->last = right;
    if (i < keep || (i == keep && right->s.n > 0))
        sorted_put(&leaf->s, i, key, r);
    else
        sorted_put(&right->s, i - keep, key, r);
    up = separator_new(right->s.at[0].key, &own);
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

    *ret_i = last->s.n;
    if (last->s.n > 0 && last->s.n < NODE_KEYS && key_cmp(last->s.at[last->s.n - 1].key, key) < 0)
        return last;
    *ret_i = 0;
    return first->s.n > 0 && first->s.n < NODE_KEYS && key_cmp(key, first->s.at[0].key) < 0 ? first
                                                                                          : NULL;
}

/* with, whose key is equal, takes the place of the row at index i of leaf, which is freed. */
static void leaf_replace(struct ordered *o, struct leaf *leaf, uint32_t i, struct row *with)
{
    struct row *old = leaf_row(leaf, i);

    keycache_forget(&o->cache, leaf->s.at[i].key);
    leaf->s.at[i].of = with;
    leaf->s.at[i].key = row_key(with, o->keypos);      /* an equal one: its word is the same */
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
    if (LIKELY(leaf->s.n < NODE_KEYS))
        sorted_put(&leaf->s, i, row_key(r, o->keypos), r);
    else
        leaf_split(o, path, leaf, i, row_key(r, o->keypos), r);
}

/* Write object over the row at index i of leaf, which has an equal key, or put a new one there. */
static void leaf_write(struct ordered *o, struct leaf *leaf, uint32_t i, term key, term object)
{
    struct row *r = leaf_row(leaf, i);

    if (leaf->s.at[i].key == key)
        keycache_note(&o->cache, key, r, count_get(o->count));
    if (term_eq(row_key(r, o->keypos), key) && row_refill(r, object))
        leaf->s.at[i].key = row_key(r, o->keypos);     /* it may lie elsewhere in the row now */
    else
        leaf_replace(o, leaf, i, row_new(object));
}

void ordered_insert(struct ordered *o, term object)
{
    term key = tuple_elem(object, o->keypos - 1);
    struct row *r = keycache_find(&o->cache, key);
    struct path path;
    struct leaf *leaf;
    int64_t word;
    uint32_t i;
    bool equal;

    if (r != NULL && row_refill(r, object))
        return;
    leaf = leaf_beyond(o, key, &i);
    if (leaf != NULL) {
        leaf_add(o, NULL, leaf, i, object);
        return;
    }
    word = sort_word(key);
    leaf = leaf_find(o, key, word, &path);
    i = sorted_find(&leaf->s, key, word, &equal);
    if (equal)
        leaf_write(o, leaf, i, key, object);
    else
        leaf_add(o, &path, leaf, i, object);
}

void ordered_replace(struct ordered *o, struct row *with)
{
    term key = row_key(with, o->keypos);
    struct leaf *leaf = leaf_find(o, key, sort_word(key), NULL);
    bool equal;
    uint32_t i = leaf_index(leaf, key, &equal);

    ASSERT(equal);
    leaf_replace(o, leaf, i, with);
}

/* --- removing --------------------------------------------------------------------------------- */

/* Take child i out of the node; its separator goes too. */
static void inner_cut(struct inner *in, uint32_t i)
{
    separator_free(in->own[i]);
    memmove(&in->own[i], &in->own[i + 1], (in->s.n - i - 1) * sizeof in->own[0]);
    sorted_cut(&in->s, i);
    if (i == 0 && in->s.n > 0) {
        separator_free(in->own[0]);
        inner_least(in);
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
        if (path->node[h]->s.n > 0)
            break;
        slab_free(path->node[h], sizeof(struct inner));
    }
    /* some leaf is left (O2), so the root is; it may have become a chain of single children */
    while (o->height > 0 && ((struct inner *)o->root)->s.n == 1) {
        struct inner *root = o->root;

        o->root = root->s.at[0].of;
        o->height--;
        slab_free(root, sizeof *root);
    }
}

struct row *ordered_remove(struct ordered *o, term key)
{
    struct path path;
    int64_t word = sort_word(key);
    struct leaf *leaf = leaf_find(o, key, word, &path);
    bool equal;
    uint32_t i = sorted_find(&leaf->s, key, word, &equal);
    struct row *r;

    if (!equal)
        return NULL;
    r = leaf_row(leaf, i);
    keycache_forget(&o->cache, leaf->s.at[i].key);
    sorted_cut(&leaf->s, i);
    count_add(o->count, -1);
    count_add(o->words, -row_words(r));
    if (leaf->s.n == 0 && o->height > 0)
        leaf_drop(o, &path, leaf);
    return r;
}

/* --- places ----------------------------------------------------------------------------------- */

static const struct place nowhere = { NULL, 0 };

struct row *place_row(struct place at)
{
    return at.leaf == NULL ? NULL : leaf_row(at.leaf, at.i);
}

struct place place_next(struct place at)
{
    if (at.leaf == NULL)
        return at;
    if (++at.i < at.leaf->s.n)
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
                                 : (struct place){ at.leaf->prev, at.leaf->prev->s.n - 1 };
}

struct place ordered_first(struct ordered *o)
{
    return o->count == 0 ? nowhere : (struct place){ o->first, 0 };
}

struct place ordered_last(struct ordered *o)
{
    return o->count == 0 ? nowhere : (struct place){ o->last, o->last->s.n - 1 };
}

/* Place of index i of leaf, where i may be just behind its last row. */
static struct place place_at(struct leaf *leaf, uint32_t i)
{
    if (i < leaf->s.n)
        return (struct place){ leaf, i };
    return leaf->next == NULL ? nowhere : (struct place){ leaf->next, 0 };
}

/* The place before index i of leaf. */
static struct place place_below(struct leaf *leaf, uint32_t i)
{
    if (i > 0)
        return (struct place){ leaf, i - 1 };
    return leaf->prev == NULL ? nowhere : (struct place){ leaf->prev, leaf->prev->s.n - 1 };
}

struct place ordered_after(struct ordered *o, term key, bool or_equal)
{
    uint32_t i;
    bool equal;
    struct leaf *leaf = leaf_near(o, key, &i, &equal);

    if (!or_equal && equal)
        i++;
    return remember(o, place_at(leaf, i));
}

struct place ordered_before(struct ordered *o, term key, bool or_equal)
{
    uint32_t i;
    bool equal;
    struct leaf *leaf = leaf_near(o, key, &i, &equal);

    if (or_equal && equal)
        return remember(o, (struct place){ leaf, i });
    return remember(o, place_below(leaf, i));
}

/* The first index from lo on whose key lies at limit or above. */
static uint32_t range_index(const struct sorted *s, uint32_t lo, range_cmp *cmp, const void *range,
                            int limit)
{
    uint32_t hi = s->n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (cmp(s->at[mid].key, range) < limit)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Walk down with a comparison of keys to a range; behind: skip the range itself as well. The
 * result is the index in the leaf of the first key that is not skipped. */
static struct leaf *range_descend(struct ordered *o, range_cmp *cmp, const void *range,
                                  bool behind, uint32_t *ret_i)
{
    int limit = behind ? 1 : 0;     /* keys with cmp < limit are skipped */
    void *node = o->root;

    for (unsigned h = o->height; h > 0; h--) {
        struct inner *in = node;

        node = in->s.at[range_index(&in->s, 1, cmp, range, limit) - 1].of;
    }
    *ret_i = range_index(&((struct leaf *)node)->s, 0, cmp, range, limit);
    return node;
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
    for (uint32_t i = 0; i < in->s.n; i++) {
        separator_free(in->own[i]);
        if (height > 1)
            inner_free(in->s.at[i].of, height - 1);
    }
    slab_free(in, sizeof *in);
}

static void tree_free(struct ordered *o)
{
    struct leaf *leaf = o->first;

    while (leaf != NULL) {
        struct leaf *next = leaf->next;

        for (uint32_t i = 0; i < leaf->s.n; i++)
            row_free(leaf_row(leaf, i));
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

        for (uint32_t i = 0; i < leaf->s.n; i++)
            row_free(leaf_row(leaf, i));
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
