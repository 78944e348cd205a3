/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library.c - export tables of .beam files, read when first asked for
 */
#include "lang/rata/library.h"

#include "base/alloc.h"
#include "base/file.h"
#include "beam/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

struct entry {
    struct entry *next;
    const char *beam;
    const struct known_module *module;      /* NULL: there is none */
};

struct library {
    struct arena arena;
    const char *const *folders;
    struct entry *entries;
    const char **names;                     /* NULL-terminated; NULL: not read yet */
    struct module_source source;
};

static const char *atom_text(struct library *lib, const struct beam_file *bf, uint32_t i)
{
    return arena_strndup(&lib->arena, (const char *)bf->atoms[i].data, bf->atoms[i].len);
}

/* The attribute rata_constants is a list of atoms in the external term format. Its names are found
 * by their bytes: {rata_constants, [A, ...]} with atoms of tag 119 or 118, in front of the next
 * attribute's tuple. */
static bool in_constants(const struct beam_file *bf, const char *name)
{
    static const char key[] = "rata_constants";
    const uint8_t *data = bf->attributes.data, *end;
    size_t len = strlen(name);
    const uint8_t *at = data != NULL && bf->attributes.len > 0
                        ? memmem(data, bf->attributes.len, key, sizeof key - 1) : NULL;

    if (at == NULL || len > 255)
        return false;
    end = data + bf->attributes.len;
    at += sizeof key - 1;
    if (end - at < 5 || at[0] != 108)               /* a list */
        return false;
    for (at += 5; end - at > 2 && (at[0] == 119 || at[0] == 118);) {
        size_t n = at[0] == 119 ? at[1] : (size_t)at[1] << 8 | at[2];

        at += at[0] == 119 ? 2 : 3;
        if ((size_t)(end - at) < n)
            return false;
        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static const struct known_module *describe(struct library *lib, const char *beam,
                                           const struct beam_file *bf)
{
    struct known_module *m = ARENA_NEW(&lib->arena, struct known_module);

    m->beam = beam;
    m->functions = ARENA_NEW_ARRAY(&lib->arena, struct known_function, bf->n_exports + 1);
    for (uint32_t i = 0; i < bf->n_exports; i++) {
        const struct beam_export *e = &bf->exports[i];
        const char *name = atom_text(lib, bf, e->function);

        if (strcmp(name, "module_info") == 0 || strncmp(name, "__", 2) == 0)
            continue;
        m->functions[m->n++] = (struct known_function){ name, e->arity,
                                                        e->arity == 0 && in_constants(bf, name) };
    }
    return m;
}

/* Exports come in the order of the file, which need not be that of arities; the resolver wants
 * those of one name in rising order. */
static void sort_exports(struct known_module *m)
{
    for (size_t i = 1; i < m->n; i++)
        for (size_t j = i; j > 0; j--) {
            struct known_function *a = &m->functions[j - 1], *b = &m->functions[j], t = *a;
            int c = strcmp(a->name, b->name);

            if (c < 0 || (c == 0 && a->arity <= b->arity))
                break;
            *a = *b;
            *b = t;
        }
}

static const struct known_module *load(struct library *lib, const char *beam)
{
    const struct known_module *m = NULL;

    for (size_t i = 0; lib->folders != NULL && lib->folders[i] != NULL && m == NULL; i++) {
        char *path = mem_printf("%s/%s.beam", lib->folders[i], beam);
        struct buf data = { 0 };
        struct beam_file bf;

        if (file_read(path, BEAM_FILE_BYTES_MAX, &data) == 0
            && beam_open(data.data, data.len, false, &bf, NULL) == 0) {
            m = describe(lib, beam, &bf);
            sort_exports((struct known_module *)m);
            beam_close(&bf);
        }
        buf_fini(&data);
        mem_free(path);
    }
    return m;
}

static const struct known_module *find(void *arg, const char *beam)
{
    struct library *lib = arg;
    struct entry *e;

    for (e = lib->entries; e != NULL; e = e->next)
        if (strcmp(e->beam, beam) == 0)
            return e->module;
    if (strchr(beam, '/') != NULL || strlen(beam) > 255)
        return NULL;
    e = ARENA_NEW(&lib->arena, struct entry);
    e->beam = arena_strndup(&lib->arena, beam, strlen(beam));
    e->module = load(lib, e->beam);
    e->next = lib->entries;
    lib->entries = e;
    return e->module;
}

static void add_names(struct library *lib, const char *folder, size_t *n, size_t *cap)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);

        if (len < 11 || strncmp(e->d_name, "Rata.", 5) != 0
            || strcmp(e->d_name + len - 5, ".beam") != 0)
            continue;
        lib->names = arena_grow(&lib->arena, lib->names, *n, cap, sizeof *lib->names);
        lib->names[(*n)++] = arena_strndup(&lib->arena, e->d_name + 5, len - 10);
    }
    closedir(d);
}

static const char *const *names(void *arg)
{
    struct library *lib = arg;
    size_t n = 0, cap = 0;

    if (lib->names != NULL)
        return lib->names;
    for (size_t i = 0; lib->folders != NULL && lib->folders[i] != NULL; i++)
        add_names(lib, lib->folders[i], &n, &cap);
    lib->names = arena_grow(&lib->arena, lib->names, n, &cap, sizeof *lib->names);
    lib->names[n] = NULL;
    return lib->names;
}

struct library *library_new(const char *const *folders)
{
    struct library *lib = MEM_NEW(struct library);

    lib->folders = folders;
    lib->source = (struct module_source){ find, names, lib };
    return lib;
}

const struct module_source *library_source(struct library *lib)
{
    return &lib->source;
}

void library_free(struct library *lib)
{
    if (lib == NULL)
        return;
    arena_fini(&lib->arena);
    mem_free(lib);
}
