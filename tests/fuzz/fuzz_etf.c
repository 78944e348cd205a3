/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_etf.c - the external term format decoder on any bytes
 *
 * What decodes must encode, and that must decode to an equal term.
 */
#include "heap/etf.h"

#include "base/alloc.h"
#include "term/atom.h"
#include "term/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct export *find_export(term module, term function, uint32_t arity, bool create)
{
    static struct export only;

    only.module = module;
    only.function = function;
    only.arity = arity;
    only.fun[0] = header_make(HK_EXPORT_FUN, 1);
    only.fun[1] = (term)(uintptr_t)&only;
    return &only;
}

static struct fun_entry *find_fun(term module, const uint8_t md5[16], uint32_t index,
                                  uint32_t old_uniq, uint32_t arity, uint32_t num_free,
                                  bool create)
{
    static struct fun_entry few[256];
    struct fun_entry *f = &few[num_free % 256];

    f->module = module;
    f->index = index;
    f->arity = (uint8_t)arity;
    f->num_free = num_free;
    return f;
}

static void start(void)
{
    static bool started;

    if (started)
        return;
    started = true;
    atom_table_init(0);
    literal_region_init();
    etf_env.export_lookup = find_export;
    etf_env.fun_lookup = find_fun;
}

static void check_round_trip(struct heap *h, term t)
{
    struct buf b = { 0 };
    struct reader r;
    term again;

    ASSERT(etf_encode(&b, t, 0, ETF_MINOR_DEFAULT) == 0);
    ASSERT(etf_size(t, 0, ETF_MINOR_DEFAULT) == b.len);
    r = reader_make(b.data, b.len);
    again = etf_decode(h, &r, 0);
    ASSERT(again != TERM_NONE && reader_left(&r) == 0);
    ASSERT(term_eq(t, again) && term_phash2(t) == term_phash2(again));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_make(data, size);
    struct heap h;
    term t;

    start();
    heap_bag_init(&h);
    t = etf_decode(&h, &r, 0);
    if (t != TERM_NONE)
        check_round_trip(&h, t);
    r = reader_make(data, size);
    t = etf_decode(&h, &r, ETF_SAFE | ETF_NO_VERSION);
    if (t != TERM_NONE)
        check_round_trip(&h, t);
    heap_fini(&h);
    return 0;
}
