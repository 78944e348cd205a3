/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.c - asking for the members of a cluster or a flock
 */
#include "ctl/targets.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "ctl/exits.h"

#include <string.h>

#define LIST_MS 10000

bool targets_are_several(const char *text)
{
    return strcmp(text, "all") == 0 || strncmp(text, "flock:", 6) == 0 || strchr(text, ',') != NULL;
}

static void add(struct targets *t, const char *name, size_t len)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strlen(t->names[i]) == len && memcmp(t->names[i], name, len) == 0)
            return;
    }
    if (t->n < TARGETS_MAX && len > 0)
        t->names[t->n++] = mem_printf("%.*s", (int)len, name);
}

static bool refuse(struct targets *t, int exit, const char *code, const char *message)
{
    t->exit = exit;
    t->code = mem_strdup(code);
    t->message = mem_strdup(message);
    return false;
}

static const char *cell_of(const head_t *h, const row_t *row, const char *column)
{
    for (size_t i = 0; h != NULL && i < h->n_columns && i < row->n_cells; i++) {
        if (strcmp(h->columns[i]->name, column) == 0)
            return row->cells[i]->text;
    }
    return "";
}

/* A node that said goodbye is not meant; one that is down is, and will be told of. */
static void take_row(struct targets *t, const head_t *h, const row_t *row)
{
    const char *name = cell_of(h, row, "node");

    if (strcmp(cell_of(h, row, "state"), "left") != 0)
        add(t, name, strlen(name));
}

static bool read_rows(struct targets *t, struct client *c, uint32_t id)
{
    frame_t *head = NULL;

    for (;;) {
        frame_t *f;
        int rc = client_next(c, id, LIST_MS, &f);
        bool good;

        if (rc == -ERR_BUSY)
            continue;
        if (rc < 0) {
            frame_free(head);
            return refuse(t, EXIT_UNREACHABLE, "RN0106", "the connection was lost");
        }
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_DONE) {
            good = f->done->exit == 0 || refuse(t, (int)f->done->exit, f->done->code, f->done->message);
            frame_free(f);
            frame_free(head);
            return good;
        }
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_HEAD && head == NULL) {
            head = f;
            continue;
        }
        if (f->body_case == RNODE__CONTROL__CONTROL__BODY_ROW)
            take_row(t, head != NULL ? head->head : NULL, f->row);
        frame_free(f);
    }
}

static bool ask(struct targets *t, const char *context, const char *command, const char *arg)
{
    request_t rq = RNODE__CONTROL__REQUEST__INIT;
    char *path = client_socket_path(context), *args[] = { (char *)(uintptr_t)arg };
    struct client c = { .fd = -1 };
    uint32_t id;
    bool good;

    rq.command = (char *)(uintptr_t)command;
    rq.args = args;
    rq.n_args = arg != NULL;
    if (client_open(&c, path) < 0) {
        char *text = mem_printf("no node answers at %s", path);

        good = refuse(t, EXIT_UNREACHABLE, "RN0105", text);
        mem_free(text);
    } else {
        good = client_request(&c, &rq, &id) == 0
                   ? read_rows(t, &c, id)
                   : refuse(t, EXIT_UNREACHABLE, "RN0106", "the connection was lost");
    }
    if (good && t->n == 0 && arg == NULL && c.hello != NULL)     /* in no cluster: itself is all */
        add(t, c.hello->hello->node, strlen(c.hello->hello->node));
    client_close(&c);
    mem_free(path);
    return good;
}

bool targets_find(struct targets *t, const char *context, const char *text)
{
    bool is_all = strcmp(text, "all") == 0;
    char *none;

    *t = (struct targets){ 0 };
    if (!is_all && strncmp(text, "flock:", 6) != 0) {
        for (const char *at = text; *at != '\0'; at += *at == ',') {
            size_t n = strcspn(at, ",");

            add(t, at, n);
            at += n;
        }
    } else if (!ask(t, context, is_all ? "nodes" : "flocks", is_all ? NULL : text + 6)) {
        return false;
    }
    if (t->n > 0)
        return true;
    none = mem_printf("%s has no nodes", text);
    (void)refuse(t, EXIT_NO, "RN0120", none);
    mem_free(none);
    return false;
}

void targets_fini(struct targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        mem_free(t->names[i]);
    mem_free(t->code);
    mem_free(t->message);
    *t = (struct targets){ 0 };
}
