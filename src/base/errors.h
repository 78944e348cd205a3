/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errors.h - codes for what the world does to us; functions return 0 or -ERR_x
 */
#ifndef BASE_ERRORS_H
#define BASE_ERRORS_H

enum error_code {
#define ERR(name, number, rn, text) ERR_##name = number,
#include "base/errors.tab"
#undef ERR
};

/* Text and RN code of rc (0, negative or positive form); static strings, never NULL. */
const char *error_text(int rc);
const char *error_rn(int rc);

#endif
