/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.c - the numbers inside pids, ports and references
 */
#include "term/ids.h"

#include "term/bits.h"

/* References of magic terms get the scheduler number that no scheduler has. */
#define MAGIC_SCHED ((uint64_t)1023)

struct node_entry *id_node(term id)
{
    if (is_box(id)) {
        unsigned kind = header_kind(box_header(id));

        if (kind >= HK_EXT_PID && kind <= HK_EXT_REF)
            return (struct node_entry *)(uintptr_t)box_ptr(id)[1];
    }
    return NULL;
}

uint32_t pid_number(term pid)
{
    return is_local_pid(pid) ? pid_slot(pid) : (uint32_t)(box_ptr(pid)[2] >> 32);
}

uint32_t pid_serial_number(term pid)
{
    return is_local_pid(pid) ? pid_serial(pid) : (uint32_t)box_ptr(pid)[2];
}

uint64_t port_number(term port)
{
    return is_local_port(port) ? imm_payload(port) : box_ptr(port)[2];
}

static unsigned ext_ref_words(const term *p, uint32_t *out)
{
    unsigned n = p[2] < REF_WORDS_MAX ? (unsigned)p[2] : REF_WORDS_MAX;

    for (unsigned i = 0; i < n; i++)
        out[i] = (uint32_t)(p[3 + i / 2] >> (32 * (i & 1)));
    return n;
}

unsigned ref_words(term ref, uint32_t out[REF_WORDS_MAX])
{
    uint64_t number;

    if (is_imm_ref(ref)) {
        number = imm_payload(ref);
    } else if (box_is(ref, HK_MAGIC)) {
        number = MAGIC_SCHED << 48 | ((uintptr_t)magic_blob(ref) >> 4 & 0xFFFFFFFFFFFF);
    } else if (box_is(ref, HK_REF)) {
        uint64_t owner = imm_payload(box_ptr(ref)[2]);

        number = box_ptr(ref)[1];
        out[3] = (uint32_t)owner;
        out[4] = (uint32_t)(owner >> 32);
    } else {
        return ext_ref_words(box_ptr(ref), out);
    }
    out[0] = (uint32_t)number;
    out[1] = (uint32_t)(number >> 32);
    out[2] = 0;
    return box_is(ref, HK_REF) ? 5 : 3;
}

term ref_from_words(const uint32_t *words, unsigned n, term **at)
{
    uint64_t number = (uint64_t)words[1] << 32 | words[0], owner;
    term *p;

    if ((n != 3 && n != 5) || words[2] != 0 || number >> 58 != 0)
        return TERM_NONE;
    if (n == 3)
        return imm_make(IMM_REF, number);
    owner = (uint64_t)words[4] << 32 | words[3];
    if (owner >> 58 != 0)
        return TERM_NONE;
    p = *at;
    p[0] = header_make(HK_REF, 2);
    p[1] = number;
    p[2] = imm_make(IMM_PID, owner);
    *at = p + ALIAS_WORDS;
    return box_term(p);
}
