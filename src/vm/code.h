/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.h - modules: loading, two versions, exports, purging
 *
 * A load has two steps: code_prepare reads and checks a .beam image without any lock, on any
 * thread; code_commit makes all prepared modules current in one switch, at a moment when no
 * scheduler is inside a process.
 */
#ifndef VM_CODE_H
#define VM_CODE_H

#include "term/fun.h"
#include "vm/process.h"

struct prepared;
struct image;       /* one loaded version of a module: code_priv.h */

/* Export of M:F/A, made if new. Any thread. */
struct export *export_get(term module, term function, uint32_t arity);
/* The same, only if it exists: NULL. */
struct export *export_find(term module, term function, uint32_t arity);
/* Callable now without the error handler? */
bool export_is_defined(const struct export *e);

/* Why a file was refused: static text of the loader plus where in the file. */
struct load_error { char text[200]; };

/* Check and translate. expect: the module name it must have, or TERM_NONE. *ret is the caller's
 * until committed or freed. -ERR_FORMAT with *ret_error, -ERR_LIMIT. */
int  code_prepare(const void *beam, size_t len, term expect, struct prepared **ret,
                  struct load_error *ret_error);
/* The same from assembler text (beam/asm.h): for code that the node brings itself. */
int  code_prepare_text(const char *text, size_t len, const char *source, term expect,
                       struct prepared **ret, struct load_error *ret_error);
/* The same from a file. -ERR_NOT_FOUND, -ERR_SYSTEM: it cannot be read; the reason is in *ret_error
 * as well. */
int  code_prepare_file(const char *path, term expect, struct prepared **ret,
                       struct load_error *ret_error);
void prepared_free(struct prepared *pr);
term prepared_module(const struct prepared *pr);
bool prepared_has_on_load(const struct prepared *pr);

/* Make n modules current at once; takes them on success. -ERR_BUSY: *ret_module still has old code.
 */
int  code_commit(struct prepared **pr, size_t n, term *ret_module);

/* Let the external term format find funs and exports (heap/etf.h); engine_init calls it. */
void code_bind_etf(void);

bool code_is_loaded(term module);
bool code_has_old(term module);
/* Drop old code. kill false: only when no process uses it (-ERR_BUSY); true: processes that do are
 * killed. p is the caller, which is never killed here; NULL is fine. -ERR_NOT_FOUND: no old code.
 */
int  code_purge_start(struct process *p, term module, bool kill);
/* The same, and how many processes were told to die. */
int  code_purge(struct process *p, term module, bool kill, size_t *ret_killed);
/* Would a purge without kill be -ERR_BUSY? Stops the world for a look at every process. */
bool code_old_in_use(term module);
/* Make current code old, exports undefined. */
int  code_delete(term module);

/* One item of Module:module_info/1 of the current version, built in h; TERM_NONE: not loaded, or no
 * such item. */
term code_module_info(struct heap *h, term module, term item);
/* Name under which the on_load function of the current version, of arity 0, may be called; false:
 * it has none. */
bool code_on_load_function(term module, term *ret_name);

/* A version with an on_load function is current once committed, but others cannot call it until
 * the function has returned ok: their calls come to error_handler, which waits. Whoever runs the
 * function (in process pid) says so, and how it ended. After a failure the version before, if
 * there is one, is current again. done: any thread that may stop the world; twice is fine. */
void code_on_load_started(term module, term pid);
void code_on_load_done(term module, bool ok);
/* Is the on_load function of module running? For the process that runs it: no. When that process is
 * found dead the end is noted, as a failure. */
bool code_is_loading(const struct process *p, term module);
/* Did the last on_load function of module that ended fail? */
bool code_on_load_failed(term module);
/* Names of all modules that are loaded, as a list in h. */
term code_loaded_list(struct heap *h);
/* Does p, which no other thread runs now, execute old code of module? */
bool code_process_uses_old(const struct process *p, term module);
/* Make e call its fallback built-in, if it has one and is undefined. */
void export_use_fallback(struct export *e);

/* Lend the chunk with that tag of the .beam at data; false: there is none. */
bool code_file_chunk(const void *data, size_t len, const char *tag, const uint8_t **ret,
                     size_t *ret_len);
/* MD5 of a .beam as module_info(md5) gives it; false: not a .beam. */
bool code_file_md5(const void *data, size_t len, uint8_t ret[16]);

/* Directories searched for Module.beam when a missing function is called, first to last. */
void code_path_add(const char *dir);
void code_path_add_first(const char *dir);
size_t code_path_count(void);
const char *code_path_get(size_t i);

#endif
