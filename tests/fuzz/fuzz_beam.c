/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_beam.c - any bytes as a .beam file: its tables, its instructions, and their text
 */
#include "beam/decode.h"
#include "beam/disasm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct beam_file f;
    struct beam_error e;
    struct beam_cursor c;
    struct beam_instr in;
    struct buf all = { 0 };

    if (beam_open(data, size, false, &f, &e) < 0)
        return 0;
    beam_cursor_init(&c, &f);
    while (beam_next(&c, &in) > 0) {
        struct buf text = { 0 };

        beam_instr_print(&text, &f, &in);
        buf_fini(&text);
    }
    beam_cursor_fini(&c);
    (void)!beam_disassemble(&f, &all, &e);
    buf_fini(&all);
    beam_close(&f);
    return 0;
}
