/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deploy.h - which modules this node runs, and which it ran before
 *
 * A deployment is a complete list of modules with the digests of their files; its id counts up.
 * The files lie in FOLDER/code/DIGEST.beam, the lists in the store. All functions: one thread at a
 * time (the control server's worker, or the main thread before the server starts), except
 * deploy_describe_live and deploy_of_module, which any thread may call.
 */
#ifndef CTL_DEPLOY_H
#define CTL_DEPLOY_H

#include "base/bytes.h"
#include "term/term.h"

struct store;

struct deploy_module {
    char *name, *digest;        /* owned */
    char *md5;                  /* owned; of the loaded code, for people */
};

struct deployment {
    uint32_t id;                /* shown as d41 */
    int64_t  time_ns;
    char    *user, *message;    /* owned */
    char    *signer;            /* owned: letters of the node that signed it; "": a rollback, or old */
    int64_t  made_at_us;        /* of the newest manifest so far: older ones are refused */
    char    *state;             /* owned: live, replaced, rolled back */
    uint32_t changed;           /* modules that were switched by it */
    struct deploy_module *modules;  /* owned; sorted by name */
    size_t   nmodules;
};
void deployment_fini(struct deployment *d);

/* Open or make FOLDER/code and read the live list from st, which must stay open. sync: files are
 * on the disk before a list names them. */
MUST_CHECK int deploy_open(const char *folder, struct store *st, bool sync);

/* Load the live deployment again; what cannot be loaded is logged and left out. */
void deploy_restore(void);

/* Copy of the live deployment; id 0 and no modules when nothing was deployed yet. */
void deploy_live(struct deployment *ret);
/* Deployment id from the store. -ERR_NOT_FOUND. */
MUST_CHECK int deploy_get(uint32_t id, struct deployment *ret);
/* Newest first, until visit returns false. d is lent. */
MUST_CHECK int deploy_history(bool (*visit)(void *arg, const struct deployment *d), void *arg);

/* Keep the file under its digest. ret_digest has room for DIGEST_TEXT. -ERR_SYSTEM with errno. */
MUST_CHECK int deploy_keep_file(const void *data, size_t len, char *ret_digest);
/* The signed manifest of deployment id. -ERR_NOT_FOUND: it has none. */
MUST_CHECK int deploy_manifest(uint32_t id, struct buf *out);
/* The kept file of that digest, checked against it. -ERR_NOT_FOUND, -ERR_FORMAT: damaged. */
MUST_CHECK int deploy_read_file(const char *digest, struct buf *out);

/* Record d as the live deployment: gives it an id and the time; the one before becomes old_state.
 * Deployments beyond `keep` are forgotten with the files only they need. Takes over copies. manifest
 * (NULL: none) is kept with it. */
MUST_CHECK int deploy_record(struct deployment *d, const struct buf *manifest, const char *old_state,
                             size_t keep);

/* "d41 "fix cart rounding" by ana, 2 h ago", or "nothing deployed yet". */
void deploy_describe_live(struct buf *out);
/* Milliseconds since the live deployment became so; 0 when there is none. Any thread. */
int64_t deploy_live_age_ms(void);
/* Id of the live deployment when it has that module: "d41", else "". */
void deploy_of_module(const char *module, struct buf *out);

#endif
