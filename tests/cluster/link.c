/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - a network between namespaces that loses, doubles and delays packets as told
 *
 *     link SEED NAMESPACE...        prints "ready"; then one order a line on standard input:
 *     FROM TO loss=PERCENT duplicate=PERCENT delay=MS jitter=MS
 *
 * Gives each namespace a device eth0 without an address (TUN, packets of IPv4) and carries what
 * one sends to the one whose address ends in the number of its place, counted from 1. FROM and TO
 * are such numbers, or 0 for each; what an order does not name is 0. Each direction has its own
 * conditions, so loss=100 one way is a half-open line. With jitter packets overtake each other.
 * The order "?" prints how many packets were taken, lost and doubled since the last one.
 * Ends with its standard input. For kernels without the netem scheduler.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ENDS_MAX     16
#define PACKET_BYTES 2048
#define WAITING_MAX  65536      /* packets under way; more are lost, as in a full queue */

struct conditions { double loss, duplicate; int64_t delay_us, jitter_us; };

struct packet {
    int64_t due_us;
    uint64_t number;            /* of two that are due at once the older goes first */
    int to;
    size_t len;
    uint8_t bytes[PACKET_BYTES];
};

static int ends[ENDS_MAX + 1], n_ends;
static struct conditions line[ENDS_MAX + 1][ENDS_MAX + 1];
static struct packet *heap[WAITING_MAX];        /* the earliest due first */
static size_t n_waiting;
static uint64_t numbers, random_state;
static unsigned taken, lost, doubled;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* In [0, 1): SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static double chance(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* --- packets under way: a binary heap ------------------------------------------------------- */

static bool before(const struct packet *a, const struct packet *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void put(struct packet *p)
{
    size_t i = n_waiting++;

    for (; i > 0 && before(p, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = p;
}

static struct packet *take(void)
{
    struct packet *first = heap[0], *last = heap[--n_waiting];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < n_waiting) {
        if (child + 1 < n_waiting && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static void send_later(int to, const uint8_t *bytes, size_t len, const struct conditions *c)
{
    struct packet *p;

    if (n_waiting == WAITING_MAX)
        return;
    p = malloc(sizeof *p);
    if (p == NULL)
        die("memory");
    p->due_us = now_us() + c->delay_us + (int64_t)(chance() * (double)c->jitter_us);
    p->number = numbers++;
    p->to = to;
    p->len = len;
    memcpy(p->bytes, bytes, len);
    put(p);
}

static void deliver(void)
{
    while (n_waiting > 0 && heap[0]->due_us <= now_us()) {
        struct packet *p = take();

        if (write(ends[p->to], p->bytes, p->len) < 0) {
            /* its namespace is down or its queue full: lost, as on a wire */
        }
        free(p);
    }
}

/* --- both sides ------------------------------------------------------------------------------ */

static void carry(int from)
{
    uint8_t bytes[PACKET_BYTES];
    ssize_t n;

    while ((n = read(ends[from], bytes, sizeof bytes)) >= 20) {
        int to = bytes[19];                     /* the last byte of an IPv4 destination */
        const struct conditions *c;

        if (bytes[0] >> 4 != 4 || to < 1 || to > n_ends || to == from)
            continue;
        c = &line[from][to];
        taken++;
        if (chance() * 100 < c->loss) {
            lost++;
            continue;
        }
        send_later(to, bytes, (size_t)n, c);
        if (chance() * 100 < c->duplicate) {
            doubled++;
            send_later(to, bytes, (size_t)n, c);
        }
    }
}

static double value(const char *order, const char *key)
{
    const char *at = strstr(order, key);

    return at != NULL ? atof(at + strlen(key)) : 0;
}

static void obey(const char *order)
{
    struct conditions c = { value(order, "loss="), value(order, "duplicate="),
                            (int64_t)(value(order, "delay=") * 1000),
                            (int64_t)(value(order, "jitter=") * 1000) };
    int from, to;

    if (order[0] == '?') {
        printf("%u %u %u\n", taken, lost, doubled);
        fflush(stdout);
        taken = lost = doubled = 0;
        return;
    }
    if (sscanf(order, "%d %d", &from, &to) != 2 || from < 0 || to < 0 || from > n_ends
        || to > n_ends) {
        fprintf(stderr, "link: what is %s", order);
        exit(2);
    }
    for (int i = 1; i <= n_ends; i++)
        for (int k = 1; k <= n_ends; k++)
            if ((from == 0 || from == i) && (to == 0 || to == k))
                line[i][k] = c;
}

/* A device in the namespace; the descriptor works from here. */
static int open_end(const char *name, int home)
{
    struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    char path[256];
    int ns, fd;

    snprintf(path, sizeof path, "/run/netns/%s", name);
    ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
        die(path);
    strcpy(r.ifr_name, "eth0");
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
        die("/dev/net/tun");
    if (setns(home, CLONE_NEWNET) < 0)
        die("setns");
    close(ns);
    return fd;
}

static void serve(void)
{
    struct pollfd on[ENDS_MAX + 1] = { { .fd = 0, .events = POLLIN } };

    for (int i = 1; i <= n_ends; i++)
        on[i] = (struct pollfd){ .fd = ends[i], .events = POLLIN };
    for (;;) {
        int64_t wait_us = n_waiting > 0 ? heap[0]->due_us - now_us() : 1000000;
        struct timespec t = { 0, 0 };
        char order[256];

        if (wait_us > 0)
            t = (struct timespec){ wait_us / 1000000, wait_us % 1000000 * 1000 };
        if (ppoll(on, (nfds_t)n_ends + 1, &t, NULL) < 0)
            die("poll");
        if (on[0].revents != 0) {
            if (fgets(order, sizeof order, stdin) == NULL)
                return;
            obey(order);
        }
        for (int i = 1; i <= n_ends; i++)
            if (on[i].revents != 0)
                carry(i);
        deliver();
    }
}

int main(int argc, char **argv)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    if (argc < 3 || argc - 2 > ENDS_MAX) {
        fprintf(stderr, "usage: link SEED NAMESPACE...\n");
        return 2;
    }
    setvbuf(stdin, NULL, _IONBF, 0);            /* so that poll sees each order */
    random_state = strtoull(argv[1], NULL, 10);
    n_ends = argc - 2;
    for (int i = 1; i <= n_ends; i++)
        ends[i] = open_end(argv[i + 1], home);
    puts("ready");
    fflush(stdout);
    serve();
    return 0;
}
