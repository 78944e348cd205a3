/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - an array of pids indexed by atom
 *
 * Registering writes in two places, the array and process.registered; the process may exit in
 * between. Whoever writes second looks again: registry_add takes the name back when the process
 * has lost it, and registry_remove_process removes a name only if the array still holds its pid.
 */
#include "vm/registry.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/spin.h"

#include <sys/mman.h>

static _Atomic term *registry;          /* [any] by atom index; 0: free */
static uint32_t registry_max;           /* [set] */

static struct spin names_lock;
struct named { uint32_t atom; int64_t since_ns; };
static struct named *names;             /* [lk names_lock] registered names, for registered/0 */
static size_t names_len, names_cap;

void registry_init(void)
{
    registry_max = atom_max();
    if (registry_max < ATOM_WELL_KNOWN_COUNT)
        registry_max = 1u << 20;
    /* Untouched pages cost nothing, and few atoms are names. */
    registry = mmap(NULL, registry_max * sizeof *registry, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(registry != MAP_FAILED);
}

static _Atomic term *slot(term name)
{
    ASSERT(atom_index(name) < registry_max);
    return &registry[atom_index(name)];
}

term registry_whereis(term name)
{
    /* acquire: pairs with the compare-and-swap of registry_add */
    term pid = atomic_load_explicit(slot(name), memory_order_acquire);

    return pid != 0 ? pid : TERM_NONE;
}

static void note_name(term name)
{
    int64_t now = clock_system_ns();

    spin_lock(&names_lock);
    if (names_len == names_cap) {
        names_cap = names_cap != 0 ? names_cap * 2 : 64;
        names = mem_realloc(names, names_cap * sizeof *names);
    }
    names[names_len++] = (struct named){ atom_index(name), now };
    spin_unlock(&names_lock);
}

static void forget_name(term name)
{
    spin_lock(&names_lock);
    for (size_t i = 0; i < names_len; i++) {
        if (names[i].atom == atom_index(name)) {
            names[i] = names[--names_len];
            break;
        }
    }
    spin_unlock(&names_lock);
}

static bool claim(term name, term who)
{
    term free_slot = 0;

    if (!atomic_compare_exchange_strong(slot(name), &free_slot, who))
        return false;
    note_name(name);
    return true;
}

static bool release(term name, term who)
{
    if (!atomic_compare_exchange_strong(slot(name), &who, 0))
        return false;
    forget_name(name);
    return true;
}

bool registry_add(term name, term pid)
{
    struct process *p = process_lookup(pid);
    term none = TERM_NIL;

    if (p == NULL || !atomic_compare_exchange_strong(&p->registered, &none, name))
        return false;
    if (!claim(name, pid)) {
        none = name;
        atomic_compare_exchange_strong(&p->registered, &none, TERM_NIL);
        return false;
    }
    if (atomic_load(&p->registered) == name)
        return true;
    release(name, pid);             /* it exited meanwhile and could not have removed the name */
    return false;
}

bool registry_remove(term name)
{
    term pid = registry_whereis(name), was = name;
    struct process *p;

    if (pid == TERM_NONE || !release(name, pid))
        return false;
    p = is_local_receiver(pid) ? process_lookup(pid) : NULL;
    if (p != NULL)
        atomic_compare_exchange_strong(&p->registered, &was, TERM_NIL);
    return true;
}

void registry_remove_process(struct process *p)
{
    term name = atomic_exchange(&p->registered, TERM_NONE);

    if (is_atom(name))
        release(name, p->pid);
}

void registry_visit(void (*visit)(void *arg, term name, term who, int64_t since_ns), void *arg)
{
    struct named *copy;
    size_t n;

    spin_lock(&names_lock);
    n = names_len;
    copy = mem_dup(names, n * sizeof *names);
    spin_unlock(&names_lock);
    for (size_t i = 0; i < n; i++) {
        term name = atom_make(copy[i].atom), who = registry_whereis(name);

        if (who != TERM_NONE)
            visit(arg, name, who, copy[i].since_ns);
    }
    mem_free(copy);
}

struct name_list { struct heap *heap; term list; };

static void add_name(void *arg, term name, term who, int64_t since_ns)
{
    struct name_list *l = arg;

    l->list = heap_cons(l->heap, name, l->list);
}

term registry_names(struct heap *h)
{
    struct name_list l = { h, TERM_NIL };

    registry_visit(add_name, &l);
    return l.list;
}
