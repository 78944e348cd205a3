/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dumps.c - crash dumps in their folder: listed, shown, dropped when old
 */
#include "ctl/dumps.h"

#include "base/alloc.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "ctl/node_api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DUMP_BYTES_MAX ((size_t)64 << 20)

/* Names are times, so the order of names is the order of age. */
static int is_dump(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

void dumps_drop_old(const char *dir, int kept)
{
    struct dirent **list;
    int n = scandir(dir, &list, is_dump, alphasort);

    for (int i = 0; i < n; i++) {
        char *path = mem_printf("%s/%s", dir, list[i]->d_name);

        if (i + kept < n)
            unlink(path);
        mem_free(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

/* Newest first. */
static void list_dumps(struct request *rq, const char *dir)
{
    static const struct column dump_columns[] = { { "file", COL_TEXT, false },
                                                  { "size", COL_BYTES, false } };
    struct dirent **list;
    int n = scandir(dir, &list, is_dump, alphasort);

    reply_head(rq, "rnode.crash/1", dump_columns, ARRAY_LEN(dump_columns), false);
    for (int i = n; i-- > 0;) {
        char *path = mem_printf("%s/%s", dir, list[i]->d_name);
        struct stat st;

        if (stat(path, &st) == 0)
            reply_row(rq, (struct cell[]){ CELL_TEXT(list[i]->d_name), CELL_NUMBER(st.st_size) },
                      ARRAY_LEN(dump_columns));
        mem_free(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    reply_done(rq, 0, 0, n > 0 ? "rnodectl crash FILE shows one" : "no crash dump in %s", dir);
}

static void show_dump(struct request *rq, const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name), chunk[65536];
    FILE *in = strchr(name, '/') == NULL && name[0] != '.' ? fopen(path, "re") : NULL;
    size_t n, sent = 0;

    mem_free(path);
    if (in == NULL) {
        reply_error(rq, EXIT_NO_INPUT, "RN0404", "rnodectl crash", NULL, "no crash dump `%s`", name);
        return;
    }
    while (sent < DUMP_BYTES_MAX && (n = fread(chunk, 1, sizeof chunk, in)) > 0) {
        reply_chunk(rq, RNODE__CONTROL__CHUNK__STREAM__OUTPUT, chunk, n);
        sent += n;
    }
    fclose(in);
    reply_done(rq, 0, 0, "%s", "");
}

void ctl_crash(struct request *rq)
{
    char *dir = mem_printf("%s/crash", node_api.data_dir);

    if (rq->msg->n_args == 0)
        list_dumps(rq, dir);
    else
        show_dump(rq, dir, request_arg(rq, 0));
    mem_free(dir);
}
