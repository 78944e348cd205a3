/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library_path.h - where our own compiled modules are
 */
#ifndef NODE_LIBRARY_PATH_H
#define NODE_LIBRARY_PATH_H

/* The folder of our library's .beam files, lent for ever: $RNODE_LIBRARY if set; lib/ebin beside
 * the running program if that is a build tree; ../share/rnode/ebin from it if that exists; otherwise
 * where it was to be installed. The folder need
 * not exist. Main thread, first call before others are started. */
const char *library_path(void);

#endif
