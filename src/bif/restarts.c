/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restarts.c - how often supervisors started their children again
 */
#include "bif/restarts.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "term/print.h"

#include <pthread.h>
#include <string.h>

#define ROWS_MAX   1000         /* the oldest makes room: supervisors come and go */
#define TEXT_BYTES 200

struct row {
    term supervisor;
    char *id, *reason;
    uint64_t count;
    int64_t last_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct row rows[ROWS_MAX];       /* [lk] */
static size_t nrows;                    /* [lk] */

static char *text_of(term t)
{
    struct buf b = { 0 };
    char *text;

    term_print(&b, t, PRINT_STRINGS | PRINT_UNICODE, TEXT_BYTES);
    text = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return text;
}

/* Under the lock. */
static struct row *row_find(term supervisor, const char *id)
{
    for (size_t i = 0; i < nrows; i++) {
        if (rows[i].supervisor == supervisor && strcmp(rows[i].id, id) == 0)
            return &rows[i];
    }
    return NULL;
}

static struct row *row_add(term supervisor, char *id)
{
    struct row *r = &rows[0];

    if (nrows < ROWS_MAX) {
        r = &rows[nrows++];
    } else {
        for (size_t i = 1; i < nrows; i++) {
            if (rows[i].last_ns < r->last_ns)
                r = &rows[i];
        }
        mem_free(r->id);
        mem_free(r->reason);
    }
    *r = (struct row){ .supervisor = supervisor, .id = id };
    return r;
}

/* {Reason, Stack}: the stack is in the log. */
static term without_stack(term why)
{
    bool stack = is_tuple_n(why, 2) && is_cons(tuple_elem(why, 1)) &&
                 is_tuple_n(car(tuple_elem(why, 1)), 4);

    return stack ? tuple_elem(why, 0) : why;
}

void restarts_note(term supervisor, term child_id, term why)
{
    char *id = text_of(child_id), *reason = text_of(without_stack(why));
    struct row *r;

    pthread_mutex_lock(&lock);
    r = row_find(supervisor, id);
    if (r == NULL)
        r = row_add(supervisor, TAKE(id));
    mem_free(r->reason);
    r->reason = reason;
    r->count++;
    r->last_ns = clock_system_ns();
    pthread_mutex_unlock(&lock);
    mem_free(id);
}

uint64_t restarts_of(term supervisor, const char *id, int64_t *ret_last_ns, struct buf *reason)
{
    struct row *r;
    uint64_t n = 0;

    pthread_mutex_lock(&lock);
    r = row_find(supervisor, id);
    if (r != NULL) {
        n = r->count;
        *ret_last_ns = r->last_ns;
        buf_str(reason, r->reason);
    }
    pthread_mutex_unlock(&lock);
    return n;
}
