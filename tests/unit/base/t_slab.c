/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_slab.c - slabs and large blocks: nobody's bytes change, everything comes back
 */
#include "base/slab.h"

#include "base/compiler.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS   4000
#define THREADS 3
#define STEPS   150000

struct item { uint8_t *p; size_t bytes; uint8_t mark; };

static uint64_t next(uint64_t *seed, uint64_t n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % n;
}

static size_t any_size(uint64_t *seed)
{
    switch (next(seed, 60)) {
    case 0: return 256 * 1024 + next(seed, 6 << 20);
    case 1: return 32768 + next(seed, 300000);
    case 2: case 3: return next(seed, 33000);
    default: return next(seed, 700);
    }
}

/* Marks at both ends are enough to see an overlap, and touch little of the large ones. */
static struct item make(uint64_t *seed)
{
    struct item it = { .bytes = any_size(seed), .mark = (uint8_t)next(seed, 256) };
    size_t n = it.bytes < 64 ? it.bytes : 64;

    it.p = slab_alloc(it.bytes);
    assert_int_equal((uintptr_t)it.p & 15, 0);
    memset(it.p, it.mark, n);
    memset(it.p + it.bytes - n, it.mark, n);
    return it;
}

static bool is_intact(const struct item *it)
{
    size_t n = it->bytes < 64 ? it->bytes : 64;

    for (size_t i = 0; i < n; i++)
        if (it->p[i] != it->mark || it->p[it->bytes - 1 - i] != it->mark)
            return false;
    return true;
}

static void one_thread(void **state)
{
    static struct item slot[SLOTS];
    uint64_t seed = 12345, before = slab_bytes_in_use();

    for (int i = 0; i < STEPS; i++) {
        struct item *it = &slot[next(&seed, SLOTS)];

        if (it->p != NULL) {
            assert_true(is_intact(it));
            slab_free(it->p, it->bytes);
            it->p = NULL;
        } else {
            *it = make(&seed);
        }
    }
    for (int i = 0; i < SLOTS; i++)
        if (slot[i].p != NULL) {
            assert_true(is_intact(&slot[i]));
            slab_free(slot[i].p, slot[i].bytes);
        }
    slab_free(NULL, 10);
    slab_trim();
    assert_int_equal(slab_bytes_in_use(), before);
}

/* Threads put blocks into shared boxes and free what others have put there. */
static _Atomic(struct item *) box[512];
static atomic_int damaged;

static void *trade(void *arg)
{
    uint64_t seed = 777 + (uintptr_t)arg * 31337;

    for (int i = 0; i < STEPS / 2; i++) {
        struct item *it = slab_alloc(sizeof *it), *other;

        *it = make(&seed);
        other = atomic_exchange(&box[next(&seed, ARRAY_LEN(box))], it);
        if (other != NULL) {
            if (!is_intact(other))
                atomic_fetch_add(&damaged, 1);
            slab_free(other->p, other->bytes);
            slab_free(other, sizeof *other);
        }
        if (i % 64 == 0)
            slab_drain();
    }
    return NULL;
}

static void trading_threads(void **state)
{
    pthread_t thread[THREADS];

    for (int round = 0; round < 2; round++) {      /* owners of round 0 are taken up again */
        for (int i = 0; i < THREADS; i++)
            pthread_create(&thread[i], NULL, trade, (void *)(uintptr_t)(i + 1));
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
    }
    assert_int_equal(damaged, 0);
    for (size_t i = 0; i < ARRAY_LEN(box); i++) {
        struct item *it = box[i];

        if (it != NULL) {
            assert_true(is_intact(it));
            slab_free(it->p, it->bytes);
            slab_free(it, sizeof *it);
        }
    }
}

/* Freeing and asking again stays within what was mapped: the same addresses come back. */
static void large_blocks_are_reused(void **state)
{
    size_t bytes = (size_t)8 << 20;
    uint8_t *a = slab_alloc(bytes), *b;

    memset(a, 1, bytes);
    slab_free(a, bytes);
    b = slab_alloc(bytes / 2);
    assert_true(b >= a && b < a + bytes);
    slab_free(b, bytes / 2);
    b = slab_alloc(bytes);
    assert_ptr_equal(a, b);
    slab_free(b, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_blocks_are_reused), cmocka_unit_test(one_thread),
        cmocka_unit_test(trading_threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
