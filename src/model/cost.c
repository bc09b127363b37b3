#include "model/cost.h"

sartor_status sr_model_cost(sartor_context *ctx, sr_model *m, sr_cost *cost) {
    cost->backbone = sr_schema_backbone(&m->schema);
    cost->embedding = sr_schema_embedding(&m->schema);
    /* Truths need no primitives: planning them is cheap at any size. */
    sr_graph_options options = {
        .numbers = SR_TRUTH_F32, .batch = 1, .length = m->sizes.context, .threads = 1};
    sr_model_graph g;
    SR_TRY(sr_model_build(ctx, m, &options, SR_GRAPH_LOSS, m->sizes.context, &g));
    cost->flops_per_token = sr_graph_flops(g.graph) / (double)m->sizes.context;
    sr_model_graph_destroy(&g);
    cost->cache_bytes = 0;
    if (m->sizes.head == SR_HEAD_SEQUENCE) return SARTOR_OK; /* it does not decode */
    options.length = 1;
    options.decode = true;
    SR_TRY(sr_model_build(ctx, m, &options, SR_GRAPH_NEXT, m->sizes.context, &g));
    for (int i = 0; i < sr_graph_states(g.graph); i++)
        cost->cache_bytes += sr_graph_state_bytes(g.graph, i, SR_F16);
    sr_model_graph_destroy(&g);
    return SARTOR_OK;
}

sartor_status sr_model_train_bytes(sartor_context *ctx, sr_model *m, int64_t batch, int64_t length,
                                   sr_numbers numbers, int threads, int64_t *bytes) {
    sr_graph_options options = {
        .numbers = numbers, .batch = batch, .length = length, .train = true, .threads = threads};
    sr_model_graph g;
    SR_TRY(sr_model_build(ctx, m, &options, SR_GRAPH_LOSS, length, &g));
    int64_t each = 4 * (int64_t)sizeof(float) + (numbers == SR_FAST_BF16 ? 2 : 0);
    *bytes = sr_graph_arena_bytes(g.graph) + m->schema.elements * each;
    sr_model_graph_destroy(&g);
    return SARTOR_OK;
}
