/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.c - start a process here, at another node, or at the node of a flock that has least to do
 *
 * At another node it is erpc:call(NODE, erlang, spawn, [M, F, Args]): so what the ring lets this node
 * do there decides, and a node that cannot be reached is told of.
 */
#include "ctl/act_priv.h"

#include "base/epoch.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/tunnel.h"
#include "ctl/view.h"
#include "dist/flock.h"
#include "dist/place.h"
#include "term/atom.h"
#include "vm/process.h"

#include <stdio.h>

#define FAR_SPAWN_MS 5000

static void spawn_here(struct request *rq, const struct parsed *p)
{
    static const struct column cols[] = { { "value", COL_TEXT, false } };
    struct spawn_options so = {
        .prio = PRIO_NORMAL, .group_leader = TERM_NONE, .monitor_opts = TERM_NONE,
    };
    struct buf text = { 0 };
    term pid;

    epoch_enter();
    pid = process_spawn_mfa(NULL, p->module, p->function, p->args, &so, NULL);
    epoch_leave();
    if (pid == TERM_NONE) {
        reply_error(rq, EXIT_TIMEOUT, "RN0304", NULL, NULL, "the table of processes is full");
        return;
    }
    view_pid(&text, pid);
    reply_head(rq, "rnode.call/1", cols, 1, true);
    reply_row(rq, (struct cell[]){ CELL_TEXT(buf_cstr(&text)) }, 1);
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&text);
}

static void spawn_there(struct request *rq, struct heap *bag, const struct parsed *p, const char *node)
{
    struct parsed call = { atom_from_cstr("erpc"), atom_from_cstr("call"), TERM_NIL };
    term spawn[] = { p->module, p->function, p->args }, args[5];

    args[0] = atom_from_cstr(node);
    args[1] = atom_from_cstr("erlang");
    args[2] = atom_from_cstr("spawn");
    args[3] = heap_list(bag, spawn, 3, TERM_NIL);
    args[4] = small_make(FAR_SPAWN_MS);
    call.args = heap_list(bag, args, 5, TERM_NIL);
    act_start(rq, &call, CALL_SPAWN);
}

/* --- which node of a flock ---------------------------------------------------------------- */

struct least { char node[NODE_NAME_MAX + 1]; uint32_t load; bool found; };

/* A node whose load is not known yet comes behind those whose is. */
static uint32_t load_of(const char *node)
{
    peer_id peer = node[0] != 0 ? peer_by_name(node, strlen(node)) : 0;
    struct peer_info info;

    if (node[0] == 0)
        return load_now();
    return peer != 0 && peer_info(peer, &info) && info.load_at_ns != 0 ? info.load : LOAD_MAX;
}

static void weigh(void *arg, const struct flock_member_info *m)
{
    struct least *l = arg;
    uint32_t load = load_of(m->node);

    if (strncmp(m->attrs, "kind=node", 9) != 0 || (l->found && load >= l->load))
        return;
    snprintf(l->node, sizeof l->node, "%s", m->node[0] != 0 ? m->node : peer_self.name);
    l->load = load;
    l->found = true;
}

/* The node that `on` means. False: the request has been answered. */
static bool find_node(struct request *rq, const char *on, char node[NODE_NAME_MAX + 1])
{
    struct least l = { .found = false };

    if (strncmp(on, "flock:", 6) != 0) {
        if (tunnel_node_name(on, node))
            return true;
        reply_error(rq, EXIT_NO, "RN0729", NULL, NULL, "no member is called %s", on);
    } else if (!flock_visit_members(on + 6, weigh, &l)) {
        reply_error(rq, EXIT_NO, "RN0119", NULL, NULL, "no flock is called %s", on + 6);
    } else if (!l.found) {
        reply_error(rq, EXIT_NO, "RN0120", NULL, NULL, "%s has no nodes", on);
    } else {
        snprintf(node, NODE_NAME_MAX + 1, "%s", l.node);
        return true;
    }
    return false;
}

void ctl_spawn(struct request *rq)
{
    const char *on = request_option(rq, "on");
    char node[NODE_NAME_MAX + 1] = "";
    struct heap bag;
    struct parsed p;

    if (on != NULL && !find_node(rq, on, node))
        return;
    heap_bag_init(&bag);
    if (act_read_call(rq, &bag, &p)) {
        if (rq->msg->dry_run)
            reply_done(rq, 0, 0, "would start %s:%s%s%s", atom_text(p.module, NULL),
                       atom_text(p.function, NULL), node[0] != 0 ? " on " : "", node);
        else if (node[0] == 0 || tunnel_is_here(node))
            spawn_here(rq, &p);
        else
            spawn_there(rq, &bag, &p, node);
    }
    heap_fini(&bag);
}
