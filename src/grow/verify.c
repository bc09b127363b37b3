#include "grow/verify.h"

#include "base/memory.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

typedef struct pass {
    sr_model_graph graph;
    void *arena;
} pass;

static void pass_free(pass *p) {
    sr_model_graph_destroy(&p->graph);
    free(p->arena);
}

static sartor_status pass_run(sartor_context *ctx, sr_model *m, int64_t tokens, uint64_t seed,
                              int threads, pass *p) {
    const sr_graph_options options = {
        .numbers = SR_FAST_F32, .batch = 1, .length = tokens, .threads = threads};
    const sr_rng rng = {seed, SR_FOR_VERIFY, 0};
    SR_TRY(sr_model_build(ctx, m, &options, SR_GRAPH_LOGITS, tokens, &p->graph));
    sr_graph *g = p->graph.graph;
    SR_TRY(sr_alloc_aligned(ctx, (size_t)sr_graph_arena_bytes(g), 1, "the activations", &p->arena));
    sr_graph_bind(g, &(sr_bindings){.params = m->params, .arena = p->arena});
    int32_t *ids = sr_graph_ids_data(g, p->graph.ids);
    for (int64_t i = 0; i < tokens; i++)
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)i, (uint64_t)m->sizes.vocab);
    sr_graph_forward(g, 0);
    return SARTOR_OK;
}

static void compare(const pass *a, const pass *b, sr_logit_difference *d) {
    const sr_view x = sr_graph_view(a->graph.graph, a->graph.out),
                  y = sr_graph_view(b->graph.graph, b->graph.out);
    *d = (sr_logit_difference){0, 0};
    for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < x.cols; j++) {
            const double u = (double)((const float *)x.data)[i * x.stride + j],
                         v = (double)((const float *)y.data)[i * y.stride + j];
            if (!(fabs(u - v) <= d->worst) && !isnan(d->worst)) d->worst = fabs(u - v);
            d->largest = fmax(d->largest, fabs(u));
        }
}

sartor_status sr_compare_logits(sartor_context *ctx, sr_model *a, sr_model *b, int64_t tokens,
                                uint64_t seed, int threads, sr_logit_difference *difference) {
    pass x = {.arena = NULL}, y = {.arena = NULL};
    sartor_status status = pass_run(ctx, a, tokens, seed, threads, &x);
    if (status == SARTOR_OK) status = pass_run(ctx, b, tokens, seed, threads, &y);
    if (status == SARTOR_OK) compare(&x, &y, difference);
    pass_free(&x);
    pass_free(&y);
    return status;
}
