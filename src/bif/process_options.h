/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_options.h - option lists and flag values of processes, read and shown
 */
#ifndef BIF_PROCESS_OPTIONS_H
#define BIF_PROCESS_OPTIONS_H

#include "vm/process.h"

/* {reply, _} and {reply_tag, _} of spawn_request. */
struct spawn_reply { term tag; bool on_ok, on_error; };

/* Options of spawn_opt into *opt, which holds the defaults. reply: NULL where these are no
 * options. False: badarg. The monitor options stay terms. */
bool spawn_options_read(term list, struct spawn_options *opt, struct spawn_reply *reply);

struct max_heap { uint64_t words; bool kill, log, shared; };
/* A value of the max_heap_size flag over *ret, which holds what to keep. False: badarg. */
bool max_heap_read(term value, struct max_heap *ret);
term max_heap_show(struct heap *h, const struct max_heap *mh);

bool priority_read(term value, uint8_t *ret);
term priority_show(uint8_t prio);
/* on_heap or off_heap. */
bool msgq_read(term value, bool *ret_off_heap);

#define MIN_VHEAP_WORDS 46422   /* OTP's default of min_bin_vheap_size */

#endif
