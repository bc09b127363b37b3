#include "model/decoder.h"

#include "base/memory.h"
#include "op/optim.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const int64_t chunk_lengths[] = {256, 64, 16, 1};
enum { CHUNKS = sizeof chunk_lengths / sizeof *chunk_lengths, STEP = CHUNKS - 1 };

struct sr_decoder {
    sr_model *model;
    sr_decoder_options options;
    sr_model_graph chunk[CHUNKS]; /* built when first needed, the step at once */
    void *arena;
    int64_t arena_bytes;
    uint16_t *rounded; /* weights as bf16 */
    int filters, states;
    void **filter, **state;
    int64_t *state_bytes, cache_bytes, position;
    int64_t held; /* bytes of the blocks above */
};

/* Memory that the decoder holds until its end. */
static sartor_status hold(sartor_context *ctx, sr_decoder *d, int64_t bytes, const char *what,
                          void **out) {
    SR_TRY(sr_alloc_aligned(ctx, (size_t)bytes, 1, what, out));
    d->held += bytes;
    return SARTOR_OK;
}

static sr_graph_options graph_options(const sr_decoder *d, int64_t length) {
    return (sr_graph_options){.numbers = d->options.numbers,
                              .batch = 1,
                              .length = length,
                              .decode = true,
                              .threads = d->options.threads};
}

static void bind(sr_decoder *d, sr_graph *graph) {
    sr_graph_bind(graph, &(sr_bindings){.params = d->model->params,
                                        .params_bf16 = d->rounded,
                                        .arena = d->arena,
                                        .state = d->state,
                                        .external = d->filter,
                                        .cache = d->options.cache});
}

/* ---- what decoding needs: known without weights ---- */

static int64_t weight_bytes(const sr_decoder *d) {
    return d->model->schema.elements * (int64_t)sizeof(float);
}
static int64_t rounded_bytes(const sr_decoder *d) {
    return d->options.numbers == SR_FAST_BF16 ? d->model->schema.elements * 2 : 0;
}

/* Of ready-made filter i (sr_model_build_filters()). */
static int64_t filter_bytes(const sr_decoder *d, int i) {
    const sr_model *m = d->model;
    return sr_unit_filter_elements(&m->sizes, m->units, m->genome.n, i) * (int64_t)sizeof(float);
}

static int64_t bytes_of_state(const sr_decoder *d, int i) {
    return sr_graph_state_bytes(d->chunk[STEP].graph, i, d->options.cache);
}

/* Chunks run one after another in one arena. */
static int64_t arena_needed(const sr_decoder *d) {
    int64_t most = 0;
    for (int k = 0; k < CHUNKS; k++) {
        if (d->chunk[k].graph == NULL) continue;
        int64_t bytes = sr_graph_arena_bytes(d->chunk[k].graph);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* The chunk that n tokens begin with. */
static int first_chunk(int64_t n) {
    int k = 0;
    while (chunk_lengths[k] > n) k++;
    return k;
}

static sartor_status plan_chunk(sartor_context *ctx, sr_decoder *d, int k) {
    if (d->chunk[k].graph != NULL) return SARTOR_OK;
    sr_graph_options options = graph_options(d, chunk_lengths[k]);
    return sr_model_build(ctx, d->model, &options, SR_GRAPH_NEXT, d->options.context, &d->chunk[k]);
}

sartor_status sr_decoder_plan_bytes(sartor_context *ctx, sr_model *model,
                                    const sr_decoder_options *options, int64_t *bytes) {
    sr_decoder *d;
    SR_TRY(sr_alloc(ctx, 1, sizeof *d, "a decoder", (void **)&d));
    d->model = model;
    d->options = *options;
    sartor_status status = plan_chunk(ctx, d, STEP);
    for (int64_t n = options->context; n > 0 && status == SARTOR_OK;) {
        int k = first_chunk(n);
        status = plan_chunk(ctx, d, k);
        n -= chunk_lengths[k];
    }
    if (status == SARTOR_OK) {
        *bytes = weight_bytes(d) + rounded_bytes(d) + arena_needed(d);
        for (int i = 0; i < sr_unit_filters(model->units, model->genome.n); i++)
            *bytes += filter_bytes(d, i);
        for (int i = 0; i < sr_graph_states(d->chunk[STEP].graph); i++)
            *bytes += bytes_of_state(d, i);
    }
    sr_decoder_destroy(&d);
    return status;
}

/* ---- making one ---- */

/* Makes the graph of one chunk length; a larger arena moves all graphs. */
static sartor_status need_chunk(sartor_context *ctx, sr_decoder *d, int k) {
    if (d->chunk[k].graph != NULL) return SARTOR_OK;
    SR_TRY(plan_chunk(ctx, d, k));
    int64_t bytes = arena_needed(d);
    if (bytes > d->arena_bytes) {
        void *arena;
        sartor_status status = hold(ctx, d, bytes, "decoding", &arena);
        if (status != SARTOR_OK) {
            sr_model_graph_destroy(&d->chunk[k]);
            return status;
        }
        free(d->arena);
        d->held -= d->arena_bytes;
        d->arena = arena;
        d->arena_bytes = bytes;
    }
    for (int i = 0; i < CHUNKS; i++)
        if (d->chunk[i].graph != NULL && d->state != NULL) bind(d, d->chunk[i].graph);
    return SARTOR_OK;
}

/* Long filters depend on the weights alone: computed once. */
static sartor_status make_filters(sartor_context *ctx, sr_decoder *d) {
    d->filters = sr_unit_filters(d->model->units, d->model->genome.n);
    if (d->filters == 0) return SARTOR_OK;
    sr_value *values;
    SR_TRY(sr_alloc(ctx, (size_t)d->filters, sizeof *values, "filters", (void **)&values));
    sr_graph *graph = NULL;
    void *arena = NULL;
    sartor_status status =
        sr_alloc(ctx, (size_t)d->filters, sizeof *d->filter, "filters", (void **)&d->filter);
    if (status == SARTOR_OK)
        status = sr_model_build_filters(ctx, d->model, d->options.numbers, d->options.threads,
                                        &graph, values);
    if (status == SARTOR_OK)
        status = sr_alloc_aligned(ctx, (size_t)sr_graph_arena_bytes(graph), 1, "filters", &arena);
    if (status == SARTOR_OK) {
        sr_graph_bind(
            graph,
            &(sr_bindings){.params = d->model->params, .params_bf16 = d->rounded, .arena = arena});
        sr_graph_forward(graph, 0);
    }
    for (int i = 0; i < d->filters && status == SARTOR_OK; i++) {
        const int64_t bytes = filter_bytes(d, i);
        status = hold(ctx, d, bytes, "filters", &d->filter[i]);
        if (status == SARTOR_OK)
            memcpy(d->filter[i], sr_graph_view(graph, values[i]).data, (size_t)bytes);
    }
    sr_graph_destroy(&graph);
    free(arena);
    free(values);
    return status;
}

static sartor_status make_states(sartor_context *ctx, sr_decoder *d) {
    d->states = sr_graph_states(d->chunk[STEP].graph);
    SR_TRY(
        sr_alloc(ctx, (size_t)d->states, sizeof *d->state, "the decode state", (void **)&d->state));
    SR_TRY(sr_alloc(ctx, (size_t)d->states, sizeof *d->state_bytes, "the decode state",
                    (void **)&d->state_bytes));
    for (int i = 0; i < d->states; i++) {
        d->state_bytes[i] = bytes_of_state(d, i);
        d->cache_bytes += d->state_bytes[i];
        SR_TRY(hold(ctx, d, d->state_bytes[i], "the decode state", &d->state[i]));
    }
    return SARTOR_OK;
}

sartor_status sr_decoder_create(sartor_context *ctx, sr_model *model,
                                const sr_decoder_options *options, sr_decoder **decoder) {
    *decoder = NULL;
    sr_decoder *d;
    SR_TRY(sr_alloc(ctx, 1, sizeof *d, "a decoder", (void **)&d));
    d->model = model;
    d->options = *options;
    sartor_status status = SARTOR_OK;
    if (options->numbers == SR_FAST_BF16) {
        status = hold(ctx, d, rounded_bytes(d), "bf16 weights", (void **)&d->rounded);
        if (status == SARTOR_OK)
            sr_to_bf16(model->params, d->rounded, model->schema.elements, options->threads);
    }
    if (status == SARTOR_OK) status = make_filters(ctx, d);
    if (status == SARTOR_OK) status = need_chunk(ctx, d, STEP);
    if (status == SARTOR_OK) status = make_states(ctx, d);
    if (status == SARTOR_OK)
        bind(d, d->chunk[STEP].graph);
    else
        sr_decoder_destroy(&d);
    *decoder = d;
    return status;
}

void sr_decoder_destroy(sr_decoder **decoder) {
    sr_decoder *d = *decoder;
    if (d == NULL) return;
    for (int i = 0; i < CHUNKS; i++) sr_model_graph_destroy(&d->chunk[i]);
    for (int i = 0; i < d->filters && d->filter != NULL; i++) free(d->filter[i]);
    for (int i = 0; i < d->states && d->state != NULL; i++) free(d->state[i]);
    free(d->filter);
    free(d->state);
    free(d->state_bytes);
    free(d->arena);
    free(d->rounded);
    free(d);
    *decoder = NULL;
}

sartor_status sr_decoder_feed(sartor_context *ctx, sr_decoder *d, const int32_t *ids, int64_t n,
                              const float **logits) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= d->model->sizes.vocab)
            return sr_fail(ctx, SARTOR_INVALID, "token %d is not in the vocabulary of %" PRId64,
                           ids[i], d->model->sizes.vocab);
    while (n > 0) {
        int k = first_chunk(n);
        SR_TRY(need_chunk(ctx, d, k));
        sr_model_graph *c = &d->chunk[k];
        memcpy(sr_graph_ids_data(c->graph, c->ids), ids, (size_t)chunk_lengths[k] * sizeof *ids);
        sr_graph_forward(c->graph, d->position);
        d->position += chunk_lengths[k];
        ids += chunk_lengths[k];
        n -= chunk_lengths[k];
        *logits = sr_graph_view(c->graph, c->out).data;
    }
    return SARTOR_OK;
}

void sr_decoder_reset(sr_decoder *d) {
    for (int i = 0; i < d->states; i++) memset(d->state[i], 0, (size_t)d->state_bytes[i]);
    d->position = 0;
}

int64_t sr_decoder_position(const sr_decoder *d) { return d->position; }
int64_t sr_decoder_cache_bytes(const sr_decoder *d) { return d->cache_bytes; }
int64_t sr_decoder_bytes(const sr_decoder *d) { return weight_bytes(d) + d->held; }
