/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.c - grapheme clusters and letter case, for nodes without OTP's module string
 *
 * Tables and rules are utf8proc's; the mappings of one character to several are special_case.tab.
 * Text is turned into UTF-8 first, whatever its nesting; results are binaries for binaries and flat
 * lists for lists, as OTP's are for flat input.
 */
#include "bif/bif.h"

#include "base/assert.h"
#include "bif/text.h"
#include "heap/blob.h"

#include <stdlib.h>
#include <utf8proc.h>

#define BYTES_PER_REDUCTION 32

enum case_kind { UPPER, LOWER, TITLE };

/* --- reading -------------------------------------------------------------------------------- */

/* The text of t in out; the caller frees it. False: t is no text. */
static bool text_of(struct process *p, term t, struct buf *out)
{
    *out = (struct buf){ 0 };
    if (!text_append(out, t)) {
        buf_fini(out);
        return false;
    }
    charge(p, (long)(out->len / BYTES_PER_REDUCTION));
    return true;
}

/* The code point at *at, which moves behind it. Only for text that text_append made. */
static utf8proc_int32_t next_code_point(const struct buf *text, size_t *at)
{
    utf8proc_int32_t c = 0;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text->data + *at,
                                          (utf8proc_ssize_t)(text->len - *at), &c);

    *at += n > 0 ? (size_t)n : 1;
    return c;
}

/* Does a cluster end between these two? state is 0 at the start of a text. */
static bool is_break(utf8proc_int32_t before, utf8proc_int32_t after, utf8proc_int32_t *state)
{
    return utf8proc_grapheme_break_stateful(before, after, state);
}

term bif_string_length(struct process *p, const term *a)
{
    struct buf text;
    utf8proc_int32_t last = 0, c, state = 0;
    int64_t n = 0;

    if (!text_of(p, a[0], &text))
        return bif_badarg(p);
    for (size_t at = 0; at < text.len; last = c) {
        c = next_code_point(&text, &at);
        n += n == 0 || is_break(last, c, &state);
    }
    buf_fini(&text);
    return small_make(n);
}

/* --- clusters ------------------------------------------------------------------------------- */

/* One cluster: a code point, or the list of several. */
static term cluster(struct heap *h, const utf8proc_int32_t *cp, size_t n)
{
    term list = TERM_NIL;

    if (n == 1)
        return small_make(cp[0]);
    for (size_t i = n; i > 0; i--)
        list = heap_cons(h, small_make(cp[i - 1]), list);
    return list;
}

term bif_string_to_graphemes(struct process *p, const term *a)
{
    struct buf text, points = { 0 }, starts = { 0 };
    const utf8proc_int32_t *cp;
    const size_t *start;
    utf8proc_int32_t state = 0, last = 0;
    size_t n = 0, end;
    term list = TERM_NIL;

    if (!text_of(p, a[0], &text))
        return bif_badarg(p);
    for (size_t at = 0; at < text.len; n++) {
        utf8proc_int32_t c = next_code_point(&text, &at);

        if (n == 0 || is_break(last, c, &state))
            buf_add(&starts, &n, sizeof n);
        buf_add(&points, &c, sizeof c);
        last = c;
    }
    cp = (const utf8proc_int32_t *)(const void *)points.data;
    start = (const size_t *)(const void *)starts.data;
    end = n;
    for (size_t i = starts.len / sizeof *start; i > 0; i--) {
        list = heap_cons(&p->heap, cluster(&p->heap, cp + start[i - 1], end - start[i - 1]), list);
        end = start[i - 1];
    }
    buf_fini(&text);
    buf_fini(&points);
    buf_fini(&starts);
    return list;
}

/* --- case ----------------------------------------------------------------------------------- */

struct special_case {
    uint8_t kind;
    uint32_t from, to[3];
};

static const struct special_case special_cases[] = {
#define SPECIAL_CASE(kind, from, a, b, c) { kind, from, { a, b, c } },
#include "bif/special_case.tab"
#undef SPECIAL_CASE
};

static int by_code_point(const void *key, const void *element)
{
    uint32_t c = *(const uint32_t *)key;
    const struct special_case *s = element;

    return c < s->from ? -1 : c > s->from;
}

/* The row for this character and kind, or NULL. The rows of one character stand together. */
static const struct special_case *special_case_find(uint32_t c, enum case_kind kind)
{
    const size_t n = sizeof special_cases / sizeof special_cases[0];
    const struct special_case *s, *end = special_cases + n;

    s = c < 0x80 ? NULL : bsearch(&c, special_cases, n, sizeof *s, by_code_point);
    if (s == NULL)
        return NULL;
    while (s > special_cases && s[-1].from == c)
        s--;
    for (; s < end && s->from == c; s++) {
        if (s->kind == kind)
            return s;
    }
    return NULL;
}

static void put_case(struct buf *out, utf8proc_int32_t c, enum case_kind kind)
{
    const struct special_case *s = special_case_find((uint32_t)c, kind);

    if (s != NULL) {
        for (size_t i = 0; i < 3 && s->to[i] != 0; i++)
            text_put(out, s->to[i]);
        return;
    }
    text_put(out, (uint32_t)(kind == UPPER   ? utf8proc_toupper(c)
                             : kind == LOWER ? utf8proc_tolower(c)
                                             : utf8proc_totitle(c)));
}

static term list_of(struct heap *h, const struct buf *text)
{
    term list = TERM_NIL;
    size_t end = text->len;

    for (size_t i = text->len; i > 0; i--) {
        size_t at = i - 1;

        if (((uint8_t)text->data[at] & 0xC0) == 0x80)
            continue;
        list = heap_cons(h, small_make(next_code_point(text, &at)), list);
        end = i - 1;
    }
    ASSERT(end == 0);
    return list;
}

/* t in another case; only its first character when first_only. */
static term change_case(struct process *p, term t, enum case_kind kind, bool first_only)
{
    struct buf text, out = { 0 };
    size_t at = 0;
    term result;

    if (!text_of(p, t, &text))
        return bif_badarg(p);
    while (at < text.len && !(first_only && at > 0))
        put_case(&out, next_code_point(&text, &at), kind);
    buf_add(&out, text.data + at, text.len - at);
    if (is_list(t))
        result = list_of(&p->heap, &out);
    else
        result = heap_binary(&p->heap, out.data, out.len);
    buf_fini(&text);
    buf_fini(&out);
    return result;
}

term bif_string_uppercase(struct process *p, const term *a)
{
    return change_case(p, a[0], UPPER, false);
}

term bif_string_lowercase(struct process *p, const term *a)
{
    return change_case(p, a[0], LOWER, false);
}

term bif_string_titlecase(struct process *p, const term *a)
{
    return change_case(p, a[0], TITLE, true);
}
