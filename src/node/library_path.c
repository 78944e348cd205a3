/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library_path.c - environment, build tree, installation
 */
#include "node/library_path.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of the program, in build/plain while it is not installed: config.status is there. */
static char *build_tree(void)
{
    char exe[4096], *slash, *mark, *folder = NULL;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0)
        return NULL;
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (slash == NULL)
        return NULL;
    *slash = 0;
    mark = mem_printf("%s/config.status", exe);
    if (access(mark, F_OK) == 0)
        folder = mem_printf("%s/lib/ebin", exe);
    mem_free(mark);
    return folder;
}

const char *library_path(void)
{
    static const char *path;

    if (path == NULL && (path = getenv("RNODE_LIBRARY")) == NULL && (path = build_tree()) == NULL)
        path = DATADIR "/ebin";
    return path;
}
