/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - posting by an atomic list and an eventfd that is written only when the list was empty
 */
#include "net/loop.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"

#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BEAT_NS INT64_C(250000000)
#define LINGER_NS 30000                 /* about what it takes to wake a thread of an idle machine */
#define TAKEN_NS 15000                  /* a look takes 1 or 2 us: so late, others wanted the processor */
#define LINGER_REST_MAX 4096u

struct loop {
    struct event_base *base;
    struct event *wake, *beat;
    int fd;
    pthread_t thread;
    char name[16];
    _Atomic(struct loop_task *) posted;     /* [any] newest first */
    _Atomic int64_t late_ns;                /* [any] */
    int64_t beat_ns;                        /* [loop] when the last beat was due */
    bool lingering;                         /* [loop] it may not sleep */
    int64_t linger_until_ns, looked_ns;     /* [loop] the last look; 0: none since the wish */
    uint32_t linger_off, linger_rest;       /* [loop] wishes to be passed over: left, and of the last time */
    bool over;                              /* [loop] */
};

static void run_posted(struct loop *l)
{
    /* acquire: pairs with the release in loop_post, to see what the poster wrote */
    struct loop_task *t = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
    struct loop_task *in_order = NULL;

    while (t != NULL) {
        struct loop_task *next = t->next;

        t->next = in_order;
        in_order = t;
        t = next;
    }
    while (in_order != NULL) {
        t = in_order;
        in_order = t->next;
        t->run(t);                          /* may be freed or posted again from here on */
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;

    (void)!read(fd, &n, sizeof n);
    run_posted(arg);
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    int64_t now = clock_monotonic_ns();

    /* relaxed: a figure of its own */
    atomic_store_explicit(&l->late_ns, l->beat_ns != 0 ? now - l->beat_ns - BEAT_NS : 0,
                          memory_order_relaxed);
    l->beat_ns = now;
    epoch_flush();                          /* what callbacks retired */
}

/* --- lingering ---------------------------------------------------------------------------------
 * It pays where a processor is free for it and the event comes soon. Where it did not, wishes are passed
 * over for a while, for longer each time: on a busy machine it only keeps others from running. */

void loop_linger(struct loop *l)
{
    if (l->lingering)
        l->linger_rest /= 2;                /* here we are again, awake */
    l->lingering = l->linger_off == 0;
    l->looked_ns = 0;
    if (l->linger_off > 0)
        l->linger_off--;
}

static bool lingers(struct loop *l)
{
    int64_t now;

    if (!l->lingering)
        return false;
    now = clock_monotonic_ns();
    if (l->looked_ns == 0)                  /* whoever wished it has come to an end */
        l->linger_until_ns = now + LINGER_NS;
    else if (now >= l->linger_until_ns || now - l->looked_ns >= TAKEN_NS)
        l->lingering = false;
    l->looked_ns = now;
    if (!l->lingering) {
        l->linger_rest = l->linger_rest < LINGER_REST_MAX / 2 ? 2 * l->linger_rest + 16
                                                              : LINGER_REST_MAX;
        l->linger_off = l->linger_rest;
    }
    return l->lingering;
}

static void *loop_main(void *arg)
{
    struct loop *l = arg;

    pthread_setname_np(pthread_self(), l->name);
    while (!l->over)
        event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY |
                                     (lingers(l) ? EVLOOP_NONBLOCK : EVLOOP_ONCE));
    while (atomic_load_explicit(&l->posted, memory_order_relaxed) != NULL)
        run_posted(l);                      /* relaxed: run_posted acquires */
    epoch_flush();
    return NULL;
}

struct loop *loop_start(const char *name)
{
    struct loop *l = MEM_NEW(struct loop);
    struct event_config *cfg = event_config_new();
    struct timeval beat = { .tv_usec = BEAT_NS / 1000 };
    int rc;

    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT(l->base != NULL && l->fd >= 0);
    for (size_t i = 0; i + 1 < sizeof l->name && name[i] != 0; i++)
        l->name[i] = name[i];
    l->wake = event_new(l->base, l->fd, EV_READ | EV_PERSIST, on_wake, l);
    event_add(l->wake, NULL);
    l->beat = event_new(l->base, -1, EV_PERSIST, on_beat, l);
    event_add(l->beat, &beat);
    rc = pthread_create(&l->thread, NULL, loop_main, l);
    ASSERT(rc == 0);
    return l;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

bool loop_here(const struct loop *l)
{
    return pthread_equal(pthread_self(), l->thread);
}

void loop_post(struct loop *l, struct loop_task *t)
{
    /* relaxed: only the value is needed, the exchange orders */
    struct loop_task *head = atomic_load_explicit(&l->posted, memory_order_relaxed);
    uint64_t one = 1;

    do {
        t->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->posted, &head, t, memory_order_release,
                                                    memory_order_relaxed));
    if (head != NULL)
        return;
    if (loop_here(l))
        event_active(l->wake, EV_READ, 0);
    else
        (void)!write(l->fd, &one, sizeof one);
}

struct call {
    struct loop_task task;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
};

static void run_call(struct loop_task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);

    c->fn(c->arg);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->done_cond);
    pthread_mutex_unlock(&c->lock);
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct call c = { .task.run = run_call, .fn = fn, .arg = arg };

    ASSERT(!loop_here(l));
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.done_cond, NULL);
    loop_post(l, &c.task);
    pthread_mutex_lock(&c.lock);
    while (!c.done)
        pthread_cond_wait(&c.done_cond, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_mutex_destroy(&c.lock);
    pthread_cond_destroy(&c.done_cond);
}

int64_t loop_late_ns(const struct loop *l)
{
    return atomic_load_explicit(&l->late_ns, memory_order_relaxed);     /* relaxed: a figure */
}

static void break_loop(void *arg)
{
    struct loop *l = arg;

    l->over = true;
    event_base_loopbreak(l->base);
}

void loop_stop(struct loop *l)
{
    loop_call(l, break_loop, l);
    pthread_join(l->thread, NULL);
    event_free(l->wake);
    event_free(l->beat);
    event_base_free(l->base);
    close(l->fd);
    mem_free(l);
}
