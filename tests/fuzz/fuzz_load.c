/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_load.c - the loader on any bytes: refused with a reason, or an image that can be freed
 */
#include "vm/code.h"

#include "bif/bif.h"
#include "heap/heap.h"
#include "term/atom.h"
#include "vm/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(void)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct load_error why;
    struct prepared *pr;

    start();
    if (code_prepare(data, size, TERM_NONE, &pr, &why) == 0)
        prepared_free(pr);
    else
        ASSERT(why.text[0] != '\0');
    return 0;
}
