/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock_attr.h - attributes of members, and patterns over them, as bytes
 *
 * Attributes are a map of the program's, at most ATTRS_MAX keys and ATTRS_BYTES bytes. They are kept
 * and sent as a list of
 *
 *   u8 length, key | u8 type | u16 length, value      big endian, sorted by key
 *
 * with keys as text, and values as text that was an atom ('a') or a binary ('b'), whole numbers
 * ('i', 8 bytes), floats ('f', 8 bytes) or any other term ('e', external format). Text compares as
 * text, whatever it was, so a label of a configuration file matches an atom of a program. A node
 * that reads attributes of another makes no atoms from them: text that is no atom yet becomes a
 * binary. Pure functions; any thread that may use the heap.
 */
#ifndef DIST_FLOCK_ATTR_H
#define DIST_FLOCK_ATTR_H

#include "heap/heap.h"
#include "wire/unpack.h"

#define ATTRS_MAX       16
#define ATTRS_BYTES     512
#define CLAUSES_MAX     16
#define CLAUSE_VALUES_MAX 16

enum clause_op { OP_IS = 1, OP_ONE_OF, OP_AT_LEAST, OP_HAS };

struct clause_value { uint16_t len; uint8_t *data; };     /* type, then the value; owned */
struct clause {
    char *key;
    enum clause_op op;
    unsigned n;
    struct clause_value *values;
};

/* All clauses must hold; none: everything matches. */
struct pattern {
    unsigned n;
    struct clause clauses[CLAUSES_MAX];
};

/* Append the bytes of a map. -ERR_ARGUMENT: no map, or a key that is no text; -ERR_LIMIT. */
MUST_CHECK int attrs_write(struct buf *out, term map);
/* Append one attribute of text at its place in out (attributes of nodes). -ERR_LIMIT */
MUST_CHECK int attrs_add_text(struct buf *out, const char *key, const char *value);
/* Are these such bytes? */
bool attrs_ok(const uint8_t *data, size_t len);
/* A map of attributes that are ok. */
term attrs_term(struct heap *h, const uint8_t *data, size_t len);
/* "type=worker cores=4"; appends. */
void attrs_text(struct buf *out, const uint8_t *data, size_t len);
/* Visit attributes that are text, as strings. */
void attrs_visit_texts(const uint8_t *data, size_t len,
                       void (*visit)(void *arg, const char *key, const char *value), void *arg);
bool attrs_match(const uint8_t *data, size_t len, const struct pattern *p);

/* From [{Key, Value}] or a map (is), or [{Key, Op, Value}]; -ERR_ARGUMENT, -ERR_LIMIT. */
MUST_CHECK int pattern_from_term(term t, struct pattern **ret);
term pattern_term(struct heap *h, const struct pattern *p);
/* "key is value", for configuration. Appends a clause. */
MUST_CHECK int pattern_add_text(struct pattern *p, const char *key, const char *value);
struct pattern *pattern_copy(const struct pattern *p);     /* NULL gives NULL */
void pattern_free(struct pattern *p);                      /* NULL is fine */
/* "type is worker, cores at least 4"; appends. */
void pattern_text(struct buf *out, const struct pattern *p);

/* A pattern as messages, lent from p. */
struct pattern_wire {
    size_t n;
    Rn__Clause clauses[CLAUSES_MAX], *pointers[CLAUSES_MAX];
    ProtobufCBinaryData values[CLAUSES_MAX][CLAUSE_VALUES_MAX];
};
void pattern_to_wire(const struct pattern *p, struct pattern_wire *ret);
/* *ret is NULL for none. -ERR_PROTOCOL */
MUST_CHECK int pattern_from_wire(Rn__Clause *const *clauses, size_t n, struct pattern **ret);

#endif
