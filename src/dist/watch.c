/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - watchers: sessions that lead nowhere
 *
 * Their numbers are the first ones, which no session gets (session.c).
 */
#include "dist/watch.h"

#include "dist/dist_priv.h"

static void (*watchers[WATCHERS_MAX + 1])(uint64_t id);     /* [set] from 1 */
static uint32_t watchers_n;                                 /* before vm_start */

uint32_t watcher_add(void (*ended)(uint64_t id))
{
    ASSERT(watchers_n < WATCHERS_MAX);
    watchers[++watchers_n] = ended;
    return watchers_n;
}

void watcher_signal(const struct remote_signal *s)
{
    if (s->op == REMOTE_DOWN)
        watchers[s->session](imm_payload(s->ref));
}

void watch_process(uint32_t watcher, uint64_t id, term pid)
{
    struct process *p = is_local_pid(pid) ? process_lookup(pid) : NULL;
    term ref = imm_make(IMM_REF, id);

    if (p != NULL)
        signal_post_remote(p, SIG_MONITOR, watcher, imm_make(IMM_REMOTE, 0), ref, TERM_NONE);
    else
        watchers[watcher](id);
}

void watch_cancel(uint32_t watcher, uint64_t id, term pid)
{
    struct process *p = is_local_pid(pid) ? process_lookup(pid) : NULL;

    if (p != NULL)
        signal_post_remote(p, SIG_DEMONITOR, watcher, imm_make(IMM_REMOTE, 0),
                           imm_make(IMM_REF, id), TERM_NONE);
}
