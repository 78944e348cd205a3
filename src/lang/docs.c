/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs.c - chunks for tools: documentation, and where functions stand in the source
 *
 * Docs (EEP 48):
 *
 * {docs_v1, Line, Language, <<"text/markdown">>, ModuleDoc, Meta, [{{function, Name, Arity}, Line,
 * [Signature], Doc, Meta}]}. A Doc is #{<<"en">> => Text}, none, or hidden.
 *
 * RnSp, our own: {spans_v1, [File], [{Name, Arity, FileIndex, Line, Column, EndLine, EndColumn}]},
 * the index from 0, all functions of the source in its order.
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

static const struct core_const *span_row(struct core_module *m, const struct core_function *f)
{
    const struct core_span *at = &f->fun->span;
    const struct core_const *row[] = {
        cc_atom_n(m, f->name->name, f->name->len), cc_int(m, f->fun->arity), cc_int(m, at->file),
        cc_int(m, at->line), cc_int(m, at->column), cc_int(m, at->end_line),
        cc_int(m, at->end_column),
    };

    return cc_tuple(m, row, ARRAY_LEN(row));
}

void spans_chunk(struct core_module *m, struct buf *out)
{
    size_t most = m->n_functions > m->n_files ? m->n_functions : m->n_files;
    const struct core_const **rows = ARENA_NEW_ARRAY(m->arena, const struct core_const *, most + 1);
    const struct core_const *whole[] = { cc_atom(m, "spans_v1"), NULL, NULL };

    for (size_t i = 0; i < m->n_files; i++)
        rows[i] = text(m, m->files[i]);
    whole[1] = cc_list(m, rows, m->n_files, NULL);
    for (size_t i = 0; i < m->n_functions; i++)
        rows[i] = span_row(m, &m->functions[i]);
    whole[2] = cc_list(m, rows, m->n_functions, NULL);
    buf_u8(out, 131);
    const_etf(out, cc_tuple(m, whole, ARRAY_LEN(whole)));
}
