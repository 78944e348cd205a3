/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - white space anew, from the tokens, the comments and what the tree says of them
 *
 * The unit of work is a piece: a token, a whole interpolated string, or a comment, with the text
 * as it stands in the source. What follows from the grammar alone (is this brace a value or a
 * block, this minus a sign, does a clause begin here) is read off the tree into marks, one byte
 * for each byte of the source. A stack of open brackets gives the indentation:
 *
 *   - a line stands two columns right of the line that opened the innermost bracket, whatever else
 *     that line opened, and a line that starts with a closing bracket stands with its opening line;
 *   - the body of a clause stands two columns right of its head, but in a `fn` of one clause that
 *     begins on its line, where it stands as in a block;
 *   - a line that goes on with an expression stands two columns further right.
 *
 * A statement has a line of its own: where several are written in one, with semicolons, each gets
 * its line, and so do the brackets around them. A line too long for a page is broken likewise, at
 * its outermost blocks, until it fits or has none.
 */
#include "lang/rata/format.h"

#include "base/assert.h"
#include "lang/rata/parse.h"

#include <string.h>

#define INDENT 2
#define WIDTH  100u

enum mark {
    MARK_VALUE = 1,     /* a brace of a tuple or map */
    MARK_HEAD  = 2,     /* first token of a clause */
    MARK_UNARY = 4,     /* a prefix operator or pin */
    MARK_MANY  = 8,     /* a fn with several clauses */
};

struct piece {
    uint32_t from, to;
    uint8_t kind;               /* of the token; TOK_BAD for a comment */
    bool comment, space;
    bool own_line;              /* a line begins here that the source does not begin */
    bool starts_line;           /* written as the first of its line */
    uint8_t marks;
    uint32_t column;            /* behind it in the line, as written */
};

struct frame {
    unsigned line_indent;       /* of the line that opened it */
    bool value;                 /* newlines inside are plain white space */
    bool in_head, in_body;      /* of a clause */
    bool flat;                  /* bodies of clauses are not indented further */
};

struct formatter {
    const struct source *src;
    struct arena *arena;
    struct buf *out;
    uint8_t *marks;
    struct piece *pieces;
    size_t n, cap;
    struct frame *frames;
    size_t depth, cap_frames;
    unsigned line_indent;       /* of the line being written */
    size_t line_start;          /* in out */
    size_t begin;                   /* of out: what was there before is not ours */
};

/* --- what the tree says ---------------------------------------------------------------------- */

static void mark_tree(struct formatter *f, const struct node *n);

static void mark_list(struct formatter *f, const struct node_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        mark_tree(f, list->at[i]);
}

/* NODE_DEPTH_MAX bounds the recursion. */
static void mark_tree(struct formatter *f, const struct node *n)
{
    if (n == NULL)
        return;
    switch (n->kind) {
    case N_TUPLE: case N_MAP: case N_SET:
        f->marks[n->span.from] |= MARK_VALUE;
        break;
    case N_CLAUSE:
        f->marks[n->span.from] |= MARK_HEAD;
        break;
    case N_UNARY: case N_PIN: case N_SHORT_FN:
        f->marks[n->span.from] |= MARK_UNARY;
        break;
    case N_FN:
        if (n->list.n > 1)
            f->marks[n->span.from] |= MARK_MANY;
        break;
    default:
        break;
    }
    mark_list(f, &n->list);
    mark_tree(f, n->a);
    mark_tree(f, n->b);
    mark_tree(f, n->c);
}

/* --- pieces ---------------------------------------------------------------------------------- */

static void add_piece(struct formatter *f, struct piece p)
{
    f->pieces = arena_grow(f->arena, f->pieces, f->n, &f->cap, sizeof *f->pieces);
    f->pieces[f->n++] = p;
}

/* The last token of the interpolated string that begins at tokens[i]. */
static size_t fstring_end(const struct tokens *ts, size_t i)
{
    size_t open = 0;

    for (;; i++) {
        open += ts->at[i].kind == TOK_FSTRING;
        open -= ts->at[i].kind == TOK_FSTRING_END;
        if (open == 0 || ts->at[i].kind == TOK_END)
            return i;
    }
}

/* A comment inside an interpolated string is part of its text. */
static void make_pieces(struct formatter *f, const struct tokens *ts, const struct comments *cs)
{
    uint32_t done = 0;

    for (size_t i = 0, c = 0; i < ts->n; i++) {
        const struct token *t = &ts->at[i];
        size_t last = t->kind == TOK_FSTRING ? fstring_end(ts, i) : i;

        for (; c < cs->n && cs->at[c].from < t->from; c++)
            if (cs->at[c].from >= done)
                add_piece(f, (struct piece){ .from = cs->at[c].from, .to = cs->at[c].to,
                                             .kind = TOK_BAD, .comment = true, .space = true });
        if (t->kind == TOK_END)
            break;
        done = ts->at[last].to;
        add_piece(f, (struct piece){ .from = t->from, .to = done, .marks = f->marks[t->from],
                                     .kind = last == i ? t->kind : TOK_STRING,
                                     .space = t->space || t->newline });
        i = last;
    }
}

/* --- between two pieces of a line ------------------------------------------------------------ */

/* Behind these a bracket without white space is a call or an index. */
static bool ends_value(const struct piece *p)
{
    switch (p->kind) {
    case TOK_NAME: case TOK_MODULE_NAME: case TOK_ATOM: case TOK_STRING: case TOK_SELF:
    case TOK_PAREN_END: case TOK_BRACKET_END: case TOK_BRACE_END: case TOK_END_FN:
    case TOK_EMPTY_MAP: case TOK_INT: case TOK_FLOAT: case TOK_NIL: case TOK_TRUE: case TOK_FALSE:
        return true;
    default:
        return false;
    }
}

static bool opens(const struct piece *p)
{
    return p->kind == TOK_PAREN || p->kind == TOK_BRACKET || p->kind == TOK_BRACE
           || p->kind == TOK_SET || p->kind == TOK_FN;
}

static bool closes(const struct piece *p)
{
    return p->kind == TOK_PAREN_END || p->kind == TOK_BRACKET_END || p->kind == TOK_BRACE_END
           || p->kind == TOK_END_FN;
}

static bool space_after_prefix(const struct piece *op, const struct piece *p)
{
    return op->kind == TOK_NOT || op->kind == TOK_TILDE
           || (op->kind == TOK_MINUS && p->kind == TOK_MINUS);
}

/* Is there a space between a and b, the next piece of its line? value: the innermost bracket, which
 * b may close, is no block. */
static bool space_between(const struct piece *a, const struct piece *b, bool value)
{
    switch (b->kind) {
    case TOK_COMMA: case TOK_SEMICOLON: case TOK_PAREN_END: case TOK_BRACKET_END: case TOK_RANGE:
        return false;
    case TOK_BRACE_END:
        return !value && a->kind != TOK_BRACE;
    case TOK_PAREN: case TOK_BRACKET:
        if (ends_value(a))
            return b->space;
        if (a->kind == TOK_FUNCTION)
            return false;
        break;
    case TOK_DOT:
        if (ends_value(a))
            return b->space;
        break;
    case TOK_DIVIDE:
        return b->space || b[1].space;
    default:
        break;
    }
    switch (a->kind) {
    case TOK_PAREN: case TOK_BRACKET: case TOK_SET: case TOK_DOT: case TOK_AT: case TOK_RANGE:
        return false;
    case TOK_BRACE:
        return (a->marks & MARK_VALUE) == 0;
    case TOK_DIVIDE:
        return a->space || b->space;
    default:
        return (a->marks & MARK_UNARY) == 0 || space_after_prefix(a, b);
    }
}

/* --- semicolons ------------------------------------------------------------------------------ */

struct sequence {               /* an open bracket whose statements may need lines of their own */
    size_t open, arrow;         /* pieces: the bracket; the arrow of the clause, or 0 */
    bool broken;
};

static void break_before(struct formatter *f, size_t i)
{
    if (i < f->n && !f->pieces[i].comment)
        f->pieces[i].own_line = true;
}

/* The semicolon pieces[i] becomes the end of a line, and so does what it stands in. */
static void break_at(struct formatter *f, size_t i, struct sequence *in)
{
    break_before(f, i + 1);
    if (in == NULL)
        return;
    in->broken = true;
    if (in->arrow != 0)
        break_before(f, in->arrow + 1);
    if (f->pieces[in->open].kind != TOK_FN)
        break_before(f, in->open + 1);
}

static void split_statements(struct formatter *f)
{
    struct sequence *open = NULL;
    size_t depth = 0, cap = 0;

    for (size_t i = 0; i < f->n; i++) {
        struct piece *p = &f->pieces[i];
        struct sequence *in = depth > 0 ? &open[depth - 1] : NULL;

        if (in != NULL && (p->marks & MARK_HEAD)) {
            in->arrow = 0;
            if (in->broken)
                break_before(f, i);
        }
        if (p->kind == TOK_ARROW && in != NULL && in->arrow == 0)
            in->arrow = i;
        if (closes(p) && in != NULL) {
            if (in->broken)
                break_before(f, i);
            depth--;
        } else if (opens(p)) {
            open = arena_grow(f->arena, open, depth, &cap, sizeof *open);
            open[depth++] = (struct sequence){ .open = i };
        } else if (p->kind == TOK_SEMICOLON) {
            break_at(f, i, in);
        }
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

static struct frame *top(struct formatter *f)
{
    return f->depth > 0 ? &f->frames[f->depth - 1] : NULL;
}

/* Tokens that may start a line and go on with the expression before it. */
static bool continues(const struct piece *p)
{
    switch (p->kind) {
    case TOK_PIPE: case TOK_OR_OR: case TOK_AND_AND: case TOK_AND: case TOK_OR: case TOK_CONCAT:
    case TOK_APPEND:
        return true;
    default:
        return false;
    }
}

/* Tokens after which an expression goes on in the next line. */
static bool wants_more(const struct piece *p)
{
    if (p->marks & MARK_UNARY)
        return true;
    return (p->kind >= TOK_IDENTICAL && p->kind <= TOK_MINUS && p->kind != TOK_ARROW
            && p->kind != TOK_EMPTY_MAP && p->kind != TOK_SET)
           || p->kind == TOK_TIMES || p->kind == TOK_DIVIDE || p->kind == TOK_POWER
           || p->kind == TOK_DOT || p->kind == TOK_KEY || p->kind == TOK_AND || p->kind == TOK_OR
           || p->kind == TOK_IN;
}

/* Columns before a line that starts with p; before is the piece that ended the line before it, next
 * the first that is no comment from p on. */
static unsigned indentation(struct formatter *f, const struct piece *before, const struct piece *p,
                            const struct piece *next)
{
    const struct frame *in = top(f);
    unsigned indent = in != NULL ? in->line_indent + INDENT : 0;
    bool head = (next->marks & MARK_HEAD) != 0;

    if (closes(p))
        return in != NULL ? in->line_indent : 0;
    if (in != NULL && in->in_body && !in->flat && !head)
        indent += INDENT;
    if (p->comment || before == NULL)
        return indent;
    if (continues(p) || wants_more(before))
        return indent + INDENT;
    if (before->kind == TOK_COMMA && !head && (in == NULL || !in->value))
        return indent + INDENT;
    return indent;
}

static void open_frame(struct formatter *f, const struct piece *p, bool head_in_line)
{
    struct frame fr = { .line_indent = f->line_indent };

    fr.value = p->kind == TOK_PAREN || p->kind == TOK_BRACKET || p->kind == TOK_SET
               || (p->marks & MARK_VALUE) != 0;
    fr.in_head = p->kind == TOK_FN;
    fr.flat = p->kind == TOK_FN && head_in_line && !(p->marks & MARK_MANY);
    f->frames = arena_grow(f->arena, f->frames, f->depth, &f->cap_frames, sizeof *f->frames);
    f->frames[f->depth++] = fr;
}

/* What p changes for the lines after it. head_in_line: the next piece stands in the same line. */
static void advance(struct formatter *f, const struct piece *p, bool head_in_line)
{
    struct frame *in = top(f);

    if (p->comment)
        return;
    if ((p->marks & MARK_HEAD) && in != NULL) {
        in->in_head = true;
        in->in_body = false;
    }
    if (p->kind == TOK_ARROW && in != NULL && in->in_head) {
        in->in_head = false;
        in->in_body = true;
    }
    if (closes(p) && f->depth > 0)
        f->depth--;
    else if (opens(p))
        open_frame(f, p, head_in_line);
}

static unsigned lines_between(const struct formatter *f, const struct piece *a,
                              const struct piece *b)
{
    unsigned n = 0;

    for (uint32_t i = a->to; i < b->from; i++)
        n += f->src->text[i] == '\n';
    return n;
}

/* The first piece from i on that is no comment. */
static const struct piece *significant(const struct formatter *f, size_t i)
{
    static const struct piece none = { .kind = TOK_END };

    while (i < f->n && f->pieces[i].comment)
        i++;
    return i < f->n ? &f->pieces[i] : &none;
}

static void put_text(struct formatter *f, const struct piece *p)
{
    uint32_t to = p->to;

    while (p->comment && to > p->from && strchr(" \t\r\n", f->src->text[to - 1]) != NULL)
        to--;
    buf_add(f->out, f->src->text + p->from, to - p->from);
}

/* The piece before pieces[i]; semicolons are not written. */
static const struct piece *written_before(const struct formatter *f, size_t i)
{
    do
        i--;
    while (i > 0 && f->pieces[i].kind == TOK_SEMICOLON);
    return &f->pieces[i];
}

/* The line end before pieces[i], and the blanks its line begins with. */
static void start_line(struct formatter *f, size_t i, const struct piece *before, unsigned lines)
{
    const struct piece *p = &f->pieces[i];

    if (f->out->len > f->begin) {
        buf_u8(f->out, '\n');
        if (lines > 1 && !opens(written_before(f, i)) && !closes(significant(f, i)))
            buf_u8(f->out, '\n');
    }
    f->line_start = f->out->len;
    f->line_indent = indentation(f, before, p, significant(f, i));
    buf_printf(f->out, "%*s", (int)f->line_indent, "");
}

/* Characters of the line being written. */
static uint32_t line_width(const struct formatter *f)
{
    uint32_t n = 0;

    for (size_t i = f->line_start; i < f->out->len; i++)
        n += (f->out->data[i] & 0xC0) != 0x80;
    return n;
}

static void write_pieces(struct formatter *f)
{
    const struct piece *before = NULL;      /* the last one that is no comment */

    f->depth = 0;
    f->begin = f->out->len;
    for (size_t i = 0; i < f->n; i++) {
        struct piece *p = &f->pieces[i];
        unsigned lines = i > 0 ? lines_between(f, p - 1, p) : 1;

        if (p->kind == TOK_SEMICOLON)
            continue;
        p->starts_line = lines > 0 || p->own_line;
        if (p->starts_line)
            start_line(f, i, before, lines);
        else if (p->comment)
            buf_str(f->out, "  ");
        else if (space_between(p - 1, p, top(f) != NULL && top(f)->value))
            buf_u8(f->out, ' ');
        put_text(f, p);
        p->column = p->comment ? 0 : line_width(f);
        advance(f, p, i + 1 < f->n && lines_between(f, p, p + 1) == 0 && !p[1].own_line);
        if (!p->comment)
            before = p;
    }
    if (f->out->len > f->begin)
        buf_u8(f->out, '\n');
}

/* --- long lines ------------------------------------------------------------------------------ */

struct block {                  /* brackets of a block in one line */
    size_t open, arrow, close;  /* pieces; arrow: of a fn */
    size_t depth;
};

/* The blocks that open and close among pieces[from..to), those with statements inside. */
static struct block *blocks_of_line(struct formatter *f, size_t from, size_t to, size_t *ret_n)
{
    struct block *open = NULL, *done = NULL;
    size_t depth = 0, cap = 0, cap_done = 0;

    *ret_n = 0;
    for (size_t i = from; i < to; i++) {
        const struct piece *p = &f->pieces[i];

        if (p->kind == TOK_ARROW && depth > 0 && open[depth - 1].arrow == 0)
            open[depth - 1].arrow = i;
        if (opens(p)) {
            open = arena_grow(f->arena, open, depth, &cap, sizeof *open);
            open[depth] = (struct block){ .open = i, .depth = depth };
            depth++;
        } else if (closes(p) && depth > 0) {
            struct block b = open[--depth];
            const struct piece *o = &f->pieces[b.open];
            bool is_block = o->kind == TOK_BRACE ? !(o->marks & MARK_VALUE) && i > b.open + 1
                            : o->kind == TOK_FN && b.arrow != 0 && !(o->marks & MARK_MANY);

            b.close = i;
            done = arena_grow(f->arena, done, *ret_n, &cap_done, sizeof *done);
            if (is_block)
                done[(*ret_n)++] = b;
        }
    }
    return done;
}

/* Give the outermost blocks of a line lines of their own. False: it has none. */
static bool break_line(struct formatter *f, size_t from, size_t to)
{
    size_t n, least = SIZE_MAX;
    struct block *b = blocks_of_line(f, from, to, &n);

    for (size_t i = 0; i < n; i++)
        least = b[i].depth < least ? b[i].depth : least;
    for (size_t i = 0; i < n; i++) {
        if (b[i].depth != least)
            continue;
        break_before(f, (b[i].arrow != 0 && f->pieces[b[i].open].kind == TOK_FN ? b[i].arrow
                                                                               : b[i].open) + 1);
        break_before(f, b[i].close);
    }
    return n > 0;
}

/* False: nothing was changed. */
static bool break_long_lines(struct formatter *f)
{
    bool changed = false;

    for (size_t i = 0, end; i < f->n; i = end) {
        uint32_t width = 0;

        for (end = i; end < f->n && (end == i || !f->pieces[end].starts_line); end++)
            width = f->pieces[end].column > width ? f->pieces[end].column : width;
        if (width > WIDTH && break_line(f, i, end))
            changed = true;
    }
    return changed;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Does the text from `start` of out on hold the same program? */
static bool same_program(struct diags *d, const struct node *root, const struct buf *out, size_t start)
{
    uint32_t len = (uint32_t)(out->len - start);
    const char *made = len > 0 ? (const char *)out->data + start : "";
    char *text = arena_strndup(d->arena, made, len);
    struct source again;
    struct diags quiet;
    struct parsed parsed;

    if (source_open(d->arena, "formatted", text, len, &again) != len)
        return false;
    diags_init(&quiet, d->arena, &again);
    rata_parse(&quiet, 0, &parsed);
    return quiet.n_errors == 0 && node_equal(root, parsed.root);
}

bool rata_format(struct diags *d, uint32_t file, struct buf *out)
{
    struct formatter f = { .src = &d->sources[file], .arena = d->arena, .out = out };
    struct diags quiet;
    struct parsed parsed;
    struct tokens tokens = { 0 };
    struct comments comments = { 0 };
    size_t start = out->len;

    rata_parse(d, file, &parsed);
    if (d->n_errors > 0)
        return false;
    diags_init(&quiet, d->arena, d->sources);
    rata_lex(&quiet, file, &tokens, &comments);
    f.marks = arena_alloc(d->arena, f.src->len + 1);
    memset(f.marks, 0, f.src->len + 1);
    mark_tree(&f, parsed.root);
    make_pieces(&f, &tokens, &comments);
    split_statements(&f);
    write_pieces(&f);
    while (break_long_lines(&f)) {
        out->len = start;
        write_pieces(&f);
    }
    return same_program(d, parsed.root, out, start);
}
