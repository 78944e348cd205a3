/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command line of rnoded
 */
#include "base/alloc.h"
#include "base/errors.h"
#include "cmd/rata/plug.h"
#include "ctl/exits.h"
#include "node/node.h"
#include "node/options.h"
#include "node/run_main.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 256

enum { OPT_LONG_SET = 256, OPT_LONG_CHECK, OPT_LONG_PRINT, OPT_LONG_DEV, OPT_LONG_RUN,
       OPT_LONG_SCHEDULERS, OPT_LONG_STORE, OPT_LONG_VERSION };

static const struct option long_options[] = {
    { "config", required_argument, NULL, 'c' },
    { "set", required_argument, NULL, OPT_LONG_SET },
    { "check", no_argument, NULL, OPT_LONG_CHECK },
    { "print-config", no_argument, NULL, OPT_LONG_PRINT },
    { "dev", optional_argument, NULL, OPT_LONG_DEV },
    { "run", required_argument, NULL, OPT_LONG_RUN },
    { "path", required_argument, NULL, 'p' },
    { "store", required_argument, NULL, OPT_LONG_STORE },
    { "schedulers", required_argument, NULL, OPT_LONG_SCHEDULERS },
    { "verbose", no_argument, NULL, 'v' },
    { "version", no_argument, NULL, OPT_LONG_VERSION },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

static const char usage[] =
    "usage: rnoded [-c FILE] [--set SECTION.KEY=VALUE]... [--check | --print-config] [-v]\n"
    "       rnoded --dev[=NAME] [-p DIR]... [--set SECTION.KEY=VALUE]... [-v]\n"
    "       rnoded --run MODULE[:FUNCTION] [-p DIR]... [--store DIR] [-- ARG...]\n"
    "\n"
    "  -c, --config FILE       configuration instead of " SYSCONFDIR "/rnode/rnoded.conf\n"
    "      --set S.KEY=VALUE   one value of the configuration; wins over files\n"
    "      --check             read the configuration, report, end\n"
    "      --print-config      show every value and where it comes from, end\n"
    "      --dev[=NAME]        a node for development: no root, no configuration, own folder\n"
    "      --run MODULE[:F]    call F (main) in a private machine and end with it;\n"
    "                          MODULE may be the path of a .beam file\n"
    "  -p, --path DIR          look for modules in DIR too\n"
    "      --store DIR         with --run: keep persistent tables in DIR\n"
    "      --schedulers N      threads that run processes\n"
    "  -v, --verbose           log more; twice: everything\n"
    "      --version, -h, --help\n";

struct words { const char *at[WORDS_MAX + 1]; size_t n; };

struct line {
    const char *config, *dev, *run, *store;
    struct words sets, path;
    bool check, print;
    unsigned schedulers;
    int verbose;
};

static int usage_error(const char *text, const char *word)
{
    fprintf(stderr, "error[RN0101]: %s%s\n  = Try:  rnoded --help\n", text, word);
    return EXIT_USAGE;
}

static int add_word(struct words *w, const char *word)
{
    if (w->n == WORDS_MAX)
        return usage_error("too many options", "");
    w->at[w->n++] = word;
    return 0;
}

/* 0, or an exit code plus one: 1 stands for "done, end with 0". */
static int parse(int argc, char **argv, struct line *line)
{
    int c, rc = 0;

    opterr = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "+c:p:vh", long_options, NULL)) != -1) {
        switch (c) {
        case 'c': line->config = optarg; break;
        case 'p': rc = add_word(&line->path, optarg); break;
        case 'v': line->verbose++; break;
        case OPT_LONG_SET: rc = add_word(&line->sets, optarg); break;
        case OPT_LONG_CHECK: line->check = true; break;
        case OPT_LONG_PRINT: line->print = true; break;
        case OPT_LONG_DEV: line->dev = optarg != NULL ? optarg : "dev"; break;
        case OPT_LONG_RUN: line->run = optarg; break;
        case OPT_LONG_STORE: line->store = optarg; break;
        case OPT_LONG_SCHEDULERS: line->schedulers = (unsigned)strtoul(optarg, NULL, 10); break;
        case OPT_LONG_VERSION: printf("rnoded %s\n", PACKAGE_VERSION); return 1;
        case 'h': fputs(usage, stdout); return 1;
        default: return usage_error("not an option, or its value is missing: ", argv[optind - 1]) + 1;
        }
    }
    return rc != 0 ? rc + 1 : 0;
}

/* Everything the configuration comes from, in rising order of strength. */
static int read_options(const struct line *line, struct options *o)
{
    struct buf errors = { 0 };
    const char *path = line->config != NULL ? line->config : SYSCONFDIR "/rnode/rnoded.conf";
    int rc = 0, failed = 0;

    options_init(o);
    if (line->dev == NULL)
        failed = options_load_all(o, path, line->config != NULL, &errors);
    for (size_t i = 0; i < line->sets.n; i++) {
        rc = options_set(o, line->sets.at[i], &errors);
        failed = failed != 0 ? failed : rc;
    }
    if (errors.len > 0)
        fputs(buf_cstr(&errors), stderr);
    buf_fini(&errors);
    return failed < 0 ? EXIT_CONFIG : EXIT_OK;
}

/* Of a private machine: no files, only what --set says. */
static int read_run_options(const struct line *line, struct options *o)
{
    struct line only = { .dev = "run", .sets = line->sets };

    return read_options(&only, o);
}

static bool dev_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return n > 0 && n <= 64 && name[n] == 0;
}

static int run_node(const struct line *line)
{
    struct options o;
    struct node_start start = {
        .options = &o, .dev_name = line->dev, .verbose = line->verbose > 0,
        .sets = (char *const *)line->sets.at,
        .config_path = line->dev != NULL ? NULL
                       : line->config != NULL ? line->config : SYSCONFDIR "/rnode/rnoded.conf",
    };
    struct buf out = { 0 };
    int rc = read_options(line, &o);

    if (rc == EXIT_OK && line->path.n > 0) {
        struct buf path = { 0 }, errors = { 0 };

        buf_str(&path, "vm.code_path=");
        for (size_t i = 0; i < line->path.n; i++)
            buf_printf(&path, "%s%s", i > 0 ? "," : "", line->path.at[i]);
        rc = options_set(&o, buf_cstr(&path), &errors) < 0 ? EXIT_USAGE : EXIT_OK;
        buf_fini(&path);
        buf_fini(&errors);
    }
    if (rc == EXIT_OK && line->schedulers != 0) {
        char set[64];
        struct buf errors = { 0 };

        snprintf(set, sizeof set, "vm.schedulers=%u", line->schedulers);
        rc = options_set(&o, set, &errors) < 0 ? EXIT_USAGE : EXIT_OK;
    }
    if (rc == EXIT_OK && line->print) {
        options_print(&o, &out);
        fputs(buf_cstr(&out), stdout);
        buf_fini(&out);
    } else if (rc == EXIT_OK && line->check) {
        fprintf(stderr, "the configuration is good\n");
    } else if (rc == EXIT_OK) {
        rc = node_main(&start);
    }
    options_fini(&o);
    return rc;
}

int main(int argc, char **argv)
{
    struct line line = { 0 };
    int rc = parse(argc, argv, &line);

    if (rc != 0)
        return rc - 1;
    rata_plug();
    if (line.run != NULL) {
        struct run_command cmd = { line.run, line.path.at, argv + optind, line.schedulers,
                                   line.store, NULL };
        struct options o;

        if (line.store != NULL) {
            rc = read_run_options(&line, &o);
            if (rc != EXIT_OK)
                return rc;
            cmd.options = &o;
        }
        run_main(&cmd);
    }
    if (optind < argc)
        return usage_error("not an option: ", argv[optind]);
    if (line.dev != NULL && !dev_name_ok(line.dev))
        return usage_error("a name is made of letters, digits, _ and -: ", line.dev);
    return run_node(&line);
}
