/* Featurizers 1..9, 10 and 13: the weights that make feature groups, and the groups themselves.
 *
 * Groups that read the same input are declared next to each other, so that sr_project() can make
 * them with one matrix product. Shared features are taken after convolution, RoPE and activation.
 */
#include "liv/internal.h"

#include <math.h>

sr_axis sr_model_axis(const sr_declare *d) {
    return (sr_axis){SR_AXIS_MODEL, SR_READS, SR_BETWEEN_NORM, d->sizes->width};
}

/* ---- declaring ---- */

sartor_status sr_declare_taps(sr_declare *d, sr_slot slot, const char *name, int feature, int axes,
                              const sr_axis *channels) {
    sr_axis axis[SR_MAX_AXES];
    for (int i = 0; i < axes; i++) {
        axis[i] = channels[i];
        axis[i].role = SR_ALONG;
    }
    axis[axes] = sr_unit_axis(d->unit, SR_AXIS_TAP, SR_READS, SR_BETWEEN_LINEAR);
    sr_init init = {SR_INIT_UNIFORM, 1 / sqrt((double)axis[axes].size), 0};
    return sr_declare_tensor(d, slot, name, feature, init, false, axes + 1, axis);
}

/* Slots of attention's biases. */
#define BIAS_Q SR_SLOT_OWN
#define BIAS_K (sr_slot)(SR_SLOT_OWN + 1)
#define BIAS_V (sr_slot)(SR_SLOT_OWN + 2)

static sartor_status attention_declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    const bool biases = sr_code_biases(u->class_->code);
    const sr_between value = biases ? SR_BETWEEN_OPEN : SR_BETWEEN_LINEAR;
    /* of two factors one is enough to silence new channels of a key */
    const sr_axis q[] = {sr_unit_axis(u, SR_AXIS_HEAD, SR_WRITES, value),
                         sr_unit_axis(u, SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_PRODUCT),
                         sr_model_axis(d)};
    const sr_axis k[] = {sr_unit_axis(u, SR_AXIS_KV_HEAD, SR_WRITES, value),
                         sr_unit_axis(u, SR_AXIS_KEY, SR_SILENCES, SR_BETWEEN_PRODUCT),
                         sr_model_axis(d)};
    const sr_axis v[] = {sr_unit_axis(u, SR_AXIS_KV_HEAD, SR_WRITES, value),
                         sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, value), sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "q.weight", SR_REST, SR_INIT_MATRIX, true, 3, q));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", 0, SR_INIT_MATRIX, true, 3, k));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "v.weight", 1, SR_INIT_MATRIX, true, 3, v));
    if (biases) {
        SR_TRY(sr_declare_vector(d, BIAS_Q, "q.bias", SR_REST, SR_INIT_ZERO, 2, q));
        SR_TRY(sr_declare_vector(d, BIAS_K, "k.bias", 0, SR_INIT_ZERO, 2, k));
        SR_TRY(sr_declare_vector(d, BIAS_V, "v.bias", 1, SR_INIT_ZERO, 2, v));
    }
    if (u->class_->code.featurizer != 2) return SARTOR_OK;
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_C, "q.conv", SR_REST, 2, q));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_B, "k.conv", 0, 2, k));
    return sr_declare_taps(d, SR_SLOT_CONV_V, "v.conv", 1, 2, v);
}

static sartor_status recurrence_declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    const int64_t r = u->size.axis[SR_AXIS_RANK];
    const sr_axis channel = sr_unit_axis(u, SR_AXIS_CHANNEL, SR_WRITES, SR_BETWEEN_OPEN),
                  along = sr_unit_axis(u, SR_AXIS_CHANNEL, SR_ALONG, SR_BETWEEN_OPEN),
                  reads = sr_unit_axis(u, SR_AXIS_CHANNEL, SR_READS, SR_BETWEEN_OPEN),
                  rank = sr_unit_axis(u, SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_LINEAR),
                  from_rank = sr_unit_axis(u, SR_AXIS_RANK, SR_READS, SR_BETWEEN_LINEAR),
                  in = sr_unit_axis(u, SR_AXIS_STATE, SR_WRITES, SR_BETWEEN_PRODUCT),
                  out = sr_unit_axis(u, SR_AXIS_STATE, SR_SILENCES, SR_BETWEEN_PRODUCT),
                  states = sr_unit_axis(u, SR_AXIS_STATE, SR_ALONG, SR_BETWEEN_PRODUCT);
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "x.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){channel, sr_model_axis(d)}));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "z.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){channel, sr_model_axis(d)}));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_V, "x.conv", SR_REST, 1, &channel));
    SR_TRY(sr_declare_vector(d, SR_SLOT_CONV_BIAS, "x.conv_bias", SR_REST,
                             (sr_init){SR_INIT_UNIFORM, 1 / sqrt(SR_SCAN_TAPS), 0}, 1, &channel));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT_IN, "dt_in.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){rank, reads}));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "B.weight", 0, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){in, reads}));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "C.weight", 1, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){out, reads}));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "dt.weight", SR_REST,
                             (sr_init){SR_INIT_UNIFORM, 1 / sqrt((double)r), 0}, true, 2,
                             (sr_axis[]){channel, from_rank}));
    SR_TRY(sr_declare_vector(d, SR_SLOT_DT_BIAS, "dt.bias", SR_REST,
                             (sr_init){SR_INIT_TIME_STEP, 1e-3, 0.1}, 1, &channel));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_A, "A_log", SR_REST, (sr_init){SR_INIT_LOG_RANGE, 0, 0},
                             false, 2, (sr_axis[]){along, states}));
    return sr_declare_vector(d, SR_SLOT_D, "D", SR_REST, (sr_init){SR_INIT_CONSTANT, 1, 0}, 1,
                             &along);
}

static sartor_status convolution_declare(sr_declare *d) {
    const sr_axis product = sr_unit_axis(d->unit, SR_AXIS_CHANNEL, SR_WRITES, SR_BETWEEN_PRODUCT);
    const sr_axis both[] = {product, sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "B.weight", 0, SR_INIT_MATRIX, true, 2, both));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "C.weight", 1, SR_INIT_MATRIX, true, 2, both));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "v.weight", SR_REST, SR_INIT_MATRIX, true, 2, both));
    if (d->unit->class_->code.featurizer == 8) return sr_filter_declare(d, 1, &product);
    return sr_declare_taps(d, SR_SLOT_CONV_V, "conv", SR_REST, 1, &product);
}

static sartor_status memoryless_declare(sr_declare *d) {
    const int nonlinearity = d->unit->class_->code.nonlinearity;
    const sr_between map = nonlinearity == 3 ? SR_BETWEEN_BEND : SR_BETWEEN_PRODUCT;
    const sr_axis both[] = {sr_unit_axis(d->unit, SR_AXIS_FF, SR_WRITES, map), sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "gate.weight", 0, SR_INIT_MATRIX, true, 2, both));
    return sr_declare_tensor(d, SR_SLOT_V, "value.weight", SR_REST, SR_INIT_MATRIX, true, 2, both);
}

sartor_status sr_featurizer_declare(sr_declare *d) {
    switch (d->unit->class_->family) {
    case SR_FAMILY_SA:
        return attention_declare(d);
    case SR_FAMILY_REC:
        return recurrence_declare(d);
    case SR_FAMILY_GCONV:
        return convolution_declare(d);
    default:
        return memoryless_declare(d);
    }
}

/* ---- emitting ---- */

void sr_project(sr_build *b, const sr_unit *u, int branch, sr_value x, bool real, int n,
                const sr_slot *slots, sr_value **results) {
    const sr_param *p = b->schema->param;
    for (int i = 0; i < n;) {
        int first = u->slot[branch][slots[i]];
        if (first < 0) {
            i++;
            continue;
        }
        int count = 1;
        while (i + count < n && u->slot[branch][slots[i + count]] == first + count &&
               p[first + count].cols == p[first].cols)
            count++;
        sr_value in[3] = {x, sr_graph_param(b->graph, first, count), SR_NO_VALUE};
        sr_value all = sr_graph_op(b->graph, "linear", (sr_attr){.linear = {1, real}}, in, NULL);
        int64_t column = 0;
        for (int k = 0; k < count; k++) {
            *results[i + k] = sr_graph_slice(b->graph, all, column, p[first + k].rows);
            column += p[first + k].rows;
        }
        i += count;
    }
}

sr_value sr_convolve(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot taps,
                     sr_slot bias, bool silu) {
    const sr_param *w = &b->schema->param[u->slot[branch][taps]];
    sr_value in[3] = {x, sr_weight(b, u, branch, taps),
                      bias < SR_SLOTS ? sr_weight(b, u, branch, bias) : SR_NO_VALUE};
    int state[1] = {sr_graph_state(b->graph, w->cols - 1, w->rows, true)};
    return sr_graph_op(b->graph, "conv", (sr_attr){.conv = {(int)w->cols, silu}}, in, state);
}

sr_value sr_bias(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot bias) {
    sr_value in[2] = {x, sr_weight(b, u, branch, bias)};
    return sr_graph_op(b->graph, "bias", (sr_attr){.norm = {0}}, in, NULL);
}

static sr_value rotate(sr_build *b, const sr_unit *u, int branch, sr_value x) {
    sr_value in[2] = {x, sr_weight(b, u, branch, SR_SLOT_ROPE)};
    return sr_graph_op(b->graph, "rope", (sr_attr){.rope = {(int)u->size.axis[SR_AXIS_KEY]}}, in,
                       NULL);
}

sr_value sr_shared(sr_build *b, sr_unit *u, int branch, int feature, sr_value own) {
    if (u->feature_source[feature] == u->index) {
        u->feature[branch][feature] = own;
        return own;
    }
    return b->units[u->feature_source[feature]].feature[branch][feature];
}

static sr_groups attention_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_groups g = {SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, 0};
    sr_project(b, u, branch, n, false, 3, (sr_slot[]){SR_SLOT_C, SR_SLOT_B, SR_SLOT_V},
               (sr_value *[]){&g.c, &g.b, &g.v});
    const bool makes_k = u->feature_source[0] == u->index,
               makes_v = u->feature_source[1] == u->index;
    if (sr_code_biases(u->class_->code)) {
        g.c = sr_bias(b, u, branch, g.c, BIAS_Q);
        if (makes_k) g.b = sr_bias(b, u, branch, g.b, BIAS_K);
        if (makes_v) g.v = sr_bias(b, u, branch, g.v, BIAS_V);
    }
    if (u->class_->code.featurizer == 2) {
        g.c = sr_convolve(b, u, branch, g.c, SR_SLOT_CONV_C, SR_SLOTS, false);
        if (makes_k) g.b = sr_convolve(b, u, branch, g.b, SR_SLOT_CONV_B, SR_SLOTS, false);
        if (makes_v) g.v = sr_convolve(b, u, branch, g.v, SR_SLOT_CONV_V, SR_SLOTS, false);
    }
    g.c = rotate(b, u, branch, g.c);
    if (makes_k) g.b = rotate(b, u, branch, g.b);
    g.b = sr_shared(b, u, branch, 0, g.b);
    g.v = sr_shared(b, u, branch, 1, g.v);
    const sr_value made[2] = {g.b, g.v};
    for (int f = 0; f < 2; f++) { /* caches: the source writes, readers read */
        if (u->feature_source[f] != u->index) continue;
        u->cache[branch][f] = -1;
        if (u->cache_rows[f] == 0) continue;
        const int64_t *size = u->size.axis, channels = size[f == 0 ? SR_AXIS_KEY : SR_AXIS_VALUE];
        u->cache[branch][f] =
            sr_graph_state(b->graph, u->cache_rows[f], size[SR_AXIS_KV_HEAD] * channels, true);
        if (u->cache[branch][f] < 0) continue;
        b->late[b->n_late].value = made[f];
        b->late[b->n_late++].state = u->cache[branch][f];
    }
    return g;
}

static sr_groups recurrence_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_groups g = {SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, 0};
    sr_value low_rank = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 2, (sr_slot[]){SR_SLOT_V, SR_SLOT_Z},
               (sr_value *[]){&g.v, &g.z});
    g.v = sr_convolve(b, u, branch, g.v, SR_SLOT_CONV_V, SR_SLOT_CONV_BIAS, true);
    sr_project(b, u, branch, g.v, true, 3, (sr_slot[]){SR_SLOT_DT_IN, SR_SLOT_B, SR_SLOT_C},
               (sr_value *[]){&low_rank, &g.b, &g.c});
    sr_project(b, u, branch, low_rank, true, 1, (sr_slot[]){SR_SLOT_DT}, (sr_value *[]){&g.dt});
    g.b = sr_shared(b, u, branch, 0, g.b);
    g.c = sr_shared(b, u, branch, 1, g.c);
    return g;
}

static sr_groups convolution_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_groups g = {SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, 0};
    sr_project(b, u, branch, n, false, 3, (sr_slot[]){SR_SLOT_B, SR_SLOT_C, SR_SLOT_V},
               (sr_value *[]){&g.b, &g.c, &g.v});
    g.b = sr_shared(b, u, branch, 0, g.b);
    g.c = sr_shared(b, u, branch, 1, g.c);
    return g;
}

static sr_groups memoryless_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_groups g = {SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, SR_NO_VALUE, 0};
    sr_project(b, u, branch, n, false, 2, (sr_slot[]){SR_SLOT_C, SR_SLOT_V},
               (sr_value *[]){&g.c, &g.v});
    g.c = sr_shared(b, u, branch, 0, g.c);
    g.gate_map = b->units[u->feature_source[0]].class_->code.nonlinearity;
    return g;
}

sr_groups sr_featurizer_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    switch (u->class_->family) {
    case SR_FAMILY_SA:
        return attention_emit(b, u, branch, n);
    case SR_FAMILY_REC:
        return recurrence_emit(b, u, branch, n);
    case SR_FAMILY_GCONV:
        return convolution_emit(b, u, branch, n);
    default:
        return memoryless_emit(b, u, branch, n);
    }
}
