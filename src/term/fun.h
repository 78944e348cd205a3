/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fun.h - what the code words of funs point at
 *
 * Both are immortal: made on first need, never freed, so a term may point at them from any heap
 * without counting.
 */
#ifndef TERM_FUN_H
#define TERM_FUN_H

#include "term/term.h"

#include <stdatomic.h>

/* One `fun` expression of one version of one module (same module, index and MD5). */
struct fun_entry {
    _Atomic(const void *) code;  /* [any] entry point, or NULL while that version is not loaded */
    term     module;             /* [set] atom */
    uint32_t index;              /* [set] row of the fun table */
    uint32_t old_uniq;           /* [set] first 27 bits of the MD5 */
    uint8_t  md5[16];            /* [set] of the module */
    uint8_t  arity;              /* [set] what a caller passes, without free variables */
    uint32_t num_free;           /* [set] */
    _Atomic term function;       /* [any] atom, name of the lambda-lifted function; loads of one file
                                  * write it at once, always the same */
    term     parent_mfa_module;  /* [set] same as module; kept for printing */
};

/* One M:F/A that anyone has named. Calls go through `code`. */
struct export {
    _Atomic(const void *) code;  /* [any] entry point; the error-handler code while undefined */
    term     module, function;   /* [set] atoms */
    uint32_t arity;              /* [set] */
    term     fun[2];             /* [set] the immortal HK_EXPORT_FUN object: header and pointer */
    const struct bif *_Atomic bif; /* [any] native implementation, or NULL */
    void    *_Atomic loaded;     /* [any] code of the current module version, or NULL */
    void    *_Atomic reserved[2];
};

#define export_fun_term(e)  box_term(&(e)->fun[0])
#define fun_entry_of(t)     ((struct fun_entry *)(uintptr_t)box_ptr(t)[1])
#define fun_free(t, i)      (box_ptr(t)[2 + (i)])
#define FUN_WORDS(nfree)    (2 + (nfree))
#define export_of(t)        ((struct export *)(uintptr_t)box_ptr(t)[1])
#define is_local_fun(t)     box_is(t, HK_FUN)
#define is_export_fun(t)    box_is(t, HK_EXPORT_FUN)

ALWAYS_INLINE uint32_t fun_arity(term t)
{
    return is_local_fun(t) ? fun_entry_of(t)->arity : export_of(t)->arity;
}

#endif
