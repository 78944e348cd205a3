/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation.c - the set of relations, and the operations of the process that owns it
 */
#include "vm/relation.h"

#include "base/slab.h"
#include "vm/process_priv.h"
#include "vm/registry.h"
#include "vm/remote.h"

#define PLAIN_MAX 8     /* up to here a plain array */
#define set_bytes(cap) (sizeof(struct relset) + (cap) * sizeof(struct relation))

/* --- the set ---------------------------------------------------------------------------------- */

static uint32_t slot_of(uint64_t key, uint32_t cap)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;

    return (uint32_t)(h >> 32) & (cap - 1);
}

/* Our own references are unique whatever the session. */
static bool is_it(const struct relation *r, uint64_t key, uint32_t session)
{
    return r->key == key && (r->session == session || (key & 3) == REL_MINE);
}

struct relation *relation_find_remote(const struct process *p, uint64_t key, uint32_t session)
{
    struct relset *set = p->relations;

    if (set == NULL)
        return NULL;
    if (set->cap <= PLAIN_MAX) {
        for (uint32_t i = 0; i < set->n; i++) {
            if (is_it(&set->slots[i], key, session))
                return &set->slots[i];
        }
        return NULL;
    }
    for (uint32_t i = slot_of(key, set->cap); set->slots[i].key != 0; i = (i + 1) & (set->cap - 1)) {
        if (is_it(&set->slots[i], key, session))
            return &set->slots[i];
    }
    return NULL;
}

struct relation *relation_find_fit(const struct process *p, uint64_t key,
                                   bool (*fits)(const struct relation *r, const void *arg),
                                   const void *arg)
{
    struct relset *set = p->relations;
    uint32_t i = 0;

    if (set == NULL)
        return NULL;
    if (set->cap <= PLAIN_MAX) {
        for (; i < set->n; i++) {
            if (set->slots[i].key == key && fits(&set->slots[i], arg))
                return &set->slots[i];
        }
        return NULL;
    }
    for (i = slot_of(key, set->cap); set->slots[i].key != 0; i = (i + 1) & (set->cap - 1)) {
        if (set->slots[i].key == key && fits(&set->slots[i], arg))
            return &set->slots[i];
    }
    return NULL;
}

struct relation *relation_find(const struct process *p, uint64_t key)
{
    return relation_find_remote(p, key, 0);
}

/* A free slot for key; there is room. */
static struct relation *slot_take(struct relset *set, uint64_t key)
{
    uint32_t i;

    if (set->cap <= PLAIN_MAX)
        return &set->slots[set->n++];
    for (i = slot_of(key, set->cap); set->slots[i].key != 0; i = (i + 1) & (set->cap - 1))
        ;
    set->n++;
    return &set->slots[i];
}

static struct relset *set_resize(struct relset *old, uint32_t cap)
{
    struct relset *set = slab_alloc(set_bytes(cap));

    memset(set, 0, set_bytes(cap));
    set->cap = set->cap_left = cap;
    if (old == NULL)
        return set;
    for (uint32_t i = 0; i < old->cap; i++) {
        if (old->slots[i].key != 0)
            *slot_take(set, old->slots[i].key) = old->slots[i];
    }
    slab_free(old, set_bytes(old->cap));
    return set;
}

struct relation *relation_add(struct process *p, uint64_t key, term peer)
{
    struct relset *set = p->relations;
    struct relation *r;

    if (set == NULL)
        p->relations = set = set_resize(NULL, 2);
    else if (set->cap <= PLAIN_MAX ? set->n == set->cap : set->n >= set->cap / 4 * 3)
        p->relations = set = set_resize(set, set->cap == PLAIN_MAX ? 32 : set->cap * 2);
    r = slot_take(set, key);
    *r = (struct relation){ .key = key, .peer = peer };
    return r;
}

struct relation *relation_add_remote(struct process *p, uint64_t key, term peer, uint32_t session)
{
    struct relation *r = relation_add(p, key, peer);

    r->session = session;
    return r;
}

static void tag_free(struct relation *r)
{
    if (relation_class(r) != REL_MINE || r->tag == NULL)
        return;
    if (r->tag->frag != NULL)
        frag_free(r->tag->frag);
    if (r->tag->item_frag != NULL)
        frag_free(r->tag->item_frag);
    if (r->tag->reply_frag != NULL)
        frag_free(r->tag->reply_frag);
    slab_free(r->tag, sizeof *r->tag);
    r->tag = NULL;
}

void relation_remove(struct process *p, struct relation *r)
{
    struct relset *set = p->relations;
    uint32_t mask = set->cap - 1, hole = (uint32_t)(r - set->slots);

    tag_free(r);
    set->n--;
    if (set->cap <= PLAIN_MAX) {
        *r = set->slots[set->n];
        set->slots[set->n].key = 0;
        return;
    }
    /* Close the hole: move back every later entry of the run that may stand there. */
    for (uint32_t i = (hole + 1) & mask; set->slots[i].key != 0; i = (i + 1) & mask) {
        uint32_t home = slot_of(set->slots[i].key, set->cap);

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            set->slots[hole] = set->slots[i];
            hole = i;
        }
    }
    set->slots[hole].key = 0;
    if (set->n < set->cap / 8)
        p->relations = set_resize(set, set->cap == 32 ? PLAIN_MAX : set->cap / 2);
}

void relation_forget(struct relation *r)
{
    tag_free(r);
    r->key = 0;
}

struct relation *relation_next(const struct process *p, uint32_t *at)
{
    struct relset *set = p->relations;

    while (set != NULL && *at < set->cap) {
        struct relation *r = &set->slots[(*at)++];

        if (r->key != 0)
            return r;
    }
    return NULL;
}

void relset_free(struct process *p)
{
    struct relset *set = p->relations;

    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->cap; i++) {
        if (set->slots[i].key != 0)
            tag_free(&set->slots[i]);
    }
    slab_free(set, set_bytes(set->cap));
    p->relations = NULL;
}

/* --- references ---------------------------------------------------------------------------------- */

term ref_plain(term ref)
{
    if (is_imm_ref(ref))
        return ref;
    if (box_is(ref, HK_REF))
        return imm_make(IMM_REF, box_ptr(ref)[1]);
    return TERM_NONE;
}

term ref_alias(struct heap *h, term plain, term owner)
{
    term *at = heap_alloc(h, 3);

    at[0] = header_make(HK_REF, 2);
    at[1] = imm_payload(plain);
    at[2] = owner;
    return box_term(at);
}

/* --- links ------------------------------------------------------------------------------------------ */

/* {'EXIT', From, Reason} for ourselves; reason is an immediate. */
static void append_exit_message(struct process *p, term from, term reason)
{
    mailbox_append(p, heap_tuple3(&p->heap, ATOM_EXIT, from, reason));
}

bool link_make(struct process *p, term pid)
{
    struct process *peer;
    struct relation *r;

    if (pid == p->pid)
        return true;
    r = relation_find(p, relation_key(REL_LINK, pid));
    if (r != NULL && r->unlink_id == 0)
        return true;
    peer = process_lookup(pid);
    if (peer == NULL) {
        if (r != NULL)
            relation_remove(p, r);
        if (p->trap_exit)
            append_exit_message(p, pid, ATOM_noproc);
        return p->trap_exit;
    }
    if (r != NULL)
        r->unlink_id = 0;
    else
        relation_add(p, relation_key(REL_LINK, pid), pid);
    signal_post(peer, SIG_LINK, p->pid, TERM_NONE, TERM_NONE);
    return true;
}

void link_remove(struct process *p, term pid)
{
    struct relation *r = relation_find(p, relation_key(REL_LINK, pid));
    struct process *peer;

    if (r == NULL || r->unlink_id != 0)
        return;
    peer = process_lookup(pid);
    if (peer == NULL) {
        /* Its exit signal may be in our inbox already: it finds no link and is ignored. */
        relation_remove(p, r);
        return;
    }
    r->unlink_id = imm_payload(make_ref(p->sched));
    signal_post(peer, SIG_UNLINK, p->pid, imm_make(IMM_REF, r->unlink_id), TERM_NONE);
}

/* --- monitors and aliases ---------------------------------------------------------------------------- */

static bool read_alias_mode(term mode, enum alias_mode *ret)
{
    if (mode == ATOM_explicit_unalias)
        *ret = ALIAS_EXPLICIT;
    else if (mode == ATOM_demonitor)
        *ret = ALIAS_DEMONITOR;
    else if (mode == ATOM_reply_demonitor)
        *ret = ALIAS_REPLY_DEMONITOR;
    else
        return false;
    return true;
}

bool monitor_options_read(term list, struct monitor_options *ret)
{
    *ret = (struct monitor_options){ ALIAS_NONE, ATOM_DOWN };
    for (; is_cons(list); list = cdr(list)) {
        term o = car(list);

        if (!is_tuple_n(o, 2))
            return false;
        if (tuple_elem(o, 0) == ATOM_tag)
            ret->tag = tuple_elem(o, 1);
        else if (tuple_elem(o, 0) != ATOM_alias ||
                 !read_alias_mode(tuple_elem(o, 1), &ret->alias))
            return false;
    }
    return is_nil(list);
}

struct relation_tag *relation_tag_get(struct relation *r)
{
    if (r->tag == NULL) {
        r->tag = slab_alloc(sizeof *r->tag);
        *r->tag = (struct relation_tag){ .tag = ATOM_DOWN, .name = TERM_NONE, .item = TERM_NONE,
                                         .reply_tag = TERM_NONE };
    }
    return r->tag;
}

struct relation *monitor_entry(struct process *p, term peer, term name,
                               const struct monitor_options *opt)
{
    term plain = make_ref(p->sched);
    struct relation *r = relation_add(p, relation_key(REL_MINE, plain), peer);

    r->alias = (uint8_t)opt->alias;
    if (opt->tag != ATOM_DOWN || name != TERM_NONE) {
        relation_tag_get(r)->name = name;
        r->tag->frag = frag_copy_whole(opt->tag, &r->tag->tag);
    }
    return r;
}

term monitor_ref(struct process *p, term plain, enum alias_mode alias)
{
    return alias == ALIAS_NONE ? plain : ref_alias(&p->heap, plain, p->pid);
}

term monitor_make(struct process *p, term target, const struct monitor_options *opt)
{
    term name = is_atom(target) ? target : TERM_NONE;
    term pid = is_atom(target) ? registry_whereis(target) : target;
    struct process *peer = pid != TERM_NONE ? process_lookup(pid) : NULL;
    struct relation *r;
    term plain;

    if (peer == p) {            /* never fires, so nothing is kept; an alias is */
        if (opt->alias == ALIAS_NONE)
            return make_ref(p->sched);
        r = monitor_entry(p, TERM_NONE, TERM_NONE, opt);
        return monitor_ref(p, relation_ref(r), opt->alias);
    }
    r = monitor_entry(p, pid != TERM_NONE ? pid : TERM_NIL, name, opt);
    plain = relation_ref(r);
    if (peer == NULL)           /* an ordinary DOWN to ourselves, behind what is there already */
        signal_post(p, SIG_DOWN, TERM_NONE, plain, ATOM_noproc);
    else
        signal_post(peer, SIG_MONITOR, p->pid, plain, TERM_NONE);
    return monitor_ref(p, plain, opt->alias);
}

term monitor_make_child(struct process *p, struct process *child, const struct monitor_options *opt)
{
    term plain = relation_ref(monitor_entry(p, child->pid, TERM_NONE, opt));

    relation_add(child, relation_key(REL_WATCHER, plain), p->pid);
    return monitor_ref(p, plain, opt->alias);
}

bool monitor_remove(struct process *p, term ref)
{
    term plain = ref_plain(ref), pid;
    struct relation *r;
    struct process *peer;

    if (plain == TERM_NONE)
        return false;
    r = relation_find(p, relation_key(REL_MINE, plain));
    if (r == NULL || r->peer == TERM_NONE || r->spawn != 0)
        return false;
    pid = r->peer;
    if (is_remote(pid))
        remote_demonitor(p->pid, plain, r);
    if (r->alias == ALIAS_EXPLICIT)
        r->peer = TERM_NONE;
    else
        relation_remove(p, r);
    peer = is_local_receiver(pid) ? process_lookup(pid) : NULL;
    if (peer != NULL)
        signal_post(peer, SIG_DEMONITOR, p->pid, plain, TERM_NONE);
    return true;
}

term alias_make(struct process *p, bool reply)
{
    term plain = make_ref(p->sched);
    struct relation *r = relation_add(p, relation_key(REL_MINE, plain), TERM_NONE);

    r->alias = reply ? ALIAS_REPLY : ALIAS_EXPLICIT;
    return ref_alias(&p->heap, plain, p->pid);
}

bool alias_remove(struct process *p, term ref)
{
    term plain = ref_plain(ref);
    struct relation *r;

    if (plain == TERM_NONE)
        return false;
    r = relation_find(p, relation_key(REL_MINE, plain));
    if (r == NULL || r->alias == ALIAS_NONE)
        return false;
    if (r->peer == TERM_NONE)
        relation_remove(p, r);
    else
        r->alias = ALIAS_NONE;
    return true;
}

/* --- exit/2 --------------------------------------------------------------------------------------------- */

bool exit_send(struct process *p, term pid, term reason)
{
    struct process *peer = process_lookup(pid);

    if (peer == NULL)
        return true;
    if (peer != p) {
        signal_send(peer, sig_new_copy(SIG_EXIT, p->pid, TERM_NONE, reason));
        return true;
    }
    return signal_apply(p, sig_new_copy(SIG_EXIT, p->pid, TERM_NONE, reason)) != EFFECT_EXIT;
}
