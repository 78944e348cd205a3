/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - start order of the virtual machine
 */
#include "node/boot.h"

#include "base/alloc.h"
#include "base/errors.h"
#include "base/file.h"
#include "beam/file.h"
#include "bif/bif.h"
#include "bif/io.h"
#include "ctl/run.h"
#include "dist/dist.h"
#include "dist/flock.h"
#include "dist/share.h"
#include "node/library_path.h"
#include "term/atom.h"
#include "vm/code.h"
#include "vm/engine.h"
#include "vm/hooks.h"
#include "vm/sched.h"

#include <errno.h>
#include <unistd.h>

static bool (*bif_exit_hook)(struct process *p);

/* Tell the run, if this is one, then let the built-ins give the tables away. */
static bool on_process_exit(struct process *p)
{
    run_process_exited(p);
    return bif_exit_hook != NULL && bif_exit_hook(p);
}

void boot_vm(const struct boot_options *opt)
{
    struct vm_options vo = {
        .schedulers = opt->schedulers, .job_threads = opt->job_threads,
        .processes_max = opt->processes_max,
    };

    atom_table_init(opt->atoms_max);
    literal_region_init();
    engine_init();
    bif_init();
    dist_init();
    run_register();
    bif_exit_hook = vm_exit_hook;
    vm_exit_hook = on_process_exit;
    share_init();
    flock_init();
    pg_init();
    for (size_t i = 0; opt->code_path != NULL && opt->code_path[i] != NULL; i++)
        code_path_add(opt->code_path[i]);
    code_path_add(library_path());
    vm_start(&vo);
    run_init(io_start());
    kernel_sup_start();
    dist_start();
    pg_start();
    flock_start();
}

/* Read Module.beam from the first folder of the code path that has it. */
static int read_from_path(const char *module, struct buf *out, char **ret_file)
{
    for (size_t i = 0; i < code_path_count(); i++) {
        char *file = mem_printf("%s/%s.beam", code_path_get(i), module);
        int rc = file_read(file, BEAM_FILE_BYTES_MAX, out);

        if (rc != -ERR_NOT_FOUND) {
            *ret_file = file;
            return rc;
        }
        mem_free(file);
    }
    *ret_file = NULL;
    return -ERR_NOT_FOUND;
}

int load_module(const char *name_or_path, term *ret_module, struct buf *errors)
{
    size_t n = strlen(name_or_path);
    bool is_path = n > 5 && strcmp(name_or_path + n - 5, ".beam") == 0;
    term expect = is_path ? TERM_NONE : atom_from_utf8(name_or_path, n), busy;
    struct buf beam = { 0 };
    struct load_error le = { "" };
    struct prepared *pr = NULL;
    struct buf why = { 0 };
    char *file = NULL;
    int rc;

    if (!is_path && code_is_loaded(expect)) {
        *ret_module = expect;
        return 0;
    }
    if (is_path) {
        file = mem_strdup(name_or_path);
        rc = file_read(file, BEAM_FILE_BYTES_MAX, &beam);
    } else {
        rc = read_from_path(name_or_path, &beam, &file);
    }
    if (rc < 0) {
        buf_printf(errors, "error[RN0204]: %s: %s\n", name_or_path,
                   rc == -ERR_NOT_FOUND ? "no such module on the code path" : strerror(errno));
        goto out;
    }
    rc = code_prepare(beam.data, beam.len, expect, &pr, &le);
    if (rc < 0) {
        buf_printf(errors, "error[RN0201]: %s is refused: %s\n", file, le.text);
        goto out;
    }
    *ret_module = prepared_module(pr);
    rc = code_commit(&pr, 1, &busy);
    if (rc < 0) {
        buf_printf(errors, "error[RN0203]: %s has old code in use\n", name_or_path);
        prepared_free(pr);
        goto out;
    }
    rc = run_on_load(*ret_module, &why);
    if (rc < 0)
        buf_printf(errors, "error[RN0208]: on_load of %s gave %s\n", name_or_path, buf_cstr(&why));
out:
    buf_fini(&why);
    buf_fini(&beam);
    mem_free(file);
    return rc;
}
