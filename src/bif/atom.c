/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atom.c - atoms from text and text from atoms
 *
 * Text passes through UTF-8 in a local buffer: no atom is longer than ATOM_TEXT_BYTES_MAX bytes.
 */
#include "bif/bif.h"
#include "base/alloc.h"
#include "heap/blob.h"

/* Append code point c as UTF-8; the new length. out has 4 bytes of room. */
static size_t utf8_put(char *out, size_t len, uint32_t c)
{
    if (c < 0x80) {
        out[len++] = (char)c;
    } else if (c < 0x800) {
        out[len++] = (char)(0xC0 | c >> 6);
        out[len++] = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        out[len++] = (char)(0xE0 | c >> 12);
        out[len++] = (char)(0x80 | (c >> 6 & 63));
        out[len++] = (char)(0x80 | (c & 63));
    } else {
        out[len++] = (char)(0xF0 | c >> 18);
        out[len++] = (char)(0x80 | (c >> 12 & 63));
        out[len++] = (char)(0x80 | (c >> 6 & 63));
        out[len++] = (char)(0x80 | (c & 63));
    }
    return len;
}

/* Next code point of valid UTF-8. */
static uint32_t utf8_next(const uint8_t **at)
{
    const uint8_t *s = *at;
    uint32_t c = *s++;
    int more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;

    if (more > 0)
        c &= 0x3Fu >> more;
    for (; more > 0; more--)
        c = c << 6 | (*s++ & 0x3F);
    *at = s;
    return c;
}

static bool is_code_point(term t)
{
    return is_small(t) && small_val(t) >= 0 && small_val(t) <= 0x10FFFF &&
           !(small_val(t) >= 0xD800 && small_val(t) <= 0xDFFF);
}

enum { TEXT_BAD = -1, TEXT_LONG = -2 };

/* Text of a list of code points into out (ATOM_TEXT_BYTES_MAX); its length, or TEXT_BAD or TEXT_LONG. */
static int list_text(term list, char *out)
{
    size_t len = 0, chars = 0;

    for (; is_cons(list); list = cdr(list)) {
        if (!is_code_point(car(list)))
            return TEXT_BAD;
        if (++chars <= ATOM_CHARS_MAX)
            len = utf8_put(out, len, (uint32_t)small_val(car(list)));
    }
    return !is_nil(list) ? TEXT_BAD : chars > ATOM_CHARS_MAX ? TEXT_LONG : (int)len;
}

static term list_atom(struct process *p, term list, bool existing)
{
    char text[ATOM_TEXT_BYTES_MAX];
    int len = list_text(list, text);
    term t;

    if (len < 0)
        return len == TEXT_LONG && !existing ? bif_error(p, ATOM_system_limit) : bif_badarg(p);
    if (existing) {
        t = atom_existing_utf8(text, (size_t)len);
        return t == TERM_NONE ? bif_badarg(p) : t;
    }
    t = atom_from_utf8(text, (size_t)len);
    return t == TERM_NONE ? bif_error(p, ATOM_system_limit) : t;
}

term bif_list_to_atom(struct process *p, const term *a)
{
    return list_atom(p, a[0], false);
}

term bif_list_to_existing_atom(struct process *p, const term *a)
{
    return list_atom(p, a[0], true);
}

/* --- binaries --------------------------------------------------------------------------------- */

/* Latin-1 bytes as UTF-8 into out; the length or TEXT_LONG. */
static int latin1_text(const uint8_t *s, size_t n, char *out)
{
    size_t len = 0;

    if (n > ATOM_CHARS_MAX)
        return TEXT_LONG;
    for (size_t i = 0; i < n; i++)
        len = utf8_put(out, len, s[i]);
    return (int)len;
}

static int utf8_text(const uint8_t *s, size_t n, char *out)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; chars++) {
        int more = s[i] < 0x80 ? 0 : s[i] < 0xC2 ? -1 : s[i] < 0xE0 ? 1 : s[i] < 0xF0 ? 2 :
                   s[i] < 0xF5 ? 3 : -1;
        const uint8_t *at = s + i;
        uint32_t c;

        if (more < 0 || (size_t)more >= n - i)
            return TEXT_BAD;
        for (int k = 1; k <= more; k++)
            if ((s[i + (size_t)k] & 0xC0) != 0x80)
                return TEXT_BAD;
        c = utf8_next(&at);
        if ((more == 2 && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) ||
            (more == 3 && (c < 0x10000 || c > 0x10FFFF)))
            return TEXT_BAD;
        i += (size_t)more + 1;
    }
    if (chars > ATOM_CHARS_MAX)
        return TEXT_LONG;
    memcpy(out, s, n);
    return (int)n;
}

#define is_utf8_name(t) ((t) == ATOM_utf8 || (t) == ATOM_unicode)

static term binary_atom(struct process *p, term bin, term encoding, bool existing)
{
    char text[ATOM_TEXT_BYTES_MAX];
    const uint8_t *bytes;
    uint8_t *scratch;
    size_t n;
    int len;
    term t;

    if (encoding != ATOM_latin1 && !is_utf8_name(encoding))
        return bif_badarg(p);
    if (!binary_bytes(bin, &bytes, &n, &scratch))
        return bif_badarg(p);
    len = encoding == ATOM_latin1 ? latin1_text(bytes, n, text) : utf8_text(bytes, n, text);
    mem_free(scratch);
    if (len < 0)
        return len == TEXT_LONG && !existing ? bif_error(p, ATOM_system_limit) : bif_badarg(p);
    if (existing) {
        t = atom_existing_utf8(text, (size_t)len);
        return t == TERM_NONE ? bif_badarg(p) : t;
    }
    t = atom_from_utf8(text, (size_t)len);
    return t == TERM_NONE ? bif_error(p, ATOM_system_limit) : t;
}

term bif_binary_to_atom_1(struct process *p, const term *a)
{
    return binary_atom(p, a[0], ATOM_utf8, false);
}

term bif_binary_to_atom_2(struct process *p, const term *a)
{
    return binary_atom(p, a[0], a[1], false);
}

term bif_binary_to_existing_atom_1(struct process *p, const term *a)
{
    return binary_atom(p, a[0], ATOM_utf8, true);
}

term bif_binary_to_existing_atom_2(struct process *p, const term *a)
{
    return binary_atom(p, a[0], a[1], true);
}

/* --- text of atoms ------------------------------------------------------------------------------ */

term bif_atom_to_list(struct process *p, const term *a)
{
    size_t len;
    const char *text;
    const uint8_t *at;
    term list[ATOM_CHARS_MAX];
    size_t n = 0;

    if (!is_atom(a[0]))
        return bif_badarg(p);
    text = atom_text(a[0], &len);
    for (at = (const uint8_t *)text; at < (const uint8_t *)text + len;)
        list[n++] = small_make(utf8_next(&at));
    return heap_list(&p->heap, list, n, TERM_NIL);
}

static term atom_binary(struct process *p, term atom, term encoding)
{
    size_t len, n = 0;
    const char *text;
    const uint8_t *at;
    uint8_t latin1[ATOM_CHARS_MAX];

    if (!is_atom(atom) || (encoding != ATOM_latin1 && !is_utf8_name(encoding)))
        return bif_badarg(p);
    text = atom_text(atom, &len);
    if (encoding != ATOM_latin1)
        return heap_binary(&p->heap, text, len);
    for (at = (const uint8_t *)text; at < (const uint8_t *)text + len;) {
        uint32_t c = utf8_next(&at);

        if (c > 255)
            return bif_badarg(p);
        latin1[n++] = (uint8_t)c;
    }
    return heap_binary(&p->heap, latin1, n);
}

term bif_atom_to_binary_1(struct process *p, const term *a)
{
    return atom_binary(p, a[0], ATOM_utf8);
}

term bif_atom_to_binary_2(struct process *p, const term *a)
{
    return atom_binary(p, a[0], a[1]);
}
