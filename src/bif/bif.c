/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif.c - the one table of built-ins, made of the rows of all .tab files
 */
#include "bif/bif.h"
#include "bif/ets_priv.h"
#include "vm/hooks.h"

const struct bif bif_table[] = {
#define BIF(module, function, arity, kind, fn) { #module, function, arity, BIF_##kind, fn },
#define BIF_NOFN(module, function, arity, kind) { #module, function, arity, BIF_##kind, NULL },
#include "bif/tables.tab"
#undef BIF
#undef BIF_NOFN
};

const size_t bif_table_len = ARRAY_LEN(bif_table);

void bif_init(void)
{
    bif_register(bif_table, bif_table_len);
    process_info_init();
    vm_exit_hook = ets_process_exit;
}
