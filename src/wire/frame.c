/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - packing, and the distrust of what was packed elsewhere
 */
#include "wire/frame.h"

#include "base/errors.h"

int frame_write(struct buf *out, const frame_t *f)
{
    size_t n = rnode__control__control__get_packed_size(f);

    if (n > FRAME_BYTES_MAX)
        return -ERR_LIMIT;
    buf_be(out, n, 4);
    rnode__control__control__pack(f, buf_room(out, n));
    return 0;
}

/* --- checks -------------------------------------------------------------------------------- */

/* Well-formed UTF-8 of RFC 3629. A NUL cannot occur: protobuf-c ends the string there, and a
 * shorter string is as good as any. */
static bool text_ok(const char *text)
{
    const uint8_t *s = (const uint8_t *)text;

    while (*s != 0) {
        unsigned extra = *s < 0x80 ? 0 : *s >= 0xC2 && *s < 0xE0 ? 1 : *s >= 0xE0 && *s < 0xF0 ? 2
                       : *s >= 0xF0 && *s < 0xF5 ? 3 : 9;
        uint8_t lead = *s++;

        if (extra == 9)
            return false;
        for (unsigned i = 0; i < extra; i++, s++) {
            if ((*s & 0xC0) != 0x80)
                return false;
            if (i == 0 && ((lead == 0xE0 && *s < 0xA0) || (lead == 0xED && *s > 0x9F) ||
                           (lead == 0xF0 && *s < 0x90) || (lead == 0xF4 && *s > 0x8F)))
                return false;
        }
    }
    return true;
}

static bool request_ok(const request_t *r)
{
    bool ok = text_ok(r->command) && r->n_args <= FRAME_ARGS_MAX &&
              r->n_options <= FRAME_ARGS_MAX && r->files <= FRAME_ARGS_MAX;

    for (size_t i = 0; ok && i < r->n_args; i++)
        ok = text_ok(r->args[i]);
    for (size_t i = 0; ok && i < r->n_options; i++)
        ok = text_ok(r->options[i]->key) && text_ok(r->options[i]->value);
    return ok;
}

static bool head_ok(const head_t *h)
{
    bool ok = text_ok(h->schema) && h->n_columns <= FRAME_ARGS_MAX;

    for (size_t i = 0; ok && i < h->n_columns; i++)
        ok = text_ok(h->columns[i]->name);
    return ok;
}

static bool row_ok(const row_t *r)
{
    bool ok = r->n_cells <= FRAME_ARGS_MAX;

    for (size_t i = 0; ok && i < r->n_cells; i++)
        ok = text_ok(r->cells[i]->text);
    return ok;
}

static bool done_ok(const done_t *d)
{
    bool ok = text_ok(d->code) && text_ok(d->message) && text_ok(d->needs) && text_ok(d->hint) &&
              d->n_detail <= FRAME_ARGS_MAX;

    for (size_t i = 0; ok && i < d->n_detail; i++)
        ok = text_ok(d->detail[i]);
    return ok;
}

static bool frame_ok(const frame_t *f)
{
    switch (f->body_case) {
    case RNODE__CONTROL__CONTROL__BODY_HELLO:
        return text_ok(f->hello->version) && text_ok(f->hello->node) && text_ok(f->hello->role) &&
               text_ok(f->hello->user);
    case RNODE__CONTROL__CONTROL__BODY_REQUEST:
        return request_ok(f->request);
    case RNODE__CONTROL__CONTROL__BODY_HEAD:
        return head_ok(f->head);
    case RNODE__CONTROL__CONTROL__BODY_ROW:
        return row_ok(f->row);
    case RNODE__CONTROL__CONTROL__BODY_CHUNK:
        return text_ok(f->chunk->name);
    case RNODE__CONTROL__CONTROL__BODY_PROGRESS:
        return text_ok(f->progress->phase) && text_ok(f->progress->text);
    case RNODE__CONTROL__CONTROL__BODY_DONE:
        return done_ok(f->done);
    case RNODE__CONTROL__CONTROL__BODY_CREDIT:
    case RNODE__CONTROL__CONTROL__BODY_CANCEL:
        return true;
    default:
        return false;
    }
}

int frame_read(const uint8_t *data, size_t len, frame_t **ret_frame, size_t *ret_used)
{
    struct reader r;
    size_t n;
    frame_t *f;

    if (len < 4)
        return 0;
    r = reader_make(data, len);
    n = reader_u32(&r);
    if (n > FRAME_BYTES_MAX)
        return -ERR_LIMIT;
    if (n > reader_left(&r))
        return 0;
    f = rnode__control__control__unpack(NULL, n, r.at);
    if (f == NULL)
        return -ERR_PROTOCOL;
    if (!frame_ok(f)) {
        frame_free(f);
        return -ERR_PROTOCOL;
    }
    *ret_frame = f;
    *ret_used = 4 + n;
    return 1;
}

void frame_free(frame_t *f)
{
    if (f != NULL)
        rnode__control__control__free_unpacked(f, NULL);
}
