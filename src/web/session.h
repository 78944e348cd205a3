/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - who may read the observer page
 *
 * rnodectl web asks the node for a token, which is good once and for a minute; the page exchanges it
 * for a cookie, which is good for http.session. A --dev node needs neither.
 */
#ifndef WEB_SESSION_H
#define WEB_SESSION_H

#include "base/compiler.h"

#define SESSION_TOKEN_CHARS 43

/* A token for one login; any thread. ret has room for SESSION_TOKEN_CHARS + 1. */
void session_invite(char *ret);
/* Exchange a token for the text of a cookie, in ret. False: it is not good. HTTP thread. */
bool session_login(const char *token, char *ret);
/* Is this the cookie of a session that still holds? HTTP thread. */
bool session_is_good(const char *cookie);
/* How long sessions hold, seconds; open: everybody may read. Any thread. */
void session_configure(int64_t seconds, bool open);

#endif
