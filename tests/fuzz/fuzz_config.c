/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config.c - configuration files of any contents
 *
 * A file is taken or refused with a reason; what was taken must print as a file that is taken too.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "node/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = mem_alloc(len + 1);
    struct buf errors = { 0 }, printed = { 0 };
    struct options o;
    int rc;

    memcpy(text, data, len);
    text[len] = 0;
    options_init(&o);
    rc = options_parse(&o, "fuzz.conf", text, &errors);
    ASSERT((rc < 0) == (errors.len > 0));
    options_print(&o, &printed);
    options_fini(&o);
    buf_fini(&errors);
    buf_fini(&printed);
    mem_free(text);
    return 0;
}
