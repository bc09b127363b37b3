/* Checkpoints that are grown as files (sartor_grow) between two parts of a run: the run goes on,
 * the way back, the generations of the weights. */
#include "model/file.h"
#include "run_tools.h"
#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 20, FIRST = 8 }; /* of the run; before the growth */

static void grow_file(const char *model, const char *out, const char *request,
                      sartor_status expected) {
    const sartor_grow_item item = {"width", request};
    sartor_grow_options o;
    sartor_grow_result r;
    sartor_grow_defaults(&o);
    o.model = model;
    o.out = out;
    o.items = &item;
    o.n_items = request != NULL;
    o.undo = request == NULL;
    o.threads = 1;
    if (sartor_grow(ctx, &o, &r) != expected) fail_msg("%s", sartor_error(ctx));
    sartor_grow_release(&r);
}

static double loss_of(const char *out, int64_t step) {
    char path[256], line[2048];
    double loss = NAN;
    snprintf(path, sizeof path, "%s/metrics.jsonl", out);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        int64_t found = 0;
        sscanf(line, "{\"step\": %" SCNd64, &found);
        const char *at = strstr(line, "\"loss\": ");
        if (found == step && at != NULL) loss = strtod(at + 8, NULL);
    }
    fclose(f);
    return loss;
}

static void same_files(const char *a, const char *b) {
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    assert_true(f != NULL && g != NULL);
    for (int x = 0, y = 0; x != EOF;) {
        x = fgetc(f);
        y = fgetc(g);
        assert_int_equal(x, y);
    }
    fclose(f);
    fclose(g);
}

/* What a grown model is good for. */
static void use_model(const char *path, const sartor_train_options *run) {
    sartor_model *model;
    sartor_measure m;
    sartor_generation text;
    sartor_eval_options e;
    sartor_generate_options g;
    sartor_eval_defaults(&e);
    e.text = run->text;
    e.split = SARTOR_SPLIT_VALIDATION;
    e.threads = 1;
    sartor_generate_defaults(&g);
    g.prompt = "the tailor";
    g.tokens = 40; /* beyond the context of 32 */
    g.threads = 1;
    assert_int_equal(sartor_model_load(ctx, path, &model), SARTOR_OK);
    assert_int_equal(sartor_eval(ctx, model, &e, &m), SARTOR_OK);
    assert_true(isfinite(m.loss) && m.loss < 5);
    assert_int_equal(sartor_generate(ctx, model, &g, &text), SARTOR_OK);
    assert_true(text.tokens >= 1);
    sartor_generation_release(&text);
    sartor_model_destroy(&model);
}

static void test_elsewhere(void **state) {
    (void)state;
    const char *ungrown = out_folder("ungrown"), *grown = out_folder("grown");
    char before[192], after[192], back[192];
    snprintf(before, sizeof before, "%s/checkpoint.safetensors", ungrown);
    snprintf(after, sizeof after, "%s/checkpoint.safetensors", grown);
    snprintf(back, sizeof back, "%s/back.safetensors", root);
    sartor_train_options o = small_run(ungrown, STEPS);
    run_part(&o, &(sr_run_limits){.pause = FIRST});
    assert_int_equal(mkdir(grown, 0777), 0);
    grow_file(before, after, "47", SARTOR_OK);
    grow_file(after, back, NULL, SARTOR_OK);
    same_files(before, back);
    run_to_end(&o);

    o.out = grown;
    for (int64_t step = FIRST + 1; step <= FIRST + 3; step++) {
        run_part(&o, &(sr_run_limits){.pause = step});
        use_model(after, &o);
    }
    assert_int_equal(unlink(back), 0);
    grow_file(after, back, NULL, SARTOR_MISMATCH); /* trained: no way back */
    assert_int_not_equal(access(back, F_OK), 0);
    const sartor_measure m = run_to_end(&o);
    assert_int_equal(m.tokens, STEPS * 4 * 32);
    use_model(grown, &o);
    /* The loss of a step is that of the weights before it. */
    const double a = loss_of(ungrown, FIRST + 1), b = loss_of(grown, FIRST + 1);
    if (!(fabs(a - b) <= 1e-5)) fail_msg("loss %.9g, grown %.9g", a, b);
    for (int64_t step = FIRST + 1; step <= STEPS; step++)
        if (isnan(loss_of(grown, step))) fail_msg("no line of step %d", (int)step);
    assert_true(isnan(loss_of(grown, FIRST)));
    assert_true(loss_of(grown, STEPS) != loss_of(ungrown, STEPS));
}

/* How many weights of a checkpoint are of each generation. */
static void count_generations(const char *path, int64_t of[3]) {
    sr_st_reader *reader;
    sr_model *model;
    if (sr_model_open(ctx, path, &reader, &model) != SARTOR_OK) fail_msg("%s", sartor_error(ctx));
    const int64_t n = model->schema.elements;
    uint8_t *generation = calloc((size_t)n, 1);
    of[0] = n, of[1] = of[2] = 0;
    if (sr_st_find(reader, "adam.generation.embed.weight") != NULL) {
        if (sr_model_read_bytes(ctx, reader, model, sr_generation_prefix, generation) != SARTOR_OK)
            fail_msg("%s", sartor_error(ctx));
        of[0] = 0;
        for (int64_t i = 0; i < n; i++) of[generation[i]]++;
    }
    free(generation);
    sr_model_destroy(&model);
    sr_st_close(&reader);
}

/* Every growth of a file is a generation, and leaves those before it; undoing it gives the file
 * before, with the generations that it had. */
static void test_generations_of_files(void **state) {
    (void)state;
    const char *out = out_folder("generations");
    char file[3][192];
    int64_t first[3], second[3], third[3];
    snprintf(file[0], sizeof file[0], "%s/checkpoint.safetensors", out);
    snprintf(file[1], sizeof file[1], "%s/once.safetensors", root);
    snprintf(file[2], sizeof file[2], "%s/twice.safetensors", root);
    sartor_train_options o = small_run(out, STEPS);
    run_part(&o, &(sr_run_limits){.pause = FIRST});
    grow_file(file[0], file[1], "40", SARTOR_OK);
    grow_file(file[1], file[2], "+9", SARTOR_OK);
    count_generations(file[0], first);
    count_generations(file[1], second);
    count_generations(file[2], third);
    assert_int_equal(second[0], first[0]);
    assert_true(second[1] > 0 && second[2] == 0);
    assert_int_equal(third[0], first[0]);
    assert_int_equal(third[1], second[1]);
    assert_true(third[2] > 0);
    for (int i = 2; i > 0; i--) { /* and back, one by one */
        char back[192];
        snprintf(back, sizeof back, "%s/back%d.safetensors", root, i);
        grow_file(file[i], back, NULL, SARTOR_OK);
        same_files(file[i - 1], back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_generations_of_files),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
