/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - the table of sessions, their attached processes, and their end
 *
 * The end (watch_down), which peer.h calls until it says that all is done:
 *   1  state OVER: nobody attaches any more; suspended senders run again
 *   2  each attached process gets SIG_SESSION_DOWN, SLICE at a time
 *   3  nodedown is told; the row forgets the session
 *   4  it is freed when the last process has detached
 */
#include "dist/session.h"

#include "base/alloc.h"
#include "base/epoch.h"
#include "dist/watch.h"
#include "term/atom.h"
#include "vm/remote.h"

#include <string.h>

#define SLICE           1000
#define CHUNK           1024u
#define NUMBERS_MAX     (1u << 28)
#define PEERS_MAX       (1u << 20)

struct peer_row {
    pthread_mutex_t lock;
    struct session *live;       /* [lk lock] newest first; more than one only while one ends */
    uint64_t ended;             /* [lk lock] number of the last session that is over */
};

struct number_chunk { struct session *_Atomic at[CHUNK]; };
struct row_chunk { struct peer_row row[CHUNK]; };

static struct number_chunk *_Atomic numbers[NUMBERS_MAX / CHUNK];   /* [any] set once each */
static struct row_chunk *_Atomic rows[PEERS_MAX / CHUNK];           /* [any] set once each */
static pthread_mutex_t make_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t last_number = WATCHERS_MAX;                         /* [lk make_lock] */

void (*session_up_hook)(struct session *s);
void (*session_down_hook)(struct session *s, bool was_up, enum peer_end why);

/* --- sets of words --------------------------------------------------------------------------------- */

static uint32_t word_slot(uint64_t w, uint32_t cap)
{
    return (uint32_t)(w * 0x9E3779B97F4A7C15u >> 32) & (cap - 1);
}

static uint64_t *word_find(const struct word_set *set, uint64_t w)
{
    uint32_t i = word_slot(w, set->cap);

    while (set->slot[i] != 0 && set->slot[i] != w)
        i = (i + 1) & (set->cap - 1);
    return &set->slot[i];
}

static void word_add(struct word_set *set, uint64_t w)
{
    if (set->n >= set->cap / 4 * 3) {
        struct word_set bigger = { .cap = set->cap != 0 ? set->cap * 2 : 16, .n = set->n };

        bigger.slot = MEM_NEW_ARRAY(uint64_t, bigger.cap);
        for (uint32_t i = 0; i < set->cap; i++)
            if (set->slot[i] != 0)
                *word_find(&bigger, set->slot[i]) = set->slot[i];
        mem_free(set->slot);
        *set = bigger;
    }
    *word_find(set, w) = w;
    set->n++;
}

static void word_remove(struct word_set *set, uint64_t w)
{
    uint64_t *hole;
    uint32_t mask = set->cap - 1, h;

    if (set->cap == 0 || *(hole = word_find(set, w)) == 0)
        return;
    h = (uint32_t)(hole - set->slot);
    for (uint32_t i = (h + 1) & mask; set->slot[i] != 0; i = (i + 1) & mask) {
        uint32_t home = word_slot(set->slot[i], set->cap);

        if (((i - home) & mask) >= ((i - h) & mask)) {
            set->slot[h] = set->slot[i];
            h = i;
        }
    }
    set->slot[h] = 0;
    set->n--;
}

/* --- finding ----------------------------------------------------------------------------------------- */

peer_id session_peer_of(term node)
{
    static _Thread_local struct { term node; peer_id id; } seen[16];
    unsigned i = atom_index(node) & 15;

    if (seen[i].node != node || seen[i].id == 0) {
        size_t len;
        const char *text = atom_text(node, &len);

        seen[i].node = node;
        seen[i].id = peer_by_name(text, len);       /* a peer keeps its id for good */
    }
    return seen[i].id;
}

struct session *session_at(uint32_t number)
{
    struct number_chunk *c;

    if (number >= NUMBERS_MAX)
        return NULL;
    /* acquire: pairs with the release in number_take */
    c = atomic_load_explicit(&numbers[number / CHUNK], memory_order_acquire);
    return c != NULL ? atomic_load_explicit(&c->at[number % CHUNK], memory_order_acquire) : NULL;
}

static void number_take(struct session *s)
{
    struct number_chunk *c;

    pthread_mutex_lock(&make_lock);
    ASSERT(last_number + 1 < NUMBERS_MAX);
    s->number = ++last_number;
    c = atomic_load_explicit(&numbers[s->number / CHUNK], memory_order_relaxed);
    if (c == NULL) {
        c = MEM_NEW(struct number_chunk);
        atomic_store_explicit(&numbers[s->number / CHUNK], c, memory_order_release);
    }
    /* release: whoever finds it sees it whole */
    atomic_store_explicit(&c->at[s->number % CHUNK], s, memory_order_release);
    pthread_mutex_unlock(&make_lock);
}

static struct peer_row *row_of(peer_id peer)
{
    struct row_chunk *c = atomic_load_explicit(&rows[peer / CHUNK], memory_order_acquire);

    if (c == NULL) {
        pthread_mutex_lock(&make_lock);
        c = atomic_load_explicit(&rows[peer / CHUNK], memory_order_relaxed);
        if (c == NULL) {
            c = MEM_NEW(struct row_chunk);
            for (unsigned i = 0; i < CHUNK; i++)
                pthread_mutex_init(&c->row[i].lock, NULL);
            /* release: pairs with the acquire above */
            atomic_store_explicit(&rows[peer / CHUNK], c, memory_order_release);
        }
        pthread_mutex_unlock(&make_lock);
    }
    return &c->row[peer % CHUNK];
}

static struct session *session_new(session_id id, term node)
{
    struct session *s = MEM_NEW(struct session);

    s->id = id;
    s->peer = session_peer(id);
    s->node = node;
    atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
    pthread_mutex_init(&s->lock, NULL);
    number_take(s);
    return s;
}

/* DS3: is creation, if not 0, that of s? The first to ask of a session that is not up decides. */
static bool creation_fits(struct session *s, uint32_t creation)
{
    uint32_t known = 0;

    return creation == 0 ||
           atomic_compare_exchange_strong_explicit(&s->creation, &known, creation,
                                                   memory_order_relaxed, memory_order_relaxed) ||
           known == creation;
}

struct session *session_get(session_id id, term node, uint32_t creation, bool *ret_other)
{
    struct peer_row *row = row_of(session_peer(id));
    struct session *s;

    *ret_other = false;
    pthread_mutex_lock(&row->lock);
    for (s = row->live; s != NULL && s->id != id; s = s->next)
        ;
    if (s == NULL && session_number(id) > row->ended) {
        s = session_new(id, node);
        s->next = row->live;
        row->live = s;
    }
    pthread_mutex_unlock(&row->lock);
    if (s != NULL && !creation_fits(s, creation)) {
        *ret_other = true;
        return NULL;
    }
    return s;
}

/* --- attached processes --------------------------------------------------------------------------- */

static void session_reclaim(void *ptr)
{
    struct session *s = ptr;

    mem_free(s->attached.slot);
    mem_free(s->named);
    mem_free(s->waiting);
    if (s->entry != NULL)
        node_entry_unref(s->entry);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static void session_unref(struct session *s)
{
    struct number_chunk *c;

    /* acq_rel: what others did with it is over when the last one frees it */
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    c = atomic_load_explicit(&numbers[s->number / CHUNK], memory_order_relaxed);
    atomic_store_explicit(&c->at[s->number % CHUNK], NULL, memory_order_relaxed);
    epoch_retire(s, session_reclaim);
}

bool session_attach(struct session *s, term pid)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    ok = atomic_load_explicit(&s->state, memory_order_relaxed) != SESSION_OVER;
    if (ok) {
        word_add(&s->attached, pid);
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

void session_detach(struct session *s, term pid)
{
    pthread_mutex_lock(&s->lock);
    if (atomic_load_explicit(&s->state, memory_order_relaxed) != SESSION_OVER)
        word_remove(&s->attached, pid);
    pthread_mutex_unlock(&s->lock);
    session_unref(s);
}

/* --- suspended senders ----------------------------------------------------------------------------- */

bool session_suspend(struct session *s, term pid, uint32_t seq)
{
    bool waits;

    pthread_mutex_lock(&s->lock);
    waits = atomic_load_explicit(&s->writable_seq, memory_order_relaxed) == seq &&
            atomic_load_explicit(&s->state, memory_order_relaxed) != SESSION_OVER;
    if (waits && s->waiting_n == s->waiting_cap) {
        s->waiting_cap = s->waiting_cap != 0 ? 2 * s->waiting_cap : 8;
        s->waiting = mem_realloc(s->waiting, s->waiting_cap * sizeof *s->waiting);
    }
    if (waits)
        s->waiting[s->waiting_n++] = pid;
    pthread_mutex_unlock(&s->lock);
    return waits;
}

/* I/O thread, inside an epoch. */
static void resume_waiting(struct session *s)
{
    term *pids;
    uint32_t n;

    pthread_mutex_lock(&s->lock);
    atomic_fetch_add_explicit(&s->writable_seq, 1, memory_order_relaxed);
    pids = s->waiting;
    n = s->waiting_n;
    s->waiting = NULL;
    s->waiting_n = s->waiting_cap = 0;
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct process *p = process_lookup(pids[i]);

        if (p != NULL)
            signal_post(p, SIG_RESUME, TERM_NONE, TERM_NONE, TERM_NONE);
    }
    mem_free(pids);
}

/* --- monitors by name ------------------------------------------------------------------------------- */

void session_name_add(struct session *s, uint64_t ref, term pid)
{
    pthread_mutex_lock(&s->lock);
    if (s->named_n == s->named_cap) {
        s->named_cap = s->named_cap != 0 ? 2 * s->named_cap : 8;
        s->named = mem_realloc(s->named, s->named_cap * sizeof *s->named);
    }
    s->named[s->named_n++] = (struct named_monitor){ ref, pid };
    pthread_mutex_unlock(&s->lock);
}

/* From the newest on: most are short calls. */
term session_name_take(struct session *s, uint64_t ref)
{
    term pid = TERM_NONE;

    if (__atomic_load_n(&s->named_n, __ATOMIC_RELAXED) == 0)
        return pid;             /* whose monitor was by name has been added by the thread before us */
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = s->named_n; i-- > 0 && pid == TERM_NONE; ) {
        if (s->named[i].ref == ref) {
            pid = s->named[i].pid;
            s->named[i] = s->named[--s->named_n];
        }
    }
    pthread_mutex_unlock(&s->lock);
    return pid;
}

/* --- what peer.h tells ------------------------------------------------------------------------------ */

static struct session *session_of_info(const struct peer_info *p, session_id id)
{
    bool other;

    return session_get(id, atom_from_utf8(p->name, strlen(p->name)), 0, &other);
}

static void watch_up(const struct peer_info *p)
{
    struct session *s;
    uint32_t known = 0;

    epoch_enter();
    s = session_of_info(p, p->session);
    if (s == NULL)
        goto out;
    if (!atomic_compare_exchange_strong_explicit(&s->creation, &known, p->creation,
                                                 memory_order_relaxed, memory_order_relaxed) &&
        known != p->creation) {
        peer_disconnect(s->id);
        goto out;
    }
    s->entry = node_entry_get(s->node, p->creation);
    pthread_mutex_lock(&s->lock);
    atomic_store_explicit(&s->state, SESSION_UP, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    if (s->entry != NULL)       /* release: whoever reads the number finds the session */
        atomic_store_explicit(&s->entry->session, s->number, memory_order_release);
    if (session_up_hook != NULL && !p->hidden)
        session_up_hook(s);
out:
    epoch_leave();
}

/* Step 2; true: there are more. */
static bool tell_attached(struct session *s)
{
    unsigned n = 0;

    for (; s->told < s->attached.cap && n < SLICE; s->told++) {
        term pid = s->attached.slot[s->told];
        struct process *p = pid != 0 ? process_lookup(pid) : NULL;

        if (p == NULL)
            continue;           /* it has detached, or its exit is about to */
        signal_post_remote(p, SIG_SESSION_DOWN, s->number, TERM_NONE, TERM_NONE, TERM_NONE);
        n++;
    }
    return s->told < s->attached.cap;
}

static void row_forget(struct session *s)
{
    struct peer_row *row = row_of(s->peer);

    pthread_mutex_lock(&row->lock);
    row->ended = session_number(s->id);
    for (struct session **at = &row->live; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    pthread_mutex_unlock(&row->lock);
}

static void mark_over(struct session *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_store_explicit(&s->state, SESSION_OVER, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    if (s->entry != NULL) {
        uint32_t number = s->number;

        atomic_compare_exchange_strong_explicit(&s->entry->session, &number, 0,
                                                memory_order_relaxed, memory_order_relaxed);
    }
    resume_waiting(s);
}

/* True: call again. */
static bool watch_down(const struct peer_info *p, session_id id, enum peer_end why)
{
    struct session *s;
    bool more = false, was_up;

    epoch_enter();
    s = session_of_info(p, id);
    if (s != NULL) {
        if (atomic_load_explicit(&s->state, memory_order_relaxed) != SESSION_OVER)
            mark_over(s);
        more = tell_attached(s);
    }
    if (s != NULL && !more) {
        was_up = s->entry != NULL;
        row_forget(s);
        if (session_down_hook != NULL && !p->hidden)
            session_down_hook(s, was_up, why);
        session_unref(s);
    }
    epoch_leave();
    return more;
}

static void watch_writable(session_id id)
{
    struct peer_row *row = row_of(session_peer(id));
    struct session *s;

    epoch_enter();
    pthread_mutex_lock(&row->lock);
    for (s = row->live; s != NULL && s->id != id; s = s->next)
        ;
    pthread_mutex_unlock(&row->lock);
    if (s != NULL)
        resume_waiting(s);
    epoch_leave();
}

void session_init(void)
{
    static struct peer_watch watch = {
        .up = watch_up, .down = watch_down, .writable = watch_writable,
    };

    peer_watch(&watch);
}
