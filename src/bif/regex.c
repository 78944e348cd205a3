/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.c - compiling with PCRE2, in the manner of the PCRE that OTP carries
 *
 * Three things differ from PCRE2's defaults: bytes above 127 are classed as ISO 8859-1, an unknown
 * escape is the letter itself, and a hyphen in a class next to \d or the like is a hyphen. The last
 * two are found out by compiling a second time.
 */
#include "bif/regex.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <pthread.h>

#define CACHE_SLOTS 128     /* per thread */

static _Thread_local struct regex cache[CACHE_SLOTS];

/* --- character tables ------------------------------------------------------------------------
 * The layout of what pcre2_maketables gives: lower case, other case, ten class bitmaps of 32 bytes,
 * type bits. It is PCRE2's own, so it is probed before it is changed, and left alone if unknown.
 */
enum {
    TABLE_LOWER = 0, TABLE_FLIP = 256, TABLE_CLASSES = 512, TABLE_TYPES = 832,
    CLASS_UPPER = 96, CLASS_LOWER = 128, CLASS_WORD = 160, CLASS_GRAPH = 192, CLASS_PRINT = 224,
    CLASS_PUNCT = 256, CLASS_CNTRL = 288,
    TYPE_LETTER = 0x02, TYPE_LOWER = 0x04, TYPE_WORD = 0x10,
};

static uint8_t *tables;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void class_add(int class, unsigned c)
{
    tables[TABLE_CLASSES + class + c / 8] |= (uint8_t)(1u << (c & 7));
}

static bool class_has(int class, unsigned c)
{
    return tables[TABLE_CLASSES + class + c / 8] >> (c & 7) & 1;
}

static bool tables_are_known(void)
{
    return tables[TABLE_LOWER + 'A'] == 'a' && tables[TABLE_FLIP + 'a'] == 'A' &&
           class_has(CLASS_UPPER, 'A') && !class_has(CLASS_UPPER, 'a') &&
           class_has(CLASS_LOWER, 'a') && !class_has(CLASS_LOWER, 'A') &&
           class_has(CLASS_WORD, '_') && !class_has(CLASS_WORD, '!') &&
           class_has(CLASS_GRAPH, '!') && !class_has(CLASS_GRAPH, ' ') &&
           class_has(CLASS_PRINT, ' ') && class_has(CLASS_PUNCT, '!') &&
           class_has(CLASS_CNTRL, 1) && !class_has(CLASS_CNTRL, 'a') &&
           tables[TABLE_TYPES + 'a'] == (TYPE_LETTER | TYPE_LOWER | TYPE_WORD) &&
           tables[TABLE_TYPES + 'A'] == (TYPE_LETTER | TYPE_WORD) &&
           tables[TABLE_TYPES + '_'] == TYPE_WORD;
}

/* ISO 8859-1, which is what OTP's tables hold. */
static void tables_make(void)
{
    tables = (uint8_t *)(uintptr_t)pcre2_maketables(NULL);
    if (tables == NULL || !tables_are_known())
        return;
    for (unsigned c = 128; c < 256; c++) {
        bool upper = c >= 0xC0 && c <= 0xDE && c != 0xD7;
        bool lower = (c >= 0xDF && c != 0xF7) || c == 0xAA || c == 0xB5 || c == 0xBA;

        class_add(c < 160 ? CLASS_CNTRL : CLASS_GRAPH, c);
        if (c >= 160)
            class_add(CLASS_PRINT, c);
        if (upper || lower) {
            class_add(upper ? CLASS_UPPER : CLASS_LOWER, c);
            class_add(CLASS_WORD, c);
            tables[TABLE_TYPES + c] |= TYPE_LETTER | TYPE_WORD | (lower ? TYPE_LOWER : 0);
        } else if (c >= 160) {
            class_add(CLASS_PUNCT, c);
        }
        if (upper) {
            tables[TABLE_LOWER + c] = (uint8_t)(c + 32);
            tables[TABLE_FLIP + c] = (uint8_t)(c + 32);
            tables[TABLE_FLIP + c + 32] = (uint8_t)c;
        }
    }
}

/* --- errors ---------------------------------------------------------------------------------- */

/* Texts that programs know from OTP, by PCRE2's numbers. */
static const struct { int code; const char *text; } error_texts[] = {
    { 101, "\\ at end of pattern" },
    { 102, "\\c at end of pattern" },
    { 104, "numbers out of order in {} quantifier" },
    { 105, "number too big in {} quantifier" },
    { 106, "missing terminating ] for character class" },
    { 108, "range out of order in character class" },
    { 109, "nothing to repeat" },
    { 111, "unrecognized character after (? or (?-" },
    { 113, "POSIX collating elements are not supported" },
    { 114, "missing )" },
    { 115, "reference to non-existent subpattern" },
    { 118, "missing ) after comment" },
    { 122, "unmatched parentheses" },
    { 124, "unrecognized character after (?<" },
    { 125, "lookbehind assertion is not fixed length" },
    { 129, "(?R or (?[+-]digits must be followed by )" },
    { 130, "unknown POSIX class name" },
    { 134, "character value in \\x{} or \\o{} is too large" },
    { 137, "PCRE does not support \\L, \\l, \\N{name}, \\U, or \\u" },
    { 138, "number after (?C is > 255" },
    { 142, "syntax error in subpattern name (missing terminator)" },
    { 143, "two named subpatterns have the same name" },
    { 144, "group name must start with a non-digit" },
    { 147, "unknown property name after \\P or \\p" },
    { 158, "(?R or (?[+-]digits must be followed by )" },
    { 160, "(*VERB) not recognized or malformed" },
};

static void error_fill(int code, size_t position, struct regex_error *ret)
{
    static _Thread_local char other[200];

    ret->position = position;
    if ((code == 137 || code == 143 || code == 147) && position > 0)
        ret->position--;        /* PCRE stopped before the character, PCRE2 stops behind it */
    if (code < 0) {             /* the pattern is not UTF-8 */
        ret->text = "invalid UTF-8 string";
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(error_texts); i++) {
        if (error_texts[i].code == code) {
            ret->text = error_texts[i].text;
            return;
        }
    }
    pcre2_get_error_message(code, (PCRE2_UCHAR *)other, sizeof other);
    ret->text = other;
}

/* --- compiling ------------------------------------------------------------------------------- */

static pcre2_compile_context *context_for(const struct regex_key *k, uint32_t extra)
{
    pcre2_compile_context *cc = pcre2_compile_context_create(NULL);

#ifdef PCRE2_EXTRA_ALLOW_LOOKAROUND_BSK
    extra |= PCRE2_EXTRA_ALLOW_LOOKAROUND_BSK;
#endif
    ASSERT(cc != NULL);
    pthread_once(&tables_once, tables_make);
    pcre2_set_character_tables(cc, tables);
    pcre2_set_compile_extra_options(cc, extra);
    if (k->newline != 0)
        pcre2_set_newline(cc, k->newline);
    if (k->bsr != 0)
        pcre2_set_bsr(cc, k->bsr);
    return cc;
}

enum { ERROR_UNKNOWN_ESCAPE = 103, ERROR_CLASS_RANGE = 150 };

/* Put a backslash before the hyphen that the error at `at` is about. False: there is none. */
static bool hyphen_escape(struct buf *pattern, size_t at)
{
    if (at >= pattern->len || pattern->data[at] != '-') {
        if (at == 0 || at > pattern->len || pattern->data[at - 1] != '-')
            return false;
        at--;
    }
    buf_u8(pattern, 0);
    memmove(pattern->data + at + 1, pattern->data + at, pattern->len - 1 - at);
    pattern->data[at] = '\\';
    return true;
}

static pcre2_code *compile(const struct regex_key *k, const uint8_t *text, size_t len,
                           uint32_t more_options, int *ret_error, size_t *ret_position)
{
    struct buf pattern = { 0 };
    uint32_t extra = 0;
    pcre2_code *code;
    bool again;

    buf_add(&pattern, text, len);
    do {
        pcre2_compile_context *cc = context_for(k, extra);

        code = pcre2_compile((PCRE2_SPTR)buf_cstr(&pattern), pattern.len,
                             (k->options & ~(uint32_t)PCRE2_NO_UTF_CHECK) | more_options,
                             ret_error, ret_position, cc);
        pcre2_compile_context_free(cc);
        again = false;
        if (code == NULL && *ret_error == ERROR_UNKNOWN_ESCAPE && extra == 0) {
            extra = PCRE2_EXTRA_BAD_ESCAPE_IS_LITERAL;
            again = true;
        } else if (code == NULL && *ret_error == ERROR_CLASS_RANGE) {
            again = hyphen_escape(&pattern, *ret_position);
        }
    } while (again);
    buf_fini(&pattern);
    return code;
}

static void regex_describe(struct regex *re)
{
    uint32_t newline = 0, options = 0;

    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->captures);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &re->name_entry_bytes);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
    pcre2_pattern_info(re->code, PCRE2_INFO_NEWLINE, &newline);
    pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &options);
    re->utf = (options & PCRE2_UTF) != 0;
    re->crlf = newline == PCRE2_NEWLINE_CRLF || newline == PCRE2_NEWLINE_ANY ||
               newline == PCRE2_NEWLINE_ANYCRLF;
}

static void regex_drop(struct regex *re)
{
    pcre2_match_data_free(re->match);
    pcre2_code_free(re->code);
    mem_free(re->key);
    memset(re, 0, sizeof *re);
}

static uint64_t key_hash(const uint8_t *key, size_t len)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ key[i]) * 0x100000001B3u;
    return h ^ h >> 29;
}

/* Compile the key into re, which holds nothing. */
static bool regex_make(struct regex *re, const uint8_t *key, size_t len, uint32_t more_options,
                       struct regex_error *ret_error)
{
    struct regex_key k;
    pcre2_code *code;
    size_t position;
    int rc;

    ret_error->text = NULL;
    if (len < sizeof k)
        return false;
    memcpy(&k, key, sizeof k);
    if (memcmp(k.magic, REGEX_MAGIC, sizeof k.magic) != 0)
        return false;
    code = compile(&k, key + sizeof k, len - sizeof k, more_options, &rc, &position);
    if (code == NULL) {
        error_fill(rc, position, ret_error);
        return false;
    }
    *re = (struct regex){
        .code = code, .match = pcre2_match_data_create_from_pattern(code, NULL),
        .key = mem_dup(key, len), .key_len = len, .hash = key_hash(key, len),
    };
    regex_describe(re);
    return true;
}

struct regex *regex_get(const uint8_t *key, size_t len, struct regex_error *ret_error)
{
    uint64_t hash = key_hash(key, len);
    struct regex *re = &cache[hash % CACHE_SLOTS], made;

    if (re->code != NULL && re->hash == hash && re->key_len == len &&
        memcmp(re->key, key, len) == 0)
        return re;
    if (!regex_make(&made, key, len, 0, ret_error))
        return NULL;
    regex_drop(re);
    *re = made;
    return re;
}

struct regex *regex_get_long(const uint8_t *key, size_t len, struct regex_error *ret_error)
{
    struct regex *re = MEM_NEW(struct regex);

    if (regex_make(re, key, len, PCRE2_AUTO_CALLOUT, ret_error))
        return re;
    mem_free(re);
    return NULL;
}

void regex_free(struct regex *re)
{
    regex_drop(re);
    mem_free(re);
}
