/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_open.c - erlang:open_port/2: what its arguments ask for
 */
#include "bif/bif.h"
#include "bif/port.h"
#include "base/alloc.h"
#include "bif/text.h"
#include "vm/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct opening {
    struct blob *port;          /* what is being opened */
    struct port_command c;
    bool is_program;
    char *path, *folder;        /* owned, as c.args and c.env */
    char *arg0;
    term args, env;             /* TERM_NIL: none given */
};

static void strings_free(char **s)
{
    for (size_t i = 0; s != NULL && s[i] != NULL; i++)
        mem_free(s[i]);
    mem_free(s);
}

static void opening_fini(struct opening *o)
{
    strings_free(o->c.args);
    strings_free(o->c.env);
    mem_free(o->path);
    mem_free(o->folder);
    mem_free(o->arg0);
    blob_unref(o->port);
}

/* A file name or argument as a string; NULL: it is none. */
static char *text_of(term t)
{
    struct buf b = { 0 };
    char *s = NULL;

    if (text_path(&b, t))
        s = mem_strdup(buf_cstr(&b));
    buf_fini(&b);
    return s;
}

/* --- options -------------------------------------------------------------------------------------------- */

static void set_framing(struct port *port, uint8_t packet, uint32_t line)
{
    port->framed = packet != 0 || line != 0;
    port->framing = (struct port_framing){ packet, line };
}

static bool read_flag(struct opening *o, term flag, bool *ret_in, bool *ret_out)
{
    struct port *port = port_of_blob(o->port);

    if (flag == ATOM_binary)
        port->binary = true;
    else if (flag == ATOM_eof)
        port->eof = true;
    else if (flag == ATOM_exit_status)
        port->exit_status = true;
    else if (flag == ATOM_in)
        *ret_in = true;
    else if (flag == ATOM_out)
        *ret_out = true;
    else if (flag == ATOM_stream)
        set_framing(port, 0, 0);
    else if (flag == ATOM_use_stdio)
        o->c.high_fds = false;
    else if (flag == ATOM_nouse_stdio)
        o->c.high_fds = true;
    else if (flag == ATOM_stderr_to_stdout)
        o->c.stderr_too = true;
    else
        return flag == ATOM_hide || flag == ATOM_overlapped_io;
    return true;
}

static bool read_pair(struct opening *o, term name, term value)
{
    struct port *port = port_of_blob(o->port);
    int64_t n = is_small(value) ? small_val(value) : -1;

    if (name == ATOM_packet && (n == 0 || n == 1 || n == 2 || n == 4))
        set_framing(port, (uint8_t)n, 0);
    else if (name == ATOM_line && n > 0 && n <= PORT_LINE_MAX)
        set_framing(port, 0, (uint32_t)n);
    else if (name == ATOM_cd && o->folder == NULL)
        return (o->folder = text_of(value)) != NULL;
    else if (name == ATOM_arg0 && o->arg0 == NULL)
        return (o->arg0 = text_of(value)) != NULL;
    else if (name == ATOM_args && list_length(value) >= 0)
        o->args = value;
    else if (name == ATOM_env && list_length(value) >= 0)
        o->env = value;
    else
        return name == ATOM_parallelism || name == ATOM_busy_limits_port ||
               name == ATOM_busy_limits_msgq;
    return true;
}

/* False: badarg. */
static bool read_options(struct opening *o, term list)
{
    bool in = false, out = false;

    for (; is_cons(list); list = cdr(list)) {
        term t = car(list);

        if (is_tuple_n(t, 2) ? !read_pair(o, tuple_elem(t, 0), tuple_elem(t, 1))
                             : !read_flag(o, t, &in, &out))
            return false;
    }
    o->c.in = in || !out;
    o->c.out = out || !in;
    return is_nil(list);
}

/* --- a program ------------------------------------------------------------------------------------------ */

/* Change env, which ends with NULL, by {Name, Value | false}. */
static bool env_change(char ***env, term name, term value)
{
    struct buf b = { 0 };
    bool good = is_list(name) && text_append(&b, name);
    size_t name_len = b.len, n = 0, at = SIZE_MAX;

    buf_str(&b, "=");
    good = good && (value == ATOM_false || (is_list(value) && text_append(&b, value)));
    for (; (*env)[n] != NULL; n++)
        if (strncmp((*env)[n], buf_cstr(&b), name_len + 1) == 0)
            at = n;
    good = good && name_len > 0 && strlen(buf_cstr(&b)) == b.len;
    if (good && at != SIZE_MAX) {
        mem_free((*env)[at]);
        (*env)[at] = (*env)[--n];
        (*env)[n] = NULL;
    }
    if (good && value != ATOM_false) {
        *env = mem_realloc(*env, (n + 2) * sizeof **env);
        (*env)[n] = mem_strdup(buf_cstr(&b));
        (*env)[n + 1] = NULL;
    }
    buf_fini(&b);
    return good;
}

static bool env_make(struct opening *o)
{
    o->c.env = os_environment();
    for (term l = o->env; is_cons(l); l = cdr(l))
        if (!is_tuple_n(car(l), 2) ||
            !env_change(&o->c.env, tuple_elem(car(l), 0), tuple_elem(car(l), 1)))
            return false;
    return true;
}

/* {spawn, Command}: the shell's business. */
static bool shell_args(struct opening *o, term command)
{
    char *text = text_of(command);

    if (text == NULL || *text == '\0' || !is_nil(o->args) || o->arg0 != NULL) {
        mem_free(text);
        return false;
    }
    o->path = mem_strdup("/bin/sh");
    o->c.args = mem_alloc(4 * sizeof *o->c.args);
    o->c.args[0] = mem_strdup("sh");
    o->c.args[1] = mem_strdup("-c");
    o->c.args[2] = mem_printf("exec %s", text);
    o->c.args[3] = NULL;
    mem_free(text);
    return true;
}

static bool program_args(struct opening *o, term path)
{
    size_t n = (size_t)list_length(o->args) + 1, i = 1;

    o->path = text_of(path);
    if (o->path == NULL || *o->path == '\0')
        return false;
    o->c.args = mem_zalloc((n + 1) * sizeof *o->c.args);
    o->c.args[0] = mem_strdup(o->arg0 != NULL ? o->arg0 : o->path);
    for (term l = o->args; is_cons(l); l = cdr(l), i++)
        if ((o->c.args[i] = text_of(car(l))) == NULL)
            return false;
    return true;
}

/* An executable is looked at before it is started, from our folder, as OTP does. */
static int check_executable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno;
    return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : EACCES;
}

/* --- opening -------------------------------------------------------------------------------------------- */

/* {fd, In, Out}: descriptors that stay the node's. Returns errno. */
static int use_fds(struct opening *o, int64_t in, int64_t out)
{
    struct port *port = port_of_blob(o->port);

    if (in < 0 || in > INT32_MAX || out < 0 || out > INT32_MAX)
        return EINVAL;
    if (o->c.in && (port->in = fcntl((int)in, F_DUPFD_CLOEXEC, 3)) < 0)
        return errno;
    if (o->c.out && (port->out = fcntl((int)out, F_DUPFD_CLOEXEC, 3)) < 0)
        return errno;
    return 0;
}

/* The error to raise, or TERM_NONE. */
static term open_it(struct opening *o, term name, term *ret_shown)
{
    term what = is_tuple(name) && tuple_arity(name) > 0 ? tuple_elem(name, 0) : TERM_NONE;
    bool two = is_tuple_n(name, 2);
    int rc = 0;

    if (what == ATOM_fd && is_tuple_n(name, 3) && is_small(tuple_elem(name, 1)) &&
        is_small(tuple_elem(name, 2))) {
        rc = use_fds(o, small_val(tuple_elem(name, 1)), small_val(tuple_elem(name, 2)));
        *ret_shown = TERM_NONE;
    } else if (two && (what == ATOM_spawn ? shell_args(o, tuple_elem(name, 1))
                       : what == ATOM_spawn_executable && program_args(o, tuple_elem(name, 1)))) {
        if (!env_make(o))
            return ATOM_badarg;
        o->c.path = o->path;
        o->c.folder = o->folder;
        *ret_shown = tuple_elem(name, 1);
        rc = check_executable(o->path);
        if (rc == 0)
            rc = -port_start(port_of_blob(o->port), &o->c);
    } else {
        return ATOM_badarg;
    }
    switch (rc) {
    case 0:      return TERM_NONE;
    case EINVAL: return ATOM_badarg;
    case ENOENT: return ATOM_enoent;
    case EACCES: return ATOM_eacces;
    case EMFILE: return ATOM_emfile;
    case EAGAIN: return ATOM_eagain;
    case ENOMEM: return ATOM_enomem;
    default:     return ATOM_einval;
    }
}

term bif_open_port_2(struct process *p, const term *a)
{
    struct opening o = { .port = port_new(), .args = TERM_NIL, .env = TERM_NIL };
    struct port *port = port_of_blob(o.port);
    struct spawn_options opt = { .prio = PRIO_NORMAL, .group_leader = TERM_NONE,
                                 .monitor_opts = TERM_NONE, .flags = SPAWN_LINK, .port = o.port };
    term why = ATOM_badarg, id = TERM_NONE, shown = TERM_NONE;

    charge(p, 200);
    if (read_options(&o, a[1]))
        why = open_it(&o, a[0], &shown);
    if (why == TERM_NONE) {
        port->owner = p->pid;
        port->name = shown != TERM_NONE ? text_of(shown)
                                        : mem_printf("%d/%d", (int)small_val(tuple_elem(a[0], 1)),
                                                     (int)small_val(tuple_elem(a[0], 2)));
        id = process_spawn_mfa(p, ATOM_rnode_port, ATOM_loop, TERM_NIL, &opt, NULL);
        if (id != TERM_NONE)
            port_enlist(port, id);
        else
            why = ATOM_system_limit;
    }
    opening_fini(&o);
    return id != TERM_NONE ? id : bif_error(p, why);
}
