/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - a node's life
 *
 * Start: folder, log, engine, store, live deployment, control socket, ready. Stop: no new requests,
 * those that run may finish, then the socket, the engine and the store, in the reverse order.
 * The main thread is the control thread: it runs the event base, signals included.
 */
#include "node/node.h"

#include "base/alloc.h"
#include "base/app_metric.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/metric.h"
#include "bif/io.h"
#include "ctl/client.h"
#include "ctl/deploy.h"
#include "ctl/exits.h"
#include "ctl/node_api.h"
#include "ctl/run.h"
#include "ctl/server.h"
#include "ctl/tunnel.h"
#include "ctl/view.h"
#include "dist/dist.h"
#include "dist/flock.h"
#include "dist/peer.h"
#include "node/boot.h"
#include "node/crash.h"
#include "node/keeper.h"
#include "node/members.h"
#include "node/notify.h"
#include "node/peers.h"
#include "node/options_priv.h"
#include "web/collect.h"
#include "web/health.h"
#include "web/session.h"
#include "web/web.h"
#include "vm/hooks.h"
#include "vm/sched.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DRAIN_MAX_S 30

static struct {
    struct node_start *start;
    struct event_base *base;
    struct server *server;
    char *folder, *socket, *name;
    int exit;
    _Atomic int halt_status;        /* [any] of erlang:halt, plus 1 */
    bool stopping, watchdog;
} node;

struct node_api node_api;

/* --- configuration ------------------------------------------------------------------ */

static enum log_format log_format_of(const char *text)
{
    if (strcmp(text, "json") == 0)
        return LOG_FORMAT_JSON;
    if (strcmp(text, "logfmt") == 0)
        return LOG_FORMAT_LOGFMT;
    if (strcmp(text, "auto") == 0 && getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO))
        return LOG_FORMAT_JOURNAL;
    return LOG_FORMAT_TEXT;
}

/* The journal's socket, or standard error when there is none: then records are text. */
static int log_target(enum log_format *format)
{
    static int journal = -1;
    struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };

    if (*format != LOG_FORMAT_JOURNAL)
        return STDERR_FILENO;
    if (journal < 0) {
        journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (journal >= 0 && connect(journal, (struct sockaddr *)&sa, sizeof sa) < 0) {
            close(journal);
            journal = -1;
        }
    }
    if (journal >= 0)
        return journal;
    *format = LOG_FORMAT_TEXT;
    return STDERR_FILENO;
}

static void apply_log(const struct options *o)
{
    enum log_format format = log_format_of(option_text(o, OPT_log_format));
    int fd = log_target(&format);
    enum log_level level = LOG_LEVEL_INFO;

    if (!log_level_parse(option_text(o, OPT_log_level), &level))
        level = LOG_LEVEL_INFO;
    if (node.start->verbose)
        level = LOG_LEVEL_DEBUG;
    log_configure(level, format, fd);
    log_levels_reset();
    for (size_t i = 0; option_items(o, OPT_log_levels)[i] != NULL; i++) {
        const char *item = option_items(o, OPT_log_levels)[i], *eq = strchr(item, '=');
        char *subsystem;

        if (eq == NULL || !log_level_parse(eq + 1, &level))
            continue;
        subsystem = mem_printf("%.*s", (int)(eq - item), item);
        log_subsystem_level(subsystem, level);
        mem_free(subsystem);
    }
}

/* What may change while the node runs. Control thread. */
static void apply_live(const struct options *o)
{
    apply_log(o);
    node_api.limits = (struct request_limits){
        .eval_ms = option_number(o, OPT_limits_eval_time),
        .eval_heap_bytes = option_number(o, OPT_limits_eval_heap),
        .eval_output_bytes = option_number(o, OPT_limits_eval_output),
        .deploy_bytes = option_number(o, OPT_limits_deploy_size),
        .trace_events = option_number(o, OPT_limits_trace_events),
        .trace_rate = option_number(o, OPT_limits_trace_rate),
        .trace_ms = option_number(o, OPT_limits_trace_time),
        .trace_sessions = option_number(o, OPT_limits_trace_sessions),
        .mailbox_warn = option_number(o, OPT_vm_mailbox_warn),
        .deploy_keep = option_number(o, OPT_deploy_keep),
        .purge_wait_ms = option_number(o, OPT_deploy_purge_wait),
        .purge_kill = strcmp(option_text(o, OPT_deploy_purge), "kill") == 0,
    };
    node_api.connections_max = (size_t)option_number(o, OPT_limits_connections);
    node_api.role_users[ROLE_VIEW] = option_items(o, OPT_control_view);
    node_api.role_users[ROLE_OPERATE] = option_items(o, OPT_control_operate);
    node_api.role_users[ROLE_ADMIN] = option_items(o, OPT_control_admin);
    tunnel_cap(role_of(option_text(o, OPT_security_remote_control)));
    app_metric_limit((uint64_t)option_number(o, OPT_metrics_app_series_max));
    members_apply(o);
}

static void print_config(struct buf *out)
{
    options_print(node.start->options, out);
}

static bool compat_erlang_vm(const struct options *o)
{
    const char *const *items = option_items(o, OPT_metrics_compat);

    for (size_t i = 0; items[i] != NULL; i++)
        if (strcmp(items[i], "erlang_vm") == 0)
            return true;
    return false;
}

/* A --dev node that was not told otherwise takes a free port. */
static const char *const *http_addresses(const struct options *o)
{
    static const char *const any_port[] = { "127.0.0.1:0", NULL };

    if (node_api.dev && strcmp(o->value[OPT_listen_http].origin, "default") == 0)
        return any_port;
    return option_items(o, OPT_listen_http);
}

static struct web_options web_options_of(const struct options *o)
{
    return (struct web_options){
        .listen = http_addresses(o), .hosts = option_items(o, OPT_http_hosts),
        .observer = option_number(o, OPT_http_observer) != 0, .open = node_api.dev,
        .session_s = option_number(o, OPT_http_session) / 1000, .erlang_vm = compat_erlang_vm(o),
        .mailbox_warn = (uint64_t)option_number(o, OPT_vm_mailbox_warn),
        .actions = option_number(o, OPT_http_actions) != 0,
    };
}

static int read_again(struct options *o, struct buf *out)
{
    int rc = 0;

    options_init(o);
    if (node.start->config_path != NULL)
        rc = options_load_all(o, node.start->config_path, false, out);
    for (size_t i = 0; rc == 0 && node.start->sets[i] != NULL; i++)
        rc = options_set(o, node.start->sets[i], out);
    return rc;
}

/* Addresses of HTTP that are new; -ERR: they cannot be had. */
static int prepare_web(const struct options *fresh, struct buf *out)
{
    struct web_options wo = web_options_of(fresh);
    struct buf complaint = { 0 };
    int rc = web_prepare(&wo, &complaint);

    if (rc < 0)
        buf_printf(out, "error[RN0502]: %s\n", buf_cstr(&complaint));
    buf_fini(&complaint);
    return rc;
}

static int reload_all(struct buf *out)
{
    struct options *now = node.start->options, fresh;
    int rc = read_again(&fresh, out);
    enum option_id frozen = OPT_COUNT;
    struct web_options wo;

    if (rc == 0) {
        /* What the command line of a --dev node set is not in the files. */
        frozen = node.start->dev_name != NULL ? OPT_COUNT
                                              : options_first_frozen_change(now, &fresh);
        if (frozen != OPT_COUNT) {
            buf_printf(out,
                       "error[RN0405]: %s.%s needs a restart: it is \"%s\" and would be \"%s\"\n",
                       option_rows[frozen].section, option_rows[frozen].key,
                       now->value[frozen].text, fresh.value[frozen].text);
            rc = -ERR_BUSY;
        }
    }
    if (rc == 0)
        rc = prepare_web(&fresh, out);
    if (rc < 0) {
        options_fini(&fresh);
        LOG(ERROR, "node.reload", LOG_FIELDS("code", "RN0401"), "refused: %s", buf_cstr(out));
        return rc;
    }
    for (int i = 0; i < OPT_COUNT; i++) {
        if (option_rows[i].live && strcmp(now->value[i].text, fresh.value[i].text) != 0)
            buf_printf(out, "%s.%s: \"%s\" -> \"%s\"\n", option_rows[i].section, option_rows[i].key,
                       now->value[i].text, fresh.value[i].text);
    }
    for (int i = 0; i < OPT_COUNT; i++) {
        if (option_rows[i].live) {
            struct option_value swap = now->value[i];

            now->value[i] = fresh.value[i];
            fresh.value[i] = swap;
        }
    }
    option_flocks_free(now);
    now->flocks = TAKE(fresh.flocks);
    apply_live(now);
    keeper_reload(now);
    options_fini(&fresh);
    wo = web_options_of(now);
    web_take_over(&wo);
    LOG(INFO, "node.reload", NULL, "%s", out->len > 0 ? buf_cstr(out) : "nothing changed");
    return 0;
}

/* --- what metrics say of the configuration ------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    bool good;                      /* [lk] the last reload worked */
    double at;                      /* [lk] when that was, 0: never */
    char env[64];                   /* [lk] the label env of this node, or nothing */
} known = { .lock = PTHREAD_MUTEX_INITIALIZER, .good = true };

static void note_env(const struct options *o)
{
    const char *const *items = option_items(o, OPT_node_labels);
    const char *env = "";

    for (size_t i = 0; items[i] != NULL; i++)
        if (strncmp(items[i], "env=", 4) == 0)
            env = items[i] + 4;
    pthread_mutex_lock(&known.lock);
    snprintf(known.env, sizeof known.env, "%s", env);
    pthread_mutex_unlock(&known.lock);
    snprintf(node_api.env, sizeof node_api.env, "%s", env);
}

static void collect_node(struct metric_sink *sink, void *arg)
{
    struct buf labels = { 0 };
    char letters[NODE_LETTERS];

    metric_label(&labels, "node", node.name);
    metric_label(&labels, "id", nid_letters(peer_self.nid, letters));
    pthread_mutex_lock(&known.lock);
    metric_label(&labels, "env", known.env);
    metric_emit(sink, M_reload_success, NULL, known.good);
    metric_emit(sink, M_reload_time, NULL, known.at);
    pthread_mutex_unlock(&known.lock);
    metric_emit(sink, M_node_info, buf_cstr(&labels), 1);
    buf_fini(&labels);
}

static int node_reload(struct buf *out)
{
    int rc = reload_all(out);

    pthread_mutex_lock(&known.lock);
    known.good = rc == 0;
    known.at = (double)clock_system_ns() / 1e9;
    pthread_mutex_unlock(&known.lock);
    note_env(node.start->options);
    return rc;
}

/* --- stopping ----------------------------------------------------------------------- */

static void stop_loop(void)
{
    event_base_loopbreak(node.base);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
    LOG(WARNING, "node.drain", NULL, "requests still run after %d s; they are dropped", DRAIN_MAX_S);
    stop_loop();
}

static void node_stop(bool now)
{
    struct timeval max = { .tv_sec = DRAIN_MAX_S };

    if (now || node.stopping) {
        stop_loop();
        return;
    }
    node.stopping = true;
    health_set_draining(true);
    notify_state("STOPPING=1");
    LOG(INFO, "node.stop", NULL, "stopping; once more to skip the drain");
    event_base_once(node.base, -1, EV_TIMEOUT, on_drain_timeout, NULL, &max);
    server_drain(node.server, stop_loop);
}

static void on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
    node_stop(false);
}

static void on_reload_signal(evutil_socket_t sig, short what, void *arg)
{
    struct buf out = { 0 };
    char state[64];

    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(clock_monotonic_ns() / 1000));
    notify_state(state);
    (void)!node_reload(&out);   /* logs what came of it; refused or not, the node works on */
    notify_state("READY=1");
    buf_fini(&out);
}

static void on_report_signal(evutil_socket_t sig, short what, void *arg)
{
    struct buf out = { 0 };

    view_report(&out);
    LOG(NOTICE, "node.report", NULL, "%s", buf_cstr(&out));
    buf_fini(&out);
}

static void on_crash_signal(evutil_socket_t sig, short what, void *arg)
{
    char *path = crash_write(node.folder, "asked for with SIGQUIT");

    LOG(CRITICAL, "node.crash", NULL, "crash dump in %s", path != NULL ? path : "no file");
    abort();
}

/* --- hooks of the engine ------------------------------------------------------------ */

static void on_halt(int status, bool dump, bool flush)
{
    if (dump)
        abort();
    atomic_store(&node.halt_status, status + 1);
    event_base_loopbreak(node.base);
}

/* What programs print goes to whoever called them, else to the console. Any scheduler. */
static void on_output(term leader, const char *bytes, size_t len)
{
    if (run_output(leader, bytes, len))
        return;
    if (write(STDOUT_FILENO, bytes, len) < 0)
        LOG(DEBUG, "node.output", NULL, "nobody takes the output: %s", strerror(errno));
}

/* --- starting ----------------------------------------------------------------------- */

static int make_folder(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -ERR_SYSTEM;
    /* /tmp is everybody's: a folder of that name that is not ours is somebody's trap. */
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        errno = EPERM;
        return -ERR_SYSTEM;
    }
    return 0;
}

static int start_failed(int exit, const char *code, const char *text, const char *path)
{
    const struct explanation *ex = explanation_find(code);

    fprintf(stderr, "error[%s]: %s %s: %s\n  = Try:  %s\n", code, text, path, strerror(errno),
            ex != NULL ? ex->hint : "");
    return exit;
}

static int store_failed(int rc)
{
    switch (rc) {
    case -ERR_VERSION:
        return start_failed(EXIT_IO, "RN0602", "a newer rnode wrote the store in", node.folder);
    case -ERR_FORMAT:
        errno = EILSEQ;
        return start_failed(EXIT_IO, "RN0606", "the store is damaged; nothing was changed in",
                            node.folder);
    case -ERR_BUSY:
        errno = EBUSY;
        return start_failed(EXIT_CANNOT_CREATE, "RN0607", "another node uses the store in",
                            node.folder);
    default:
        return start_failed(EXIT_IO, "RN0601", "cannot open the store in", node.folder);
    }
}

static void choose_names(const struct options *o)
{
    char host[HOST_NAME_MAX + 1] = "node";

    if (node.start->dev_name != NULL) {
        node.folder = dev_folder(node.start->dev_name);
        node.socket = mem_printf("%s/control.sock", node.folder);
        node.name = mem_strdup(node.start->dev_name);
        return;
    }
    node.folder = mem_strdup(option_text(o, OPT_store_path));
    node.socket = mem_strdup(option_text(o, OPT_listen_control));
    if (option_text(o, OPT_node_name)[0] == 0 && gethostname(host, sizeof host - 1) == 0)
        host[strcspn(host, ".")] = 0;
    node.name = mem_strdup(option_text(o, OPT_node_name)[0] != 0 ? option_text(o, OPT_node_name)
                                                                  : host);
}

static char *page_address(enum role role, const char *user)
{
    bool served = option_number(node.start->options, OPT_http_observer) != 0;
    char token[SESSION_TOKEN_CHARS + 1], *address = served ? web_address() : NULL, *whole;

    if (address == NULL || node_api.dev)
        return address;
    session_invite(role, user, token);
    whole = mem_printf("%s#t=%s", address, token);
    mem_free(address);
    return whole;
}

/* New work goes elsewhere: by /readyz, by flocks, and by spawns of other nodes. */
static void node_drain(bool on)
{
    int rc = flock_node_present(!on);

    if (rc < 0)
        LOG(ERROR, "flock.define", LOG_FIELDS("code", error_rn(rc)),
            "this node cannot go back to its flocks: %s", error_text(rc));
    health_set_draining(on);
    dist_refuse_spawns(on);
}

static void fill_api(void)
{
    node_api.name = node.name;
    node_api.version = PACKAGE_VERSION;
    node_api.data_dir = node.folder;
    node_api.socket = node.socket;
    node_api.start_ns = clock_monotonic_ns();
    node_api.dev = node.start->dev_name != NULL;
    node_api.page_address = page_address;
    node_api.drain = node_drain;
    node_api.plot = web_plot;
    node_api.ready = health_words;
    node_api.config = print_config;
    node_api.stop = node_stop;
    node_api.reload = node_reload;
}

static void add_signal(int sig, event_callback_fn fn)
{
    struct event *ev = evsignal_new(node.base, sig, fn, NULL);

    event_add(ev, NULL);
}

static void start_engine(const struct options *o)
{
    struct boot_options bo = {
        .atoms_max = (uint32_t)option_number(o, OPT_vm_max_atoms),
        .processes_max = (uint32_t)option_number(o, OPT_vm_max_processes),
        .schedulers = (unsigned)option_number(o, OPT_vm_schedulers),
        .job_threads = (unsigned)option_number(o, OPT_vm_dirty_io),
        .code_path = option_items(o, OPT_vm_code_path),
    };

    vm_crash_hook = crash_hook;
    vm_heap_limit_hook = heap_limit_hook;
    io_output_hook = on_output;
    io_log_hook = report_hook;
    vm_halt_hook = on_halt;
    boot_vm(&bo);
}

/* Once a second: the schedulers' progress, and systemd's watchdog, which starves with them. */
static void tell_peers(void)
{
    health_set_peers(peers_up(), option_number(node.start->options, OPT_cluster_min_peers));
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    health_tick();
    tell_peers();
    if (node.watchdog && health_stuck_scheduler() < 0)
        notify_state("WATCHDOG=1");
}

static void start_second(void)
{
    struct timeval second = { .tv_sec = 1 };

    tell_peers();               /* before the first question */
    node.watchdog = getenv("WATCHDOG_USEC") != NULL;
    event_add(event_new(node.base, -1, EV_PERSIST, on_second, NULL), &second);
}

static int start_web(const struct options *o)
{
    struct web_options wo = web_options_of(o);
    struct buf complaint = { 0 };
    int rc;

    collect_start(PACKAGE_VERSION);
    note_env(o);
    metric_collector_add(collect_node, NULL);
    if (wo.listen[0] == NULL)
        return 0;
    rc = web_start(&wo, &complaint);
    if (rc < 0)
        fprintf(stderr, "error[RN0502]: %s\n  = Try:  %s\n", buf_cstr(&complaint),
                explanation_find("RN0502")->hint);
    buf_fini(&complaint);
    return rc < 0 ? EXIT_CANNOT_CREATE : 0;
}

/* Two of us: the older goes, and systemd does not start it again (exit 78). */
static void on_cloned(void)
{
    on_halt(EXIT_CONFIG, false, false);
}

/* 0, or an exit code after telling why. */
static int start_parts(const struct options *o)
{
    int rc;

    if (make_folder(node.folder) < 0)
        return start_failed(EXIT_CANNOT_CREATE, "RN0601", "cannot use", node.folder);
    start_engine(o);
    rc = keeper_open(node.folder, o, node_api.dev);
    if (rc == 0)
        rc = deploy_open(node.folder, keeper_store(), !node_api.dev);
    if (rc < 0)
        return store_failed(rc);
    rc = peers_open(keeper_store(), node.folder, node.name, node_api.dev);
    if (rc < 0)
        return start_failed(EXIT_IO, "RN0606", "cannot use the key of the node in", node.folder);
    dist_alive(peer_self.name, peer_self.creation);     /* before any program has run */
    tunnel_init();
    node.base = event_base_new();
    rc = server_start(node.base, node.socket, node_api.dev, &node.server);
    if (rc < 0) {
        if (rc == -ERR_EXISTS)
            errno = EADDRINUSE;
        return start_failed(EXIT_CANNOT_CREATE, "RN0501", "cannot listen at", node.socket);
    }
    deploy_restore();
    rc = keeper_restore();
    if (rc < 0)
        return store_failed(rc);
    health_set_store(true);
    rc = start_web(o);
    if (rc != 0)
        return rc;
    members_init();
    peer_cloned_hook = on_cloned;
    rc = peers_start(o, node_api.dev);
    if (rc < 0)
        return start_failed(EXIT_CANNOT_CREATE, "RN0502", "cannot listen for peers at",
                            option_text(o, OPT_listen_peers));
    members_start(o);
    start_second();
    add_signal(SIGTERM, on_stop_signal);
    add_signal(SIGINT, on_stop_signal);
    add_signal(SIGHUP, on_reload_signal);
    add_signal(SIGUSR1, on_report_signal);
    add_signal(SIGQUIT, on_crash_signal);
    return 0;
}

static void say_ready(void)
{
    char threads[16], took[32];

    snprintf(threads, sizeof threads, "%u", sched_count());
    snprintf(took, sizeof took, "%lld ms",
             (long long)(clock_monotonic_ns() - node_api.start_ns) / 1000000);
    LOG(INFO, "node.ready", LOG_FIELDS("socket", node.socket, "took", took),
        "%s is ready: rnode %s, %s schedulers", node.name, PACKAGE_VERSION, threads);
    if (node_api.dev) {
        bool plain = strcmp(node.name, "dev") == 0; /* the one rnodectl takes by itself */
        char *page = web_address(), *ctl = mem_printf("rnodectl%s%s", plain ? "" : " -c ", plain ? "" : node.name);

        printf("%s is running · data in %s%s%s\n", node.name, node.folder, page != NULL ? " · " : "",
               page != NULL ? page : "");
        printf("try: %s status · %s deploy FILE.beam · stop: %s stop\n", ctl, ctl, ctl);
        mem_free(ctl);
        mem_free(page);
        fflush(stdout);
    }
    notify_state("READY=1");
}

int node_main(struct node_start *start)
{
    int rc, status;

    node.start = start;
    signal(SIGPIPE, SIG_IGN);
    if (evthread_use_pthreads() < 0)
        return EXIT_SYSTEM;
    choose_names(start->options);
    fill_api();
    apply_live(start->options);
    rc = start_parts(start->options);
    if (rc != 0)
        _exit(rc);      /* parts of the node may run already; there is nothing to save */
    say_ready();
    event_base_dispatch(node.base);
    status = atomic_load(&node.halt_status);
    LOG(INFO, "node.end", NULL, "%s ends", node.name);
    web_stop();
    server_free(node.server);
    members_stop();
    peers_stop();
    tunnel_stop();
    vm_stop();
    epoch_drain();
    peers_close();
    keeper_close();
    return status != 0 ? status - 1 : node.exit;
}
