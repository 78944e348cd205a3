/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg.c - process groups: the functions of OTP's module pg, on shared topics (share.h)
 *
 * A scope is a topic; its process, registered under the scope's name, only stands for its life:
 * supervisors start and stop it, and when it ends the scope ends here. The groups are a table of
 * the node, so get_members reads without a message to anybody. A process may join a group several
 * times and is a member as often.
 *
 * Differences from OTP, on purpose: a join is told to other nodes by the thread that makes it, so
 * it is on its way when join returns; and membership does not need a process `pg` that can fall
 * behind. What travels are rows {group, pid}.
 */
#include "dist/flock.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "dist/share.h"
#include "heap/map.h"
#include "term/atom.h"
#include "vm/bif.h"
#include "vm/code.h"
#include "vm/registry.h"

#define GROUP_BYTES_MAX   1024      /* of a group's name in external format */
#define ROWS_PER_ORIGIN   1000000   /* rows of one other node in one scope */

struct pg_row {
    struct origin *origin;          /* NULL: a process of ours */
    uint64_t pid;
};

/* Who wants to hear of changes. */
struct pg_watch {
    struct pg_watch *next;
    uint64_t pid;
    term ref;                       /* an immediate reference */
};

struct pg_group {
    struct pg_group *next;          /* in its bucket */
    struct pg_scope *scope;
    uint32_t hash, len;
    struct pg_row *rows;
    uint32_t n, cap, local_n;
    struct pg_watch *watches;
    uint8_t name[];                 /* share_encode of the group */
};

struct pg_scope {
    struct pg_scope *next;
    term name;                      /* atom */
    uint64_t pid;                   /* of its process */
    struct pg_group **buckets;
    uint32_t n, cap;                /* cap a power of two */
    struct pg_watch *watches;
};

static struct pg_scope *scopes;     /* [lk share_lock] */

#define BIF(module, function, arity, kind, fn) static bif_fn fn;
#include "dist/pg.tab"
#undef BIF

/* --- groups ------------------------------------------------------------------------------------------ */

static uint32_t hash_bytes(const uint8_t *data, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

static struct pg_group **group_slot(struct pg_scope *s, const uint8_t *name, size_t len,
                                    uint32_t hash)
{
    struct pg_group **at = &s->buckets[hash & (s->cap - 1)];

    while (*at != NULL && ((*at)->hash != hash || (*at)->len != len
                           || memcmp((*at)->name, name, len) != 0))
        at = &(*at)->next;
    return at;
}

static struct pg_group *group_find(struct pg_scope *s, const uint8_t *name, size_t len)
{
    return *group_slot(s, name, len, hash_bytes(name, len));
}

static void scope_grow(struct pg_scope *s)
{
    struct pg_group **old = s->buckets;
    uint32_t cap = s->cap;

    s->cap = 2 * cap;
    s->buckets = MEM_NEW_ARRAY(struct pg_group *, s->cap);
    for (uint32_t i = 0; i < cap; i++)
        while (old[i] != NULL) {
            struct pg_group *g = old[i];

            old[i] = g->next;
            g->next = s->buckets[g->hash & (s->cap - 1)];
            s->buckets[g->hash & (s->cap - 1)] = g;
        }
    mem_free(old);
}

static struct pg_group *group_get(struct pg_scope *s, const uint8_t *name, size_t len)
{
    uint32_t hash = hash_bytes(name, len);
    struct pg_group **at, *g;

    if (s->n >= s->cap)
        scope_grow(s);
    at = group_slot(s, name, len, hash);
    if (*at != NULL)
        return *at;
    g = mem_zalloc(sizeof(*g) + len);
    g->scope = s;
    g->hash = hash;
    g->len = (uint32_t)len;
    memcpy(g->name, name, len);
    s->n++;
    return *at = g;
}

/* A group without members and watches is none. */
static void group_drop_if_empty(struct pg_group *g)
{
    struct pg_group **at;

    if (g->n > 0 || g->watches != NULL)
        return;
    at = group_slot(g->scope, g->name, g->len, g->hash);
    ASSERT(*at == g);
    *at = g->next;
    g->scope->n--;
    mem_free(g->rows);
    mem_free(g);
}

static void row_add(struct pg_group *g, struct origin *o, uint64_t pid)
{
    if (g->n == g->cap) {
        g->cap = g->cap == 0 ? 4 : 2 * g->cap;
        g->rows = mem_realloc(g->rows, g->cap * sizeof(g->rows[0]));
    }
    g->rows[g->n++] = (struct pg_row){ o, pid };
    g->local_n += o == NULL;
}

/* Remove one row; false: there is none. */
static bool row_remove(struct pg_group *g, struct origin *o, uint64_t pid)
{
    for (uint32_t i = g->n; i-- > 0;)
        if (g->rows[i].origin == o && g->rows[i].pid == pid) {
            memmove(&g->rows[i], &g->rows[i + 1], (--g->n - i) * sizeof(g->rows[0]));
            g->local_n -= o == NULL;
            return true;
        }
    return false;
}

/* --- telling ----------------------------------------------------------------------------------------- */

/* {Ref, join | leave, Group, [Pid]} to all that watch the scope or the group. */
static void tell_watches(struct pg_group *g, struct origin *o, uint64_t pid, bool join)
{
    const struct pg_watch *lists[2] = { g->scope->watches, g->watches };
    term group, pids, what = join ? atom_from_cstr("join") : atom_from_cstr("leave");
    struct heap bag;

    if (lists[0] == NULL && lists[1] == NULL)
        return;
    heap_bag_init(&bag);
    group = share_decode(&bag, g->name, g->len);
    pids = share_pid(&bag, o, pid);
    for (int k = 0; k < 2 && group != TERM_NONE && pids != TERM_NONE; k++)
        for (const struct pg_watch *w = lists[k]; w != NULL; w = w->next)
            (void)process_send(NULL, imm_make(IMM_PID, w->pid),
                               heap_tuple4(&bag, w->ref, what, group,
                                           heap_cons(&bag, pids, TERM_NIL)));
    heap_fini(&bag);
}

struct telling { const char *scope; struct share_row row; };

static void tell_sub(struct share_sub *sub, void *arg)
{
    const struct telling *t = arg;

    if (strcmp(sub->name, t->scope) == 0)
        share_row_to(sub, &t->row);
}

static void tell_peers(struct pg_group *g, uint64_t pid, bool gone)
{
    struct telling t = { atom_text(g->scope->name, NULL),
                         { .pid = pid, .name = { g->name, g->len }, .gone = gone } };

    share_subs(SHARE_PG, tell_sub, &t);
}

/* --- scopes ------------------------------------------------------------------------------------------ */

static struct pg_scope *scope_find(term name)
{
    struct pg_scope *s = scopes;

    while (s != NULL && s->name != name)
        s = s->next;
    return s;
}

static struct pg_scope *scope_find_text(const char *name)
{
    struct pg_scope *s = scopes;

    while (s != NULL && strcmp(atom_text(s->name, NULL), name) != 0)
        s = s->next;
    return s;
}

static void scope_begin(term name, uint64_t pid)
{
    struct pg_scope *s = MEM_NEW(struct pg_scope);

    *s = (struct pg_scope){ .next = scopes, .name = name, .pid = pid, .cap = 16 };
    s->buckets = MEM_NEW_ARRAY(struct pg_group *, s->cap);
    scopes = s;
    share_want(SHARE_PG, atom_text(name, NULL), NULL, s);
}

static void watches_free(struct pg_watch *w)
{
    while (w != NULL) {
        struct pg_watch *next = w->next;

        share_untrack(w->pid);
        mem_free(w);
        w = next;
    }
}

static void scope_end(struct pg_scope *s)
{
    struct pg_scope **at = &scopes;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    share_want_end(SHARE_PG, s);
    for (uint32_t i = 0; i < s->cap; i++)
        while (s->buckets[i] != NULL) {
            struct pg_group *g = s->buckets[i];

            s->buckets[i] = g->next;
            for (uint32_t k = 0; k < g->n; k++)
                if (g->rows[k].origin == NULL) {
                    tell_peers(g, g->rows[k].pid, true);
                    share_untrack(g->rows[k].pid);
                }
            watches_free(g->watches);
            mem_free(g->rows);
            mem_free(g);
        }
    watches_free(s->watches);
    mem_free(s->buckets);
    mem_free(s);
}

/* --- what share.c tells us --------------------------------------------------------------------------- */

static void on_snapshot(struct share_sub *sub)
{
    struct pg_scope *s = scope_find_text(sub->name);

    for (uint32_t i = 0; s != NULL && i < s->cap; i++)
        for (struct pg_group *g = s->buckets[i]; g != NULL; g = g->next)
            for (uint32_t k = 0; k < g->n; k++)
                if (g->rows[k].origin == NULL)
                    share_row_to(sub, &(struct share_row){ .pid = g->rows[k].pid,
                                                           .name = { g->name, g->len } });
}

static void on_row(void *topic, struct origin *o, const struct share_row *row)
{
    struct pg_scope *s = topic;
    struct pg_group *g;

    if (row->name.len == 0 || row->name.len > GROUP_BYTES_MAX)
        return;
    if (!row->gone) {
        g = group_get(s, row->name.data, row->name.len);
        if (g->n < ROWS_PER_ORIGIN) {
            row_add(g, o, row->pid);
            tell_watches(g, o, row->pid, true);
        }
        return;
    }
    g = group_find(s, row->name.data, row->name.len);
    if (g == NULL || !row_remove(g, o, row->pid))
        return;
    tell_watches(g, o, row->pid, false);
    group_drop_if_empty(g);
}

/* All rows of g that are o's, or, with o NULL, those of pid. */
static void remove_rows(struct pg_group *g, struct origin *o, uint64_t pid)
{
    for (uint32_t i = 0; i < g->n;) {
        struct pg_row row = g->rows[i];

        if (row.origin != o || (o == NULL && row.pid != pid)) {
            i++;
            continue;
        }
        memmove(&g->rows[i], &g->rows[i + 1], (--g->n - i) * sizeof(g->rows[0]));
        if (o == NULL) {
            g->local_n--;
            tell_peers(g, pid, true);
            share_untrack(pid);
        }
        tell_watches(g, o, row.pid, false);
    }
}

static void remove_everywhere(struct pg_scope *s, struct origin *o, uint64_t pid)
{
    for (uint32_t i = 0; i < s->cap; i++)
        for (struct pg_group *g = s->buckets[i], *next; g != NULL; g = next) {
            next = g->next;
            remove_rows(g, o, pid);
            group_drop_if_empty(g);
        }
}

static void on_lost(struct origin *o)
{
    for (struct pg_scope *s = scopes; s != NULL; s = s->next)
        remove_everywhere(s, o, 0);
}

/* Remove the watches of pid, or, with ref, that one. How many. */
static unsigned remove_watches(struct pg_watch **list, uint64_t pid, term ref)
{
    unsigned n = 0;

    while (*list != NULL) {
        struct pg_watch *w = *list;

        if (ref != TERM_NONE ? w->ref != ref : w->pid != pid) {
            list = &w->next;
            continue;
        }
        *list = w->next;
        share_untrack(w->pid);
        mem_free(w);
        n++;
    }
    return n;
}

static unsigned scope_unwatch(struct pg_scope *s, uint64_t pid, term ref)
{
    unsigned n = remove_watches(&s->watches, pid, ref);

    for (uint32_t i = 0; i < s->cap; i++)
        for (struct pg_group *g = s->buckets[i], *next; g != NULL; g = next) {
            next = g->next;
            n += remove_watches(&g->watches, pid, ref);
            group_drop_if_empty(g);
        }
    return n;
}

static void on_exited(uint64_t pid)
{
    for (struct pg_scope *s = scopes, *next; s != NULL; s = next) {
        next = s->next;
        scope_unwatch(s, pid, TERM_NONE);
        remove_everywhere(s, NULL, pid);
        if (s->pid == pid) {
            scope_end(s);
            share_untrack(pid);
        }
    }
}

/* --- starting ---------------------------------------------------------------------------------------- */

/* What a scope's process runs: it takes its messages and drops them. */
static const char scope_text[] =
    "module rnode_pg\n"
    "export loop/0\n"
    "function loop/0\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    jump @next\n"
    "  idle:\n"
    "    wait @next\n";

static term default_scope(void)
{
    return atom_from_cstr("pg");
}

static term already_started(struct process *p, term pid)
{
    return heap_tuple2(&p->heap, ATOM_error,
                       heap_tuple2(&p->heap, atom_from_cstr("already_started"), pid));
}

static term start_scope(struct process *p, term name, unsigned flags)
{
    struct spawn_options opt = { .flags = flags, .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE };
    term pid = registry_whereis(name);
    bool alive;

    if (!is_atom(name) || name == ATOM_undefined)
        return bif_badarg(p);
    if (pid != TERM_NONE)
        return already_started(p, pid);
    pid = process_spawn_mfa(p, atom_from_cstr("rnode_pg"), ATOM_loop, TERM_NIL, &opt, NULL);
    if (pid == TERM_NONE)
        return bif_error(p, atom_from_cstr("system_limit"));
    if (!registry_add(name, pid)) {
        struct process *late = process_lookup(pid);     /* somebody else was faster */

        if (late != NULL)
            signal_post(late, SIG_EXIT, p->pid, TERM_NONE, ATOM_kill);
        return already_started(p, registry_whereis(name));
    }
    pthread_rwlock_wrlock(&share_lock);
    alive = share_track(imm_payload(pid));
    if (alive)
        scope_begin(name, imm_payload(pid));
    pthread_rwlock_unlock(&share_lock);
    return heap_tuple2(&p->heap, ATOM_ok, pid);
}

static term bif_pg_start(struct process *p, const term *a)
{
    return start_scope(p, a[0], 0);
}

static term bif_pg_start_link_0(struct process *p, const term *a)
{
    return start_scope(p, default_scope(), SPAWN_LINK);
}

static term bif_pg_start_link_1(struct process *p, const term *a)
{
    return start_scope(p, a[0], SPAWN_LINK);
}

/* --- joining and leaving ------------------------------------------------------------------------------ */

/* exit with {noproc, {pg, Function, Args}}, as a call of a server that is not there. */
static term no_scope(struct process *p)
{
    return bif_raise(p, ATOM_exit, heap_tuple2(&p->heap, ATOM_noproc, default_scope()));
}

/* A pid of ours or a list of such; else an error {nolocal, Pid} or badarg. 0: fine. */
static bool check_pids(struct process *p, term pids, term *ret_failure)
{
    term one = pids;
    bool list = is_cons(pids);

    for (; list ? is_cons(pids) : pids != TERM_NONE; pids = list ? cdr(pids) : TERM_NONE) {
        one = list ? car(pids) : pids;
        if (is_local_pid(one))
            continue;
        *ret_failure = is_pid(one) ? bif_error2(p, atom_from_cstr("nolocal"), one) : bif_badarg(p);
        return false;
    }
    return true;
}

static void join_one(struct pg_scope *s, const struct buf *name, uint64_t pid)
{
    struct pg_group *g;

    if (!share_track(pid))
        return;                     /* it has ended; it would have left at once */
    g = group_get(s, name->data, name->len);
    row_add(g, NULL, pid);
    tell_watches(g, NULL, pid, true);
    tell_peers(g, pid, false);
}

static bool leave_one(struct pg_scope *s, const struct buf *name, uint64_t pid)
{
    struct pg_group *g = group_find(s, name->data, name->len);

    if (g == NULL || !row_remove(g, NULL, pid))
        return false;
    share_untrack(pid);
    tell_watches(g, NULL, pid, false);
    tell_peers(g, pid, true);
    group_drop_if_empty(g);
    return true;
}

static term join_or_leave(struct process *p, term scope, term group, term pids, bool join)
{
    struct buf name = { 0 };
    struct pg_scope *s;
    bool left = false;
    term failure;

    if (!check_pids(p, pids, &failure))
        return failure;
    share_encode(&name, group);
    if (name.len > GROUP_BYTES_MAX) {
        buf_fini(&name);
        return bif_badarg(p);
    }
    pthread_rwlock_wrlock(&share_lock);
    s = scope_find(scope);
    for (term t = pids; s != NULL && t != TERM_NONE && !is_nil(t);
         t = is_cons(t) ? cdr(t) : TERM_NONE) {
        uint64_t pid = imm_payload(is_cons(t) ? car(t) : t);

        if (join)
            join_one(s, &name, pid);
        else
            left |= leave_one(s, &name, pid);
        charge(p, 2);
    }
    pthread_rwlock_unlock(&share_lock);
    buf_fini(&name);
    if (s == NULL)
        return no_scope(p);
    return join || left ? ATOM_ok : atom_from_cstr("not_joined");
}

static term bif_pg_join_2(struct process *p, const term *a)
{
    return join_or_leave(p, default_scope(), a[0], a[1], true);
}

static term bif_pg_join_3(struct process *p, const term *a)
{
    return join_or_leave(p, a[0], a[1], a[2], true);
}

static term bif_pg_leave_2(struct process *p, const term *a)
{
    return join_or_leave(p, default_scope(), a[0], a[1], false);
}

static term bif_pg_leave_3(struct process *p, const term *a)
{
    return join_or_leave(p, a[0], a[1], a[2], false);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static term members_of(struct heap *h, const struct pg_group *g, bool local_only)
{
    term list = TERM_NIL;

    for (uint32_t i = g == NULL ? 0 : g->n; i-- > 0;) {
        term pid;

        if (local_only && g->rows[i].origin != NULL)
            continue;
        pid = share_pid(h, g->rows[i].origin, g->rows[i].pid);
        if (pid != TERM_NONE)
            list = heap_cons(h, pid, list);
    }
    return list;
}

static term get_members(struct process *p, term scope, term group, bool local_only)
{
    struct buf name = { 0 };
    struct pg_scope *s;
    term list = TERM_NIL;

    share_encode(&name, group);
    pthread_rwlock_rdlock(&share_lock);
    s = scope_find(scope);
    if (s != NULL) {
        struct pg_group *g = group_find(s, name.data, name.len);

        list = members_of(&p->heap, g, local_only);
        charge(p, g == NULL ? 1 : g->n / 8);
    }
    pthread_rwlock_unlock(&share_lock);
    buf_fini(&name);
    return list;                    /* of a scope that is not there: as OTP does */
}

static term bif_pg_get_members_1(struct process *p, const term *a)
{
    return get_members(p, default_scope(), a[0], false);
}

static term bif_pg_get_members_2(struct process *p, const term *a)
{
    return get_members(p, a[0], a[1], false);
}

static term bif_pg_get_local_members_1(struct process *p, const term *a)
{
    return get_members(p, default_scope(), a[0], true);
}

static term bif_pg_get_local_members_2(struct process *p, const term *a)
{
    return get_members(p, a[0], a[1], true);
}

static term which_groups(struct process *p, term scope, bool local_only)
{
    struct pg_scope *s;
    term list = TERM_NIL;

    pthread_rwlock_rdlock(&share_lock);
    s = scope_find(scope);
    for (uint32_t i = 0; s != NULL && i < s->cap; i++)
        for (const struct pg_group *g = s->buckets[i]; g != NULL; g = g->next) {
            term group = (local_only ? g->local_n : g->n) == 0
                             ? TERM_NONE : share_decode(&p->heap, g->name, g->len);

            if (group != TERM_NONE)
                list = heap_cons(&p->heap, group, list);
        }
    pthread_rwlock_unlock(&share_lock);
    return s != NULL ? list : bif_badarg(p);
}

static term bif_pg_which_groups_0(struct process *p, const term *a)
{
    return which_groups(p, default_scope(), false);
}

static term bif_pg_which_groups_1(struct process *p, const term *a)
{
    return which_groups(p, a[0], false);
}

static term bif_pg_which_local_groups_0(struct process *p, const term *a)
{
    return which_groups(p, default_scope(), true);
}

static term bif_pg_which_local_groups_1(struct process *p, const term *a)
{
    return which_groups(p, a[0], true);
}

/* --- watching ----------------------------------------------------------------------------------------- */

static void watch_add(struct pg_watch **list, struct process *p, term ref)
{
    struct pg_watch *w = MEM_NEW(struct pg_watch);
    bool alive = share_track(imm_payload(p->pid));

    ASSERT(alive);                  /* it is the one that runs */
    *w = (struct pg_watch){ *list, imm_payload(p->pid), ref };
    *list = w;
}

static term groups_map(struct heap *h, struct pg_scope *s)
{
    term map = map_empty(h);

    for (uint32_t i = 0; i < s->cap; i++)
        for (const struct pg_group *g = s->buckets[i]; g != NULL; g = g->next) {
            term group = g->n == 0 ? TERM_NONE : share_decode(h, g->name, g->len);

            if (group != TERM_NONE)
                map = map_put(h, map, group, members_of(h, g, false));
        }
    return map;
}

static term monitor_scope(struct process *p, term scope)
{
    term ref = make_ref(p->sched), map = TERM_NONE;
    struct pg_scope *s;

    pthread_rwlock_wrlock(&share_lock);
    s = scope_find(scope);
    if (s != NULL) {
        watch_add(&s->watches, p, ref);
        map = groups_map(&p->heap, s);
    }
    pthread_rwlock_unlock(&share_lock);
    return s != NULL ? heap_tuple2(&p->heap, ref, map) : no_scope(p);
}

static term bif_pg_monitor_scope_0(struct process *p, const term *a)
{
    return monitor_scope(p, default_scope());
}

static term bif_pg_monitor_scope_1(struct process *p, const term *a)
{
    return monitor_scope(p, a[0]);
}

static term monitor_group(struct process *p, term scope, term group)
{
    term ref = make_ref(p->sched), members = TERM_NIL;
    struct buf name = { 0 };
    struct pg_scope *s;

    share_encode(&name, group);
    pthread_rwlock_wrlock(&share_lock);
    s = name.len <= GROUP_BYTES_MAX ? scope_find(scope) : NULL;
    if (s != NULL) {
        struct pg_group *g = group_get(s, name.data, name.len);

        watch_add(&g->watches, p, ref);
        members = members_of(&p->heap, g, false);
    }
    pthread_rwlock_unlock(&share_lock);
    buf_fini(&name);
    return s != NULL ? heap_tuple2(&p->heap, ref, members) : no_scope(p);
}

static term bif_pg_monitor_1(struct process *p, const term *a)
{
    return monitor_group(p, default_scope(), a[0]);
}

static term bif_pg_monitor_2(struct process *p, const term *a)
{
    return monitor_group(p, a[0], a[1]);
}

static term demonitor(struct process *p, term scope, term ref)
{
    struct pg_scope *s;
    unsigned n = 0;

    if (!is_ref(ref))
        return bif_badarg(p);
    pthread_rwlock_wrlock(&share_lock);
    s = scope_find(scope);
    if (s != NULL)
        n = scope_unwatch(s, 0, ref);
    pthread_rwlock_unlock(&share_lock);
    if (s == NULL)
        return no_scope(p);
    return n > 0 ? ATOM_ok : ATOM_false;
}

static term bif_pg_demonitor_1(struct process *p, const term *a)
{
    return demonitor(p, default_scope(), a[0]);
}

static term bif_pg_demonitor_2(struct process *p, const term *a)
{
    return demonitor(p, a[0], a[1]);
}

/* --- plugging ------------------------------------------------------------------------------------------ */

void pg_init(void)
{
    static const struct share_user user = { .snapshot = on_snapshot, .row = on_row,
                                            .lost = on_lost, .exited = on_exited };
    static const struct bif table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#include "dist/pg.tab"
#undef BIF
    };

    share_use(SHARE_PG, &user);
    bif_register(table, ARRAY_LEN(table));
}

void pg_start(void)
{
    struct load_error why;
    struct prepared *prepared;
    term busy = TERM_NONE;
    int rc = code_prepare_text(scope_text, sizeof(scope_text) - 1, "pg", atom_from_cstr("rnode_pg"),
                               &prepared, &why);

    if (rc == 0)
        rc = code_commit(&prepared, 1, &busy);
    ASSERT(rc == 0);
}
