/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c - a queue of jobs under one lock, and the threads that take from it
 *
 * A job is worth at least a system call, so the lock does not matter. Threads are started when a job
 * finds none idle, up to the limit, and stay. `phase` decides who frees it
 * when its process ends early: QUEUED -> DONE by the pool, QUEUED -> ABANDONED by the process.
 */
#include "vm/job.h"

#include "base/epoch.h"
#include "vm/sched.h"

#include <pthread.h>

#define JOB_THREADS_MAX 64

enum { JOB_QUEUED, JOB_DONE, JOB_ABANDONED };

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct job *queue_first, **queue_last = &queue_first;    /* [lk queue_lock] */
static bool stopping;                                           /* [lk queue_lock] */
static pthread_t threads[JOB_THREADS_MAX];                      /* [lk queue_lock] */
static unsigned nthreads, threads_max;                          /* [lk queue_lock] */
static unsigned idle, waiting;                                  /* [lk queue_lock] */

void job_done(struct job *job)
{
    uint8_t queued = JOB_QUEUED;
    term pid = job->pid;

    atomic_store(&job->done, true);
    /* After this the process may free the job. */
    if (!atomic_compare_exchange_strong(&job->phase, &queued, JOB_DONE)) {
        job->free(job);
        return;
    }
    epoch_enter();
    process_wake(pid);
    epoch_leave();
}

static void *pool_main(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "job");
    pthread_mutex_lock(&queue_lock);
    for (;;) {
        struct job *job = queue_first;

        if (job == NULL) {
            if (stopping)
                break;
            idle++;
            pthread_cond_wait(&queue_filled, &queue_lock);
            idle--;
            continue;
        }
        waiting--;
        queue_first = job->next;
        if (queue_first == NULL)
            queue_last = &queue_first;
        pthread_mutex_unlock(&queue_lock);
        job->run(job);
        job_done(job);
        pthread_mutex_lock(&queue_lock);
    }
    pthread_mutex_unlock(&queue_lock);
    return NULL;
}

void job_pool_start(unsigned n)
{
    stopping = false;
    threads_max = n < JOB_THREADS_MAX ? n : JOB_THREADS_MAX;
}

/* One that cannot be started is no harm while there are others. */
static void thread_add_locked(void)
{
    if (pthread_create(&threads[nthreads], NULL, pool_main, NULL) == 0)
        nthreads++;
    ASSERT(nthreads > 0);
}

void job_pool_stop(void)
{
    pthread_mutex_lock(&queue_lock);
    stopping = true;
    pthread_cond_broadcast(&queue_filled);
    pthread_mutex_unlock(&queue_lock);
    while (nthreads > 0)
        pthread_join(threads[--nthreads], NULL);
}

void job_expect(struct process *p, struct job *job)
{
    ASSERT(p->job == NULL);
    p->job = job;
    job->pid = p->pid;
    job->next = NULL;
    atomic_store(&job->done, false);
    atomic_store(&job->phase, JOB_QUEUED);
}

void job_drop(struct process *p)
{
    struct job *job = TAKE(p->job);

    job->free(job);
}

term job_submit(struct process *p, struct job *job, size_t n, const term *args)
{
    job_expect(p, job);
    pthread_mutex_lock(&queue_lock);
    *queue_last = job;
    queue_last = &job->next;
    if (++waiting > idle && nthreads < threads_max && !stopping)
        thread_add_locked();
    pthread_cond_signal(&queue_filled);
    pthread_mutex_unlock(&queue_lock);
    return bif_wait(p, n, args);
}

void job_abandon(struct process *p)
{
    struct job *job = TAKE(p->job);
    uint8_t queued = JOB_QUEUED;

    if (!atomic_compare_exchange_strong(&job->phase, &queued, JOB_ABANDONED))
        job->free(job);
}

void job_finish(struct process *p)
{
    struct job *job = TAKE(p->job);

    /* Done is said a moment before the phase: wait out that moment. */
    while (atomic_load(&job->phase) == JOB_QUEUED)
        ;
    job->free(job);
}
