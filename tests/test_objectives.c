/* Objectives and what belongs to them: computed values, scales, limits, the pool that fits the
 * sizes, the memory plan of decoding, and measured speed. */
#include "search/objectives.h"

#include "base/rng.h"
#include "genome/variation.h"
#include "model/cost.h"
#include "model/decoder.h"
#include "train/speed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;
static sr_genome genome;

static const sr_sizes small = {.width = 64,
                               .head_dim = 16,
                               .window = 32,
                               .vocab = 257,
                               .context = 128,
                               .filter_length = 128,
                               .tied = false};

static void must(sartor_status status) {
    if (status != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
}
static void assert_says(const char *part) {
    if (strstr(sartor_error(ctx), part) == NULL)
        fail_msg("'%s' lacks '%s'", sartor_error(ctx), part);
}
static sr_model *make(const char *arch, int livs, const sr_sizes *sizes) {
    sr_model *m;
    must(sr_arch_parse(ctx, arch, livs, &genome));
    must(sr_model_create(ctx, &genome, sizes, &m));
    return m;
}

/* ---- names ---- */

static void test_names(void **state) {
    (void)state;
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) {
        const sr_objective *o = sr_objective_get(i);
        assert_int_equal(sr_objective_find(o->name, strlen(o->name)), i);
        assert_int_equal(o->source, i == SR_BPB       ? SR_TRAINED
                                    : i == SR_MAD     ? SR_PROBED
                                    : i >= SR_PREFILL ? SR_MEASURED
                                                      : SR_COMPUTED);
        assert_true(strlen(o->unit) > 0 && strlen(o->summary) > 0);
    }
    assert_null(sr_objective_get(-1));
    assert_null(sr_objective_get(SR_OBJECTIVE_COUNT));
    assert_int_equal(sr_objective_find("para", 4), -1);
    assert_int_equal(sr_objective_find("params", 5), -1);
    char names[SR_OBJECTIVE_NAMES];
    sr_objective_names(names);
    assert_string_equal(names, "bpb, params, cache, flops, memory, prefill, decode, mad");
}

static void test_parse(void **state) {
    (void)state;
    int ids[SR_OBJECTIVE_COUNT], n;
    must(sr_objectives_parse(ctx, "cache,bpb,decode", ids, &n));
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], SR_CACHE);
    assert_int_equal(ids[1], SR_BPB);
    assert_int_equal(ids[2], SR_DECODE);
    must(sr_objectives_parse(ctx, "bpb,params,cache,flops,memory,prefill,decode,mad", ids, &n));
    assert_int_equal(n, SR_OBJECTIVE_COUNT);
    static const char *const wrong[][2] = {
        {"bpb,parms", "objectives: 'parms' is not an objective; there are bpb, params, cache"},
        {"", "objectives: '' is not"},
        {"bpb,", "objectives: '' is not"},
        {"bpb, params", "objectives: ' params' is not"},
        {"bpb,cache,bpb", "objectives: bpb is given twice"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(sr_objectives_parse(ctx, wrong[i][0], ids, &n), SARTOR_INVALID);
        assert_says(wrong[i][1]);
    }
}

/* ---- computed values ---- */

/* The paper's Transformer++ at 125M (reference: 4 d^2 and 8 d^2 for each pair of LIVs, norms) and
 * its cache, 12 layers of keys and values in 16 bits. */
static void test_known(void **state) {
    (void)state;
    const sr_sizes sizes = {768, 64, 256, 50304, 4096, 4096, true, SR_HEAD_LANGUAGE, 0};
    double v[SR_OBJECTIVE_COUNT];
    must(sr_arch_parse(ctx, "transformer++", 24, &genome));
    must(sr_objectives_compute(ctx, &genome, &sizes, v));
    const double norms = 25 * 768, backbone = 12 * 12 * 768.0 * 768.0 + norms;
    assert_true(v[SR_PARAMS] == backbone);
    assert_true(v[SR_CACHE] == 12 * 2 * 768.0 * 4096 * 2);
    /* twice the products' weights, the unembedding, and attention over half the context */
    double products = 2 * (backbone - norms) + 2 * 768.0 * 50304 + 12 * 2 * 2 * 768.0 * 4096 / 2;
    assert_true(fabs(v[SR_FLOPS] / products - 1) < 0.01);
    double held = 4 * (v[SR_PARAMS] + 768.0 * 50304) + v[SR_CACHE];
    assert_true(v[SR_MEMORY] > held && v[SR_MEMORY] < 1.1 * held);
    assert_true(isnan(v[SR_BPB]) && isnan(v[SR_PREFILL]) && isnan(v[SR_DECODE]));
}

static void test_against_the_model(void **state) {
    (void)state;
    sr_pool pool = sr_pool_all();
    uint64_t next = 0;
    for (int i = 0; i < 40; i++) {
        double v[SR_OBJECTIVE_COUNT];
        sr_model *m;
        sr_cost cost;
        int64_t memory;
        const sr_decoder_options options = {small.context, SR_F16, SR_FAST_F32, 1};
        sr_genome_sample(&pool, 6, (sr_rng){1, SR_FOR_TEST, 0}, &next, &genome);
        must(sr_objectives_compute(ctx, &genome, &small, v));
        must(sr_model_create(ctx, &genome, &small, &m));
        must(sr_model_cost(ctx, m, &cost));
        must(sr_decoder_plan_bytes(ctx, m, &options, &memory));
        assert_true(v[SR_PARAMS] == (double)cost.backbone);
        assert_true(v[SR_CACHE] == (double)cost.cache_bytes);
        assert_true(v[SR_FLOPS] == cost.flops_per_token);
        assert_true(v[SR_MEMORY] == (double)memory);
        sr_model_destroy(&m);
    }
    sr_sizes wrong = small;
    double v[SR_OBJECTIVE_COUNT];
    wrong.width = 0;
    assert_int_equal(sr_objectives_compute(ctx, &genome, &wrong, v), SARTOR_INVALID);
}

/* ---- the memory plan of decoding ---- */

static void check_plan(const char *arch, int64_t context, sr_dtype cache, sr_numbers numbers) {
    sr_sizes sizes = small;
    sizes.context = sizes.filter_length = context;
    const sr_decoder_options options = {context, cache, numbers, 1};
    sr_model *m = make(arch, 0, &sizes);
    sr_decoder *d;
    int64_t plan;
    must(sr_decoder_plan_bytes(ctx, m, &options, &plan));
    must(sr_model_allocate(ctx, m));
    sr_model_init(m, 1);
    must(sr_decoder_create(ctx, m, &options, &d));
    int32_t *ids = calloc((size_t)context, sizeof *ids);
    const float *logits;
    assert_true(sr_decoder_bytes(d) <= plan);
    must(sr_decoder_feed(ctx, d, ids, context, &logits));
    if (sr_decoder_bytes(d) != plan)
        fail_msg("%s, context %d: planned %lld, holds %lld", arch, (int)context, (long long)plan,
                 (long long)sr_decoder_bytes(d));
    for (int i = 0; i < 3; i++) must(sr_decoder_feed(ctx, d, ids, 1, &logits));
    assert_int_equal(sr_decoder_bytes(d), plan);
    int64_t weights = m->schema.elements * (numbers == SR_FAST_BF16 ? 6 : 4);
    assert_true(plan > weights + sr_decoder_cache_bytes(d));
    free(ids);
    sr_decoder_destroy(&d);
    sr_model_destroy(&m);
}

static void test_decoder_plan(void **state) {
    (void)state;
    for (int c = 1; c <= sr_class_count(); c++) {
        char arch[64];
        snprintf(arch, sizeof arch, "%s GMemless", sr_class_get(c)->name);
        check_plan(arch, 85, SR_F16, SR_FAST_F32);
        check_plan(arch, 5, SR_F32, SR_FAST_BF16);
    }
    check_plan("(GConv-2 SA-1 GConv-2-Diff GMemless)x2", 300, SR_F16, SR_FAST_F32);
    check_plan("8.1.2.1.1-8.1.2.1.1-1.1.1.1.4-1.1.1.1.4", 300, SR_F32, SR_FAST_BF16);
    check_plan("SA-3 Rec-1", 256, SR_F16, SR_TRUTH_F32);
    check_plan("GMemless", 1, SR_F16, SR_FAST_F32);
}

/* A ready-made filter and a longer context cost what they weigh; sharing a filter saves one. */
static void test_decoder_plan_parts(void **state) {
    (void)state;
    const sr_decoder_options options = {small.context, SR_F16, SR_FAST_F32, 1};
    int64_t own, shared, filter = small.filter_length * small.width * 4;
    sr_model *m = make("GConv-2 GConv-2", 0, &small);
    int64_t weights = m->schema.elements * 4;
    must(sr_decoder_plan_bytes(ctx, m, &options, &own));
    sr_model_destroy(&m);
    m = make("8.1.2.1.1-8.1.2.1.1", 0, &small);
    must(sr_decoder_plan_bytes(ctx, m, &options, &shared));
    assert_int_equal(own - shared, weights - m->schema.elements * 4 + filter);
    sr_model_destroy(&m);
}

/* ---- scales ---- */

static void test_scales(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper();
    sr_scale scales[SR_OBJECTIVE_COUNT];
    double v[SR_OBJECTIVE_COUNT];
    uint64_t next = 0;
    must(sr_scales_make(ctx, &pool, 12, &small, scales));
    assert_true(scales[SR_CACHE].best == 0);
    for (int i = 0; i < 2000; i++) {
        sr_genome_sample(&pool, 12, (sr_rng){2, SR_FOR_TEST, 0}, &next, &genome);
        must(sr_objectives_compute(ctx, &genome, &small, v));
        for (int k = SR_PARAMS; k <= SR_MEMORY; k++) {
            double x = sr_scaled(&scales[k], v[k]);
            if (!(x >= 0 && x <= 1)) fail_msg("%s is %g", sr_objective_get(k)->name, x);
        }
    }
    /* the ends are reached by uniform backbones */
    double least[SR_OBJECTIVE_COUNT], most[SR_OBJECTIVE_COUNT];
    for (int k = 0; k < SR_OBJECTIVE_COUNT; k++) least[k] = INFINITY, most[k] = -INFINITY;
    for (int c = 1; c <= SR_PAPER_CLASSES; c++) {
        must(sr_arch_parse(ctx, sr_class_get(c)->name, 12, &genome));
        must(sr_objectives_compute(ctx, &genome, &small, v));
        for (int k = SR_PARAMS; k <= SR_MEMORY; k++) {
            double x = sr_scaled(&scales[k], v[k]);
            least[k] = fmin(least[k], x), most[k] = fmax(most[k], x);
        }
    }
    for (int k = SR_PARAMS; k <= SR_MEMORY; k++) assert_true(least[k] == 0 && most[k] == 1);
}

static void test_scale_shapes(void **state) {
    (void)state;
    sr_pool one = {{false}};
    sr_scale s[SR_OBJECTIVE_COUNT];
    assert_int_equal(sr_scales_make(ctx, &one, 4, &small, s), SARTOR_INVALID);
    one.has[9] = true;
    must(sr_scales_make(ctx, &one, 4, &small, s));
    for (int k = 0; k < SR_OBJECTIVE_COUNT; k++) {
        assert_true(s[k].worst > s[k].best);
        assert_true(sr_scaled(&s[k], s[k].best) == 0);
        assert_true(fabs(sr_scaled(&s[k], s[k].worst) - 1) < 1e-12);
        assert_true(isinf(sr_scaled(&s[k], INFINITY)));
        assert_true(isnan(sr_scaled(&s[k], NAN)));
    }
    assert_true(sr_scaled(&s[SR_BPB], 2) == 0.25);
    /* seconds: every factor of ten is about the same */
    assert_false(s[SR_BPB].logarithmic);
    assert_true(s[SR_DECODE].logarithmic);
    assert_true(s[SR_PARAMS].logarithmic);
    double x = sr_scaled(&s[SR_DECODE], 1e-4), y = sr_scaled(&s[SR_DECODE], 1e-3);
    assert_true(fabs(y - x - 1.0 / 7) < 0.01);
    /* log(1 + x) */
    sr_scale cache = {0, 999, true};
    assert_true(fabs(sr_scaled(&cache, 99) - 2.0 / 3) < 1e-12);
    assert_int_equal(sr_scales_make(ctx, &one, 0, &small, s), SARTOR_INVALID);
    assert_int_equal(sr_scales_make(ctx, &one, SR_MAX_LIVS + 1, &small, s), SARTOR_INVALID);
}

/* ---- limits ---- */

static void test_limits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int objective;
        double most;
    } good[] = {{"params=2M", SR_PARAMS, 2e6},    {"params=1.5k", SR_PARAMS, 1500},
                {"cache=3G", SR_CACHE, 3e9},      {"decode=0.002", SR_DECODE, 0.002},
                {"bpb=2.2", SR_BPB, 2.2},         {"prefill=1e-5", SR_PREFILL, 1e-5},
                {"flops=250000", SR_FLOPS, 25e4}, {"memory=7K", SR_MEMORY, 7000}};
    sr_limit limit;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        must(sr_limit_parse(ctx, good[i].text, &limit));
        assert_int_equal(limit.objective, good[i].objective);
        assert_true(limit.most == good[i].most);
    }
    static const char *const wrong[][2] = {
        {"parms=2M", "limit 'parms=2M': no objective is called 'parms'; there are bpb, params"},
        {"params", "limit 'params': expected NAME=VALUE"},
        {"", "limit '': expected NAME=VALUE"},
        {"=2", "no objective is called ''"},
        {"params=", "'' is not a number"},
        {"params=M", "'M' is not a number"},
        {"params=2MM", "'2MM' is not a number"},
        {"params=2 M", "'2 M' is not a number"},
        {"params=0x10", "'0x10' is not a number"},
        {"params=inf", "'inf' is not a number"},
        {"params=nan", "'nan' is not a number"},
        {"params=1e999", "'1e999' is not a number"},
        {"params=0", "'0' is not a number above 0"},
        {"params=-1", "'-1' is not a number above 0"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(sr_limit_parse(ctx, wrong[i][0], &limit), SARTOR_INVALID);
        assert_says(wrong[i][1]);
    }
    char huge[5000];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(sr_limit_parse(ctx, huge, &limit), SARTOR_INVALID);
    huge[2000] = '=';
    assert_int_equal(sr_limit_parse(ctx, huge, &limit), SARTOR_INVALID);
}

static void test_violation(void **state) {
    (void)state;
    const sr_limit limits[] = {{SR_PARAMS, 100}, {SR_CACHE, 10}, {SR_BPB, 2}};
    double v[SR_OBJECTIVE_COUNT];
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) v[i] = NAN;
    assert_true(sr_violation(limits, 3, v) == 0);
    v[SR_PARAMS] = 100, v[SR_CACHE] = 3;
    assert_true(sr_violation(limits, 3, v) == 0);
    v[SR_PARAMS] = 150, v[SR_BPB] = 3;
    assert_true(sr_violation(limits, 3, v) == 1);
    assert_true(sr_violation(limits, 1, v) == 0.5);
    assert_true(sr_violation(limits, 0, v) == 0);
    v[SR_BPB] = INFINITY;
    assert_true(isinf(sr_violation(limits, 3, v)));
}

/* ---- the pool ---- */

static void test_pool_fits(void **state) {
    (void)state;
    sr_pool pool = sr_pool_paper(), whole = pool;
    char why[SR_EXCLUDED_TEXT];
    must(sr_pool_fit(ctx, &pool, &small, why));
    assert_string_equal(why, "");
    assert_memory_equal(&pool, &whole, sizeof pool);
    sr_sizes sizes = small;
    sizes.head_dim = 32; /* two heads do not divide by four */
    must(sr_pool_fit(ctx, &pool, &sizes, why));
    assert_string_equal(why,
                        "without SA-3, SA-3-Diff (repeats keys and values 4 times: the 2 heads "
                        "of width 64 and head dim 32 are not a multiple of 4)");
    assert_false(pool.has[3] || pool.has[12]);
    assert_true(pool.has[1] && pool.has[4] && pool.has[9]);
    sizes.head_dim = 64; /* one head divides by nothing: two reasons */
    must(sr_pool_fit(ctx, &pool, &sizes, why));
    assert_string_equal(why,
                        "without SA-4, SA-4-Diff (repeats keys and values 2 times: the 1 heads "
                        "of width 64 and head dim 64 are not a multiple of 2)");
    pool = sr_pool_all();
    must(sr_pool_fit(ctx, &pool, &sizes, why));
    assert_non_null(strstr(why, "4); SA-4"));
    for (int c = 1; c <= sr_class_count(); c++) { /* what is left compiles, what went does not */
        sr_model *m;
        genome.n = 1;
        genome.liv[0] = (sr_gene){c, 1, 1, 1, 1};
        sartor_status status = sr_model_create(ctx, &genome, &sizes, &m);
        assert_int_equal(status == SARTOR_OK, pool.has[c]);
        sr_model_destroy(&m);
    }
}

static void test_pool_empty(void **state) {
    (void)state;
    sr_pool pool = {{false}};
    char why[SR_EXCLUDED_TEXT];
    assert_int_equal(sr_pool_fit(ctx, &pool, &small, why), SARTOR_INVALID);
    assert_says("the pool has no class");
    pool.has[1] = pool.has[3] = true;
    sr_sizes sizes = small;
    sizes.width = 40;
    assert_int_equal(sr_pool_fit(ctx, &pool, &sizes, why), SARTOR_INVALID);
    assert_says("no class of the pool fits the sizes (SA-1: width 40 is not a multiple of head dim "
                "16)");
    assert_string_equal(why, "without SA-1, SA-3 (width 40 is not a multiple of head dim 16)");
    pool = sr_pool_all();
    sizes.width = 0; /* a long list is cut */
    assert_int_equal(sr_pool_fit(ctx, &pool, &sizes, why), SARTOR_INVALID);
    assert_says("(SA-1: width is 0, expected 1 to ");
    assert_int_equal(strlen(why), SR_EXCLUDED_TEXT - 1);
    assert_string_equal(why + SR_EXCLUDED_TEXT - 4, "...");
}

/* ---- speed ---- */

static void test_speed(void **state) {
    (void)state;
    sr_model *m = make("SA-1 GConv-2 Rec-1 GMemless", 0, &small);
    must(sr_model_allocate(ctx, m));
    sr_model_init(m, 1);
    sr_speed speed = {0, 0};
    must(sr_speed_measure(ctx, m, 128, SR_FAST_F32, 1, 0.02, &speed));
    assert_true(speed.prefill > 0 && speed.prefill < 1 && speed.decode > 0 && speed.decode < 1);
    must(sr_speed_measure(ctx, m, 1, SR_FAST_BF16, 1, 0, &speed));
    assert_true(speed.prefill > 0 && speed.decode > 0);
    assert_int_equal(sr_speed_measure(ctx, m, 0, SR_FAST_F32, 1, 0, &speed), SARTOR_INVALID);
    sartor_context *stopped = sartor_context_create();
    sartor_interrupt(stopped);
    assert_int_equal(sr_speed_measure(stopped, m, 128, SR_FAST_F32, 1, 0.02, &speed),
                     SARTOR_INTERRUPTED);
    sartor_context_destroy(&stopped);
    sr_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_known),        cmocka_unit_test(test_against_the_model),
        cmocka_unit_test(test_decoder_plan), cmocka_unit_test(test_decoder_plan_parts),
        cmocka_unit_test(test_scales),       cmocka_unit_test(test_scale_shapes),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_violation),
        cmocka_unit_test(test_pool_fits),    cmocka_unit_test(test_pool_empty),
        cmocka_unit_test(test_speed),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
