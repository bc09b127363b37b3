#include "train/measure.h"

#include <math.h>

sartor_status sr_scorer_create(sartor_context *ctx, sr_model *model, int64_t rows, int64_t length,
                               sr_numbers numbers, int threads, sr_scorer *s) {
    *s = (sr_scorer){.model = model, .rows = rows, .length = length};
    sr_graph_options graph = {
        .numbers = numbers, .batch = rows, .length = length, .threads = threads};
    SR_TRY(sr_model_build(ctx, model, &graph, SR_GRAPH_LOSS, length, &s->graph));
    s->arena_bytes = sr_graph_arena_bytes(s->graph.graph);
    return SARTOR_OK;
}

void sr_scorer_destroy(sr_scorer *s) { sr_model_graph_destroy(&s->graph); }

void sr_scorer_bind(sr_scorer *s, void *arena, uint16_t *rounded) {
    sr_graph_bind(
        s->graph.graph,
        &(sr_bindings){.params = s->model->params, .params_bf16 = rounded, .arena = arena});
}

/* Rows behind the last window: nothing to score. */
static void fill_nothing(const sr_scorer *s, int64_t row, int32_t *ids, int32_t *targets) {
    for (int64_t i = row * s->length; i < (row + 1) * s->length; i++) {
        ids[i] = 0;
        targets[i] = -1;
    }
}

sartor_status sr_scorer_run(sartor_context *ctx, sr_scorer *s, const sr_windows *windows,
                            const sr_score_options *options, sr_score *score) {
    sr_graph *g = s->graph.graph;
    uint64_t n = windows->count;
    if (options->windows > 0 && options->windows < n) n = options->windows;
    *score = (sr_score){0, 0, 0};
    for (uint64_t first = 0; first < n; first += (uint64_t)s->rows) {
        if (options->interruptible && sr_interrupted(ctx))
            return sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted while measuring");
        int32_t *ids = sr_graph_ids_data(g, s->graph.ids);
        int32_t *targets = sr_graph_ids_data(g, s->graph.targets);
        for (int64_t row = 0; row < s->rows; row++) {
            uint64_t k = first + (uint64_t)row;
            if (k >= n) {
                fill_nothing(s, row, ids, targets);
                continue;
            }
            uint64_t index = k * (windows->count / n) + k * (windows->count % n) / n;
            sr_window_fill(windows, index, ids + row * s->length, targets + row * s->length,
                           &score->tokens, &score->bytes);
        }
        sr_graph_forward(g, 0);
        sr_view loss = sr_graph_view(g, s->graph.out);
        const float *p = loss.data;
        for (int64_t i = 0; i < loss.rows; i++) score->nats += p[i * loss.stride];
        uint64_t done = first + (uint64_t)s->rows < n ? first + (uint64_t)s->rows : n;
        if (options->progress != NULL) options->progress(options->progress_user, score, done, n);
    }
    if (!isfinite(score->nats))
        return sr_fail(ctx, SARTOR_NOT_FINITE, "the loss on the text is not finite");
    return SARTOR_OK;
}

sartor_measure sr_measure_from(const sr_score *score) {
    double loss = score->nats / (double)score->tokens;
    return (sartor_measure){.loss = loss,
                            .bits_per_byte = sr_bits_per_byte(score->nats, score->bytes),
                            .perplexity = exp(loss < 700 ? loss : 700), /* stays finite */
                            .tokens = (int64_t)score->tokens};
}
