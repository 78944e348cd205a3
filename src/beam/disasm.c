/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disasm.c - the disassembler
 *
 * The code is decoded twice. The first pass finds the functions (label, line, func_info, label) and
 * gives every other label a name that counts within its function, l1, l2, ...; the second prints.
 * Operands are written by the letters that opcodes.tab gives for their instruction, as the
 * assembler reads them.
 */
#include "beam/disasm.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "beam/decode.h"
#include "beam/text_print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* What a label is. Entries and clauses have names of their own. */
struct label {
    uint32_t function;      /* row of functions[] */
    uint32_t number;        /* of lN; 0: the clause or the entry */
    bool is_entry, is_clause, defined;
    bool entry_used;        /* an entry that something jumps to: needs a name besides */
};

struct function {
    uint32_t name, arity;   /* atom */
    uint32_t line;          /* row; 0: none */
};

struct disassembler {
    const struct beam_file *f;
    struct buf *out;
    struct beam_error *error;
    struct label *labels;   /* by number */
    struct function *functions;
    uint32_t n_functions, at;       /* at: the function being printed, plus one */
    uint32_t file;          /* of the line table, as the text has it now */
};

static int fail(struct disassembler *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(struct disassembler *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(d->error->text, sizeof d->error->text, fmt, ap);
    va_end(ap);
    return -ERR_FORMAT;
}

/* --- the head of a function -------------------------------------------------------------- */

/* A window over the instructions: enough of them to see a head. */
struct window {
    struct beam_cursor c;
    struct beam_instr in[4];
    unsigned n;
};

/* Fill the window; the list of its newest instruction alone is good. A head has no lists. */
static int window_fill(struct disassembler *d, struct window *w, unsigned want)
{
    while (w->n < want) {
        int rc = beam_next(&w->c, &w->in[w->n]);

        if (rc < 0)
            return fail(d, "%s", w->c.error.text);
        if (rc == 0)
            return 0;
        w->n++;
    }
    return 0;
}

static void window_drop(struct window *w, unsigned n)
{
    w->n -= n;
    memmove(w->in, w->in + n, w->n * sizeof w->in[0]);
}

/* Instructions of the head at the window's start; 0: there is none. */
static unsigned head_length(const struct window *w)
{
    unsigned info = w->n > 1 && w->in[1].op == BOP_line ? 2 : 1;

    return w->n > info + 1 && w->in[0].op == BOP_label && w->in[info].op == BOP_func_info &&
           w->in[info + 1].op == BOP_label ? info + 2 : 0;
}

typedef int head_fn(struct disassembler *d, const struct beam_instr *in, unsigned n);
typedef int other_fn(struct disassembler *d, const struct beam_instr *in);

/* Visit every instruction: head() for each function, other() for the rest. A head is looked for
 * only where a label stands, so no list is lost by reading ahead. */
static int walk(struct disassembler *d, head_fn *head, other_fn *other)
{
    struct window w = { .n = 0 };
    int rc;

    beam_cursor_init(&w.c, d->f);
    for (;;) {
        unsigned n = 0;

        rc = window_fill(d, &w, 1);
        if (rc < 0 || w.n == 0)
            break;
        for (unsigned look = 2; w.in[0].op == BOP_label && look <= 4 && rc == 0; look++) {
            unsigned op = w.n > 1 ? w.in[w.n - 1].op : BOP_label;

            if (op != BOP_label && op != BOP_line && op != BOP_func_info)
                break;
            rc = window_fill(d, &w, look);
        }
        if (rc == 0)
            n = head_length(&w);
        if (rc == 0)
            rc = n > 0 ? head(d, w.in, n) : other(d, &w.in[0]);
        if (rc < 0)
            break;
        window_drop(&w, n > 0 ? n : 1);
    }
    beam_cursor_fini(&w.c);
    return rc;
}

/* --- first pass -------------------------------------------------------------------------- */

static struct label *label_define(struct disassembler *d, uint64_t number)
{
    struct label *l;

    if (number == 0 || number >= d->f->label_count || d->labels[number].defined) {
        (void)fail(d, "label %" PRIu64 " is defined twice or out of range", number);
        return NULL;
    }
    l = &d->labels[number];
    l->defined = true;
    l->function = d->n_functions;
    return l;
}

static int head_find(struct disassembler *d, const struct beam_instr *in, unsigned n)
{
    const struct beam_arg *info = in[n - 2].args;
    struct label *clause, *entry;

    if (info[1].kind != BEAM_ATOM || info[2].kind != BEAM_U || info[2].u > 255)
        return fail(d, "a func_info that names no function");
    d->functions[d->n_functions++] = (struct function){
        .name = (uint32_t)info[1].u, .arity = (uint32_t)info[2].u,
        .line = n == 4 && in[1].args[0].kind == BEAM_U && in[1].args[0].u < d->f->n_lines
                ? (uint32_t)in[1].args[0].u : 0,
    };
    clause = label_define(d, in[0].args[0].u);
    entry = clause == NULL ? NULL : label_define(d, in[n - 1].args[0].u);
    if (entry == NULL)
        return -ERR_FORMAT;
    clause->is_clause = entry->is_entry = true;
    return 0;
}

static void use_label(struct disassembler *d, char letter, const char *op, const struct beam_arg *a)
{
    bool is_callee = letter == 'f' && strncmp(op, "call", 4) == 0;

    if (a->kind == BEAM_F && a->u < d->f->label_count && !is_callee)
        d->labels[a->u].entry_used = true;
}

/* Each operand with its letter; in a list the letters repeat. */
static void operands_each(struct disassembler *d, const struct beam_instr *in,
                          void (*fn)(struct disassembler *d, char letter, const char *op,
                                     const struct beam_arg *a))
{
    const struct beam_op_info *info = beam_op_info(in->op);
    const char *letter = info->operands;

    for (unsigned i = 0; i < in->argc; i++) {
        const char *stop = *letter == '[' ? strchr(letter, ']') : NULL;
        size_t n_letters = stop == NULL ? 1 : (size_t)(stop - letter) - 1;

        if (in->args[i].kind != BEAM_LIST)
            fn(d, *letter, info->name, &in->args[i]);
        else
            for (uint32_t k = 0; k < in->args[i].n; k++)
                fn(d, letter[1 + k % n_letters], info->name, &in->args[i].list[k]);
        letter = (stop != NULL ? stop : letter) + 1;
    }
}

static int other_find(struct disassembler *d, const struct beam_instr *in)
{
    if (in->op == BOP_int_code_end)
        return 0;
    if (d->n_functions == 0)
        return fail(d, "code before the first function");
    if (in->op == BOP_label)
        return label_define(d, in->args[0].u) == NULL ? -ERR_FORMAT : 0;
    operands_each(d, in, use_label);
    return 0;
}

/* --- operands ---------------------------------------------------------------------------- */

static void print_function(struct disassembler *d, uint32_t name, uint32_t arity)
{
    text_print_atom(d->out, d->f->atoms[name].data, d->f->atoms[name].len);
    buf_printf(d->out, "/%u", arity);
}

static int print_label(struct disassembler *d, const struct beam_arg *a)
{
    const struct label *l = &d->labels[a->u];

    if (a->u == 0) {
        buf_str(d->out, "@none");
        return 0;
    }
    if (a->u >= d->f->label_count || !l->defined || l->function != d->at)
        return fail(d, "label %" PRIu64 " is not one of its function", a->u);
    if (l->is_clause)
        buf_str(d->out, "@clause");
    else
        buf_printf(d->out, "@l%u", l->number);
    return 0;
}

/* A label where a function is called. */
static int print_callee(struct disassembler *d, const struct beam_arg *a)
{
    const struct label *l = &d->labels[a->u];
    const struct function *f;

    if (a->u >= d->f->label_count || !l->defined || !l->is_entry)
        return fail(d, "label %" PRIu64 " is called and begins no function", a->u);
    f = &d->functions[l->function - 1];
    print_function(d, f->name, f->arity);
    return 0;
}

static int print_etf(struct disassembler *d, const struct beam_bytes *etf)
{
    struct reader r = reader_make(etf->data, etf->len);

    if (reader_u8(&r) != 131 || text_print_term(d->out, &r) < 0)
        return fail(d, "a term that the text has no form for");
    return 0;
}

static int print_import(struct disassembler *d, uint64_t row)
{
    const struct beam_import *i;

    if (row >= d->f->n_imports)
        return fail(d, "import %" PRIu64 " is out of range", row);
    i = &d->f->imports[row];
    text_print_atom(d->out, d->f->atoms[i->module].data, d->f->atoms[i->module].len);
    buf_u8(d->out, ':');
    print_function(d, i->function, i->arity);
    return 0;
}

static int print_fun(struct disassembler *d, uint64_t row)
{
    if (row >= d->f->n_funs)
        return fail(d, "fun %" PRIu64 " is out of range", row);
    print_function(d, d->f->funs[row].function, d->f->funs[row].arity);
    return 0;
}

static bool is_count(char letter)
{
    return letter == 'u' || letter == 'w' || letter == 'k' || letter == 'z';
}

static int print_number(struct disassembler *d, char letter, uint64_t v)
{
    switch (letter) {
    case 'e': return print_import(d, v);
    case 'g': return print_fun(d, v);
    case 'h':
        if (print_fun(d, v) < 0)
            return -ERR_FORMAT;
        buf_printf(d->out, ":%u", d->f->funs[v].num_free);
        return 0;
    default:
        buf_printf(d->out, is_count(letter) ? "%" PRIu64 : "=%" PRIu64, v);
        return 0;
    }
}

static int print_arg(struct disassembler *d, char letter, bool is_call, const struct beam_arg *a)
{
    const struct beam_file *f = d->f;

    switch ((enum beam_kind)a->kind) {
    case BEAM_U:  return print_number(d, letter, a->u);
    case BEAM_F:  return letter == 'f' && is_call ? print_callee(d, a) : print_label(d, a);
    case BEAM_I:  buf_printf(d->out, is_count(letter) ? "#%" PRId64 : "%" PRId64, a->i); return 0;
    case BEAM_X:  buf_printf(d->out, "x%" PRIu64, a->u); return 0;
    case BEAM_Y:  buf_printf(d->out, "y%" PRIu64, a->u); return 0;
    case BEAM_FR: buf_printf(d->out, "fr%" PRIu64, a->u); return 0;
    case BEAM_NIL: buf_str(d->out, "[]"); return 0;
    case BEAM_LITERAL: return print_etf(d, &f->literals[a->u]);
    case BEAM_BIG: text_print_big(d->out, a->bytes.data, a->bytes.len); return 0;
    case BEAM_ATOM:
        /* safe and unsafe are words of call_fun2, and only there without quotes */
        if (letter == 'h')
            buf_add(d->out, f->atoms[a->u].data, f->atoms[a->u].len);
        else
            text_print_atom(d->out, f->atoms[a->u].data, f->atoms[a->u].len);
        return 0;
    case BEAM_ALLOC:
        buf_printf(d->out, "room(%u,%u,%u)", a->alloc.words, a->alloc.floats, a->alloc.funs);
        return 0;
    case BEAM_LIST: break;
    }
    return fail(d, "an operand of an unknown kind");
}

/* --- lines ------------------------------------------------------------------------------- */

/* A file directive when the row is of another file than the last. */
static void print_file(struct disassembler *d, uint32_t row)
{
    const struct beam_file *f = d->f;
    struct buf own = { 0 };
    uint32_t file;

    if (row == 0 || row >= f->n_lines || f->lines[row].line == 0)
        return;
    file = f->lines[row].file + 1;
    if (file == d->file)
        return;
    d->file = file;
    buf_str(d->out, "    file ");
    if (file > 1)
        buf_add(&own, f->files[file - 1].data, f->files[file - 1].len);
    else
        buf_printf(&own, "%.*s.erl", (int)f->atoms[1].len, (const char *)f->atoms[1].data);
    text_print_string(d->out, own.data, own.len);
    buf_str(d->out, "\n");
    buf_fini(&own);
}

static void print_row(struct disassembler *d, uint64_t row)
{
    if (row > 0 && row < d->f->n_lines && d->f->lines[row].line > 0)
        buf_printf(d->out, " %u", d->f->lines[row].line);
    else
        buf_str(d->out, " none");
}

/* --- second pass ------------------------------------------------------------------------- */

static int head_print(struct disassembler *d, const struct beam_instr *in, unsigned n)
{
    const struct function *f = &d->functions[d->at++];
    struct label *entry = &d->labels[in[n - 1].args[0].u];

    buf_str(d->out, "\n");
    print_file(d, f->line);
    buf_str(d->out, "function ");
    print_function(d, f->name, f->arity);
    print_row(d, f->line);
    buf_str(d->out, "\n");
    if (entry->entry_used)
        buf_printf(d->out, "l%u:\n", entry->number);
    return 0;
}

static int print_list(struct disassembler *d, const char *letters, size_t n_letters,
                      const struct beam_arg *a)
{
    int rc = 0;

    buf_str(d->out, "[");
    for (uint32_t i = 0; rc == 0 && i < a->n; i++) {
        buf_str(d->out, i > 0 ? " " : "");
        rc = print_arg(d, letters[i % n_letters], false, &a->list[i]);
    }
    buf_str(d->out, "]");
    return rc;
}

static int other_print(struct disassembler *d, const struct beam_instr *in)
{
    const struct beam_op_info *info = beam_op_info(in->op);
    const char *letter = info->operands;
    bool is_call = strncmp(info->name, "call", 4) == 0;
    int rc = 0;

    if (in->op == BOP_int_code_end)
        return 0;
    if (in->op == BOP_label) {
        buf_printf(d->out, "l%u:\n", d->labels[in->args[0].u].number);
        return 0;
    }
    if (*letter == 'n')
        print_file(d, (uint32_t)in->args[0].u);
    buf_printf(d->out, "    %s", info->name);
    for (unsigned i = 0; rc == 0 && i < in->argc; i++) {
        const char *stop = *letter == '[' ? strchr(letter, ']') : NULL;

        if (*letter == 'n') {
            print_row(d, in->args[i].u);
        } else {
            buf_str(d->out, " ");
            rc = stop != NULL ? print_list(d, letter + 1, (size_t)(stop - letter) - 1, &in->args[i])
                              : print_arg(d, *letter, is_call, &in->args[i]);
        }
        letter = (stop != NULL ? stop : letter) + 1;
    }
    /* The old make_fun2 takes its free variables from x0 on; their number stands in the table. */
    if (in->op == BOP_make_fun2 && in->args[0].kind == BEAM_U && rc == 0)
        buf_printf(d->out, " %u", d->f->funs[in->args[0].u].num_free);
    buf_str(d->out, "\n");
    return rc;
}

/* Names of labels, in the order of the code: that of their numbers is not always the same. */
static int head_name(struct disassembler *d, const struct beam_instr *in, unsigned n)
{
    struct label *entry = &d->labels[in[n - 1].args[0].u];

    d->at = 0;
    if (entry->entry_used)
        entry->number = ++d->at;
    return 0;
}

static int other_name(struct disassembler *d, const struct beam_instr *in)
{
    if (in->op == BOP_label)
        d->labels[in->args[0].u].number = ++d->at;
    return 0;
}

static int print_top(struct disassembler *d)
{
    const struct beam_file *f = d->f;
    int rc = 0;

    buf_str(d->out, "module ");
    text_print_atom(d->out, f->atoms[1].data, f->atoms[1].len);
    for (uint32_t i = 0; i < f->n_exports; i++) {
        buf_str(d->out, i % 8 == 0 ? "\nexport " : " ");
        print_function(d, f->exports[i].function, f->exports[i].arity);
    }
    buf_str(d->out, "\n");
    if (f->attributes.len > 0) {
        buf_str(d->out, "attributes ");
        rc = print_etf(d, &f->attributes);
        buf_str(d->out, "\n");
    }
    if (rc == 0 && f->compile_info.len > 0) {
        buf_str(d->out, "compile_info ");
        rc = print_etf(d, &f->compile_info);
        buf_str(d->out, "\n");
    }
    if (f->strings.len > 0) {
        buf_str(d->out, "strings ");
        text_print_string(d->out, f->strings.data, f->strings.len);
        buf_str(d->out, "\n");
    }
    return rc;
}

int beam_disassemble(const struct beam_file *f, struct buf *out, struct beam_error *ret_error)
{
    struct disassembler d = { .f = f, .out = out, .error = ret_error };
    int rc;

    d.labels = MEM_NEW_ARRAY(struct label, (size_t)f->label_count + 1);
    /* A function takes three instructions of two bytes at least. */
    d.functions = MEM_NEW_ARRAY(struct function, (size_t)f->code.len / 6 + 1);
    rc = walk(&d, head_find, other_find);
    if (rc == 0)
        rc = walk(&d, head_name, other_name);
    if (rc == 0)
        rc = print_top(&d);
    d.at = 0;
    if (rc == 0)
        rc = walk(&d, head_print, other_print);
    mem_free(d.labels);
    mem_free(d.functions);
    return rc;
}
