/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rows.c - stored rows and entries of the catalogue, on any bytes
 *
 * The first byte chooses the type of table and the place of its key; the rest is a stored value.
 * What loads must have a stored key, or be too long for one, and be found under its key.
 */
#include "table/persist.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(struct table *t, struct heap *bag, const uint8_t *value, size_t len)
{
    term objects = value_decode(t, bag, value, len), key;
    uint8_t bytes[SORTKEY_MAX];
    size_t n;
    int rc;

    if (objects == TERM_NONE)
        return;
    key = tuple_elem(car(objects), t->keypos - 1);
    rc = sortkey_make(key, t->type != TABLE_ORDERED_SET, bytes, &n);
    ASSERT(rc <= 0 && n <= SORTKEY_MAX);
    ASSERT(table_member(t, key) == 1);
    (void)term_is_storable(objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct table_options opt = { .write_concurrency = ATOM_false, .heir = ATOM_none,
                                 .heir_data = TERM_NIL }, other;
    struct persist ps = { 0 };
    struct reader r;
    struct table *t;
    struct heap bag;
    uint8_t id[ID_BYTES];
    term d;

    if (!ready)
        atom_table_init(0);
    ready = true;
    if (size == 0)
        return 0;
    opt.type = data[0] % 4;
    opt.keypos = data[0] / 4 % 4 + 1;
    epoch_enter();
    t = table_new_hidden(&opt);
    ps.deleted = table_new_hidden(&opt);
    t->persist = &ps;
    heap_bag_init(&bag);
    load_row(t, &bag, data + 1, size - 1);
    t->persist = NULL;
    look_up(t, &bag, data + 1, size - 1);
    r = reader_make(data + 1, size - 1);
    d = etf_decode(&bag, &r, 0);
    if (d != TERM_NONE)
        (void)options_from(d, &other, id);
    heap_fini(&bag);
    table_free_hidden(ps.deleted);
    table_free_hidden(t);
    epoch_leave();
    return 0;
}
