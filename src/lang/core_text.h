/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_text.h - Core written as text: what core_dump writes, core_read reads
 *
 * A module is (module 'name' item...). Items: (export (f 2)...), (file "name"), (attribute 'key'
 * constant), (def f (x y) body). Atoms stand in ', binaries in ", variables and functions are bare
 * words, ; begins a comment. Expressions:
 *
 *     (tuple e...) (list e... | e) (map base|- (k v)... (:= k v)...) (bits segment...)
 *     (let x e body) (seq e body) (fn (x...) body) (letrec ((f (x...) body)...) body) (local f 2)
 *     (join l (x...) first then) (jump l e...) (case (e...) clause...) with ((p...) guard|- body)
 *     (receive (clause...)) (receive (clause...) timeout after)
 *     (try protected x body (class reason trace) handler)
 *     (call f e...) (remote m f e...) (apply f e...) (and a b) (or a b)
 *     (raise class reason) (reraise class reason trace) (fail reason) (stacktrace trace)
 *     (+ a b) (length l) and all other words: a call of erlang's function of that name
 *
 * Patterns: _, x, constants, (pin x), (= x p), (tuple p...), (list p... | p), (map (k p)...),
 * (bits segment...). A segment is (type value|pattern size|- unit flags) or (string "bytes").
 */
#ifndef LANG_CORE_TEXT_H
#define LANG_CORE_TEXT_H

#include "lang/core.h"

/* Build a module from text. 0, or -ERR_FORMAT with ret_error saying what and where. What the text
 * says is not checked further: core_check does. */
MUST_CHECK int core_read(struct arena *arena, const char *text, size_t len,
                         struct core_module **ret_module, struct core_error *ret_error);

#endif
