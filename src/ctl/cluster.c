/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - members and flocks, as this node sees them
 */
#include "ctl/inspect_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/units.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/node_api.h"
#include "ctl/view.h"
#include "dist/flock.h"
#include "dist/membership.h"
#include "dist/peer_ring.h"
#include "vm/process_priv.h"

#include <stdio.h>
#include "term/term.h"

#define COLS(a) (a), sizeof(a) / sizeof((a)[0])

struct rows { struct request *rq; size_t shown, total, limit; };

static void end_rows(struct rows *r, const char *what)
{
    if (r->shown < r->total)
        reply_done(r->rq, r->total - r->shown, r->total, "%zu of %zu %s · all: -l 0", r->shown,
                   r->total, what);
    else
        reply_done(r->rq, 0, r->total, "%s", "");
}

static void row(struct rows *r, const struct cell *cells, size_t n)
{
    if (r->total++ < r->limit) {
        reply_row(r->rq, cells, n);
        r->shown++;
    }
}

static void flock_row(void *arg, const struct flock_info *f)
{
    struct rows *r = arg;
    struct buf pattern = { 0 };

    pattern_text(&pattern, f->pattern);
    row(r, (struct cell[]){ CELL_TEXT(f->name), CELL_NUMBER(f->members), CELL_NUMBER(f->nodes),
                            CELL_TEXT(f->origin), CELL_TEXT(buf_cstr(&pattern)) }, 5);
    buf_fini(&pattern);
}

static void member_head(struct rows *r)
{
    static const struct column cols[] = {
        { "node", COL_TEXT, false }, { "pid", COL_TEXT, false }, { "attributes", COL_TEXT, false },
    };

    if (r->total == 0)
        reply_head(r->rq, "rnode.flock/1", COLS(cols), false);
}

static void member_row(void *arg, const struct flock_member_info *m)
{
    struct rows *r = arg;
    struct buf pid = { 0 };

    member_head(r);
    view_pid(&pid, imm_make(IMM_PID, m->pid));
    row(r, (struct cell[]){ CELL_TEXT(m->node[0] != 0 ? m->node : peer_self.name), CELL_TEXT(buf_cstr(&pid)),
                            CELL_TEXT(m->attrs) }, 3);
    buf_fini(&pid);
}

void ctl_flocks(struct request *rq)
{
    static const struct column flock_cols[] = {
        { "name", COL_TEXT, false }, { "members", COL_COUNT_, false }, { "nodes", COL_COUNT_, false },
        { "from", COL_TEXT, false }, { "pattern", COL_TEXT, false },
    };
    struct rows r = { .rq = rq, .limit = rq->msg->limit != 0 ? rq->msg->limit : SIZE_MAX };

    if (rq->msg->n_args == 0) {
        reply_head(rq, "rnode.flocks/1", COLS(flock_cols), false);
        flock_visit(flock_row, &r);
        end_rows(&r, "flocks");
        return;
    }
    if (!flock_visit_members(request_arg(rq, 0), member_row, &r)) {
        reply_error(rq, EXIT_NO, "RN0119", NULL, NULL, "no flock is called %s",
                    request_arg(rq, 0));
        return;
    }
    member_head(&r);
    end_rows(&r, "members");
}

/* --- nodes ---------------------------------------------------------------------------------------- */

/* Which flocks the nodes are in: "workers edge" by name of the node; "" is this one. */
struct flock_of { struct flock_of *next; char *node; struct buf flocks; };
struct node_flocks { struct flock_of *first; const char *flock; char *names[FLOCKS_MAX]; size_t n; };

static void node_of_flock(void *arg, const struct flock_member_info *m)
{
    struct node_flocks *nf = arg;
    struct flock_of *f = nf->first;

    if (strncmp(m->attrs, "kind=node", 9) != 0)
        return;
    while (f != NULL && strcmp(f->node, m->node) != 0)
        f = f->next;
    if (f == NULL) {
        f = MEM_NEW(struct flock_of);
        f->node = mem_strdup(m->node);
        f->next = nf->first;
        nf->first = f;
    }
    buf_printf(&f->flocks, "%s%s", f->flocks.len > 0 ? " " : "", nf->flock);
}

static void name_of_flock(void *arg, const struct flock_info *f)
{
    struct node_flocks *nf = arg;

    if (f->nodes > 0 && nf->n < FLOCKS_MAX)
        nf->names[nf->n++] = mem_strdup(f->name);
}

static void node_flocks_init(struct node_flocks *nf)
{
    *nf = (struct node_flocks){ 0 };
    flock_visit(name_of_flock, nf);
    for (size_t i = 0; i < nf->n; i++) {
        nf->flock = nf->names[i];
        (void)flock_visit_members(nf->names[i], node_of_flock, nf);
        mem_free(nf->names[i]);
    }
}

static void node_flocks_fini(struct node_flocks *nf)
{
    while (nf->first != NULL) {
        struct flock_of *f = nf->first;

        nf->first = f->next;
        buf_fini(&f->flocks);
        mem_free(f->node);
        mem_free(f);
    }
}

static const char *flocks_of(const struct node_flocks *nf, const char *node)
{
    for (struct flock_of *f = nf->first; f != NULL; f = f->next)
        if (strcmp(f->node, node) == 0)
            return buf_cstr(&f->flocks);
    return "-";
}

static const struct column node_cols[] = {
    { "node", COL_TEXT, false }, { "id", COL_TEXT, false }, { "state", COL_TEXT, false },
    { "rtt", COL_NS, false }, { "version", COL_TEXT, false }, { "procs", COL_COUNT_, false },
    { "busy", COL_TEXT, false }, { "flocks", COL_TEXT, false }, { "address", COL_TEXT, false },
    { "labels", COL_TEXT, true }, { "note", COL_TEXT, false },
};

#define UNKNOWN ((struct cell){ "-", 0 })

/* What we have of one node; peer and member may be NULL. */
struct node_view {
    const char *name;
    uint64_t nid;
    const struct cluster_member *member;
    const struct peer_info *peer;
};

static const char *state_of(const struct node_view *n)
{
    bool session = n->peer != NULL && (n->peer->state == PEER_UP || n->peer->state == PEER_SUSPECT);

    if (n->member != NULL && n->member->self)
        return "up";
    if (session && n->peer->state == PEER_SUSPECT)
        return "suspect";
    if (n->member == NULL)
        return session ? "up" : "down";
    switch (n->member->state) {
    case MEMBER_ALIVE:
        return "up";
    case MEMBER_SUSPECT:
        return session ? "up" : "suspect";      /* own evidence beats rumours */
    case MEMBER_LEFT:
        return "left";
    default:
        return "down";
    }
}

static void note_of(const struct node_view *n, char *out, size_t max)
{
    int64_t now = clock_monotonic_ns();

    *out = 0;
    if (n->peer != NULL && n->peer->state == PEER_SUSPECT)
        snprintf(out, max, "silent for %lld s",
                 (long long)((now - n->peer->last_heard_ns) / 1000000000));
    else if (n->peer != NULL && n->peer->degraded)
        snprintf(out, max, "its schedulers stand still");
    else if (n->member != NULL && n->member->self)
        snprintf(out, max, "this node");
    else if (n->member == NULL)
        snprintf(out, max, "admitted, not seen since this node started");
    else if (n->member->state != MEMBER_ALIVE)
        snprintf(out, max, "for %lld s", (long long)((now - n->member->since_ns) / 1000000000));
}

static void node_row(struct rows *r, const struct node_view *n, const struct node_flocks *nf)
{
    bool self = n->member != NULL && n->member->self;
    char letters[NODE_LETTERS], addr[NET_ADDR_TEXT] = "-", busy[16] = "-";
    char note[64];
    struct member_about about = { 0 };
    uint32_t rtt_us = 0;

    if (n->member != NULL) {
        membership_about(n->member, &about);
        net_addr_text(&n->member->addr, addr);
        rtt_us = n->member->rtt_us;
        if (n->member->load_at_ns != 0)
            snprintf(busy, sizeof(busy), "%u%%", n->member->load / 100);
    }
    if (n->peer != NULL && n->peer->rtt_us != 0)
        rtt_us = n->peer->rtt_us;
    note_of(n, note, sizeof(note));
    row(r, (struct cell[]){
        CELL_TEXT(n->name), CELL_TEXT(nid_letters(n->nid, letters)), CELL_TEXT(state_of(n)),
        rtt_us != 0 ? CELL_NUMBER(rtt_us * 1000ll) : UNKNOWN,
        CELL_TEXT(about.version[0] != 0 ? about.version : "-"),
        self ? CELL_NUMBER(process_count())
             : about.processes != 0 ? CELL_NUMBER(about.processes) : UNKNOWN,
        CELL_TEXT(busy), CELL_TEXT(flocks_of(nf, self ? "" : n->name)), CELL_TEXT(addr),
        CELL_TEXT(about.labels[0] != 0 ? about.labels : "-"), CELL_TEXT(note) }, 11);
}

struct ring_nodes { struct ring_member *at; size_t n, cap; };

static void collect_ring(void *arg, const struct ring_member *m)
{
    struct ring_nodes *all = arg;

    if (!ring_is_member(m) || memcmp(m->key, peer_self.key, NODE_KEY_BYTES) == 0)
        return;
    if (all->n == all->cap) {
        all->cap = all->cap == 0 ? 16 : 2 * all->cap;
        all->at = mem_realloc(all->at, all->cap * sizeof(all->at[0]));
    }
    all->at[all->n++] = *m;
}

static void one_node(struct rows *r, const struct cluster_snapshot *s, const char *name,
                     uint64_t nid, const struct node_flocks *nf)
{
    struct peer_info info;
    peer_id id = nid == peer_self.nid ? 0 : peer_by_nid(nid);
    struct node_view n = { .name = name, .nid = nid, .member = cluster_find(s, nid),
                           .peer = id != 0 && peer_info(id, &info) ? &info : NULL };

    node_row(r, &n, nf);
}

void ctl_nodes(struct request *rq)
{
    struct rows r = { .rq = rq, .limit = rq->msg->limit != 0 ? rq->msg->limit : SIZE_MAX };
    struct cluster *c = membership_cluster();
    struct ring_nodes ring = { 0 };
    struct node_flocks nf;

    reply_head(rq, "rnode.nodes/1", COLS(node_cols), false);
    if (c == NULL) {
        end_rows(&r, "nodes");
        return;
    }
    ring_visit(collect_ring, &ring);
    node_flocks_init(&nf);
    epoch_enter();
    const struct cluster_snapshot *s = cluster_snapshot(c);
    one_node(&r, s, peer_self.name, peer_self.nid, &nf);
    for (size_t i = 0; i < ring.n; i++)
        one_node(&r, s, ring.at[i].name, ring.at[i].nid, &nf);
    epoch_leave();
    end_rows(&r, "nodes");
    node_flocks_fini(&nf);
    mem_free(ring.at);
}

/* --- one node ------------------------------------------------------------------------------------- */

static const struct column one_cols[] = {
    { "node", COL_TEXT, false }, { "id", COL_TEXT, false }, { "state", COL_TEXT, false },
    { "note", COL_TEXT, false }, { "version", COL_TEXT, false }, { "address", COL_TEXT, false },
    { "rtt", COL_NS, false }, { "up", COL_TIME, false }, { "processes", COL_COUNT_, false },
    { "busy", COL_TEXT, false }, { "flocks", COL_TEXT, false }, { "labels", COL_TEXT, false },
    { "sent", COL_BYTES, false }, { "received", COL_BYTES, false }, { "queued", COL_BYTES, false },
    { "late_beats", COL_COUNT_, false }, { "clock_ahead", COL_NS, false },
};

static void reply_one_node(struct request *rq, const struct node_view *n, const char *flocks)
{
    static const struct peer_info none;
    const struct peer_info *p = n->peer != NULL ? n->peer : &none;
    bool self = n->nid == peer_self.nid;
    char letters[NODE_LETTERS], addr[NET_ADDR_TEXT] = "", busy[16] = "", note[64];
    struct member_about about = { 0 };
    uint32_t rtt_us = p->rtt_us != 0 ? p->rtt_us : n->member != NULL ? n->member->rtt_us : 0;

    if (n->member != NULL) {
        membership_about(n->member, &about);
        net_addr_text(&n->member->addr, addr);
        if (n->member->load_at_ns != 0)
            snprintf(busy, sizeof(busy), "%u%%", n->member->load / 100);
    }
    note_of(n, note, sizeof(note));
    reply_head(rq, "rnode.node/1", COLS(one_cols), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(n->name), CELL_TEXT(nid_letters(n->nid, letters)), CELL_TEXT(state_of(n)),
        CELL_TEXT(note), CELL_TEXT(self ? node_api.version : about.version), CELL_TEXT(addr),
        rtt_us != 0 ? CELL_NUMBER(rtt_us * 1000ll) : UNKNOWN, CELL_NUMBER(p->up_since_ns),
        self ? CELL_NUMBER(process_count())
             : about.processes != 0 ? CELL_NUMBER(about.processes) : UNKNOWN,
        CELL_TEXT(busy), CELL_TEXT(flocks), CELL_TEXT(about.labels), CELL_NUMBER(p->sent_bytes),
        CELL_NUMBER(p->received_bytes), CELL_NUMBER(p->queued_bytes), CELL_NUMBER(p->late_beats),
        p->skew_us != 0 ? CELL_NUMBER(p->skew_us * 1000) : UNKNOWN }, 17);
    reply_done(rq, 0, 0, "%s", "");
}

/* Its name, the part of it before the @, or its id in letters. */
static bool is_called(const char *what, const char *name, uint64_t nid)
{
    char letters[NODE_LETTERS];
    size_t n = strlen(what);

    return strcmp(name, what) == 0 || (strncmp(name, what, n) == 0 && name[n] == '@') ||
           strcmp(nid_letters(nid, letters), what) == 0;
}

bool inspect_node(struct request *rq, const char *what)
{
    struct cluster *c = membership_cluster();
    struct ring_nodes ring = { 0 };
    struct node_view n = { .name = NULL };
    struct peer_info info;
    struct node_flocks nf;
    peer_id id;

    ring_visit(collect_ring, &ring);
    if (is_called(what, peer_self.name, peer_self.nid))
        n = (struct node_view){ .name = peer_self.name, .nid = peer_self.nid };
    for (size_t i = 0; i < ring.n && n.name == NULL; i++) {
        if (is_called(what, ring.at[i].name, ring.at[i].nid))
            n = (struct node_view){ .name = ring.at[i].name, .nid = ring.at[i].nid };
    }
    if (n.name != NULL) {
        id = n.nid == peer_self.nid ? 0 : peer_by_nid(n.nid);
        n.peer = id != 0 && peer_info(id, &info) ? &info : NULL;
        node_flocks_init(&nf);
        epoch_enter();
        n.member = c != NULL ? cluster_find(cluster_snapshot(c), n.nid) : NULL;
        reply_one_node(rq, &n, flocks_of(&nf, n.nid == peer_self.nid ? "" : n.name));
        epoch_leave();
        node_flocks_fini(&nf);
    }
    mem_free(ring.at);
    return n.name != NULL;
}
