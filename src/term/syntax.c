/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax.c - one walk over a term, and what each language writes on the way
 *
 * The walk is recursive, so it ends at DEPTH_MAX with "..."; Erlang's own text is print.c's and knows
 * no such end.
 */
#include "term/syntax_priv.h"

#include "base/alloc.h"
#include "term/atom.h"
#include "term/bits.h"
#include "term/fun.h"
#include "term/map_walk.h"
#include "term/print.h"

#include <string.h>

#define DEPTH_MAX 500

static void write_term(struct writer *w, term t);

bool syntax_parse(const char *text, enum syntax *ret)
{
    static const char *const names[] = { "erlang", "elixir", "rata", "batuta" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum syntax)i;
            return true;
        }
    }
    return false;
}

/* As Erlang writes it. */
static void write_erlang(struct writer *w, term t)
{
    term_print(w->out, t, PRINT_STRINGS | PRINT_UNICODE, 0);
}

/* --- bits ----------------------------------------------------------------------------------- */

static void write_bytes(struct writer *w, struct bits b)
{
    uint64_t at = 0;

    buf_str(w->out, "<<");
    for (; b.bits - at >= 8 && !writer_is_full(w); at += 8)
        buf_printf(w->out, at == 0 ? "%u" : ", %u", (unsigned)bits_get(b, at, 8));
    if (b.bits - at > 0 && b.bits - at < 8) {
        unsigned left = (unsigned)(b.bits - at);

        buf_printf(w->out, w->syntax == SYNTAX_ELIXIR ? "%s%u::size(%u)" : "%s%u:%u",
                   at == 0 ? "" : ", ", (unsigned)bits_get(b, at, left), left);
    }
    buf_str(w->out, ">>");
}

static void write_hex(struct writer *w, struct bits b)
{
    buf_str(w->out, "#bytes\"");
    for (uint64_t at = 0; b.bits - at >= 8 && !writer_is_full(w); at += 8)
        buf_printf(w->out, "%02x", (unsigned)bits_get(b, at, 8));
    buf_u8(w->out, '"');
}

/* A string in Erlang's syntax. */
static void write_as_string(struct writer *w, term t)
{
    struct buf text = { 0 };

    term_print(&text, t, PRINT_STRINGS | PRINT_UNICODE, 0);
    syntax_quoted(w, text.data, text.len, '"');
    buf_fini(&text);
}

static void write_bits(struct writer *w, term t)
{
    struct bits b = bits_of(t);
    size_t n = b.bits / 8;
    uint8_t *bytes = mem_alloc(n + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)bits_get(b, i * 8, 8);
    if ((b.bits & 7) == 0 && syntax_is_text(w, bytes, n))
        syntax_quoted(w, bytes, n, '"');
    else if (w->syntax == SYNTAX_JSON)
        write_as_string(w, t);
    else if (w->syntax == SYNTAX_BATUTA && (b.bits & 7) == 0)
        write_hex(w, b);
    else
        write_bytes(w, b);
    mem_free(bytes);
}

/* --- sequences ------------------------------------------------------------------------------ */

static const char *separator(const struct writer *w)
{
    return w->syntax == SYNTAX_BATUTA ? " " : w->syntax == SYNTAX_JSON ? "," : ", ";
}

static void write_elements(struct writer *w, const term *at, size_t n)
{
    for (size_t i = 0; i < n && !writer_is_full(w); i++) {
        if (i > 0)
            buf_str(w->out, separator(w));
        write_term(w, at[i]);
    }
}

/* Is t a tuple of n elements whose first is the atom called name? */
static bool is_tagged(term t, size_t n, const char *name)
{
    return is_tuple(t) && tuple_arity(t) == n && is_atom(tuple_elem(t, 0)) &&
           strcmp(atom_text(tuple_elem(t, 0), NULL), name) == 0;
}

/* A proper, nonempty list of printable characters, as Elixir shows them. */
static bool is_charlist(term t)
{
    for (; is_cons(t); t = cdr(t)) {
        if (!is_small(car(t)) || small_val(car(t)) < 32 || small_val(car(t)) > 126)
            return false;
    }
    return is_nil(t);
}

static void write_charlist(struct writer *w, term t)
{
    struct buf text = { 0 };

    for (; is_cons(t); t = cdr(t))
        buf_u8(&text, (uint8_t)small_val(car(t)));
    buf_str(w->out, "~c");
    syntax_quoted(w, text.data, text.len, '"');
    buf_fini(&text);
}

/* Can t be a key with its colon behind it? Names of Elixir modules are written with an arrow. */
static bool is_key(const struct writer *w, term t)
{
    return is_atom(t) && (w->syntax != SYNTAX_ELIXIR || strncmp(atom_text(t, NULL), "Elixir.", 7) != 0);
}

static void write_short_key(struct writer *w, term key)
{
    size_t n;
    const char *s = atom_text(key, &n);

    if (syntax_is_name(s, n, w->syntax == SYNTAX_ELIXIR ? "@" : ""))
        buf_str(w->out, s);
    else
        syntax_quoted(w, (const uint8_t *)s, n, '"');
    buf_str(w->out, ": ");
}

/* [a: 1, b: 2] is what Elixir and Rata have for a list of pairs of an atom and a value. */
static bool is_keywords(const struct writer *w, term t)
{
    if (w->syntax != SYNTAX_ELIXIR && w->syntax != SYNTAX_RATA)
        return false;
    for (; is_cons(t); t = cdr(t)) {
        if (!is_tuple(car(t)) || tuple_arity(car(t)) != 2 || !is_key(w, tuple_elem(car(t), 0)))
            return false;
    }
    return is_nil(t);
}

static void write_keywords(struct writer *w, term t)
{
    for (bool first = true; is_cons(t) && !writer_is_full(w); t = cdr(t), first = false) {
        if (!first)
            buf_str(w->out, ", ");
        write_short_key(w, tuple_elem(car(t), 0));
        write_term(w, tuple_elem(car(t), 1));
    }
}

static void write_list(struct writer *w, term t)
{
    bool batuta = w->syntax == SYNTAX_BATUTA, first = true;

    if (w->syntax == SYNTAX_ELIXIR && is_charlist(t)) {
        write_charlist(w, t);
        return;
    }
    buf_u8(w->out, batuta ? '(' : '[');
    if (is_keywords(w, t)) {
        write_keywords(w, t);
        t = TERM_NIL;
    }
    for (; is_cons(t) && !writer_is_full(w); t = cdr(t), first = false) {
        if (!first)
            buf_str(w->out, separator(w));
        write_term(w, car(t));
    }
    if (!is_nil(t) && !is_cons(t)) {
        buf_str(w->out, batuta ? " . " : " | ");
        write_term(w, t);
    }
    buf_u8(w->out, batuta ? ')' : ']');
}

static bool is_proper(term t)
{
    while (is_cons(t))
        t = cdr(t);
    return is_nil(t);
}

/* --- maps ----------------------------------------------------------------------------------- */

/* A key of JSON is a string. */
static void write_json_key(struct writer *w, term key)
{
    size_t start = w->out->len;
    struct buf text = { 0 };

    write_term(w, key);
    if (w->out->data[start] == '"')
        return;
    w->out->len = start;
    term_print(&text, key, PRINT_STRINGS | PRINT_UNICODE, 0);
    syntax_quoted(w, text.data, text.len, '"');
    buf_fini(&text);
}

/* In Elixir all keys are short or none; in Rata each for itself. */
static bool has_short_keys(const struct writer *w, const term *keys, size_t n)
{
    for (size_t i = 0; w->syntax == SYNTAX_ELIXIR && i < n; i++) {
        if (!is_key(w, keys[i]))
            return false;
    }
    return true;
}

static void write_key(struct writer *w, term key, bool is_short)
{
    if (w->syntax == SYNTAX_JSON) {
        write_json_key(w, key);
        buf_u8(w->out, ':');
    } else if (w->syntax == SYNTAX_BATUTA) {
        write_term(w, key);
        buf_u8(w->out, ' ');
    } else if (is_short && is_key(w, key)) {
        write_short_key(w, key);
    } else {
        write_term(w, key);
        buf_str(w->out, " => ");
    }
}

/* What stands before the pairs. Batuta reads {:ok v} as a result: a map of that form says so. */
static void open_map(struct writer *w, const term *keys, size_t n)
{
    const char *first = n == 1 && is_atom(keys[0]) ? atom_text(keys[0], NULL) : "";

    if (w->syntax == SYNTAX_BATUTA && (strcmp(first, "ok") == 0 || strcmp(first, "error") == 0))
        buf_str(w->out, "#map");
    buf_u8(w->out, '{');
    if (w->syntax == SYNTAX_RATA && n == 0)
        buf_u8(w->out, ':');
}

/* The pair that makes a map of Elixir a struct, or n. */
static size_t find_struct(const struct writer *w, const term *keys, size_t n)
{
    for (size_t i = 0; w->syntax == SYNTAX_ELIXIR && i < n; i++) {
        if (is_atom(keys[i]) && strcmp(atom_text(keys[i], NULL), "__struct__") == 0 &&
            is_atom(keys[n + i]))
            return i;
    }
    return n;
}

static void write_map(struct writer *w, term t)
{
    size_t n = map_count(t), is_struct;
    term *keys = MEM_NEW_ARRAY(term, 2 * n + 1);
    bool is_short, first = true;

    map_unpack_sorted(t, keys, keys + n);
    is_struct = find_struct(w, keys, n);
    is_short = has_short_keys(w, keys, n);
    if (w->syntax == SYNTAX_ELIXIR)
        buf_u8(w->out, '%');
    if (is_struct < n)
        write_term(w, keys[n + is_struct]);
    open_map(w, keys, n);
    for (size_t i = 0; i < n && !writer_is_full(w); i++) {
        if (i == is_struct)
            continue;
        if (!first)
            buf_str(w->out, separator(w));
        first = false;
        write_key(w, keys[i], is_short);
        write_term(w, keys[n + i]);
    }
    buf_u8(w->out, '}');
    mem_free(keys);
}

/* {'$set', #{Element => []}} of Rata and Batuta. */
static void write_set(struct writer *w, term map)
{
    size_t n = map_count(map);
    term *keys = MEM_NEW_ARRAY(term, 2 * n + 1);

    map_unpack_sorted(map, keys, keys + n);
    buf_str(w->out, "#{");
    write_elements(w, keys, n);
    buf_u8(w->out, '}');
    mem_free(keys);
}

/* --- tuples --------------------------------------------------------------------------------- */

/* The elements of a vector's tree: leaves are tuples, `shift` tells how far they are. False: it is not
 * one after all. */
static bool write_vector_node(struct writer *w, term node, unsigned shift, bool *first)
{
    if (!is_tuple(node))
        return false;
    for (size_t i = 0; i < tuple_arity(node) && !writer_is_full(w); i++) {
        if (shift > 0) {
            if (!write_vector_node(w, tuple_elem(node, i), shift - 5, first))
                return false;
            continue;
        }
        if (!*first)
            buf_u8(w->out, ' ');
        *first = false;
        write_term(w, tuple_elem(node, i));
    }
    return true;
}

/* {'$vec', Count, Shift, Root, Tail} */
static bool write_vector(struct writer *w, term t)
{
    size_t start = w->out->len;
    term shift = tuple_elem(t, 2);
    bool first = true;

    if (!is_small(shift) || small_val(shift) < 5 || small_val(shift) > 60 || small_val(shift) % 5 != 0)
        return false;
    buf_u8(w->out, '[');
    if (!write_vector_node(w, tuple_elem(t, 3), (unsigned)small_val(shift), &first) ||
        !write_vector_node(w, tuple_elem(t, 4), 0, &first)) {
        w->out->len = start;
        return false;
    }
    buf_u8(w->out, ']');
    return true;
}

static void write_bare(struct writer *w, const char *prefix, term text)
{
    struct bits b = bits_of(text);

    buf_str(w->out, prefix);
    for (uint64_t at = 0; b.bits - at >= 8; at += 8)
        buf_u8(w->out, (uint8_t)bits_get(b, at, 8));
}

/* Values of our languages that are tuples underneath; true: it was one. */
static bool write_special(struct writer *w, term t)
{
    if (is_tagged(t, 2, "$set") && is_map(tuple_elem(t, 1))) {
        write_set(w, tuple_elem(t, 1));
        return true;
    }
    if (w->syntax == SYNTAX_RATA && is_tagged(t, 4, "$range")) {
        write_term(w, tuple_elem(t, 1));
        buf_str(w->out, "..");
        write_term(w, tuple_elem(t, 2));
        return true;
    }
    if (w->syntax != SYNTAX_BATUTA)
        return false;
    if (is_tagged(t, 5, "$vec"))
        return write_vector(w, t);
    if (is_tagged(t, 3, "$ratio")) {
        write_term(w, tuple_elem(t, 1));
        buf_u8(w->out, '/');
        write_term(w, tuple_elem(t, 2));
        return true;
    }
    if (is_tagged(t, 2, "$sym") && is_bitstring(tuple_elem(t, 1))) {
        write_bare(w, "", tuple_elem(t, 1));
        return true;
    }
    if (is_tagged(t, 3, "$regex") && is_bitstring(tuple_elem(t, 1))) {
        write_bare(w, "#\"", tuple_elem(t, 1));
        buf_u8(w->out, '"');
        return true;
    }
    return false;
}

/* Braces of Batuta with an even number of elements are a map, so only odd ones with a keyword first,
 * and results, are tuples. */
static void write_batuta_tuple(struct writer *w, term t, size_t n)
{
    bool result = n == 2 && (is_tagged(t, 2, "ok") || is_tagged(t, 2, "error"));
    bool plain = result || (n % 2 == 1 && is_atom(tuple_elem(t, 0)));

    buf_str(w->out, plain ? "{" : "#tuple[");
    write_elements(w, box_ptr(t) + 1, n);
    buf_u8(w->out, plain ? '}' : ']');
}

static void write_tuple(struct writer *w, term t)
{
    size_t n = tuple_arity(t);

    if (w->syntax == SYNTAX_JSON) {
        buf_str(w->out, "{\"tuple\":[");
        write_elements(w, box_ptr(t) + 1, n);
        buf_str(w->out, "]}");
    } else if (w->syntax != SYNTAX_ELIXIR && write_special(w, t)) {
        return;
    } else if (w->syntax == SYNTAX_BATUTA) {
        write_batuta_tuple(w, t, n);
    } else {
        buf_u8(w->out, '{');
        write_elements(w, box_ptr(t) + 1, n);
        buf_u8(w->out, '}');
    }
}

/* --- the rest ------------------------------------------------------------------------------- */

static void write_fun(struct writer *w, term t)
{
    if (w->syntax == SYNTAX_BATUTA) {
        buf_str(w->out, "#fn");
    } else if (w->syntax == SYNTAX_RATA) {
        buf_printf(w->out, "#Function/%u", fun_arity(t));
    } else if (is_local_fun(t)) {
        buf_str(w->out, "#Function<");
        buf_printf(w->out, "%u.%u in ", fun_entry_of(t)->index, fun_entry_of(t)->old_uniq);
        write_term(w, fun_entry_of(t)->module);
        buf_u8(w->out, '>');
    } else {
        buf_u8(w->out, '&');
        write_term(w, export_of(t)->module);
        buf_printf(w->out, ".%s/%u", atom_text(export_of(t)->function, NULL), export_of(t)->arity);
    }
}

/* Erlang's <0.1.0>, #Ref<0.1.2> and #Port<0.1> with the word of the language before the bracket. */
static void write_identifier(struct writer *w, term t)
{
    static const char *const words[][3] = {
        [SYNTAX_ELIXIR] = { "#PID", "#Reference", "#Port" },
        [SYNTAX_RATA] = { "#PID", "#Reference", "#Port" },
        [SYNTAX_BATUTA] = { "#actor", "#ref", "#port" },
    };
    struct buf text = { 0 };
    unsigned kind = is_pid(t) ? 0 : is_ref(t) ? 1 : 2;

    term_print(&text, t, 0, 0);
    buf_str(w->out, words[w->syntax][kind]);
    if (w->syntax != SYNTAX_BATUTA || kind == 0)
        buf_str(w->out, strchr(buf_cstr(&text), '<'));
    buf_fini(&text);
}

static void write_other(struct writer *w, term t)
{
    if (w->syntax == SYNTAX_JSON)
        write_as_string(w, t);
    else if (is_fun(t))
        write_fun(w, t);
    else if (is_pid(t) || is_port(t) || is_ref(t))
        write_identifier(w, t);
    else
        write_erlang(w, t);
}

static void write_term(struct writer *w, term t)
{
    if (writer_is_full(w))
        return;
    if (++w->depth > DEPTH_MAX)
        buf_str(w->out, w->syntax == SYNTAX_JSON ? "\"...\"" : "...");
    else if (is_small(t))
        buf_printf(w->out, "%lld", (long long)small_val(t));
    else if (is_float(t))
        syntax_float(w, flt_val(t));
    else if (is_atom(t))
        syntax_atom(w, t);
    else if (is_nil(t))
        buf_str(w->out, w->syntax == SYNTAX_BATUTA ? "()" : "[]");
    else if (is_cons(t) && (w->syntax != SYNTAX_JSON || is_proper(t)))
        write_list(w, t);
    else if (is_tuple(t))
        write_tuple(w, t);
    else if (is_map(t))
        write_map(w, t);
    else if (is_bitstring(t))
        write_bits(w, t);
    else if (is_big(t) && w->syntax != SYNTAX_JSON)
        write_erlang(w, t);
    else
        write_other(w, t);
    w->depth--;
}

/* What did not fit is told as a string of what did. */
static void json_beginning(struct buf *out, term t, size_t max_bytes)
{
    struct buf text = { 0 };
    struct writer w = { .out = out, .syntax = SYNTAX_JSON, .end = SIZE_MAX };

    term_print(&text, t, PRINT_STRINGS | PRINT_UNICODE, max_bytes);
    syntax_quoted(&w, text.data, text.len, '"');
    buf_fini(&text);
}

void term_print_as(struct buf *out, term t, enum syntax syntax, size_t max_bytes)
{
    struct writer w = { .out = out, .syntax = syntax };
    size_t start = out->len;

    if (syntax == SYNTAX_ERLANG) {
        term_print(out, t, PRINT_STRINGS | PRINT_UNICODE, max_bytes);
        return;
    }
    w.end = max_bytes == 0 ? SIZE_MAX : start + max_bytes;
    write_term(&w, t);
    if (!writer_is_full(&w))
        return;
    if (syntax == SYNTAX_JSON) {
        out->len = start;
        json_beginning(out, t, max_bytes);
    } else {
        out->len = utf8_start(out->data, w.end);
        buf_str(out, "...");
    }
}
