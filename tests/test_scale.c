/* sartor scale without training: which runs a budget becomes, how they are stored, and what is
 * answered when their losses follow a known law. */
#include "probe/scale.h"

#include "study_tools.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most)) fail_msg("%.17g, not %.17g", a, b);
}

static sartor_scale_options options_for(const char *const *archs, int n, const double *budgets,
                                        int n_budgets) {
    sartor_scale_options o;
    sartor_scale_defaults(&o);
    o.archs = archs;
    o.n_archs = n;
    o.budgets = budgets;
    o.n_budgets = n_budgets;
    return o;
}

static sr_scale_settings settings_for(const sartor_scale_options *o) {
    sr_scale_settings s;
    good(sr_scale_settings_make(ctx, o, 257, &s));
    return s;
}

static sartor_status plan(const sartor_scale_options *o, sr_scale_runs *runs) {
    const sr_scale_settings s = settings_for(o);
    return sr_scale_plan(ctx, o, &s, runs);
}

/* ---- the plan ---- */

static void test_runs_cost_their_budget(void **state) {
    (void)state;
    const double budgets[] = {1e12, 1e14, 1e16};
    sartor_scale_options o =
        options_for((const char *const[]){"transformer++", "hyena"}, 2, budgets, 3);
    sr_scale_runs runs;
    good(plan(&o, &runs));
    assert_int_equal(runs.n, 2 * 3 * 5);
    for (int i = 0; i < runs.n; i++) {
        const sr_scale_run *r = &runs.run[i];
        const double step = (double)(r->batch.windows * r->batch.accumulate * 256);
        const double flops = 3 * r->flops_per_token * (double)r->tokens;
        assert_true((double)r->tokens == step * (double)r->steps);
        assert_near(flops, r->budget, 3 * r->flops_per_token * step / 2 * 1.000001);
        assert_true(r->steps >= 20);
        assert_near(r->learning_rate, 2e-3 * sqrt(128.0 / (double)r->width), 1e-12);
        assert_true(r->batch.windows * 256 <= 1 << 14);
        assert_near((double)(r->batch.windows * r->batch.accumulate), 16 * cbrt(r->budget / 1e12),
                    0.51 * (double)r->batch.accumulate);
        if (i % 5 == 0) continue;
        assert_string_equal(r->family, r[-1].family);
        assert_true(r->width > r[-1].width && r->params > r[-1].params && r->livs >= r[-1].livs);
        assert_true(r->tokens < r[-1].tokens);
    }
    /* The row of sizes is around 80 bytes a parameter. */
    const sr_scale_run *middle = &runs.run[12];
    assert_near(log((double)middle->tokens / (double)middle->params / 80), 0, log(1.7));
    assert_string_not_equal(runs.run[0].family, runs.run[29].family);
    sr_scale_runs_free(&runs);
}

static int livs_at(const char *arch, int64_t width, int livs, char family[SR_FAMILY_TEXT]) {
    const double budget = 1e17;
    const int64_t widths[] = {width, 2 * width, 3 * width};
    sartor_scale_options o = options_for(&arch, 1, &budget, 1);
    o.widths = widths;
    o.n_widths = 3;
    o.sizes.livs = livs;
    sr_scale_runs runs;
    good(plan(&o, &runs));
    assert_int_equal(runs.run[0].width, width);
    const int n = runs.run[0].livs;
    snprintf(family, SR_FAMILY_TEXT, "%s", runs.run[0].family);
    sr_genome *genome = malloc(sizeof *genome);
    assert_non_null(genome);
    good(sr_genome_parse(ctx, runs.run[0].genome, strlen(runs.run[0].genome), genome));
    assert_int_equal(genome->n, n);
    free(genome);
    sr_scale_runs_free(&runs);
    return n;
}

static void test_depth_follows_width(void **state) {
    (void)state;
    char a[SR_FAMILY_TEXT], b[SR_FAMILY_TEXT];
    assert_int_equal(livs_at("transformer++", 16, 0, a), 2);
    assert_int_equal(livs_at("transformer++", 64, 0, a), 4);
    assert_int_equal(livs_at("transformer++", 256, 0, a), 16);
    /* However often the pattern is written, the family is the same. */
    assert_int_equal(livs_at("(SA-1 GMemless)x6", 64, 0, b), 4);
    assert_string_equal(a, b);
    assert_int_equal(livs_at("SA-1 GMemless SA-1 GMemless SA-1", 64, 0, b), 5);
    assert_string_not_equal(a, b);
    /* Whole repeats, at least one. */
    assert_int_equal(livs_at("striped-mamba", 64, 0, b), 12);
    assert_int_equal(livs_at("striped-mamba", 384, 0, b), 24);
    /* A fixed depth is a family of its own. */
    assert_int_equal(livs_at("transformer++", 256, 2, b), 2);
    assert_string_not_equal(a, b);
    assert_int_equal(livs_at("transformer++", 16, 6, b), 6);
    /* Shared weights repeat block by block. */
    assert_int_equal(livs_at("1.1.2.1.1-9.1.1.1.1-1.1.2.1.1-9.1.1.1.1", 64, 0, b), 4);
    assert_int_equal(livs_at("1.1.2.1.1-9.1.1.1.1-1.1.2.1.1-9.1.1.1.1", 128, 0, b), 8);
    assert_int_equal(livs_at("1.1.2.1.1-9.1.1.1.1-1.1.2.1.1-9.1.1.1.1", 96, 0, a), 8);
    assert_string_equal(a, b);
}

static void test_refused_plans(void **state) {
    (void)state;
    const double budget = 1e12, twice[] = {1e12, 1e12}, small = 1e8, absurd = 1e40;
    const int64_t widths[] = {16, 16, 32}, odd[] = {16, 24, 32}, wide[] = {16, 32, 1 << 20},
                  two[] = {16, 32};
    const char *const unknown = "frobnicate";
    sr_scale_runs runs;
    sartor_scale_options base = options_for((const char *const[]){"transformer++"}, 1, &budget, 1);
    struct {
        const char *says;
        sartor_scale_options o;
    } cases[12];
    int n = 0;
#define CASE(text, ...)                                                                            \
    do {                                                                                           \
        sartor_scale_options o = base;                                                             \
        __VA_ARGS__;                                                                               \
        cases[n].says = text;                                                                      \
        cases[n++].o = o;                                                                          \
    } while (0)
    CASE("no architecture", o.n_archs = 0);
    CASE("no budget", o.n_budgets = 0);
    CASE("given twice", o.budgets = twice; o.n_budgets = 2);
    CASE("no number of FLOPs", o.budgets = &absurd);
    CASE("of its sizes have 20 steps or more", o.budgets = &small);
    CASE("width 16 is given twice", o.widths = widths; o.n_widths = 3);
    CASE("at width 24", o.widths = odd; o.n_widths = 3);
    CASE("width is 1048576", o.widths = wide; o.n_widths = 3);
    CASE("2 widths are given, and a parabola takes 3", o.widths = two; o.n_widths = 2);
    CASE("points is 2", o.points = 2);
    CASE("frobnicate", o.archs = &unknown);
    CASE("beyond all memory", o.sizes.head_dim = 60000);
    for (int i = 0; i < n; i++) {
        if (plan(&cases[i].o, &runs) == SARTOR_OK ||
            strstr(sartor_error(ctx), cases[i].says) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].says, sartor_error(ctx));
        sr_scale_runs_free(&runs);
    }
}

/* ---- the study ---- */

static sr_study *study_of(const sr_scale_settings *s, const sr_scale_runs *runs) {
    sr_study *study;
    json_t *json = sr_scale_settings_json(s);
    bool created;
    good(sr_study_create(ctx, in_folder("scale"), json, &study, &created));
    json_decref(json);
    good(sr_study_begin(ctx, study));
    for (int twice = 0; twice < 2; twice++) /* the second time nothing is new */
        for (int64_t i = 0, id; i < runs->n; i++)
            good(sr_scale_add(ctx, study, &runs->run[i], &id));
    good(sr_study_commit(ctx, study));
    assert_int_equal(number(study, "SELECT count(*) FROM job WHERE kind = 'scale'"), runs->n);
    return study;
}

static void test_rows_come_back(void **state) {
    (void)state;
    const double budgets[] = {1e12, 1e18};
    sartor_scale_options o = options_for((const char *const[]){"hyena"}, 1, budgets, 2);
    o.precision = SARTOR_BF16;
    o.seed = UINT64_MAX;
    o.sizes.tie_embeddings = true;
    const sr_scale_settings s = settings_for(&o);
    sr_scale_settings back;
    sr_scale_runs runs;
    good(sr_scale_plan(ctx, &o, &s, &runs));
    sr_study *study = study_of(&s, &runs);
    good(sr_scale_settings_read(ctx, study, &back));
    assert_memory_equal(&back.sizes, &s.sizes, sizeof s.sizes);
    assert_true(back.seed == s.seed && back.precision == s.precision && back.batch == s.batch &&
                back.learning_rate == s.learning_rate && back.threads == s.threads &&
                back.validation_tokens == s.validation_tokens);
    sr_query rows;
    good(sr_sql(ctx, study, &rows, "SELECT spec FROM job ORDER BY id", ""));
    for (int i = 0; i < runs.n; i++) {
        sr_scale_run run;
        assert_true(sr_next(&rows));
        json_t *spec = json_loads(sr_text(&rows, 0), 0, NULL);
        good(sr_scale_run_read(ctx, study, spec, &run));
        const sr_scale_run *r = &runs.run[i];
        assert_string_equal(run.family, r->family);
        assert_string_equal(run.genome, r->genome);
        assert_string_equal(run.pattern, r->pattern);
        assert_true(run.budget == r->budget && run.width == r->width && run.livs == r->livs &&
                    run.params == r->params && run.cache == r->cache && run.tokens == r->tokens &&
                    run.steps == r->steps && run.batch.windows == r->batch.windows &&
                    run.batch.accumulate == r->batch.accumulate &&
                    run.flops_per_token == r->flops_per_token &&
                    run.learning_rate == r->learning_rate);
        json_decref(spec);
    }
    good(sr_done(&rows));
    sr_scale_runs_free(&runs);
    sr_study_close(&study);
}

/* L = 1.2 + 40 / N^0.4 + 60 / D^0.35 for the first architecture, 0.1 more for the second. */
static double loss_of(const sr_scale_run *r) {
    const bool first = strcmp(r->arch, "transformer++") == 0;
    return (first ? 1.2 : 1.3) + 40 / pow((double)r->params, 0.4) +
           60 / pow((double)r->tokens, 0.35);
}

static void finish(sr_study *study, const sr_scale_run *r) {
    good(sr_run_sql(ctx, study, NULL,
                    "UPDATE job SET state = 'done', result = json_object('loss', ?, 'bpb', ?)"
                    " WHERE json_extract(spec, '$.family') = ? AND json_extract(spec, '$.width') ="
                    " ? AND json_extract(spec, '$.budget') = ?",
                    "ddsid", loss_of(r), loss_of(r) / log(2), r->family, r->width, r->budget));
}

static const json_t *at(const json_t *json, const char *path) {
    char name[32];
    for (const char *p = path; *p != '\0' && json != NULL;) {
        const size_t n = strcspn(p, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
        p += n + (p[n] == '.');
    }
    return json;
}
static double real_at(const json_t *json, const char *path) {
    const json_t *x = at(json, path);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void test_answer(void **state) {
    (void)state;
    const double budgets[] = {1e14, 4e14, 1.6e15, 6.4e15, 2.56e16};
    sartor_scale_options o =
        options_for((const char *const[]){"transformer++", "striped-mamba"}, 2, budgets, 5);
    o.points = 9;
    const sr_scale_settings s = settings_for(&o);
    sr_scale_runs runs;
    json_t *answer;
    good(sr_scale_plan(ctx, &o, &s, &runs));
    sr_study *study = study_of(&s, &runs);

    /* Before anything is finished, and with one failed run. */
    good(sr_run_sql(ctx, study, NULL,
                    "UPDATE job SET state = 'failed', reason = 'diverged' WHERE"
                    " id = 1",
                    ""));
    good(sr_scale_answer(ctx, study, false, &answer));
    assert_int_equal(json_array_size(at(answer, "results")), 2);
    assert_int_equal(json_array_size(at(answer, "results.0.points")), runs.n / 2);
    assert_int_equal(json_array_size(at(answer, "results.0.budgets")), 0);
    assert_string_equal(json_string_value(at(answer, "results.0.points.0.state")), "failed");
    assert_string_equal(json_string_value(at(answer, "results.0.points.0.reason")), "diverged");
    assert_null(at(answer, "shared"));
    json_decref(answer);

    good(sr_study_begin(ctx, study));
    for (int i = 0; i < runs.n; i++) finish(study, &runs.run[i]);
    good(sr_study_commit(ctx, study));
    good(sr_scale_answer(ctx, study, true, &answer));
    for (int i = 0; i < 2; i++) {
        const json_t *result = json_array_get(at(answer, "results"), (size_t)i);
        assert_string_equal(json_string_value(at(result, "arch")), o.archs[i]);
        assert_int_equal(json_array_size(at(result, "budgets")), 5);
        /* With C = c N D at these sizes: N ~ C^(0.35/0.75), L - E ~ C^(-0.4 * 0.35 / 0.75); the
         * FLOPs of a parameter fall as the model grows, and a parabola is not quite the valley. */
        assert_near(real_at(result, "laws.params.exponent.value"), 0.35 / 0.75, 0.06);
        assert_near(real_at(result, "laws.loss.exponent.value"), -0.14 / 0.75, 0.03);
        assert_near(real_at(result, "laws.loss.floor.value"), i == 0 ? 1.2 : 1.3, 0.08);
        assert_true(real_at(result, "laws.state.exponent.value") < 0);
        assert_true(isfinite(real_at(result, "laws.params.exponent.low")));
        assert_int_equal(json_array_size(at(result, "laws.params.band")), 33);
        for (size_t k = 0; k < 5; k++) {
            const json_t *b = json_array_get(at(result, "budgets"), k);
            assert_near(real_at(b, "budget"), budgets[k], 1e-9 * budgets[k]);
            assert_true(json_is_null(at(b, "outside")) && json_is_null(at(b, "fault")));
            const double spent = real_at(b, "params.value") * real_at(b, "tokens.value");
            assert_true(spent > budgets[k] / 12 && spent < budgets[k] / 5);
        }
    }
    assert_true(real_at(answer, "shared.state.exponent.value") < 0);
    json_decref(answer);
    sr_scale_runs_free(&runs);
    sr_study_close(&study);
}

/* ---- rows that nobody wrote ---- */

static void test_hostile_rows(void **state) {
    (void)state;
    static const char *const damage[] = {
        "UPDATE job SET spec = '{}' WHERE id = 2",
        "UPDATE job SET spec = '[1, 2]' WHERE id = 2",
        "UPDATE job SET spec = 'no JSON' WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.budget', -1) WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.budget', 'much') WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.params', 0) WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.livs', 1e9) WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.family', printf('%0200d', 1)) WHERE id = 2",
        "UPDATE job SET spec = json_set(spec, '$.pattern', '/etc/passwd') WHERE id = 1",
        "UPDATE job SET state = 'done', result = '{}' WHERE id = 2",
        "UPDATE job SET state = 'done', result = json_object('loss', -1.0) WHERE id = 2",
        "UPDATE job SET state = 'done', result = json_object('loss', 'low') WHERE id = 2",
    };
    const double budget = 1e12;
    sartor_scale_options o = options_for((const char *const[]){"hyena"}, 1, &budget, 1);
    const sr_scale_settings s = settings_for(&o);
    sr_scale_runs runs;
    good(sr_scale_plan(ctx, &o, &s, &runs));
    sr_study *study = study_of(&s, &runs);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        json_t *answer = NULL;
        good(sr_study_begin(ctx, study));
        good(sr_run_sql(ctx, study, NULL, damage[i], ""));
        sartor_status status = sr_scale_answer(ctx, study, false, &answer);
        sr_study_rollback(study);
        if (status == SARTOR_OK || answer != NULL) fail_msg("accepted: %s", damage[i]);
        assert_int_equal(strcspn(sartor_error(ctx), "\n"), strlen(sartor_error(ctx)));
    }
    sr_scale_runs_free(&runs);
    sr_study_close(&study);
}

static void test_hostile_settings(void **state) {
    (void)state;
    const double budget = 1e12;
    sartor_scale_options o = options_for((const char *const[]){"hyena"}, 1, &budget, 1);
    const sr_scale_settings s = settings_for(&o);
    static const char *const names[] = {"head_dim", "context", "vocab",  "batch",
                                        "seed",     "threads", "window", "precision"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *json = sr_scale_settings_json(&s);
        sr_scale_settings back;
        sr_study *study;
        bool created;
        char name[16];
        json_object_set_new(json, names[i], json_integer(-7));
        snprintf(name, sizeof name, "s%zu", i);
        good(sr_study_create(ctx, in_folder(name), json, &study, &created));
        json_decref(json);
        assert_int_equal(sr_scale_settings_read(ctx, study, &back), SARTOR_FORMAT);
        assert_non_null(strstr(sartor_error(ctx), names[i]));
        sr_study_close(&study);
    }
    sr_study *other = new_study(); /* a search, by its settings */
    sr_scale_settings back;
    assert_int_equal(sr_scale_settings_read(ctx, other, &back), SARTOR_INVALID);
    sr_study_close(&other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, study_set_up, study_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_runs_cost_their_budget),
        TEST(test_depth_follows_width),
        TEST(test_refused_plans),
        TEST(test_rows_come_back),
        TEST(test_answer),
        TEST(test_hostile_rows),
        TEST(test_hostile_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
