/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - terms as text
 *
 * A loop over a stack of what is still to be printed: closing brackets, rests of lists, tuples and
 * maps. So nesting costs no C stack, and a limit can end the loop anywhere.
 */
#include "term/print.h"

#include "base/alloc.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/fun.h"
#include "term/ids.h"
#include "term/map_walk.h"
#include "term/stack.h"

#include <gmp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- floats ------------------------------------------------------------------------------- */

struct decimal {
    char digits[24];        /* 1..17 digits, the first and the last not 0 unless the only one */
    int n;
    int exponent;           /* of the first digit: d.ddd * 10^exponent */
};

static bool decimal_reads_back(const struct decimal *dec, double d)
{
    char text[48];

    snprintf(text, sizeof text, "%.*se%d", dec->n, dec->digits, dec->exponent - dec->n + 1);
    return strtod(text, NULL) == d;
}

static void decimal_round(struct decimal *dec, double d, int digits)
{
    char text[48];

    snprintf(text, sizeof text, "%.*e", digits - 1, d);
    dec->digits[0] = text[0];
    /* text[1] is the decimal point; there is none for a single digit. */
    if (digits > 1)
        memcpy(dec->digits + 1, text + 2, (size_t)digits - 1);
    dec->n = digits;
    dec->exponent = atoi(strchr(text, 'e') + 1);
}

static void decimal_trim(struct decimal *dec)
{
    while (dec->n > 1 && dec->digits[dec->n - 1] == '0')
        dec->n--;
}

/* Add one to the last digit; the digits are not all nines. */
static void decimal_increment(struct decimal *dec)
{
    int i = dec->n - 1;

    while (i > 0 && dec->digits[i] == '9')
        dec->digits[i--] = '0';
    dec->digits[i]++;
}

/* Shortest digits that read back as d > 0. Whatever has at most 15 digits is found by rounding to
 * 15. Below a power of two doubles are denser than above, so there the nearest decimal may fail
 * and its upper neighbour do. */
static void decimal_shortest(struct decimal *dec, double d)
{
    int digits = d < 2.2250738585072014e-308 ? 1 : 15;

    for (; digits < 17; digits++) {
        decimal_round(dec, d, digits);
        if (decimal_reads_back(dec, d))
            break;
        if (dec->digits[0] != '9') {
            decimal_increment(dec);
            if (decimal_reads_back(dec, d))
                break;
        }
    }
    if (digits == 17)
        decimal_round(dec, d, 17);
    decimal_trim(dec);
}

static size_t scientific_length(const struct decimal *dec)
{
    int e = dec->exponent < 0 ? -dec->exponent : dec->exponent;

    return (size_t)(dec->n < 2 ? 2 : dec->n) + 2 + (dec->exponent < 0) +
           (e >= 100 ? 3 : e >= 10 ? 2 : 1);
}

static size_t plain_length(const struct decimal *dec)
{
    if (dec->exponent < 0)
        return (size_t)(1 - dec->exponent + dec->n);
    return (size_t)(dec->n > dec->exponent + 1 ? dec->n + 1 : dec->exponent + 3);
}

static char *write_scientific(const struct decimal *dec, char *out)
{
    *out++ = dec->digits[0];
    *out++ = '.';
    if (dec->n == 1)
        *out++ = '0';
    memcpy(out, dec->digits + 1, (size_t)dec->n - 1);
    out += dec->n - 1;
    return out + sprintf(out, "e%d", dec->exponent);
}

static char *write_plain(const struct decimal *dec, char *out)
{
    int whole = dec->exponent + 1;      /* digits in front of the point */

    if (whole <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (; whole < 0; whole++)
            *out++ = '0';
        memcpy(out, dec->digits, (size_t)dec->n);
        return out + dec->n;
    }
    for (int i = 0; i < whole; i++)
        *out++ = i < dec->n ? dec->digits[i] : '0';
    *out++ = '.';
    if (dec->n <= whole)
        *out++ = '0';
    for (int i = whole; i < dec->n; i++)
        *out++ = dec->digits[i];
    return out;
}

size_t float_print_short(double d, char *out)
{
    char *at = out;
    struct decimal dec;

    if (signbit(d))
        *at++ = '-';
    d = fabs(d);
    if (d == 0) {
        memcpy(at, "0.0", 4);
        return (size_t)(at + 3 - out);
    }
    decimal_shortest(&dec, d);
    if (d < 0x1p53 && plain_length(&dec) <= scientific_length(&dec))
        at = write_plain(&dec, at);
    else
        at = write_scientific(&dec, at);
    *at = '\0';
    return (size_t)(at - out);
}

/* --- characters --------------------------------------------------------------------------- */

static bool is_printable(uint32_t c, bool unicode)
{
    if (c >= 8 && c <= 13)
        return true;                    /* \b \t \n \v \f \r */
    if (c == 27 || (c >= 32 && c < 127) || (c >= 160 && c < 256))
        return true;
    return unicode && c >= 256 && c < 0x110000 && (c < 0xD800 || c > 0xDFFF) && c != 0xFFFE &&
           c != 0xFFFF;
}

static void print_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        buf_u8(out, (uint8_t)(0xC0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_u8(out, (uint8_t)(0xE0 | c >> 12));
        } else {
            buf_u8(out, (uint8_t)(0xF0 | c >> 18));
            buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        }
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
    }
    buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
}

/* One character inside quotes q. */
static void print_char(struct buf *out, uint32_t c, char q)
{
    static const char letters[] = "btnvfr";     /* 8 to 13 */

    if (c == (uint32_t)q || c == '\\') {
        buf_u8(out, '\\');
        buf_u8(out, (uint8_t)c);
    } else if (c >= 8 && c <= 13) {
        buf_printf(out, "\\%c", letters[c - 8]);
    } else if (c == 27 || c == 127) {
        buf_str(out, c == 27 ? "\\e" : "\\d");
    } else if (c < 32 || (c >= 128 && c < 160)) {
        buf_printf(out, "\\%03o", (unsigned)c);
    } else {
        print_utf8(out, c);
    }
}

/* Decode well-formed UTF-8; *p moves past the character. */
static uint32_t next_utf8(const uint8_t **p)
{
    uint32_t c = *(*p)++;
    int more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;

    if (more > 0)
        c &= 0x3Fu >> more;
    while (more-- > 0)
        c = c << 6 | (*(*p)++ & 0x3Fu);
    return c;
}

/* --- atoms -------------------------------------------------------------------------------- */

static bool is_lower(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7);
}

static bool is_name_char(uint32_t c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '@' || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
}

static bool is_reserved(const char *text)
{
    static const char *const words[] = {
        "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
        "catch", "cond", "div", "end", "fun", "if", "let", "not", "of", "or", "orelse", "receive",
        "rem", "try", "when", "xor",
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

bool atom_needs_quotes(term atom)
{
    size_t len;
    const char *text = atom_text(atom, &len);
    const uint8_t *p = (const uint8_t *)text, *end = p + len;

    if (len == 0 || !is_lower(next_utf8(&p)))
        return true;
    while (p < end)
        if (!is_name_char(next_utf8(&p)))
            return true;
    return is_reserved(text);
}

void atom_print(struct buf *out, term atom)
{
    size_t len;
    const char *text = atom_text(atom, &len);
    const uint8_t *p = (const uint8_t *)text, *end = p + len;

    if (!atom_needs_quotes(atom)) {
        buf_add(out, text, len);
        return;
    }
    buf_u8(out, '\'');
    while (p < end)
        print_char(out, next_utf8(&p), '\'');
    buf_u8(out, '\'');
}

/* --- terms -------------------------------------------------------------------------------- */

enum waiting {
    WAIT_TERM,      /* a term */
    WAIT_CHAR,      /* a character */
    WAIT_LIST,      /* the rest of a list after its first element */
    WAIT_TUPLE,     /* address, count: elements after the first, then the brace */
    WAIT_MAP,       /* a struct map_text: next key */
    WAIT_ARROW,     /* the same: => and value */
};

struct map_text {
    struct map_text *next;
    size_t n, i;
    term words[];           /* keys, then values */
};

struct printer {
    struct buf *out;
    unsigned flags;
    size_t end;             /* out->len at which to stop */
    struct term_stack st;
    struct map_text *maps;
};

static void wait_for(struct printer *p, term w, enum waiting what)
{
    stack_push2(&p->st, w, what);
}

static void print_big(struct printer *p, term t)
{
    const term *obj = box_ptr(t);
    mp_size_t n = (mp_size_t)header_size(obj[0]);
    mp_limb_t *limbs = mem_dup(obj + 1, (size_t)n * sizeof *limbs);
    size_t room = mpn_sizeinbase(limbs, n, 10) + 2, len;
    uint8_t *digits = mem_alloc(room);
    size_t first = 0;

    len = mpn_get_str(digits, 10, limbs, n);
    while (first + 1 < len && digits[first] == 0)
        first++;
    for (size_t i = first; i < len; i++)
        digits[i] = (uint8_t)(digits[i] + '0');
    if (header_kind(obj[0]) == HK_BIGNEG)
        buf_u8(p->out, '-');
    buf_add(p->out, digits + first, len - first);
    mem_free(digits);
    mem_free(limbs);
}

static void print_float(struct printer *p, double d)
{
    char text[FLOAT_TEXT_MAX];

    if ((p->flags & PRINT_DISPLAY) != 0) {
        buf_printf(p->out, "%e", d);
        return;
    }
    buf_add(p->out, text, float_print_short(d, text));
}

/* A proper, nonempty list of printable characters? */
static bool is_string(const struct printer *p, term t)
{
    if ((p->flags & (PRINT_STRINGS | PRINT_DISPLAY)) == 0)
        return false;
    for (; is_cons(t); t = cdr(t))
        if (!is_small(car(t)) || car(t) >= small_make(0x110000) ||
            !is_printable((uint32_t)small_val(car(t)), (p->flags & PRINT_UNICODE) != 0))
            return false;
    return is_nil(t);
}

static void print_list(struct printer *p, term t)
{
    if (!is_string(p, t)) {
        buf_u8(p->out, '[');
        wait_for(p, cdr(t), WAIT_LIST);
        wait_for(p, car(t), WAIT_TERM);
        return;
    }
    buf_u8(p->out, '"');
    for (; is_cons(t) && p->out->len <= p->end; t = cdr(t))
        print_char(p->out, (uint32_t)small_val(car(t)), '"');
    buf_u8(p->out, '"');
}

/* Are the bytes of b latin-1 text that can be shown as it is? 2: UTF-8 that needs /utf8. */
static int binary_text(const struct printer *p, struct bits b)
{
    bool latin1 = true;
    size_t n = b.bits / 8;

    if ((p->flags & PRINT_STRINGS) == 0 || n == 0 || (b.bits & 7) != 0)
        return 0;
    for (size_t i = 0; i < n && latin1; i++)
        latin1 = is_printable((uint32_t)bits_get(b, i * 8, 8), false);
    if (latin1)
        return 1;
    if ((p->flags & PRINT_UNICODE) == 0)
        return 0;
    for (size_t i = 0; i < n; ) {
        uint32_t c = (uint32_t)bits_get(b, i * 8, 8);
        unsigned more = c < 0x80 ? 0 : c < 0xC2 ? 9 : c < 0xE0 ? 1 : c < 0xF0 ? 2 :
                        c < 0xF5 ? 3 : 9;

        if (more == 9 || i + more >= n)
            return 0;
        if (more > 0)
            c &= 0x3Fu >> more;
        for (unsigned k = 1; k <= more; k++) {
            uint32_t byte = (uint32_t)bits_get(b, (i + k) * 8, 8);

            if ((byte & 0xC0) != 0x80)
                return 0;
            c = c << 6 | (byte & 0x3F);
        }
        if (!is_printable(c, true) || (more == 2 && c < 0x800) || (more == 3 && c < 0x10000))
            return 0;
        i += 1 + more;
    }
    return 2;
}

static void print_binary_text(struct printer *p, struct bits b, bool utf8)
{
    size_t n = b.bits / 8;

    buf_str(p->out, "<<\"");
    for (size_t i = 0; i < n && p->out->len <= p->end; i++) {
        uint32_t c = (uint32_t)bits_get(b, i * 8, 8);

        if (utf8 && c >= 0x80)
            buf_u8(p->out, (uint8_t)c);
        else
            print_char(p->out, c, '"');
    }
    buf_str(p->out, utf8 ? "\"/utf8>>" : "\">>");
}

static void print_bits(struct printer *p, term t)
{
    struct bits b = bits_of(t);
    uint64_t at = 0;
    int text = binary_text(p, b);

    if (text != 0) {
        print_binary_text(p, b, text == 2);
        return;
    }
    buf_str(p->out, "<<");
    for (; b.bits - at >= 8 && p->out->len <= p->end; at += 8)
        buf_printf(p->out, at == 0 ? "%u" : ",%u", (unsigned)bits_get(b, at, 8));
    if (b.bits - at > 0 && b.bits - at < 8)
        buf_printf(p->out, at == 0 ? "%u:%u" : ",%u:%u",
                   (unsigned)bits_get(b, at, (unsigned)(b.bits - at)), (unsigned)(b.bits - at));
    buf_str(p->out, ">>");
}

static void print_map(struct printer *p, term t)
{
    size_t n = map_count(t);
    struct map_text *m;

    buf_str(p->out, "#{");
    if (n == 0) {
        buf_u8(p->out, '}');
        return;
    }
    m = mem_alloc(sizeof *m + 2 * n * sizeof(term));
    *m = (struct map_text){ .next = p->maps, .n = n };
    p->maps = m;
    map_unpack_sorted(t, m->words, m->words + n);
    wait_for(p, (term)(uintptr_t)m, WAIT_MAP);
}

static void print_fun(struct printer *p, term t)
{
    if (is_local_fun(t)) {
        struct fun_entry *e = fun_entry_of(t);

        buf_str(p->out, "#Fun<");
        atom_print(p->out, e->module);
        buf_printf(p->out, ".%u.%u>", e->index, e->old_uniq);
        return;
    }
    buf_str(p->out, "fun ");
    atom_print(p->out, export_of(t)->module);
    buf_u8(p->out, ':');
    atom_print(p->out, export_of(t)->function);
    buf_printf(p->out, "/%u", export_of(t)->arity);
}

static void print_identifier(struct printer *p, term t)
{
    uint32_t words[REF_WORDS_MAX];
    struct node_entry *node = id_node(t);
    unsigned index = node == NULL ? 0 : node->index, n;

    if (is_pid(t)) {
        buf_printf(p->out, "<%u.%u.%u>", index, pid_number(t), pid_serial_number(t));
    } else if (is_port(t)) {
        buf_printf(p->out, "#Port<%u.%llu>", index, (unsigned long long)port_number(t));
    } else {
        n = ref_words(t, words);
        buf_printf(p->out, "#Ref<%u", index);
        while (n-- > 0)
            buf_printf(p->out, ".%u", words[n]);
        buf_u8(p->out, '>');
    }
}

static void print_immediate(struct printer *p, term t)
{
    if (is_atom(t))
        atom_print(p->out, t);
    else if (is_nil(t))
        buf_str(p->out, "[]");
    else if (is_local_pid(t) || is_local_port(t) || is_imm_ref(t))
        print_identifier(p, t);
    else
        buf_printf(p->out, "#Word<%#llx>", (unsigned long long)t);  /* no value of a program */
}

static void print_boxed(struct printer *p, term t)
{
    const term *obj = box_ptr(t);

    if (is_tuple(t)) {
        buf_u8(p->out, '{');
        if (header_size(obj[0]) == 0) {
            buf_u8(p->out, '}');
            return;
        }
        stack_push2(&p->st, (term)(uintptr_t)(obj + 2), header_size(obj[0]) - 1);
        stack_push(&p->st, WAIT_TUPLE);
        wait_for(p, obj[1], WAIT_TERM);
    } else if (is_bitstring(t)) {
        print_bits(p, t);
    } else if (is_map(t)) {
        print_map(p, t);
    } else if (is_big(t)) {
        print_big(p, t);
    } else if (is_fun(t)) {
        print_fun(p, t);
    } else if (is_match(t)) {
        buf_str(p->out, "#MatchState");
    } else if (is_pid(t) || is_port(t) || is_ref(t)) {
        print_identifier(p, t);
    } else {
        buf_str(p->out, "#Object");
    }
}

static void print_term(struct printer *p, term t)
{
    if (is_small(t))
        buf_printf(p->out, "%lld", (long long)small_val(t));
    else if (is_float(t))
        print_float(p, flt_val(t));
    else if (is_cons(t))
        print_list(p, t);
    else if (is_box(t))
        print_boxed(p, t);
    else
        print_immediate(p, t);
}

static void print_rest_of_list(struct printer *p, term t)
{
    if (is_nil(t)) {
        buf_u8(p->out, ']');
    } else if (is_cons(t)) {
        buf_u8(p->out, ',');
        wait_for(p, cdr(t), WAIT_LIST);
        wait_for(p, car(t), WAIT_TERM);
    } else {
        buf_u8(p->out, '|');
        wait_for(p, ']', WAIT_CHAR);
        wait_for(p, t, WAIT_TERM);
    }
}

static void print_rest_of_tuple(struct printer *p, const term *at, size_t n)
{
    if (n == 0) {
        buf_u8(p->out, '}');
        return;
    }
    buf_u8(p->out, ',');
    stack_push2(&p->st, (term)(uintptr_t)(at + 1), n - 1);
    stack_push(&p->st, WAIT_TUPLE);
    wait_for(p, *at, WAIT_TERM);
}

static void print_rest_of_map(struct printer *p, struct map_text *m, bool arrow)
{
    if (arrow) {
        buf_str(p->out, (p->flags & PRINT_STRINGS) != 0 ? " => " : "=>");
        wait_for(p, (term)(uintptr_t)m, WAIT_MAP);
        wait_for(p, m->words[m->n + m->i++], WAIT_TERM);
        return;
    }
    if (m->i == m->n) {
        buf_u8(p->out, '}');
        return;
    }
    if (m->i > 0)
        buf_u8(p->out, ',');
    wait_for(p, (term)(uintptr_t)m, WAIT_ARROW);
    wait_for(p, m->words[m->i], WAIT_TERM);
}

static void print_next(struct printer *p)
{
    enum waiting what = (enum waiting)stack_pop(&p->st);
    term w = stack_pop(&p->st);

    switch (what) {
    case WAIT_TERM:
        print_term(p, w);
        break;
    case WAIT_CHAR:
        buf_u8(p->out, (uint8_t)w);
        break;
    case WAIT_LIST:
        print_rest_of_list(p, w);
        break;
    case WAIT_TUPLE:
        print_rest_of_tuple(p, (const term *)(uintptr_t)stack_pop(&p->st), (size_t)w);
        break;
    case WAIT_MAP:
    case WAIT_ARROW:
        print_rest_of_map(p, (struct map_text *)(uintptr_t)w, what == WAIT_ARROW);
        break;
    }
}

/* Cut the text back to the limit, not inside a character. */
static void cut(struct printer *p)
{
    p->out->len = utf8_start(p->out->data, p->end);
    buf_str(p->out, "...");
}

void term_print(struct buf *out, term t, unsigned flags, size_t max_bytes)
{
    struct printer p = { .out = out, .flags = flags };

    p.end = max_bytes == 0 ? SIZE_MAX : out->len + max_bytes;
    stack_init(&p.st);
    wait_for(&p, t, WAIT_TERM);
    while (p.st.len > 0 && out->len <= p.end)
        print_next(&p);
    if (out->len > p.end)
        cut(&p);
    stack_fini(&p.st);
    while (p.maps != NULL) {
        struct map_text *m = p.maps;

        p.maps = m->next;
        mem_free(m);
    }
}
