/* Settings of the MAD tasks: the benchmark's 66, text and back, and what is refused. */
#include "task/mad/mad.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;

static int make_context(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx != NULL ? 0 : -1;
}

static int remove_context(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

static sr_mad_setting parse(const char *text) {
    sr_mad_setting s;
    if (sr_mad_setting_parse(ctx, text, &s) != SARTOR_OK)
        fail_msg("%s: %s", text, sartor_error(ctx));
    return s;
}

static bool equal(const sr_mad_setting *a, const sr_mad_setting *b) {
    return a->task == b->task && a->vocab == b->vocab && a->length == b->length &&
           a->train == b->train && a->test == b->test && a->multi_query == b->multi_query &&
           a->noise_vocab == b->noise_vocab && a->noise == b->noise && a->copy == b->copy &&
           a->key_size == b->key_size && a->value_size == b->value_size && a->seed == b->seed;
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[SR_MAD_TASKS][2] = {
        {"in-context-recall", "recall"},      {"fuzzy-in-context-recall", "fuzzy"},
        {"noisy-in-context-recall", "noisy"}, {"selective-copying", "copy"},
        {"compression", "compression"},       {"memorization", "memorization"},
    };
    for (int i = 0; i < SR_MAD_TASKS; i++) {
        assert_string_equal(sr_mad_task_name((sr_mad_task_id)i), names[i][0]);
        for (int k = 0; k < 2; k++)
            assert_int_equal(sr_mad_task_find(names[i][k], strlen(names[i][k])), i);
        assert_int_equal(sr_mad_task_find(names[i][0], strlen(names[i][0]) - 1), -1);
    }
    assert_int_equal(sr_mad_task_find("recall:vocab=32", 6), SR_MAD_RECALL);
    assert_int_equal(sr_mad_task_find("", 0), -1);
}

/* The grid as text, the whole benchmark. */
static const char *const grid[] = {
    "in-context-recall",
    "in-context-recall:vocab=32",
    "in-context-recall:vocab=64",
    "in-context-recall:vocab=128",
    "in-context-recall:length=256",
    "in-context-recall:length=512",
    "in-context-recall:length=1024",
    "in-context-recall:train=6400",
    "in-context-recall:train=3200",
    "in-context-recall:train=1600",
    "in-context-recall:train=800",
    "fuzzy-in-context-recall",
    "fuzzy-in-context-recall:vocab=32",
    "fuzzy-in-context-recall:vocab=64",
    "fuzzy-in-context-recall:vocab=128",
    "fuzzy-in-context-recall:length=256",
    "fuzzy-in-context-recall:length=512",
    "fuzzy-in-context-recall:length=1024",
    "fuzzy-in-context-recall:train=6400",
    "fuzzy-in-context-recall:train=3200",
    "fuzzy-in-context-recall:train=1600",
    "fuzzy-in-context-recall:train=800",
    "noisy-in-context-recall",
    "noisy-in-context-recall:vocab=48",
    "noisy-in-context-recall:vocab=80",
    "noisy-in-context-recall:vocab=144",
    "noisy-in-context-recall:length=256",
    "noisy-in-context-recall:length=512",
    "noisy-in-context-recall:length=1024",
    "noisy-in-context-recall:train=6400",
    "noisy-in-context-recall:train=3200",
    "noisy-in-context-recall:train=1600",
    "noisy-in-context-recall:train=800",
    "noisy-in-context-recall:noise=0.4",
    "noisy-in-context-recall:noise=0.6",
    "noisy-in-context-recall:noise=0.8",
    "selective-copying",
    "selective-copying:vocab=32",
    "selective-copying:vocab=64",
    "selective-copying:vocab=128",
    "selective-copying:length=512",
    "selective-copying:length=1024",
    "selective-copying:train=6400",
    "selective-copying:train=3200",
    "selective-copying:train=1600",
    "selective-copying:train=800",
    "selective-copying:copy=32",
    "selective-copying:copy=64",
    "selective-copying:copy=96",
    "compression",
    "compression:vocab=32",
    "compression:vocab=64",
    "compression:vocab=128",
    "compression:length=64",
    "compression:length=128",
    "compression:length=256",
    "compression:train=6400",
    "compression:train=3200",
    "compression:train=1600",
    "compression:train=800",
    "memorization",
    "memorization:vocab=512",
    "memorization:vocab=1024",
    "memorization:vocab=2048",
    "memorization:vocab=4096",
    "memorization:vocab=8192",
};

static void test_grid(void **state) {
    (void)state;
    static const int counts[SR_MAD_TASKS] = {11, 11, 14, 13, 11, 6};
    int all = 0;
    for (int task = 0; task < SR_MAD_TASKS; task++) {
        sr_mad_setting settings[SR_MAD_MOST_SETTINGS];
        int n = sr_mad_grid((sr_mad_task_id)task, settings);
        assert_int_equal(n, counts[task]);
        for (int i = 0; i < n; i++) {
            char text[SR_MAD_SETTING_TEXT];
            sr_mad_setting_print(&settings[i], text);
            assert_string_equal(text, grid[all++]);
            if (sr_mad_setting_check(ctx, &settings[i]) != SARTOR_OK)
                fail_msg("%s: %s", text, sartor_error(ctx));
            sr_mad_setting back = parse(text);
            assert_true(equal(&back, &settings[i]));
        }
    }
    assert_int_equal(all, 66);
    assert_int_equal(all, sizeof grid / sizeof grid[0]);
}

static void test_text(void **state) {
    (void)state;
    sr_mad_setting s = parse("copy:copy=32,length=512,train=800");
    assert_int_equal(s.task, SR_MAD_COPY);
    assert_int_equal(s.vocab, 16);
    assert_int_equal(s.copy, 32);
    assert_int_equal(s.length, 512);
    assert_int_equal(s.train, 800);
    assert_int_equal(s.test, 1280);
    assert_int_equal(s.seed, 12345);

    static const char *const round[][2] = {
        {"recall:vocab=16,length=128", "in-context-recall"},
        {"recall:", NULL},
        {"recall:length=64,vocab=8", "in-context-recall:vocab=8,length=64"},
        {"noisy:noise=0.2", "noisy-in-context-recall"},
        {"noisy:noise=0.30000000000000004", "noisy-in-context-recall:noise=0.30000000000000004"},
        {"noisy:noise=1e-3,seed=0", "noisy-in-context-recall:noise=0.001,seed=0"},
        {"recall:multi-query=0", "in-context-recall:multi-query=0"},
        {"memorization:seed=18446744073709551615", "memorization:seed=18446744073709551615"},
        {"fuzzy:seed=18446744073709551614,value-size=4,key-size=4,noise=0.12345678901234568,"
         "noise-vocab=65000,multi-query=0,test=99999,train=99999,length=2600,vocab=65536",
         "fuzzy-in-context-recall:vocab=65536,length=2600,train=99999,test=99999,multi-query=0,"
         "noise-vocab=65000,noise=0.12345678901234568,key-size=4,value-size=4,"
         "seed=18446744073709551614"},
    };
    for (size_t i = 0; i < sizeof round / sizeof round[0]; i++) {
        char text[SR_MAD_SETTING_TEXT];
        if (round[i][1] == NULL) {
            assert_int_equal(sr_mad_setting_parse(ctx, round[i][0], &s), SARTOR_INVALID);
            continue;
        }
        s = parse(round[i][0]);
        sr_mad_setting_print(&s, text);
        assert_string_equal(text, round[i][1]);
        sr_mad_setting back = parse(text);
        assert_true(equal(&s, &back));
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const refused[][2] = {
        /* what is said, and what of it the message tells */
        {"", "there is no MAD task ''; there are in-context-recall, fuzzy-in-context-recall"},
        {"recal", "there is no MAD task 'recal'"},
        {"recall,vocab=32", "there is no MAD task 'recall,vocab=32'"},
        {" recall", "there is no MAD task ' recall'"},
        {"recall:", "has no parameter ''; it has vocab, length"},
        {"recall:vocab=32,", "has no parameter ''"},
        {"recall:vocabulary=32", "has no parameter 'vocabulary'"},
        {"recall:copy=3", "in-context-recall has no parameter 'copy'; it has"},
        {"compression:noise=0.1", "compression has no parameter 'noise'"},
        {"recall:vocab", "vocab takes a natural number, not ''"},
        {"recall:vocab=", "vocab takes a natural number, not ''"},
        {"recall:vocab=-5", "not '-5'"},
        {"recall:vocab= 5", "not ' 5'"},
        {"recall:vocab=0x20", "not '0x20'"},
        {"recall:vocab=16.0", "not '16.0'"},
        {"recall:vocab=9223372036854775808", "vocab takes a natural number"},
        {"recall:vocab=99999999999999999999", "vocab takes a natural number"},
        {"recall:seed=18446744073709551616", "seed takes a natural number below 2^64"},
        {"recall:multi-query=2", "multi-query takes 0 or 1, not '2'"},
        {"recall:multi-query=yes", "multi-query takes 0 or 1, not 'yes'"},
        {"noisy:noise=nan", "noise takes a number, not 'nan'"},
        {"noisy:noise=0.1.2", "noise takes a number"},
        {"noisy:noise=1e", "noise takes a number"},
        {"recall:vocab=16,vocab=32", "vocab is given twice"},
        {"noisy:noise=1", "noise 1 is not a share"},
        {"noisy:noise=1e999", "noise inf is not a share"},
        {"recall:noise=0.5", "noise 0.5 needs noise-vocab of 1 or more"},
        {"recall:vocab=3", "vocab 3 is too small for in-context-recall: it leaves 1 keys"},
        {"recall:vocab=4,multi-query=0", "vocab 4 is too small"},
        {"recall:vocab=1", "vocab 1 is not in 2..65536"},
        {"recall:vocab=65537", "vocab 65537 is not in 2..65536"},
        {"noisy:vocab=19", "vocab 19 is too small for noisy-in-context-recall"},
        {"noisy:vocab=10", "it leaves 0 keys and 0 values"},
        {"fuzzy:vocab=6", "it leaves 2 keys and 3 values, and it takes 3 and 3"},
        {"copy:vocab=3", "vocab 3 is too small for selective-copying: at least 2 tokens beside"},
        {"compression:vocab=2", "vocab 2 is too small for compression"},
        {"memorization:vocab=4", "vocab 4 is too small for memorization"},
        {"recall:length=2", "length 2 is too short for in-context-recall: at least 4"},
        {"recall:length=127", "length 127 is odd"},
        {"memorization:length=3", "length 3 is odd"},
        {"recall:length=65538", "length 65538 is not in 2..65536"},
        {"fuzzy:length=12", "length 12 is too short for fuzzy-in-context-recall: at least 13"},
        {"copy:copy=127,length=255", "length 255 is too short for selective-copying: at least 256"},
        {"copy:copy=0", "copy 0 is not in 1..65536"},
        {"compression:length=1", "length 1 is not in 2..65536"},
        {"fuzzy:key-size=0", "key-size 0 is not in 1..4"},
        {"fuzzy:value-size=5", "value-size 5 is not in 1..4"},
        {"recall:train=0", "train 0 is not in 1..10000000"},
        {"recall:test=0", "test 0 is not in 1..10000000"},
        {"recall:train=10000000,length=1024", "are more than 2^30 tokens"},
        {"recall:noise-vocab=65537", "noise-vocab 65537 is not in 0..65536"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        sr_mad_setting s;
        if (sr_mad_setting_parse(ctx, refused[i][0], &s) != SARTOR_INVALID)
            fail_msg("accepted: %s", refused[i][0]);
        if (strstr(sartor_error(ctx), refused[i][1]) == NULL)
            fail_msg("%s: message '%s' does not say '%s'", refused[i][0], sartor_error(ctx),
                     refused[i][1]);
    }
    /* What no text can say. */
    sr_mad_setting s = sr_mad_baseline(SR_MAD_NOISY);
    s.noise = NAN;
    assert_int_equal(sr_mad_setting_check(ctx, &s), SARTOR_INVALID);
    s = sr_mad_baseline(SR_MAD_RECALL);
    s.vocab = INT64_MIN;
    assert_int_equal(sr_mad_setting_check(ctx, &s), SARTOR_INVALID);
    s = sr_mad_baseline(SR_MAD_FUZZY);
    s.noise_vocab = -1;
    assert_int_equal(sr_mad_setting_check(ctx, &s), SARTOR_INVALID);
    s.task = SR_MAD_TASKS;
    assert_int_equal(sr_mad_setting_check(ctx, &s), SARTOR_INVALID);
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t length, classes;
    } known[] = {
        {"recall", 127, 8},
        {"recall:length=1024", 1023, 8},
        {"noisy", 127, 8},
        {"noisy:vocab=144", 127, 64},
        {"fuzzy", 128, 8},
        {"fuzzy:vocab=32,length=256", 256, 16},
        {"copy", 256, 14},
        {"compression", 32, 16},
        {"memorization", 32, 127},
        {"recall:multi-query=0", 128, 8},
        {"fuzzy:multi-query=0", 128, 7},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sr_mad_setting s = parse(known[i].text);
        assert_int_equal(sr_mad_network_length(&s), known[i].length);
        assert_true(fabs(sr_mad_chance(&s) * (double)known[i].classes - 1) < 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_grid),  cmocka_unit_test(test_text),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, make_context, remove_context);
}
