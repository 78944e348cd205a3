/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system.c - facts about the node, identifiers as text, showing terms
 */
#include "bif/bif.h"
#include "base/clock.h"
#include "base/slab.h"
#include "bif/io.h"
#include "bif/text.h"
#include "heap/map.h"
#include "heap/literal_purge.h"
#include "heap/parse.h"
#include "table/table.h"
#include "term/print.h"
#include "vm/process_priv.h"
#include "vm/sched.h"

#include <stdio.h>
#include <unistd.h>

/* The release whose library and compiler this node's built-ins follow. */
#define OTP_RELEASE "25"
#define ERTS_VERSION "13.1.5"
#define PORT_LIMIT 65536
#define ETS_LIMIT 8192

/* --- system_info ---------------------------------------------------------------------------------- */

/* The limits of a new process, as {Key, Value}. */
static term flag_pair(struct process *p, term key, int64_t value)
{
    return heap_tuple2(&p->heap, key, small_make(value));
}

static term max_heap_size(struct process *p)
{
    term pairs[6] = { ATOM_error_logger, ATOM_true, ATOM_kill, ATOM_true, ATOM_size,
                      small_make(0) };

    return map_from_pairs(&p->heap, pairs, 3);
}

/* Items that are one number; -1: not one of them. */
static int64_t info_number(term what)
{
    switch (what) {
    case ATOM_schedulers:
    case ATOM_schedulers_online:
    case ATOM_schedulers_total:
    case ATOM_dirty_cpu_schedulers:
    case ATOM_dirty_cpu_schedulers_online:
        return sched_count();
    case ATOM_dirty_io_schedulers:
        return 10;
    case ATOM_logical_processors:
    case ATOM_logical_processors_online:
    case ATOM_logical_processors_available:
        return sysconf(_SC_NPROCESSORS_ONLN);
    case ATOM_process_count:
        return process_count();
    case ATOM_process_limit:
        return 1048576;
    case ATOM_port_count:
        return 0;
    case ATOM_port_limit:
        return PORT_LIMIT;
    case ATOM_atom_count:
        return atom_count();
    case ATOM_atom_limit:
        return atom_max();
    case ATOM_ets_count:
        return (int64_t)table_count();
    case ATOM_ets_limit:
        return ETS_LIMIT;
    case ATOM_wordsize:
        return sizeof(term);
    case ATOM_context_reductions:
        return sched_reductions();
    case ATOM_thread_pool_size:
        return 1;
    case ATOM_creation:
    case ATOM_trace_control_word:
        return 0;
    case ATOM_delayed_node_table_gc:
        return 60;
    default:
        return -1;
    }
}

/* Items that are a word; TERM_NONE: not one of them. */
static term info_atom(term what)
{
    switch (what) {
    case ATOM_smp_support:
    case ATOM_threads:
    case ATOM_kernel_poll:
    case ATOM_time_correction:
    case ATOM_eager_check_io:
        return ATOM_true;
    case ATOM_debug_compiled:
    case ATOM_port_parallelism:
        return ATOM_false;
    case ATOM_multi_scheduling:
        return ATOM_enabled;
    case ATOM_tolerant_timeofday:
        return ATOM_enabled;
    case ATOM_heap_type:
        return ATOM_private;
    case ATOM_build_type:
    case ATOM_emu_type:
        return ATOM_opt;
    case ATOM_emu_flavor:
        return ATOM_emu;
    case ATOM_endian:
        return ATOM_little;
    case ATOM_time_warp_mode:
        return ATOM_no_time_warp;
    case ATOM_scheduler_bind_type:
        return ATOM_unbound;
    case ATOM_dynamic_trace:
        return ATOM_none;
    case ATOM_cpu_topology:
    case ATOM_modified_timing_level:
        return ATOM_undefined;
    default:
        return TERM_NONE;
    }
}

/* Items that are text. NULL: not one of them. */
static const char *info_text(term what)
{
    switch (what) {
    case ATOM_otp_release:
        return OTP_RELEASE;
    case ATOM_version:
        return ERTS_VERSION;
    case ATOM_machine:
        return "BEAM";
    case ATOM_system_version:
        return "rnode for Erlang/OTP " OTP_RELEASE " [64-bit] [smp]\n";
    case ATOM_system_architecture:
        return "x86_64-pc-linux-gnu";
    case ATOM_driver_version:
        return "3.3";
    case ATOM_nif_version:
        return "2.16";
    default:
        return NULL;
    }
}

static term info_pair(struct process *p, term what)
{
    if (tuple_elem(what, 0) == ATOM_wordsize &&
        (tuple_elem(what, 1) == ATOM_internal || tuple_elem(what, 1) == ATOM_external))
        return small_make(sizeof(term));
    if (tuple_elem(what, 0) == ATOM_cpu_topology)
        return ATOM_undefined;
    return bif_badarg(p);
}

term bif_system_info(struct process *p, const term *a)
{
    struct heap *h = &p->heap;
    term what = a[0], t;
    const char *text;
    int64_t n;

    if (is_tuple_n(what, 2))
        return info_pair(p, what);
    if ((n = info_number(what)) >= 0)
        return heap_int(h, n);
    if ((t = info_atom(what)) != TERM_NONE)
        return t;
    if ((text = info_text(what)) != NULL)
        return heap_cstr(h, text);
    switch (what) {
    case ATOM_os_type:
        return bif_os_type(p, a);
    case ATOM_os_version:
        return bif_os_version(p, a);
    case ATOM_scheduler_id:
        return small_make(p->sched->index + 1);
    case ATOM_compat_rel:
        return small_make(25);
    case ATOM_taints:
    case ATOM_dist_ctrl:
        return TERM_NIL;
    case ATOM_start_time:
    case ATOM_end_time:
        return heap_int(h, what == ATOM_start_time ? 0 : INT64_MAX);
    case ATOM_fullsweep_after:
        return flag_pair(p, what, 65535);
    case ATOM_min_heap_size:
        return flag_pair(p, what, 233);
    case ATOM_min_bin_vheap_size:
        return flag_pair(p, what, 46422);
    case ATOM_max_heap_size:
        return max_heap_size(p);
    case ATOM_schedulers_state:
        return heap_tuple3(h, small_make(sched_count()), small_make(sched_count()),
                           small_make(sched_count()));
    case ATOM_c_compiler_used:
        return heap_tuple2(h, ATOM_gnuc, heap_tuple3(h, small_make(__GNUC__),
                                                     small_make(__GNUC_MINOR__),
                                                     small_make(__GNUC_PATCHLEVEL__)));
    default:
        return bif_badarg(p);
    }
}

/* --- memory ------------------------------------------------------------------------------------------ */

static const term memory_types[] = {
    ATOM_total, ATOM_processes, ATOM_processes_used, ATOM_system, ATOM_atom, ATOM_atom_used,
    ATOM_binary, ATOM_code, ATOM_ets,
};

/* Only what the slabs hold is counted, without telling processes and binaries apart. */
static int64_t memory_of(term type)
{
    switch (type) {
    case ATOM_total:
    case ATOM_processes:
    case ATOM_processes_used:
        return (int64_t)slab_bytes_in_use();
    case ATOM_atom:
    case ATOM_atom_used:
        return (int64_t)atom_count() * 48;
    case ATOM_code:             /* literals, those of persistent_term included */
        return (int64_t)literal_bytes_in_use();
    default:
        return 0;
    }
}

static bool is_memory_type(term t)
{
    for (size_t i = 0; i < ARRAY_LEN(memory_types); i++)
        if (memory_types[i] == t)
            return true;
    return false;
}

term bif_memory_0(struct process *p, const term *a)
{
    term list = TERM_NIL;

    for (size_t i = ARRAY_LEN(memory_types); i > 0; i--)
        list = heap_cons(&p->heap,
                         heap_tuple2(&p->heap, memory_types[i - 1],
                                     heap_int(&p->heap, memory_of(memory_types[i - 1]))), list);
    return list;
}

term bif_memory_1(struct process *p, const term *a)
{
    term list = TERM_NIL;

    if (is_memory_type(a[0]))
        return heap_int(&p->heap, memory_of(a[0]));
    if (list_length(a[0]) < 0)
        return bif_badarg(p);
    for (term l = a[0]; is_cons(l); l = cdr(l)) {
        if (!is_memory_type(car(l)))
            return bif_badarg(p);
        list = heap_cons(&p->heap, heap_tuple2(&p->heap, car(l),
                                               heap_int(&p->heap, memory_of(car(l)))), list);
    }
    return bif_lists_reverse(p, (term[]){ list, TERM_NIL });
}

/* --- identifiers as text -------------------------------------------------------------------------------- */

static term printed(struct process *p, term t)
{
    struct buf out = { 0 };
    term list;

    term_print(&out, t, 0, 0);
    list = heap_cstr(&p->heap, buf_cstr(&out));
    buf_fini(&out);
    return list;
}

term bif_pid_to_list(struct process *p, const term *a)
{
    return is_pid(a[0]) ? printed(p, a[0]) : bif_badarg(p);
}

term bif_port_to_list(struct process *p, const term *a)
{
    return is_port(a[0]) ? printed(p, a[0]) : bif_badarg(p);
}

term bif_ref_to_list(struct process *p, const term *a)
{
    return is_ref(a[0]) ? printed(p, a[0]) : bif_badarg(p);
}

/* The whole text as one term, or TERM_NONE. start: how such a term begins. */
static term read_identifier(struct process *p, term list, const char *start)
{
    struct buf text = { 0 };
    char err[100];
    size_t used;
    term t = TERM_NONE;

    if (is_cons(list) && text_append(&text, list) &&
        strncmp(buf_cstr(&text), start, strlen(start)) == 0) {
        t = parse_term(&p->heap, buf_cstr(&text), text.len, &used, err, sizeof err);
        if (t != TERM_NONE && used != text.len)
            t = TERM_NONE;
    }
    buf_fini(&text);
    return t;
}

term bif_list_to_pid(struct process *p, const term *a)
{
    term t = read_identifier(p, a[0], "<");

    return t != TERM_NONE && is_pid(t) ? t : bif_badarg(p);
}

term bif_list_to_port(struct process *p, const term *a)
{
    term t = read_identifier(p, a[0], "#Port<");

    return t != TERM_NONE && is_port(t) ? t : bif_badarg(p);
}

term bif_list_to_ref(struct process *p, const term *a)
{
    term t = read_identifier(p, a[0], "#Ref<");

    return t != TERM_NONE && is_ref(t) ? t : bif_badarg(p);
}

/* --- showing -------------------------------------------------------------------------------------------- */

term bif_display(struct process *p, const term *a)
{
    struct buf out = { 0 };

    term_print(&out, a[0], PRINT_DISPLAY, 0);
    buf_u8(&out, '\n');
    io_write(p->group_leader, (const char *)out.data, out.len);
    buf_fini(&out);
    return ATOM_true;
}

term bif_display_nl(struct process *p, const term *a)
{
    io_write(p->group_leader, "\n", 1);
    return ATOM_true;
}

term bif_display_string_1(struct process *p, const term *a)
{
    struct buf out = { 0 };
    bool good = text_append(&out, a[0]);

    if (good)
        io_write(p->group_leader, buf_cstr(&out), out.len);
    buf_fini(&out);
    return good ? ATOM_true : bif_badarg(p);
}

term bif_display_string_2(struct process *p, const term *a)
{
    struct buf out = { 0 };
    bool good = (a[0] == ATOM_stdout_name || a[0] == ATOM_stderr_name || a[0] == ATOM_stdin_name) &&
                text_append(&out, a[1]);

    if (good && a[0] == ATOM_stderr_name)
        io_write_error(buf_cstr(&out), out.len);
    else if (good)
        io_write(p->group_leader, buf_cstr(&out), out.len);
    buf_fini(&out);
    return good ? ATOM_true : bif_badarg(p);
}

term bif_erts_debug_display(struct process *p, const term *a)
{
    struct buf out = { 0 };
    term list;

    term_print(&out, a[0], PRINT_DISPLAY, 0);
    buf_u8(&out, '\n');
    io_write(p->group_leader, (const char *)out.data, out.len);
    list = heap_cstr(&p->heap, buf_cstr(&out));
    buf_fini(&out);
    return list;
}

term bif_flat_size(struct process *p, const term *a)
{
    return heap_uint(&p->heap, term_size_whole(a[0]));
}

term bif_set_internal_state(struct process *p, const term *a)
{
    return ATOM_true;
}

term bif_get_internal_state(struct process *p, const term *a)
{
    return ATOM_undefined;
}

/* --- a node by itself -------------------------------------------------------------------------------------- */

term bif_nodes(struct process *p, const term *a)
{
    return TERM_NIL;
}

term bif_nodes_1(struct process *p, const term *a)
{
    term kinds = a[0];

    if (is_atom(kinds))
        kinds = heap_cons(&p->heap, kinds, TERM_NIL);
    for (; is_cons(kinds); kinds = cdr(kinds)) {
        if (car(kinds) == ATOM_this || car(kinds) == ATOM_known)
            return heap_cons(&p->heap, ATOM_nonode_nohost, TERM_NIL);
        if (car(kinds) != ATOM_visible && car(kinds) != ATOM_hidden &&
            car(kinds) != ATOM_connected)
            return bif_badarg(p);
    }
    return is_nil(kinds) ? TERM_NIL : bif_badarg(p);
}

term bif_is_alive(struct process *p, const term *a)
{
    return ATOM_false;
}

term bif_get_cookie(struct process *p, const term *a)
{
    return ATOM_nocookie;
}

term bif_monitor_node(struct process *p, const term *a)
{
    if (!is_atom(a[0]) || (a[1] != ATOM_true && a[1] != ATOM_false))
        return bif_badarg(p);
    return a[0] == ATOM_nonode_nohost ? ATOM_true : bif_error(p, ATOM_notalive);
}

/* The answers come as messages {Ref, Answer}. */
term bif_erts_is_process_alive(struct process *p, const term *a)
{
    term ref = a[1], answer;

    if (!is_local_pid(a[0]) || !is_ref(a[1]))
        return bif_badarg(p);
    answer = a[0] == p->pid || process_lookup(a[0]) != NULL ? ATOM_true : ATOM_false;
    process_send(p, p->pid, heap_tuple2(&p->heap, ref, answer));
    return ATOM_ok;
}

term bif_erts_group_leader(struct process *p, const term *a)
{
    term ref = a[2], answer = bif_group_leader_2(p, a);

    if (answer == TERM_NONE)
        return answer;
    process_send(p, p->pid, heap_tuple2(&p->heap, ref, answer));
    return ATOM_ok;
}

term bif_is_system_process(struct process *p, const term *a)
{
    return is_local_pid(a[0]) ? ATOM_false : bif_badarg(p);
}

term bif_one(struct process *p, const term *a)
{
    return small_make(1);
}

term bif_name_encoding(struct process *p, const term *a)
{
    return ATOM_utf8;
}

term bif_printable_range(struct process *p, const term *a)
{
    return ATOM_latin1;
}
