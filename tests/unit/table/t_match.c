/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t_match.c - match specifications against what erlang:match_spec_test/3 answers
 */
#include "base/bytes.h"
#include "heap/parse.h"
#include "table/match.h"
#include "term/atom.h"
#include "term/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* object, specification, value as ~w prints it; "-": no match; "!": the specification is refused */
static const char *const cases[][3] = {
    { "{1,2}", "[{{'$1','$2'},[],[{{'$2','$1'}}]}]", "{2,1}" },
    { "{1,2}", "[{{'$1','$1'},[],['$1']}]", "-" },
    { "{1,1}", "[{{'$1','$1'},[],['$1']}]", "1" },
    { "{1,1.0}", "[{{'$1','$1'},[],['$1']}]", "-" },
    { "{1,2}", "[{'_',[],['$_']}]", "{1,2}" },
    { "{1,2}", "[{'$3',[],['$3']}]", "{1,2}" },
    { "{a,{b,[c,d]}}", "[{{'_',{b,['$2'|'$10']}},[],['$$']}]", "[c,[d]]" },
    { "{a,{b,[c,d]}}", "[{{'$10',{'$2','_'}},[],['$$']}]", "[b,a]" },
    { "{1,2}", "[{{'$1','$2'},[{'<','$1','$2'}],[lt]},{'_',[],[ge]}]", "lt" },
    { "{3,2}", "[{{'$1','$2'},[{'<','$1','$2'}],[lt]},{'_',[],[ge]}]", "ge" },
    { "{3,2}", "[{{'$1','$2'},[{'+','$1',a}],[x]}]", "-" },
    { "{3,2}", "[{{'$1','$2'},[],[{'div','$1',0}]}]", "'EXIT'" },
    { "{3,2}", "[{{'$1','$2'},[],[{{a,{'div','$1',0}}}]}]", "'EXIT'" },
    { "{3,2}", "[{{'$1','$2'},[],[first,{'+','$1','$2'}]}]", "5" },
    { "{3,2}", "[{{'$1','$2'},[{'and',true,{'>','$1',1},{'=:=','$2',2}}],[x]}]", "x" },
    { "{3,2}", "[{{'$1','$2'},[{'orelse',1,true}],[x]}]", "-" },
    { "{3,2}", "[{{'$1','$2'},[{'orelse',true,1}],[x]}]", "x" },
    { "{3,2}", "[{{'$1','$2'},[{'andalso',false,1}],[x]}]", "-" },
    { "{3,2}", "[{{'$1','$2'},[{'not',{'andalso',false,1}}],[x]}]", "x" },
    { "{3,2}", "[{{'$1','$2'},[],[{const,{a,'$1'}}]}]", "{a,'$1'}" },
    { "{3,2}", "[{{'$1','$2'},[],[[x,'$1',{{}}|'$2']]}]", "[x,3,{}|2]" },
    { "{3,2}", "[{{'$1','$2'},[],[#{a=>'$1',b=>[{'+','$2',1}]}]}]", "#{a=>3,b=>[3]}" },
    { "{#{k=>7,z=>1},2}", "[{{#{k=>'$1'},'_'},[],['$1']}]", "7" },
    { "{#{z=>1},2}", "[{{#{k=>'$1'},'_'},[],['$1']}]", "-" },
    { "{#{k=>#{j=>[1,2]},b=>2},2}", "[{{#{k=>#{j=>['$1'|'_']},b=>'$2'},'_'},[],['$$']}]", "[1,2]" },
    { "{\"abc\",<<1,2,3>>}", "[{{'$1','$2'},[{'==',{length,'$1'},{byte_size,'$2'}}],"
      "[{{{hd,'$1'},{tl,'$1'},{binary_part,'$2',1,2}}}]}]", "{97,[98,99],<<2,3>>}" },
    { "{r,1}", "[{'$1',[{is_record,'$1',r,2}],[{element,2,'$1'}]}]", "1" },
    { "{1.5,-3}", "[{{'$1','$2'},[],[{{{trunc,'$1'},{abs,'$2'},{round,'$1'},{float,'$2'}}}]}]",
      "{1,3,2,-3.0}" },
    { "{1,2}", "[{{'$1','_'},[],[{max,'$1',7}]}]", "7" },
    { "{1,2}", "[]", "!" },
    { "{1,2}", "foo", "!" },
    { "{1,2}", "[{'_',[],[]}]", "!" },
    { "{1,2}", "[{'_',[],['$1']}]", "!" },
    { "{1,2}", "[{'_',[{foo,1}],[x]}]", "!" },
    { "{1,2}", "[{'_',[{message,1}],[x]}]", "!" },
    { "{1,2}", "[{'_',[],[{1,2}]}]", "!" },
    { "{1,2}", "[{'_',[]}]", "!" },
};

static term parse(struct heap *h, const char *text)
{
    char err[200];
    size_t used;
    term t = parse_term(h, text, strlen(text), &used, err, sizeof err);

    if (t == TERM_NONE)
        fail_msg("%s: %s", text, err);
    return t;
}

static void values(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heap h;
        struct buf out = { 0 };
        struct match_spec *ms;
        struct match_run run;
        term value;

        heap_bag_init(&h);
        ms = match_compile(parse(&h, cases[i][1]), MATCH_TABLE, NULL);
        if (ms == NULL) {
            buf_str(&out, "!");
        } else {
            match_run_init(&run, ms, &h, ATOM_undefined);
            value = match_object(&run, parse(&h, cases[i][0]));
            match_run_fini(&run);
            match_free(ms);
            if (value == TERM_NONE)
                buf_str(&out, "-");
            else
                term_print(&out, value, 0, 0);
        }
        if (strcmp(buf_cstr(&out), cases[i][2]) != 0)
            fail_msg("%s on %s: %s, not %s", cases[i][1], cases[i][0], buf_cstr(&out), cases[i][2]);
        buf_fini(&out);
        heap_fini(&h);
    }
}

static void keys(void **state)
{
    static const struct { const char *spec; enum match_key kind; bool keeps; } k[] = {
        { "[{{1,'$1'},[],['$_']}]", MATCH_KEY_EXACT, true },
        { "[{{'$1','$2'},[],[{{'$1',z}}]}]", MATCH_KEY_ANY, true },
        { "[{{'$1','$2'},[],[{{'$2','$1'}}]}]", MATCH_KEY_ANY, false },
        { "[{{{a,'_'},'$2'},[],[{{1,'$2'}}]}]", MATCH_KEY_PART, false },
        { "[{{5,'$2'},[],[{{5,'$2'}}]}]", MATCH_KEY_EXACT, true },
        { "[{'$1',[],['$1']}]", MATCH_KEY_ANY, true },
        { "[{'_',[],[{{{element,1,'$_'},2}}]}]", MATCH_KEY_ANY, true },
    };
    struct heap h;
    term pattern;

    heap_bag_init(&h);
    for (size_t i = 0; i < ARRAY_LEN(k); i++) {
        struct match_spec *ms = match_compile(parse(&h, k[i].spec), MATCH_TABLE, NULL);

        assert_non_null(ms);
        assert_int_equal(match_key_of(ms, 0, 1, &pattern), k[i].kind);
        assert_int_equal(match_keeps_key(ms, 1), k[i].keeps);
        match_free(ms);
    }
    assert_true(match_key_cmp(parse(&h, "{a,1}"), parse(&h, "{b,'_'}")) < 0);
    assert_true(match_key_cmp(parse(&h, "{b,1}"), parse(&h, "{b,'_'}")) == 0);
    assert_true(match_key_cmp(parse(&h, "{c,1}"), parse(&h, "{b,'_'}")) > 0);
    assert_true(match_key_cmp(parse(&h, "{c}"), parse(&h, "{b,'_'}")) < 0);
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(values), cmocka_unit_test(keys) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    literal_region_init();
    atom_table_init(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
