/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asm.c - the assembler
 *
 * One pass. A label or function gets its number the first time it is named, whether that is its
 * definition or a use; what was used and never defined is found at the end of the function, or of
 * the text. Operands are read by the letters that opcodes.tab gives for their instruction.
 */
#include "beam/asm.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/errors.h"
#include "beam/write.h"

#include <stdio.h>

#define LIST_ARGS_MAX 65536

struct place { unsigned line, col; };

struct function {
    uint32_t name, arity;       /* atom */
    uint32_t entry;             /* label */
    bool defined, exported;
    struct place used;          /* the first use */
};

struct label {
    struct buf name;
    uint32_t number;
    bool defined;
    struct place used;
};

struct fun_row { uint32_t function, num_free, row; };

struct assembler {
    struct text t;
    struct beam_writer *w;
    const char *source;         /* lent */
    struct buf file;            /* NUL-terminated name for lines; empty: source */
    struct function *functions;
    struct label *labels;       /* of the current function */
    struct fun_row *funs;
    uint32_t n_functions, n_labels, n_funs;
    uint32_t next_label;
    uint32_t module;            /* atom, 0 before the module line */
    bool in_function;
    struct buf attributes;      /* list elements, n_attributes of them */
    uint32_t n_attributes;
    struct beam_arg *list;      /* elements of the list operand being read */
    size_t  cap_list;
};

/* Fail at a place other than the token under the eye. */
static int fail_at(struct assembler *a, struct place at, const char *what, const struct buf *name)
{
    a->t.tok.line = at.line;
    a->t.tok.col = at.col;
    return text_fail(&a->t, "%s %.*s", what, (int)name->len, (const char *)name->data);
}

static struct place here(const struct assembler *a)
{
    return (struct place){ a->t.tok.line, a->t.tok.col };
}

#define GROW(array, n) do { \
        if (((n) & ((n) - 1)) == 0) \
            (array) = mem_realloc((array), ((n) == 0 ? 1 : (n) * 2) * sizeof *(array)); \
    } while (0)

/* --- names ----------------------------------------------------------------------------------- */

static int take_atom(struct assembler *a, uint32_t *ret)
{
    size_t chars = 0;

    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "a name was expected here");
    for (size_t i = 0; i < a->t.tok.text.len; i++)
        chars += (a->t.tok.text.data[i] & 0xc0) != 0x80;
    if (chars > BEAM_ATOM_CHARS_MAX)
        return text_fail(&a->t, "an atom of more than %d characters", BEAM_ATOM_CHARS_MAX);
    *ret = beam_add_atom(a->w, a->t.tok.text.data, a->t.tok.text.len);
    return text_next(&a->t);
}

static int take_arity(struct assembler *a, uint32_t *ret)
{
    uint64_t v;
    int rc = text_expect(&a->t, '/');

    if (rc == 0)
        rc = text_count(&a->t, 255, &v);
    if (rc == 0)
        *ret = (uint32_t)v;
    return rc;
}

static uint32_t function_find(struct assembler *a, uint32_t name, uint32_t arity, struct place at)
{
    for (uint32_t i = 0; i < a->n_functions; i++) {
        if (a->functions[i].name == name && a->functions[i].arity == arity)
            return i;
    }
    GROW(a->functions, a->n_functions);
    a->functions[a->n_functions] = (struct function){ .name = name, .arity = arity,
                                                      .entry = a->next_label++, .used = at };
    return a->n_functions++;
}

/* name/arity of this module. */
static int take_function(struct assembler *a, uint32_t *ret_index)
{
    struct place at = here(a);
    uint32_t name, arity;
    int rc = take_atom(a, &name);

    if (rc == 0)
        rc = take_arity(a, &arity);
    if (rc == 0)
        *ret_index = function_find(a, name, arity, at);
    return rc;
}

static struct label *label_find(struct assembler *a, const struct buf *name, struct place at)
{
    for (uint32_t i = 0; i < a->n_labels; i++) {
        struct label *l = &a->labels[i];

        if (l->name.len == name->len && memcmp(l->name.data, name->data, name->len) == 0)
            return l;
    }
    GROW(a->labels, a->n_labels);
    struct label *l = &a->labels[a->n_labels++];

    *l = (struct label){ .number = a->next_label++, .used = at };
    buf_add(&l->name, name->data, name->len);
    return l;
}

static int define_label(struct assembler *a, struct label *l)
{
    if (l->defined)
        return fail_at(a, here(a), "defined twice: label", &l->name);
    l->defined = true;
    beam_emit_args(a->w, BOP_label, (struct beam_arg[]){ BARG_U(l->number) });
    return 0;
}

static int close_function(struct assembler *a)
{
    int rc = 0;

    for (uint32_t i = 0; i < a->n_labels; i++) {
        if (rc == 0 && !a->labels[i].defined)
            rc = fail_at(a, a->labels[i].used, "not defined: label", &a->labels[i].name);
        buf_fini(&a->labels[i].name);
    }
    a->n_labels = 0;
    return rc;
}

/* --- operands -------------------------------------------------------------------------------- */

static int operand(struct assembler *a, char letter, struct beam_arg *arg);

/* Registers are written without quotes: a letter or two, then digits. */
static bool is_register(const struct token *tok, const char *prefix, uint64_t *ret)
{
    size_t skip = strlen(prefix);
    uint64_t v = 0;

    if (tok->kind != TOK_ATOM || tok->quoted || tok->text.len <= skip || tok->text.len > skip + 6
        || memcmp(tok->text.data, prefix, skip) != 0)
        return false;
    for (size_t i = skip; i < tok->text.len; i++) {
        if (tok->text.data[i] < '0' || tok->text.data[i] > '9')
            return false;
        v = v * 10 + tok->text.data[i] - '0';
    }
    *ret = v;
    return true;
}

/* 1 when the token was a register, 0 when not. */
static int register_operand(struct assembler *a, struct beam_arg *arg)
{
    static const struct { char prefix[3]; enum beam_kind kind; unsigned end; } rows[] = {
        { "x", BEAM_X, BEAM_X_MAX }, { "y", BEAM_Y, BEAM_Y_MAX }, { "fr", BEAM_FR, BEAM_FR_MAX },
    };
    uint64_t v;
    int rc;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!is_register(&a->t.tok, rows[i].prefix, &v))
            continue;
        if (v >= rows[i].end)
            return text_fail(&a->t, "no such register");
        *arg = (struct beam_arg){ .kind = rows[i].kind, .u = v };
        rc = text_next(&a->t);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

static int label_operand(struct assembler *a, struct beam_arg *arg)
{
    struct place at = here(a);
    int rc = text_next(&a->t);

    if (rc < 0)
        return rc;
    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "a label was expected here");
    *arg = BARG_F(0);
    if (!text_is_atom(&a->t, "none"))
        arg->u = label_find(a, &a->t.tok.text, at)->number;
    return text_next(&a->t);
}

/* Small integers, atoms and [] have operands of their own; other terms become literals. */
static void classify_term(struct assembler *a, const struct buf *etf, struct beam_arg *arg)
{
    const uint8_t *p = etf->data + 1;
    size_t len = etf->len - 1;
    uint64_t v = 0;

    if (p[0] == 106 && len == 1) {
        *arg = BARG_NIL;
    } else if (p[0] == 97 && len == 2) {
        *arg = BARG_I(p[1]);
    } else if (p[0] == 98 && len == 5) {
        *arg = BARG_I((int32_t)((uint32_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4]));
    } else if (p[0] == 119 && len == 2u + p[1]) {
        *arg = BARG_ATOM(beam_add_atom(a->w, p + 2, p[1]));
    } else if (p[0] == 118) {
        *arg = BARG_ATOM(beam_add_atom(a->w, p + 3, len - 3));
    } else if (p[0] == 110 && p[1] <= 8 && len == 3u + p[1] && (p[1] < 8 || p[10] < 0x80)) {
        for (unsigned i = p[1]; i > 0; i--)
            v = v << 8 | p[2 + i];
        *arg = BARG_I(p[2] ? -(int64_t)v : (int64_t)v);
    } else {
        *arg = BARG_LITERAL(beam_add_literal(a->w, etf->data, etf->len));
    }
}

static int term_operand(struct assembler *a, struct beam_arg *arg)
{
    struct buf etf = { 0 };
    int rc;

    buf_u8(&etf, 131);
    rc = text_term(&a->t, &etf);
    if (rc == 0)
        classify_term(a, &etf, arg);
    buf_fini(&etf);
    return rc;
}

static int import_operand(struct assembler *a, struct beam_arg *arg)
{
    uint32_t module, function, arity;
    int rc = take_atom(a, &module);

    if (rc == 0)
        rc = text_expect(&a->t, ':');
    if (rc == 0)
        rc = take_atom(a, &function);
    if (rc == 0)
        rc = take_arity(a, &arity);
    if (rc == 0)
        *arg = BARG_U(beam_add_import(a->w, module, function, arity));
    return rc;
}

/* room(words, floats, funs) */
static int room_operand(struct assembler *a, struct beam_arg *arg)
{
    uint64_t v[3] = { 0, 0, 0 };
    int rc = text_next(&a->t);

    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = text_expect(&a->t, i == 0 ? '(' : ',');
        if (rc == 0)
            rc = text_count(&a->t, 1u << 28, &v[i]);
    }
    if (rc == 0)
        rc = text_expect(&a->t, ')');
    if (rc < 0)
        return rc;
    arg->kind = BEAM_ALLOC;
    arg->alloc.words = (uint32_t)v[0];
    arg->alloc.floats = (uint32_t)v[1];
    arg->alloc.funs = (uint32_t)v[2];
    return 0;
}

static const char *line_file(struct assembler *a)
{
    return a->file.len > 0 ? buf_cstr(&a->file) : a->source;
}

/* A row of the line table: of the line given, or of this one; none is the row for no place. */
static int line_operand(struct assembler *a, struct beam_arg *arg)
{
    uint64_t line = a->t.tok.line;
    int rc = 0;

    if (text_is_atom(&a->t, "none")) {
        *arg = BARG_U(0);
        return text_next(&a->t);
    }
    if (a->t.tok.kind == TOK_INT)
        rc = text_count(&a->t, 0xfffffe, &line);
    if (rc == 0)
        *arg = BARG_U(beam_add_line(a->w, line_file(a), (uint32_t)line));
    return rc;
}

static int string_operand(struct assembler *a, struct beam_arg *arg)
{
    struct buf bytes = { 0 };

    for (size_t i = 0; i < a->t.tok.text.len; i += 4) {
        if (a->t.tok.text.data[i + 2] != 0 || a->t.tok.text.data[i + 1] != 0) {
            buf_fini(&bytes);
            return text_fail(&a->t, "a character above 255 in a string of bytes");
        }
        buf_u8(&bytes, a->t.tok.text.data[i + 3]);
    }
    *arg = BARG_U(beam_add_string(a->w, bytes.data, bytes.len));
    buf_fini(&bytes);
    return text_next(&a->t);
}

static int label_definition_operand(struct assembler *a, struct beam_arg *arg)
{
    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "the name of the label was expected here");
    struct label *l = label_find(a, &a->t.tok.text, here(a));

    if (l->defined)
        return fail_at(a, here(a), "defined twice: label", &l->name);
    l->defined = true;
    *arg = BARG_U(l->number);
    return text_next(&a->t);
}

/* The function of a fun; its row is made when the number of free variables is known. */
static int fun_operand(struct assembler *a, struct beam_arg *arg)
{
    uint32_t index;
    int rc = take_function(a, &index);

    if (rc == 0)
        *arg = BARG_U(index);
    return rc;
}

static uint32_t fun_row(struct assembler *a, uint32_t index, uint32_t num_free)
{
    const struct function *f = &a->functions[index];

    for (uint32_t i = 0; i < a->n_funs; i++) {
        if (a->funs[i].function == index && a->funs[i].num_free == num_free)
            return a->funs[i].row;
    }
    GROW(a->funs, a->n_funs);
    uint32_t row = beam_add_fun(a->w, f->name, f->arity, f->entry, num_free);

    a->funs[a->n_funs++] = (struct fun_row){ index, num_free, row };
    return row;
}

/* The tag of call_fun2: safe, unsafe, or a function that an earlier make_fun3 named; or one with
 * the number of its free variables behind a colon, wherever that fun is made. */
static int fun_tag_operand(struct assembler *a, struct beam_arg *arg)
{
    uint32_t index;
    uint64_t num_free;
    struct place at = here(a);
    int rc;

    if (text_is_atom(&a->t, "safe") || text_is_atom(&a->t, "unsafe"))
        return term_operand(a, arg);
    rc = take_function(a, &index);
    if (rc == 0 && text_is_punct(&a->t, ':')) {
        rc = text_next(&a->t);
        if (rc == 0)
            rc = text_count(&a->t, a->functions[index].arity, &num_free);
        if (rc == 0)
            *arg = BARG_U(fun_row(a, index, (uint32_t)num_free));
        return rc;
    }
    for (uint32_t i = 0; rc == 0 && i < a->n_funs; i++) {
        if (a->funs[i].function == index) {
            *arg = BARG_U(a->funs[i].row);
            return 0;
        }
    }
    a->t.tok.line = at.line;
    a->t.tok.col = at.col;
    return rc < 0 ? rc : text_fail(&a->t, "no make_fun3 above names this function");
}

static int list_operand(struct assembler *a, const char *letters, size_t n_letters,
                        struct beam_arg *arg)
{
    uint32_t n = 0;
    int rc;

    a->t.nested++;
    rc = text_expect(&a->t, '[');
    while (rc == 0 && !text_is_punct(&a->t, ']')) {
        if (n == LIST_ARGS_MAX)
            return text_fail(&a->t, "a list of more than %d operands", LIST_ARGS_MAX);
        if (n == a->cap_list) {
            a->cap_list = a->cap_list != 0 ? 2 * a->cap_list : 64;
            a->list = mem_realloc(a->list, a->cap_list * sizeof *a->list);
        }
        rc = operand(a, letters[n % n_letters], &a->list[n]);
        if (rc == 0 && text_is_punct(&a->t, ','))
            rc = text_next(&a->t);
        n++;
    }
    a->t.nested--;
    if (rc < 0)
        return rc;
    arg->kind = BEAM_LIST;
    arg->list = a->list;
    arg->n = n;
    return text_next(&a->t);
}

/* #7 is a term and =7 a count, whatever the place asks for. */
static int marked_operand(struct assembler *a, struct beam_arg *arg)
{
    bool count = text_is_punct(&a->t, '=');
    uint64_t v;
    int rc = text_next(&a->t);

    if (rc < 0 || !count)
        return rc < 0 ? rc : term_operand(a, arg);
    rc = text_count(&a->t, INT64_MAX - 1, &v);
    if (rc == 0)
        *arg = BARG_U(v);
    return rc;
}

/* The operands that only one letter has. */
static int lettered_operand(struct assembler *a, char letter, struct beam_arg *arg)
{
    uint64_t v;
    int rc;

    switch (letter) {
    case 'e': return import_operand(a, arg);
    case 'g': return fun_operand(a, arg);
    case 'h': return fun_tag_operand(a, arg);
    case 'l': return label_definition_operand(a, arg);
    case 'n': return line_operand(a, arg);
    case 'f':
        rc = fun_operand(a, arg);
        if (rc == 0)
            *arg = BARG_F(a->functions[arg->u].entry);
        return rc;
    case 'u': case 'w': case 'k': case 'z':
        if (a->t.tok.kind == TOK_INT) {
            rc = text_count(&a->t, INT64_MAX - 1, &v);
            *arg = BARG_U(rc < 0 ? 0 : v);
            return rc;
        }
        if (letter == 'w' && text_is_atom(&a->t, "room"))
            return room_operand(a, arg);
        if (letter == 'z' && a->t.tok.kind == TOK_STRING)
            return string_operand(a, arg);
        return term_operand(a, arg);
    default:
        return term_operand(a, arg);
    }
}

/* Kinds of operand that a letter takes; inside lists anything goes, as bs_match needs. */
static bool is_allowed(char letter, unsigned kind)
{
#define KINDS(k) (1u << BEAM_##k)
    unsigned terms = KINDS(I) | KINDS(BIG) | KINDS(ATOM) | KINDS(NIL) | KINDS(LITERAL);
    unsigned registers = KINDS(X) | KINDS(Y), mask;

    switch (letter) {
    case 's': mask = terms | registers; break;
    case 'd': mask = registers; break;
    case 'f': mask = KINDS(F); break;
    case 'a': mask = KINDS(ATOM) | KINDS(NIL); break;
    case 'b': mask = KINDS(F) | KINDS(ATOM); break;
    case 'h': mask = KINDS(U) | KINDS(ATOM); break;
    case 'w': mask = KINDS(U) | KINDS(ALLOC); break;
    case 'k': mask = KINDS(U) | registers; break;
    case 'r': mask = KINDS(FR); break;
    case 'm': mask = KINDS(FR) | registers | KINDS(LITERAL); break;
    default:  mask = KINDS(U); break;
    }
#undef KINDS
    return (mask >> kind & 1) != 0;
}

static int operand(struct assembler *a, char letter, struct beam_arg *arg)
{
    int rc;

    *arg = (struct beam_arg){ 0 };
    if (text_is_punct(&a->t, '@'))
        return label_operand(a, arg);
    if (text_is_punct(&a->t, '#') || text_is_punct(&a->t, '='))
        return marked_operand(a, arg);
    rc = register_operand(a, arg);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return lettered_operand(a, letter, arg);
}

/* --- instructions ---------------------------------------------------------------------------- */

static int check_kind(struct assembler *a, char letter, struct place at, const struct beam_arg *arg)
{
    if (is_allowed(letter, arg->kind))
        return 0;
    a->t.tok.line = at.line;
    a->t.tok.col = at.col;
    return text_fail(&a->t, "this operand is not of the kind that its instruction takes");
}

static int operands(struct assembler *a, const char *letters, struct beam_arg *args)
{
    for (unsigned i = 0; *letters != '\0'; i++) {
        struct place at = here(a);
        const char *stop = *letters == '[' ? strchr(letters, ']') : NULL;
        int rc = stop != NULL ? list_operand(a, letters + 1, (size_t)(stop - letters) - 1, &args[i])
                              : operand(a, *letters, &args[i]);

        if (rc == 0 && stop == NULL)
            rc = check_kind(a, *letters, at, &args[i]);
        if (rc < 0)
            return rc;
        letters = (stop != NULL ? stop : letters) + 1;
    }
    return 0;
}

/* The row of a make_fun2, after whose function the number of free variables may stand. */
static int old_fun(struct assembler *a, struct beam_arg *fun)
{
    uint64_t num_free = 0;
    int rc = 0;

    if (a->t.tok.kind == TOK_INT)
        rc = text_count(&a->t, a->functions[fun->u].arity, &num_free);
    fun->u = fun_row(a, (uint32_t)fun->u, (uint32_t)num_free);
    return rc;
}

static int instruction(struct assembler *a)
{
    unsigned op = beam_op_find((const char *)a->t.tok.text.data, a->t.tok.text.len);
    const struct beam_op_info *info = beam_op_info(op);
    struct beam_arg args[BEAM_ARITY_MAX];
    int rc;

    if (op == 0 || !info->accepted || op == BOP_int_code_end)
        return text_fail(&a->t, "no such instruction");
    if (!a->in_function)
        return text_fail(&a->t, "an instruction before the first function");
    rc = text_next(&a->t);
    if (rc == 0)
        rc = operands(a, info->operands, args);
    if (rc < 0)
        return rc;
    if (op == BOP_make_fun3 && args[2].n > a->functions[args[0].u].arity)
        return text_fail(&a->t, "more free variables than the function has arguments");
    if (op == BOP_make_fun3)
        args[0].u = fun_row(a, (uint32_t)args[0].u, args[2].n);
    else if (op == BOP_make_fun2)
        rc = old_fun(a, &args[0]);
    if (rc < 0)
        return rc;
    beam_emit_args(a->w, op, args);
    return 0;
}

/* --- directives ------------------------------------------------------------------------------ */

static int dir_module(struct assembler *a)
{
    if (a->module != 0)
        return text_fail(&a->t, "a second module line");
    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "the name of the module was expected here");
    a->w = beam_writer_new((const char *)a->t.tok.text.data, a->t.tok.text.len);
    return take_atom(a, &a->module);
}

static int dir_export(struct assembler *a)
{
    uint32_t index;
    int rc = 0;

    while (rc == 0 && a->t.tok.kind == TOK_ATOM) {
        rc = take_function(a, &index);
        if (rc == 0)
            a->functions[index].exported = true;
        if (rc == 0 && text_is_punct(&a->t, ','))
            rc = text_next(&a->t);
    }
    return rc;
}

static int dir_attribute(struct assembler *a)
{
    static const uint8_t pair[] = { 104, 2 }, list[] = { 108, 0, 0, 0, 1 };
    int rc;

    buf_add(&a->attributes, pair, sizeof pair);
    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "a name was expected here");
    rc = text_term(&a->t, &a->attributes);
    buf_add(&a->attributes, list, sizeof list);
    if (rc == 0)
        rc = text_term(&a->t, &a->attributes);
    buf_u8(&a->attributes, 106);
    a->n_attributes++;
    return rc;
}

/* One term for all of module_info(attributes), instead of attribute lines, or for (compile). */
static int whole_info(struct assembler *a,
                      void (*set)(struct beam_writer *w, const void *etf, size_t len))
{
    struct buf etf = { 0 };
    int rc;

    buf_u8(&etf, 131);
    rc = text_term(&a->t, &etf);
    if (rc == 0)
        set(a->w, etf.data, etf.len);
    buf_fini(&etf);
    return rc;
}

static int dir_attributes(struct assembler *a)
{
    return whole_info(a, beam_set_attributes);
}

static int dir_compile_info(struct assembler *a)
{
    return whole_info(a, beam_set_compile_info);
}

/* The start of the string table, so that operands may give offsets into it. */
static int dir_strings(struct assembler *a)
{
    struct beam_arg at;
    int rc;

    if (a->t.tok.kind != TOK_STRING)
        return text_fail(&a->t, "a string was expected here");
    rc = string_operand(a, &at);
    return rc < 0 || at.u == 0 ? rc : text_fail(&a->t, "other strings come before this line");
}

static int dir_file(struct assembler *a)
{
    if (a->t.tok.kind != TOK_STRING || a->t.tok.text.len == 0 || a->t.tok.text.len > 4 * 1024)
        return text_fail(&a->t, "a file name in double quotes was expected here");
    a->file.len = 0;
    for (size_t i = 0; i < a->t.tok.text.len; i += 4) {
        if (a->t.tok.text.data[i + 2] != 0 || a->t.tok.text.data[i + 1] != 0
            || a->t.tok.text.data[i + 3] == 0 || a->t.tok.text.data[i + 3] > 0x7e)
            return text_fail(&a->t, "only ASCII is known in file names");
        buf_u8(&a->file, a->t.tok.text.data[i + 3]);
    }
    return text_next(&a->t);
}

static int dir_function(struct assembler *a)
{
    static const struct buf clause = { .data = (uint8_t *)(uintptr_t)"clause", .len = 6 };
    struct place at = here(a);
    struct beam_arg line = { 0 };
    uint32_t index;
    int rc = close_function(a);

    if (rc == 0)
        rc = take_function(a, &index);
    if (rc == 0)
        rc = line_operand(a, &line);
    if (rc < 0)
        return rc;
    struct function *f = &a->functions[index];

    if (f->defined) {
        a->t.tok.line = at.line;
        a->t.tok.col = at.col;
        return text_fail(&a->t, "this function is defined twice");
    }
    f->defined = true;
    a->in_function = true;
    rc = define_label(a, label_find(a, &clause, at));
    beam_emit_args(a->w, BOP_line, &line);
    beam_emit_args(a->w, BOP_func_info, (struct beam_arg[]){ BARG_ATOM(a->module),
                                                             BARG_ATOM(f->name),
                                                             BARG_U(f->arity) });
    beam_emit_args(a->w, BOP_label, (struct beam_arg[]){ BARG_U(f->entry) });
    return rc;
}

/* --- lines ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*handler)(struct assembler *a);
} directives[] = {
    { "export", dir_export }, { "attribute", dir_attribute }, { "attributes", dir_attributes },
    { "compile_info", dir_compile_info }, { "file", dir_file }, { "function", dir_function },
    { "strings", dir_strings },
};

/* Is the atom under the eye followed by a colon, as label definitions are? */
static bool is_label_line(const struct text *t)
{
    const char *p = t->at;

    while (p < t->end && (*p == ' ' || *p == '\t'))
        p++;
    return p < t->end && *p == ':';
}

static int label_line(struct assembler *a)
{
    int rc;

    if (!a->in_function)
        return text_fail(&a->t, "a label before the first function");
    rc = define_label(a, label_find(a, &a->t.tok.text, here(a)));
    if (rc == 0)
        rc = text_next(&a->t);
    return rc < 0 ? rc : text_expect(&a->t, ':');
}

static int asm_line(struct assembler *a)
{
    if (a->t.tok.kind != TOK_ATOM)
        return text_fail(&a->t, "an instruction or a directive was expected here");
    if (text_is_atom(&a->t, "module") && !is_label_line(&a->t)) {
        int rc = text_next(&a->t);

        return rc < 0 ? rc : dir_module(a);
    }
    if (a->module == 0)
        return text_fail(&a->t, "the first line must be: module Name");
    if (is_label_line(&a->t))
        return label_line(a);
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (text_is_atom(&a->t, directives[i].name)) {
            int rc = text_next(&a->t);

            return rc < 0 ? rc : directives[i].handler(a);
        }
    }
    return instruction(a);
}

static int asm_text(struct assembler *a)
{
    int rc = 0;

    while (rc == 0 && a->t.tok.kind != TOK_END) {
        if (a->t.tok.kind != TOK_NEWLINE)
            rc = asm_line(a);
        if (rc == 0 && a->t.tok.kind != TOK_NEWLINE && a->t.tok.kind != TOK_END)
            rc = text_fail(&a->t, "the end of the line was expected here");
        if (rc == 0 && a->t.tok.kind == TOK_NEWLINE)
            rc = text_next(&a->t);
    }
    return rc;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Does the text define name/arity? */
static bool has_function(struct assembler *a, const char *name, uint32_t arity)
{
    uint32_t atom = beam_add_atom(a->w, name, strlen(name));
    bool found = false;

    for (uint32_t i = 0; i < a->n_functions; i++)
        found |= a->functions[i].name == atom && a->functions[i].arity == arity
                 && a->functions[i].defined;
    return found;
}

static void add_module_info(struct assembler *a, uint32_t arity)
{
    uint32_t name = beam_add_atom(a->w, "module_info", 11);
    uint32_t import = beam_add_import(a->w, beam_add_atom(a->w, "erlang", 6),
                                      beam_add_atom(a->w, "get_module_info", 15), arity + 1);
    uint32_t index = function_find(a, name, arity, here(a)), clause = a->next_label++;
    struct function *f = &a->functions[index];

    f->defined = f->exported = true;
    beam_emit_args(a->w, BOP_label, (struct beam_arg[]){ BARG_U(clause) });
    beam_emit_args(a->w, BOP_func_info, (struct beam_arg[]){ BARG_ATOM(a->module), BARG_ATOM(name),
                                                             BARG_U(arity) });
    beam_emit_args(a->w, BOP_label, (struct beam_arg[]){ BARG_U(f->entry) });
    if (arity == 1)
        beam_emit_args(a->w, BOP_move, (struct beam_arg[]){ BARG_X(0), BARG_X(1) });
    beam_emit_args(a->w, BOP_move, (struct beam_arg[]){ BARG_ATOM(a->module), BARG_X(0) });
    beam_emit_args(a->w, BOP_call_ext_only, (struct beam_arg[]){ BARG_U(arity + 1),
                                                                 BARG_U(import) });
}

static int add_functions(struct assembler *a)
{
    for (uint32_t i = 0; i < a->n_functions; i++) {
        const struct function *f = &a->functions[i];

        if (!f->defined) {
            a->t.tok.line = f->used.line;
            a->t.tok.col = f->used.col;
            return text_fail(&a->t, "a function of %u arguments that the text does not define",
                             f->arity);
        }
        if (f->exported)
            beam_add_export(a->w, f->name, f->arity, f->entry);
        else
            beam_add_local(a->w, f->name, f->arity, f->entry);
    }
    return 0;
}

static void add_attributes(struct assembler *a)
{
    struct buf etf = { 0 };

    if (a->n_attributes == 0)
        return;
    buf_u8(&etf, 131);
    buf_u8(&etf, 108);
    buf_be(&etf, a->n_attributes, 4);
    buf_add(&etf, a->attributes.data, a->attributes.len);
    buf_u8(&etf, 106);
    beam_set_attributes(a->w, etf.data, etf.len);
    buf_fini(&etf);
}

static int asm_module(struct assembler *a)
{
    int rc = asm_text(a);

    if (rc == 0 && a->module == 0)
        rc = text_fail(&a->t, "the text has no module line");
    if (rc == 0)
        rc = close_function(a);
    if (rc < 0)
        return rc;
    for (uint32_t arity = 0; arity < 2; arity++) {
        if (!has_function(a, "module_info", arity))
            add_module_info(a, arity);
    }
    add_attributes(a);
    return add_functions(a);
}

int beam_assemble(const char *text, size_t len, const char *source,
                  const struct asm_options *options, struct buf *out, struct text_error *ret_error)
{
    struct assembler a = { .source = source, .next_label = 1 };
    int rc = text_open(&a.t, text, len, ret_error);

    if (rc == 0)
        rc = asm_module(&a);
    if (rc == 0)
        beam_writer_finish(a.w, options != NULL && options->compress, out);
    for (uint32_t i = 0; i < a.n_labels; i++)
        buf_fini(&a.labels[i].name);
    mem_free(a.labels);
    mem_free(a.functions);
    mem_free(a.funs);
    mem_free(a.list);
    buf_fini(&a.file);
    buf_fini(&a.attributes);
    beam_writer_free(a.w);
    text_close(&a.t);
    return rc;
}
