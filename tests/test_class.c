/* The table of LIV classes: which rows exist, which codes can be built, what can be shared. */
#include "genome/genome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;

static void test_paper_classes(void **state) {
    (void)state;
    static const struct {
        const char *name, *code;
    } rows[] = {{"SA-1", "12123"},         {"SA-2", "22123"},        {"SA-3", "32123"},
                {"SA-4", "42123"},         {"Rec-1", "54111"},       {"Rec-2", "64111"},
                {"GConv-1", "73111"},      {"GConv-2", "83111"},     {"GMemless", "91142"},
                {"SA-1-Diff", "12123"},    {"SA-2-Diff", "22123"},   {"SA-3-Diff", "32123"},
                {"SA-4-Diff", "42123"},    {"Rec-1-Diff", "54111"},  {"Rec-2-Diff", "64111"},
                {"GConv-1-Diff", "73111"}, {"GConv-2-Diff", "83111"}};
    for (int i = 0; i < SR_PAPER_CLASSES; i++) {
        const sr_class *row = sr_class_get(i + 1);
        char code[80];
        snprintf(code, sizeof code, "%d%d%d%d%d", row->code.featurizer, row->code.token_mixing,
                 row->code.sparsity, row->code.nonlinearity, row->code.channel_mixing);
        assert_string_equal(row->name, rows[i].name);
        assert_string_equal(code, rows[i].code);
        assert_int_equal(row->differential, i >= 9);
    }
}

/* Numbers are stored in genomes: a row may never move. */
static void test_rows_never_move(void **state) {
    (void)state;
    static const char *const later[] = {
        "LA-1", "LA-2", "LA-3", "LA-4", "SWA-1", "SWA-2", "SWA-3", "SWA-4", "RA-1", "RA-2", "RA-3",
        "RA-4", "ZA-1", "ZA-2", "ZA-3", "ZA-4", "LWA-1", "LWA-2", "LWA-3", "LWA-4", "RWA-1",
        "RWA-2", "RWA-3", "RWA-4", "ZWA-1", "ZWA-2", "ZWA-3", "ZWA-4", "SA-1-1H", "SA-2-1H",
        "LA-1-1H", "LA-2-1H", "SWA-1-1H", "SWA-2-1H", "RA-1-1H", "RA-2-1H", "ZA-1-1H", "ZA-2-1H",
        "LWA-1-1H", "LWA-2-1H", "RWA-1-1H", "RWA-2-1H", "ZWA-1-1H", "ZWA-2-1H", "GConv-2-Band",
        "GLU", "ReGLU",
        /* from here on whole */
        "MHA", "MHA-1H", "MHA-W", "MHA-W-1H", "MLP", "MoE-MLP", "MoE-MLP-Top2", "Mamba", "Hyena",
        "MH-Hyena", "Hyena-Experts", "Hyena-Experts-Top2", "GDN", "RWKV-6", "RWKV-6-CM", "LinAttn",
        "LinAttn-1H", "GLA", "GLA-1H", "Mamba-2",
        /* and composed again */
        "GEGLU",
        /* and whole */
        "MoE-MLP-Shared"};
    int n = (int)(sizeof later / sizeof *later);
    assert_true(sr_class_count() >= SR_PAPER_CLASSES + n);
    assert_true(sr_class_count() < SR_POOL_CLASSES);
    for (int i = 0; i < n; i++)
        assert_string_equal(sr_class_get(SR_PAPER_CLASSES + 1 + i)->name, later[i]);
    for (int i = 1; i <= sr_class_count(); i++) {
        const sr_class *row = sr_class_get(i);
        assert_int_equal(row->number, i);
        assert_ptr_equal(sr_class_find(row->name), row);
        assert_true(strlen(row->summary) > 10);
        assert_string_not_equal(sr_family_name(row->family), "");
        if (!row->differential) assert_ptr_equal(sr_class_of_code(ctx, row->code), row);
    }
    assert_null(sr_class_get(0));
    assert_null(sr_class_get(sr_class_count() + 1));
    assert_null(sr_class_find("sa-1"));
}

/* A code can be built exactly when one plain row has it. */
static void test_codes(void **state) {
    (void)state;
    int composed = 0, whole = 0;
    for (int i = 0; i < 40 * 7 * 4 * 10 * 5; i++) {
        sr_code code = {i % 40, i / 40 % 7, i / 280 % 4, i / 1120 % 10, i / 11200};
        int rows = 0;
        for (int k = 1; k <= sr_class_count(); k++) {
            const sr_class *row = sr_class_get(k);
            rows += !row->differential && memcmp(&row->code, &code, sizeof code) == 0;
        }
        bool good = sr_code_check(ctx, code) == SARTOR_OK;
        assert_int_equal(rows, good ? 1 : 0);
        assert_int_equal(sr_class_of_code(ctx, code) != NULL, good);
        *(code.featurizer < 10 ? &composed : &whole) += good;
        if (!good) assert_true(strlen(sartor_error(ctx)) > 10);
    }
    assert_int_equal(composed, 32 + 16 + 3 + 2 + 4);
    int plain = 0;
    for (int k = 1; k <= sr_class_count(); k++) plain += !sr_class_get(k)->differential;
    assert_int_equal(whole, plain - composed);
}

static void test_code_reasons(void **state) {
    (void)state;
    static const struct {
        sr_code code;
        const char *reason;
    } cases[] = {
        {{99, 2, 1, 2, 3}, "featurizer 99 is not in 1.."},
        {{0, 2, 1, 2, 3}, "featurizer 0 is not in 1.."},
        {{1, 5, 1, 2, 3}, "token mixing 5 is not in 1..4"},
        {{1, 2, 3, 2, 3}, "sparsity 3 is not in 1..2"},
        {{1, 2, 1, 0, 3}, "nonlinearity 0 is not in 1..5"},
        {{1, 2, 1, 2, 4}, "channel mixing 4 is not in 1..3"},
        {{1, 2, 1, 5, 3}, "nonlinearities 1 to 4"},
        {{5, 2, 1, 2, 3}, "needs q, k and v"},
        {{1, 2, 1, 2, 1}, "each channel would need a head of its own"},
        {{3, 2, 1, 2, 2}, "nothing to repeat k and v over"},
        {{1, 3, 1, 1, 1}, "needs gates and a kernel"},
        {{7, 3, 1, 2, 1}, "length x length"},
        {{7, 3, 1, 1, 2}, "one kernel for each channel"},
        {{7, 3, 2, 1, 1}, "3 taps"},
        {{9, 4, 1, 1, 1}, "needs a state"},
        {{5, 4, 2, 1, 1}, "no band"},
        {{5, 4, 1, 4, 1}, "never forms"},
        {{6, 4, 1, 1, 3}, "one state for each channel"},
        {{1, 1, 1, 4, 2}, "needs a gate and a value"},
        {{9, 1, 2, 4, 2}, "sees one token"},
        {{9, 1, 1, 2, 2}, "softmax over one token is constant"},
        {{9, 1, 1, 4, 1}, "projected back"},
        {{10, 2, 1, 1, 3}, "featurizer 10 comes from one publication"},
        {{13, 4, 1, 1, 2}, "composes as 13.4.1.1.1 (Mamba)"},
        {{15, 4, 2, 1, 3}, "composes as 15.4.1.1.3 (GLA)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sr_code_check(ctx, cases[i].code), SARTOR_INVALID);
        if (strstr(sartor_error(ctx), cases[i].reason) == NULL)
            fail_msg("'%s' lacks '%s'", sartor_error(ctx), cases[i].reason);
    }
}

static void test_feature_shapes(void **state) {
    (void)state;
    static const struct {
        const char *one, *other;
        bool shares;
    } pairs[] = {{"SA-1", "SA-2", true},         {"SA-1", "LA-1", true},
                 {"SA-1", "SWA-1", true},        {"SA-3", "ZWA-3", true},
                 {"SA-1", "SA-3", false},        {"SA-3", "SA-4", false},
                 {"SA-1", "SA-1-1H", false},     {"SA-1-1H", "LA-2-1H", true},
                 {"SA-1", "SA-1-Diff", false},   {"SA-1-Diff", "SA-2-Diff", true},
                 {"Rec-1", "Rec-2", false},      {"Rec-1", "Rec-1-Diff", false},
                 {"GConv-1", "GConv-2", true},   {"GConv-1", "GConv-2-Band", true},
                 {"GMemless", "ReGLU", true},    {"GMemless", "SA-1", false},
                 {"GConv-1", "Rec-1", false},    {"MHA", "SA-1", true},
                 {"MHA-1H", "MHA-W-1H", true},   {"MHA", "MHA-1H", false},
                 {"Mamba", "Rec-1", false},      {"MoE-MLP", "MoE-MLP-Top2", false},
                 {"MoE-MLP", "GMemless", false}, {"Hyena", "GConv-2", false},
                 {"GLA", "GLA-1H", false},       {"LinAttn", "GLA", false},
                 {"Mamba-2", "Mamba", false}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const sr_class *x = sr_class_find(pairs[i].one), *y = sr_class_find(pairs[i].other);
        assert_int_equal(sr_class_feature_shape(x, 0) == sr_class_feature_shape(y, 0),
                         pairs[i].shares);
    }
    assert_int_equal(sr_class_feature_shape(sr_class_find("GMemless"), 1), 0);
    assert_int_equal(sr_class_feature_shape(sr_class_find("SA-1"), 2), 0);
    assert_int_equal(sr_class_feature_shape(sr_class_find("SA-1"), -1), 0);
    assert_string_equal(sr_family_feature_name(SR_FAMILY_SA, 1), "V");
    assert_string_equal(sr_family_feature_name(SR_FAMILY_GMEMLESS, 0), "gate");
    assert_string_equal(sr_family_feature_name(SR_FAMILY_GMEMLESS, 1), "");
    assert_int_equal(sr_code_kv_repeat(sr_class_find("SA-3")->code), 4);
    assert_int_equal(sr_code_kv_repeat(sr_class_find("ZWA-4")->code), 2);
    assert_int_equal(sr_code_kv_repeat(sr_class_find("Rec-1")->code), 1);
    assert_int_equal(sr_code_states(sr_class_find("Rec-1-Diff")->code), 16);
    assert_int_equal(sr_code_states(sr_class_find("Rec-2")->code), 2);
    assert_int_equal(sr_code_states(sr_class_find("SA-1")->code), 0);
    assert_int_equal(sr_code_states(sr_class_find("Mamba")->code), 4);
    assert_int_equal(sr_code_expand(sr_class_find("Mamba")->code), 2);
    assert_int_equal(sr_code_expand(sr_class_find("Rec-1")->code), 1);
    assert_int_equal(sr_family_features(SR_FAMILY_MLP), 0);
    assert_string_equal(sr_family_feature_name(SR_FAMILY_MOE, 1), "router");
    assert_string_equal(sr_family_name((sr_family)(SR_FAMILIES - 1)), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper_classes),  cmocka_unit_test(test_rows_never_move),
        cmocka_unit_test(test_codes),          cmocka_unit_test(test_code_reasons),
        cmocka_unit_test(test_feature_shapes),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
