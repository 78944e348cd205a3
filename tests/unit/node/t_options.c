/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_options.c - the configuration: values, origins, errors with their place
 */
#include "node/options.h"

#include "base/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct options o;
static struct buf errors;

static int setup(void **state)
{
    options_init(&o);
    return 0;
}

static int teardown(void **state)
{
    options_fini(&o);
    buf_fini(&errors);
    return 0;
}

static int parse(const char *text)
{
    return options_parse(&o, "/etc/rnode/rnoded.conf", text, &errors);
}

static void complains(const char *text, const char *expected)
{
    assert_int_equal(parse(text), -ERR_FORMAT);
    if (strstr(buf_cstr(&errors), expected) == NULL)
        fail_msg("no \"%s\" in:\n%s", expected, buf_cstr(&errors));
    buf_fini(&errors);
}

static void defaults_hold(void **state)
{
    assert_int_equal(option_number(&o, OPT_vm_max_atoms), 1048576);
    assert_int_equal(option_number(&o, OPT_deploy_purge_wait), 600000);
    assert_int_equal(option_number(&o, OPT_store_map_size), (int64_t)4 << 30);
    assert_string_equal(option_items(&o, OPT_control_admin)[1], "@_rnode-admin");
    assert_null(option_items(&o, OPT_control_admin)[2]);
    assert_string_equal(o.value[OPT_log_level].origin, "default");
}

static void values_of_each_type(void **state)
{
    assert_int_equal(parse("node { name = \"db-2\" labels = {\"env=production\", \"zone=m\"} }\n"
                           "# a comment\n"
                           "vm { max_processes = 2_000\n     schedulers = 8 }\n"
                           "limits { eval_time = \"2m\" eval_heap = 8MiB }\n"
                           "log { level = warning }\n"), 0);
    assert_string_equal(option_text(&o, OPT_node_name), "db-2");
    assert_string_equal(option_items(&o, OPT_node_labels)[1], "zone=m");
    assert_int_equal(option_number(&o, OPT_vm_max_processes), 2000);
    assert_int_equal(option_number(&o, OPT_limits_eval_time), 120000);
    assert_int_equal(option_number(&o, OPT_limits_eval_heap), 8 << 20);
    assert_string_equal(option_text(&o, OPT_log_level), "warning");
    assert_string_equal(o.value[OPT_vm_schedulers].origin, "rnoded.conf:4");
}

static void the_empty_file_is_good(void **state)
{
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("\n# nothing\n"), 0);
    assert_int_equal(parse("vm { }"), 0);
}

static void errors_show_the_place(void **state)
{
    complains("store {\n  mapsize = \"8GiB\"\n}\n",
              "error[RN0402]: unknown key `mapsize` in [store]\n"
              "  ┌─ /etc/rnode/rnoded.conf:2:3\n"
              "2│   mapsize = \"8GiB\"\n"
              " │   ^^^^^^^ did you mean `map_size`?\n");
    complains("vmm { }", "unknown section or key `vmm`");
    complains("vm { schedulers = many }", "error[RN0403]: `many` is no value for vm.schedulers");
    complains("deploy { purge_wait = 5 }", "a time with its unit is expected");
    complains("store { map_size = 5 }", "a size with its unit is expected");
    complains("log { level = loud }", "= Try:  debug|info|notice");
    complains("vm { schedulers", "RN0401");
    complains("vm schedulers = 3", "RN0401");
}

static void a_failed_value_changes_nothing(void **state)
{
    complains("log { level = loud }", "RN0403");
    assert_string_equal(option_text(&o, OPT_log_level), "info");
}

static void set_wins_and_checks(void **state)
{
    assert_int_equal(parse("vm { schedulers = 2 }"), 0);
    assert_int_equal(options_set(&o, "vm.schedulers=3", &errors), 0);
    assert_int_equal(option_number(&o, OPT_vm_schedulers), 3);
    assert_string_equal(o.value[OPT_vm_schedulers].origin, "--set");
    assert_int_equal(options_set(&o, "control.view=ana,@staff", &errors), 0);
    assert_string_equal(option_items(&o, OPT_control_view)[1], "@staff");
    assert_int_equal(options_set(&o, "vm.scedulers=3", &errors), -ERR_FORMAT);
    assert_non_null(strstr(buf_cstr(&errors), "did you mean `vm.schedulers`?"));
    assert_int_equal(options_set(&o, "nonsense", &errors), -ERR_FORMAT);
    assert_int_equal(options_set(&o, "vm.schedulers=x", &errors), -ERR_FORMAT);
}

static void printed_values_read_back(void **state)
{
    struct options again;
    struct buf text = { 0 };

    assert_int_equal(parse("node { name = \"a \\\"b\\\"\" labels = {\"x\", \"y z\"} }"), 0);
    options_print(&o, &text);
    options_init(&again);
    assert_int_equal(options_parse(&again, "again.conf", buf_cstr(&text), &errors), 0);
    for (int i = 0; i < OPT_COUNT; i++)
        assert_string_equal(o.value[i].text, again.value[i].text);
    assert_int_equal(options_first_frozen_change(&o, &again), OPT_COUNT);
    assert_int_equal(options_set(&again, "log.level=debug", &errors), 0);
    assert_int_equal(options_first_frozen_change(&o, &again), OPT_COUNT);
    assert_int_equal(options_set(&again, "vm.max_atoms=5", &errors), 0);
    assert_int_equal(options_first_frozen_change(&o, &again), OPT_vm_max_atoms);
    options_fini(&again);
    buf_fini(&text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(defaults_hold), TEST(values_of_each_type), TEST(the_empty_file_is_good),
        TEST(errors_show_the_place), TEST(a_failed_value_changes_nothing),
        TEST(set_wins_and_checks), TEST(printed_values_read_back),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
