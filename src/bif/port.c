/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.c - the loop of a port, and the built-ins that speak with one
 *
 * What a built-in asks is done at once by whoever owns the port's process: REQUEST_PORT with
 * {command, Data}, {connect, Pid}, close, or {info, Item}.
 */
#include "bif/bif.h"
#include "bif/port.h"
#include "base/alloc.h"
#include "bif/own_code.h"
#include "bif/process_request.h"
#include "heap/etf.h"
#include "heap/iolist.h"
#include "vm/relation.h"
#include "vm/registry.h"

static const char loop_text[] =
    "module rnode_port\n"
    "export loop/0\n"
    "function loop/0\n"
    "    allocate 0 0\n"
    "    move start x0\n"
    "    line\n"
    "    call_ext 1 rnode_port:handle/1\n"
    "  next:\n"
    "    loop_rec @idle x0\n"
    "    remove_message\n"
    "    line\n"
    "    call_ext 1 rnode_port:handle/1\n"
    "    jump @next\n"
    "  idle:\n"
    "    wait @next\n";

/* --- messages ------------------------------------------------------------------------------------------- */

/* The owner hears of what is no command, or not in its name. */
static void complain(struct process *p)
{
    (void)exit_send(p, port_of_process(p)->owner, ATOM_badsig);
}

static void reply(struct process *p, term to, term what)
{
    process_send(p, to, heap_tuple2(&p->heap, p->pid, what));
}

/* {Owner, What}: the reason to end for, or TERM_NONE. */
static term command(struct process *p, term from, term what)
{
    struct port *port = port_of_process(p);
    size_t bytes;

    if (from != port->owner) {
        complain(p);
    } else if (what == ATOM_close) {
        process_set_exit(p, ATOM_normal);
        process_exit_tell(p, from);
        reply(p, from, ATOM_closed);
    } else if (is_tuple_n(what, 2) && tuple_elem(what, 0) == ATOM_command &&
               iolist_size(tuple_elem(what, 1), &bytes)) {
        if (!port_write(port, tuple_elem(what, 1), bytes))
            return ATOM_einval;
        charge(p, (int64_t)(bytes / 512));
        return port_flush(p);
    } else if (is_tuple_n(what, 2) && tuple_elem(what, 0) == ATOM_connect &&
               is_local_pid(tuple_elem(what, 1)) && process_lookup(tuple_elem(what, 1)) != NULL) {
        port_set_owner(port, tuple_elem(what, 1));      /* and no link, as in OTP */
        reply(p, from, ATOM_connected);
    } else {
        complain(p);
    }
    return TERM_NONE;
}

static term handle_event(struct process *p, int64_t event)
{
    switch (event) {
    case PORT_READABLE: return port_read(p);
    case PORT_WRITABLE: return port_flush(p);
    case PORT_CHILD:    return port_child_ended(p);
    default:            return TERM_NONE;
    }
}

/* What the loop says first. */
static void begin(struct process *p)
{
    struct port *port = port_of_process(p);

    if (port->in >= 0)
        port_poll(p->pid, port->in, PORT_READABLE);
    if (port->child_fd >= 0)
        port_poll(p->pid, port->child_fd, PORT_CHILD);
}

term bif_port_handle_1(struct process *p, const term *a)
{
    term why = TERM_NONE, m = a[0];

    if (p->ext == NULL || p->ext->port == NULL)
        return bif_badarg(p);
    if (is_small(m))
        why = handle_event(p, small_val(m));
    else if (m == ATOM_start)
        begin(p);
    else if (is_tuple_n(m, 3) && tuple_elem(m, 0) == ATOM_EXIT)
        why = tuple_elem(m, 2);
    else if (is_tuple_n(m, 2))
        why = command(p, tuple_elem(m, 0), tuple_elem(m, 1));
    if (why != TERM_NONE)
        process_set_exit(p, why);
    return p->exit_reason != TERM_NONE ? TERM_NONE : ATOM_ok;
}

/* --- requests, as the owner of the port's process ------------------------------------------------- */

static term peers(const struct process *p, enum relation_class class, struct heap *h)
{
    const struct relation *r;
    uint32_t at = 0;
    term list = TERM_NIL;

    while ((r = relation_next(p, &at)) != NULL)
        if (relation_class(r) == class && r->session == 0)
            list = heap_cons(h, r->peer, list);
    return list;
}

/* TERM_NONE: there is no such item. */
static term info_value(struct process *p, term item, struct heap *h)
{
    struct port *port = port_of_process(p);
    term name;

    switch (item) {
    case ATOM_name:         return heap_cstr(h, port->name);
    case ATOM_links:        return peers(p, REL_LINK, h);
    case ATOM_monitored_by: return peers(p, REL_WATCHER, h);
    case ATOM_monitors:     return TERM_NIL;
    case ATOM_id:           return heap_uint(h, imm_payload(p->pid));
    case ATOM_connected:    return port->owner;
    case ATOM_input:        return heap_uint(h, port->bytes_in);
    case ATOM_output:       return heap_uint(h, port->bytes_out);
    case ATOM_os_pid:       return port->child != 0 ? small_make(port->child) : ATOM_undefined;
    case ATOM_queue_size:   return heap_uint(h, port->queue.len - port->queue_at);
    case ATOM_memory:       return heap_uint(h, heap_bytes(&p->heap) + port->queue.cap + port->rest.cap);
    case ATOM_parallelism:  return ATOM_false;
    case ATOM_locking:      return ATOM_port_level;
    case ATOM_registered_name:
        name = atomic_load(&p->registered);
        return is_atom(name) ? name : TERM_NIL;
    default:                return TERM_NONE;
    }
}

static const term usual_items[] = {
    ATOM_name, ATOM_links, ATOM_id, ATOM_connected, ATOM_input, ATOM_output, ATOM_os_pid,
};

/* {Item, Value}; [] for no name; all that is usual for ATOM_all; ATOM_badarg: no such item. */
static term info(struct process *p, term item, struct heap *h)
{
    term list = TERM_NIL, value;

    if (item != ATOM_all) {
        value = info_value(p, item, h);
        if (value == TERM_NONE)
            return ATOM_badarg;
        return item == ATOM_registered_name && is_nil(value) ? TERM_NIL
                                                             : heap_tuple2(h, item, value);
    }
    for (size_t i = ARRAY_LEN(usual_items); i-- > 0; )
        list = heap_cons(h, heap_tuple2(h, usual_items[i], info_value(p, usual_items[i], h)), list);
    value = info_value(p, ATOM_registered_name, h);
    return is_nil(value) ? list : heap_cons(h, heap_tuple2(h, ATOM_registered_name, value), list);
}

/* Write for a built-in. TERM_NONE: the answer comes when there is room. */
static term write_for(struct process *p, const struct sig *sig, term data)
{
    struct port *port = port_of_process(p);
    size_t bytes = 0;
    bool fits = iolist_size(data, &bytes) && port_write(port, data, bytes);
    term why = fits ? port_flush(p) : ATOM_einval;

    if (why != TERM_NONE) {
        process_set_exit(p, why);
        return ATOM_true;
    }
    if (port->queue.len - port->queue_at <= PORT_QUEUE_HIGH)
        return ATOM_true;
    port->waiters = mem_realloc(port->waiters, (port->waiters_n + 1) * sizeof *port->waiters);
    port->waiters[port->waiters_n++] = (struct port_waiter){ sig->from, sig->a };
    return TERM_NONE;
}

/* Close at once: the asker hears of the end before the answer. */
static term close_for(struct process *p, term asker)
{
    process_set_exit(p, ATOM_normal);
    process_exit_tell(p, asker);
    return ATOM_true;
}

static term answer_to(struct process *p, const struct sig *sig, struct heap *h)
{
    term what = sig->b, tag = is_tuple_n(what, 2) ? tuple_elem(what, 0) : what;

    if (p->exit_reason != TERM_NONE)
        return ATOM_undefined;
    if (tag == ATOM_close)
        return close_for(p, sig->from);
    what = tuple_elem(what, 1);
    if (tag == ATOM_info)
        return info(p, what, h);
    if (tag == ATOM_connect) {
        port_set_owner(port_of_process(p), what);
        (void)link_make(p, what);
        return ATOM_true;
    }
    return write_for(p, sig, what);
}

static void request(struct process *p, struct sig *sig)
{
    struct process *asker = process_lookup(sig->from);
    struct heap bag;
    term answer;

    heap_bag_init(&bag);
    answer = answer_to(p, sig, &bag);
    if (answer != TERM_NONE && asker != NULL)
        signal_send(asker, sig_new_copy(SIG_REPLY, p->pid, sig->a, answer));
    heap_fini(&bag);
    sig_free(sig);
}

/* --- built-ins ------------------------------------------------------------------------------------------ */

/* The port that t names, or TERM_NONE. */
static term port_of(term t)
{
    if (is_atom(t))
        t = registry_whereis(t);
    return t != TERM_NONE && is_local_port(t) ? t : TERM_NONE;
}

/* Ask; a port that is gone is a bad argument. */
static term ask(struct process *p, term port, term what, size_t n, const term *a)
{
    term r = process_request(p, port, REQUEST_PORT, what, n, a);

    return r == ATOM_undefined || r == ATOM_badarg ? bif_badarg(p) : r;
}

static term command_to(struct process *p, size_t n, const term *a)
{
    term port = port_of(a[0]);
    size_t bytes;

    if (port == TERM_NONE || !iolist_size(a[1], &bytes))
        return bif_badarg(p);
    charge(p, (int64_t)(bytes / 512) + 4);
    return ask(p, port, heap_tuple2(&p->heap, ATOM_command, a[1]), n, a);
}

term bif_port_command_2(struct process *p, const term *a)
{
    return command_to(p, 2, a);
}

term bif_port_command_3(struct process *p, const term *a)
{
    term o = a[2];

    for (; is_cons(o) && (car(o) == ATOM_force || car(o) == ATOM_nosuspend); o = cdr(o)) {
    }
    return is_nil(o) ? command_to(p, 3, a) : bif_badarg(p);
}

term bif_port_close_1(struct process *p, const term *a)
{
    term port = port_of(a[0]);

    return port == TERM_NONE ? bif_badarg(p) : ask(p, port, ATOM_close, 1, a);
}

term bif_port_connect_2(struct process *p, const term *a)
{
    term port = port_of(a[0]);

    if (port == TERM_NONE || !is_local_pid(a[1]) || process_lookup(a[1]) == NULL)
        return bif_badarg(p);
    return ask(p, port, heap_tuple2(&p->heap, ATOM_connect, a[1]), 2, a);
}

/* No port of ours has more than pipes. */
term bif_port_control_3(struct process *p, const term *a)
{
    return bif_badarg(p);
}

term bif_port_call_3(struct process *p, const term *a)
{
    return bif_badarg(p);
}

static term info_of(struct process *p, term item, size_t n, const term *a)
{
    term port = port_of(a[0]), r;

    if (port == TERM_NONE)
        return is_atom(a[0]) || is_local_port(a[0]) ? ATOM_undefined : bif_badarg(p);
    r = process_request(p, port, REQUEST_PORT, heap_tuple2(&p->heap, ATOM_info, item), n, a);
    return r == ATOM_badarg ? bif_badarg(p) : r;
}

term bif_port_info_1(struct process *p, const term *a)
{
    return info_of(p, ATOM_all, 1, a);
}

term bif_port_info_2(struct process *p, const term *a)
{
    return is_atom(a[1]) && a[1] != ATOM_all ? info_of(p, a[1], 2, a) : bif_badarg(p);
}

term bif_ports_0(struct process *p, const term *a)
{
    charge(p, process_port_count() / 16);
    return port_ids(&p->heap);
}

void port_init(void)
{
    bool loaded = own_code_load(loop_text, sizeof loop_text - 1, ATOM_rnode_port);

    ASSERT(loaded);
    port_request = request;
}
