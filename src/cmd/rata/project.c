/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project.c - rnode.project, read by libConfuse: `key = "value"`, one a line
 */
#include "cmd/rata/project.h"

#include "base/alloc.h"
#include "base/diag.h"
#include "base/suggest.h"
#include "ctl/exits.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const keys[] = { "name", "version", "main" };

/* One line for libConfuse's text; an unknown key gets the nearest known one. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[256], word[64], help[128];
    const char *near;
    struct diag d = { .code = "RN0402", .file = cfg->filename, .line = (size_t)cfg->line };
    struct buf out = { 0 };

    vsnprintf(text, sizeof text, fmt, ap);
    d.message = text;
    if (sscanf(text, "no such option '%63[^']", word) == 1) {
        snprintf(text, sizeof text, "unknown key `%s`", word);
        near = suggest_nearest(word, keys, ARRAY_LEN(keys));
        if (near != NULL)
            snprintf(help, sizeof help, "%s = \"...\"", near);
        else
            snprintf(help, sizeof help, "keys are name, version, main");
        d.help = help;
    }
    diag_print(&out, &d, NULL, false);
    fwrite(out.data, 1, out.len, stderr);
    buf_fini(&out);
}

static char *value(cfg_t *cfg, const char *key)
{
    const char *text = cfg_getstr(cfg, key);

    return mem_strdup(text != NULL ? text : "");
}

int project_read(const char *folder, struct project *ret_project)
{
    cfg_opt_t options[] = { CFG_STR("name", NULL, CFGF_NODEFAULT),
                            CFG_STR("version", NULL, CFGF_NODEFAULT),
                            CFG_STR("main", NULL, CFGF_NODEFAULT), CFG_END() };
    char *path = mem_printf("%s/" PROJECT_FILE, folder);
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    int rc;

    cfg_set_error_function(cfg, on_error);
    rc = cfg_parse(cfg, path);
    if (rc == CFG_FILE_ERROR) {
        fprintf(stderr, "rata: %s: %s\n  = hint: rata new NAME makes a project; or name the files\n",
                path, strerror(errno));
        rc = EXIT_NO_INPUT;
    } else if (rc != CFG_SUCCESS) {
        rc = EXIT_BAD_INPUT;
    } else {
        *ret_project = (struct project){ value(cfg, "name"), value(cfg, "version"),
                                         value(cfg, "main") };
        rc = 0;
    }
    cfg_free(cfg);
    mem_free(path);
    return rc;
}

void project_fini(struct project *p)
{
    mem_free(p->name);
    mem_free(p->version);
    mem_free(p->main);
}
