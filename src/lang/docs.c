/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs.c - the Docs chunk (EEP 48): documentation of a module and its functions
 *
 * {docs_v1, Line, Language, <<"text/markdown">>, ModuleDoc, Meta, [{{function, Name, Arity}, Line,
 * [Signature], Doc, Meta}]}. A Doc is #{<<"en">> => Text}, none, or hidden.
 */
#include "lang/emit_priv.h"

#include <string.h>

static const struct core_const *text(struct core_module *m, const char *s)
{
    return cc_binary(m, s, strlen(s));
}

static const struct core_const *doc(struct core_module *m, const char *s, bool hidden)
{
    const struct core_const *pair[] = { text(m, "en"), NULL };

    if (s == NULL)
        return cc_atom(m, hidden ? "hidden" : "none");
    pair[1] = text(m, s);
    return cc_map(m, pair, 1);
}

static const struct core_const *entry(struct core_module *m, const struct core_function *f)
{
    const struct core_const *id[] = { cc_atom(m, "function"), cc_atom_n(m, f->name->name,
                                      f->name->len), cc_int(m, f->fun->arity) };
    const struct core_const *row[] = { cc_tuple(m, id, 3), cc_int(m, f->fun->span.line),
                                       cc_nil(m), doc(m, f->doc, f->hidden),
                                       cc_map(m, NULL, 0) };
    const struct core_const *signature;

    if (f->signature != NULL) {
        signature = text(m, f->signature);
        row[2] = cc_list(m, &signature, 1, NULL);
    }
    return cc_tuple(m, row, 5);
}

void docs_chunk(struct core_module *m, struct buf *out)
{
    const struct core_const **rows =
        ARENA_NEW_ARRAY(m->arena, const struct core_const *, m->n_functions + 1);
    const struct core_const *whole[] = { cc_atom(m, "docs_v1"), cc_int(m, 1),
                                         cc_atom(m, m->language), text(m, "text/markdown"),
                                         doc(m, m->doc, false), cc_map(m, NULL, 0), NULL };
    size_t n = 0;

    for (size_t i = 0; i < m->n_functions; i++)
        if (m->functions[i].exported)
            rows[n++] = entry(m, &m->functions[i]);
    whole[6] = cc_list(m, rows, n, NULL);
    buf_u8(out, 131);
    const_etf(out, cc_tuple(m, whole, 7));
}
