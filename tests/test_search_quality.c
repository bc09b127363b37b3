/* Whole searches: the quality of NSGA-II against pymoo's, of all against random search, and odd
 * ones (tiny populations, failures, limits) that must only go through. */
#include "herd.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sartor_context *ctx;

/* tests/search/pymoo_reference.py with pymoo 0.6.2: means over 20 seeds, reference point 1.1. */
static const struct {
    const char *name;
    problem_fn problem;
    int variables, objectives;
    double volume;
} references[] = {
    {"zdt1", zdt1, 30, 2, 0.869599},
    {"zdt2", zdt2, 30, 2, 0.536288},
    {"zdt3", zdt3, 30, 2, 1.327567},
    {"dtlz2", dtlz2, 12, 3, 0.702796},
};

static void test_quality(void **state) {
    (void)state;
    static herd h;
    enum { SEEDS = 10 };
    for (size_t r = 0; r < sizeof references / sizeof *references; r++) {
        sr_space space = real_space(&references[r].variables);
        sr_evolution e = sr_evolution_defaults();
        e.space = &space;
        e.objectives = references[r].objectives;
        e.population = 100;
        e.survival = SR_SURVIVAL_MU_PLUS_LAMBDA;
        e.mutation_rate = 1.0 / references[r].variables;
        double mean = 0;
        for (int seed = 1; seed <= SEEDS; seed++) {
            e.seed = (uint64_t)seed;
            int evaluated =
                herd_evolve(ctx, sr_algorithm_find("nsga2"), &e, references[r].problem, 250, &h);
            assert_int_equal(evaluated, 25000);
            mean += herd_volume(ctx, &h, e.objectives) / SEEDS;
        }
        printf("%s: hypervolume %.6f, pymoo %.6f\n", references[r].name, mean,
               references[r].volume);
        if (!(mean >= 0.99 * references[r].volume))
            fail_msg("%s: hypervolume %g, pymoo %g", references[r].name, mean,
                     references[r].volume);
    }
}

/* At equal budget what selects finds more than what does not. */
static void test_better_than_random(void **state) {
    (void)state;
    static herd h;
    sr_space space = word_space();
    for (int survival = 0; survival < 2; survival++) {
        double volume[4] = {0}, best[4] = {0};
        for (int i = 0; i < 4; i++)
            for (int seed = 0; seed < 10; seed++) {
                sr_evolution e = sr_evolution_defaults();
                e.space = &space;
                e.objectives = 2;
                e.seed = (uint64_t)seed;
                e.survival = survival ? SR_SURVIVAL_MU_PLUS_LAMBDA : SR_SURVIVAL_ELITIST;
                int evaluated = herd_evolve(ctx, sr_algorithm_get(i), &e, two_words, 18, &h);
                assert_int_equal(evaluated, survival ? 18 * 16 : 16 + 17 * 14);
                volume[i] += herd_volume(ctx, &h, 2) / 10;
                double sum = 2;
                for (int k = 0; k < h.n; k++) sum = fmin(sum, h.values[k][0] + h.values[k][1]);
                best[i] += sum / 10;
            }
        for (int i = 0; i < 4; i++)
            printf("%s: hypervolume %.4f, least sum %.4f\n", sr_algorithm_get(i)->name, volume[i],
                   best[i]);
        assert_string_equal(sr_algorithm_get(3)->name, "random");
        for (int i = 0; i < 3; i++) assert_true(volume[i] > volume[3] && best[i] < best[3]);
    }
}

static double always_fails(const void *candidate, double *values) {
    (void)candidate;
    values[0] = values[1] = INFINITY;
    return INFINITY;
}

/* Small populations and failures go through whole searches. */
static void test_odd_searches(void **state) {
    (void)state;
    static herd h;
    sr_space space = word_space();
    for (int i = 0; i < 4; i++)
        for (int population = 1; population <= 3; population++)
            for (int survival = 0; survival < 2; survival++) {
                sr_evolution e = sr_evolution_defaults();
                e.space = &space;
                e.objectives = 2;
                e.population = population;
                e.survival = survival ? SR_SURVIVAL_MU_PLUS_LAMBDA : SR_SURVIVAL_ELITIST;
                herd_evolve(ctx, sr_algorithm_get(i), &e, two_words_limited, 6, &h);
                herd_evolve(ctx, sr_algorithm_get(i), &e, always_fails, 6, &h);
                word child;
                sr_birth birth;
                assert_int_equal(
                    sr_algorithm_get(i)->propose(ctx, &e, NULL, 0, 1, 0, 0, &child, &birth),
                    SARTOR_OK);
                assert_string_equal(birth.how, "sample");
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_searches),
        cmocka_unit_test(test_better_than_random),
        cmocka_unit_test(test_quality),
    };
    ctx = sartor_context_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sartor_context_destroy(&ctx);
    return failed;
}
