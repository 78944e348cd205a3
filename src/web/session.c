/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - a few dozen secrets and when they end
 */
#include "web/session.h"

#include "auth/secret.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TOKENS_MAX      16
#define SESSIONS_MAX    64
#define TOKEN_S         60

struct login {
    char text[SESSION_TOKEN_CHARS + 1];
    struct session_owner owner;
    int64_t ends_ns;                    /* 0: free */
};

static struct {
    pthread_mutex_t lock;
    struct login tokens[TOKENS_MAX], sessions[SESSIONS_MAX];   /* [lk] */
    int64_t session_ns;                 /* [lk] */
    bool open;                          /* [lk] */
    struct session_owner everybody;     /* [lk] when open */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* 256 random bits in the alphabet of base64url. */
static void make_secret(char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[SESSION_TOKEN_CHARS];

    random_bytes(random, sizeof random);
    for (size_t i = 0; i < SESSION_TOKEN_CHARS; i++)
        out[i] = letters[random[i] & 63];
    out[SESSION_TOKEN_CHARS] = 0;
}

/* The one that ends first goes. */
static struct login *slot_for_new(struct login *list, size_t n)
{
    struct login *best = list;

    for (size_t i = 1; i < n; i++)
        if (list[i].ends_ns < best->ends_ns)
            best = &list[i];
    return best;
}

static struct login *find(struct login *list, size_t n, const char *text, int64_t now)
{
    struct login *found = NULL;

    for (size_t i = 0; i < n; i++)
        if (list[i].ends_ns > now && strlen(text) == SESSION_TOKEN_CHARS &&
            bytes_same(text, list[i].text, SESSION_TOKEN_CHARS))
            found = &list[i];
    return found;
}

static void keep(struct login *list, size_t n, int64_t ends_ns, const struct session_owner *owner,
                 char *ret)
{
    struct session_owner copy = *owner; /* it may lie in the slot that is taken */
    struct login *s = slot_for_new(list, n);

    make_secret(s->text);
    make_secret(copy.csrf);
    s->owner = copy;
    s->ends_ns = ends_ns;
    memcpy(ret, s->text, sizeof s->text);
}

void session_invite(enum role role, const char *user, char *ret)
{
    struct session_owner owner = { .role = role };

    snprintf(owner.user, sizeof owner.user, "%s", user);
    pthread_mutex_lock(&state.lock);
    keep(state.tokens, TOKENS_MAX, clock_monotonic_ns() + TOKEN_S * (int64_t)1000000000, &owner, ret);
    pthread_mutex_unlock(&state.lock);
}

bool session_login(const char *token, char *ret)
{
    int64_t now = clock_monotonic_ns();
    struct login *t;

    pthread_mutex_lock(&state.lock);
    t = find(state.tokens, TOKENS_MAX, token, now);
    if (t != NULL) {
        t->ends_ns = 0;
        keep(state.sessions, SESSIONS_MAX, now + state.session_ns, &t->owner, ret);
    }
    pthread_mutex_unlock(&state.lock);
    return t != NULL;
}

bool session_owner(const char *cookie, struct session_owner *ret)
{
    struct login *l;

    pthread_mutex_lock(&state.lock);
    l = find(state.sessions, SESSIONS_MAX, cookie, clock_monotonic_ns());
    if (l != NULL)
        *ret = l->owner;
    else if (state.open)
        *ret = state.everybody;
    pthread_mutex_unlock(&state.lock);
    return l != NULL || state.open;
}

void session_configure(int64_t seconds, bool open)
{
    pthread_mutex_lock(&state.lock);
    state.session_ns = seconds * 1000000000;
    state.open = open;
    if (open && state.everybody.csrf[0] == 0) {
        state.everybody = (struct session_owner){ .role = ROLE_ADMIN, .user = "page" };
        make_secret(state.everybody.csrf);
    }
    pthread_mutex_unlock(&state.lock);
}
