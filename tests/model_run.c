#include "model_run.h"

#include "op/optim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

sr_model *model_make(sartor_context *ctx, const char *arch, const sr_sizes *sizes, uint64_t seed) {
    sr_genome *genome = malloc(sizeof *genome);
    sr_model *model = NULL;
    if (sr_arch_parse(ctx, arch, 0, genome) != SARTOR_OK ||
        sr_model_create(ctx, genome, sizes, &model) != SARTOR_OK ||
        sr_model_allocate(ctx, model) != SARTOR_OK)
        fail_msg("%s: %s", arch, sartor_error(ctx));
    free(genome);
    sr_model_init(model, seed);
    return model;
}

static void *room(int64_t bytes) {
    void *p = aligned_alloc(64, ((size_t)bytes + 127) / 64 * 64);
    memset(p, 0x7f, ((size_t)bytes + 127) / 64 * 64); /* nothing may rely on zeros */
    return p;
}

model_run model_run_make(sartor_context *ctx, sr_model *model, sr_numbers numbers,
                         sr_graph_purpose purpose, int64_t batch, int64_t length, bool train,
                         int threads) {
    model_run r = {.model = model, .numbers = numbers, .batch = batch, .length = length};
    sr_graph_options options = {
        .numbers = numbers, .batch = batch, .length = length, .train = train, .threads = threads};
    if (sr_model_build(ctx, model, &options, purpose, length, &r.graph) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    int64_t n = model->schema.elements;
    r.params = room(n * 8);
    r.grads = room(n * 8);
    r.rounded = room(n * 2);
    r.arena = room(sr_graph_arena_bytes(r.graph.graph));
    model_run_load(&r);
    sr_graph_bind(r.graph.graph, &(sr_bindings){.params = r.params,
                                                .params_bf16 = r.rounded,
                                                .grads = r.grads,
                                                .arena = r.arena});
    return r;
}

void model_run_load(model_run *r) {
    int64_t n = r->model->schema.elements;
    if (r->numbers == SR_TRUTH_F64)
        for (int64_t i = 0; i < n; i++) ((double *)r->params)[i] = (double)r->model->params[i];
    else
        memcpy(r->params, r->model->params, (size_t)n * sizeof(float));
    sr_to_bf16(r->model->params, r->rounded, n, 1);
}

void model_run_free(model_run *r) {
    sr_model_graph_destroy(&r->graph);
    free(r->params);
    free(r->grads);
    free(r->rounded);
    free(r->arena);
}

double model_run_go(model_run *r, const int32_t *ids, const int32_t *targets) {
    int64_t rows = r->batch * r->length, scored = 0;
    size_t bytes = (size_t)rows * sizeof *ids;
    memcpy(sr_graph_ids_data(r->graph.graph, r->graph.ids), ids, bytes);
    if (targets != NULL)
        memcpy(sr_graph_ids_data(r->graph.graph, r->graph.targets), targets, bytes);
    for (int64_t i = 0; targets != NULL && i < rows; i++) scored += targets[i] >= 0;
    sr_graph_forward(r->graph.graph, 0);
    if (targets == NULL) return 0;
    sr_graph_backward(r->graph.graph, r->graph.out, 1.0 / (double)scored, false);
    sr_view loss = sr_graph_view(r->graph.graph, r->graph.out);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        sum += r->numbers == SR_TRUTH_F64 ? ((double *)loss.data)[i * loss.stride]
                                          : (double)((float *)loss.data)[i * loss.stride];
    return sum / (double)scored;
}

double model_run_get(const model_run *r, const void *flat, int64_t i) {
    return r->numbers == SR_TRUTH_F64 ? ((const double *)flat)[i]
                                      : (double)((const float *)flat)[i];
}
