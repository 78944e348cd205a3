/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet.c - internet addresses as text and as tuples
 */
#include "bif/bif.h"
#include "bif/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static term einval(struct process *p)
{
    return heap_tuple2(&p->heap, ATOM_error, ATOM_einval);
}

/* {ok, Address} of the family, or TERM_NONE. */
static term parse(struct process *p, const char *text, int family)
{
    uint8_t bytes[16];
    term e[8];
    size_t n = family == AF_INET ? 4 : 8;

    if (inet_pton(family, text, bytes) != 1)
        return TERM_NONE;
    for (size_t i = 0; i < n; i++)
        e[i] = small_make(family == AF_INET ? bytes[i] : bytes[2 * i] << 8 | bytes[2 * i + 1]);
    return heap_tuple2(&p->heap, ATOM_ok, heap_tuple(&p->heap, n, e));
}

static term parse_text(struct process *p, term t, bool v4, bool v6)
{
    struct buf text = { 0 };
    term result = TERM_NONE;

    if (is_list(t) && text_path(&text, t)) {
        if (v4)
            result = parse(p, buf_cstr(&text), AF_INET);
        if (v6 && result == TERM_NONE)
            result = parse(p, buf_cstr(&text), AF_INET6);
    }
    buf_fini(&text);
    return result == TERM_NONE ? einval(p) : result;
}

term bif_inet_parse_address(struct process *p, const term *a)
{
    return parse_text(p, a[0], true, true);
}

term bif_inet_parse_ipv4(struct process *p, const term *a)
{
    return parse_text(p, a[0], true, false);
}

term bif_inet_parse_ipv6(struct process *p, const term *a)
{
    return parse_text(p, a[0], false, true);
}

term bif_inet_ntoa(struct process *p, const term *a)
{
    bool v4 = is_tuple_n(a[0], 4);
    uint8_t bytes[16];
    char text[INET6_ADDRSTRLEN];

    if (!v4 && !is_tuple_n(a[0], 8))
        return einval(p);
    for (size_t i = 0; i < (v4 ? 4u : 8u); i++) {
        term e = tuple_elem(a[0], i);

        if (!is_small(e) || small_val(e) < 0 || small_val(e) > (v4 ? 255 : 65535))
            return einval(p);
        if (v4) {
            bytes[i] = (uint8_t)small_val(e);
        } else {
            bytes[2 * i] = (uint8_t)(small_val(e) >> 8);
            bytes[2 * i + 1] = (uint8_t)small_val(e);
        }
    }
    inet_ntop(v4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
    return heap_cstr(&p->heap, text);
}

term bif_inet_gethostname(struct process *p, const term *a)
{
    char name[256];

    if (gethostname(name, sizeof name) < 0)
        strcpy(name, "localhost");
    name[sizeof name - 1] = '\0';
    name[strcspn(name, ".")] = '\0';
    return heap_tuple2(&p->heap, ATOM_ok, heap_cstr(&p->heap, name));
}
