/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deploy.c - files by digest, lists in the store
 *
 * Lists are JSON, so that an operator can read a store with mdb_dump. The live one is kept in
 * memory too, under a lock, because status and modules ask for it often.
 */
#include "ctl/deploy.h"

#include "auth/digest.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/units.h"
#include "beam/file.h"
#include "ctl/run.h"
#include "store/store.h"
#include "vm/code.h"
#include "term/atom.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    struct store *store;
    char *code_dir;
    bool sync;
    pthread_mutex_t lock;
    struct deployment live;         /* [lk] */
} deploys = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- values ------------------------------------------------------------------------- */

void deployment_fini(struct deployment *d)
{
    for (size_t i = 0; i < d->nmodules; i++) {
        mem_free(d->modules[i].name);
        mem_free(d->modules[i].digest);
        mem_free(d->modules[i].md5);
    }
    mem_free(d->modules);
    mem_free(d->user);
    mem_free(d->message);
    mem_free(d->signer);
    mem_free(d->state);
    *d = (struct deployment){ 0 };
}

static void deployment_copy(const struct deployment *from, struct deployment *to)
{
    *to = *from;
    to->user = mem_strdup(from->user != NULL ? from->user : "");
    to->message = mem_strdup(from->message != NULL ? from->message : "");
    to->signer = mem_strdup(from->signer != NULL ? from->signer : "");
    to->state = mem_strdup(from->state != NULL ? from->state : "");
    to->modules = MEM_NEW_ARRAY(struct deploy_module, from->nmodules);
    for (size_t i = 0; i < from->nmodules; i++) {
        to->modules[i].name = mem_strdup(from->modules[i].name);
        to->modules[i].digest = mem_strdup(from->modules[i].digest);
        to->modules[i].md5 = mem_strdup(from->modules[i].md5 != NULL ? from->modules[i].md5 : "");
    }
}

static char *to_json(const struct deployment *d, size_t *ret_len)
{
    json_t *j = json_object(), *mods = json_array();
    char *text;

    json_object_set_new(j, "id", json_integer(d->id));
    json_object_set_new(j, "time_ns", json_integer(d->time_ns));
    json_object_set_new(j, "user", json_string(d->user));
    json_object_set_new(j, "message", json_string(d->message));
    json_object_set_new(j, "signer", json_string(d->signer != NULL ? d->signer : ""));
    json_object_set_new(j, "made_at_us", json_integer(d->made_at_us));
    json_object_set_new(j, "state", json_string(d->state));
    json_object_set_new(j, "changed", json_integer(d->changed));
    for (size_t i = 0; i < d->nmodules; i++) {
        json_t *m = json_object();

        json_object_set_new(m, "name", json_string(d->modules[i].name));
        json_object_set_new(m, "digest", json_string(d->modules[i].digest));
        json_object_set_new(m, "md5", json_string(d->modules[i].md5));
        json_array_append_new(mods, m);
    }
    json_object_set_new(j, "modules", mods);
    text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    ASSERT(text != NULL); /* every text was checked to be UTF-8 when it came */
    *ret_len = strlen(text);
    return text;
}

static char *json_text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return mem_strdup(s != NULL ? s : "");
}

static int from_json(const void *data, size_t len, struct deployment *ret)
{
    json_t *j = json_loadb(data, len, 0, NULL), *mods = json_object_get(j, "modules");
    struct deployment d = { 0 };

    if (j == NULL || !json_is_array(mods)) {
        json_decref(j);
        return -ERR_FORMAT;
    }
    d.id = (uint32_t)json_integer_value(json_object_get(j, "id"));
    d.time_ns = json_integer_value(json_object_get(j, "time_ns"));
    d.changed = (uint32_t)json_integer_value(json_object_get(j, "changed"));
    d.user = json_text(j, "user");
    d.message = json_text(j, "message");
    d.signer = json_text(j, "signer");
    d.made_at_us = json_integer_value(json_object_get(j, "made_at_us"));
    d.state = json_text(j, "state");
    d.nmodules = json_array_size(mods);
    d.modules = MEM_NEW_ARRAY(struct deploy_module, d.nmodules);
    for (size_t i = 0; i < d.nmodules; i++) {
        const json_t *m = json_array_get(mods, i);

        d.modules[i].name = json_text(m, "name");
        d.modules[i].digest = json_text(m, "digest");
        d.modules[i].md5 = json_text(m, "md5");
    }
    json_decref(j);
    *ret = d;
    return 0;
}

/* Keys are ids, big endian, so that key order is the order of time. */
static void id_key(uint32_t id, uint8_t key[4])
{
    for (int i = 0; i < 4; i++)
        key[i] = (uint8_t)(id >> (24 - 8 * i));
}

/* --- files -------------------------------------------------------------------------- */

static char *file_path(const char *digest)
{
    return mem_printf("%s/%s.beam", deploys.code_dir, digest);
}

int deploy_keep_file(const void *data, size_t len, char *ret_digest)
{
    char *path, *tmp;
    int fd, rc = 0;

    digest_text(data, len, ret_digest);
    path = file_path(ret_digest);
    tmp = mem_printf("%s.new", path);
    if (access(path, R_OK) == 0)
        goto out; /* a name is its contents: nothing to do */
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = -ERR_SYSTEM;
        goto out;
    }
    for (size_t at = 0; rc == 0 && at < len;) {
        ssize_t n = write(fd, (const uint8_t *)data + at, len - at);

        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && errno != EINTR)
            rc = -ERR_SYSTEM;
    }
    if (rc == 0 && deploys.sync && fsync(fd) < 0)
        rc = -ERR_SYSTEM;
    if (close(fd) < 0 && rc == 0)
        rc = -ERR_SYSTEM;
    if (rc == 0 && rename(tmp, path) < 0)
        rc = -ERR_SYSTEM;
out:
    mem_free(path);
    mem_free(tmp);
    return rc;
}

int deploy_read_file(const char *digest, struct buf *out)
{
    char *path = file_path(digest), found[DIGEST_TEXT];
    size_t start = out->len;
    int rc = file_read(path, BEAM_FILE_BYTES_MAX, out);

    mem_free(path);
    if (rc < 0)
        return rc;
    digest_text(out->data + start, out->len - start, found);
    return strcmp(found, digest) == 0 ? 0 : -ERR_FORMAT;
}

/* --- the store ---------------------------------------------------------------------- */

int deploy_get(uint32_t id, struct deployment *ret)
{
    struct buf b = { 0 };
    uint8_t key[4];
    int rc;

    id_key(id, key);
    rc = store_get(deploys.store, "deployments", key, sizeof key, &b);
    if (rc == 0)
        rc = from_json(b.data, b.len, ret);
    buf_fini(&b);
    return rc;
}

int deploy_manifest(uint32_t id, struct buf *out)
{
    uint8_t key[4];

    id_key(id, key);
    return store_get(deploys.store, "manifests", key, sizeof key, out);
}

static int load_live(void)
{
    struct buf b = { 0 };
    int rc = store_get(deploys.store, "meta", "live", 4, &b);
    uint32_t id;

    if (rc == -ERR_NOT_FOUND) {
        buf_fini(&b);
        return 0;
    }
    if (rc == 0 && b.len == 4) {
        struct reader r = reader_make(b.data, b.len);

        id = reader_u32(&r);
        rc = deploy_get(id, &deploys.live);
    }
    buf_fini(&b);
    return rc;
}

static void measure(struct metric_sink *sink, void *arg)
{
    pthread_mutex_lock(&deploys.lock);
    metric_emit(sink, M_deployment_last, NULL, (double)deploys.live.time_ns / 1e9);
    pthread_mutex_unlock(&deploys.lock);
}

int deploy_open(const char *folder, struct store *st, bool sync)
{
    deploys.store = st;
    deploys.sync = sync;
    deploys.code_dir = mem_printf("%s/code", folder);
    if (mkdir(deploys.code_dir, 0700) < 0 && errno != EEXIST)
        return -ERR_SYSTEM;
    metric_collector_add(measure, NULL);
    return load_live();
}

struct history { bool (*visit)(void *arg, const struct deployment *d); void *arg; int rc; };

static bool visit_stored(void *arg, const void *key, size_t key_len, const void *value, size_t len)
{
    struct history *h = arg;
    struct deployment d;
    bool more;

    h->rc = from_json(value, len, &d);
    if (h->rc < 0)
        return false;
    more = h->visit(h->arg, &d);
    deployment_fini(&d);
    return more;
}

int deploy_history(bool (*visit)(void *arg, const struct deployment *d), void *arg)
{
    struct history h = { visit, arg, 0 };
    int rc = store_visit(deploys.store, "deployments", true, visit_stored, &h);

    return rc < 0 ? rc : h.rc;
}

/* --- forgetting --------------------------------------------------------------------- */

struct used { uint32_t ids[1024]; size_t n, keep; char **digests; size_t ndigests; };

static bool gather(void *arg, const struct deployment *d)
{
    struct used *u = arg;

    if (u->n < u->keep) {
        for (size_t i = 0; i < d->nmodules; i++) {
            u->digests = mem_realloc(u->digests, (u->ndigests + 1) * sizeof(char *));
            u->digests[u->ndigests++] = mem_strdup(d->modules[i].digest);
        }
    }
    if (u->n < ARRAY_LEN(u->ids))
        u->ids[u->n++] = d->id;
    return u->n < ARRAY_LEN(u->ids);
}

static bool digest_used(const struct used *u, const char *name)
{
    for (size_t i = 0; i < u->ndigests; i++) {
        if (strncmp(u->digests[i], name, DIGEST_TEXT - 1) == 0)
            return true;
    }
    return false;
}

static void drop_unused_files(const struct used *u)
{
    DIR *dir = opendir(deploys.code_dir);
    struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        size_t n = strlen(e->d_name);
        char *path;

        if (n != DIGEST_TEXT - 1 + 5 || strcmp(e->d_name + n - 5, ".beam") != 0 ||
            digest_used(u, e->d_name))
            continue;
        path = mem_printf("%s/%s", deploys.code_dir, e->d_name);
        unlink(path);
        mem_free(path);
    }
    if (dir != NULL)
        closedir(dir);
}

/* The lists go first: a file without a list is garbage, a list without its file would be a lie. */
static void forget_old(size_t keep)
{
    struct used u = { .keep = keep + 1 };
    int rc = deploy_history(gather, &u);

    for (size_t i = u.keep; rc == 0 && i < u.n; i++) {
        uint8_t key[4];

        id_key(u.ids[i], key);
        rc = store_write_all(deploys.store, (struct store_write[]){
            { "deployments", key, sizeof key, NULL, 0 }, { "manifests", key, sizeof key, NULL, 0 },
        }, 2);
    }
    if (rc == 0 && u.n > u.keep)
        drop_unused_files(&u);
    if (rc < 0)
        LOG(WARNING, "deploy.forget", LOG_FIELDS("code", error_rn(rc)),
            "old deployments stay: %s", error_text(rc));
    for (size_t i = 0; i < u.ndigests; i++)
        mem_free(u.digests[i]);
    mem_free(u.digests);
}

/* --- recording ---------------------------------------------------------------------- */

static bool first_id(void *arg, const struct deployment *d)
{
    *(uint32_t *)arg = d->id;
    return false;
}

int deploy_record(struct deployment *d, const struct buf *manifest, const char *old_state,
                  size_t keep)
{
    struct deployment old, now;
    uint8_t key[4], old_key[4];
    char *value, *old_value = NULL;
    size_t len, old_len = 0;
    uint32_t newest = 0;
    int rc = deploy_history(first_id, &newest);

    if (rc < 0)
        return rc;
    d->id = newest + 1;
    d->time_ns = clock_system_ns();
    mem_free(d->state);
    d->state = mem_strdup("live");
    deploy_live(&old);
    id_key(d->id, key);
    id_key(old.id, old_key);
    value = to_json(d, &len);
    if (old.id != 0) {
        mem_free(old.state);
        old.state = mem_strdup(old_state);
        old_value = to_json(&old, &old_len);
    }
    rc = store_write_all(deploys.store, (struct store_write[]){
        { "deployments", key, 4, value, len },
        { "meta", "live", 4, key, 4 },
        { "manifests", key, 4, manifest != NULL ? manifest->data : NULL,
          manifest != NULL ? manifest->len : 0 },
        { "deployments", old_key, 4, old_value, old_len },
    }, old.id != 0 ? 4 : 3);
    free(value);
    free(old_value);
    deployment_fini(&old);
    if (rc < 0)
        return rc;
    deployment_copy(d, &now);
    pthread_mutex_lock(&deploys.lock);
    old = deploys.live;
    deploys.live = now;
    pthread_mutex_unlock(&deploys.lock);
    deployment_fini(&old);
    forget_old(keep);
    return 0;
}

void deploy_live(struct deployment *ret)
{
    pthread_mutex_lock(&deploys.lock);
    deployment_copy(&deploys.live, ret);
    pthread_mutex_unlock(&deploys.lock);
}

void deploy_describe_live(struct buf *out)
{
    char age[UNIT_TEXT_MAX];

    pthread_mutex_lock(&deploys.lock);
    if (deploys.live.id == 0)
        buf_str(out, "nothing deployed yet");
    else
        buf_printf(out, "d%" PRIu32 "%s%s%s by %s, %s ago · %zu module%s", deploys.live.id,
                   deploys.live.message[0] != 0 ? " \"" : "", deploys.live.message,
                   deploys.live.message[0] != 0 ? "\"" : "", deploys.live.user,
                   age_text(clock_system_ns() - deploys.live.time_ns, age), deploys.live.nmodules,
                   plural_s(deploys.live.nmodules));
    pthread_mutex_unlock(&deploys.lock);
}

int64_t deploy_live_age_ms(void)
{
    int64_t age;

    pthread_mutex_lock(&deploys.lock);
    age = deploys.live.id == 0 ? 0 : (clock_system_ns() - deploys.live.time_ns) / 1000000;
    pthread_mutex_unlock(&deploys.lock);
    return age;
}

void deploy_of_module(const char *module, struct buf *out)
{
    pthread_mutex_lock(&deploys.lock);
    for (size_t i = 0; i < deploys.live.nmodules; i++) {
        if (strcmp(deploys.live.modules[i].name, module) == 0)
            buf_printf(out, "d%" PRIu32, deploys.live.id);
    }
    pthread_mutex_unlock(&deploys.lock);
}

/* --- after a restart ---------------------------------------------------------------- */

static int restore_module(const struct deploy_module *m, struct prepared **ret)
{
    struct buf b = { 0 };
    struct load_error le = { "" };
    int rc = deploy_read_file(m->digest, &b);

    if (rc == 0)
        rc = code_prepare(b.data, b.len, atom_from_cstr(m->name), ret, &le);
    if (rc < 0)
        LOG(ERROR, "deploy.restore", LOG_FIELDS("module", m->name, "code", "RN0603"),
            "%s cannot be loaded again: %s", m->name, le.text[0] != 0 ? le.text : error_text(rc));
    buf_fini(&b);
    return rc;
}

void deploy_restore(void)
{
    struct deployment d;
    struct prepared **pr;
    size_t n = 0;
    term busy, *names;

    deploy_live(&d);
    pr = MEM_NEW_ARRAY(struct prepared *, d.nmodules);
    for (size_t i = 0; i < d.nmodules; i++)
        n += restore_module(&d.modules[i], &pr[n]) == 0;
    names = MEM_NEW_ARRAY(term, n);
    for (size_t i = 0; i < n; i++)
        names[i] = prepared_module(pr[i]);
    if (n > 0 && code_commit(pr, n, &busy) < 0) {
        for (size_t i = 0; i < n; i++)
            prepared_free(pr[i]);
        LOG(ERROR, "deploy.restore", NULL, "%s has old code; nothing was loaded",
            atom_text(busy, NULL));
    } else if (d.id != 0) {
        LOG(INFO, "deploy.restore", NULL, "d%" PRIu32 " is live again: %zu of %zu modules", d.id, n,
            d.nmodules);
    }
    for (size_t i = 0; i < n && code_is_loaded(names[i]); i++) {
        struct buf why = { 0 };

        if (run_on_load(names[i], &why) < 0)
            LOG(ERROR, "deploy.restore", LOG_FIELDS("code", "RN0208"), "on_load of %s failed: %s",
                atom_text(names[i], NULL), buf_cstr(&why));
        buf_fini(&why);
    }
    mem_free(names);
    mem_free(pr);
    deployment_fini(&d);
}
