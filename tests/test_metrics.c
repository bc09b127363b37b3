/* metrics.jsonl as the report reads it: what a run writes comes back, whatever is broken is told by
 * file and line, and a series of any length becomes a bounded number of points that lose no sum,
 * no step and no extreme. */
#define _GNU_SOURCE
#include "report/thin.h"
#include "train/metrics.h"
#include "train/metrics_read.h"

#include <inttypes.h>
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
static char folder[] = "/tmp/sartor-test.XXXXXX", path[64];

static int make_folder(void **state) {
    (void)state;
    ctx = sartor_context_create();
    if (ctx == NULL || mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    (void)unlink(path);
    return rmdir(folder);
}

/* ---- reading ---- */

typedef struct seen {
    int count;
    sr_metrics_entry entry[8];
    char grown[8][128];
} seen;

static sartor_status note(void *user, const sr_metrics_entry *e) {
    seen *s = user;
    assert_true(s->count < 8);
    if (e->grown != NULL) snprintf(s->grown[s->count], sizeof s->grown[0], "%s", e->grown);
    s->entry[s->count++] = *e;
    return SARTOR_OK;
}

static sartor_status read_bytes(const char *text, size_t n, seen *s) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    *s = (seen){0};
    return sr_metrics_read(ctx, path, note, s);
}
static sartor_status read_text(const char *text, seen *s) {
    return read_bytes(text, strlen(text), s);
}

static void written_lines_come_back(void **state) {
    (void)state;
    sr_metrics m;
    seen s = {0};
    sr_metrics_line line = {
        .step = 1,
        .tokens = 64,
        .of_step = {.loss = 2, .scored = 64, .bytes = 128, .rate = 1e-3, .norm = 0.5},
        .seconds = 1.5,
        .validation_loss = NAN,
        .tokens_per_second = 100};
    (void)unlink(path);
    assert_int_equal(sr_metrics_open(ctx, path, 0, &m), SARTOR_OK);
    assert_int_equal(sr_metrics_add(ctx, &m, &line), SARTOR_OK);
    line.step = 2;
    line.tokens = 128;
    line.of_step.bytes = 0; /* no bits per byte */
    line.of_step.norm = INFINITY;
    line.validation_loss = 1.5;
    line.validation_bits_per_byte = 2.25;
    line.grown = "width=96 \"and\" more\\";
    line.params_before = 1000;
    line.params = 2000;
    assert_int_equal(sr_metrics_add(ctx, &m, &line), SARTOR_OK);
    sr_metrics_close(&m);
    assert_int_equal(sr_metrics_read(ctx, path, note, &s), SARTOR_OK);
    assert_int_equal(s.count, 2);
    const sr_metrics_entry *a = &s.entry[0], *b = &s.entry[1];
    assert_true(a->step == 1 && a->tokens == 64 && a->seconds == 1.5 && a->rate == 1e-3);
    assert_true(a->norm == 0.5 && a->tokens_per_second == 100 && !a->grew);
    assert_true(fabs(a->bits_per_byte - 1 / log(2)) < 1e-6 && isnan(a->validation_bits_per_byte));
    assert_true(isnan(b->bits_per_byte) && isnan(b->norm) && b->validation_bits_per_byte == 2.25);
    assert_true(b->grew && b->params_before == 1000 && b->params == 2000);
    assert_string_equal(s.grown[1], "width=96 \"and\" more\\");
}

static void what_is_no_number_is_nan(void **state) {
    (void)state;
    static const char *const words[] = {"null", "nan", "-nan", "NaN", "inf", "-Infinity"};
    seen s;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"step\": 3, \"tokens\": 5, \"lr\": %s, \"grad_norm\": 1, \"grown\": \"nan\\\" "
                 "inf\", \"params\": 7}\n",
                 words[i]);
        assert_int_equal(read_text(text, &s), SARTOR_OK);
        assert_int_equal(s.count, 1);
        assert_true(isnan(s.entry[0].rate) && isnan(s.entry[0].seconds) && s.entry[0].norm == 1);
        assert_string_equal(s.grown[0], "nan\" inf");
    }
}

/* Whole lines are read, what follows them is not there yet. */
static void a_torn_line_is_left_out(void **state) {
    (void)state;
    static const char whole[] = "{\"step\": 1, \"tokens\": 5}\n{\"step\": 2, \"tokens\": 9}\n";
    char text[sizeof whole + 40];
    seen s;
    const size_t first = strchr(whole, '\n') + 1 - whole;
    for (size_t n = 0; n < sizeof whole; n++) {
        assert_int_equal(read_bytes(whole, n, &s), SARTOR_OK);
        assert_int_equal(s.count, (n >= first) + (n == sizeof whole - 1));
    }
    memset(text, 0, sizeof text); /* as a power cut leaves it */
    memcpy(text, whole, sizeof whole - 1);
    assert_int_equal(read_bytes(text, sizeof text, &s), SARTOR_OK);
    assert_int_equal(s.count, 2);
}

static void broken_lines_are_named(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        "x",
        "[]",
        "{\"step\": 2}",
        "{\"step\": 2, \"tokens\": 1.5}",
        "{\"step\": 1, \"tokens\": 9}",
        "{\"step\": 2, \"tokens\": 4}",
        "{\"step\": 2, \"tokens\": 9, \"lr\": \"x\"}",
        "{\"step\": 2, \"tokens\": 9, \"lr\": 1e999}",
        "{\"step\": 2, \"tokens\": 9, \"step\": 3}",
        "{\"step\": 2, \"tokens\": 9, \"grown\": \"x\"}",
        "{\"step\": 2, \"tokens\": 9, \"grown\": 1, \"params\": 5}",
        "{\"step\": 2, \"tokens\": 9, \"grown\": \"x\", \"params\": -5}",
        "{\"step\": 2, \"tokens\": 9, \"lr\": \"\xff\"}",
        "{\"step\": 2, \"tokens\": 9} {}",
        "{\"step\": 99999999999999999999, \"tokens\": 9}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[256], where[96];
        seen s;
        snprintf(text, sizeof text, "{\"step\": 1, \"tokens\": 5}\n%s\n", lines[i]);
        snprintf(where, sizeof where, "%s: line 2: ", path);
        assert_int_equal(read_text(text, &s), SARTOR_FORMAT);
        assert_int_equal(s.count, 1);
        assert_int_equal(strncmp(sartor_error(ctx), where, strlen(where)), 0);
    }
}

static void long_lines_and_other_files_are_refused(void **state) {
    (void)state;
    char *text = malloc(3 * SR_METRICS_LINE);
    seen s;
    assert_non_null(text);
    memset(text, '[', 3 * SR_METRICS_LINE);
    assert_int_equal(read_bytes(text, 3 * SR_METRICS_LINE, &s), SARTOR_FORMAT);
    assert_non_null(strstr(sartor_error(ctx), "line 1: is too long"));
    text[SR_METRICS_LINE - 2] = '\n'; /* the longest: nested beyond what is parsed */
    assert_int_equal(read_bytes(text, SR_METRICS_LINE - 1, &s), SARTOR_FORMAT);
    assert_non_null(strstr(sartor_error(ctx), "line 1: is not an object"));
    memset(text, 0, 3 * SR_METRICS_LINE);
    assert_int_equal(read_bytes(text, 3 * SR_METRICS_LINE, &s), SARTOR_FORMAT);
    free(text);
    assert_int_equal(sr_metrics_read(ctx, folder, note, &s), SARTOR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sr_metrics_read(ctx, path, note, &s), SARTOR_IO);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sr_metrics_read(ctx, path, note, &s), SARTOR_IO);
}

/* ---- thinning ---- */

/* Of quantity 0 a value for every step, of 1 for every third, of 2 none. */
static double value_of(int64_t step) { return (double)((step * 7919) % 1009); }

static void thin_of(int64_t steps, int limit, sr_thin *t) {
    assert_int_equal(sr_thin_begin(ctx, limit, t), SARTOR_OK);
    for (int64_t i = 1; i <= steps; i++)
        sr_thin_add(t, i, 10 * i, (double)i / 2, 1 / (double)i,
                    (const double[]){value_of(i), i % 3 == 0 ? 1 : NAN, NAN});
}

static void thinning_keeps_sums_and_extremes(void **state) {
    (void)state;
    for (int64_t steps = 0; steps < 400; steps += steps < 40 ? 1 : 37) {
        sr_thin t;
        double sum = 0, low = INFINITY, high = -INFINITY;
        int64_t n = 0, thirds = 0;
        thin_of(steps, 8, &t);
        for (int i = 0; i < t.count; i++) {
            const sr_thin_point *p = &t.point[i];
            const int64_t before = n;
            n += p->n;
            assert_true(p->step == n && p->tokens == 10 * n && p->seconds == (double)n / 2 &&
                        p->rate == 1 / (double)n);
            assert_true(i + 1 < t.count ? p->n == t.width : p->n <= t.width);
            for (int64_t k = before + 1; k <= n; k++) {
                assert_true(p->range[0].low <= value_of(k) && p->range[0].high >= value_of(k));
                sum -= value_of(k);
            }
            sum += p->range[0].sum;
            low = fmin(low, p->range[0].low);
            high = fmax(high, p->range[0].high);
            thirds += p->range[1].n;
            assert_int_equal(p->range[2].n, 0);
        }
        assert_true(n == steps && thirds == steps / 3 && sum == 0);
        assert_true(steps <= 8 ? t.count == steps && t.width == 1 : t.count >= 4 && t.count <= 8);
        for (int64_t k = 1; k <= steps; k++) assert_true(value_of(k) >= low && value_of(k) <= high);
        sr_thin_free(&t);
    }
}

static void thinned_points_as_json(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b", NULL};
    sr_thin t;
    thin_of(9, 8, &t);
    json_t *json = sr_thin_json(&t, names);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    assert_non_null(text);
    assert_string_equal(
        text, "{\"width\":2,\"step\":[2,4,6,8,9],\"tokens\":[20,40,60,80,90],"
              "\"seconds\":[1.0,2.0,3.0,4.0,4.5],\"rate\":[0.5,0.25,0.166667,0.125,0.111111],"
              "\"a\":{\"mean\":[779.5,473.5,167.5,870.5,641.0],"
              "\"low\":[703.0,397.0,91.0,794.0,641.0],\"high\":[856.0,550.0,244.0,947.0,641.0]},"
              "\"b\":{\"mean\":[null,1.0,1.0,null,1.0],\"low\":[null,1.0,1.0,null,1.0],"
              "\"high\":[null,1.0,1.0,null,1.0]}}");
    free(text);
    json_decref(json);
    sr_thin_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_lines_come_back),
        cmocka_unit_test(what_is_no_number_is_nan),
        cmocka_unit_test(a_torn_line_is_left_out),
        cmocka_unit_test(broken_lines_are_named),
        cmocka_unit_test(long_lines_and_other_files_are_refused),
        cmocka_unit_test(thinning_keeps_sums_and_extremes),
        cmocka_unit_test(thinned_points_as_json),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
