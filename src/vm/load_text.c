/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_text.c - modules that the node brings itself, written in assembler
 */
#include "vm/code.h"

#include "base/errors.h"
#include "beam/asm.h"

#include <stdio.h>

int code_prepare_text(const char *text, size_t len, const char *source, term expect,
                      struct prepared **ret, struct load_error *ret_error)
{
    struct asm_options options = { .compress = false };
    struct text_error error;
    struct buf beam = { 0 };
    int rc = beam_assemble(text, len, source, &options, &beam, &error);

    if (rc == 0)
        rc = code_prepare(beam.data, beam.len, expect, ret, ret_error);
    else
        snprintf(ret_error->text, sizeof ret_error->text, "%s: %s", source, error_text(rc));
    buf_fini(&beam);
    return rc;
}
