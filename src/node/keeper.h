/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - the store of this node: opened, configured, logged, measured, closed
 *
 * Main thread.
 */
#ifndef NODE_KEEPER_H
#define NODE_KEEPER_H

#include "node/options.h"
#include "store/store.h"

/* Open or make FOLDER/store by the options; events go to the log. relaxed: do not wait for the
 * disk, as nodes for development. Errors as store_open. */
MUST_CHECK int keeper_open(const char *folder, const struct options *o, bool relaxed);
/* NULL: there is none. */
struct store *keeper_store(void);
void keeper_reload(const struct options *o);
/* Open the persistent tables again and start what has durable names; the machine runs and has its
 * code. */
MUST_CHECK int keeper_restore(void);
/* At the end of a program: stop loading tables, and wait until everything submitted so far is in the
 * store, or cannot be; the machine may run on. */
void keeper_flush(void);
/* After the machine has stopped. */
void keeper_close(void);

#endif
