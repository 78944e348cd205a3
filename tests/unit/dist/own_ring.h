/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_ring.h - a store in a temporary folder and in it the ring of a cluster that "me@x" has founded
 */
#ifndef OWN_RING_H
#define OWN_RING_H

#include "auth/rights.h"
#include "base/alloc.h"
#include "dist/peer_ring.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static char own_folder[] = "/tmp/t_ring.XXXXXX";
static struct store *own_store;

static void own_ring_open(void)
{
    struct store_options so = { .map_bytes = 64 << 20, .sync = STORE_SYNC_OFF };
    char *path;

    assert_non_null(mkdtemp(own_folder));
    assert_int_equal(store_open(own_folder, &so, &own_store), 0);
    path = mem_printf("%s/node.key", own_folder);
    assert_int_equal(ring_open(own_store, path, "me@x"), 0);
    mem_free(path);
    assert_int_equal(ring_found(), 0);
}

static void own_ring_close(void)
{
    char *cmd = mem_printf("rm -rf %s", own_folder);

    ring_close();
    store_close(own_store);
    (void)!system(cmd);
    mem_free(cmd);
}

/* A new identity, admitted under that name with the rights of a role. */
static struct identity *own_ring_admit(const char *name, const char *role)
{
    struct identity *id = identity_new(NULL);

    assert_int_equal(ring_admit(identity_key(id), name, role_rights(role)), 0);
    return id;
}

#endif
