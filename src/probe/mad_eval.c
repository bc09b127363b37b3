#include "probe/mad_eval.h"

#include <math.h>
#include <string.h>

sartor_status sr_mad_eval_create(sartor_context *ctx, sr_model *model, int64_t rows, int64_t batch,
                                 int64_t length, sr_numbers numbers, int threads, sr_mad_eval *e) {
    *e = (sr_mad_eval){.model = model, .rows = rows, .length = length, .batch = batch};
    sr_graph_options graph = {
        .numbers = numbers, .batch = rows, .length = length, .threads = threads};
    SR_TRY(sr_model_build(ctx, model, &graph, SR_GRAPH_SCORE, length, &e->graph));
    e->arena_bytes = sr_graph_arena_bytes(e->graph.graph);
    SR_TRY(sr_mad_tally_init(ctx, model->sizes.vocab, &e->of_batch));
    return sr_mad_tally_init(ctx, model->sizes.vocab, &e->of_all);
}

void sr_mad_eval_destroy(sr_mad_eval *e) {
    sr_model_graph_destroy(&e->graph);
    sr_mad_tally_free(&e->of_batch);
    sr_mad_tally_free(&e->of_all);
}

void sr_mad_eval_bind(sr_mad_eval *e, void *arena, uint16_t *rounded) {
    sr_graph_bind(
        e->graph.graph,
        &(sr_bindings){.params = e->model->params, .params_bf16 = rounded, .arena = arena});
}

/* Examples first..first + rows - 1, fewer at the end of the set, into the batch's counts. */
static void run_rows(sr_mad_eval *e, const sr_mad_set *set, int64_t first, int64_t rows) {
    sr_graph *g = e->graph.graph;
    const int64_t n = rows * e->length, all = e->rows * e->length;
    const int32_t *wanted = set->targets + first * e->length;
    int32_t *ids = sr_graph_ids_data(g, e->graph.ids);
    int32_t *targets = sr_graph_ids_data(g, e->graph.targets);
    memcpy(ids, set->inputs + first * e->length, (size_t)n * sizeof *ids);
    memcpy(targets, wanted, (size_t)n * sizeof *targets);
    for (int64_t i = n; i < all; i++) ids[i] = 0, targets[i] = SR_MAD_IGNORE;
    sr_graph_forward(g, 0);
    const sr_view scores = sr_graph_view(g, e->graph.out);
    for (int64_t i = 0; i < n; i++) {
        if (wanted[i] < 0) continue;
        const float *s = (const float *)scores.data + i * scores.stride;
        sr_mad_tally_add(&e->of_batch, wanted[i], (int32_t)s[1], (double)s[0]);
    }
}

static void average(sr_mad_score *mean, const sr_mad_score *of_batch, double weight) {
    mean->accuracy += weight * of_batch->accuracy;
    mean->accuracy_macro += weight * of_batch->accuracy_macro;
    mean->perplexity += weight * of_batch->perplexity;
}

sartor_status sr_mad_eval_run(sartor_context *ctx, sr_mad_eval *e, const sr_mad_set *set,
                              sr_mad_scores *scores) {
    *scores = (sr_mad_scores){0};
    sr_mad_tally_clear(&e->of_all);
    int64_t examples = 0; /* in batches that score something */
    for (int64_t first = 0; first < set->rows; first += e->batch) {
        const int64_t end = first + e->batch < set->rows ? first + e->batch : set->rows;
        sr_mad_tally_clear(&e->of_batch);
        for (int64_t row = first; row < end; row += e->rows) {
            if (sr_interrupted(ctx))
                return sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted while measuring");
            run_rows(e, set, row, end - row < e->rows ? end - row : e->rows);
        }
        if (e->of_batch.scored == 0) continue;
        const sr_mad_score score = sr_mad_tally_score(&e->of_batch);
        average(&scores->by_batch, &score, (double)(end - first));
        examples += end - first;
        sr_mad_tally_join(&e->of_all, &e->of_batch);
    }
    if (examples == 0) return sr_fail(ctx, SARTOR_INVALID, "the examples score no position");
    const sr_mad_score sum = scores->by_batch;
    scores->by_batch = (sr_mad_score){0};
    average(&scores->by_batch, &sum, 1 / (double)examples);
    scores->whole = sr_mad_tally_score(&e->of_all);
    return isnan(scores->whole.perplexity)
               ? sr_fail(ctx, SARTOR_NOT_FINITE, "the loss of the model is not a number")
               : SARTOR_OK;
}
