/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_chains.c - what was put into a growing table is found by any thread, while it grows
 */
#include "base/chains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ITEMS   200000u
#define READERS 3

struct item { struct chain_link link; uint32_t key; };

static struct item items[ITEMS];
static struct chains chains;
static _Atomic uint32_t added;

/* Few bits, so that chains are long, and one key in eight shares all of them. */
static uint32_t hash_of(uint32_t key)
{
    return (key & ~7u) * 0x9E3779B1u >> 12;
}

static bool is_key(const struct chain_link *l, const void *key)
{
    return CONTAINER_OF(l, const struct item, link)->key == *(const uint32_t *)key;
}

static struct chain_link *find(uint32_t key)
{
    return chains_find(&chains, hash_of(key), is_key, &key);
}

/* Misses: how often something that is there was not found. */
static void *reader(void *arg)
{
    uint64_t seed = (uintptr_t)arg * 0x9E3779B97F4A7C15u + 1, misses = 0;
    uint32_t n;

    do {
        n = atomic_load(&added);
        for (int i = 0; i < 1000 && n > 0; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            misses += find((uint32_t)(seed >> 33) % n) == NULL;
        }
    } while (n < ITEMS);
    return (void *)(uintptr_t)misses;
}

static void found_while_growing(void **state)
{
    pthread_t threads[READERS];

    chains_init(&chains, 4);
    for (uintptr_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, (void *)i), 0);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        items[i].link.hash = hash_of(i);
        pthread_mutex_lock(&chains.lock);
        chains_add_locked(&chains, &items[i].link);
        pthread_mutex_unlock(&chains.lock);
        atomic_store(&added, i + 1);
    }
    for (int i = 0; i < READERS; i++) {
        void *misses;

        assert_int_equal(pthread_join(threads[i], &misses), 0);
        assert_null(misses);
    }
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(find(i), &items[i].link);
    assert_null(find(ITEMS));
    assert_int_equal(chains.used, ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(found_while_growing) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
