/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_match.c - match specifications, compiled and run
 *
 * Input: the text of a specification and the text of an object. What compiles is run on the object
 * in the dialects of tables and of traces.
 */
#include "heap/parse.h"
#include "table/match.h"
#include "term/atom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(term spec, term object, enum match_dialect dialect, struct heap *h)
{
    struct buf errors = { 0 };
    struct match_spec *ms = match_compile(spec, dialect, &errors);
    struct match_run run;
    term pattern;

    buf_fini(&errors);
    if (ms == NULL)
        return;
    match_run_init(&run, ms, h, pid_make(1, 1));
    (void)match_object(&run, object);
    match_run_fini(&run);
    for (size_t i = 0; dialect == MATCH_TABLE && i < match_clauses(ms); i++)
        if (match_key_of(ms, i, 1, &pattern) == MATCH_KEY_PART)
            (void)match_key_cmp(object, pattern);
    if (dialect == MATCH_TABLE)
        (void)match_keeps_key(ms, 1);
    match_free(ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    char err[200];
    struct heap h;
    size_t used = 0, more = 0;
    term spec, object = TERM_NONE;

    if (!ready) {
        atom_table_init(0);
        literal_region_init();
    }
    ready = true;
    heap_bag_init(&h);
    spec = parse_term(&h, (const char *)data, size, &used, err, sizeof err);
    if (spec != TERM_NONE)
        object = parse_term(&h, (const char *)data + used, size - used, &more, err, sizeof err);
    if (object != TERM_NONE && is_tuple(object))
        run(spec, object, MATCH_TABLE, &h);
    if (object != TERM_NONE && list_length(object) >= 0)
        run(spec, object, MATCH_TRACE, &h);
    heap_fini(&h);
    return 0;
}
