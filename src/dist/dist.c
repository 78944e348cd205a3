/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dist.c - plugging: the engine's hooks and the frames of peers
 */
#include "dist/dist.h"

#include "dist/dist_priv.h"
#include "dist/names.h"
#include "dist/place.h"
#include "heap/etf.h"
#include "term/atom.h"

#include <string.h>

void dist_init(void)
{
    nodes_init();
    rpc_init();
    names_init();
    place_init();
    vm_remote = &dist_remote;
}

void dist_start(void)
{
    rpc_start();
    place_start();
}

void dist_alive(const char *name, uint32_t creation)
{
    etf_env.local_node = atom_from_utf8(name, strlen(name));
    etf_env.local_creation = creation;
    session_init();
    receive_init();
    names_alive();
}
