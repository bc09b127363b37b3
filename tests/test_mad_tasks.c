/* The MAD tasks: the benchmark's own first examples; every row of every setting read by an oracle
 * that knows the task but not the generator; how much is scored; what memorization can reach. */
#include "task/mad/rows.h"

#include "base/rng.h"
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

static sr_mad_data generate(const sr_mad_setting *s, bool validation) {
    sr_mad_data data;
    if (sr_mad_generate(ctx, s, validation, &data) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    return data;
}

/* ---- the benchmark's first examples ---- */

/* A fresh stream's first row in the test form, as an implementation of the benchmark on NumPy 1.24
 * draws it. */
static void test_published(void **state) {
    (void)state;
    enum { MOST = 18 };
    static const struct {
        sr_mad_task_id task;
        sr_mad_rows *rows;
        int32_t inputs[MOST];
    } known[] = {
        {SR_MAD_RECALL, sr_mad_recall_rows, {1, 14, 2, 9, 6, 13, 5, 15, 3, 14, 2, 9, 4, 12, -1}},
        {SR_MAD_NOISY, sr_mad_recall_rows, {1, 9, 6, 15, 3, 12, 25, 19, 5, 13, 1, 9, -1}},
        {SR_MAD_FUZZY,
         sr_mad_fuzzy_rows,
         {15, 15, 15, 15, 15, 15, 15, 6, 1, 0, 9, 10, 12, 2, 0, 6, 8, 11}},
        {SR_MAD_COMPRESSION, sr_mad_compression_rows, {10, 3, 11, 4, 3, 11, 9, 10, 14, 5, 12, -1}},
        {SR_MAD_MEMORIZATION, sr_mad_memorization_rows, {115, 255, 4, 255, 77, 255, 19, 255, -1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sr_mad_setting s = sr_mad_baseline(known[i].task);
        sr_mad_stream stream = sr_mad_start(&s);
        sr_mad_set set;
        assert_int_equal(sr_mad_set_alloc(ctx, 1, sr_mad_network_length(&s), &set), SARTOR_OK);
        assert_int_equal(known[i].rows(ctx, &s, &stream, true, &set), SARTOR_OK);
        for (int k = 0; k < MOST && known[i].inputs[k] >= 0; k++)
            assert_int_equal(set.inputs[k], known[i].inputs[k]);
        if (s.task == SR_MAD_MEMORIZATION) {
            static const int32_t targets[8] = {-100, 193, -100, 182, -100, 191, -100, 212};
            assert_memory_equal(set.targets, targets, sizeof targets);
        }
        free(set.inputs);
        free(set.targets);
    }
}

/* ---- oracles ---- */

enum { ROWS = 10000, MOST_VOCAB = 8192, MOST_LENGTH = 1024 };

/* What the rows of a set had. */
typedef struct tally {
    double scored, squares;      /* targets of a row, and their squares, summed over rows */
    int64_t classes[MOST_VOCAB]; /* how often each token was a target */
    int64_t never_shown;         /* fuzzy recall: last keys that had not been there before */
    int64_t first_gap;           /* selective copying: blanks before the first token */
} tally;
static tally seen;                   /* of one set */
static int32_t value_of[MOST_VOCAB]; /* memorization: each key's value in both sets; 0: not seen */

static void bad_row(const sr_mad_setting *s, int64_t at, const char *what) {
    char text[SR_MAD_SETTING_TEXT];
    sr_mad_setting_print(s, text);
    fail_msg("%s: token %lld: %s", text, (long long)at, what);
}

static void require(bool condition, const sr_mad_setting *s, int64_t at, const char *what) {
    if (!condition) bad_row(s, at, what);
}

/* The tokens of a row of next-token prediction with the last one, which is only a target, and the
 * target of each token. */
static void unshift(const sr_mad_setting *s, const int32_t *in, const int32_t *out, int64_t length,
                    bool test_form, int32_t *tokens, int32_t *target) {
    for (int64_t i = 0; i < length; i++) tokens[i] = in[i];
    tokens[length] = out[length - 1];
    target[0] = SR_MAD_IGNORE;
    for (int64_t i = 0; i < length; i++) {
        target[i + 1] = out[i];
        if (!test_form) require(out[i] == tokens[i + 1], s, i, "target is not the next token");
    }
}

static void read_recall(const sr_mad_setting *s, const int32_t *in, const int32_t *out,
                        bool test_form) {
    int32_t tokens[MOST_LENGTH + 1], target[MOST_LENGTH + 1], value[128];
    int64_t clean = s->vocab - s->noise_vocab, keys = clean / 2;
    unshift(s, in, out, s->length - 1, test_form, tokens, target);
    memset(value, 0, sizeof value);
    for (int64_t i = 0; i < s->length; i += 2) {
        bool last = i == s->length - 2;
        int32_t key = tokens[i], v = tokens[i + 1];
        if (key >= clean) {
            require(v >= clean && v < s->vocab && s->noise > 0 && !last, s, i, "stray noise");
            if (test_form) require(target[i] < 0 && target[i + 1] < 0, s, i, "noise is scored");
            continue;
        }
        require(key < keys && v >= keys && v < clean, s, i, "no key and value");
        bool again = value[key] != 0;
        require(again ? value[key] == v : !last, s, i, "another value, or a new key at the end");
        value[key] = v;
        if (!test_form) continue;
        require(target[i] < 0, s, i, "a key is scored");
        require(target[i + 1] == (again ? v : SR_MAD_IGNORE), s, i, "wrong target");
    }
}

/* A run of different tokens in from..to-1 as a number; 0: none. */
static int64_t take_run(const int32_t *tokens, int64_t *at, int64_t end, int64_t from, int64_t to,
                        int *size) {
    int64_t code = 0, first = *at;
    for (; *at < end && tokens[*at] >= from && tokens[*at] < to; ++*at) {
        for (int64_t i = first; i < *at; i++)
            if (tokens[i] == tokens[*at]) return 0;
        code = code * 256 + tokens[*at] + 1;
    }
    *size = (int)(*at - first);
    return code;
}

static void read_fuzzy(const sr_mad_setting *s, const int32_t *in, const int32_t *out,
                       bool test_form) {
    int32_t tokens[MOST_LENGTH + 1], target[MOST_LENGTH + 1];
    int64_t key[MOST_LENGTH], value[MOST_LENGTH], known = 0, end = s->length + 1, at = 0;
    int64_t keys = (s->vocab - 1) / 2, pad = s->vocab - 1;
    unshift(s, in, out, s->length, test_form, tokens, target);
    for (; at < end && tokens[at] == pad; at++)
        if (test_form) require(target[at] < 0, s, at, "padding is scored");
    /* Rows are as long as can be: the last pair and one more of the longest did not fit. */
    require(at <= 6 + 6, s, at, "too much padding");
    while (at < end) {
        int64_t from = at, middle, k, v, i = 0;
        int k_size = 0, v_size = 0;
        k = take_run(tokens, &at, end, 0, keys, &k_size);
        middle = at;
        v = take_run(tokens, &at, end, keys, pad, &v_size);
        require(k > 0 && v > 0 && k_size <= 3 && v_size <= 3, s, from, "no key and value");
        require(!test_form || k_size == 3, s, from, "a short key in the test form");
        while (i < known && key[i] != k) i++;
        bool again = i < known, last = at == end;
        if (last && !again) seen.never_shown++;
        require(!again || value[i] == v, s, from, "another value");
        if (!again) key[known] = k, value[known++] = v;
        for (int64_t t = from; t < at && test_form; t++) {
            bool wanted = t >= middle && (last || again);
            /* Where the probe is put in it is not scored; nor has it been there before. */
            require(target[t] == (wanted ? tokens[t] : SR_MAD_IGNORE), s, t, "wrong target");
        }
    }
}

static void read_copy(const sr_mad_setting *s, const int32_t *in, const int32_t *out) {
    const int32_t copy = (int32_t)s->vocab - 1, blank = copy - 1;
    int64_t contents = 0, start = s->length - s->copy;
    for (int64_t i = 0; i < s->length; i++) {
        if (i < start) require(out[i] == SR_MAD_IGNORE, s, i, "scored before the copy");
        if (i < start - 1 && in[i] != blank) {
            require(in[i] >= 0 && in[i] < blank && contents < s->copy, s, i, "no content");
            require(out[start + contents++] == in[i], s, i, "not what is to be copied");
        } else if (i < start - 1 && contents == 0) {
            seen.first_gap++;
        }
        if (i >= start) require(in[i] == blank, s, i, "no blank where the copy goes");
    }
    require(contents == s->copy && in[start - 1] == copy, s, start - 1, "no copy token");
    require(in[start - 2] != blank, s, start - 2, "a blank before the copy token");
}

static void read_compression(const sr_mad_setting *s, const int32_t *in, const int32_t *out) {
    for (int64_t i = 0; i < s->length; i++) {
        require(in[i] >= 0 && in[i] < s->vocab && in[i] == out[i], s, i, "no token or target");
        require((in[i] == s->vocab - 1) == (i == s->length - 1), s, i, "stray last token");
    }
}

static void read_memorization(const sr_mad_setting *s, const int32_t *in, const int32_t *out) {
    int64_t keys = (s->vocab - 1) / 2;
    for (int64_t i = 0; i < s->length; i += 2) {
        int32_t k = in[i], v = out[i + 1];
        require(k >= 0 && k < keys && out[i] == SR_MAD_IGNORE, s, i, "no key");
        require(in[i + 1] == s->vocab - 1, s, i, "no token in the value's place");
        require(v >= keys && v < s->vocab - 1, s, i, "no value");
        require(value_of[k] == 0 || value_of[k] == v, s, i, "another value");
        value_of[k] = v;
    }
}

static void read_row(const sr_mad_setting *s, const int32_t *in, const int32_t *out, bool test) {
    switch (s->task) {
    case SR_MAD_FUZZY:
        read_fuzzy(s, in, out, test);
        break;
    case SR_MAD_COPY:
        read_copy(s, in, out);
        break;
    case SR_MAD_COMPRESSION:
        read_compression(s, in, out);
        break;
    case SR_MAD_MEMORIZATION:
        read_memorization(s, in, out);
        break;
    default:
        read_recall(s, in, out, test);
        break;
    }
}

static void read_set(const sr_mad_setting *s, const sr_mad_set *set, bool test_form) {
    memset(&seen, 0, sizeof seen);
    for (int64_t row = 0; row < set->rows; row++) {
        const int32_t *out = set->targets + row * set->length;
        read_row(s, set->inputs + row * set->length, out, test_form);
        int64_t scored = 0;
        for (int64_t i = 0; i < set->length; i++) {
            if (out[i] < 0) continue;
            scored++;
            seen.classes[out[i]]++;
        }
        seen.scored += (double)scored;
        seen.squares += (double)(scored * scored);
    }
}

/* ---- statistics of the benchmark's settings ---- */

/* Mean of z^pairs, where `pairs` slots are each a pair with probability 1 - noise. */
static double mean_power(double z, double noise, double slots) {
    return pow(noise + (1 - noise) * z, slots);
}

/* Scored targets of a row of plain or noisy recall: all pairs but the first of each key, and the
 * last one. One slot is spared from noise; in 1 of length / 2 rows it is the last, which has none
 * anyway. */
static double expected_recall(const sr_mad_setting *s) {
    double keys = (double)((s->vocab - s->noise_vocab) / 2), slots = (double)(s->length / 2 - 1);
    double spared = slots / (slots + 1), z = 1 - 1 / keys;
    double pairs = slots * (1 - s->noise) + spared * s->noise;
    double power = spared * z * mean_power(z, s->noise, slots - 1) +
                   (1 - spared) * mean_power(z, s->noise, slots);
    return pairs - keys * (1 - power) + 1;
}

/* Fuzzy recall's test form, measured on rows that the generator of tests/numpy/run_numpy.py drew.
 */
typedef struct measured {
    int64_t vocab, length, rows;
    double scored, error; /* targets of a row */
    double missing;       /* share of rows whose last key was not there before */
} measured;
static const measured fuzzy[] = {
    {16, 128, 10000, 4.382, 0.024, 0.0216}, {16, 256, 10000, 12.398, 0.044, 0.0111},
    {16, 512, 4000, 42.80, 0.12, 0.0050},   {16, 1024, 4000, 147.1, 0.17, 0.0013},
    {32, 128, 3000, 2.200, 0.019, 0.0227},
};

static const measured *find_measured(const sr_mad_setting *s) {
    for (size_t i = 0; i < sizeof fuzzy / sizeof fuzzy[0]; i++)
        if (fuzzy[i].vocab == s->vocab && fuzzy[i].length == s->length) return &fuzzy[i];
    return NULL;
}

/* Scored targets of a row of the test form, and the error of this figure. */
static double expected_scored(const sr_mad_setting *s, double *error) {
    const measured *m = find_measured(s);
    *error = 0;
    switch (s->task) {
    case SR_MAD_FUZZY:
        /* With many tokens nothing comes again but the probe, which has 2 on average. */
        *error = m != NULL ? m->error : 0.01;
        return m != NULL ? m->scored : 2.0;
    case SR_MAD_COPY:
        return (double)s->copy;
    case SR_MAD_COMPRESSION:
        return (double)s->length;
    case SR_MAD_MEMORIZATION:
        return (double)(s->length / 2);
    default:
        return expected_recall(s);
    }
}

static int64_t expected_classes(const sr_mad_setting *s) {
    switch (s->task) {
    case SR_MAD_NOISY:
        return (s->vocab - 16) / 2;
    case SR_MAD_COPY:
        return s->vocab - 2;
    case SR_MAD_COMPRESSION:
        return s->vocab;
    case SR_MAD_MEMORIZATION:
        return (s->vocab - 1) / 2;
    default:
        return s->vocab / 2;
    }
}

/* Targets that were drawn independently are equally frequent: chi squared within 6 standard
 * deviations of its mean. */
static void check_uniform(const sr_mad_setting *s, int64_t classes) {
    int64_t total = 0, last = s->task == SR_MAD_COMPRESSION ? s->vocab - 1 : MOST_VOCAB;
    if (s->task == SR_MAD_COMPRESSION) classes--;
    for (int64_t c = 0; c < last; c++) total += seen.classes[c];
    double each = (double)total / (double)classes, chi = 0;
    for (int64_t c = 0; c < last; c++)
        if (seen.classes[c] > 0) chi += pow((double)seen.classes[c] - each, 2) / each;
    double freedom = (double)classes - 1;
    require(fabs(chi - freedom) < 6 * sqrt(2 * freedom), s, 0, "classes are not equally frequent");
}

static void check_setting(const sr_mad_setting *setting) {
    sr_mad_setting s = *setting;
    s.test = ROWS;
    memset(value_of, 0, sizeof value_of);
    sr_mad_data data = generate(&s, false);
    assert_int_equal(data.part[SR_MAD_TRAIN].rows, s.train);
    assert_int_equal(data.part[SR_MAD_VALIDATION].rows, 0);
    read_set(&s, &data.part[SR_MAD_TRAIN], false);
    read_set(&s, &data.part[SR_MAD_TEST], true);
    sr_mad_data_free(&data);

    double error, expected = expected_scored(&s, &error), mean = seen.scored / ROWS;
    double variance = fmax(seen.squares / ROWS - mean * mean, 0) / ROWS;
    if (fabs(mean - expected) > 5 * sqrt(variance + error * error) + 5.0 / ROWS) {
        char text[SR_MAD_SETTING_TEXT];
        sr_mad_setting_print(setting, text);
        fail_msg("%s: %g targets of a row are scored, not %g", text, mean, expected);
    }
    int64_t classes = 0;
    for (int c = 0; c < MOST_VOCAB; c++) classes += seen.classes[c] > 0;
    assert_int_equal(classes, expected_classes(&s));
    assert_true(fabs(sr_mad_chance(&s) * (double)classes - 1) < 1e-12);
    bool independent = s.task >= SR_MAD_COPY;
    if (independent) check_uniform(&s, classes);
    if (s.task == SR_MAD_COPY) { /* blanks before the first token: binomial */
        double blanks = (double)(s.length - 2 * s.copy - 1), share = 1 / (double)s.copy;
        double sigma = sqrt(blanks * share * (1 - share) / ROWS);
        double gap = (double)seen.first_gap / ROWS;
        require(fabs(gap - blanks * share) < 5 * sigma, &s, 0, "gaps are not even");
    }
    const measured *m = s.task == SR_MAD_FUZZY ? find_measured(&s) : NULL;
    if (m != NULL) {
        double error_squared = m->missing / ROWS + m->missing / (double)m->rows;
        require(fabs((double)seen.never_shown / ROWS - m->missing) < 5 * sqrt(error_squared), &s, 0,
                "probes are missing too often or too rarely");
    }
    if (s.task == SR_MAD_MEMORIZATION) { /* one to one */
        static bool taken[MOST_VOCAB];
        memset(taken, 0, sizeof taken);
        for (int k = 0; k < MOST_VOCAB; k++) {
            if (value_of[k] == 0) continue;
            require(!taken[value_of[k]], &s, k, "two keys have one value");
            taken[value_of[k]] = true;
        }
    }
}

static void check_task(sr_mad_task_id task) {
    sr_mad_setting settings[SR_MAD_MOST_SETTINGS];
    int n = sr_mad_grid(task, settings);
    for (int i = 0; i < n; i++) check_setting(&settings[i]);
}

static void test_recall(void **state) { (void)state, check_task(SR_MAD_RECALL); }
static void test_fuzzy(void **state) { (void)state, check_task(SR_MAD_FUZZY); }
static void test_noisy(void **state) { (void)state, check_task(SR_MAD_NOISY); }
static void test_copy(void **state) { (void)state, check_task(SR_MAD_COPY); }
static void test_compression(void **state) { (void)state, check_task(SR_MAD_COMPRESSION); }
static void test_memorization(void **state) { (void)state, check_task(SR_MAD_MEMORIZATION); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),    cmocka_unit_test(test_recall),
        cmocka_unit_test(test_fuzzy),        cmocka_unit_test(test_noisy),
        cmocka_unit_test(test_copy),         cmocka_unit_test(test_compression),
        cmocka_unit_test(test_memorization),
    };
    return cmocka_run_group_tests(tests, make_context, remove_context);
}
