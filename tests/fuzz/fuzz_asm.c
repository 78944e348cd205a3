/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_asm.c - any bytes as a text for the assembler; what it makes must be a file that opens
 */
#include "base/assert.h"
#include "beam/asm.h"
#include "beam/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = { 0 };
    struct text_error e;
    struct beam_file f;

    if (beam_assemble((const char *)data, size, "fuzz.s", NULL, &out, &e) == 0) {
        int rc = beam_open(out.data, out.len, false, &f, NULL);

        ASSERT(rc == 0);
        beam_close(&f);
    }
    buf_fini(&out);
    return 0;
}
