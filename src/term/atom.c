/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atom.c - the table of atoms: index to text, and text to index
 *
 * Entries live in pages that never move, so index to entry is two loads. Text to index goes
 * through base/chains.h, whose lock is the table's: readers take none.
 */
#include "term/atom.h"

#include "base/alloc.h"
#include "base/chains.h"

#define PAGE_BITS    12
#define PAGE_ENTRIES (1u << PAGE_BITS)
#define MAX_DEFAULT  (1u << 20)
#define MAX_MOST     (1u << 28)
#define TEXT_CHUNK_BYTES (64u << 10)
#define CHAINS_FIRST (1u << 13)

struct entry {
    struct chain_link link; /* its tag is the index */
    const char *text;       /* [set] NUL-terminated */
    uint32_t pjw;           /* [set] AH of the portable hash */
    uint16_t len, chars;    /* [set] bytes, code points */
};

static struct {
    struct entry *_Atomic *pages;   /* [set] array; elements [any], written under chains.lock */
    struct chains chains;
    uint32_t max;                   /* [set] */
    _Atomic uint32_t count;         /* [any] entries that are complete */
    char    *chunk;                 /* [lk chains.lock] room for texts */
    size_t   chunk_left;            /* [lk chains.lock] */
} table;

static struct entry *entry_at(uint32_t index)
{
    /* acquire: pairs with the release in page_for, so that a fresh page is seen zeroed; the entry
     * itself was published by whatever brought the index here. */
    struct entry *page = atomic_load_explicit(&table.pages[index >> PAGE_BITS],
                                              memory_order_acquire);

    return &page[index & (PAGE_ENTRIES - 1)];
}

static struct entry *entry_of(term atom)
{
    ASSERT(is_atom(atom) && atom_index(atom) < table.max);
    return entry_at(atom_index(atom));
}

static uint32_t text_hash(const char *s, size_t len)
{
    uint64_t h = len * 0x9E3779B97F4A7C15u, w;

    for (; len >= 8; s += 8, len -= 8) {
        memcpy(&w, s, 8);
        h = (h ^ w) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    w = 0;
    memcpy(&w, s, len);
    h = (h ^ w) * 0xFF51AFD7ED558CCDu;
    return (uint32_t)(h ^ h >> 32);
}

/* Hash of the portable algorithms: two-byte sequences of latin-1 letters count as one byte. */
static uint32_t pjw_hash(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    uint32_t h = 0, g;

    while (p < end) {
        uint32_t v = *p++;

        if (p < end && (v & 0xFE) == 0xC2 && (*p & 0xC0) == 0x80)
            v = (v << 6 | (*p++ & 0x3Fu)) & 0xFF;
        h = (h << 4) + v;
        g = h & 0xF0000000u;
        if (g != 0) {
            h ^= g >> 24;
            h ^= g;
        }
    }
    return h;
}

/* Length of the UTF-8 sequence at p, 0 when malformed: overlong, surrogate, too large, cut. */
static unsigned utf8_sequence(const uint8_t *p, size_t left)
{
    uint32_t c = p[0];
    unsigned n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

    if (n <= 1)
        return n;
    if (n > left)
        return 0;
    c &= 0x7Fu >> n;
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xD800 && c < 0xE000))) ||
        (n == 4 && (c < 0x10000 || c > 0x10FFFF)))
        return 0;
    return n;
}

/* Code points of a text, -1 when it is not UTF-8 or too long for an atom. */
static int text_chars(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    int chars = 0;

    if (len > ATOM_TEXT_BYTES_MAX)
        return -1;
    while (len > 0) {
        unsigned n = utf8_sequence(p, len);

        if (n == 0 || ++chars > ATOM_CHARS_MAX)
            return -1;
        p += n;
        len -= n;
    }
    return chars;
}

struct text { const char *bytes; size_t len; };

static bool is_text(const struct chain_link *l, const void *key)
{
    const struct entry *e = CONTAINER_OF(l, struct entry, link);
    const struct text *t = key;

    return e->len == t->len && memcmp(e->text, t->bytes, t->len) == 0;
}

static term found(const struct chain_link *l)
{
    return l == NULL ? TERM_NONE : atom_make(l->tag);
}

static const char *text_keep_locked(const char *text, size_t len)
{
    char *at;

    if (table.chunk_left < len + 1) {
        table.chunk = mem_alloc(TEXT_CHUNK_BYTES);
        table.chunk_left = TEXT_CHUNK_BYTES;
    }
    at = table.chunk;
    memcpy(at, text, len);
    at[len] = '\0';
    table.chunk += len + 1;
    table.chunk_left -= len + 1;
    return at;
}

static struct entry *entry_room_locked(uint32_t index)
{
    struct entry *_Atomic *slot = &table.pages[index >> PAGE_BITS];
    struct entry *page = atomic_load_explicit(slot, memory_order_relaxed); /* written under lock */

    if (page == NULL) {
        page = MEM_NEW_ARRAY(struct entry, PAGE_ENTRIES);
        atomic_store_explicit(slot, page, memory_order_release);
    }
    return &page[index & (PAGE_ENTRIES - 1)];
}

static term table_add_locked(const char *text, size_t len, uint32_t hash, int chars)
{
    uint32_t index = atomic_load_explicit(&table.count, memory_order_relaxed);
    struct entry *e;

    if (index >= table.max)
        return TERM_NONE;
    e = entry_room_locked(index);
    e->link.hash = hash;
    e->link.tag = index;
    e->text = text_keep_locked(text, len);
    e->pjw = pjw_hash(text, len);
    e->len = (uint16_t)len;
    e->chars = (uint16_t)chars;
    chains_add_locked(&table.chains, &e->link);
    atomic_store_explicit(&table.count, index + 1, memory_order_release);
    return atom_make(index);
}

void atom_table_init(uint32_t max)
{
    static const struct { const char *text; uint32_t len; } rows[] = {
#define ATOM(name, text) { text, sizeof(text) - 1 },
#include "term/atoms.tab"
#undef ATOM
    };

    if (table.pages != NULL)
        return;
    table.max = max == 0 ? MAX_DEFAULT : max > MAX_MOST ? MAX_MOST : max;
    if (table.max < ATOM_WELL_KNOWN_COUNT + 1000)
        table.max = ATOM_WELL_KNOWN_COUNT + 1000;
    chains_init(&table.chains, CHAINS_FIRST);
    table.pages = mem_array((table.max >> PAGE_BITS) + 1, sizeof *table.pages);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        term a = atom_from_utf8(rows[i].text, rows[i].len);

        ASSERT(a == atom_make(i));      /* a text occurs once in atoms.tab */
    }
}

term atom_from_utf8(const char *text, size_t len)
{
    struct text key = { text, len };
    uint32_t hash = text_hash(text, len);
    term atom = found(chains_find(&table.chains, hash, is_text, &key));
    int chars;

    if (atom != TERM_NONE)
        return atom;
    chars = text_chars(text, len);
    if (chars < 0)
        return TERM_NONE;
    pthread_mutex_lock(&table.chains.lock);
    atom = found(chains_find_locked(&table.chains, hash, is_text, &key));
    if (atom == TERM_NONE)
        atom = table_add_locked(text, len, hash, chars);
    pthread_mutex_unlock(&table.chains.lock);
    return atom;
}

term atom_from_latin1(const char *text, size_t len)
{
    char utf8[2 * ATOM_CHARS_MAX];
    size_t n = 0;

    if (len > ATOM_CHARS_MAX)
        return TERM_NONE;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];

        if (c >= 0x80)
            utf8[n++] = (char)(0xC0 | c >> 6);
        utf8[n++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
    }
    return atom_from_utf8(utf8, n);
}

term atom_from_cstr(const char *text)
{
    term atom = atom_from_utf8(text, strlen(text));

    ASSERT(atom != TERM_NONE);
    return atom;
}

term atom_existing_utf8(const char *text, size_t len)
{
    struct text key = { text, len };

    return found(chains_find(&table.chains, text_hash(text, len), is_text, &key));
}

const char *atom_text(term atom, size_t *ret_len)
{
    struct entry *e = entry_of(atom);

    if (ret_len != NULL)
        *ret_len = e->len;
    return e->text;
}

uint32_t atom_chars(term atom)
{
    return entry_of(atom)->chars;
}

uint32_t atom_hash(term atom)
{
    return entry_of(atom)->pjw;
}

int atom_cmp(term a, term b)
{
    struct entry *x = entry_of(a), *y = entry_of(b);
    int c;

    if (x == y)
        return 0;
    /* UTF-8 sorts bytewise as its code points do. */
    c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c != 0 ? c : x->len < y->len ? -1 : x->len > y->len;
}

uint32_t atom_count(void)
{
    return atomic_load_explicit(&table.count, memory_order_acquire);
}

uint32_t atom_max(void)
{
    return table.max;
}
