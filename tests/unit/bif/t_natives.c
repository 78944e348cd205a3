/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_natives.c - every native of natives.tab has a row in a table of built-ins, and no row comes twice
 */
#include "bif/bif.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct { const char *module, *function; unsigned arity; } natives[] = {
#define NATIVE(module, function, arity) { #module, function, arity },
#include "natives.tab"
#undef NATIVE
};

static bool is_row(size_t i, const char *module, const char *function, unsigned arity)
{
    const struct bif *b = &bif_table[i];

    return b->arity == arity && strcmp(b->function, function) == 0 &&
           strcmp(b->module, module) == 0;
}

static void all_are_there(void **state)
{
    unsigned missing = 0;

    for (size_t n = 0; n < ARRAY_LEN(natives); n++) {
        size_t i = 0;

        while (i < bif_table_len &&
               !is_row(i, natives[n].module, natives[n].function, natives[n].arity))
            i++;
        if (i == bif_table_len) {
            printf("# missing: %s:%s/%u\n", natives[n].module, natives[n].function,
                   natives[n].arity);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static int by_name(const void *x, const void *y)
{
    const struct bif *a = *(const struct bif *const *)x, *b = *(const struct bif *const *)y;
    int c = strcmp(a->module, b->module);

    if (c == 0)
        c = strcmp(a->function, b->function);
    return c != 0 ? c : (int)a->arity - (int)b->arity;
}

static void none_comes_twice(void **state)
{
    const struct bif **rows = calloc(bif_table_len, sizeof *rows);
    unsigned twice = 0;

    for (size_t i = 0; i < bif_table_len; i++)
        rows[i] = &bif_table[i];
    qsort(rows, bif_table_len, sizeof *rows, by_name);
    for (size_t i = 1; i < bif_table_len; i++)
        if (by_name(&rows[i - 1], &rows[i]) == 0) {
            printf("# twice: %s:%s/%u\n", rows[i]->module, rows[i]->function, rows[i]->arity);
            twice++;
        }
    free(rows);
    assert_int_equal(twice, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_there), cmocka_unit_test(none_comes_twice),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
