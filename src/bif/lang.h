/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lang.h - compiling source text inside the node: rnode_lang:compile/4
 *
 * compile(Language, File, Source, Options) with Source a binary, or a list of {File, Binary} for
 * several files at once, gives
 *   {ok, [{Module, Beam}]}                 or, when Options has script: {ok, Modules, Libraries}
 *   incomplete                             only when Options has script: more text could follow
 *   {error, [Text]}                        diagnostics, one binary each
 * Options is a map:
 *   script     name of the module that top-level statements become
 *   bindings   atoms: names that exist already; the script's main/1 takes the list of their values
 *              and returns {Value, [{Name, Value}]}
 *   cover      true: modules note which of their statements run (lang/rata/resolve.h)
 *   libraries  binaries: earlier `library` lines whose aliases hold; Libraries are those of Source
 *
 * The compilers are above this room: a program that has them fills lang_compile_hook before
 * vm_start. Without, or for another language, compile fails with {not_supported, Language}.
 */
#ifndef BIF_LANG_H
#define BIF_LANG_H

#include "base/bytes.h"
#include "vm/bif.h"

struct lang_text { char *name; struct buf text; };
struct lang_beam { char *module; struct buf beam; };

/* One compile; runs on a blocking thread. Everything is owned by the job. */
struct lang_job {
    struct job job;
    char language[32];
    char *script;                           /* NULL: no session */
    bool cover;
    char **bindings;                        /* NULL-terminated; NULL without a session */
    struct lang_text *libraries, *texts;    /* libraries come first in the program's eyes */
    size_t n_libraries, n_texts;
    /* --- results, of the hook --- */
    bool ok, incomplete;
    struct lang_beam *beams;
    struct buf *errors, *library_lines;
    size_t n_beams, n_errors, n_library_lines;
};

/* Compile; fills the results with memory of base/alloc.h. Blocking thread, any number at once.
 * False: not a language of this program. */
extern bool (*lang_compile_hook)(struct lang_job *j);

#endif
