/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - who may read the observer page
 *
 * rnodectl web asks the node for a token, which is good once and for a minute; the page exchanges it
 * for a cookie, which is good for http.session. A --dev node needs neither.
 */
#ifndef WEB_SESSION_H
#define WEB_SESSION_H

#include "ctl/commands.h"

#define SESSION_TOKEN_CHARS 43
#define SESSION_USER_CHARS  63

/* Who has a session, and what proves that a request comes from the page itself: other pages may have the
 * browser send the cookie, but cannot read this. */
struct session_owner {
    enum role role;
    char user[SESSION_USER_CHARS + 1];
    char csrf[SESSION_TOKEN_CHARS + 1];
};

/* A token for one login of user, who has this role; any thread. ret has room for
 * SESSION_TOKEN_CHARS + 1. */
void session_invite(enum role role, const char *user, char *ret);
/* Exchange a token for the text of a cookie, in ret. False: it is not good. HTTP thread. */
bool session_login(const char *token, char *ret);
/* Is this the cookie of a session that still holds, and whose is it? When everybody may read, that of an
 * admin called page. HTTP thread. */
bool session_owner(const char *cookie, struct session_owner *ret);
/* How long sessions hold, seconds; open: everybody may read. Any thread. */
void session_configure(int64_t seconds, bool open);

#endif
