/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - what the rooms above hear of membership
 *
 * Events come on the cluster thread, in the order in which this node came to believe them; other
 * nodes may believe otherwise. What an event points at is lent for the call.
 */
#ifndef CLUSTER_WATCH_H
#define CLUSTER_WATCH_H

#include "base/compiler.h"

struct record;
struct note;

/* Frames on sessions that carry membership; the numbers are those of Frame in rn.proto. */
enum gossip_frame {
    GOSSIP_FRAME_PUSHPULL = 50, GOSSIP_FRAME_INDIRECT_PING = 51, GOSSIP_FRAME_INDIRECT_PONG = 52,
};

enum member_event_kind {
    MEMBER_EV_ALIVE,            /* was not there, or gone; or came back as another boot */
    MEMBER_EV_UPDATED,          /* the same boot says something new about itself */
    MEMBER_EV_SUSPECT,
    MEMBER_EV_UNSUSPECT,
    MEMBER_EV_DEAD,
    MEMBER_EV_LEFT,
    MEMBER_EV_FORGOTTEN,
    MEMBER_EV_NOTE,
    MEMBER_EV_VITAL,            /* load and versions from a ping or an ack */
    MEMBER_EV_CLONED,           /* another boot with our key is newer: this node must stop */
    MEMBER_EV_MERGE_BEGIN,
    MEMBER_EV_MERGE_END,
};

struct member_event {
    enum member_event_kind kind;
    uint64_t nid;               /* 0 for MERGE_* */
    const struct record *rec;
    const struct note *note;    /* NOTE */
    const struct vital *vital;  /* VITAL */
    uint64_t by;                /* SUSPECT, DEAD: who said so; ourselves after a probe of our own */
};

#endif
