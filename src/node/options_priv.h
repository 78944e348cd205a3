/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options_priv.h - sections with a title, for options.c
 */
#ifndef NODE_OPTIONS_PRIV_H
#define NODE_OPTIONS_PRIV_H

#include "node/options.h"

/* The flock called so, made if new. */
struct option_flock *option_flock_get(struct options *o, const char *name);
void option_flocks_free(struct options *o);
/* Set a key of a flock; takes items. What is wrong with it, or NULL. */
const char *option_flock_set(struct options *o, const char *name, const char *key, char **items,
                             const char *origin);
void option_flocks_print(const struct options *o, struct buf *out);

#endif
