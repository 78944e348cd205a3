/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_manifest.c - which signed manifests a node takes
 */
#include "ctl/manifest.h"

#include "auth/rights.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "dist/peer_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dist/own_ring.h"

static struct identity *operator_id, *peer_id_, *gone_id, *stranger_id;
static struct manifest_module modules[] = { { .name = "cart" }, { .name = "tax" } };

/* Why the manifest of this signer for target is not taken, or NULL. */
static const char *refusal(struct identity *by, const char *target, int64_t after_us)
{
    struct manifest m = { 0 };
    struct buf b = { 0 };
    const char *why;

    manifest_make(by, modules, 2, "ana", "fix", target, &b);
    why = manifest_check(b.data, b.len, after_us, &m);
    manifest_fini(&m);
    buf_fini(&b);
    return why;
}

static void what_is_signed_is_read(void **state)
{
    struct manifest m;
    struct buf b = { 0 };
    int64_t now = clock_system_ns() / 1000;

    manifest_make(operator_id, modules, 2, "ana", "fix", "a@x,me@x", &b);
    assert_null(manifest_check(b.data, b.len, 0, &m));
    assert_int_equal(m.n, 2);
    assert_string_equal(manifest_digest(&m, "cart"), modules[0].digest);
    assert_string_equal(manifest_digest(&m, "tax"), modules[1].digest);
    assert_null(manifest_digest(&m, "car"));
    assert_string_equal(m.user, "ana");
    assert_string_equal(m.message, "fix");
    assert_string_equal(m.target, "a@x,me@x");
    assert_true(m.made_at_us >= now && m.made_at_us < now + 10000000);
    manifest_fini(&m);
    buf_fini(&b);
}

static void any_damage_is_seen(void **state)
{
    struct manifest m;
    struct buf b = { 0 };

    manifest_make(operator_id, modules, 2, "ana", "fix", "me@x", &b);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 1;
        assert_non_null(manifest_check(b.data, b.len, 0, &m));
        b.data[i] ^= 1;
        assert_non_null(manifest_check(b.data, i, 0, &m));
    }
    assert_null(manifest_check(b.data, b.len, 0, &m));
    manifest_fini(&m);
    buf_fini(&b);
}

static void who_may_sign(void **state)
{
    assert_null(refusal(ring_identity(), "me@x", 0));
    assert_null(refusal(operator_id, "me@x", 0));
    assert_string_equal(refusal(peer_id_, "me@x", 0), "the node that signed it may not deploy here");
    assert_string_equal(refusal(gone_id, "me@x", 0), "the node that signed it may not deploy here");
    assert_string_equal(refusal(stranger_id, "me@x", 0), "the node that signed it may not deploy here");
}

static void for_whom(void **state)
{
    static const char *const no = "it is not for this node";

    assert_null(refusal(operator_id, "me", 0));
    assert_null(refusal(operator_id, "a,me,b@x", 0));
    assert_string_equal(refusal(operator_id, "", 0), no);
    assert_string_equal(refusal(operator_id, "m", 0), no);
    assert_string_equal(refusal(operator_id, "me@", 0), no);
    assert_string_equal(refusal(operator_id, "a@x,me@y", 0), no);
}

static void in_order(void **state)
{
    int64_t now = clock_system_ns() / 1000;

    assert_null(refusal(operator_id, "me", now - 1000000));
    assert_string_equal(refusal(operator_id, "me", now + 60000000), "it is older than what this node runs");
}

static void of_another_cluster(void **state)
{
    struct manifest m;
    struct buf b = { 0 };

    manifest_make(ring_identity(), modules, 2, "ana", "fix", "me@x", &b);
    assert_int_equal(ring_reset(), 0);
    assert_string_equal(manifest_check(b.data, b.len, 0, &m), "it is for another cluster");
    buf_fini(&b);
    assert_null(refusal(ring_identity(), "me@x", 0));       /* a node that is in none */
}

static int start(void **state)
{
    own_ring_open();
    operator_id = own_ring_admit("op@x", "operate");
    peer_id_ = own_ring_admit("peer@x", "peer");
    gone_id = own_ring_admit("gone@x", "admin");
    stranger_id = identity_new(NULL);
    assert_int_equal(ring_revoke(identity_key(gone_id)), 0);
    digest_text("one", 3, modules[0].digest);
    digest_text("two", 3, modules[1].digest);
    return 0;
}

static int stop(void **state)
{
    own_ring_close();
    identity_free(operator_id);
    identity_free(peer_id_);
    identity_free(gone_id);
    identity_free(stranger_id);
    epoch_drain();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_is_read), cmocka_unit_test(any_damage_is_seen),
        cmocka_unit_test(who_may_sign), cmocka_unit_test(for_whom), cmocka_unit_test(in_order),
        cmocka_unit_test(of_another_cluster),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, stop);
}
