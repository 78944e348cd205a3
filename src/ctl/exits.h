/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.h - exit codes of all programs (sysexits.h, and two of our own)
 */
#ifndef CTL_EXITS_H
#define CTL_EXITS_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_NO = 1,                /* the answer is no: check failed, remote code raised */
    EXIT_USAGE = 64,
    EXIT_BAD_INPUT = 65,
    EXIT_NO_INPUT = 66,
    EXIT_UNREACHABLE = 69,
    EXIT_BUG = 70,
    EXIT_SYSTEM = 71,
    EXIT_CANNOT_CREATE = 73,
    EXIT_IO = 74,
    EXIT_TIMEOUT = 75,
    EXIT_PROTOCOL = 76,
    EXIT_PERMISSION = 77,
    EXIT_CONFIG = 78,
    EXIT_INTERRUPTED = 130,
};

#endif
