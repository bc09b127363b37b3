/* Jobs that train: trials of the search, and finals. An attempt's folder is that of a training run
 * (sartor_train()). */
#define _GNU_SOURCE
#include "search/jobs.h"

#include "model/cost.h"
#include "train/run.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CURVE_POINTS = 64, MAX_LINE = 1024 };
static const double checkpoint_seconds = 5;

static const sr_attempt_file run_files[] = {{"checkpoint.safetensors", false},
                                            {"state.safetensors", false},
                                            {"model.safetensors", false},
                                            {"metrics.jsonl", true}};

/* ---- curves ---- */

/* Validated steps and about CURVE_POINTS others: [step, tokens, loss, bpb]. */
static json_t *read_curve(const char *folder, int64_t steps) {
    char *path = NULL, line[MAX_LINE];
    json_t *curve = json_array();
    FILE *f = asprintf(&path, "%s/metrics.jsonl", folder) < 0 ? NULL : fopen(path, "r");
    int64_t every = steps / CURVE_POINTS + 1;
    while (curve != NULL && f != NULL && fgets(line, sizeof line, f) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        json_int_t step = json_integer_value(json_object_get(row, "step"));
        json_t *validation = json_object_get(row, "validation_bits_per_byte");
        if (step == 1 || step == steps || step % every == 0 || validation != NULL)
            (void)json_array_append_new(curve, json_pack("[I, O, O, O?]", step,
                                                         json_object_get(row, "tokens"),
                                                         json_object_get(row, "loss"), validation));
        json_decref(row);
    }
    if (f != NULL) fclose(f);
    free(path);
    return curve;
}

/* The last point carries the final measure, which reads more text than those on the way. */
static void end_curve(json_t *curve, const sartor_measure *measure) {
    size_t n = json_array_size(curve);
    if (n > 0)
        (void)json_array_set_new(json_array_get(curve, n - 1), 3,
                                 json_real(measure->bits_per_byte));
}

static double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

sartor_status sr_curve_store(sartor_context *ctx, sr_study *study, int64_t job,
                             const json_t *curve) {
    size_t i;
    const json_t *p;
    json_array_foreach(curve, i, p) SR_TRY(
        sr_curve_add(ctx, study, job, json_integer_value(json_array_get(p, 0)),
                     json_integer_value(json_array_get(p, 1)), number_or_nan(json_array_get(p, 2)),
                     number_or_nan(json_array_get(p, 3))));
    return SARTOR_OK;
}

/* ---- training ---- */

static void publish(void *user, int64_t step, int64_t steps, double loss) {
    sr_worker_progress(user, step, steps, loss);
}

/* The engine would say so too, but in terms of the machine; the study's limit is a setting. */
static sartor_status check_memory(sartor_context *ctx, const sr_search_settings *s,
                                  const char *genome) {
    int64_t bytes = 0;
    sr_model *model = NULL;
    sr_genome *parsed = malloc(sizeof *parsed);
    if (parsed == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sartor_status status = sr_genome_parse(ctx, genome, strlen(genome), parsed);
    if (status == SARTOR_OK) status = sr_model_create(ctx, parsed, &s->sizes, &model);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(ctx, model, s->batch, s->sizes.context,
                                      sr_numbers_from(s->precision), s->threads, &bytes);
    sr_model_destroy(&model);
    free(parsed);
    if (status == SARTOR_OK && s->memory_limit > 0 && bytes > s->memory_limit)
        status = sr_fail(ctx, SARTOR_INVALID,
                         "training needs %" PRId64 " MiB, the study allows %" PRId64
                         " MiB (its setting memory)",
                         bytes >> 20, s->memory_limit >> 20);
    return status;
}

sartor_status sr_train_job(sartor_context *ctx, sr_worker *worker, sr_search *search,
                           const sr_job *job, const sr_training *training,
                           sartor_measure *measure) {
    const sr_search_settings *s = &search->settings;
    sr_study *study = sr_worker_study(worker);
    SR_TRY(check_memory(ctx, s, training->genome));
    SR_TRY(sr_study_text_open(ctx, study, &search->text, SR_TRAIN | SR_VAL));
    char *folder;
    SR_TRY(sr_attempt_begin(ctx, study, job, run_files, 4, &folder));
    sartor_train_options o;
    sartor_train_defaults(&o);
    o.arch = training->genome;
    o.sizes = (sartor_sizes){.livs = s->livs,
                             .width = s->sizes.width,
                             .head_dim = s->sizes.head_dim,
                             .window = s->sizes.window,
                             .context = s->sizes.context,
                             .vocab = s->sizes.vocab,
                             .tie_embeddings = s->sizes.tied};
    o.out = folder;
    o.batch = s->batch;
    o.tokens = training->tokens;
    o.learning_rate = s->learning_rate;
    o.precision = s->precision;
    o.threads = s->threads;
    o.seed = training->seed;
    sr_run_limits limits = {.validation_tokens = s->validation_tokens,
                            .checkpoint_seconds = checkpoint_seconds,
                            .before_step = publish,
                            .user = worker};
    sartor_status status = sr_run_train(ctx, &o, &search->text.corpus, &limits, measure);
    if (status == SARTOR_OK) {
        int64_t each = o.batch * o.sizes.context;
        json_decref(search->curve);
        search->curve = read_curve(folder, (training->tokens - 1) / each + 1);
        end_curve(search->curve, measure);
        sr_attempt_forget_earlier(study, job);
        char *state = NULL;
        if (asprintf(&state, "%s/state.safetensors", folder) >= 0) (void)unlink(state);
        free(state);
    }
    free(folder);
    return status;
}
