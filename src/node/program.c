/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - the end of a virtual machine that runs one program
 */
#include "node/program.h"

#include "bif/io.h"
#include "node/crash.h"
#include "vm/hooks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;                  /* [lk] */
    int exit;                   /* [lk] */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

void program_end(int exit)
{
    pthread_mutex_lock(&state.lock);
    if (!state.done) {
        state.done = true;
        state.exit = exit;
        pthread_cond_signal(&state.cond);
    }
    pthread_mutex_unlock(&state.lock);
}

static void on_halt(int status, bool dump, bool flush)
{
    if (dump)
        abort();
    program_end(status);
}

void program_plug(void)
{
    vm_halt_hook = on_halt;
    vm_crash_hook = crash_hook;
    vm_heap_limit_hook = heap_limit_hook;
}

int program_wait(int unwritten)
{
    pthread_mutex_lock(&state.lock);
    while (!state.done)
        pthread_cond_wait(&state.cond, &state.lock);
    pthread_mutex_unlock(&state.lock);
    io_flush();
    return fflush(stdout) == 0 ? state.exit : unwritten;
}
