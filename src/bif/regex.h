/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.h - compiled regular expressions, found again by what they were made from
 *
 * A compiled pattern that a program holds is a binary of a struct regex_key and the pattern's text:
 * it may be stored, sent and read back anywhere, and a forged one is only another pattern. The
 * machine code of PCRE2 behind it lives in a cache of the calling thread, so a regex is good until
 * the same thread asks for the next one.
 */
#ifndef BIF_REGEX_H
#define BIF_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/bytes.h"

struct regex_key {
    char     magic[4];      /* REGEX_MAGIC */
    uint32_t options;       /* PCRE2_x for pcre2_compile */
    uint8_t  newline;       /* PCRE2_NEWLINE_x, 0: default */
    uint8_t  bsr;           /* PCRE2_BSR_x, 0: default */
    uint8_t  zero[2];
    /* the pattern's bytes follow */
};

#define REGEX_MAGIC "RNr1"

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    uint8_t *key;           /* own copy */
    size_t key_len;
    uint64_t hash;
    uint32_t captures;      /* parentheses */
    uint32_t names, name_entry_bytes;
    PCRE2_SPTR name_table;
    bool utf;               /* by option or by (*UTF) in the pattern */
    bool crlf;              /* CR LF is, or may be, one line end */
};

struct regex_error { const char *text; size_t position; };

/* The same, made for a long match: not shared with anybody, and code compiled so that `callout` is
 * called at each step of a match. regex_free ends it. */
struct regex *regex_get_long(const uint8_t *key, size_t len, struct regex_error *ret_error);
void regex_free(struct regex *re);      /* one of regex_get_long */

/* The regex of a key; NULL: malformed key (ret_error->text NULL) or malformed pattern. */
struct regex *regex_get(const uint8_t *key, size_t len, struct regex_error *ret_error);

#endif
