/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - rnodectl report: a tar file that can be given to a stranger
 *
 * Each part is a command of the node, asked over one connection: NAME.txt as people read it, with
 * secrets masked (mask.h), and NAME.json where the answer has rows without free text. What a part
 * refuses stands in its place. Never in it: messages, states, rows of tables, crash dumps, keys.
 */
#include "ctl/cli_priv.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/units.h"
#include "ctl/archive.h"
#include "ctl/exits.h"
#include "ctl/mask.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define REPORT_NAME "rnode-report.tar"

enum { AS_TEXT, AS_BOTH, AS_LOG };

/* Rows at most. */
static const struct { enum command_id command; uint32_t limit; int how; } parts[] = {
    { CMD_status, 0, AS_BOTH }, { CMD_check, 0, AS_BOTH }, { CMD_doctor, 0, AS_BOTH },
    { CMD_config, 0, AS_TEXT }, { CMD_memory, 0, AS_BOTH }, { CMD_ps, 200, AS_BOTH },
    { CMD_tree, 500, AS_BOTH }, { CMD_names, 500, AS_BOTH }, { CMD_tables, 200, AS_BOTH },
    { CMD_ports, 500, AS_BOTH }, { CMD_modules, 0, AS_BOTH }, { CMD_history, 20, AS_TEXT },
    { CMD_nodes, 200, AS_BOTH }, { CMD_flocks, 200, AS_BOTH }, { CMD_metrics, 0, AS_BOTH },
    { CMD_traces, 0, AS_TEXT }, { CMD_crash, 0, AS_TEXT }, { CMD_logs, 1000, AS_LOG },
};

static const char readme[] =
    "What a running rnode said of itself, by rnodectl report.\n"
    "\n"
    "NAME.txt is what rnodectl NAME prints, NAME.json the same for programs.\n"
    "\n"
    "Masked: invitations, what stands behind words such as password and token; in the log\n"
    "also the contents of texts and binaries, long words of letters and digits, what\n"
    "programs logged, and what people asked the node to evaluate. Not in here: messages,\n"
    "states, rows of tables, crash dumps and keys.\n"
    "\n"
    "Names of processes, modules, tables, nodes, users, files and addresses are in here.\n";

/* Ask for one command and append what is shown. Cli is left as it was. */
static int ask(struct cli *cli, struct client *c, size_t part, enum output_form form, struct buf *out)
{
    struct render render = cli->render;
    struct cli_files none = { 0 };
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    uint32_t id;
    int rc;

    cli->cmd = &commands[parts[part].command];
    cli->limit = parts[part].limit;
    cli->noptions = 0;
    cli->render = (struct render){
        .form = form, .utf8 = true, .command = cli->cmd->name, .out = file, .err = file,
    };
    rc = cli_send(cli, c, &none, &id);
    if (rc == 0)
        rc = cli_answer(cli, c, id);
    render_fini(&cli->render);
    cli->render = render;
    fclose(file);
    buf_add(out, text, len);
    free(text);
    return rc;
}

static bool is_over(int rc)
{
    return rc == EXIT_UNREACHABLE || rc == EXIT_INTERRUPTED;
}

static int add_part(struct cli *cli, struct client *c, struct archive *a, size_t part)
{
    char *name = mem_printf("%s.txt", commands[parts[part].command].name);
    struct buf text = { 0 }, masked = { 0 };
    int rc = ask(cli, c, part, FORM_WIDE, &text), failed = 0;

    if (parts[part].how == AS_LOG)
        mask_log(&masked, buf_cstr(&text));
    else
        mask_text(&masked, buf_cstr(&text), MASK_SECRETS);
    failed = archive_add(a, name, masked.data, masked.len);
    mem_free(name);
    if (!is_over(rc) && parts[part].how == AS_BOTH) {
        name = mem_printf("%s.json", commands[parts[part].command].name);
        text.len = 0;
        rc = ask(cli, c, part, FORM_JSON, &text);
        if (failed == 0)
            failed = archive_add(a, name, text.data, text.len);
        mem_free(name);
    }
    buf_fini(&text);
    buf_fini(&masked);
    return failed < 0 ? EXIT_IO : is_over(rc) ? rc : 0;
}

static int write_report(struct cli *cli, struct client *c, struct archive *a)
{
    struct buf head = { 0 };
    time_t now = time(NULL);
    char stamp[32];
    int rc;

    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    buf_printf(&head, "%s\nrnodectl %s, %s\n", readme, PACKAGE_VERSION, stamp);
    rc = archive_add(a, "README", head.data, head.len) < 0 ? EXIT_IO : 0;
    buf_fini(&head);
    for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
        rc = add_part(cli, c, a, i);
    return rc;
}

int cli_report(struct cli *cli)
{
    const char *path = cli_option(cli, "file");
    struct client c = { .fd = -1 };
    struct archive *a = NULL;
    char size[UNIT_TEXT_MAX];
    uint64_t bytes = 0;
    int rc = cli_connect(cli, &c);

    if (path == NULL)
        path = REPORT_NAME;
    if (rc != 0)
        return rc;
    if (access(path, F_OK) == 0)
        rc = cli_fail(cli, EXIT_CANNOT_CREATE, "RN0404", "-o another name", "%s is there already", path);
    else if (archive_create(path, &a) < 0)
        rc = cli_fail(cli, EXIT_CANNOT_CREATE, "RN0404", "-o another name", "%s cannot be made: %s",
                      path, strerror(errno));
    if (rc == 0)
        rc = write_report(cli, &c, a);
    client_close(&c);
    if (rc != 0) {
        archive_abandon(a);
        return rc == EXIT_IO ? cli_fail(cli, EXIT_IO, "RN0004", NULL, "%s could not be written: %s",
                                        path, strerror(errno)) : rc;
    }
    if (archive_finish(a, &bytes) < 0)
        return cli_fail(cli, EXIT_IO, "RN0004", NULL, "%s could not be written: %s", path,
                        strerror(errno));
    printf("%s: %s in %zu parts, secrets masked; README in it says what is there\n", path,
           size_text(bytes, size), ARRAY_LEN(parts));
    return 0;
}
