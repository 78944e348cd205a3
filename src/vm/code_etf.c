/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code_etf.c - funs and exports for the external term format, which lives in a lower room
 */
#include "heap/etf.h"
#include "vm/code.h"
#include "vm/code_priv.h"

static struct fun_entry *etf_fun(term module, const uint8_t md5[16], uint32_t index,
                                 uint32_t old_uniq, uint32_t arity, uint32_t num_free, bool create)
{
    if (!create)
        return fun_entry_find(module, index, md5, arity, num_free);
    return fun_entry_get(module, index, md5, old_uniq, arity, num_free);
}

static struct export *etf_export(term module, term function, uint32_t arity, bool create)
{
    return create ? export_get(module, function, arity) : export_find(module, function, arity);
}

void code_bind_etf(void)
{
    etf_env.fun_lookup = etf_fun;
    etf_env.export_lookup = etf_export;
}
