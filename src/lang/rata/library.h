/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library.h - the compiled modules that a program may call: .beam files in folders
 */
#ifndef LANG_RATA_LIBRARY_H
#define LANG_RATA_LIBRARY_H

#include "lang/rata/resolve.h"

struct library;

/* folders: NULL-terminated, lent; earlier ones win. Nothing is read before somebody asks. */
struct library *library_new(const char *const *folders);
void library_free(struct library *lib);

/* The way the resolver asks; good until library_free. */
const struct module_source *library_source(struct library *lib);

#endif
