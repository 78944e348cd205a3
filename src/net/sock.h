/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - TCP sockets as sessions want them: not blocking, no delay, little unsent in the kernel
 *
 * Any thread. Errors: -ERR_SYSTEM with errno.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include "net/addr.h"

#define SOCK_UNSENT_BYTES (64 << 10)        /* TCP_NOTSENT_LOWAT: how long urgent bytes wait */

/* Listen; port 0 lets the system choose. *ret_addr (may be NULL) is what it became. */
MUST_CHECK int sock_listen(const struct net_addr *a, struct net_addr *ret_addr);
/* Begin to connect; writable when that is over, then sock_error says how. */
MUST_CHECK int sock_connect(const struct net_addr *a);
int  sock_error(int fd);                    /* an errno, 0: none */
/* A connection, or -1 when there is none now. Options are set. */
int  sock_accept(int fd, struct net_addr *ret_from);
/* Options of a session: how long sent data may stay unacknowledged. */
void sock_user_timeout(int fd, unsigned ms);
void sock_close_hard(int fd);               /* RST: the other side knows at once */

#endif
