/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.c - which function answers which command
 */
#include "ctl/handlers.h"

request_fn *const request_handlers[CMD_COUNT] = {
    [CMD_status] = ctl_status,
    [CMD_ps] = ctl_ps,
    [CMD_top] = ctl_top,
    [CMD_inspect] = ctl_inspect,
    [CMD_tree] = ctl_tree,
    [CMD_names] = ctl_names,
    [CMD_modules] = ctl_modules,
    [CMD_memory] = ctl_memory,
    [CMD_tables] = ctl_tables,
    [CMD_deploy] = ctl_deploy,
    [CMD_rollback] = ctl_rollback,
    [CMD_history] = ctl_history,
    [CMD_purge] = ctl_purge,
    [CMD_call] = ctl_call,
    [CMD_eval] = ctl_eval,
    [CMD_send] = ctl_send,
    [CMD_spawn] = ctl_spawn,
    [CMD_kill] = ctl_kill,
    [CMD_trace] = ctl_trace,
    [CMD_logs] = ctl_logs,
    [CMD_doctor] = ctl_doctor,
    [CMD_drain] = ctl_drain,
    [CMD_resume] = ctl_resume,
    [CMD_gc] = ctl_gc,
    [CMD_plot] = ctl_plot,
    [CMD_events] = ctl_events,
    [CMD_metrics] = ctl_metrics,
    [CMD_web] = ctl_web,
    [CMD_backup] = ctl_backup,
    [CMD_check] = ctl_check,
    [CMD_reload] = ctl_reload,
    [CMD_stop] = ctl_stop,
};
