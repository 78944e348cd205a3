/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_core.c - any text as Core: it is refused, or it compiles and the loader accepts the file
 *
 * What is read is also written, and read again.
 */
#include "base/assert.h"
#include "bif/bif.h"
#include "lang/core_text.h"
#include "lang/emit.h"
#include "vm/code.h"
#include "vm/engine.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start_once(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    atom_table_init(0);
    literal_region_init();
    engine_init();
    bif_init();
}

static void write_and_read(const struct core_module *m)
{
    struct arena arena = { 0 };
    struct buf once = { 0 }, twice = { 0 };
    struct core_module *again;
    struct core_error error;

    core_dump(&once, m);
    if (core_read(&arena, (char *)once.data, once.len, &again, &error) == 0)
        core_dump(&twice, again);
    buf_fini(&once);
    buf_fini(&twice);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    struct buf beam = { 0 };
    struct core_module *m;
    struct core_error error;
    struct load_error load_error;
    struct prepared *pr;

    start_once();
    if (core_read(&arena, (const char *)data, size, &m, &error) == 0) {
        write_and_read(m);
        if (lang_emit(m, &beam, &error) == 0) {
            int rc = code_prepare(beam.data, beam.len, TERM_NONE, &pr, &load_error);

            ASSERT(rc == 0);
            prepared_free(pr);
        }
    }
    buf_fini(&beam);
    arena_fini(&arena);
    return 0;
}
