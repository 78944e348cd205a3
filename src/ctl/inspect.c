/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - rnodectl inspect: which kind of thing, and modules
 */
#include "ctl/inspect_priv.h"

#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "ctl/handlers.h"
#include "term/atom.h"
#include "term/print.h"
#include "vm/code.h"
#include "vm/inspect.h"

static void add_export(void *arg, const struct export_view *v)
{
    struct buf *out = arg;

    if (out->len > 0)
        buf_u8(out, ' ');
    atom_print(out, v->function);
    buf_printf(out, "/%u", v->arity);
}

struct module_search { term name; struct module_view found; };

static void search_module(void *arg, const struct module_view *v)
{
    struct module_search *s = arg;

    if (v->name == s->name)
        s->found = *v;
}

static bool inspect_module(struct request *rq, const char *what)
{
    static const struct column cols[] = {
        { "module", COL_TEXT, false }, { "deployment", COL_TEXT, false },
        { "code", COL_BYTES, false }, { "literals", COL_BYTES, false },
        { "functions", COL_COUNT_, false }, { "md5", COL_TEXT, false },
        { "old_code", COL_FLAG, false }, { "exports", COL_TEXT, false },
    };
    struct module_search s = { .name = atom_existing_utf8(what, strlen(what)) };
    struct buf exports = { 0 }, md5 = { 0 }, deployment = { 0 };

    if (s.name == TERM_NONE || !code_is_loaded(s.name))
        return false;
    inspect_modules(search_module, &s);
    inspect_exports(s.name, add_export, &exports);
    buf_hex(&md5, s.found.md5, sizeof s.found.md5);
    deploy_of_module(what, &deployment);
    reply_head(rq, "rnode.module/1", cols, ARRAY_LEN(cols), true);
    reply_row(rq, (struct cell[]){
        CELL_TEXT(what), CELL_TEXT(buf_cstr(&deployment)), CELL_NUMBER(s.found.code_bytes),
        CELL_NUMBER(s.found.literal_bytes), CELL_NUMBER(s.found.functions),
        CELL_TEXT(buf_cstr(&md5)), CELL_NUMBER(s.found.has_old), CELL_TEXT(buf_cstr(&exports)),
    }, ARRAY_LEN(cols));
    reply_done(rq, 0, 0, "%s", "");
    buf_fini(&exports);
    buf_fini(&md5);
    buf_fini(&deployment);
    return true;
}

/* In this order, for a name that belongs to several; KIND:NAME asks for one of them. */
static const struct { const char *kind; bool (*show)(struct request *rq, const char *what); }
kinds[] = {
    { "process", inspect_process }, { "module", inspect_module }, { "table", inspect_table },
    { "node", inspect_node }, { "port", inspect_port },
};

void ctl_inspect(struct request *rq)
{
    const char *what = request_arg(rq, 0);

    if (rq->role < ROLE_OPERATE &&
        (request_flag(rq, "messages") || request_flag(rq, "state"))) {
        reply_error(rq, EXIT_PERMISSION, "RN0707", NULL, NULL,
                    "contents of messages and states need the role operate");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = strlen(kinds[i].kind);

        if (strncmp(what, kinds[i].kind, n) == 0 && what[n] == ':' && kinds[i].show(rq, what + n + 1))
            return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].show(rq, what))
            return;
    }
    reply_error(rq, EXIT_NO, "RN0302", "rnodectl ps, names, modules, tables, nodes or ports", NULL,
                "nothing here is called `%s`", what);
}
