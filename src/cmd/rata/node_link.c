/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_link.c - the command `call` of the control protocol
 */
#include "cmd/rata/node_link.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/exits.h"

#include <stdio.h>

#define CALL_MS 3600000u        /* an evaluation may take long; Ctrl-C ends this program */

void node_link_binary(struct buf *out, const void *data, size_t len)
{
    buf_str(out, "<<");
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%s%u", i > 0 ? "," : "", ((const uint8_t *)data)[i]);
    buf_str(out, ">>");
}

int node_link_open(struct node_link *l, const char *node, const char *who)
{
    char *path = client_socket_path(node);
    int rc = client_open(&l->client, path);

    l->who = who;
    if (rc < 0)
        fprintf(stderr, "%s: no node answers at %s: %s\n  = hint: rnoded --dev starts one\n", who,
                path, error_text(rc));
    mem_free(path);
    if (rc < 0)
        return rc == -ERR_PERMISSION ? EXIT_PERMISSION : EXIT_UNREACHABLE;
    return 0;
}

void node_link_close(struct node_link *l)
{
    client_close(&l->client);
}

static void show_chunk(const chunk_t *c)
{
    FILE *to = c->stream == RNODE__CONTROL__CHUNK__STREAM__OUTPUT ? stdout : stderr;

    fwrite(c->data.data, 1, c->data.len, to);
    fflush(to);
}

static int finished(const struct node_link *l, const done_t *d)
{
    if (d->exit != 0)
        fprintf(stderr, "%s: %s\n", l->who, d->message);
    return (int)d->exit;
}

/* Frames of one call until its end. */
static int receive_answer(struct node_link *l, uint32_t id, char *ret_value, size_t size)
{
    for (;;) {
        frame_t *f;
        int rc = client_next(&l->client, id, -1, &f), end = -1;

        if (rc == -ERR_BUSY)
            continue;
        if (rc < 0) {
            fprintf(stderr, "%s: the node has closed the connection\n", l->who);
            return EXIT_UNREACHABLE;
        }
        switch (f->body_case) {
        case RNODE__CONTROL__CONTROL__BODY_CHUNK:
            show_chunk(f->chunk);
            break;
        case RNODE__CONTROL__CONTROL__BODY_ROW:
            snprintf(ret_value, size, "%s", f->row->n_cells > 0 ? f->row->cells[0]->text : "");
            break;
        case RNODE__CONTROL__CONTROL__BODY_DONE:
            end = finished(l, f->done);
            break;
        default:
            break;
        }
        frame_free(f);
        if (end >= 0)
            return end;
    }
}

int node_link_call(struct node_link *l, const char *function, char *const *args, size_t n,
                   char *ret_value, size_t size)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    char **words = MEM_NEW_ARRAY(char *, n + 1);
    uint32_t id;
    int rc;

    words[0] = (char *)(uintptr_t)function;
    for (size_t i = 0; i < n; i++)
        words[i + 1] = args[i];
    ret_value[0] = 0;
    rq.command = (char[]){ "call" };
    rq.args = words;
    rq.n_args = n + 1;
    rq.timeout_ms = CALL_MS;
    rc = client_request(&l->client, &rq, &id);
    if (rc < 0)
        fprintf(stderr, "%s: this cannot be sent: %s\n", l->who, error_text(rc));
    rc = rc < 0 ? EXIT_UNREACHABLE : receive_answer(l, id, ret_value, size);
    mem_free(words);
    return rc;
}
