/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.c - stacks, and changing from one to another
 *
 * A switch saves the registers that a C call preserves on the stack it leaves, and loads those of
 * the other: a dozen instructions, no system call. The floating-point modes are the same on all
 * our threads and stay as they are.
 *
 *   F1  A fiber's stack is used by one thread at a time: whoever is inside fiber_run for it.
 *   F2  current is set by fiber_run on the thread that switches, before the switch: after a switch
 *       the fiber itself touches no thread-local data.
 */
#include "base/fiber.h"

#include "base/assert.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define PAGE_BYTES 4096
#define KEPT_MAX   4        /* idle stacks that a thread keeps */

/* At the top of its own stack. */
struct fiber {
    void  *sp;              /* while it stands still */
    void  *back_sp;         /* of who called fiber_run, while it runs */
    void (*fn)(void *arg);
    void  *arg;
    int64_t left;           /* units until it stands still */
    bool   done;
    struct fiber *next;     /* while kept */
#ifdef __SANITIZE_ADDRESS__
    void  *fake, *back_fake;
    const void *back_stack;
    size_t back_stack_bytes;
#endif
#ifdef __SANITIZE_THREAD__
    void  *tsan, *back_tsan;
#endif
};

static _Thread_local struct fiber *current;
static _Thread_local struct fiber *kept;
static _Thread_local unsigned nkept;

/* --- the switch ----------------------------------------------------------------------------- */

/* fiber_switch(save, load): store the stack pointer at *save, go on with that of load.
 * fiber_enter: what a new stack returns to; calls fiber_main with the fiber. */
void fiber_switch(void **save, void *load);
void fiber_enter(void);
void fiber_main(struct fiber *f);

#if defined(__x86_64__)
#define SAVED_WORDS 7       /* rbp rbx r12 r13 r14 r15, return address */
#define SAVED_ENTRY 6
#define SAVED_FIBER 3       /* r12 */
__asm__(
    ".text\n"
    ".globl fiber_switch\n.hidden fiber_switch\n.type fiber_switch, @function\n"
    "fiber_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size fiber_switch, .-fiber_switch\n"
    ".globl fiber_enter\n.hidden fiber_enter\n.type fiber_enter, @function\n"
    "fiber_enter:\n"
    "    xorl %ebp, %ebp\n"
    "    movq %r12, %rdi\n"
    "    call fiber_main\n"
    "    ud2\n"
    ".size fiber_enter, .-fiber_enter\n");
#elif defined(__aarch64__)
#define SAVED_WORDS 20      /* x19 .. x30, d8 .. d15 */
#define SAVED_ENTRY 11      /* x30 */
#define SAVED_FIBER 0       /* x19 */
__asm__(
    ".text\n"
    ".globl fiber_switch\n.hidden fiber_switch\n.type fiber_switch, %function\n"
    "fiber_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
    "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n"
    "    ret\n"
    ".size fiber_switch, .-fiber_switch\n"
    ".globl fiber_enter\n.hidden fiber_enter\n.type fiber_enter, %function\n"
    "fiber_enter:\n"
    "    mov x29, #0\n    mov x0, x19\n    bl fiber_main\n    brk #1\n"
    ".size fiber_enter, .-fiber_enter\n");
#else
#define NO_FIBERS
#define SAVED_WORDS 1
#define SAVED_ENTRY 0
#define SAVED_FIBER 0
void fiber_switch(void **save, void *load) { UNREACHABLE(); }
void fiber_enter(void) { UNREACHABLE(); }
#endif

static char *stack_low(struct fiber *f)
{
    return (char *)f + sizeof *f - FIBER_STACK_BYTES;
}

/* From the caller's stack to the fiber's. Back when it stands still or is done. */
static void switch_in(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&f->back_fake, stack_low(f), FIBER_STACK_BYTES);
#endif
#ifdef __SANITIZE_THREAD__
    f->back_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    fiber_switch(&f->back_sp, f->sp);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->back_fake, NULL, NULL);
#endif
}

static void arrive(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->fake, &f->back_stack, &f->back_stack_bytes);
#endif
}

static void switch_out(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->fake, f->back_stack, f->back_stack_bytes);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(f->back_tsan, 0);
#endif
    fiber_switch(&f->sp, f->back_sp);
    arrive(f);
}

NORETURN void fiber_main(struct fiber *f)
{
    arrive(f);
    f->fn(f->arg);
    f->done = true;
    switch_out(f);
    UNREACHABLE();
}

/* --- stacks ----------------------------------------------------------------------------------- */

/* A guard page lies below. */
static struct fiber *stack_map(void)
{
    char *low = mmap(NULL, PAGE_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

    if (low == MAP_FAILED)
        return NULL;
    if (mprotect(low, PAGE_BYTES, PROT_NONE) != 0) {
        munmap(low, PAGE_BYTES + FIBER_STACK_BYTES);
        return NULL;
    }
    return (struct fiber *)(void *)(low + PAGE_BYTES + FIBER_STACK_BYTES - sizeof(struct fiber));
}

static void stack_unmap(struct fiber *f)
{
    munmap(stack_low(f) - PAGE_BYTES, PAGE_BYTES + FIBER_STACK_BYTES);
}

static struct fiber *stack_get(void)
{
    struct fiber *f = kept;

    if (f == NULL)
        return stack_map();
    kept = f->next;
    nkept--;
    return f;
}

static void stack_put(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack_low(f), FIBER_STACK_BYTES - sizeof *f);
#endif
    if (nkept == KEPT_MAX) {
        stack_unmap(f);
        return;
    }
    f->next = kept;
    kept = f;
    nkept++;
}

/* --- running ------------------------------------------------------------------------------------ */

struct fiber *fiber_new(void (*fn)(void *arg), void *arg)
{
#ifdef NO_FIBERS
    return NULL;
#else
    struct fiber *f = stack_get();
    void **sp;

    if (f == NULL)
        return NULL;
    *f = (struct fiber){ .fn = fn, .arg = arg };
    /* Popped, the stack is 16-aligned: an odd number of words on x86-64, an even one on aarch64. */
    sp = (void **)((uintptr_t)f & ~(uintptr_t)15) - 2 - SAVED_WORDS;
    memset(sp, 0, SAVED_WORDS * sizeof *sp);
    sp[SAVED_ENTRY] = (void *)(uintptr_t)fiber_enter;
    sp[SAVED_FIBER] = f;
    f->sp = sp;
#ifdef __SANITIZE_THREAD__
    f->tsan = __tsan_create_fiber(0);
#endif
    return f;
#endif
}

bool fiber_run(struct fiber *f, int64_t units, int64_t *ret_used)
{
    ASSERT(current == NULL && !f->done);
    f->left = units;
    current = f;
    switch_in(f);
    current = NULL;
    *ret_used = units - f->left;
    if (!f->done)
        return false;
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(f->tsan);
#endif
    stack_put(f);
    return true;
}

NOINLINE void fiber_tick(int64_t units)
{
    struct fiber *f = current;

    if (f == NULL)
        return;
    f->left -= units;
    if (f->left <= 0)
        switch_out(f);
}

void fiber_copy(void *to, const void *from, size_t bytes)
{
    char *out = to;
    const char *in = from;

    for (; bytes > FIBER_CHUNK_BYTES; bytes -= FIBER_CHUNK_BYTES) {
        memcpy(out, in, FIBER_CHUNK_BYTES);
        fiber_tick_bytes(FIBER_CHUNK_BYTES / 8);    /* copying is the cheapest work there is */
        out += FIBER_CHUNK_BYTES;
        in += FIBER_CHUNK_BYTES;
    }
    if (bytes > 0)
        memcpy(out, in, bytes);
}
