/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_sig.c - hand-written codecs beside protobuf-c; limits; the scan of terms
 */
#include "wire/scan.h"
#include "wire/varint.h"

#include "base/errors.h"
#include "unit/wire/sig_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* --- random frames --------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static uint8_t noise_bytes[70000];

static uint64_t rnd_number(void)
{
    return rnd(4) == 0 ? 0 : rnd(UINT64_MAX) >> rnd(64);
}

static struct span rnd_span(void)
{
    uint32_t len = rnd(4) == 0 ? 0 : (uint32_t)rnd(rnd(8) == 0 ? 20000 : 40);

    return (struct span){ noise_bytes + rnd(1000), len };
}

static void rnd_sig(unsigned kind, struct wire_space *space, struct wire_sig *s)
{
    memset(s, 0, sizeof *s);
    s->kind = (uint8_t)kind;
    s->atoms = space->atoms;
    s->receivers = space->receivers;
    switch (kind) {
#define U64(n, f)   s->f = rnd_number();
#define U32(n, f)   s->f = (uint32_t)rnd_number();
#define BOOL(n, f)  s->f = rnd(2);
#define BYTES(n, f) s->f = rnd_span();
#define TERM(n, f)  s->f = rnd_span();
#define ATOMS(n)                                                \
    s->n_atoms = (uint16_t)(rnd(3) == 0 ? 0 : rnd(SIG_ATOMS_MAX + 1));  \
    for (unsigned i = 0; i < s->n_atoms; i++)                   \
        space->atoms[i] = (uint32_t)rnd(2048);
#define MANY(n)                                                 \
    s->n_receivers = (uint16_t)rnd(300);                        \
    for (unsigned i = 0; i < s->n_receivers; i++)               \
        space->receivers[i] = rnd_number();
#define SIG(name, fields) case KIND_##name: fields break;
#include "wire/sig.tab"
#undef SIG
#undef U64
#undef U32
#undef BOOL
#undef BYTES
#undef TERM
#undef ATOMS
#undef MANY
    default:
        fail();
    }
}

/* 10,000 frames of each kind: the same bytes, and each side reads what the other wrote. */
static void same_as_protobuf_c(void **state)
{
    static struct wire_space space, back_space;
    struct wire_arena arena = { 0 };
    struct wire_sig s, back;
    unsigned kinds = 0;

    for (unsigned kind = 0; kind < KIND_END; kind++) {
        if (!sig_known(kind))
            continue;
        kinds++;
        for (int i = 0; i < 10000; i++) {
            struct buf ours = { 0 }, theirs = { 0 };
            ProtobufCMessage *m;
            const ProtobufCMessage *read;

            rnd_sig(kind, &space, &s);
            m = diff_message(&s);
            sig_write(&s, &ours);
            wire_pack(m, &theirs);
            free(m);
            assert_int_equal(ours.len, theirs.len);
            if (ours.len > 0)
                assert_memory_equal(ours.data, theirs.data, ours.len);
            assert_int_equal(sig_read(kind, ours.data, ours.len, &back_space, &back), 0);
            read = wire_unpack(wire_type(kind), ours.data, ours.len, &arena);
            assert_non_null(read);
            assert_true(diff_same(read, &back));
            assert_true(diff_same(read, &s));
            buf_fini(&ours);
            buf_fini(&theirs);
        }
    }
    assert_int_equal(kinds, 20);
    wire_arena_fini(&arena);
}

static void unknown_fields_are_passed_over(void **state)
{
    static struct wire_space space;
    struct buf b = { 0 };
    struct wire_sig s = { .kind = KIND_link, .from = 5, .to = 6 }, back;

    sig_write(&s, &b);
    for (int i = 0; i < SIG_UNKNOWN_MAX; i++)
        buf_add(&b, "\x7A\x02hi", 4);                   /* field 15, bytes */
    assert_int_equal(sig_read(KIND_link, b.data, b.len, &space, &back), 0);
    assert_int_equal(back.from, 5);
    assert_int_equal(back.to, 6);
    buf_add(&b, "\x7A\x02hi", 4);
    assert_int_equal(sig_read(KIND_link, b.data, b.len, &space, &back), -ERR_PROTOCOL);
    buf_fini(&b);
    assert_int_equal(sig_read(KIND_link, "\x0A\x01x", 3, &space, &back), -ERR_PROTOCOL);
    assert_int_equal(sig_read(KIND_link, "\x03", 1, &space, &back), -ERR_PROTOCOL);
    assert_int_equal(sig_read(KIND_link, "\x08", 1, &space, &back), -ERR_PROTOCOL);
    assert_int_equal(sig_read(KIND_down, "\x0A\x05" "abc", 5, &space, &back), -ERR_PROTOCOL);
}

static void too_many_atoms(void **state)
{
    static struct wire_space space;
    static const uint32_t atoms[SIG_ATOMS_MAX + 1];
    struct wire_sig s = { .kind = KIND_send, .to = 1, .atoms = atoms, .n_atoms = SIG_ATOMS_MAX }, back;
    struct buf b = { 0 };

    sig_write(&s, &b);
    assert_int_equal(sig_read(KIND_send, b.data, b.len, &space, &back), 0);
    assert_int_equal(back.n_atoms, SIG_ATOMS_MAX);
    buf_fini(&b);
    s.n_atoms++;
    sig_write(&s, &b);
    assert_int_equal(sig_read(KIND_send, b.data, b.len, &space, &back), -ERR_PROTOCOL);
    buf_fini(&b);
}

static void frames_of_a_batch(void **state)
{
    static const uint8_t two_bodies[] = { 0x0A, 4, 0x12, 0, 0x1A, 0 };
    uint8_t out[100], *at = out;
    struct reader r;
    struct frame_view f;
    struct wire_arena arena = { 0 };
    const Rn__Batch *pb;

    assert_int_equal(batch_head_len(KIND_link, 0, 4), batch_write_head(KIND_link, 0, 4, at) - at);
    at = batch_write_head(KIND_link, 0, 4, at);
    memcpy(at, "\x08\x05\x10\x06", 4);
    at = batch_write_head(KIND_code_act, FRAME_FLAG_MUST, 0, at + 4);
    r = reader_make(out, (size_t)(at - out));
    assert_int_equal(batch_next(&r, &f), 1);
    assert_int_equal(f.kind, KIND_link);
    assert_int_equal(f.body.len, 4);
    assert_int_equal(batch_next(&r, &f), 1);
    assert_int_equal(f.kind, KIND_code_act);
    assert_int_equal(f.flags, FRAME_FLAG_MUST);
    assert_int_equal(batch_next(&r, &f), 0);
    pb = (const Rn__Batch *)(const void *)protobuf_c_message_unpack(&rn__batch__descriptor, NULL,
                                                                   (size_t)(at - out), out);
    assert_non_null(pb);
    assert_int_equal(pb->n_frames, 2);
    assert_int_equal(pb->frames[0]->link->to, 6);
    assert_int_equal(pb->frames[1]->body_case, RN__FRAME__BODY_CODE_ACT);
    protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)pb, NULL);
    for (size_t cut = 1; cut < (size_t)(at - out); cut++) {
        int rc;

        r = reader_make(out, cut);
        while ((rc = batch_next(&r, &f)) == 1)
            ;
        assert_true(rc == -ERR_PROTOCOL || (rc == 0 && cut == 8));
    }
    r = reader_make(two_bodies, sizeof two_bodies);
    assert_int_equal(batch_next(&r, &f), -ERR_PROTOCOL);
    wire_arena_fini(&arena);
}

/* --- limits ------------------------------------------------------------------------------------ */

static const ProtobufCMessageDescriptor *const all_types[] = {
#define FRAME(number, name, Type, lane, rights, summary) &rn__##name##__descriptor,
#include "wire/frames.tab"
#undef FRAME
    &rn__hello__descriptor, &rn__credentials__descriptor, &rn__ring_entry__descriptor,
    &rn__ring_body__descriptor, &rn__gossip__descriptor, &rn__member_body__descriptor,
    &rn__name_entry__descriptor, &rn__clause__descriptor, &rn__flock_member__descriptor,
    &rn__raft_entry__descriptor, &rn__manifest__descriptor, &rn__binding__descriptor,
};

static void every_repeated_field_has_its_limit(void **state)
{
    static const struct { const ProtobufCMessageDescriptor *type; const char *field; } rows[] = {
#define LIMIT(message, field, most) { &rn__##message##__descriptor, #field },
#include "wire/limits.tab"
#undef LIMIT
    };
    unsigned repeated = 0;

    for (size_t t = 0; t < ARRAY_LEN(all_types); t++) {
        for (unsigned i = 0; i < all_types[t]->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &all_types[t]->fields[i];
            bool found = false;

            if (f->label != PROTOBUF_C_LABEL_REPEATED)
                continue;
            repeated++;
            for (size_t k = 0; k < ARRAY_LEN(rows); k++)
                found |= rows[k].type == all_types[t] && strcmp(rows[k].field, f->name) == 0;
            if (!found)
                print_message("%s.%s\n", all_types[t]->name, f->name);
            assert_true(found);
        }
    }
    assert_int_equal(repeated, ARRAY_LEN(rows));
}

static void unpack_refuses(void **state)
{
    struct wire_arena arena = { 0 };
    struct buf b = { 0 };

    for (int i = 0; i < 8; i++)
        buf_add(&b, "\x6A\x01" "a", 3);                 /* Hello.addrs */
    assert_non_null(wire_unpack(&rn__hello__descriptor, b.data, b.len, &arena));
    buf_add(&b, "\x6A\x01" "a", 3);
    assert_null(wire_unpack(&rn__hello__descriptor, b.data, b.len, &arena));
    b.len = 0;
    for (int i = 0; i < 5000; i++)
        buf_add(&b, "\x0A\x00", 2);                     /* empty GossipItems: 70 times their bytes */
    assert_null(wire_unpack(&rn__gossip__descriptor, b.data, b.len, &arena));
    b.len = 0;
    for (int i = 0; i < 40; i++)
        buf_add(&b, "\xF8\x3F\x01", 3);                 /* unknown fields */
    assert_null(wire_unpack(&rn__hello__descriptor, b.data, b.len, &arena));
    buf_fini(&b);
    wire_arena_fini(&arena);
}

/* --- terms ------------------------------------------------------------------------------------- */

static int scan(const void *p, size_t len)
{
    return term_scan(p, len, 3, true, NULL, NULL, NULL);
}
#define SCAN(s) scan(s, sizeof s - 1)

static void terms_that_pass(void **state)
{
    assert_int_equal(SCAN("\x61\x01"), 0);
    assert_int_equal(SCAN("\x62\0\0\0\1"), 0);
    assert_int_equal(SCAN("\x6A"), 0);
    assert_int_equal(SCAN("\x52\x02"), 0);
    assert_int_equal(SCAN("\x68\x02\x52\x00\x6B\x00\x02hi"), 0);
    assert_int_equal(SCAN("\x6C\0\0\0\1\x61\1\x6A"), 0);
    assert_int_equal(SCAN("\x74\0\0\0\1\x52\0\x6D\0\0\0\2hi"), 0);
    assert_int_equal(SCAN("\x46\0\0\0\0\0\0\0\0"), 0);
    assert_int_equal(SCAN("\x6E\x02\0\1\2"), 0);
    assert_int_equal(SCAN("\x4D\0\0\0\1\7\xFE"), 0);
    assert_int_equal(SCAN("\x58\x77\3a@b\0\0\0\1\0\0\0\0\0\0\0\1"), 0);
    assert_int_equal(SCAN("\x5A\0\2\x52\1\0\0\0\1\0\0\0\1\0\0\0\2"), 0);
    assert_int_equal(SCAN("\x71\x52\0\x52\1\x61\1"), 0);
}

static void terms_that_do_not(void **state)
{
    assert_int_equal(SCAN("\x52\x03"), -ERR_PROTOCOL);          /* not in the list */
    assert_int_equal(SCAN("\x61"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x61\1\1"), -ERR_PROTOCOL);          /* and something after */
    assert_int_equal(SCAN("\x50\0\0\0\1\x78\x9C"), -ERR_PROTOCOL);  /* compressed */
    assert_int_equal(SCAN("\x75\0\0\0\0"), -ERR_PROTOCOL);      /* fun of the old form */
    assert_int_equal(SCAN("\x6D\xFF\xFF\xFF\xFF" "a"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x6C\xFF\xFF\xFF\xFF\x61\1"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x74\xFF\xFF\xFF\xFF\x61\1"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x69\xFF\xFF\xFF\xFF\x61\1"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x5A\0\6\x52\1\0\0\0\1"), -ERR_PROTOCOL);
    assert_int_equal(SCAN("\x58\x61\1\0\0\0\1\0\0\0\0\0\0\0\1"), -ERR_PROTOCOL);
    assert_int_equal(SCAN(""), -ERR_PROTOCOL);
}

static void depth_has_a_limit(void **state)
{
    struct buf b = { 0 };

    for (int i = 0; i < SCAN_DEPTH_MAX; i++)
        buf_add(&b, "\x68\x01", 2);
    buf_u8(&b, 0x6A);
    assert_int_equal(scan(b.data, b.len), 0);
    b.len--;
    buf_add(&b, "\x68\x01\x6A", 3);
    assert_int_equal(scan(b.data, b.len), -ERR_LIMIT);
    buf_fini(&b);
}

/* Each length at the border: exact passes, one more does not. */
static void every_cut_is_refused(void **state)
{
    static const char term[] =
        "\x68\x04\x6B\x00\x02hi\x6D\0\0\0\3abc\x6C\0\0\0\2\x61\1\x62\0\0\0\1\x6A"
        "\x74\0\0\0\1\x77\2ok\x6E\x01\0\xFF";

    assert_int_equal(SCAN(term), 0);
    for (size_t cut = 0; cut < sizeof term - 1; cut++)
        assert_int_equal(scan(term, cut), -ERR_PROTOCOL);
}

static bool two_only(void *arg, const uint8_t *text, size_t len, bool utf8)
{
    return ++*(int *)arg <= 2;
}

static void new_atoms_are_announced(void **state)
{
    int n = 0;

    assert_int_equal(term_scan((const uint8_t *)"\x68\x02\x77\1a\x73\1b", 8, 0, true, two_only, &n,
                               NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(term_scan((const uint8_t *)"\x77\1c", 3, 0, true, two_only, &n, NULL),
                     -ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_protobuf_c),
        cmocka_unit_test(unknown_fields_are_passed_over),
        cmocka_unit_test(too_many_atoms),
        cmocka_unit_test(frames_of_a_batch),
        cmocka_unit_test(every_repeated_field_has_its_limit),
        cmocka_unit_test(unpack_refuses),
        cmocka_unit_test(terms_that_pass),
        cmocka_unit_test(terms_that_do_not),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(new_atoms_are_announced),
    };

    for (size_t i = 0; i < sizeof noise_bytes; i++)
        noise_bytes[i] = (uint8_t)rnd(256);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
