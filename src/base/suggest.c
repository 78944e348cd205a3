/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.c - edit distance with swaps, three rows at a time
 */
#include "base/suggest.h"

#include <string.h>

#define WORD_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

size_t edit_distance(const char *a, const char *b)
{
    size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *prev = rows[1], *cur = rows[2];

    for (size_t j = 0; j <= lb; j++)
        prev[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *spare = before;

        cur[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < cur[j])
                cur[j] = before[j - 2] + 1;
        }
        before = prev;
        prev = cur;
        cur = spare;
    }
    return prev[lb];
}

const char *suggest_nearest(const char *word, const char *const *known, size_t n)
{
    size_t len = strlen(word), best = len < 6 ? 2 : len / 3 + 2;    /* the first that is too far */
    const char *found = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, known[i]);

        if (d < best) {
            best = d;
            found = known[i];
        }
    }
    return found;
}
