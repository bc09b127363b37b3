#include "train/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "op/optim.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>

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

/* ---- a whole stream ---- */

typedef struct measuring {
    sartor_context *ctx;
    sr_model *model;
    const sr_measure_options *options;
    sr_windows windows;
    sr_scorer scorer;
    void *arena;
    uint16_t *rounded;
    bool sampled;
    int64_t peak_anonymous;
} measuring;

static void sample_memory(measuring *m) {
    int64_t bytes = sr_anonymous_bytes();
    if (bytes > m->peak_anonymous) m->peak_anonymous = bytes;
}

static void watch(void *user, const sr_score *so_far, uint64_t window, uint64_t windows) {
    measuring *m = user;
    if (!m->sampled || window == windows) sample_memory(m);
    m->sampled = true;
    if (m->options->progress != NULL)
        m->options->progress(m->options->progress_user, so_far, window, windows);
}

static sartor_status allocate(measuring *m, int64_t batch, int64_t context) {
    const sr_measure_options *o = m->options;
    const int64_t n = m->model->schema.elements;
    SR_TRY(sr_scorer_create(m->ctx, m->model, batch, context, o->numbers, o->threads, &m->scorer));
    SR_TRY(sr_check_memory(m->ctx, m->scorer.arena_bytes + n * 6, "measuring",
                           "a smaller --batch or --context needs less"));
    SR_TRY(
        sr_alloc_aligned(m->ctx, (size_t)m->scorer.arena_bytes, 1, "the activations", &m->arena));
    if (o->numbers == SR_FAST_BF16) {
        SR_TRY(sr_alloc_aligned(m->ctx, (size_t)n, 2, "the bf16 weights", (void **)&m->rounded));
        sr_to_bf16(m->model->params, m->rounded, n, o->threads);
    }
    sr_scorer_bind(&m->scorer, m->arena, m->rounded);
    return SARTOR_OK;
}

static sartor_status score_all(measuring *m, sartor_measure *result) {
    sr_score score;
    sr_score_options options = {.interruptible = true, .progress = watch, .progress_user = m};
    double started = sr_seconds();
    SR_TRY(sr_scorer_run(m->ctx, &m->scorer, &m->windows, &options, &score));
    *result = sr_measure_from(&score);
    result->seconds = sr_seconds() - started;
    result->tokens_per_second = (double)result->tokens / (result->seconds + 1e-9);
    result->peak_rss_bytes = sr_peak_rss_bytes();
    result->peak_anonymous_bytes = m->peak_anonymous;
    return SARTOR_OK;
}

sartor_status sr_measure_tokens(sartor_context *ctx, sr_model *model, const sr_tokenizer *tokenizer,
                                const sr_tokens *tokens, const sr_measure_options *options,
                                sartor_measure *result) {
    measuring m = {.ctx = ctx, .model = model, .options = options};
    /* One window holds a short text; what lies behind its end would be computed for nothing. */
    int64_t context = options->context, batch = options->batch;
    if ((uint64_t)context > tokens->count - 1) context = (int64_t)tokens->count - 1;
    sartor_status status = sr_windows_init(ctx, tokens, tokenizer, (int32_t)context, &m.windows);
    if (status == SARTOR_OK) {
        if ((uint64_t)batch > m.windows.count) batch = (int64_t)m.windows.count;
        status = allocate(&m, batch, context);
    }
    if (status == SARTOR_OK) status = score_all(&m, result);
    sr_scorer_destroy(&m.scorer);
    free(m.arena);
    free(m.rounded);
    return status;
}
