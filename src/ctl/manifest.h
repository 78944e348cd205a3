/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - what a deployment consists of, signed by the node that orders it
 *
 * A manifest names every module with the digest of its file, the nodes it is for, who ordered it and
 * when. The node at which that person works signs it (CodeOffer of rn.proto); every node checks it
 * before it loads anything, and keeps it with the deployment. So what is activated is what was
 * checked, whoever carried it; an order cannot be carried to other nodes, nor be repeated once
 * something newer runs.
 */
#ifndef CTL_MANIFEST_H
#define CTL_MANIFEST_H

#include "auth/digest.h"
#include "auth/identity.h"
#include "base/bytes.h"

#define MANIFEST_FILE    "MANIFEST"     /* its name among the files of a request */

struct manifest_module { const char *name; char digest[DIGEST_TEXT]; };

struct manifest {
    char signer[NODE_LETTERS];          /* the node that signed */
    char *user, *message, *target;      /* owned; target: names of nodes with commas */
    int64_t made_at_us;                 /* system clock of the signer */
    struct manifest_module *modules;    /* owned, with the names */
    size_t n;
};
void manifest_fini(struct manifest *m);

/* Append the packed offer: modules[0..n) for target, made now and signed by this identity. */
void manifest_make(struct identity *by, const struct manifest_module *modules, size_t n,
                   const char *user, const char *message, const char *target, struct buf *out);
/* Read an offer and check all but its modules: form, signature, that the signer may deploy here, the
 * cluster, that this node is a target, and that it is newer than after_us and not of the future. NULL:
 * good, and *ret is the caller's; else why not, in words. */
const char *manifest_check(const void *data, size_t len, int64_t after_us, struct manifest *ret);
/* The digest of a module, or NULL. */
const char *manifest_digest(const struct manifest *m, const char *module);

#endif
