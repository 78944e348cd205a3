/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.c - numbers with units, both ways
 */
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit { const char *name; int64_t factor; };

/* A whole number followed by one of the units. Fractions are refused: 1.5h is 90m. */
static bool parse_with_unit(const char *text, const struct unit *units, size_t n, int64_t *ret)
{
    char digits[32];
    size_t len = strspn(text, "0123456789_");
    const char *unit = text + len;
    int64_t v;

    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    digits[len] = 0;
    if (!count_parse(digits, &v))
        return false;
    unit += strspn(unit, " ");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(units[i].name, unit) == 0)
            return !__builtin_mul_overflow(v, units[i].factor, ret);
    }
    return false;
}

bool duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 },
        { "d", 86400000 },
    };

    return parse_with_unit(text, units, ARRAY_LEN(units), ret_ms);
}

bool size_parse(const char *text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
        { "TiB", (int64_t)1 << 40 }, { "kB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 },
    };

    return parse_with_unit(text, units, ARRAY_LEN(units), ret_bytes);
}

bool count_parse(const char *text, int64_t *ret)
{
    int64_t v = 0;
    bool digit = false;

    for (const char *s = text; *s != 0; s++) {
        if (*s == '_' && digit && s[1] >= '0' && s[1] <= '9')
            continue;
        if (*s < '0' || *s > '9')
            return false;
        digit = true;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
    }
    if (digit)
        *ret = v;
    return digit;
}

const char *size_text(uint64_t bytes, char out[UNIT_TEXT_MAX])
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1024 && i + 1 < ARRAY_LEN(names)) {
        v /= 1024;
        i++;
    }
    snprintf(out, UNIT_TEXT_MAX, i >= 3 || (i > 0 && v < 9.95) ? "%.1f %s" : "%.0f %s", v,
             names[i]);
    return out;
}

const char *age_text(int64_t ns, char out[UNIT_TEXT_MAX])
{
    int64_t s = ns / 1000000000;

    if (s >= 86400 && s < 100 * 86400 && s % 86400 >= 3600)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 "d %" PRId64 "h", s / 86400, s % 86400 / 3600);
    else if (s >= 86400)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 "d", s / 86400);
    else if (s >= 3600)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 "h", s / 3600);
    else if (s >= 60)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 "m", s / 60);
    else if (s >= 1)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 "s", s);
    else if (ns >= 1000000)
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 " ms", ns / 1000000);
    else
        snprintf(out, UNIT_TEXT_MAX, "%" PRId64 " µs", ns / 1000);
    return out;
}

const char *count_text(uint64_t n, char out[UNIT_TEXT_MAX])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), j = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[j++] = ',';
        out[j++] = digits[i];
    }
    out[j] = 0;
    return out;
}

const char *rate_text(uint64_t n, char out[UNIT_TEXT_MAX])
{
    if (n >= 1000000000)
        snprintf(out, UNIT_TEXT_MAX, "%.1fG", (double)n / 1e9);
    else if (n >= 1000000)
        snprintf(out, UNIT_TEXT_MAX, "%.1fM", (double)n / 1e6);
    else if (n >= 1000)
        snprintf(out, UNIT_TEXT_MAX, "%.1fk", (double)n / 1e3);
    else
        snprintf(out, UNIT_TEXT_MAX, "%" PRIu64, n);
    return out;
}
