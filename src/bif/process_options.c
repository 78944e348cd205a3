/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_options.c - option lists and flag values of processes
 */
#include "bif/process_options.h"

#include "heap/map.h"
#include "vm/relation.h"

bool priority_read(term value, uint8_t *ret)
{
    switch (value) {
    case ATOM_max:    *ret = PRIO_MAX; return true;
    case ATOM_high:   *ret = PRIO_HIGH; return true;
    case ATOM_normal: *ret = PRIO_NORMAL; return true;
    case ATOM_low:    *ret = PRIO_LOW; return true;
    }
    return false;
}

term priority_show(uint8_t prio)
{
    static const term names[PRIO_COUNT] = { ATOM_max, ATOM_high, ATOM_normal, ATOM_low };

    return names[prio];
}

bool msgq_read(term value, bool *ret_off_heap)
{
    *ret_off_heap = value == ATOM_off_heap;
    return value == ATOM_on_heap || value == ATOM_off_heap;
}

static bool read_words(term value, uint64_t *ret)
{
    if (!is_small(value) || small_val(value) < 0)
        return false;
    *ret = (uint64_t)small_val(value);
    return true;
}

static bool read_bool(term value, bool *ret)
{
    *ret = value == ATOM_true;
    return value == ATOM_true || value == ATOM_false;
}

bool max_heap_read(term value, struct max_heap *ret)
{
    term v;

    if (is_small(value))
        return read_words(value, &ret->words) && (ret->words == 0 || ret->words >= HEAP_MIN_WORDS);
    if (!is_map(value))
        return false;
    v = map_get(value, ATOM_size);
    if (v == TERM_NONE || !read_words(v, &ret->words) ||
        (ret->words != 0 && ret->words < HEAP_MIN_WORDS))
        return false;
    if ((v = map_get(value, ATOM_kill)) != TERM_NONE && !read_bool(v, &ret->kill))
        return false;
    if ((v = map_get(value, ATOM_error_logger)) != TERM_NONE && !read_bool(v, &ret->log))
        return false;
    v = map_get(value, ATOM_include_shared_binaries);
    return v == TERM_NONE || read_bool(v, &ret->shared);
}

term max_heap_show(struct heap *h, const struct max_heap *mh)
{
    term pairs[] = {
        ATOM_error_logger, mh->log ? ATOM_true : ATOM_false,
        ATOM_include_shared_binaries, mh->shared ? ATOM_true : ATOM_false,
        ATOM_kill, mh->kill ? ATOM_true : ATOM_false,
        ATOM_size, small_make(mh->words),
    };

    return map_from_pairs(h, pairs, 4);
}

static bool read_reply(term value, struct spawn_reply *r)
{
    switch (value) {
    case ATOM_yes:          r->on_ok = r->on_error = true; return true;
    case ATOM_no:           r->on_ok = r->on_error = false; return true;
    case ATOM_error_only:   r->on_ok = false; r->on_error = true; return true;
    case ATOM_success_only: r->on_ok = true; r->on_error = false; return true;
    }
    return false;
}

static bool read_max_heap(term value, struct spawn_options *opt)
{
    struct max_heap mh = { .kill = true, .log = true };

    if (!max_heap_read(value, &mh))
        return false;
    opt->max_heap_words = mh.words;
    opt->max_heap_kill = mh.kill;
    opt->max_heap_log = mh.log;
    return true;
}

static bool read_pair(term key, term value, struct spawn_options *opt, struct spawn_reply *reply)
{
    struct monitor_options mopt;
    uint64_t n;
    bool b;

    switch (key) {
    case ATOM_monitor:
        opt->flags |= SPAWN_MONITOR;
        opt->monitor_opts = value;
        return monitor_options_read(value, &mopt);
    case ATOM_priority:
        return priority_read(value, &opt->prio);
    case ATOM_message_queue_data:
        return msgq_read(value, &opt->msgq_off_heap);
    case ATOM_fullsweep_after:
        opt->has_fullsweep = true;
        if (!read_words(value, &n))
            return false;
        opt->fullsweep_after = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
        return true;
    case ATOM_min_heap_size:
        if (!read_words(value, &n) || n > UINT32_MAX)
            return false;
        opt->min_heap_words = n > HEAP_MIN_WORDS ? (uint32_t)n : 0;
        return true;
    case ATOM_max_heap_size:
        return read_max_heap(value, opt);
    case ATOM_min_bin_vheap_size:
    case ATOM_scheduler:
        return read_words(value, &n);
    case ATOM_async_dist:
        return read_bool(value, &b);
    case ATOM_reply:
        return reply != NULL && read_reply(value, reply);
    case ATOM_reply_tag:
        if (reply != NULL)
            reply->tag = value;
        return reply != NULL;
    }
    return false;
}

bool spawn_options_read(term list, struct spawn_options *opt, struct spawn_reply *reply)
{
    for (; is_cons(list); list = cdr(list)) {
        term o = car(list);

        if (o == ATOM_link)
            opt->flags |= SPAWN_LINK;
        else if (o == ATOM_monitor)
            opt->flags |= SPAWN_MONITOR;
        else if (!is_tuple_n(o, 2) ||
                 !read_pair(tuple_elem(o, 0), tuple_elem(o, 1), opt, reply))
            return false;
    }
    return is_nil(list);
}
