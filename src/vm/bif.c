/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bif.c - the registry of built-ins
 */
#include "vm/bif.h"

#include "vm/code.h"
#include "vm/engine_priv.h"

void bif_register(const struct bif *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct bif *b = &table[i];
        struct export *e = export_get(atom_from_cstr(b->module), atom_from_cstr(b->function),
                                      b->arity);

        atomic_store(&e->bif, b);
        if (b->kind != BIF_FALLBACK && b->fn != NULL) {
            atomic_store(&e->reserved[0], engine_stub_bif());
            atomic_store(&e->code, (const void *)&e->reserved[0]);
        }
    }
}

const struct bif *bif_find(term module, term function, uint32_t arity)
{
    const struct export *e = export_find(module, function, arity);

    return e == NULL ? NULL : atomic_load(&e->bif);
}
