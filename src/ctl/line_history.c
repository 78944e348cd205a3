/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_history.c - the lines that a person typed, kept for the next time
 */
#include "ctl/line_history.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LINES_MAX 1000

/* Where they are, the folders made; NULL when there is no home. */
static char *find_path(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;

    if (state != NULL && *state == '/')
        path = mem_printf("%s/rnode/%s", state, name);
    else if (home != NULL && *home == '/')
        path = mem_printf("%s/.local/state/rnode/%s", home, name);
    else
        return NULL;
    for (char *s = path + 1; *s != 0; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        (void)mkdir(path, 0700);
        *s = '/';
    }
    return path;
}

bool line_history_open(struct line_history *h, const char *name)
{
    HistEvent ev;

    *h = (struct line_history){ .lines = history_init() };
    if (h->lines == NULL)
        return false;
    history(h->lines, &ev, H_SETSIZE, LINES_MAX);
    history(h->lines, &ev, H_SETUNIQUE, 1);
    h->path = find_path(name);
    if (h->path != NULL)
        history(h->lines, &ev, H_LOAD, h->path);
    return true;
}

void line_history_add(struct line_history *h, const char *line)
{
    HistEvent ev;
    mode_t mask;

    history(h->lines, &ev, H_ENTER, line);
    if (h->path == NULL)
        return;
    mask = umask(0077);
    history(h->lines, &ev, H_SAVE, h->path);
    umask(mask);
}

void line_history_close(struct line_history *h)
{
    if (h->lines != NULL)
        history_end(h->lines);
    mem_free(h->path);
    *h = (struct line_history){ 0 };
}
