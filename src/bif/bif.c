/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif.c - the one table of built-ins, made of the rows of all .tab files
 */
#include "bif/bif.h"
#include "bif/code.h"
#include "bif/ets_priv.h"
#include "bif/short.h"
#include "vm/hooks.h"

/* What a row BIF_LONG registers: the function itself for short arguments. */
#define BIF(module, function, arity, kind, fn)
#define BIF_NOFN(module, function, arity, kind)
#define BIF_LONG(module, function, arity, is_short, fn) \
    static term module##_##arity##_##fn(struct process *p, const term *a) \
    { return is_short(a) ? fn(p, a) : bif_long(p, fn, arity, a); }
#include "bif/tables.tab"
#undef BIF
#undef BIF_NOFN

const struct bif bif_table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#define BIF_NOFN(module, function, arity, kind) { #module, function, arity, BIF_##kind, NULL },
#define BIF_LONG(module, function, arity, is_short, fn) \
    { #module, function, arity, BIF_PLAIN, module##_##arity##_##fn },
#include "bif/tables.tab"
#undef BIF
#undef BIF_NOFN
};

const size_t bif_table_len = ARRAY_LEN(bif_table);

void bif_init(void)
{
    bif_register(bif_table, bif_table_len);
    process_info_init();
    code_load_init();
    vm_exit_hook = ets_process_exit;
}
