/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durable.h - names that come back after a restart
 */
#ifndef BIF_DURABLE_H
#define BIF_DURABLE_H

#include "term/term.h"

/* Read the durable names from the store of persist_start and begin to start their processes, in the
 * order in which they were registered. Main thread; code and tables are there. Errors as
 * store_visit. */
MUST_CHECK int durable_start(void);

/* Visit all, in order of registration. entry: {Name, M, F, Args, Since}, lent. Any thread that is
 * no scheduler. */
void durable_names(void (*visit)(void *arg, term name, term entry, int64_t since_ns), void *arg);

#endif
