/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_request.h - asking another process for something, as a built-in
 */
#ifndef BIF_PROCESS_REQUEST_H
#define BIF_PROCESS_REQUEST_H

#include "vm/process_priv.h"

/* Send the request and wait for its answer, which is returned: ATOM_undefined when the process is
 * gone; TERM_NONE: return it, the built-in will be called again with args. */
term process_request(struct process *p, term pid, enum request_kind kind, term operand,
                     size_t nargs, const term *args);
/* The dictionary of p as a list of pairs on h. */
term process_dictionary(struct process *p, struct heap *h);

#endif
