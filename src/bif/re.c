/* SPDX-License-Identifier: Apache-2.0 */
/*
 * re.c - regular expressions: compile, run, inspect
 *
 * Subject and pattern become bytes (UTF-8 with the option unicode), PCRE2 finds matches, and the
 * capture option says what is made of each. A match gets QUICK_STEPS of PCRE2's counting at first;
 * one that needs more, or has much to look at, starts anew as a long call: with code that calls us
 * at each of its steps, so that it can stand still anywhere.
 */
#include "bif/bif.h"

#include "base/alloc.h"
#include "base/fiber.h"
#include "bif/regex.h"
#include "bif/short.h"
#include "bif/text.h"
#include "heap/iolist.h"

#define BYTES_PER_REDUCTION 32
#define MATCH_REDUCTIONS    8       /* for a match that looks at nothing */
#define QUICK_STEPS         20000   /* PCRE2's match limit while nobody may stand still */
#define QUICK_MATCHES       1000    /* of a global run, likewise */
#define QUICK_BYTES         (1 << 20)
#define UNITS_PER_STEP      4       /* of base/fiber.h */

enum capture_type { CAPTURE_INDEX, CAPTURE_LIST, CAPTURE_BINARY };

struct re_options {
    uint32_t compile, match;    /* PCRE2_x */
    uint8_t  newline, bsr;
    bool     compile_only;      /* something that a compiled pattern does not accept */
    bool     run_only;          /* something that compile does not accept */
    bool     has_newline;
    bool     global, report_errors;
    bool     is_long;           /* runs as a long call */
    bool     too_long;          /* result: it should */
    size_t   offset;
    uint32_t match_limit, depth_limit;      /* 0: PCRE2's */
    term     capture;           /* ATOM_all, ATOM_first, ... or a list */
    uint8_t  type;              /* enum capture_type */
};

/* What a match is made from. */
struct subject {
    const uint8_t *bytes;
    size_t len;
    term binary;                /* subject, when results can be parts of it; or TERM_NONE */
    struct buf own;
    uint8_t *scratch;
};

/* --- options --------------------------------------------------------------------------------- */

static uint32_t compile_option(term t)
{
#define COMPILE(atom, flag) if (t == ATOM_##atom) return flag;
#define MATCH(atom, flag)
#include "bif/re_options.tab"
#undef COMPILE
#undef MATCH
    return 0;
}

static uint32_t match_option(term t)
{
#define COMPILE(atom, flag)
#define MATCH(atom, flag) if (t == ATOM_##atom) return flag;
#include "bif/re_options.tab"
#undef COMPILE
#undef MATCH
    return 0;
}

static uint8_t newline_option(term t)
{
    return t == ATOM_cr ? PCRE2_NEWLINE_CR : t == ATOM_lf ? PCRE2_NEWLINE_LF
         : t == ATOM_crlf ? PCRE2_NEWLINE_CRLF : t == ATOM_any ? PCRE2_NEWLINE_ANY
         : t == ATOM_anycrlf ? PCRE2_NEWLINE_ANYCRLF : 0;
}

static bool atom_option(struct re_options *o, term t)
{
    uint32_t flag;

    if ((flag = compile_option(t)) != 0) {
        o->compile |= flag;
        o->compile_only = true;
    } else if ((flag = match_option(t)) != 0) {
        o->match |= flag;
        o->run_only |= flag != PCRE2_ANCHORED;
    } else if (t == ATOM_bsr_anycrlf || t == ATOM_bsr_unicode) {
        o->bsr = t == ATOM_bsr_unicode ? PCRE2_BSR_UNICODE : PCRE2_BSR_ANYCRLF;
    } else if (t == ATOM_global || t == ATOM_report_errors) {
        o->global |= t == ATOM_global;
        o->report_errors |= t == ATOM_report_errors;
        o->run_only = true;
    } else {
        return false;
    }
    return true;
}

static bool count_option(term t, uint32_t *ret)
{
    if (!is_small(t) || small_val(t) < 0 || small_val(t) > UINT32_MAX)
        return false;
    *ret = (uint32_t)small_val(t);
    return true;
}

static bool tuple_option(struct re_options *o, term t)
{
    term name = tuple_elem(t, 0), value = tuple_elem(t, 1);

    if (name == ATOM_newline && tuple_arity(t) == 2) {
        o->newline = newline_option(value);
        o->has_newline = true;
        return o->newline != 0;
    }
    o->run_only = true;
    if (name == ATOM_capture) {
        term type = tuple_arity(t) == 3 ? tuple_elem(t, 2) : ATOM_index;

        o->capture = value;
        o->type = type == ATOM_list ? CAPTURE_LIST : type == ATOM_binary ? CAPTURE_BINARY
                                                                         : CAPTURE_INDEX;
        return type == ATOM_index || o->type != CAPTURE_INDEX;
    }
    if (tuple_arity(t) != 2)
        return false;
    if (name == ATOM_offset && is_small(value) && small_val(value) >= 0) {
        o->offset = (size_t)small_val(value);
        return true;
    }
    return name == ATOM_match_limit ? count_option(value, &o->match_limit)
         : name == ATOM_match_limit_recursion && count_option(value, &o->depth_limit);
}

static bool parse_options(term list, struct re_options *o)
{
    *o = (struct re_options){ .capture = ATOM_all };
    for (; is_cons(list); list = cdr(list)) {
        term t = car(list);

        if (is_tuple(t) && (tuple_arity(t) == 2 || tuple_arity(t) == 3)) {
            if (!tuple_option(o, t))
                return false;
        } else if (!atom_option(o, t)) {
            return false;
        }
    }
    return is_nil(list);
}

/* --- text to bytes --------------------------------------------------------------------------- */

/* Append a pattern or subject. False: it is no text. */
static bool text_bytes(struct buf *out, term t, bool unicode)
{
    size_t len;

    if (unicode && is_list(t))
        return text_append(out, t);
    if (!(is_list(t) || is_binary(t)) || !iolist_size(t, &len))
        return false;
    iolist_write(t, buf_room(out, len));
    return true;
}

static bool subject_init(struct subject *s, term t, bool unicode)
{
    *s = (struct subject){ .binary = TERM_NONE };
    if (binary_bytes(t, &s->bytes, &s->len, &s->scratch)) {
        s->binary = t;
        return true;
    }
    if (!text_bytes(&s->own, t, unicode)) {
        buf_fini(&s->own);
        return false;
    }
    s->bytes = (const uint8_t *)buf_cstr(&s->own);
    s->len = s->own.len;
    return true;
}

static void subject_fini(struct subject *s)
{
    buf_fini(&s->own);
    mem_free(s->scratch);
}

/* --- compiling ------------------------------------------------------------------------------- */

static void key_put(struct buf *out, const struct re_options *o)
{
    struct regex_key k = { .options = o->compile | (o->match & PCRE2_ANCHORED),
                           .newline = o->newline, .bsr = o->bsr };

    memcpy(k.magic, REGEX_MAGIC, sizeof k.magic);
    buf_add(out, &k, sizeof k);
}

/* {Text, Position} */
static term error_term(struct heap *h, const struct regex_error *e)
{
    return heap_tuple2(h, heap_cstr(h, e->text), small_make(e->position));
}

/* {re_pattern, Captures, Unicode, UseCRLF, Key} */
static term pattern_term(struct heap *h, const struct regex *re)
{
    term e[5] = { ATOM_re_pattern, small_make(re->captures), small_make(0), small_make(re->crlf),
                  heap_binary(h, re->key, re->key_len) };
    struct regex_key k;

    memcpy(&k, re->key, sizeof k);
    if (k.options & PCRE2_UTF)
        e[2] = small_make(1);
    return heap_tuple(h, 5, e);
}

static term compile(struct process *p, term pattern, term options)
{
    struct regex_error error;
    struct re_options o;
    struct buf key = { 0 };
    struct regex *re;
    term t;

    if (!parse_options(options, &o) || o.run_only)
        return bif_badarg_cause(p, ATOM_badopt);
    key_put(&key, &o);
    if (!text_bytes(&key, pattern, o.compile & PCRE2_UTF)) {
        t = bif_badarg(p);
    } else {
        charge(p, MATCH_REDUCTIONS + (int64_t)(key.len / BYTES_PER_REDUCTION));
        re = regex_get(key.data, key.len, &error);
        t = re != NULL ? heap_tuple2(&p->heap, ATOM_ok, pattern_term(&p->heap, re))
                       : heap_tuple2(&p->heap, ATOM_error, error_term(&p->heap, &error));
    }
    buf_fini(&key);
    return t;
}

term bif_re_compile_1(struct process *p, const term *a)
{
    return compile(p, a[0], TERM_NIL);
}

term bif_re_compile_2(struct process *p, const term *a)
{
    return compile(p, a[0], a[1]);
}

term bif_re_version(struct process *p, const term *a)
{
    char text[64];
    int n = pcre2_config(PCRE2_CONFIG_VERSION, text);

    ASSERT(n > 0 && (size_t)n <= sizeof text);
    return heap_binary(&p->heap, text, (size_t)n - 1);
}

static bool is_pattern_tuple(term t)
{
    return is_tuple_n(t, 5) && tuple_elem(t, 0) == ATOM_re_pattern && is_binary(tuple_elem(t, 4));
}

/* The key of a compiled pattern into out. */
static void pattern_key(struct buf *out, term t)
{
    struct bits b = bits_of(tuple_elem(t, 4));

    bits_copy(buf_room(out, b.bits / 8), 0, b.base, b.bit_offset, b.bits);
}

/* --- results --------------------------------------------------------------------------------- */

struct result {
    struct heap *h;
    const struct regex *re;
    const struct subject *s;
    const PCRE2_SIZE *ovector;
    uint32_t set;               /* captures known, from 0: the last that took part, plus one */
    uint8_t type;
    bool unicode;
};

/* Characters as a list, from the back; UTF-8 when the regex is, which PCRE2 checked. */
static term text_list(const struct result *r, const uint8_t *from, size_t len)
{
    term list = TERM_NIL;
    uint32_t c = 0, shift = 0;

    if (!r->unicode)
        return heap_latin1(r->h, (const char *)from, len);
    while (len > 0) {
        uint8_t b = from[--len];

        if ((b & 0xC0) == 0x80) {
            c |= (b & 0x3Fu) << shift;
            shift += 6;
            continue;
        }
        c |= (b < 0x80 ? b : b < 0xE0 ? b & 0x1Fu : b < 0xF0 ? b & 0x0Fu : b & 0x07u) << shift;
        list = heap_cons(r->h, small_make(c), list);
        c = shift = 0;
    }
    return list;
}

/* What capture i matched; out of range or not set: as an empty part at -1. */
static term capture_term(const struct result *r, uint32_t i)
{
    PCRE2_SIZE from, to;

    if (i >= r->set || r->ovector[2 * i] == PCRE2_UNSET) {
        return r->type == CAPTURE_INDEX ? heap_tuple2(r->h, small_make(-1), small_make(0))
             : r->type == CAPTURE_LIST ? TERM_NIL : heap_binary(r->h, "", 0);
    }
    from = r->ovector[2 * i];
    to = r->ovector[2 * i + 1];
    if (to < from)              /* \K in a lookahead may do that */
        to = from;
    switch (r->type) {
    case CAPTURE_INDEX:
        return heap_tuple2(r->h, small_make(from), small_make(to - from));
    case CAPTURE_LIST:
        return text_list(r, r->s->bytes + from, to - from);
    default:
        if (r->s->binary != TERM_NONE)
            return bitstring_sub(r->h, r->s->binary, 8 * (uint64_t)from, 8 * (uint64_t)(to - from));
        return heap_binary(r->h, r->s->bytes + from, to - from);
    }
}

#define entry_group(e) ((uint32_t)(e)[0] << 8 | (e)[1])
#define entry_name(e)  ((const char *)(e) + 2)

/* The capture of a name: of several with one name the first that is set. None: out of range. */
static uint32_t named_capture(const struct result *r, const char *name)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < r->re->names; i++) {
        PCRE2_SPTR e = r->re->name_table + i * r->re->name_entry_bytes;
        uint32_t g = entry_group(e);

        if (strcmp(entry_name(e), name) != 0)
            continue;
        if (found == UINT32_MAX)
            found = g;
        if (g < r->set && r->ovector[2 * g] != PCRE2_UNSET)
            return g;
    }
    return found;
}

/* One element of a list of captures: a number or a name. False: neither. */
static bool capture_of_spec(const struct result *r, term spec, term *ret)
{
    struct buf name = { 0 };
    bool ok = true;

    if (is_small(spec)) {
        if (small_val(spec) < 0)
            return false;
        *ret = capture_term(r, small_val(spec) > UINT32_MAX ? UINT32_MAX
                                                            : (uint32_t)small_val(spec));
        return true;
    }
    if (is_atom(spec))
        buf_str(&name, atom_text(spec, NULL));
    else
        ok = text_bytes(&name, spec, false);
    if (ok)
        *ret = capture_term(r, named_capture(r, buf_cstr(&name)));
    buf_fini(&name);
    return ok;
}

/* Captures from..to-1 */
static term captures_range(const struct result *r, uint32_t from, uint32_t to)
{
    term list = TERM_NIL;

    for (uint32_t i = to; i > from; i--)
        list = heap_cons(r->h, capture_term(r, i - 1), list);
    return list;
}

static term captures_listed(struct process *p, const struct result *r, term specs)
{
    struct buf terms = { 0 };
    term t = TERM_NONE, one;

    if (is_nil(specs))
        return ATOM_match;
    for (; is_cons(specs) && capture_of_spec(r, car(specs), &one); specs = cdr(specs))
        buf_add(&terms, &one, sizeof one);
    if (is_nil(specs))
        t = heap_list(r->h, (const term *)(const void *)terms.data, terms.len / sizeof one,
                      TERM_NIL);
    buf_fini(&terms);
    return t != TERM_NONE ? t : bif_badarg(p);
}

/* In the order of the table, which is that of the names; each name once. */
static term captures_named(const struct result *r)
{
    const struct regex *re = r->re;
    term list = TERM_NIL;

    if (re->names == 0)
        return ATOM_match;
    for (uint32_t i = re->names; i > 0; i--) {
        PCRE2_SPTR e = re->name_table + (i - 1) * re->name_entry_bytes;

        if (i > 1 && strcmp(entry_name(e), entry_name(e - re->name_entry_bytes)) == 0)
            continue;
        list = heap_cons(r->h, capture_term(r, named_capture(r, entry_name(e))), list);
    }
    return list;
}

/* What the capture option wants of a match: a list, ATOM_match when nothing, TERM_NONE: badarg. */
static term match_captures(struct process *p, const struct result *r, term capture)
{
    if (capture == ATOM_all)
        return captures_range(r, 0, r->set);
    if (capture == ATOM_first)
        return captures_range(r, 0, 1);
    if (capture == ATOM_all_but_first)
        return captures_range(r, 1, r->set);
    if (capture == ATOM_none)
        return ATOM_match;
    if (capture == ATOM_all_names)
        return captures_named(r);
    return captures_listed(p, r, capture);
}

/* --- running --------------------------------------------------------------------------------- */

/* The name of a PCRE2 limit, for {error, Name}; TERM_NONE: simply no match. */
static term limit_atom(int rc)
{
    return rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT ? ATOM_match_limit
         : rc == PCRE2_ERROR_DEPTHLIMIT ? ATOM_match_limit_recursion : TERM_NONE;
}

static bool is_bad_text(int rc)
{
    return (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21) ||
           rc == PCRE2_ERROR_BADUTFOFFSET || rc == PCRE2_ERROR_BADOFFSET;
}

/* The subject that this thread found to be UTF-8 last. re:grun matches in one subject many times
 * and would check it each time from the start. */
static _Thread_local struct { const uint8_t *bytes; size_t len; } checked;

static int at_step(pcre2_callout_block *block, void *arg)
{
    fiber_tick(UNITS_PER_STEP);
    return 0;
}

/* The match of a long call: it may end on another thread than it began. first: the subject has not
 * been seen to be UTF-8. */
static int match_long(const struct regex *re, const struct subject *s, const struct re_options *o,
                      bool first)
{
    pcre2_match_context *mc;
    int rc;

    if (o->offset > s->len)
        return PCRE2_ERROR_BADOFFSET;
    if (re->utf && ((first && text_utf8_prefix(s->bytes, s->len) != s->len) ||
                    (o->offset < s->len && (s->bytes[o->offset] & 0xC0) == 0x80)))
        return PCRE2_ERROR_BADUTFOFFSET;
    mc = pcre2_match_context_create(NULL);
    pcre2_set_callout(mc, at_step, NULL);
    if (o->match_limit != 0)
        pcre2_set_match_limit(mc, o->match_limit);
    if (o->depth_limit != 0)
        pcre2_set_depth_limit(mc, o->depth_limit);
    rc = pcre2_match(re->code, s->bytes, s->len, o->offset, o->match | PCRE2_NO_UTF_CHECK,
                     re->match, mc);
    pcre2_match_context_free(mc);
    fiber_tick(UNITS_PER_STEP);
    return rc;
}

static int match_quick(const struct regex *re, const struct subject *s, struct re_options *o,
                       bool first)
{
    static _Thread_local pcre2_match_context *mc;
    bool check_utf = first || checked.bytes != s->bytes || checked.len != s->len;
    bool all_steps = o->match_limit != 0 && o->match_limit <= QUICK_STEPS;
    int rc;

    if (o->offset > s->len ||
        (!check_utf && o->offset < s->len && (s->bytes[o->offset] & 0xC0) == 0x80))
        return PCRE2_ERROR_BADOFFSET;
    if (mc == NULL)
        mc = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(mc, all_steps ? o->match_limit : QUICK_STEPS);
    pcre2_set_depth_limit(mc, o->depth_limit != 0 ? o->depth_limit : QUICK_STEPS);
    rc = pcre2_match(re->code, s->bytes, s->len, o->offset,
                     o->match | (check_utf ? 0 : PCRE2_NO_UTF_CHECK), re->match, mc);
    o->too_long = (rc == PCRE2_ERROR_MATCHLIMIT && !all_steps) ||
                  (rc == PCRE2_ERROR_DEPTHLIMIT && o->depth_limit == 0);
    if (re->utf) {
        checked.bytes = is_bad_text(rc) ? NULL : s->bytes;
        checked.len = s->len;
    }
    return rc;
}

static int match_bytes(const struct regex *re, const struct subject *s, struct re_options *o,
                       bool first)
{
    return o->is_long ? match_long(re, s, o, first) : match_quick(re, s, o, first);
}

/* No match: why, as run says it. */
static term no_match(struct process *p, const struct re_options *o, int rc)
{
    if (is_bad_text(rc))
        return bif_badarg(p);
    if (o->report_errors && limit_atom(rc) != TERM_NONE)
        return heap_tuple2(&p->heap, ATOM_error, limit_atom(rc));
    return ATOM_nomatch;
}

static term run_once(struct process *p, struct result *r, struct re_options *o, bool first)
{
    int rc = match_bytes(r->re, r->s, o, first);
    term t;

    if (rc <= 0)
        return no_match(p, o, rc);
    r->set = (uint32_t)rc;
    t = match_captures(p, r, o->capture);
    return is_list(t) ? heap_tuple2(&p->heap, ATOM_match, t) : t;
}

/* The place of the next character. */
static size_t next_character(const struct result *r, size_t at)
{
    const struct subject *s = r->s;

    if (r->re->crlf && at + 1 < s->len && s->bytes[at] == '\r' && s->bytes[at + 1] == '\n')
        return at + 2;
    for (at++; r->re->utf && at < s->len && (s->bytes[at] & 0xC0) == 0x80;)
        at++;
    return at;
}

/* All matches from o->offset on. After an empty one another is tried that begins where that search
 * began and is not empty, before the search goes on one character behind it: OTP's order. */
static term run_global(struct process *p, struct result *r, struct re_options *given)
{
    struct re_options o = *given;
    unsigned left = QUICK_MATCHES;
    struct buf found = { 0 };
    bool after_empty = false;
    size_t empty_at = 0;
    term t = ATOM_match, all;
    int rc;

    for (;;) {
        size_t at = o.offset;

        o.match = given->match | (after_empty ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0);
        rc = match_bytes(r->re, r->s, &o, at == given->offset && !after_empty);
        if (!o.is_long && (o.too_long || --left == 0)) {
            given->too_long = true;
            break;
        }
        if (rc > 0) {
            size_t end = r->ovector[1];

            r->set = (uint32_t)rc;
            t = match_captures(p, r, o.capture);
            if (t == TERM_NONE)
                break;
            buf_add(&found, &t, sizeof t);
            after_empty = end == r->ovector[0] && !after_empty;     /* \K gives empty ones again */
            empty_at = end;
            if (!after_empty)
                o.offset = end > at ? end : next_character(r, at);
        } else if (after_empty) {
            after_empty = false;
            o.offset = next_character(r, empty_at);
        } else {
            break;
        }
        if (o.offset > r->s->len)
            break;
    }
    if (t != TERM_NONE && rc <= 0 && (found.len == 0 || rc != PCRE2_ERROR_NOMATCH)) {
        t = no_match(p, given, rc);
    } else if (t != TERM_NONE && t != ATOM_match) {
        all = heap_list(&p->heap, (const term *)(const void *)found.data, found.len / sizeof t,
                        TERM_NIL);
        t = heap_tuple2(&p->heap, ATOM_match, all);
    }
    buf_fini(&found);
    return t;
}

/* Matches of re in subject text. */
static term run_regex(struct process *p, const struct regex *re, term subject,
                      struct re_options *o, bool first)
{
    struct subject s;
    struct result r = { .h = &p->heap, .re = re, .s = &s, .type = o->type, .unicode = re->utf };
    term t;

    if (!subject_init(&s, subject, re->utf))
        return bif_badarg(p);
    r.ovector = pcre2_get_ovector_pointer(re->match);
    t = o->global ? run_global(p, &r, o) : run_once(p, &r, o, first);
    charge(p, MATCH_REDUCTIONS);
    if (o->offset < s.len)
        charge(p, (int64_t)((s.len - o->offset) / BYTES_PER_REDUCTION));
    subject_fini(&s);
    return t;
}

static bool capture_is_valid(term c)
{
    return c == ATOM_all || c == ATOM_first || c == ATOM_all_but_first || c == ATOM_none ||
           c == ATOM_all_names || is_list(c);
}

/* The key for this run: of the compiled pattern, with the line end that the options ask for, or of
 * a pattern to be compiled now. False: bad arguments. */
static bool run_key(struct buf *key, term pattern, const struct re_options *o)
{
    if (!is_pattern_tuple(pattern)) {
        key_put(key, o);
        return text_bytes(key, pattern, o->compile & PCRE2_UTF);
    }
    if (o->compile_only)
        return false;
    pattern_key(key, pattern);
    if (o->has_newline && key->len >= sizeof(struct regex_key))
        key->data[offsetof(struct regex_key, newline)] = o->newline;
    return true;
}

/* Surely too much to look at for a quick run. */
static bool is_much(term subject)
{
    return is_bitstring(subject) ? bitstring_bits(subject) > 8 * (uint64_t)QUICK_BYTES
                                 : !short_list(&subject);
}

/* run(a[0], a[1], options) of a built-in of n arguments, which `again` runs as a long call. */
static term run(struct process *p, const term *a, size_t n, bool is_long, bif_fn *again)
{
    term subject = a[0], pattern = a[1], options = n > 2 ? a[2] : TERM_NIL;
    bool first = n < 4 || a[3] != ATOM_false;
    struct regex_error error = { NULL, 0 };
    struct buf key = { 0 };
    struct re_options o;
    struct regex *re;
    term t;

    if (!is_long && is_much(subject))
        return bif_long(p, again, n, a);
    if (!parse_options(options, &o))
        return bif_badarg_cause(p, ATOM_badopt);
    if (!capture_is_valid(o.capture) || !run_key(&key, pattern, &o)) {
        buf_fini(&key);
        return bif_badarg(p);
    }
    o.is_long = is_long;
    re = (is_long ? regex_get_long : regex_get)(key.data, key.len, &error);
    if (re != NULL)
        t = run_regex(p, re, subject, &o, first);
    else if (error.text != NULL && o.report_errors)
        t = heap_tuple2(&p->heap, ATOM_error,
                        heap_tuple2(&p->heap, ATOM_compile, error_term(&p->heap, &error)));
    else
        t = bif_badarg(p);
    buf_fini(&key);
    if (re != NULL && is_long)
        regex_free(re);
    return o.too_long && !is_long ? bif_long(p, again, n, a) : t;
}

static term run_2_long(struct process *p, const term *a)
{
    return run(p, a, 2, true, NULL);
}

static term run_3_long(struct process *p, const term *a)
{
    return run(p, a, 3, true, NULL);
}

/* internal_run's last argument says whether the subject has not been checked for being UTF-8 yet. */
static term run_4_long(struct process *p, const term *a)
{
    return run(p, a, 4, true, NULL);
}

term bif_re_run_2(struct process *p, const term *a)
{
    return run(p, a, 2, false, run_2_long);
}

term bif_re_run_3(struct process *p, const term *a)
{
    return run(p, a, 3, false, run_3_long);
}

term bif_re_internal_run(struct process *p, const term *a)
{
    return run(p, a, 4, false, run_4_long);
}

/* inspect(Pattern, namelist) */
term bif_re_inspect(struct process *p, const term *a)
{
    struct regex_error error;
    struct buf key = { 0 };
    struct regex *re;
    term list = TERM_NIL;

    if (!is_pattern_tuple(a[0]) || a[1] != ATOM_namelist)
        return bif_badarg(p);
    pattern_key(&key, a[0]);
    re = regex_get(key.data, key.len, &error);
    buf_fini(&key);
    if (re == NULL)
        return bif_badarg(p);
    for (uint32_t i = re->names; i > 0; i--) {
        PCRE2_SPTR e = re->name_table + (i - 1) * re->name_entry_bytes;

        if (i > 1 && strcmp(entry_name(e), entry_name(e - re->name_entry_bytes)) == 0)
            continue;
        list = heap_cons(&p->heap, heap_binary(&p->heap, entry_name(e), strlen(entry_name(e))),
                         list);
    }
    return heap_tuple2(&p->heap, ATOM_namelist, list);
}
