/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rata.h - the commands of the program rata, and what they share
 */
#ifndef CMD_RATA_H
#define CMD_RATA_H

#include "lang/rata/compile.h"

/* Exit statuses of the language's tools (common to its compilers), where they are not those of
 * ctl/exits.h. */
enum { RATA_OK = 0, RATA_CRASHED = 1, RATA_ERRORS = 2, RATA_USAGE = 64, RATA_NO_INPUT = 66,
       RATA_BUG = 70, RATA_CANNOT_CREATE = 73 };

/* A command takes its name (argv[0]) and the words behind it. The result is the exit status. */
#define COMMAND(name, function, usage, summary) int function(int argc, char **argv);
#include "cmd/rata/commands.tab"
#undef COMMAND

/* --- options that several commands take (options.c) --- */
struct rata_options {
    bool json, werror, watch;
    const char *out;                /* -o */
    const char *eval;               /* -e */
    const char *node;               /* --node */
    bool with_runtime, library;
    const char *path[64];           /* -p, NULL-terminated */
    size_t n_path;
    char **words;                   /* what is no option, NULL-terminated; lent */
    int n_words;
};

/* Options come before, between and behind words, up to `--`; run stops at its first word. False:
 * an unknown option was reported. */
bool rata_options(struct rata_options *o, int argc, char **argv, bool first_word_ends);
int  rata_usage(const char *fmt, ...) PRINTF_LIKE(1, 2);    /* reports, gives RATA_USAGE */

/* --- texts (texts.c) --- */
struct rata_texts { struct rata_text *at; struct buf *data; size_t n; };

/* Read the files named by words. RATA_OK, or RATA_NO_INPUT after reporting; free in both cases. */
int  rata_texts_read(struct rata_texts *t, char *const *words, size_t n);
/* Is the working folder a project? Then the sources are src/(name).rata; start: and a script that
 * starts the project's main module and waits. */
bool rata_in_project(void);
int  rata_texts_project(struct rata_texts *t, bool start);
void rata_texts_free(struct rata_texts *t);

/* Compile with the library and o->path in view; prints diagnostics. RATA_OK or RATA_ERRORS. */
int rata_build_texts(struct rata_compile *c, const struct rata_options *o,
                     const struct rata_texts *t);

/* Copy the library modules that the program needs into folder (runtime.c). */
int rata_copy_runtime(const struct rata_compile *c, const char *folder);
/* Write one file whole: nobody sees half of it. Reports failure: RATA_CANNOT_CREATE. */
int rata_write_file(const char *path, const void *data, size_t len);

/* Write the .beam files into folder, which is made. RATA_OK or RATA_CANNOT_CREATE. */
int rata_write_beams(const struct rata_compile *c, const char *folder);

int rata_dump_texts(struct rata_compile *c, const struct rata_texts *t, enum rata_dump what,
                    struct buf *out);

/* --- the machine (machine.c) --- */
/* Start the private machine, load the modules (and .beam files), call, end the program. */
NORETURN void rata_run_beams(const struct rata_compile *c, char *const *beam_files,
                             size_t n_beam_files, const struct rata_options *o, char *const *args);
/* Run 'Rata.Tool.<tool>':main(Args) and end with the integer it returns. */
NORETURN void rata_run_tool(const char *tool, int argc, char **argv);

#endif
