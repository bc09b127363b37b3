/* Linear attention with a matrix state S [key, value] in each head, all on op gated_linear.
 *
 * LinAttn: y_t = q_t S_t / (q_t z_t + epsilon), S = sum of k^T v, z = sum of k, with q = phi_q(W_q
 * n), k = phi_k(W_k n), phi(x) = (A x + a) * (B x + b), one pair of maps for all heads. GLA: y =
 * norm(q S / sqrt(key)) * silu(W_g n), S_t = diag(a_t) S_(t-1) + k_t^T v_t, a = sigmoid(U W n +
 * b)^(1/16). Both as in the layer library of MAD (Poli et al. 2024, arXiv 2403.17844; GLA: Yang et
 * al. 2024, arXiv 2312.06635).
 *
 * Mamba-2 (Dao & Gu 2024, arXiv 2405.21060): y = norm((C S + D x) * silu(W_z n)), S_t = a_t S_(t-1)
 * + B_t^T dt_t x_t, with x, B and C behind a 4-tap convolution and SiLU, dt = softplus(W_dt n + b),
 * a = exp(-dt exp(A_log)) per head. B and C, [states], serve all heads.
 *
 * Units share K (phi_k of LinAttn, B of Mamba-2) and V (x of Mamba-2). */
#include "liv/internal.h"

#include <inttypes.h>
#include <math.h>

enum { LINEAR = 14, GLA = 15, MAMBA2 = 16 }; /* featurizers */
enum { K, V };                               /* shared features */

/* Of a feature map: A, a, B, b. */
static const sr_slot GATE = SR_SLOT_OWN, DECAY_IN = SR_SLOT_OWN + 1, DECAY = SR_SLOT_OWN + 2,
                     DECAY_BIAS = SR_SLOT_OWN + 3, NORM = SR_SLOT_OWN + 4, MAP_Q = SR_SLOT_OWN + 5,
                     MAP_K = SR_SLOT_OWN + 9, BIAS_C = SR_SLOT_OWN + 13, BIAS_B = SR_SLOT_OWN + 14,
                     BIAS_V = SR_SLOT_OWN + 15;

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    const bool one_head = class_->code.channel_mixing == 2;
    const int64_t hd = model->head_dim, wide = sr_state_head_dim(model);
    int64_t *size = unit->axis, channels = model->width;
    switch (class_->code.featurizer) {
    case LINEAR:
        size[SR_AXIS_KEY] = size[SR_AXIS_VALUE] = one_head ? channels : hd;
        size[SR_AXIS_FEATURE] = size[SR_AXIS_KEY];
        break;
    case GLA:
        size[SR_AXIS_KEY] = size[SR_AXIS_VALUE] = one_head ? channels : wide;
        size[SR_AXIS_RANK] = SR_GLA_RANK;
        unit->scale = size[SR_AXIS_KEY];
        unit->divisor = size[SR_AXIS_VALUE];
        break;
    default:
        channels *= SR_MAMBA2_EXPAND;
        size[SR_AXIS_STATE] = sr_mamba2_states(model);
        size[SR_AXIS_VALUE] = wide;
        size[SR_AXIS_TAP] = SR_SCAN_TAPS;
        unit->divisor = channels;
        break;
    }
    size[SR_AXIS_HEAD] = channels / size[SR_AXIS_VALUE];
    if (channels % size[SR_AXIS_VALUE] == 0) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID,
                   "%s has heads of %" PRId64 " channels: its %" PRId64
                   " channels are not a multiple",
                   class_->name, size[SR_AXIS_VALUE], channels);
}

/* ---- declaring ---- */

/* One head's affine maps, for all heads: phi = (A x + a) * (B x + b). Biases of 1 make a kernel
 * that starts out positive, so that the normaliser stays away from 0. Of a key's map, B can silence
 * a feature. */
static sartor_status map_declare(sr_declare *d, sr_slot first, const char *const names[4],
                                 int feature, bool of_key) {
    const sr_axis from = sr_unit_axis(d->unit, SR_AXIS_KEY, SR_READS, SR_BETWEEN_LINEAR);
    const sr_init uniform = {SR_INIT_UNIFORM, 1 / sqrt((double)from.size), 0},
                  one = {SR_INIT_CONSTANT, 1, 0};
    for (int i = 0; i < 4; i += 2) {
        const sr_axis to =
            sr_unit_axis(d->unit, SR_AXIS_FEATURE, of_key && i == 2 ? SR_SILENCES : SR_WRITES,
                         SR_BETWEEN_PRODUCT);
        SR_TRY(sr_declare_tensor(d, first + (sr_slot)i, names[i], feature, uniform, false, 2,
                                 (sr_axis[]){to, from}));
        SR_TRY(sr_declare_vector(d, first + (sr_slot)i + 1, names[i + 1], feature, one, 1, &to));
    }
    return SARTOR_OK;
}

static sr_axis head_axis(const sr_declare *d) {
    return sr_unit_axis(d->unit, SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_LINEAR);
}

/* q, k and v of linear attention and GLA. */
static sartor_status projections_declare(sr_declare *d, sr_axis_role key_role, sr_between key,
                                         sr_between value) {
    const sr_axis head = head_axis(d), model = sr_model_axis(d);
    const sr_axis q[] = {head, sr_unit_axis(d->unit, SR_AXIS_KEY, SR_WRITES, key), model},
                  k[] = {head, sr_unit_axis(d->unit, SR_AXIS_KEY, key_role, key), model},
                  v[] = {head, sr_unit_axis(d->unit, SR_AXIS_VALUE, SR_WRITES, value), model};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "q.weight", SR_REST, SR_INIT_MATRIX, true, 3, q));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", K, SR_INIT_MATRIX, true, 3, k));
    return sr_declare_tensor(d, SR_SLOT_V, "v.weight", V, SR_INIT_MATRIX, true, 3, v);
}

static sartor_status linear_declare(sr_declare *d) {
    static const char *const q[] = {"q_map.a.weight", "q_map.a.bias", "q_map.b.weight",
                                    "q_map.b.bias"},
                             *const k[] = {"k_map.a.weight", "k_map.a.bias", "k_map.b.weight",
                                           "k_map.b.bias"};
    SR_TRY(projections_declare(d, SR_WRITES, SR_BETWEEN_LINEAR, SR_BETWEEN_LINEAR));
    SR_TRY(map_declare(d, MAP_Q, q, SR_REST, false));
    return map_declare(d, MAP_K, k, K, true);
}

static sartor_status gla_declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    const sr_axis head = head_axis(d), model = sr_model_axis(d);
    const sr_axis gate[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT),
                            model},
                  low[] = {sr_unit_axis(u, SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_LINEAR), model},
                  decay[] = {head, sr_unit_axis(u, SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_OPEN),
                             sr_unit_axis(u, SR_AXIS_RANK, SR_READS, SR_BETWEEN_LINEAR)},
                  gain = sr_unit_axis(u, SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_NORM);
    SR_TRY(projections_declare(d, SR_SILENCES, SR_BETWEEN_PRODUCT, SR_BETWEEN_NORM));
    SR_TRY(sr_declare_tensor(d, GATE, "gate.weight", SR_REST, SR_INIT_MATRIX, true, 3, gate));
    SR_TRY(
        sr_declare_tensor(d, DECAY_IN, "decay_in.weight", SR_REST, SR_INIT_MATRIX, true, 2, low));
    SR_TRY(sr_declare_tensor(d, DECAY, "decay.weight", SR_REST, SR_INIT_MATRIX, true, 3, decay));
    SR_TRY(sr_declare_vector(d, DECAY_BIAS, "decay.bias", SR_REST, SR_INIT_ZERO, 2, decay));
    return sr_declare_vector(d, NORM, "out_norm.gain", SR_REST, (sr_init){SR_INIT_CONSTANT, 1, 0},
                             1, &gain);
}

/* Taps and bias of the convolution behind a projection. */
static sartor_status convolved_declare(sr_declare *d, const char *const names[2], sr_slot taps,
                                       sr_slot bias, int feature, int axes,
                                       const sr_axis *channels) {
    const sr_init init = {SR_INIT_UNIFORM, 1 / sqrt(SR_SCAN_TAPS), 0};
    SR_TRY(sr_declare_taps(d, taps, names[0], feature, axes, channels));
    return sr_declare_vector(d, bias, names[1], feature, init, axes, channels);
}

/* The norm is over all heads: new ones are silent where x is. */
static sartor_status mamba2_declare(sr_declare *d) {
    static const char *const x[] = {"x.conv", "x.conv_bias"},
                             *const B[] = {"B.conv", "B.conv_bias"},
                             *const C[] = {"C.conv", "C.conv_bias"};
    const sr_unit *u = d->unit;
    const sr_axis model = sr_model_axis(d);
    const sr_axis inner[] = {sr_unit_axis(u, SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_NORM),
                             sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_NORM), model},
                  gate[] = {sr_unit_axis(u, SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_PRODUCT),
                            sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT), model},
                  in[] = {sr_unit_axis(u, SR_AXIS_STATE, SR_WRITES, SR_BETWEEN_PRODUCT), model},
                  out[] = {sr_unit_axis(u, SR_AXIS_STATE, SR_SILENCES, SR_BETWEEN_PRODUCT), model},
                  heads[] = {sr_unit_axis(u, SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_OPEN), model},
                  along[] = {sr_unit_axis(u, SR_AXIS_HEAD, SR_ALONG, SR_BETWEEN_NORM),
                             sr_unit_axis(u, SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_NORM)};
    const sr_init one = {SR_INIT_CONSTANT, 1, 0}, step = {SR_INIT_TIME_STEP, 1e-3, 0.1},
                  rate = {SR_INIT_LOG_UNIFORM, 1, 16};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "z.weight", SR_REST, SR_INIT_MATRIX, true, 3, gate));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "x.weight", V, SR_INIT_MATRIX, true, 3, inner));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "B.weight", K, SR_INIT_MATRIX, true, 2, in));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "C.weight", SR_REST, SR_INIT_MATRIX, true, 2, out));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "dt.weight", SR_REST, SR_INIT_MATRIX, true, 2, heads));
    SR_TRY(convolved_declare(d, x, SR_SLOT_CONV_V, BIAS_V, V, 2, inner));
    SR_TRY(convolved_declare(d, B, SR_SLOT_CONV_B, BIAS_B, K, 1, in));
    SR_TRY(convolved_declare(d, C, SR_SLOT_CONV_C, BIAS_C, SR_REST, 1, out));
    SR_TRY(sr_declare_vector(d, SR_SLOT_DT_BIAS, "dt.bias", SR_REST, step, 1, heads));
    SR_TRY(sr_declare_vector(d, SR_SLOT_A, "A_log", SR_REST, rate, 1, along));
    SR_TRY(sr_declare_vector(d, SR_SLOT_D, "D", SR_REST, one, 1, along));
    return sr_declare_vector(d, NORM, "out_norm.gain", SR_REST, one, 2, along);
}

static sartor_status declare(sr_declare *d) {
    switch (d->unit->class_->code.featurizer) {
    case LINEAR:
        return linear_declare(d);
    case GLA:
        return gla_declare(d);
    default:
        return mamba2_declare(d);
    }
}

/* ---- emitting ---- */

/* The recurrence over q, k and v, with the inputs that a unit has beside them. Channels of a key
 * are an axis of each head; states serve all heads. */
static sr_value mix(sr_build *b, const sr_unit *u, sr_axis_kind key, sr_decay decay, double scale,
                    double epsilon, const sr_value in[7]) {
    const int64_t *size = u->size.axis, heads = size[SR_AXIS_HEAD], value = size[SR_AXIS_VALUE];
    const sr_attr attr = {.gated_linear = {.heads = (int)heads,
                                           .key_heads = key == SR_AXIS_STATE ? 1 : (int)heads,
                                           .key_dim = (int)size[key],
                                           .value_dim = (int)value,
                                           .decay = decay,
                                           .scale = scale,
                                           .epsilon = epsilon}};
    const int64_t columns = heads * (value + (epsilon > 0));
    int state[1] = {sr_graph_state(b->graph, size[key], columns, false)};
    return sr_graph_op(b->graph, "gated_linear", attr, in, state);
}

static sr_value normalise(sr_build *b, const sr_unit *u, int branch, sr_value x, int64_t heads) {
    sr_value in[3] = {x, sr_weight(b, u, branch, NORM), SR_NO_VALUE};
    const sr_attr attr = {.head_norm = {(int)heads, false, SR_NORM_EPSILON, u->size.divisor}};
    return sr_graph_op(b->graph, "head_norm", attr, in, NULL);
}

/* factor exp(log_scale) softplus(sign (x + bias)) */
static sr_value softplus(sr_build *b, sr_value x, sr_value bias, sr_value log_scale, double sign,
                         double factor) {
    sr_value in[3] = {x, bias, log_scale};
    return sr_graph_op(b->graph, "softplus", (sr_attr){.softplus = {sign, factor}}, in, NULL);
}

static sr_value map_emit(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot first) {
    sr_value in[5] = {x};
    for (int i = 0; i < 4; i++) in[1 + i] = sr_weight(b, u, branch, first + (sr_slot)i);
    const sr_attr attr = {.feature_map = {(int)u->size.axis[SR_AXIS_HEAD]}};
    return sr_graph_op(b->graph, "feature_map", attr, in, NULL);
}

static bool makes(const sr_unit *u, int feature) { return u->feature_source[feature] == u->index; }

static sr_value linear_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value q = SR_NO_VALUE, k = SR_NO_VALUE, v = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 3, (sr_slot[]){SR_SLOT_C, SR_SLOT_B, SR_SLOT_V},
               (sr_value *[]){&q, &k, &v});
    q = map_emit(b, u, branch, q, MAP_Q);
    if (makes(u, K)) k = map_emit(b, u, branch, k, MAP_K);
    const sr_value in[7] = {q,
                            sr_shared(b, u, branch, K, k),
                            sr_shared(b, u, branch, V, v),
                            SR_NO_VALUE,
                            SR_NO_VALUE,
                            SR_NO_VALUE,
                            SR_NO_VALUE};
    return mix(b, u, SR_AXIS_FEATURE, SR_DECAY_NONE, 1, SR_LINEAR_EPSILON, in);
}

static sr_value gla_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value q = SR_NO_VALUE, k = SR_NO_VALUE, v = SR_NO_VALUE, g = SR_NO_VALUE, low = SR_NO_VALUE,
             decay = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 5,
               (sr_slot[]){SR_SLOT_C, SR_SLOT_B, SR_SLOT_V, GATE, DECAY_IN},
               (sr_value *[]){&q, &k, &v, &g, &low});
    sr_project(b, u, branch, low, true, 1, (sr_slot[]){DECAY}, (sr_value *[]){&decay});
    decay = softplus(b, decay, sr_weight(b, u, branch, DECAY_BIAS), SR_NO_VALUE, -1,
                     -1.0 / SR_GLA_NORMALISER);
    const sr_value in[7] = {q,
                            sr_shared(b, u, branch, K, k),
                            sr_shared(b, u, branch, V, v),
                            decay,
                            SR_NO_VALUE,
                            SR_NO_VALUE,
                            SR_NO_VALUE};
    sr_value y = mix(b, u, SR_AXIS_KEY, SR_DECAY_KEY, 1 / sqrt((double)u->size.scale), 0, in);
    y = normalise(b, u, branch, y, u->size.axis[SR_AXIS_HEAD]);
    return sr_gate(b, g, y, SR_MAP_SWISH);
}

static sr_value mamba2_emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value z = SR_NO_VALUE, x = SR_NO_VALUE, B = SR_NO_VALUE, C = SR_NO_VALUE, dt = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 4, (sr_slot[]){SR_SLOT_Z, SR_SLOT_V, SR_SLOT_B, SR_SLOT_C},
               (sr_value *[]){&z, &x, &B, &C});
    sr_project(b, u, branch, n, true, 1, (sr_slot[]){SR_SLOT_DT}, (sr_value *[]){&dt});
    if (makes(u, V)) x = sr_convolve(b, u, branch, x, SR_SLOT_CONV_V, BIAS_V, true);
    if (makes(u, K)) B = sr_convolve(b, u, branch, B, SR_SLOT_CONV_B, BIAS_B, true);
    C = sr_convolve(b, u, branch, C, SR_SLOT_CONV_C, BIAS_C, true);
    const sr_value bias = sr_weight(b, u, branch, SR_SLOT_DT_BIAS),
                   A_log = sr_weight(b, u, branch, SR_SLOT_A);
    const sr_value in[7] = {C,
                            sr_shared(b, u, branch, K, B),
                            sr_shared(b, u, branch, V, x),
                            softplus(b, dt, bias, A_log, 1, -1),
                            SR_NO_VALUE,
                            softplus(b, dt, bias, SR_NO_VALUE, 1, 1),
                            sr_weight(b, u, branch, SR_SLOT_D)};
    const sr_value y = mix(b, u, SR_AXIS_STATE, SR_DECAY_HEAD, 1, 0, in);
    return normalise(b, u, branch, sr_gate(b, z, y, SR_MAP_SWISH), 1);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    switch (u->class_->code.featurizer) {
    case LINEAR:
        return linear_emit(b, u, branch, n);
    case GLA:
        return gla_emit(b, u, branch, n);
    default:
        return mamba2_emit(b, u, branch, n);
    }
}

static int out(const sr_unit *u, sr_axis axis[2]) {
    const int featurizer = u->class_->code.featurizer;
    axis[0] = sr_unit_axis(u, SR_AXIS_HEAD, SR_READS,
                           featurizer == MAMBA2 ? SR_BETWEEN_NORM : SR_BETWEEN_LINEAR);
    axis[1] = sr_unit_axis(u, SR_AXIS_VALUE, SR_READS,
                           featurizer == LINEAR ? SR_BETWEEN_LINEAR : SR_BETWEEN_NORM);
    return 2;
}

const sr_family_builder sr_family_linear = {sizes, declare, emit, out, NULL};
