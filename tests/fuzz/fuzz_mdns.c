/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mdns.c - TXT records of strangers on the link
 *
 * The first byte says of which epoch our keys are. A record that is believed has the MAC of the
 * fixed key, which the corpus has and a fuzzer does not find.
 */
#include "base/assert.h"
#include "cluster/mdns_txt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool keys(void *arg, uint8_t epoch, struct mdns_keys *ret)
{
    *ret = (struct mdns_keys){ .epoch = epoch, .tag = { 1, 2, 3, 4, 5, 6, 7, 8 } };
    return epoch == *(const uint8_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct mdns_entry e;
    uint8_t epoch;

    if (len < 1)
        return 0;
    epoch = data[0];
    if (mdns_txt_read(data + 1, len - 1, "rn-01234567", keys, &epoch, &e) == 0)
        ASSERT(e.n_addrs >= 1 && e.n_addrs <= MDNS_ADDRS_MAX && e.addrs[0].port != 0);
    return 0;
}
