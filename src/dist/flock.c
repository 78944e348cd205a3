/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock.c - announcements of this node, definitions, and the views they give
 *
 * A view is a topic of share.h with a pattern: peers test their own announcements and send those
 * that match, and the changes. What a view holds of a member are its bytes of attributes.
 */
#include "dist/flock.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/metric.h"
#include "dist/share.h"
#include "heap/etf.h"
#include "term/atom.h"
#include "vm/bif.h"
#include "vm/code.h"
#include "vm/registry.h"

#include <stdlib.h>

/* A process of ours that said what it is. */
struct announced {
    uint64_t pid;
    size_t own_len;                 /* what it said; the labels follow */
    struct buf attrs;
};

struct member {
    struct member *next;            /* in its bucket */
    struct origin *origin;          /* NULL: ours */
    uint64_t pid;
    size_t len;
    uint8_t attrs[];
};

struct subscriber {
    struct subscriber *next;
    uint64_t pid;
    term ref;
};

struct flock {
    struct flock *next;             /* by name */
    char name[FLOCK_NAME_MAX + 1];
    const char *origin;             /* static text */
    struct pattern *pattern;
    struct member **buckets;
    uint32_t n, cap;
    uint64_t version;
    struct subscriber *subscribers;
};

static struct flock *flocks;        /* [lk share_lock] */
static unsigned flocks_n;           /* [lk share_lock] */
static struct idmap announced;      /* [lk share_lock] payload + 1 -> struct announced */
static struct buf labels;           /* [lk share_lock] attributes of the node */

#define BIF(module, function, arity, kind, fn) static bif_fn fn;
#include "dist/flock.tab"
#undef BIF

/* --- views ------------------------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct flock *f, const struct origin *o, uint64_t pid)
{
    uint64_t x = (pid ^ (uint64_t)(uintptr_t)o) * 0x9e3779b97f4a7c15u;

    return (uint32_t)(x >> 32) & (f->cap - 1);
}

static struct member **member_slot(struct flock *f, const struct origin *o, uint64_t pid)
{
    struct member **at = &f->buckets[bucket_of(f, o, pid)];

    while (*at != NULL && ((*at)->origin != o || (*at)->pid != pid))
        at = &(*at)->next;
    return at;
}

static void view_grow(struct flock *f)
{
    struct member **old = f->buckets;
    uint32_t cap = f->cap;

    f->cap = 2 * cap;
    f->buckets = MEM_NEW_ARRAY(struct member *, f->cap);
    for (uint32_t i = 0; i < cap; i++)
        while (old[i] != NULL) {
            struct member *m = old[i];
            uint32_t b = bucket_of(f, m->origin, m->pid);

            old[i] = m->next;
            m->next = f->buckets[b];
            f->buckets[b] = m;
        }
    mem_free(old);
}

/* {Pid, Node, Attributes}; TERM_NONE: the table of nodes is full. */
static term member_term(struct heap *h, const struct member *m)
{
    term pid = share_pid(h, m->origin, m->pid);

    if (pid == TERM_NONE)
        return TERM_NONE;
    return heap_tuple3(h, pid, m->origin != NULL ? m->origin->node : etf_env.local_node,
                       attrs_term(h, m->attrs, m->len));
}

static term why_atom(enum share_why why)
{
    return atom_from_cstr(why == WHY_EXITED ? "exited" : why == WHY_NOCONNECTION ? "noconnection"
                          : why == WHY_CHANGED ? "changed" : "left");
}

/* {flock, Ref, {joined, Member}} or {flock, Ref, {left, Member, Why}} */
static void tell_subscribers(struct flock *f, const struct member *m, bool joined,
                             enum share_why why)
{
    struct heap bag;
    term what, member;

    f->version++;
    if (f->subscribers == NULL)
        return;
    heap_bag_init(&bag);
    member = member_term(&bag, m);
    if (member != TERM_NONE) {
        what = joined ? heap_tuple2(&bag, atom_from_cstr("joined"), member)
                      : heap_tuple3(&bag, atom_from_cstr("left"), member, why_atom(why));
        for (const struct subscriber *s = f->subscribers; s != NULL; s = s->next)
            (void)process_send(NULL, imm_make(IMM_PID, s->pid),
                               heap_tuple3(&bag, atom_from_cstr("flock"), s->ref, what));
    }
    heap_fini(&bag);
}

static void member_remove(struct flock *f, const struct origin *o, uint64_t pid,
                          enum share_why why)
{
    struct member **at = member_slot(f, o, pid), *m = *at;

    if (m == NULL)
        return;
    *at = m->next;
    f->n--;
    tell_subscribers(f, m, false, why);
    mem_free(m);
}

/* A member, or an old one with other attributes: it leaves and joins. */
static void member_set(struct flock *f, struct origin *o, uint64_t pid, const uint8_t *attrs,
                       size_t len)
{
    struct member **at = member_slot(f, o, pid), *m = *at;

    if (m != NULL && m->len == len && memcmp(m->attrs, attrs, len) == 0)
        return;
    if (m != NULL)
        member_remove(f, o, pid, WHY_CHANGED);
    if (f->n >= FLOCK_MEMBERS_MAX)
        return;
    if (f->n >= f->cap)
        view_grow(f);
    m = mem_alloc(sizeof(*m) + len);
    at = &f->buckets[bucket_of(f, o, pid)];
    *m = (struct member){ .next = *at, .origin = o, .pid = pid, .len = len };
    if (len != 0)
        memcpy(m->attrs, attrs, len);
    *at = m;
    f->n++;
    tell_subscribers(f, m, true, WHY_LEFT);
}

/* --- announcements ------------------------------------------------------------------------------------ */

static void tell_sub(struct share_sub *sub, void *arg)
{
    const struct announced *a = arg;
    bool match = attrs_match(a->attrs.data, a->attrs.len, sub->pattern);
    struct share_row row = { .pid = a->pid, .gone = !match, .why = WHY_CHANGED,
                             .attrs = { a->attrs.data, (uint32_t)a->attrs.len } };

    /* One that no longer matches may have matched before: it is told as gone, which does no harm
     * to a peer that never had it. */
    if (!match)
        row.attrs = (struct span){ NULL, 0 };
    share_row_to(sub, &row);
}

static void tell_all(struct announced *a)
{
    for (struct flock *f = flocks; f != NULL; f = f->next)
        if (attrs_match(a->attrs.data, a->attrs.len, f->pattern))
            member_set(f, NULL, a->pid, a->attrs.data, a->attrs.len);
        else
            member_remove(f, NULL, a->pid, WHY_CHANGED);
    share_subs(SHARE_FLOCK, tell_sub, a);
}

struct gone { uint64_t pid; enum share_why why; };

static void tell_gone(struct share_sub *sub, void *arg)
{
    const struct gone *g = arg;

    share_row_to(sub, &(struct share_row){ .pid = g->pid, .gone = true, .why = g->why });
}

static void withdraw(uint64_t pid, enum share_why why)
{
    struct announced *a = idmap_take(&announced, pid + 1);
    struct gone g = { pid, why };

    if (a == NULL)
        return;
    for (struct flock *f = flocks; f != NULL; f = f->next)
        member_remove(f, NULL, pid, why);
    share_subs(SHARE_FLOCK, tell_gone, &g);
    share_untrack(pid);
    buf_fini(&a->attrs);
    mem_free(a);
}

/* own: what the process says of itself. 0; -ERR_LIMIT; -ERR_NOT_FOUND: it has ended. */
static int announce(uint64_t pid, const uint8_t *own, size_t len)
{
    struct announced *a = idmap_get(&announced, pid + 1);

    if (a == NULL) {
        if (announced.n >= ANNOUNCED_MAX)
            return -ERR_LIMIT;
        if (!share_track(pid))
            return -ERR_NOT_FOUND;
        a = MEM_NEW(struct announced);
        a->pid = pid;
        idmap_put(&announced, pid + 1, a);
    }
    a->attrs.len = 0;
    a->own_len = len;
    buf_add(&a->attrs, own, len);
    buf_add(&a->attrs, labels.data, labels.len);
    tell_all(a);
    return 0;
}

void flock_labels(const char *const *items)
{
    struct buf fresh = { 0 };

    for (size_t i = 0; items != NULL && items[i] != NULL; i++) {
        const char *eq = strchr(items[i], '=');
        char *key;

        if (eq == NULL)
            continue;
        key = mem_printf("node.%.*s", (int)(eq - items[i]), items[i]);
        if (fresh.len + strlen(key) + strlen(eq) + 4 <= ATTRS_BYTES)
            (void)!attrs_add_text(&fresh, key, eq + 1);
        mem_free(key);
    }
    epoch_enter();
    pthread_rwlock_wrlock(&share_lock);
    buf_fini(&labels);
    labels = fresh;
    IDMAP_EACH(&announced, s) {
        struct announced *a = s->value;

        a->attrs.len = a->own_len;
        buf_add(&a->attrs, labels.data, labels.len);
        tell_all(a);
    }
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
}

/* --- definitions ------------------------------------------------------------------------------------- */

static struct flock **flock_slot(const char *name)
{
    struct flock **at = &flocks;

    while (*at != NULL && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

static struct flock *flock_find(const char *name)
{
    struct flock *f = *flock_slot(name);

    return f != NULL && strcmp(f->name, name) == 0 ? f : NULL;
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= FLOCK_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                        "0123456789_.-") == n;
}

/* Look at everything anew: the pattern has changed, or is there for the first time. */
static void flock_fill(struct flock *f)
{
    share_want(SHARE_FLOCK, f->name, f->pattern, f);
    IDMAP_EACH(&announced, s) {
        struct announced *a = s->value;

        if (attrs_match(a->attrs.data, a->attrs.len, f->pattern))
            member_set(f, NULL, a->pid, a->attrs.data, a->attrs.len);
    }
}

static void flock_empty(struct flock *f)
{
    share_want_end(SHARE_FLOCK, f);
    for (uint32_t i = 0; i < f->cap; i++)
        while (f->buckets[i] != NULL)
            member_remove(f, f->buckets[i]->origin, f->buckets[i]->pid, WHY_LEFT);
}

static int define_locked(const char *name, struct pattern *pattern, const char *origin)
{
    struct flock **at = flock_slot(name), *f = *at;

    if (f != NULL && strcmp(f->name, name) == 0) {
        flock_empty(f);
        pattern_free(f->pattern);
    } else {
        if (flocks_n >= FLOCKS_MAX)
            return -ERR_LIMIT;
        f = MEM_NEW(struct flock);
        f->next = *at;
        *at = f;
        f->cap = 16;
        f->buckets = MEM_NEW_ARRAY(struct member *, f->cap);
        strcpy(f->name, name);
        flocks_n++;
    }
    f->pattern = pattern;
    f->origin = origin;
    flock_fill(f);
    return 0;
}

int flock_define(const char *name, struct pattern *pattern, const char *origin)
{
    int rc = name_ok(name) ? 0 : -ERR_ARGUMENT;

    if (rc == 0) {
        epoch_enter();
        pthread_rwlock_wrlock(&share_lock);
        rc = define_locked(name, pattern, origin);
        pthread_rwlock_unlock(&share_lock);
        epoch_leave();
    }
    if (rc < 0)
        pattern_free(pattern);
    return rc;
}

static void subscribers_free(struct flock *f)
{
    while (f->subscribers != NULL) {
        struct subscriber *s = f->subscribers;

        f->subscribers = s->next;
        share_untrack(s->pid);
        mem_free(s);
    }
}

int flock_undefine(const char *name)
{
    struct flock **at, *f;

    epoch_enter();
    pthread_rwlock_wrlock(&share_lock);
    at = flock_slot(name);
    f = *at != NULL && strcmp((*at)->name, name) == 0 ? *at : NULL;
    if (f != NULL) {
        flock_empty(f);
        *at = f->next;
        flocks_n--;
        subscribers_free(f);
        pattern_free(f->pattern);
        mem_free(f->buckets);
        mem_free(f);
    }
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
    return f != NULL ? 0 : -ERR_NOT_FOUND;
}

/* --- what share.c tells us --------------------------------------------------------------------------- */

static void on_snapshot(struct share_sub *sub)
{
    IDMAP_EACH(&announced, s) {
        struct announced *a = s->value;

        if (attrs_match(a->attrs.data, a->attrs.len, sub->pattern))
            share_row_to(sub, &(struct share_row){
                .pid = a->pid, .attrs = { a->attrs.data, (uint32_t)a->attrs.len } });
    }
}

static void on_row(void *topic, struct origin *o, const struct share_row *row)
{
    if (row->gone)
        member_remove(topic, o, row->pid, (enum share_why)row->why);
    else if (attrs_ok(row->attrs.data, row->attrs.len))
        member_set(topic, o, row->pid, row->attrs.data, row->attrs.len);
}

static void on_lost(struct origin *o)
{
    for (struct flock *f = flocks; f != NULL; f = f->next)
        for (uint32_t i = 0; i < f->cap; i++)
            for (struct member *m = f->buckets[i], *next; m != NULL; m = next) {
                next = m->next;
                if (m->origin == o)
                    member_remove(f, o, m->pid, WHY_NOCONNECTION);
            }
}

static unsigned unsubscribe(struct flock *f, uint64_t pid, term ref)
{
    unsigned n = 0;

    for (struct subscriber **at = &f->subscribers; *at != NULL;) {
        struct subscriber *s = *at;

        if (ref != TERM_NONE ? s->ref != ref : s->pid != pid) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        share_untrack(s->pid);
        mem_free(s);
        n++;
    }
    return n;
}

static void on_exited(uint64_t pid)
{
    for (struct flock *f = flocks; f != NULL; f = f->next)
        unsubscribe(f, pid, TERM_NONE);
    withdraw(pid, WHY_EXITED);
}

/* --- looking ----------------------------------------------------------------------------------------- */

static bool is_node(const struct member *m)
{
    static uint8_t node[] = "bnode";
    static char key[] = "kind";
    static struct clause_value value = { .len = 5, .data = node };
    static const struct pattern pattern = {
        .n = 1, .clauses = { { .key = key, .op = OP_IS, .n = 1, .values = &value } } };

    return attrs_match(m->attrs, m->len, &pattern);
}

void flock_visit(void (*visit)(void *arg, const struct flock_info *f), void *arg)
{
    pthread_rwlock_rdlock(&share_lock);
    for (const struct flock *f = flocks; f != NULL; f = f->next) {
        struct flock_info info = { .name = f->name, .origin = f->origin, .pattern = f->pattern,
                                   .members = f->n, .version = f->version };

        for (uint32_t i = 0; i < f->cap; i++)
            for (const struct member *m = f->buckets[i]; m != NULL; m = m->next)
                info.nodes += is_node(m);
        visit(arg, &info);
    }
    pthread_rwlock_unlock(&share_lock);
}

bool flock_visit_members(const char *name,
                         void (*visit)(void *arg, const struct flock_member_info *m), void *arg)
{
    struct flock *f;

    pthread_rwlock_rdlock(&share_lock);
    f = flock_find(name);
    for (uint32_t i = 0; f != NULL && i < f->cap; i++)
        for (const struct member *m = f->buckets[i]; m != NULL; m = m->next) {
            struct flock_member_info info = {
                .node = m->origin != NULL ? atom_text(m->origin->node, NULL) : "", .pid = m->pid };
            struct buf text = { 0 };

            attrs_text(&text, m->attrs, m->len);
            info.attrs = buf_cstr(&text);
            visit(arg, &info);
            buf_fini(&text);
        }
    pthread_rwlock_unlock(&share_lock);
    return f != NULL;
}

static void emit_metric(void *arg, const struct flock_info *f)
{
    struct buf label = { 0 };

    metric_label(&label, "flock", f->name);
    metric_emit(arg, M_flock_members, buf_cstr(&label), f->members);
    buf_fini(&label);
}

static void collect(struct metric_sink *sink, void *arg)
{
    flock_visit(emit_metric, sink);
}

/* --- built-ins ---------------------------------------------------------------------------------------- */

static term fail(struct process *p, int rc)
{
    return rc == -ERR_LIMIT ? bif_error(p, ATOM_system_limit) : bif_badarg(p);
}

static term announce_term(struct process *p, term pid, term map)
{
    struct buf own = { 0 };
    int rc = is_local_pid(pid) ? attrs_write(&own, map) : -ERR_ARGUMENT;

    if (rc == 0) {
        pthread_rwlock_wrlock(&share_lock);
        rc = announce(imm_payload(pid), own.data, own.len);
        pthread_rwlock_unlock(&share_lock);
    }
    buf_fini(&own);
    return rc == 0 || rc == -ERR_NOT_FOUND ? ATOM_ok : fail(p, rc);
}

static term bif_flock_announce_1(struct process *p, const term *a)
{
    return announce_term(p, p->pid, a[0]);
}

static term bif_flock_announce_2(struct process *p, const term *a)
{
    return announce_term(p, a[0], a[1]);
}

static term withdraw_term(struct process *p, term pid)
{
    if (!is_local_pid(pid))
        return bif_badarg(p);
    pthread_rwlock_wrlock(&share_lock);
    withdraw(imm_payload(pid), WHY_LEFT);
    pthread_rwlock_unlock(&share_lock);
    return ATOM_ok;
}

static term bif_flock_withdraw_0(struct process *p, const term *a)
{
    return withdraw_term(p, p->pid);
}

static term bif_flock_withdraw_1(struct process *p, const term *a)
{
    return withdraw_term(p, a[0]);
}

static term bif_flock_define(struct process *p, const term *a)
{
    struct pattern *pattern;
    int rc = is_atom(a[0]) ? pattern_from_term(a[1], &pattern) : -ERR_ARGUMENT;

    if (rc == 0)
        rc = flock_define(atom_text(a[0], NULL), pattern, "program");
    return rc == 0 ? ATOM_ok : fail(p, rc);
}

static term bif_flock_undefine(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || flock_undefine(atom_text(a[0], NULL)) < 0)
        return bif_badarg(p);
    return ATOM_ok;
}

/* [{Name, Pattern, Members}] */
static term bif_flock_flocks(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term list = TERM_NIL;

    pthread_rwlock_rdlock(&share_lock);
    for (const struct flock *f = flocks; f != NULL; f = f->next)
        list = heap_cons(h, heap_tuple3(h, atom_from_utf8(f->name, strlen(f->name)),
                                        pattern_term(h, f->pattern), heap_int(h, f->n)), list);
    pthread_rwlock_unlock(&share_lock);
    return list;
}

static term view_members(struct heap *h, const struct flock *f)
{
    term list = TERM_NIL;

    for (uint32_t i = 0; i < f->cap; i++)
        for (const struct member *m = f->buckets[i]; m != NULL; m = m->next) {
            term t = member_term(h, m);

            if (t != TERM_NONE)
                list = heap_cons(h, t, list);
        }
    return list;
}

/* {[{Pid, Node, Attributes}], Version} */
static term bif_flock_view(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    const struct flock *f;
    term result = TERM_NONE;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    pthread_rwlock_rdlock(&share_lock);
    f = flock_find(atom_text(a[0], NULL));
    if (f != NULL) {
        result = heap_tuple2(h, view_members(h, f), heap_uint(h, f->version));
        charge(p, f->n / 4);
    }
    pthread_rwlock_unlock(&share_lock);
    return f != NULL ? result : bif_badarg(p);
}

/* {Ref, [Member]} */
static term bif_flock_subscribe(struct process *p, const term *a)
{
    term ref = make_ref(p->sched), members = TERM_NIL;
    struct flock *f;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    pthread_rwlock_wrlock(&share_lock);
    f = flock_find(atom_text(a[0], NULL));
    if (f != NULL && share_track(imm_payload(p->pid))) {
        struct subscriber *s = MEM_NEW(struct subscriber);

        *s = (struct subscriber){ f->subscribers, imm_payload(p->pid), ref };
        f->subscribers = s;
        members = view_members(&p->heap, f);
    }
    pthread_rwlock_unlock(&share_lock);
    return f != NULL ? heap_tuple2(&p->heap, ref, members) : bif_badarg(p);
}

static term bif_flock_unsubscribe(struct process *p, const term *a)
{
    unsigned n = 0;

    if (!is_ref(a[0]))
        return bif_badarg(p);
    pthread_rwlock_wrlock(&share_lock);
    for (struct flock *f = flocks; f != NULL; f = f->next)
        n += unsubscribe(f, 0, a[0]);
    pthread_rwlock_unlock(&share_lock);
    return n > 0 ? ATOM_true : ATOM_false;
}

/* --- plugging ------------------------------------------------------------------------------------------ */

void flock_init(void)
{
    static const struct share_user user = { .snapshot = on_snapshot, .row = on_row,
                                            .lost = on_lost, .exited = on_exited };
    static const struct bif table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#include "dist/flock.tab"
#undef BIF
    };

    share_use(SHARE_FLOCK, &user);
    bif_register(table, ARRAY_LEN(table));
    metric_collector_add(collect, NULL);
}

static uint64_t node_pid;               /* [set] by flock_start: the process that stands for the node */

static int announce_node(void)
{
    struct buf own = { 0 };
    int rc = attrs_add_text(&own, "kind", "node");

    if (rc == 0)
        rc = announce(node_pid, own.data, own.len);
    buf_fini(&own);
    return rc;
}

int flock_node_present(bool present)
{
    int rc = 0;

    epoch_enter();
    pthread_rwlock_wrlock(&share_lock);
    if (present)
        rc = announce_node();
    else
        withdraw(node_pid, WHY_LEFT);
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
    return rc;
}

void flock_start(void)
{
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    term pid;
    int rc;

    epoch_enter();
    pid = process_spawn_mfa(NULL, atom_from_cstr("rnode_pg"), atom_from_cstr("loop"), TERM_NIL,
                            &opt, NULL);
    ASSERT(pid != TERM_NONE);
    registry_add(atom_from_cstr("flock"), pid);
    node_pid = imm_payload(pid);
    pthread_rwlock_wrlock(&share_lock);
    rc = announce_node();
    pthread_rwlock_unlock(&share_lock);
    epoch_leave();
    ASSERT(rc == 0);
}
