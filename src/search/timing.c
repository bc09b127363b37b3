#include "search/timing.h"

#include "base/clock.h"
#include "base/memory.h"
#include "train/settings.h"

#include <stdlib.h>

enum { MOST_ROWS = 4, REPEATS = 2 };

/* Any tokens: times do not depend on them. */
static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    const sr_trainer_options *o = user;
    for (int64_t i = 0; i < o->rows * o->length; i++) {
        ids[i] = (int32_t)((i * 7 + step + micro) % 2);
        targets[i] = (int32_t)((i * 5) % 2);
    }
    return o->rows * o->length;
}

/* The quickest of a few steps, per token. */
static sartor_status time_genome(sartor_context *ctx, const sr_search_settings *s,
                                 const sr_genome *genome, double *seconds) {
    sr_model *model = NULL;
    sr_trainer *trainer = NULL;
    sr_trainer_options o = {.rows = s->batch < MOST_ROWS ? s->batch : MOST_ROWS,
                            .length = s->sizes.context,
                            .accumulate = 1,
                            .numbers = sr_numbers_from(s->precision),
                            .threads = s->threads,
                            .clip = 1,
                            .schedule = {.peak = 1e-4, .totals = 1, .total = {100}}};
    sr_task task = {.fill = fill, .user = &o};
    sartor_status status = sr_model_create(ctx, genome, &s->sizes, &model);
    if (status == SARTOR_OK) status = sr_trainer_create(ctx, model, &o, &trainer);
    if (status == SARTOR_OK) status = sr_trainer_allocate(ctx, trainer);
    if (status == SARTOR_OK) {
        sr_model_init(model, 1);
        sr_trainer_refresh(trainer);
    }
    *seconds = 1e30;
    for (int i = 0; status == SARTOR_OK && i <= REPEATS; i++) {
        sr_step step;
        double start = sr_seconds();
        status = sr_trainer_step(ctx, trainer, &task, &step);
        double spent = (sr_seconds() - start) / (double)(o.rows * o.length);
        if (i > 0 && spent < *seconds) *seconds = spent;
        if (status == SARTOR_OK && sr_interrupted(ctx))
            status = sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted before the search began");
    }
    sr_trainer_destroy(&trainer);
    sr_model_destroy(&model);
    return status;
}

sartor_status sr_timing_measure(sartor_context *ctx, const sr_search_settings *s, sr_timing *t) {
    *t = (sr_timing){0};
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status = SARTOR_OK;
    double base = 1e30;
    for (int c = 1; status == SARTOR_OK && c <= sr_class_count(); c++) {
        if (!s->star.pool.has[c]) continue;
        double one, two;
        *genome = (sr_genome){.n = 1, .liv = {{c, 1, 1, 1, 1}, {c, 1, 1, 1, 1}}};
        status = time_genome(ctx, s, genome, &one);
        genome->n = 2;
        if (status == SARTOR_OK) status = time_genome(ctx, s, genome, &two);
        if (status != SARTOR_OK) break;
        t->liv[c] = two > one ? two - one : 0;
        if (one - t->liv[c] < base) base = one - t->liv[c];
    }
    t->base = base > 0 && base < 1e29 ? base : 0;
    free(genome);
    return status;
}

double sr_timing_of(const sr_timing *t, const sr_genome *genome) {
    double seconds = t->base;
    for (int i = 0; i < genome->n; i++) seconds += t->liv[genome->liv[i].liv_class];
    return seconds;
}

json_t *sr_timing_json(const sr_timing *t) {
    json_t *classes = json_object(), *root = NULL;
    for (int c = 1; classes != NULL && c <= sr_class_count(); c++)
        if (t->liv[c] > 0)
            (void)json_object_set_new(classes, sr_class_get(c)->name, json_real(t->liv[c]));
    root = json_pack("{s:f, s:o}", "base", t->base, "livs", classes);
    return root;
}

bool sr_timing_read(const char *text, sr_timing *t) {
    *t = (sr_timing){0};
    json_t *root = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *classes = json_object_get(root, "livs");
    t->base = json_number_value(json_object_get(root, "base"));
    for (int c = 1; c <= sr_class_count(); c++)
        t->liv[c] = json_number_value(json_object_get(classes, sr_class_get(c)->name));
    bool good = json_is_object(classes);
    json_decref(root);
    return good;
}

sartor_status sr_expected_work(sartor_context *ctx, sr_study *study, const sr_genome *genome,
                               double flops_per_token, int64_t tokens, double *work) {
    static const double flops_per_second = 3e10; /* of a step, three times a forward pass */
    char *text;
    sr_timing timing;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_TIMING, &text));
    *work = sr_timing_read(text, &timing) ? sr_timing_of(&timing, genome)
                                          : 3 * flops_per_token / flops_per_second;
    *work *= (double)tokens;
    free(text);
    return SARTOR_OK;
}
