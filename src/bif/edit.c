/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.c - rnode_edit: terminal() is whether there is a line editor and a terminal for it, and
 * line(Prompt, Words) is a line of it (a binary without newline), nil at the end, interrupt for
 * Ctrl-C; Words is a text of words that may be completed
 */
#include "bif/edit.h"

#include "base/alloc.h"
#include "bif/bif.h"
#include "bif/text.h"

const struct edit_hooks *edit_hooks;

struct edit_job {
    struct job job;
    struct buf prompt, words;   /* with a NUL */
    struct buf line;
    enum edit_result result;
};

static void edit_job_run(struct job *job)
{
    struct edit_job *j = CONTAINER_OF(job, struct edit_job, job);

    j->result = edit_hooks->read_line((const char *)j->prompt.data, (const char *)j->words.data,
                                      &j->line);
}

static void edit_job_free(struct job *job)
{
    struct edit_job *j = CONTAINER_OF(job, struct edit_job, job);

    buf_fini(&j->prompt);
    buf_fini(&j->words);
    buf_fini(&j->line);
    mem_free(j);
}

term bif_edit_terminal(struct process *p, const term *a)
{
    (void)p;
    (void)a;
    return edit_hooks != NULL && edit_hooks->is_terminal() ? ATOM_true : ATOM_false;
}

static term result_of(struct process *p, const struct edit_job *j)
{
    switch (j->result) {
    case EDIT_LINE:
        return heap_binary(&p->heap, j->line.data, j->line.len);
    case EDIT_INTERRUPT:
        return ATOM_interrupt;
    default:
        return ATOM_nil;
    }
}

term bif_edit_line(struct process *p, const term *a)
{
    struct edit_job *j;
    term result;

    if (p->job != NULL) {
        j = CONTAINER_OF(p->job, struct edit_job, job);
        if (!atomic_load(&j->job.done))
            return bif_wait(p, 2, a);
        result = result_of(p, j);
        job_finish(p);
        return result;
    }
    if (edit_hooks == NULL)
        return bif_badarg(p);
    j = MEM_NEW(struct edit_job);
    j->job.run = edit_job_run;
    j->job.free = edit_job_free;
    if (!text_path(&j->prompt, a[0]) || !text_path(&j->words, a[1])) {
        edit_job_free(&j->job);
        return bif_badarg(p);
    }
    buf_u8(&j->prompt, 0);
    buf_u8(&j->words, 0);
    return job_submit(p, &j->job, 2, a);
}
