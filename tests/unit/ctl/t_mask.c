/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_mask.c - what a stranger may read, and what not
 */
#include "ctl/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(const char *text, enum mask mask, const char *want)
{
    struct buf out = { 0 };

    mask_text(&out, text, mask);
    assert_string_equal(buf_cstr(&out), want);
    buf_fini(&out);
}

static void check_log(const char *text, const char *want)
{
    struct buf out = { 0 };

    mask_log(&out, text);
    assert_string_equal(buf_cstr(&out), want);
    buf_fini(&out);
}

static void invitations_go(void **state)
{
    check("join rnj1_abc-DEF_123 now", MASK_SECRETS, "join (secret) now");
    check("(rnj1_x)", MASK_SECRETS, "((secret))");
}

static void what_stands_behind_a_name_goes(void **state)
{
    check("password=hunter2 user=ana", MASK_SECRETS, "password=(secret) user=ana");
    check("{password,hunter2}", MASK_SECRETS, "{password,(secret)}");
    check("#{api_key => <<\"a>b\">>, n => 1}", MASK_SECRETS, "#{api_key => (secret), n => 1}");
    check("{\"db_password\": \"a \\\" b\", x}", MASK_SECRETS, "{\"db_password\": (secret), x}");
    check("Authorization: Bearer abc.def", MASK_SECRETS, "Authorization: (secret)");
    check("sent Bearer abc.def", MASK_SECRETS, "sent Bearer (secret)");
    check("<<\"token\">> => <<\"x\">>", MASK_SECRETS, "<<\"token\">> => (secret)");
}

static void words_stay(void **state)
{
    check("the cluster secret is changed", MASK_TEXTS, "the cluster secret is changed");
    check("counter:loop/1 in counter.s:116", MASK_TEXTS, "counter:loop/1 in counter.s:116");
    check("secret", MASK_SECRETS, "secret");
    check("", MASK_TEXTS, "");
}

static void texts_go_when_asked(void **state)
{
    check("{badmatch,\"a \\\" b\"}", MASK_TEXTS, "{badmatch,\"…\"}");
    check("{badmatch,\"a\"}", MASK_SECRETS, "{badmatch,\"a\"}");
    check("{<<1,2,3>>,x}", MASK_TEXTS, "{<<…>>,x}");
    check("cut \"off", MASK_TEXTS, "cut \"…\"");
    check("cut <<off\nnext", MASK_TEXTS, "cut <<…>>\nnext");
    check("key 0123456789abcdef0123456789abcdef.", MASK_TEXTS, "key (32 characters).");
    check("key 0123456789abcdef0123456789abcdef.", MASK_SECRETS,
          "key 0123456789abcdef0123456789abcdef.");
    check("a-name-of-many-words-without-digits", MASK_TEXTS, "a-name-of-many-words-without-digits");
}

static void of_programs_only_the_length_stays(void **state)
{
    check_log("12:00:00.000  notice  app.report  ana logs in\n",
              "12:00:00.000  notice  app.report  (what a program logged, 11 bytes)\n");
    check_log("12:00:00.000  notice  control.request  root asked for eval m:f(pin,1234): done  "
              "user=root  request=eval\n",
              "12:00:00.000  notice  control.request  root asked for eval …  user=root  request=eval\n");
    check_log("12:00:00.000  error   process.crash  {badmatch,\"x\"}  pid=<0.1.0>\nTIME",
              "12:00:00.000  error   process.crash  {badmatch,\"…\"}  pid=<0.1.0>\nTIME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invitations_go),
        cmocka_unit_test(what_stands_behind_a_name_goes),
        cmocka_unit_test(words_stay),
        cmocka_unit_test(texts_go_when_asked),
        cmocka_unit_test(of_programs_only_the_length_stays),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
