/* Token mixings: diagonal, low rank (attention), scaled Toeplitz (convolution), semi-separable. */
#include "liv/internal.h"

#include <math.h>

/* C_i B_j, banded or not, with or without a nonlinearity. Where nothing stands between the factors
 * the sum over j is a running state and the cost linear in length. */
static sr_value low_rank(sr_build *b, const sr_unit *u, int branch, const sr_groups *g) {
    const sr_code code = u->class_->code;
    sr_heads h = sr_unit_heads(u->class_, b->sizes);
    sr_attr attr = {.attention = {.heads = h.heads,
                                  .kv_heads = h.kv_heads,
                                  .head_dim = h.head_dim,
                                  .value_dim = h.head_dim,
                                  .window = code.sparsity == 2 ? b->sizes->window : 0,
                                  .map = (sr_map_kind)code.nonlinearity,
                                  .scale = 1 / sqrt((double)h.head_dim)}};
    sr_value in[3] = {g->c, g->b, g->v};
    if (code.nonlinearity == SR_MAP_NONE && code.sparsity == 1) {
        int state[1] = {sr_graph_state(b->graph, h.head_dim, h.kv_heads * h.head_dim, false)};
        return sr_graph_op(b->graph, "linear_attention", attr, in, state);
    }
    int state[2];
    for (int f = 0; f < 2; f++) state[f] = b->units[u->feature_source[f]].cache[branch][f];
    return sr_graph_op(b->graph, "attention", attr, in, state);
}

sr_value sr_map(sr_build *b, sr_value x, int map) {
    return sr_graph_op(b->graph, "activate", (sr_attr){.activate = {(sr_map_kind)map}},
                       (sr_value[]){x, SR_NO_VALUE}, NULL);
}

sr_value sr_gate(sr_build *b, sr_value first, sr_value second, int map) {
    sr_value in[2] = {first, second};
    return sr_graph_op(b->graph, "gate", (sr_attr){.gate = {(sr_map_kind)map}}, in, NULL);
}

/* C_i K_(i-j) B_j: gates around a short explicit or a long implicit convolution. */
static sr_value toeplitz(sr_build *b, sr_unit *u, int branch, const sr_groups *g) {
    if (u->class_->code.featurizer == 7) {
        sr_value in[4] = {g->b, g->c, g->v, sr_weight(b, u, branch, SR_SLOT_CONV_V)};
        int state[1] = {sr_graph_state(b->graph, SR_SHORT_TAPS - 1, b->sizes->width, true)};
        return sr_graph_op(b->graph, "gated_conv", (sr_attr){.conv = {SR_SHORT_TAPS, false}}, in,
                           state);
    }
    /* A banded filter ends at the window: nothing older needs to be kept. */
    int64_t kept = b->sizes->filter_length;
    if (u->class_->code.sparsity == 2 && b->sizes->window < kept) kept = b->sizes->window;
    if (b->context < kept) kept = b->context;
    sr_value in[2] = {sr_gate(b, g->b, g->v, SR_MAP_NONE), sr_filter_emit(b, u, branch)};
    int state[1] = {sr_graph_state(b->graph, kept, b->sizes->width, true)};
    sr_value y = sr_graph_op(b->graph, "long_conv", (sr_attr){.filter = {0}}, in, state);
    return sr_gate(b, g->c, y, SR_MAP_NONE);
}

/* C_i A_(i-1) .. A_(j+1) B_j: Mamba's selective recurrence, gated. */
static sr_value semi_separable(sr_build *b, const sr_unit *u, int branch, const sr_groups *g) {
    const int states = sr_code_states(u->class_->code);
    sr_value in[8] = {g->v,
                      g->dt,
                      g->b,
                      g->c,
                      sr_weight(b, u, branch, SR_SLOT_A),
                      sr_weight(b, u, branch, SR_SLOT_DT_BIAS),
                      sr_weight(b, u, branch, SR_SLOT_D),
                      g->z};
    int state[1] = {sr_graph_state(b->graph, sr_unit_channels(u->class_, b->sizes), states, false)};
    return sr_graph_op(b->graph, "scan", (sr_attr){.scan = {states}}, in, state);
}

sr_value sr_token_mixing_emit(sr_build *b, sr_unit *u, int branch, const sr_groups *g) {
    switch (u->class_->code.token_mixing) {
    case 2:
        return low_rank(b, u, branch, g);
    case 3:
        return toeplitz(b, u, branch, g);
    case 4:
        return semi_separable(b, u, branch, g);
    default:
        return sr_gate(b, g->c, g->v, g->gate_map);
    }
}
