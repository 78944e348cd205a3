/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_api.h - what the control server needs to know of the node that contains it
 *
 * Filled by node/ (or by a test) before server_start. Functions are called on the control thread.
 */
#ifndef CTL_NODE_API_H
#define CTL_NODE_API_H

#include "ctl/request.h"

#include <sys/types.h>

struct node_api {
    const char *name;               /* [set] */
    const char *version;            /* [set] */
    const char *data_dir;           /* [set] */
    const char *socket;             /* [set] path of the control socket */
    int64_t start_ns;               /* [set] monotonic */
    bool dev;                       /* [set] */
    char env[64];                   /* [loop] the label env, or nothing: shown in prompts */

    struct request_limits limits;   /* [loop] */
    size_t connections_max;         /* [loop] */
    const char *const *role_users[ROLE_COUNT];  /* [loop] users and @groups, NULL-terminated */

    /* Where the observer page is, with a token for one login of user in this role; the caller's. NULL:
     * no page is served. Any thread. */
    char *(*page_address)(enum role role, const char *user);
    /* /readyz says no while draining; new work should go elsewhere. Control thread. */
    void (*drain)(bool on);
    bool draining;                  /* [loop] */
    /* A picture of the last seconds of a series (SVG); false: no such series, and out lists those
     * there are, one a line. Any thread. */
    bool (*plot)(const char *series, unsigned seconds, bool dark, struct buf *out);
    /* What /readyz says: false, and in words what is missing, each behind " · ". Any thread. */
    bool (*ready)(struct buf *out);
    /* The configuration in force, as rnoded --print-config shows it. Control thread. */
    void (*config)(struct buf *out);
    void (*stop)(bool now);
    /* Read the configuration again. Complaints, or what changed, are appended to out. */
    int (*reload)(struct buf *out);
};

extern struct node_api node_api;

#endif
