/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - tables of terms, shared between processes (ETS)
 *
 * Any thread that is online (base/epoch.h) may call. A table is found by its name or through the
 * blob of its identifier; the struct lives as long as a reference to the blob, and for who got it
 * in another way until its thread is quiescent; its rows live until table_delete. A call that comes too late finds the table empty and says TABLE_GONE.
 *
 * Keys and objects are copied in and out. Who may do what is the caller's business: it knows
 * processes, this room does not.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "heap/blob.h"
#include "table/match.h"
#include "table/ordered.h"
#include "table/set.h"

enum table_type { TABLE_SET, TABLE_ORDERED_SET, TABLE_BAG, TABLE_DUPLICATE_BAG };
enum table_protection { TABLE_PRIVATE, TABLE_PROTECTED, TABLE_PUBLIC };
enum { TABLE_GONE = -1 };

struct table_fix { struct table_fix *next; term pid; uint32_t count; };

struct table {
    /* --- constant after table_new --- */
    enum table_type type;
    uint32_t keypos;
    bool     compressed, read_concurrency, decentralized_counters;
    term     write_concurrency;         /* true, false or auto */
    struct blob *id;                    /* our own reference while not deleted */
    struct persist *persist;            /* NULL: in memory only (persist.h) */
    /* --- [any] --- */
    _Atomic term name;
    _Atomic bool named;
    _Atomic uint8_t protection;
    _Atomic term owner;                 /* local pid; undefined: persistent, waits for one */
    _Atomic bool deleted;
    _Atomic bool is_lent;               /* somebody got it without a reference to id */
    /* --- [lk meta] --- */
    struct spin meta;
    term     heir;                      /* local pid or the atom none */
    struct row *heir_data;              /* {Data} */
    struct table_fix *_Atomic fixes;    /* [lk meta], but anybody may ask whether there are any */
    int64_t  fixed_mono_ns, fixed_system_ns;
    int64_t  seen_ns;                   /* when table_rates was asked, and what it saw */
    uint64_t seen_reads, seen_writes;
    /* --- [lk tables] --- */
    struct table *next, *prev;
    union {
        struct set set;
        struct ordered ordered;
    };
};

struct table_options {
    enum table_type type;
    enum table_protection protection;
    uint32_t keypos;
    bool named, compressed, read_concurrency, decentralized_counters;
    term write_concurrency;
    term heir, heir_data;
    /* of persistent tables; persist is set by persist.c alone */
    bool    is_persistent, sync;
    int64_t keep_ms;
    struct persist *persist;
};

/* --- finding ---------------------------------------------------------------------------------- */

/* NULL: the name is taken. */
struct table *table_new(term name, term owner, const struct table_options *opt);
/* A table of the node itself: without owner, on no list, never deleted. */
struct table *table_new_hidden(const struct table_options *opt);
void table_free_hidden(struct table *t);    /* nobody else has it */
struct table *table_by_name(term name);

void table_blob_dtor(struct blob *b);       /* that of the blobs of tables, and of no others */
#define blob_table(b) (*(struct table **)(void *)(b)->data)

/* NULL: the blob of no table, or of a deleted one. */
ALWAYS_INLINE struct table *table_of_blob(struct blob *b)
{
    struct table *t = LIKELY(b->dtor == table_blob_dtor) ? blob_table(b) : NULL;

    return t == NULL || atomic_load_explicit(&t->deleted, memory_order_relaxed) ? NULL : t;
}

struct table *table_by_number(term id);     /* an identifier that has lost its blob */
/* id may be any term. */
ALWAYS_INLINE struct table *table_by_id(term id)
{
    return LIKELY(box_is(id, HK_MAGIC)) ? table_of_blob(magic_blob(id)) : table_by_number(id);
}

term table_id(struct table *t, struct heap *h);     /* the magic reference */
/* Give an unnamed or a named table another name; false: taken. */
bool table_rename(struct table *t, term name);
/* Unlink; rows go at once or, if they are many, to be buried. False: somebody did already. */
bool table_delete(struct table *t);
/* Free some of the rows that large tables have left, for the time of a short built-in. True: there
 * are more; whoever deletes or clears a table goes on until there are none. */
bool table_bury(void);
void table_empty_locked(struct table *t);   /* under all locks; not fixed */
size_t table_count(void);
/* Visit all under the lock of tables: visit reads counters and flags, and calls nothing of ours. */
void table_visit(void (*visit)(void *arg, struct table *t), void *arg);
/* Identifiers (names of named tables) of all tables, as a list on h. */
term table_all(struct heap *h);

/* --- owners, heirs and fixing ----------------------------------------------------------------- */

/* Any table that pid owns; NULL: none. Cheap when there never was one. */
struct table *table_of_owner(term pid);
void table_set_owner(struct table *t, term pid);    /* or undefined */
/* False: it has an owner already, or is deleted. */
bool table_take_owner(struct table *t, term pid);
void table_set_heir(struct table *t, term heir, term data);
/* Copies of heir and data; heir is none when there is none. */
term table_heir(struct table *t, struct heap *h, term *ret_data);
int  table_fix(struct table *t, term pid);
/* False: pid had not fixed it. */
bool table_unfix(struct table *t, term pid);
void table_unfix_all(term pid);             /* pid is gone */
bool table_is_fixed(struct table *t);

/* --- objects ---------------------------------------------------------------------------------- */

int64_t table_size(struct table *t);
int64_t table_memory_words(struct table *t);
/* Reads and writes of objects by key each second, since this was last asked a second ago or more,
 * or since the table was made. */
void table_rates(struct table *t, int64_t *ret_reads, int64_t *ret_writes);
bool table_is_object(const struct table *t, term object);   /* a tuple with a key */

int  table_insert(struct table *t, term object);
int  table_insert_list(struct table *t, term list);         /* all objects are good; atomic */
int  table_insert_new_list(struct table *t, term list);     /* 1 inserted, 0 a key exists */
int  table_member(struct table *t, term key);               /* 1, 0 */
term table_lookup(struct table *t, struct heap *h, term key);       /* list; TERM_NONE: gone */
term table_take(struct table *t, struct heap *h, term key);
int  table_delete_key(struct table *t, term key);
int  table_delete_object(struct table *t, term object);
int64_t table_clear(struct table *t);                       /* objects dropped */
/* The pos-th element (from 1) of the object, or a list of them for bags. TERM_NONE: *ret_found
 * says whether there is an object at all. */
term table_lookup_element(struct table *t, struct heap *h, term key, uint64_t pos,
                          bool *ret_found);

/* Change the object of key (set and ordered_set): fn gets its tuple inside the row and gives a new
 * tuple with the same key (anywhere), or TERM_NONE to leave it. It may store immediate words over
 * immediate words of the row itself. 1: fn was called, 0: no such key. */
typedef term table_change(term object, void *ctx);
int table_update(struct table *t, term key, table_change *fn, void *ctx);

/* Keys (whole: [Object] lists, as {Key, Objects}) by position. TERM_NIL: none there; TERM_NONE: the
 * key given is not in the table (only sets care). */
term table_first(struct table *t, struct heap *h, bool whole);
term table_last(struct table *t, struct heap *h, bool whole);
term table_next(struct table *t, struct heap *h, term key, bool whole);
term table_prev(struct table *t, struct heap *h, term key, bool whole);
/* Objects in slot n as a list; TERM_NIL may be an empty slot. *ret_end: n is just behind the last.
 * TERM_NONE: farther behind. */
term table_slot(struct table *t, struct heap *h, uint64_t n, bool *ret_end);

/* --- many objects ----------------------------------------------------------------------------- */

enum select_what { SELECT_VALUES, SELECT_COUNT, SELECT_DELETE, SELECT_REPLACE };

struct select {
    struct match_run *run;
    enum select_what what;
    bool     reverse;
    uint64_t limit;         /* SELECT_VALUES: stop at so many or a few more; 0: none */
    uint64_t budget;        /* pause after so many objects or a few more; 0: never */
    /* where to go on; set by the caller for a continuation, and on return */
    uint64_t bucket;        /* sets */
    term     last_key;      /* ordered_set: TERM_NONE at first; on the run's heap */
    bool     done;          /* set on return: nothing is left */
    /* results, added to what is there */
    term     list;          /* SELECT_VALUES, the last one first */
    uint64_t count;         /* objects that count, were deleted or replaced; length of list */
    uint64_t visited;       /* since select_init */
    term     changed;       /* keys changed and not yet handed to the store */
};

void select_init(struct select *s, struct match_run *run, enum select_what what);
/* Sets that are to go on after a pause must be fixed meanwhile. */
int  table_select(struct table *t, struct select *s);
/* A list of our own turned round, in place. */
term list_turned(term list);

#endif
