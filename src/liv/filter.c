/* The implicit long filter of featurizer 8 (Hyena, Poli et al. 2023): a small sine network of the
 * position, times an exponential window: h[s][c] = net(features(s))[c] * exp(-s |decay_c| / (P-1)).
 * It depends on parameters alone, so decoding computes it once and keeps it. */
#include "liv/internal.h"

#include <math.h>
#include <stdio.h>

sartor_status sr_filter_declare(sr_declare *d) {
    sr_axis feature = {SR_AXIS_FEATURE, SR_READS, SR_BETWEEN_LINEAR, SR_FILTER_FEATURES};
    sr_axis in = {SR_AXIS_RANK, SR_READS, SR_BETWEEN_OPEN, SR_FILTER_WIDTH};
    sr_axis out = {SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_OPEN, SR_FILTER_WIDTH};
    sr_axis along = {SR_AXIS_RANK, SR_ALONG, SR_BETWEEN_OPEN, SR_FILTER_WIDTH};
    for (int layer = 0; layer <= SR_FILTER_INNER; layer++) {
        sr_slot slot = (sr_slot)(SR_SLOT_FILTER_IN + 3 * layer);
        char name[32], level[16] = "in";
        if (layer > 0) snprintf(level, sizeof level, "%d", layer - 1);
        double reach = 1 / sqrt((double)(layer == 0 ? SR_FILTER_FEATURES : SR_FILTER_WIDTH));
        sr_init uniform = {SR_INIT_UNIFORM, reach, 0};
        snprintf(name, sizeof name, "filter.%s.weight", level);
        SR_TRY(sr_declare_tensor(d, slot, name, SR_REST, uniform, false, 2,
                                 (sr_axis[]){out, layer == 0 ? feature : in}));
        snprintf(name, sizeof name, "filter.%s.bias", level);
        SR_TRY(sr_declare_tensor(d, slot + 1, name, SR_REST, uniform, false, 1, &along));
        snprintf(name, sizeof name, "filter.%s.freq", level);
        SR_TRY(sr_declare_tensor(d, slot + 2, name, SR_REST,
                                 (sr_init){SR_INIT_CONSTANT, layer == 0 ? 10 : 1, 0}, false, 1,
                                 &along));
    }
    sr_axis channel = {SR_AXIS_CHANNEL, SR_WRITES, SR_BETWEEN_PRODUCT, d->sizes->width};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_FILTER_OUT, "filter.out.weight", SR_REST,
                             (sr_init){SR_INIT_UNIFORM, 1 / sqrt(SR_FILTER_WIDTH), 0}, false, 2,
                             (sr_axis[]){channel, in}));
    channel.role = SR_ALONG;
    return sr_declare_tensor(d, SR_SLOT_FILTER_DECAY, "filter.decay", SR_REST,
                             (sr_init){SR_INIT_LINEAR_RANGE, log(100) / 1.5, log(100) / 0.3}, false,
                             1, &channel);
}

static sr_value emit(sr_build *b, const sr_unit *u, int branch) {
    const int64_t length = b->sizes->filter_length;
    sr_graph *g = b->graph;
    sr_attr filter = {.filter = {.features = SR_FILTER_FEATURES,
                                 .period = length,
                                 .length = length,
                                 .band = u->class_->code.sparsity == 2 ? b->sizes->window : 0}};
    sr_value z = sr_graph_op(g, "position_features", filter, NULL, NULL);
    for (int layer = 0; layer <= SR_FILTER_INNER; layer++) {
        sr_slot slot = (sr_slot)(SR_SLOT_FILTER_IN + 3 * layer);
        sr_value in[3] = {z, sr_weight(b, u, branch, slot), SR_NO_VALUE};
        sr_value s[3] = {sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, in, NULL),
                         sr_weight(b, u, branch, slot + 1), sr_weight(b, u, branch, slot + 2)};
        z = sr_graph_op(g, "sine", (sr_attr){.filter = {0}}, s, NULL);
    }
    sr_value last[3] = {z, sr_weight(b, u, branch, SR_SLOT_FILTER_OUT), SR_NO_VALUE};
    sr_value h[2] = {sr_graph_op(g, "linear", (sr_attr){.linear = {1, true}}, last, NULL),
                     sr_weight(b, u, branch, SR_SLOT_FILTER_DECAY)};
    return sr_graph_op(g, "decay", filter, h, NULL);
}

/* Whether a unit's filter is one of its own: another class may band the same weights differently,
 * but weights are shared within one class only. */
static bool own_filter(const sr_unit *u) {
    return u->class_->code.featurizer == 8 && u->rest_owner == u->index;
}

static int branches(const sr_unit *u) { return u->class_->differential ? 2 : 1; }

int sr_unit_filters(const sr_unit *units, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) count += own_filter(&units[i]) ? branches(&units[i]) : 0;
    return count;
}

sr_value sr_unit_filter(sr_build *b, int n, int index) {
    for (int i = 0; i < n; i++) {
        if (!own_filter(&b->units[i])) continue;
        if (index < branches(&b->units[i])) return emit(b, &b->units[i], index);
        index -= branches(&b->units[i]);
    }
    return -1;
}

/* The filter of a branch inside a model: emitted once per owner, or taken from outside. */
sr_value sr_filter_emit(sr_build *b, sr_unit *u, int branch) {
    sr_unit *owner = &b->units[u->rest_owner];
    if (owner != u) return owner->filter[branch];
    if (!b->external_filters) return u->filter[branch] = emit(b, u, branch);
    int index = sr_unit_filters(b->units, u->index) + branch;
    return u->filter[branch] =
               sr_graph_external(b->graph, index, b->sizes->filter_length, b->sizes->width);
}
