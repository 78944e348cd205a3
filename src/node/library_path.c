/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library_path.c - environment, build tree, beside the program, installation
 */
#include "node/library_path.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* dir/rest if dir/mark exists, else NULL. */
static char *folder_if(const char *dir, const char *mark, const char *rest)
{
    char *probe = mem_printf("%s/%s", dir, mark);
    char *folder = access(probe, F_OK) == 0 ? mem_printf("%s/%s", dir, rest) : NULL;

    mem_free(probe);
    return folder;
}

/* Found from the place of the program: build/plain while it is not installed (config.status is
 * there), else PREFIX/bin or PREFIX/sbin, so that an installed copy can be moved. */
static char *beside_program(void)
{
    char exe[4096], *slash, *folder;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0)
        return NULL;
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (slash == NULL)
        return NULL;
    *slash = 0;
    folder = folder_if(exe, "config.status", "lib/ebin");
    if (folder == NULL)
        folder = folder_if(exe, "../share/rnode/ebin", "../share/rnode/ebin");
    return folder;
}

const char *library_path(void)
{
    static const char *path;

    if (path == NULL && (path = getenv("RNODE_LIBRARY")) == NULL &&
        (path = beside_program()) == NULL)
        path = DATADIR "/ebin";
    return path;
}
