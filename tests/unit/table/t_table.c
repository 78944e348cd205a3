/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_table.c - random operations on tables of every type against a plain array
 */
#include "../chance.h"

#include "base/epoch.h"
#include "table/table.h"
#include "term/atom.h"
#include "term/compare.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define KEYS 700
#define PER_KEY 6

static struct heap heap;
/* model[k]: values of key k in order of insertion */
static struct { unsigned n; int value[PER_KEY]; } model[KEYS];

/* Keys rise with k in term order. */
static term key_make(unsigned k)
{
    if (k < KEYS / 2)
        return small_make((int64_t)k - 100);
    return heap_tuple2(&heap, heap_binary(&heap, "0123456789", k < 500 ? 3 : 9),
                       small_make(k));
}

static term object_make(unsigned k, int value)
{
    term pad = chance(2) ? ATOM_ok : heap_tuple2(&heap, ATOM_ok, small_make(value));

    return heap_tuple3(&heap, key_make(k), small_make(value), pad);
}

static struct table *new_table(enum table_type type)
{
    struct table_options opt = { .type = type, .protection = TABLE_PUBLIC, .keypos = 1,
                                 .write_concurrency = ATOM_false, .heir = ATOM_none,
                                 .heir_data = TERM_NIL };

    memset(model, 0, sizeof model);
    return table_new(ATOM_ok, pid_make(1, 1), &opt);
}

static void model_insert(enum table_type type, unsigned k, int value)
{
    if (type == TABLE_SET || type == TABLE_ORDERED_SET)
        model[k].n = 0;
    ASSERT(model[k].n < PER_KEY);
    model[k].value[model[k].n++] = value;
}

static void check_key(struct table *t, unsigned k)
{
    term list = table_lookup(t, &heap, key_make(k));

    assert_int_equal(list_length(list), model[k].n);
    for (unsigned i = 0; i < model[k].n; i++, list = cdr(list))
        assert_int_equal(small_val(tuple_elem(car(list), 1)), model[k].value[i]);
    assert_int_equal(table_member(t, key_make(k)), model[k].n > 0);
}

static int64_t model_size(void)
{
    int64_t n = 0;

    for (unsigned k = 0; k < KEYS; k++)
        n += model[k].n;
    return n;
}

/* first and next meet every key once, ordered_set in order. */
static void check_walk(struct table *t)
{
    term at = table_first(t, &heap, false), last = TERM_NONE;
    int64_t met = 0, expected = 0;

    for (; !is_nil(at); met++) {
        term key = tuple_elem(at, 0);

        if (t->type == TABLE_ORDERED_SET && last != TERM_NONE)
            assert_true(term_cmp(last, key) < 0);
        last = key;
        at = table_next(t, &heap, key, false);
        assert_true(at != TERM_NONE);
    }
    for (unsigned k = 0; k < KEYS; k++)
        expected += model[k].n > 0;
    assert_int_equal(met, expected);
    if (t->type == TABLE_ORDERED_SET && met > 0) {
        assert_true(term_eq(last, tuple_elem(table_last(t, &heap, false), 0)));
        for (met = 0, at = table_last(t, &heap, false); !is_nil(at); met++)
            at = table_prev(t, &heap, tuple_elem(at, 0), false);
        assert_int_equal(met, expected);
    }
}

static void random_step(struct table *t, int i)
{
    unsigned k = chance(KEYS);
    bool bag = t->type == TABLE_BAG || t->type == TABLE_DUPLICATE_BAG;

    switch (chance(8)) {
    case 0: case 1: case 2: case 3:
        if (bag && model[k].n == PER_KEY)
            return;
        table_insert(t, object_make(k, i));
        model_insert(t->type, k, i);
        break;
    case 4: case 5:
        table_delete_key(t, key_make(k));
        model[k].n = 0;
        break;
    case 6:
        assert_int_equal(list_length(table_take(t, &heap, key_make(k))), model[k].n);
        model[k].n = 0;
        break;
    default:
        assert_int_equal(table_insert_new_list(t, heap_cons(&heap, object_make(k, i), TERM_NIL)),
                         model[k].n == 0);
        if (model[k].n == 0)
            model_insert(t->type, k, i);
    }
    check_key(t, k);
}

static void churn(enum table_type type)
{
    struct table *t;

    heap_bag_init(&heap);
    t = new_table(type);
    for (int i = 0; i < 30000; i++) {
        /* times of growing, shrinking and being fixed */
        if (i % 1000 == 300)
            table_fix(t, pid_make(2, 1));
        if (i % 1000 == 600) {
            assert_true(table_unfix(t, pid_make(2, 1)));
            assert_false(table_is_fixed(t));
        }
        random_step(t, i);
        if (i % 3000 == 2999) {
            assert_int_equal(table_size(t), model_size());
            check_walk(t);
            heap_fini(&heap);
            heap_bag_init(&heap);
        }
        if (i == 20000) {
            assert_int_equal(table_clear(t), model_size());
            memset(model, 0, sizeof model);
        }
    }
    for (unsigned k = 0; k < KEYS; k++) {
        table_delete_key(t, key_make(k));
        model[k].n = 0;
    }
    assert_int_equal(table_size(t), 0);
    check_walk(t);
    assert_true(table_delete(t));
    heap_fini(&heap);
}

static void set(void **state) { churn(TABLE_SET); }
static void ordered(void **state) { churn(TABLE_ORDERED_SET); }
static void bag(void **state) { churn(TABLE_BAG); }
static void duplicate_bag(void **state) { churn(TABLE_DUPLICATE_BAG); }

/* A large ordered_set filled upwards, downwards and at random keeps order and finds all. */
static void ordered_large(void **state)
{
    for (unsigned way = 0; way < 3; way++) {
        struct table *t;
        unsigned n = 20000;

        heap_bag_init(&heap);
        t = new_table(TABLE_ORDERED_SET);
        for (unsigned i = 0; i < n; i++) {
            unsigned v = way == 0 ? i : way == 1 ? n - 1 - i : i * 7919 % n;

            table_insert(t, heap_tuple2(&heap, heap_tuple2(&heap, ATOM_ok, small_make(v)),
                                        small_make(v)));
        }
        assert_int_equal(table_size(t), n);
        for (unsigned i = 0; i < n; i++) {
            term key = heap_tuple2(&heap, ATOM_ok, small_make(i));
            term next = table_next(t, &heap, key, false);

            assert_int_equal(list_length(table_lookup(t, &heap, key)), 1);
            if (i + 1 < n)
                assert_int_equal(small_val(tuple_elem(tuple_elem(next, 0), 1)), i + 1);
            else
                assert_true(is_nil(next));
        }
        for (unsigned i = 0; i < n; i += 2)
            table_delete_key(t, heap_tuple2(&heap, ATOM_ok, small_make(i * 7919 % n)));
        assert_int_equal(table_size(t), n / 2);
        table_delete(t);
        heap_fini(&heap);
    }
}

static void select_ranges(void **state)
{
    term head, body, spec;
    struct match_spec *ms;
    struct match_run run;
    struct select s;
    struct table *t;

    heap_bag_init(&heap);
    t = new_table(TABLE_ORDERED_SET);
    for (int i = 0; i < 100; i++)
        for (int j = 0; j < 20; j++)
            table_insert(t, heap_tuple2(&heap, heap_tuple2(&heap, small_make(i), small_make(j)),
                                        small_make(i * j)));
    head = heap_tuple2(&heap, heap_tuple2(&heap, small_make(37), ATOM_underscore), ATOM_underscore);
    body = heap_cons(&heap, ATOM_dollar_underscore, TERM_NIL);
    spec = heap_cons(&heap, heap_tuple3(&heap, head, TERM_NIL, body), TERM_NIL);
    ms = match_compile(spec, MATCH_TABLE, NULL);
    match_run_init(&run, ms, &heap, TERM_NIL);
    select_init(&s, &run, SELECT_VALUES);
    assert_int_equal(table_select(t, &s), 0);
    s.list = list_turned(s.list);
    assert_int_equal(s.count, 20);
    assert_int_equal(s.visited, 20);        /* the range alone is looked at */
    assert_int_equal(small_val(tuple_elem(tuple_elem(car(s.list), 0), 1)), 0);
    select_init(&s, &run, SELECT_VALUES);
    s.reverse = true;
    assert_int_equal(table_select(t, &s), 0);
    s.list = list_turned(s.list);
    assert_int_equal(s.visited, 20);
    assert_int_equal(small_val(tuple_elem(tuple_elem(car(s.list), 0), 1)), 19);
    match_run_fini(&run);
    match_free(ms);
    table_delete(t);
    heap_fini(&heap);
}

static void names(void **state)
{
    struct table_options opt = { .type = TABLE_SET, .keypos = 1, .named = true,
                                 .write_concurrency = ATOM_false, .heir = ATOM_none,
                                 .heir_data = TERM_NIL };
    struct table *t = table_new(ATOM_ok, pid_make(1, 1), &opt);

    assert_non_null(t);
    assert_null(table_new(ATOM_ok, pid_make(1, 1), &opt));
    assert_ptr_equal(table_by_name(ATOM_ok), t);
    assert_true(table_rename(t, ATOM_error));
    assert_null(table_by_name(ATOM_ok));
    assert_ptr_equal(table_by_name(ATOM_error), t);
    assert_ptr_equal(table_of_owner(pid_make(1, 1)), t);
    table_set_owner(t, pid_make(7, 1));
    assert_null(table_of_owner(pid_make(1, 1)));
    assert_ptr_equal(table_of_owner(pid_make(7, 1)), t);
    assert_true(table_delete(t));
    assert_null(table_by_name(ATOM_error));
    assert_null(table_of_owner(pid_make(7, 1)));
}

/* {1, List, Tuple of n words, Text}: what points inside a row is found again wherever it is. */
static term nested(unsigned n)
{
    term list = TERM_NIL, e[4], words[80] = { 0 };

    for (unsigned i = 0; i < n; i++) {
        term part = heap_cons(&heap, small_make(i), TERM_NIL);

        list = heap_cons(&heap, i % 3 == 0 ? heap_tuple2(&heap, small_make(i), part) : ATOM_ok, list);
        words[i % 80] = i % 2 == 0 ? small_make(i) : part;
    }
    e[0] = small_make(1);
    e[1] = list;
    e[2] = heap_tuple(&heap, n % 80, words);
    e[3] = n % 5 == 0 ? heap_float(&heap, 1e300 * n) : heap_binary(&heap, "0123456789", n % 10);
    return heap_tuple(&heap, 4, e);
}

static void rows_of_any_shape(void **state)
{
    struct table *t = new_table(TABLE_SET);

    for (unsigned i = 0; i < 1000; i++) {
        unsigned n = i < 150 ? i : chance(i % 7 == 0 ? 400 : 40);
        term object = nested(n);

        /* the second time into the row that is there, if it fits */
        for (int times = 0; times < 2; times++) {
            assert_int_equal(table_insert(t, object), 0);
            assert_true(term_eq(car(table_lookup(t, &heap, small_make(1))), object));
        }
    }
    assert_true(table_delete(t));
}

/* Small numbers of any size, large ones, floats that equal them, and what is no number. */
static void number_keys(void **state)
{
    static const int64_t edge[] = { SMALL_MIN, SMALL_MIN + 1, -1, 0, 1, SMALL_MAX - 1, SMALL_MAX };
    struct table *t = new_table(TABLE_ORDERED_SET);
    size_t n = sizeof edge / sizeof edge[0];

    for (int mixed = 0; mixed < 2; mixed++) {
        for (int64_t i = 0; i < 3000; i++) {
            int64_t k = (i * 7919) % 3000 * 3;
            term key = mixed && i % 2 == 0 ? heap_float(&heap, (double)k) : small_make(k);

            assert_int_equal(table_insert(t, heap_tuple2(&heap, key, small_make(i))), 0);
        }
        for (size_t i = 0; i < n; i++)
            table_insert(t, heap_tuple2(&heap, small_make(edge[i]), ATOM_ok));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(table_member(t, small_make(edge[i])), 1);
        assert_int_equal(table_size(t), 3006);      /* of the seven only 0 was there */
        for (int64_t k = 0; k < 9000; k++) {
            bool is_edge = k == 1;

            assert_int_equal(table_member(t, small_make(k)), k % 3 == 0 || is_edge);
            assert_int_equal(table_member(t, heap_float(&heap, (double)k)), k % 3 == 0 || is_edge);
        }
        assert_int_equal(table_member(t, heap_int(&heap, INT64_MAX)), 0);
        assert_int_equal(table_member(t, ATOM_ok), 0);
        assert_true(tuple_elem(table_first(t, &heap, false), 0) == small_make(SMALL_MIN));
        assert_true(tuple_elem(table_last(t, &heap, false), 0) == small_make(SMALL_MAX));
        assert_true(is_nil(table_next(t, &heap, small_make(SMALL_MAX), false)));
        assert_true(is_nil(table_prev(t, &heap, small_make(SMALL_MIN), false)));
        if (mixed)
            break;
        table_insert(t, heap_tuple2(&heap, ATOM_ok, ATOM_ok));
        table_insert(t, heap_tuple2(&heap, heap_int(&heap, INT64_MAX), ATOM_ok));
        table_delete_key(t, ATOM_ok);
        table_delete_key(t, heap_int(&heap, INT64_MAX));
    }
    assert_true(table_delete(t));
}

/* The rows of the first n numbers but one are there, each under its own key. */
static void check_numbers(struct table *t, int n, int gone)
{
    for (int i = 0; i < n; i++) {
        term list = table_lookup(t, &heap, small_make(i));

        assert_int_equal(list_length(list), i != gone);
        if (i != gone)
            assert_int_equal(small_val(tuple_elem(car(list), 1)), i + 1000);
    }
}

/* Keys of an ordered_set that are asked for again and again (keycache.h) are found as they are
 * now: removed, put back, replaced by an equal key of another kind, in a table that was emptied. */
static void found_again(void **state)
{
    struct table *t;
    int n = 120;

    heap_bag_init(&heap);
    t = new_table(TABLE_ORDERED_SET);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++)
            table_insert(t, heap_tuple2(&heap, small_make(i), small_make(i + 1000)));
        for (int i = 0; i < 5; i++)
            check_numbers(t, n, -1);
        for (int i = 0; i < n; i++) {
            term one = heap_float(&heap, (double)i), object;

            table_delete_key(t, small_make(i));
            check_numbers(t, n, i);
            object = heap_tuple3(&heap, one, small_make(i + 1000), ATOM_ok);
            assert_int_equal(table_insert(t, object), 0);
            check_numbers(t, n, -1);
            assert_true(term_eq(car(table_lookup(t, &heap, small_make(i))), object));
            object = heap_tuple2(&heap, small_make(i), small_make(i + 1000));
            table_insert(t, object);
            check_numbers(t, n, -1);
            assert_true(term_eq(car(table_lookup(t, &heap, one)), object));
        }
        assert_int_equal(table_clear(t), n);
        for (int i = 0; i < n; i++)
            assert_int_equal(table_member(t, small_make(i)), 0);
    }
    assert_true(table_delete(t));
    heap_fini(&heap);
}

static _Atomic bool insert_on;

static void *insert_numbers(void *arg)
{
    term words[TUPLE_WORDS(2)];

    epoch_enter();
    for (int64_t i = 0; atomic_load(&insert_on); i++) {
        term *at = words;

        ASSERT(table_insert(arg, tuple2(&at, small_make(i % 20000), small_make(i))) == 0);
    }
    epoch_leave();
    return NULL;
}

/* A set that another thread fills is emptied, small and large, and never has a row in a bucket that
 * is gone. */
static void cleared_while_it_grows(void **state)
{
    pthread_t thread;
    struct table *t = new_table(TABLE_SET);
    int64_t cleared = 0;

    atomic_store(&insert_on, true);
    assert_int_equal(pthread_create(&thread, NULL, insert_numbers, t), 0);
    for (int i = 0; i < 300 || cleared < 200000; i++) {
        for (int64_t want = i % 3 == 0 ? 9000 : 50 * (i % 3); table_size(t) < want;)
            sched_yield();
        cleared += table_clear(t);
        table_bury();
    }
    atomic_store(&insert_on, false);
    pthread_join(thread, NULL);
    table_clear(t);
    assert_int_equal(table_size(t), 0);
    for (int64_t i = 0; i < 20000; i++)
        assert_int_equal(table_member(t, small_make(i)), 0);
    assert_true(table_delete(t));
    while (table_bury()) {
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set), cmocka_unit_test(ordered), cmocka_unit_test(bag),
        cmocka_unit_test(duplicate_bag), cmocka_unit_test(ordered_large),
        cmocka_unit_test(select_ranges), cmocka_unit_test(names),
        cmocka_unit_test(rows_of_any_shape), cmocka_unit_test(number_keys),
        cmocka_unit_test(found_again), cmocka_unit_test(cleared_while_it_grows),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    literal_region_init();
    atom_table_init(0);
    epoch_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
