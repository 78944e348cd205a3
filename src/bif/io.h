/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - what programs print, and the processes that speak the I/O protocol
 *
 * A group leader of ours is a process that runs rnode_io:loop/0. Everything a program prints reaches
 * io_output_hook with the pid of its leader, so that whoever made a leader can have its output.
 */
#ifndef BIF_IO_H
#define BIF_IO_H

#include "base/bytes.h"
#include "vm/process.h"

/* Where output goes: leader is the group leader of the program (or any term when it has none of
 * ours). Called by any scheduler; must not block for long. NULL: standard output. Set before the
 * first process starts. */
extern void (*io_output_hook)(term leader, const char *bytes, size_t len);

/* Where reports of crashes and of logger go; NULL: standard error. level is an atom such as error. */
extern void (*io_log_hook)(term level, const char *bytes, size_t len);

void io_write(term leader, const char *bytes, size_t len);      /* any thread */
/* Standard output itself: for the hook, when it knows no better place. */
void io_console_write(const char *bytes, size_t len);
void io_write_error(const char *bytes, size_t len);
void io_log(term level, const char *bytes, size_t len);
/* Write out what standard output still holds: at the end, and when nothing happens. */
void io_flush(void);

/* Load the module of the leaders and start `user` and `standard_error`. Once, after vm_start. The
 * pid of user. */
term io_start(void);
/* Start the process kernel_sup (kernel_sup.c). Once, after io_start. */
void kernel_sup_start(void);
/* Another leader: for one call of a controller, say. Whoever still has it when it is stopped gets no
 * answer from it any more. Any thread inside an epoch. */
term io_leader_start(void);
void io_leader_stop(term leader);

/* io_lib:format. False: bad format or arguments; out may hold a part. */
bool io_format(struct buf *out, term format, term args);

#endif
