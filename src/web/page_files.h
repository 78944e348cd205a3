/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page_files.h - the files of src/web/page, compiled in by embed.py; constant data
 */
#ifndef WEB_PAGE_FILES_H
#define WEB_PAGE_FILES_H

#include "base/compiler.h"

/* data is followed by a NUL that len does not count. */
struct page_file { const char *name, *type; const unsigned char *data; size_t len; };

/* NULL: there is no such file. */
const struct page_file *page_file_find(const char *name);

#endif
