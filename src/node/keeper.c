/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - the store of this node
 */
#include "node/keeper.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metric.h"
#include "bif/durable.h"
#include "table/persist.h"

#include <stdio.h>

static struct store *the_store;
static bool is_relaxed;

static struct store_options store_options_of(const struct options *o)
{
    const char *sync = option_text(o, OPT_store_sync);

    return (struct store_options){
        .map_bytes = (size_t)option_number(o, OPT_store_map_size),
        .sync = is_relaxed || strcmp(sync, "off") == 0 ? STORE_SYNC_OFF
                : strcmp(sync, "commit") == 0 ? STORE_SYNC_COMMIT : STORE_SYNC_INTERVAL,
        .interval_ms = option_number(o, OPT_store_sync),
        .reader_max_ms = option_number(o, OPT_store_reader_max_age),
    };
}

static void on_event(enum store_event event, const char *text)
{
    switch (event) {
    case STORE_FAILING:
        LOG(ERROR, "store.failing", LOG_FIELDS("code", "RN0604"), "%s", text);
        break;
    case STORE_WELL:
        LOG(NOTICE, "store.well", NULL, "%s", text);
        break;
    case STORE_READER_ENDED:
        LOG(WARNING, "store.reader", LOG_FIELDS("code", "RN0605"), "%s", text);
        break;
    case STORE_READER_STALE:
        LOG(NOTICE, "store.reader", NULL, "%s", text);
        break;
    }
}

/* Tables by type and by where their rows are. */
struct table_sums { uint64_t tables[4][2], rows; };

static void sum_table(void *arg, struct table *t)
{
    struct table_sums *sums = arg;

    sums->tables[t->type][t->persist != NULL]++;
    sums->rows += (uint64_t)table_size(t);
}

static void measure_tables(struct metric_sink *sink, void *arg)
{
    static const char *const types[] = { "set", "ordered_set", "bag", "duplicate_bag" };
    struct table_sums sums = { { { 0 } }, 0 };
    char labels[64];

    table_visit(sum_table, &sums);
    for (int type = 0; type < 4; type++) {
        for (int disk = 0; disk < 2; disk++) {
            snprintf(labels, sizeof labels, "type=\"%s\",kept=\"%s\"", types[type],
                     disk ? "disk" : "ram");
            metric_emit(sink, M_tables, labels, (double)sums.tables[type][disk]);
        }
    }
    metric_emit(sink, M_table_rows, NULL, (double)sums.rows);
}

static void measure(struct metric_sink *sink, void *arg)
{
    struct store_stats s;

    store_stats(arg, &s);
    metric_emit(sink, M_store_used, NULL, (double)s.used_bytes);
    metric_emit(sink, M_store_map, NULL, (double)s.map_bytes);
    metric_emit(sink, M_store_readers, NULL, (double)s.readers);
    metric_emit(sink, M_store_oldest_reader, NULL, (double)s.oldest_reader_ns / 1e9);
}

int keeper_open(const char *folder, const struct options *o, bool relaxed)
{
    char *path = mem_printf("%s/store", folder);
    struct store_options opt;
    int rc;

    is_relaxed = relaxed;
    opt = store_options_of(o);
    rc = store_open(path, &opt, &the_store);
    mem_free(path);
    if (rc < 0)
        return rc;
    store_on_event(the_store, on_event);
    metric_collector_add(measure, the_store);
    metric_collector_add(measure_tables, NULL);
    return 0;
}

struct store *keeper_store(void)
{
    return the_store;
}

void keeper_reload(const struct options *o)
{
    struct store_options opt = store_options_of(o);

    if (the_store != NULL)
        store_configure(the_store, &opt);
}

static void say_damage(const char *text)
{
    LOG(ERROR, "store.damage", LOG_FIELDS("code", "RN0608"), "%s", text);
}

int keeper_restore(void)
{
    int rc = persist_start(the_store, say_damage);

    return rc == 0 ? durable_start() : rc;
}

void keeper_flush(void)
{
    /* what others wait for comes before, since batches keep their order */
    persist_stop_loading();
    if (the_store != NULL && store_delete(the_store, "meta", "sync", 4) < 0)
        LOG(ERROR, "store.failing", LOG_FIELDS("code", "RN0604"), "not everything was written");
}

void keeper_close(void)
{
    persist_stop();
    metric_collectors_clear();  /* the others ask rooms that have stopped already */
    store_close(TAKE(the_store));
}
