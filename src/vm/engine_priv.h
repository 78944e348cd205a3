/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_priv.h - parts of the interpreter that the rest of the room uses
 */
#ifndef VM_ENGINE_PRIV_H
#define VM_ENGINE_PRIV_H

#include "vm/engine.h"

/* Exports that the engine itself names, by number in engine_exports. */
#define ENGINE_EXPORTS(row) \
    row(ADD, "+", 2) row(SUB, "-", 2) row(MUL, "*", 2) row(DIV, "div", 2) row(REM, "rem", 2) \
    row(BAND, "band", 2) row(BOR, "bor", 2) row(BXOR, "bxor", 2) row(BSL, "bsl", 2) \
    row(BSR, "bsr", 2) row(SEND, "send", 2) row(APPLY, "apply", 3) row(APPLY_FUN, "apply", 2) \
    row(HIBERNATE, "hibernate", 3)

enum engine_export {
#define ENGINE_EXPORT_ROW(name, text, arity) EXPORT_##name,
    ENGINE_EXPORTS(ENGINE_EXPORT_ROW)
#undef ENGINE_EXPORT_ROW
    EXPORT_COUNT,
};

extern struct export *engine_exports[EXPORT_COUNT];

/* Words for export->reserved[0], where the code of an export without Erlang code points. */
void *engine_stub_undefined(void);
void *engine_stub_bif(void);

#endif
