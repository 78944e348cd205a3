/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - a few dozen secrets and when they end
 */
#include "web/session.h"

#include "auth/secret.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>

#define TOKENS_MAX      16
#define SESSIONS_MAX    64
#define TOKEN_S         60

struct login {
    char text[SESSION_TOKEN_CHARS + 1];
    int64_t ends_ns;                    /* 0: free */
};

static struct {
    pthread_mutex_t lock;
    struct login tokens[TOKENS_MAX], sessions[SESSIONS_MAX];   /* [lk] */
    int64_t session_ns;                 /* [lk] */
    bool open;                          /* [lk] */
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

static void keep(struct login *list, size_t n, int64_t ends_ns, char *ret)
{
    struct login *s = slot_for_new(list, n);

    make_secret(s->text);
    s->ends_ns = ends_ns;
    memcpy(ret, s->text, sizeof s->text);
}

void session_invite(char *ret)
{
    pthread_mutex_lock(&state.lock);
    keep(state.tokens, TOKENS_MAX, clock_monotonic_ns() + TOKEN_S * (int64_t)1000000000, ret);
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
        keep(state.sessions, SESSIONS_MAX, now + state.session_ns, ret);
    }
    pthread_mutex_unlock(&state.lock);
    return t != NULL;
}

bool session_is_good(const char *cookie)
{
    bool good;

    pthread_mutex_lock(&state.lock);
    good = state.open || find(state.sessions, SESSIONS_MAX, cookie, clock_monotonic_ns()) != NULL;
    pthread_mutex_unlock(&state.lock);
    return good;
}

void session_configure(int64_t seconds, bool open)
{
    pthread_mutex_lock(&state.lock);
    state.session_ns = seconds * 1000000000;
    state.open = open;
    pthread_mutex_unlock(&state.lock);
}
