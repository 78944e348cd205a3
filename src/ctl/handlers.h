/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.h - one function per command of the node; request.h has the contract
 */
#ifndef CTL_HANDLERS_H
#define CTL_HANDLERS_H

#include "ctl/request.h"

request_fn ctl_status;                                              /* status.c */
request_fn ctl_ps, ctl_top, ctl_tree, ctl_names, ctl_modules, ctl_memory;   /* look.c */
request_fn ctl_inspect;                                             /* inspect.c */
request_fn ctl_tables;                                              /* tables.c */
request_fn ctl_nodes, ctl_flocks;                                   /* cluster.c */
request_fn ctl_deploy, ctl_rollback, ctl_history, ctl_purge;        /* code.c */
request_fn ctl_call, ctl_eval, ctl_send, ctl_spawn, ctl_kill;       /* act.c */
request_fn ctl_trace, ctl_traces;                                   /* trace.c */
size_t trace_session_count(void);   /* traces that run now; any thread */
request_fn ctl_diff;                                                /* diff.c */
request_fn ctl_restart;                                             /* sup.c */
request_fn ctl_ports;                                               /* ports.c */
request_fn ctl_profile;                                             /* profile.c */
request_fn ctl_backup;                                              /* backup.c */
request_fn ctl_check;                                               /* check.c */
request_fn ctl_metrics, ctl_web, ctl_plot;                          /* figures.c */
request_fn ctl_doctor;                                              /* doctor.c */
request_fn ctl_crash;                                               /* dumps.c */
request_fn ctl_drain, ctl_resume, ctl_gc;                           /* act.c */
request_fn ctl_events;                                              /* admin.c */
request_fn ctl_logs, ctl_reload, ctl_stop, ctl_config;              /* admin.c */
request_fn ctl_invite, ctl_join, ctl_leave, ctl_forget, ctl_keys, ctl_ping;     /* ring.c */

#endif
