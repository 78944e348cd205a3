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
void prepared_free(struct prepared *pr);
term prepared_module(const struct prepared *pr);
bool prepared_has_on_load(const struct prepared *pr);

/* Make n modules current at once; takes them on success. -ERR_BUSY: *ret_module still has old code. */
int  code_commit(struct prepared **pr, size_t n, term *ret_module);

/* Let the external term format find funs and exports (heap/etf.h); engine_init calls it. */
void code_bind_etf(void);

bool code_is_loaded(term module);
bool code_has_old(term module);
/* Drop old code. soft: only when no process uses it (-ERR_BUSY); hard: processes that do are killed. */
int  code_purge_start(struct process *p, term module, bool kill);
/* Make current code old, exports undefined. */
int  code_delete(term module);

/* Directories searched for Module.beam when a missing function is called, first to last. */
void code_path_add(const char *dir);
size_t code_path_count(void);
const char *code_path_get(size_t i);

#endif
