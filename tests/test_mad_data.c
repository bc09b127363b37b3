/* Data sets of the MAD tasks as a whole: what memorization can reach, the two ways of drawing fuzzy
 * recall, single queries, one stream for all parts, and sets in files. */
#define _GNU_SOURCE
#include "task/mad/rows.h"

#include "base/rng.h"
#include "data/npy.h"
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static sartor_context *ctx;
static char folder[] = "/tmp/sartor-test.XXXXXX";

static int make_folder(void **state) {
    (void)state;
    ctx = sartor_context_create();
    return ctx != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return rmdir(folder); /* fails when a test left a file behind */
}

static sr_mad_setting parse(const char *text) {
    sr_mad_setting s;
    if (sr_mad_setting_parse(ctx, text, &s) != SARTOR_OK)
        fail_msg("%s: %s", text, sartor_error(ctx));
    return s;
}

static sr_mad_data generate(const char *text, bool validation) {
    sr_mad_setting s = parse(text);
    sr_mad_data data;
    if (sr_mad_generate(ctx, &s, validation, &data) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return data;
}

static bool same(const sr_mad_set *a, const sr_mad_set *b) {
    size_t bytes = (size_t)(a->rows * a->length) * sizeof(int32_t);
    return a->rows == b->rows && a->length == b->length &&
           memcmp(a->inputs, b->inputs, bytes) == 0 && memcmp(a->targets, b->targets, bytes) == 0;
}

/* ---- memorization's ceilings ---- */

enum { MOST_VOCAB = 8192, BATCH = 128 };

/* Accuracy on a batch of one who answers `value`: over targets, and averaged over classes that are
 * wanted or answered. */
static void score_batch(const int32_t *in, const int32_t *out, int64_t n, const int32_t *value,
                        double *micro, double *macro) {
    static int64_t hits[MOST_VOCAB], wanted[MOST_VOCAB];
    static bool answered[MOST_VOCAB];
    memset(hits, 0, sizeof hits);
    memset(wanted, 0, sizeof wanted);
    memset(answered, 0, sizeof answered);
    int64_t right = 0, classes = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i += 2) {
        int32_t answer = value[in[i]], target = out[i + 1];
        wanted[target]++;
        answered[answer] = true;
        hits[target] += answer == target;
        right += answer == target;
    }
    for (int c = 0; c < MOST_VOCAB; c++) {
        if (wanted[c] == 0 && !answered[c]) continue;
        classes++;
        if (wanted[c] > 0) sum += (double)hits[c] / (double)wanted[c];
    }
    *micro += (double)right / (double)(n / 2);
    *macro += sum / (double)classes;
}

/* Means over the test set's batches. */
static void score(const sr_mad_set *test, const int32_t *value, double *micro, double *macro) {
    int64_t n = BATCH * test->length, batches = test->rows / BATCH;
    *micro = *macro = 0;
    for (int64_t b = 0; b < batches; b++)
        score_batch(test->inputs + b * n, test->targets + b * n, n, value, micro, macro);
    *micro /= (double)batches;
    *macro /= (double)batches;
}

/* What a perfect memory of the benchmark's training set scores on its test set. The figures were
 * measured on the benchmark's own data. */
static void test_ceilings(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double known;        /* share of keys that are in the training set */
        double micro, macro; /* others are answered with one token that is no value */
        double guessed;      /* macro; each other is answered with some value that was learned */
    } ceilings[] = {
        {"memorization", 1, 1, 1, 1},
        {"memorization:vocab=512", 1, 1, 1, 1},
        {"memorization:vocab=1024", 1, 1, 1, 1},
        {"memorization:vocab=2048", 0.987, 0.988, 0.987, 0.986},
        {"memorization:vocab=4096", 0.869, 0.871, 0.870, 0.833},
        {"memorization:vocab=8192", 0.631, 0.640, 0.640, 0.538},
    };
    const sr_rng rng = {1, SR_FOR_TEST, 0};
    double all = 0, all_guessed = 0;
    for (int i = 0; i < 6; i++) {
        sr_mad_data data = generate(ceilings[i].text, false);
        static int32_t value[MOST_VOCAB], learned[MOST_VOCAB];
        memset(value, 0, sizeof value);
        const sr_mad_set *train = &data.part[SR_MAD_TRAIN], *test = &data.part[SR_MAD_TEST];
        for (int64_t k = 0; k < train->rows * train->length; k += 2)
            value[train->inputs[k]] = train->targets[k + 1];
        int64_t known = 0, keys = (data.vocab - 1) / 2;
        for (int64_t k = 0; k < keys; k++)
            if (value[k] != 0) learned[known++] = value[k];
        double micro, macro, guessed, unused;
        score(test, value, &micro, &macro);
        for (int64_t k = 0; k < keys; k++) {
            uint64_t any = sr_rng_below(rng, (uint64_t)k, (uint64_t)known);
            if (value[k] == 0) value[k] = learned[any];
        }
        score(test, value, &unused, &guessed);
        assert_true(fabs((double)known / (double)keys - ceilings[i].known) < 0.0006);
        assert_true(fabs(micro - ceilings[i].micro) < 0.0006);
        assert_true(fabs(macro - ceilings[i].macro) < 0.0011);
        assert_true(fabs(guessed - ceilings[i].guessed) < 0.005);
        all += micro / 6;
        all_guessed += guessed / 6;
        sr_mad_data_free(&data);
    }
    assert_true(fabs(all - 0.916) < 0.0006);
    assert_true(fabs(all_guessed - 0.893) < 0.002);
}

/* ---- fuzzy recall: lists of permutations, or tuples drawn directly ---- */

/* Chi squared, in standard deviations from its mean, of the first keys of 10,000 rows of the test
 * form among all 7 * 6 * 5. */
static double first_keys(int64_t enumerate, double *scored) {
    enum { ROWS = 10000 };
    sr_mad_setting s = sr_mad_baseline(SR_MAD_FUZZY);
    sr_mad_stream stream = sr_mad_start(&s);
    stream.enumerate = enumerate;
    sr_mad_set set;
    assert_int_equal(sr_mad_set_alloc(ctx, ROWS, s.length, &set), SARTOR_OK);
    assert_int_equal(sr_mad_fuzzy_rows(ctx, &s, &stream, true, &set), SARTOR_OK);
    int64_t counts[343] = {0};
    double chi = 0, each = ROWS / 210.0;
    *scored = 0;
    for (int64_t row = 0; row < ROWS; row++) {
        const int32_t *token = set.inputs + row * s.length, *target = set.targets + row * s.length;
        for (int64_t i = 0; i < s.length; i++) *scored += target[i] >= 0 ? 1.0 / ROWS : 0;
        while (*token == 15) token++;
        assert_true(token[0] != token[1] && token[1] != token[2] && token[0] != token[2]);
        counts[token[0] * 49 + token[1] * 7 + token[2]]++;
    }
    free(set.inputs);
    free(set.targets);
    int tuples = 0;
    for (int i = 0; i < 343; i++) {
        if (counts[i] == 0) continue;
        tuples++;
        chi += pow((double)counts[i] - each, 2) / each;
    }
    assert_int_equal(tuples, 210);
    return (chi - 209) / sqrt(2 * 209);
}

static void test_fuzzy_paths(void **state) {
    (void)state;
    double listed, direct;
    assert_true(fabs(first_keys(SR_MAD_ENUMERATE, &listed)) < 5);
    assert_true(fabs(first_keys(0, &direct)) < 5);
    assert_true(listed != direct);             /* they are different numbers ... */
    assert_true(fabs(listed - direct) < 0.17); /* ... with one mean: 5 sigma of a difference */
}

/* ---- forms that the benchmark's settings do not use ---- */

static void test_single_query(void **state) {
    (void)state;
    static const char *const texts[] = {"recall:multi-query=0,test=500",
                                        "noisy:multi-query=0,test=500",
                                        "fuzzy:multi-query=0,test=500"};
    for (int i = 0; i < 3; i++) {
        sr_mad_data data = generate(texts[i], false);
        for (int part = 0; part < 2; part++) {
            const sr_mad_set *set = &data.part[part];
            for (int64_t row = 0; row < set->rows; row++) {
                const int32_t *in = set->inputs + row * set->length;
                const int32_t *out = set->targets + row * set->length;
                int64_t marks = 0, scored = 0, mark = 0;
                for (int64_t k = 0; k < set->length; k++) {
                    if (in[k] == data.vocab - 1) marks++, mark = k;
                    scored += out[k] >= 0;
                    if (part == SR_MAD_TRAIN && k + 1 < set->length)
                        assert_int_equal(out[k], in[k + 1]);
                }
                assert_int_equal(marks, 1);
                if (part == SR_MAD_TRAIN) continue;
                assert_in_range(set->length - mark, 2, 6); /* a key, and a value but its end */
                if (texts[i][0] == 'f') {
                    assert_in_range(scored, 1, 3);
                    for (int64_t k = set->length - scored; k < set->length; k++)
                        assert_true(out[k] >= 0);
                    continue;
                }
                assert_int_equal(scored, 1);
                int32_t key = in[set->length - 1];
                int64_t k = 0;
                while (in[k] != key) k += 2;
                assert_true(k < set->length - 2);
                assert_int_equal(out[set->length - 1], in[k + 1]);
            }
        }
        sr_mad_data_free(&data);
    }
}

/* Noise almost everywhere, in rows so short that the spared pair is often none of them. */
static void test_all_noise(void **state) {
    (void)state;
    sr_mad_data data = generate("noisy:length=4,noise=0.999,train=200,test=200", false);
    int64_t silent = 0;
    for (int64_t row = 0; row < 200; row++) {
        const int32_t *in = data.part[SR_MAD_TEST].inputs + 3 * row;
        const int32_t *out = data.part[SR_MAD_TEST].targets + 3 * row;
        assert_true(out[0] < 0 && out[1] < 0 && out[2] >= 8 && out[2] < 16 && in[2] < 8);
        if (in[0] >= 16)
            silent++;
        else
            assert_true(in[0] == in[2] && in[1] == out[2]);
    }
    assert_in_range(silent, 60, 140);
    sr_mad_data_free(&data);
    data = generate("fuzzy:noise-vocab=4,vocab=20,noise=0.5,train=400,test=400", false);
    int64_t noise = 0;
    for (int64_t i = 0; i < 400 * 128; i++) {
        int32_t token = data.part[SR_MAD_TEST].inputs[i];
        noise += token >= 15 && token < 19;
        assert_true(data.part[SR_MAD_TEST].targets[i] < 15);
    }
    /* Half of the pairs but for the two probes; pairs have 5 tokens on average. */
    assert_in_range(noise, 400 * 50, 400 * 64);
    sr_mad_data_free(&data);
}

/* The training and the test set do not depend on whether there is a validation set; that one is
 * another set in the same form. */
static void test_one_stream(void **state) {
    (void)state;
    static const char *const tasks[SR_MAD_TASKS] = {"recall", "fuzzy",       "noisy",
                                                    "copy",   "compression", "memorization"};
    for (int i = 0; i < SR_MAD_TASKS; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s:train=300,test=200", tasks[i]);
        sr_mad_data two = generate(text, false), three = generate(text, true);
        snprintf(text, sizeof text, "%s:train=300,test=200,seed=12346", tasks[i]);
        sr_mad_data other = generate(text, false);
        for (int part = 0; part < 2; part++) {
            assert_true(same(&two.part[part], &three.part[part]));
            assert_false(same(&two.part[part], &other.part[part]));
        }
        assert_int_equal(three.part[SR_MAD_VALIDATION].rows, 200);
        assert_false(same(&three.part[SR_MAD_TEST], &three.part[SR_MAD_VALIDATION]));
        sr_mad_data_free(&two);
        sr_mad_data_free(&three);
        sr_mad_data_free(&other);
        sr_mad_data_free(&other);
    }
    sr_mad_setting s = sr_mad_baseline(SR_MAD_RECALL);
    sr_mad_data none;
    s.length = 3;
    assert_int_equal(sr_mad_generate(ctx, &s, true, &none), SARTOR_INVALID);
    sr_mad_data_free(&none);
}

/* ---- files ---- */

/* Static storage; the next call overwrites it. */
static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_unreadable(int64_t vocab, sartor_status status, const char *part) {
    sr_mad_data data;
    assert_int_equal(sr_mad_read(ctx, folder, vocab, &data), status);
    assert_null(data.part[SR_MAD_TRAIN].inputs);
    if (strstr(sartor_error(ctx), part) == NULL)
        fail_msg("message '%s' does not say '%s'", sartor_error(ctx), part);
}

static void write_table(const char *name, int64_t rows, int64_t columns) {
    static const int32_t zeros[1 << 12];
    assert_int_equal(sr_npy_write(ctx, path_of(name), rows, columns, zeros), SARTOR_OK);
}

static void test_files(void **state) {
    (void)state;
    sr_mad_data data = generate("recall:length=16,train=30,test=20", true), back;
    assert_int_equal(sr_mad_write(ctx, &data, folder), SARTOR_OK);
    assert_int_equal(sr_mad_read(ctx, folder, 16, &back), SARTOR_OK);
    for (int part = 0; part < SR_MAD_PARTS; part++)
        assert_true(same(&data.part[part], &back.part[part]));
    assert_int_equal(back.vocab, 16);
    sr_mad_data_free(&back);
    expect_unreadable(15, SARTOR_FORMAT, "train_inputs.npy: row ");

    /* The same files in the benchmark's places. */
    static const char *const parts[] = {"train", "test"}, *const halves[] = {"inputs", "targets"};
    for (int i = 0; i < 4; i++) {
        char from[128], to[128];
        snprintf(from, sizeof from, "%s/%s_%s.npy", folder, parts[i / 2], halves[i % 2]);
        snprintf(to, sizeof to, "%s/%s", folder, parts[i / 2]);
        if (i % 2 == 0) assert_int_equal(mkdir(to, 0777), 0);
        snprintf(to, sizeof to, "%s/%s/%s.npy", folder, parts[i / 2], halves[i % 2]);
        assert_int_equal(rename(from, to), 0);
    }
    assert_int_equal(sr_mad_read(ctx, folder, 16, &back), SARTOR_OK);
    for (int part = 0; part < 2; part++) assert_true(same(&data.part[part], &back.part[part]));
    assert_int_equal(back.part[SR_MAD_VALIDATION].rows, 0);
    sr_mad_data_free(&back);
    expect_unreadable(15, SARTOR_FORMAT, "train/inputs.npy: row ");
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s.npy", parts[i / 2], halves[i % 2]);
        assert_int_equal(unlink(path_of(name)), 0);
        if (i % 2 == 1) assert_int_equal(rmdir(path_of(parts[i / 2])), 0);
    }
    assert_int_equal(sr_mad_write(ctx, &data, folder), SARTOR_OK);

    /* Half a validation set is none; without both it is not missed. */
    assert_int_equal(unlink(path_of("validation_inputs.npy")), 0);
    expect_unreadable(16, SARTOR_IO, "validation_inputs.npy: cannot open");
    assert_int_equal(unlink(path_of("validation_targets.npy")), 0);
    assert_int_equal(sr_mad_read(ctx, folder, 16, &back), SARTOR_OK);
    assert_int_equal(back.part[SR_MAD_VALIDATION].rows, 0);
    sr_mad_data_free(&back);

    /* Without a validation set none is written. */
    data.part[SR_MAD_VALIDATION].rows = 0;
    assert_int_equal(sr_mad_write(ctx, &data, folder), SARTOR_OK);
    assert_int_not_equal(access(path_of("validation_inputs.npy"), F_OK), 0);
    data.part[SR_MAD_VALIDATION].rows = 20;
    sr_mad_data_free(&data);

    int32_t ignored[20 * 15];
    for (int i = 0; i < 20 * 15; i++) ignored[i] = SR_MAD_IGNORE;
    assert_int_equal(sr_npy_write(ctx, path_of("test_targets.npy"), 20, 15, ignored), SARTOR_OK);
    expect_unreadable(16, SARTOR_FORMAT, "test_targets.npy: scores nothing");
    write_table("test_targets.npy", 20, 14);
    expect_unreadable(16, SARTOR_FORMAT,
                      "test_targets.npy: is 20 x 14, and its inputs are 20 x 15");
    write_table("test_inputs.npy", 20, 14);
    expect_unreadable(16, SARTOR_FORMAT,
                      "test_inputs.npy: rows of 14 tokens, and those of train have 15");
    write_table("train_inputs.npy", 0, 15);
    expect_unreadable(16, SARTOR_FORMAT, "train_inputs.npy: is empty");
    assert_int_equal(truncate(path_of("train_inputs.npy"), 100), 0);
    expect_unreadable(16, SARTOR_FORMAT, "train_inputs.npy: ends in its header");
    static const char *const names[] = {"train_inputs.npy", "train_targets.npy", "test_inputs.npy",
                                        "test_targets.npy"};
    for (int i = 0; i < 4; i++) assert_int_equal(unlink(path_of(names[i])), 0);
    expect_unreadable(16, SARTOR_IO, "train_inputs.npy: cannot open");
    sr_mad_data none;
    assert_int_equal(sr_mad_read(ctx, "/dev/null", 16, &none), SARTOR_IO);
    assert_non_null(strstr(sartor_error(ctx), "/dev/null/train_inputs.npy: cannot open"));

    char *longest = calloc(1, PATH_MAX);
    assert_non_null(longest);
    memset(longest, 'x', PATH_MAX - 1);
    assert_int_equal(sr_mad_read(ctx, longest, 16, &back), SARTOR_INVALID);
    free(longest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceilings),     cmocka_unit_test(test_fuzzy_paths),
        cmocka_unit_test(test_single_query), cmocka_unit_test(test_all_noise),
        cmocka_unit_test(test_one_stream),   cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
