/* SPDX-License-Identifier: Apache-2.0 */
/*
 * versions.h - old versions of values, with the time of their commit
 *
 * What is written with store_batch_version leaves its value in the database `versions` too, under
 * key + time; the first VERSION_GROUP bytes of such keys say whose they are. Times are nanoseconds
 * since 1970 and strictly rise from batch to batch, whatever the clock does, also over restarts. A
 * second database, `ended`, lists the versions of each group by the time at which they were followed
 * by another (or, for deletions, made): retention takes from its front, so its cost is that of what
 * it removes.
 */
#ifndef STORE_VERSIONS_H
#define STORE_VERSIONS_H

#include "store/store.h"

#define VERSION_GROUP 4

/* Versions of this group that ended more than keep_ns ago are removed in the background. 0: keep
 * all, as for groups of which nothing is said. */
void versions_keep(struct store *st, const uint8_t group[VERSION_GROUP], int64_t keep_ns);

/* Visit the versions of key with from <= time <= to, oldest first; the one that was valid at from
 * comes first even if it is older. value NULL: deleted then. */
typedef bool version_fn(void *arg, const void *key, size_t key_len, int64_t time_ns,
                        const void *value, size_t len);
MUST_CHECK int versions_of(struct store *st, const void *key, size_t key_len, int64_t from,
                           int64_t to, version_fn *visit, void *arg);
/* Visit, for each key that begins with prefix and is > after (NULL: from the first), the version
 * valid at time; keys that had no value then are left out. */
MUST_CHECK int versions_at(struct store *st, const void *prefix, size_t prefix_len,
                           const void *after, size_t after_len, int64_t time, version_fn *visit,
                           void *arg);
/* No version has a later time. */
int64_t versions_now(struct store *st);

#endif
