/* SPDX-License-Identifier: Apache-2.0 */
/*
 * term.c - the shape of each boxed kind, as the collector, copying and hashing read it
 */
#include "term/term.h"

const struct hk_shape hk_shape[HK_COUNT] = {
    [HK_TUPLE]      = { 0, false, false },
    [HK_FLOAT]      = { HK_RAW, false, false },
    [HK_BIGPOS]     = { HK_RAW, false, false },
    [HK_BIGNEG]     = { HK_RAW, false, false },
    [HK_FUN]        = { 1, false, false },
    [HK_EXPORT_FUN] = { HK_RAW, false, false },
    [HK_REF]        = { HK_RAW, false, false },
    [HK_EXT_PID]    = { HK_RAW, true, false },
    [HK_EXT_PORT]   = { HK_RAW, true, false },
    [HK_EXT_REF]    = { HK_RAW, true, false },
    [HK_BIN]        = { HK_RAW, false, false },
    [HK_BIN_REF]    = { HK_RAW, true, false },
    [HK_BIN_SUB]    = { 2, false, false },
    [HK_MATCH]      = { 3, false, true },       /* base is an address into the last word's bytes */
    [HK_MAP_FLAT]   = { 0, false, false },
    [HK_MAP_ROOT]   = { 1, false, true },       /* bitmaps in the header, not a size */
    [HK_MAP_NODE]   = { 0, false, true },
    [HK_MAGIC]      = { HK_RAW, true, false },
};
