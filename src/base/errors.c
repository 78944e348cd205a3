/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.c - the words for each code of errors.tab
 */
#include "base/errors.h"

#include <stddef.h>

static const struct row {
    const char *rn, *text;
} rows[] = {
#define ERR(name, number, rn, text) [number] = { rn, text },
#include "base/errors.tab"
#undef ERR
};

static const struct row *find_row(int rc)
{
    size_t i = rc < 0 ? (size_t)-(long)rc : (size_t)rc;

    return i < sizeof rows / sizeof rows[0] && rows[i].text != NULL ? &rows[i] : NULL;
}

const char *error_text(int rc)
{
    const struct row *row = find_row(rc);

    return rc == 0 ? "done" : row != NULL ? row->text : "unknown error";
}

const char *error_rn(int rc)
{
    const struct row *row = find_row(rc);

    return row != NULL ? row->rn : "RN0000";
}
