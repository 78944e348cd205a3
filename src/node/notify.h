/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - telling systemd how we are: the datagram of sd_notify(3), without its library
 */
#ifndef NODE_NOTIFY_H
#define NODE_NOTIFY_H

/* Send state ("READY=1") to $NOTIFY_SOCKET; nothing happens without one. Any thread. */
void notify_state(const char *state);

#endif
