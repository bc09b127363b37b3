/* What attention must be able to learn, at the benchmark's own sizes: slow. */
#include "probe/mad_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const sr_sizes sizes = {.width = 128, .head_dim = 8, .window = 33};

static sr_mad_result run(sartor_context *ctx, const char *text, int64_t epochs) {
    sr_mad_setting setting;
    sr_mad_data data;
    sr_mad_result result;
    sr_genome *genome = malloc(sizeof *genome);
    if (sr_mad_setting_parse(ctx, text, &setting) != SARTOR_OK ||
        sr_mad_generate(ctx, &setting, false, &data) != SARTOR_OK ||
        sr_arch_parse(ctx, "SA-1 GMemless", 4, genome) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    const sr_mad_run_options o = {.protocol = SR_MAD_FAITHFUL,
                                  .rate = 1e-3,
                                  .batch = SR_MAD_BATCH,
                                  .epochs = epochs,
                                  .numbers = SR_FAST_F32,
                                  .threads = 2,
                                  .seed = 1};
    if (sr_mad_run(ctx, genome, &sizes, &setting, &data, &o, &result) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    free(genome);
    sr_mad_data_free(&data);
    return result;
}

/* The whole table of 127 keys, from the benchmark's 256 examples. */
static void test_memorization(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const sr_mad_result r = run(ctx, "memorization", 40);
    if (!(r.accuracy > 0.95 && r.accuracy_macro > 0.95)) fail_msg("accuracy %g", r.accuracy);
    sartor_context_destroy(&ctx);
}

static void test_recall(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const sr_mad_result r = run(ctx, "recall:length=64,train=1600,test=256", 30);
    if (!(r.accuracy > 0.95)) fail_msg("accuracy %g", r.accuracy);
    sartor_context_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memorization),
        cmocka_unit_test(test_recall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
