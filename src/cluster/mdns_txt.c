/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdns_txt.c - TXT records that only members of the cluster can make
 */
#include "cluster/mdns_txt.h"

#include "base/bytes.h"
#include "base/errors.h"

#include <stdio.h>
#include <stdlib.h>

#define MAC_BYTES  16
#define PROTOCOLS  "1-1"

/* --- base64url without padding (RFC 4648, 5) ----------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_write(struct buf *out, const uint8_t *data, size_t len)
{
    uint32_t acc = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < len; i++) {
        acc = acc << 8 | data[i];
        for (bits += 8; bits >= 6; bits -= 6)
            buf_u8(out, (uint8_t)digits[acc >> (bits - 6) & 63]);
    }
    if (bits > 0)
        buf_u8(out, (uint8_t)digits[acc << (6 - bits) & 63]);
}

/* False: a character that is none of them, or more than max bytes. */
static bool base64_read(const char *text, size_t len, uint8_t *out, size_t max, size_t *ret_len)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        const char *d = text[i] == 0 ? NULL : strchr(digits, text[i]);

        if (d == NULL)
            return false;
        acc = acc << 6 | (uint32_t)(d - digits);
        bits += 6;
        if (bits < 8)
            continue;
        if (n == max)
            return false;
        bits -= 8;
        out[n++] = (uint8_t)(acc >> bits);
    }
    *ret_len = n;
    return true;
}

/* --- fields ------------------------------------------------------------------------------------------ */

struct text { const char *at; size_t len; };

struct fields { struct text v, e, c, p, g, a, m; };

static struct text *field_of(struct fields *f, char key)
{
    switch (key) {
    case 'v': return &f->v;
    case 'e': return &f->e;
    case 'c': return &f->c;
    case 'p': return &f->p;
    case 'g': return &f->g;
    case 'a': return &f->a;
    case 'm': return &f->m;
    default:  return NULL;
    }
}

/* Keys that are not known are passed over; of one that comes twice the first counts (RFC 6763). */
static bool split(const uint8_t *rdata, size_t len, struct fields *ret)
{
    struct reader r = reader_make(rdata, len);

    *ret = (struct fields){ 0 };
    while (!r.bad && reader_left(&r) > 0) {
        size_t n = reader_u8(&r);
        const char *s = (const char *)reader_take(&r, n);
        struct text *t = s == NULL || n < 2 || s[1] != '=' ? NULL : field_of(ret, s[0]);

        if (t != NULL && t->at == NULL)
            *t = (struct text){ s + 2, n - 2 };
    }
    return !r.bad;
}

static bool text_is(struct text t, const char *s)
{
    return t.at != NULL && t.len == strlen(s) && memcmp(t.at, s, t.len) == 0;
}

static void mac_of(const struct mdns_keys *k, const char *instance, const struct fields *f,
                   uint8_t mac[MAC_BYTES])
{
    const struct text parts[] = { { instance, strlen(instance) }, f->e, f->p, f->g, f->a };
    struct buf b = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_u8(&b, (uint8_t)parts[i].len);
        buf_add(&b, parts[i].at, parts[i].len);
    }
    hash_labelled("rn mdns 1", &k->key, b.data, b.len, mac, MAC_BYTES);
    buf_fini(&b);
}

void mdns_instance(const struct mdns_keys *k, uint64_t nid, char out[MDNS_INSTANCE])
{
    uint8_t bytes[8], hash[16];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(nid >> (56 - 8 * i));
    hash_labelled("rn mdns name 1", &k->key, bytes, sizeof(bytes), hash, sizeof(hash));
    snprintf(out, MDNS_INSTANCE, "rn-%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

static void put(uint8_t *out, size_t *at, char key, const char *value, size_t len)
{
    out[*at] = (uint8_t)(len + 2);
    out[*at + 1] = (uint8_t)key;
    out[*at + 2] = '=';
    memcpy(out + *at + 3, value, len);
    *at += len + 3;
}

size_t mdns_txt_write(const struct mdns_keys *k, const char *instance, const struct mdns_entry *e,
                      uint8_t out[MDNS_TXT_MAX])
{
    char epoch[4], port[8];
    struct buf addrs = { 0 }, packed = { 0 }, tag = { 0 }, mac_text = { 0 };
    uint8_t mac[MAC_BYTES];
    struct fields f = { 0 };
    size_t at = 0;

    for (unsigned i = 0; i < e->n_addrs && i < MDNS_ADDRS_MAX; i++)
        net_addr_pack(&e->addrs[i], buf_room(&packed, NET_ADDR_BYTES));
    base64_write(&addrs, packed.data, packed.len);
    base64_write(&tag, k->tag, sizeof(k->tag));
    snprintf(epoch, sizeof(epoch), "%02x", k->epoch);
    snprintf(port, sizeof(port), "%u", e->gossip_port);
    f.e = (struct text){ epoch, strlen(epoch) };
    f.p = (struct text){ PROTOCOLS, strlen(PROTOCOLS) };
    f.g = (struct text){ port, strlen(port) };
    f.a = (struct text){ (char *)addrs.data, addrs.len };
    mac_of(k, instance, &f, mac);
    base64_write(&mac_text, mac, sizeof(mac));
    put(out, &at, 'v', "1", 1);
    put(out, &at, 'e', f.e.at, f.e.len);
    put(out, &at, 'c', (char *)tag.data, tag.len);
    put(out, &at, 'p', f.p.at, f.p.len);
    put(out, &at, 'g', f.g.at, f.g.len);
    put(out, &at, 'a', f.a.at, f.a.len);
    put(out, &at, 'm', (char *)mac_text.data, mac_text.len);
    buf_fini(&packed);
    buf_fini(&addrs);
    buf_fini(&tag);
    buf_fini(&mac_text);
    return at;
}

static int read_addrs(const struct fields *f, struct mdns_entry *ret)
{
    uint8_t packed[MDNS_ADDRS_MAX * NET_ADDR_BYTES];
    char port[8];
    size_t len;

    if (!base64_read(f->a.at, f->a.len, packed, sizeof(packed), &len) || len == 0
        || len % NET_ADDR_BYTES != 0 || f->g.len >= sizeof(port))
        return -ERR_FORMAT;
    *ret = (struct mdns_entry){ 0 };
    for (size_t i = 0; i < len; i += NET_ADDR_BYTES)
        if (!net_addr_unpack(packed + i, NET_ADDR_BYTES, &ret->addrs[ret->n_addrs++]))
            return -ERR_FORMAT;
    memcpy(port, f->g.at, f->g.len);
    port[f->g.len] = 0;
    ret->gossip_port = (uint16_t)strtoul(port, NULL, 10);
    return 0;
}

static bool read_epoch(struct text t, uint8_t *ret)
{
    char hex[3] = { 0 }, *end;

    if (t.at == NULL || t.len != 2)
        return false;
    memcpy(hex, t.at, 2);
    *ret = (uint8_t)strtoul(hex, &end, 16);
    return *end == 0;
}

int mdns_txt_read(const uint8_t *rdata, size_t len, const char *instance,
                  bool (*keys)(void *arg, uint8_t epoch, struct mdns_keys *ret), void *arg,
                  struct mdns_entry *ret)
{
    uint8_t tag[MDNS_TAG_BYTES], mac[MAC_BYTES], good[MAC_BYTES], epoch;
    size_t tag_len, mac_len;
    struct mdns_keys k;
    struct fields f;
    bool same;

    if (len > MDNS_TXT_MAX || !split(rdata, len, &f) || !text_is(f.v, "1") || f.c.at == NULL
        || f.p.at == NULL || f.g.at == NULL || f.a.at == NULL || f.m.at == NULL
        || !read_epoch(f.e, &epoch)
        || !base64_read(f.c.at, f.c.len, tag, sizeof(tag), &tag_len) || tag_len != sizeof(tag)
        || !base64_read(f.m.at, f.m.len, mac, sizeof(mac), &mac_len) || mac_len != sizeof(mac))
        return -ERR_FORMAT;
    if (!keys(arg, epoch, &k) || memcmp(tag, k.tag, sizeof(tag)) != 0)
        return -ERR_NOT_FOUND;
    mac_of(&k, instance, &f, good);
    same = bytes_same(mac, good, sizeof(good));
    secret_wipe(&k, sizeof(k));
    return same ? read_addrs(&f, ret) : -ERR_PERMISSION;
}
