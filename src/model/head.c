#include "model/head.h"

#include <math.h>
#include <stdio.h>

typedef struct declaring {
    sartor_context *ctx;
    sr_schema *schema;
} declaring;

static sartor_status add(const declaring *d, const char *name, sr_init init, bool trained, int axes,
                         const sr_axis *axis, int *number) {
    sr_param p = {.axes = axes,
                  .init = init,
                  .decay = axes > 1,
                  .trained = trained,
                  .embedding = axis->kind == SR_AXIS_VOCAB};
    snprintf(p.name, sizeof p.name, "%s", name);
    for (int i = 0; i < axes; i++) p.axis[i] = axis[i];
    *number = sr_schema_add(d->ctx, d->schema, &p);
    return *number < 0 ? SARTOR_MEMORY : SARTOR_OK;
}

/* The decoder is as wide as the stream, which its first layer reads: all its axes are the model's.
 */
sartor_status sr_head_declare(sartor_context *ctx, sr_schema *schema, const sr_sizes *sizes,
                              sr_sequence_head *head) {
    const declaring d = {ctx, schema};
    const sr_init one = {SR_INIT_CONSTANT, 1, 0}, zero = {SR_INIT_CONSTANT, 0, 0};
    const sr_init normal = {SR_INIT_NORMAL, 0.02, 0};
    const int64_t half = sizes->width / 2;
    /* 10000^(-i / (half - 1)) for i = 0..half - 1, which SR_INIT_FREQUENCIES counts over half. */
    const double base = half > 1 ? pow(10000, (double)half / (double)(half - 1)) : 1;
    const sr_axis waves = {SR_AXIS_FEATURE, SR_ALONG, SR_BETWEEN_LINEAR, half};
    SR_TRY(add(&d, "decoder.freq", (sr_init){SR_INIT_FREQUENCIES, base, 0}, false, 1, &waves,
               &head->frequencies));
    const sr_axis along = {SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_OPEN, sizes->width};
    const sr_axis square[2] = {{SR_AXIS_MODEL, SR_WRITES, SR_BETWEEN_OPEN, sizes->width},
                               {SR_AXIS_MODEL, SR_READS, SR_BETWEEN_NORM, sizes->width}};
    for (int i = 0; i < SR_HEAD_LAYERS; i++) {
        char name[SR_PARAM_NAME];
        snprintf(name, sizeof name, "decoder.%d.norm.gain", i);
        SR_TRY(add(&d, name, one, true, 1, &along, &head->norm[i]));
        snprintf(name, sizeof name, "decoder.%d.weight", i);
        SR_TRY(add(&d, name, normal, true, 2, square, &head->weight[i]));
        snprintf(name, sizeof name, "decoder.%d.bias", i);
        SR_TRY(add(&d, name, zero, true, 1, &along, &head->bias[i]));
    }
    const sr_axis tokens = {SR_AXIS_VOCAB, SR_ALONG, SR_BETWEEN_OPEN, sizes->vocab};
    return add(&d, "unembed.bias", zero, true, 1, &tokens, &head->unembed_bias);
}

sr_value sr_head_emit(const sr_sequence_head *head, sr_graph *g, sr_value x) {
    const sr_attr none = {.filter = {0}};
    sr_value state[2] = {sr_graph_op(g, "tail", none, &x, NULL),
                         sr_graph_param(g, head->frequencies, 1)};
    x = sr_graph_op(g, "positions", none, state, NULL);
    for (int i = 0; i < SR_HEAD_LAYERS; i++) {
        sr_value norm[2] = {x, sr_graph_param(g, head->norm[i], 1)};
        sr_value linear[3] = {
            sr_graph_op(g, "rmsnorm", (sr_attr){.norm = {SR_NORM_EPSILON, 0}}, norm, NULL),
            sr_graph_param(g, head->weight[i], 1), SR_NO_VALUE};
        sr_value map[2] = {sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, linear, NULL),
                           sr_graph_param(g, head->bias[i], 1)};
        x = sr_graph_op(g, "activate", (sr_attr){.activate = {SR_MAP_GELU}}, map, NULL);
    }
    return x;
}
