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

typedef struct shape {
    int64_t heads, key, value; /* heads of values; channels of a key and a value in one head */
} shape;

static shape shape_of(const sr_class *class_, const sr_sizes *sizes) {
    const int64_t d = sizes->width, hd = sizes->head_dim, wide = sr_state_head_dim(sizes);
    if (class_->code.channel_mixing == 2) return (shape){1, d, d};
    switch (class_->code.featurizer) {
    case LINEAR:
        return (shape){d / hd, hd, hd};
    case GLA:
        return (shape){d / wide, wide, wide};
    default:
        return (shape){SR_MAMBA2_EXPAND * d / wide, sr_mamba2_states(sizes), wide};
    }
}

static sartor_status check(sartor_context *ctx, const sr_class *class_, const sr_sizes *sizes) {
    const shape s = shape_of(class_, sizes);
    const int64_t channels =
        sizes->width * (class_->code.featurizer == MAMBA2 ? SR_MAMBA2_EXPAND : 1);
    if (s.heads * s.value == channels) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID,
                   "%s has heads of %" PRId64 " channels: its %" PRId64
                   " channels are not a multiple",
                   class_->name, s.value, channels);
}

/* ---- declaring ---- */

static sr_axis axis(sr_axis_kind kind, sr_axis_role role, sr_between between, int64_t size) {
    return (sr_axis){kind, role, between, size};
}

/* One head's affine maps, for all heads. Biases of 1 make a kernel that starts out positive, so
 * that the normaliser stays away from 0. */
static sartor_status map_declare(sr_declare *d, sr_slot first, const char *const names[4],
                                 int feature, int64_t n) {
    const sr_axis from = axis(SR_AXIS_KEY, SR_READS, SR_BETWEEN_LINEAR, n);
    sr_axis to = axis(SR_AXIS_FEATURE, SR_WRITES, SR_BETWEEN_PRODUCT, n);
    const sr_init uniform = {SR_INIT_UNIFORM, 1 / sqrt((double)n), 0},
                  one = {SR_INIT_CONSTANT, 1, 0};
    for (int i = 0; i < 4; i += 2) {
        to.role = SR_WRITES;
        SR_TRY(sr_declare_tensor(d, first + (sr_slot)i, names[i], feature, uniform, false, 2,
                                 (sr_axis[]){to, from}));
        to.role = SR_ALONG;
        SR_TRY(sr_declare_tensor(d, first + (sr_slot)i + 1, names[i + 1], feature, one, false, 1,
                                 &to));
    }
    return SARTOR_OK;
}

/* q, k and v of linear attention and GLA. */
static sartor_status projections_declare(sr_declare *d, const shape *s, sr_between key,
                                         sr_between value) {
    const sr_axis model = sr_model_axis(d);
    const sr_axis head = axis(SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_LINEAR, s->heads),
                  kv_head = axis(SR_AXIS_KV_HEAD, SR_WRITES, SR_BETWEEN_LINEAR, s->heads),
                  keys = axis(SR_AXIS_KEY, SR_WRITES, key, s->key),
                  values = axis(SR_AXIS_VALUE, SR_WRITES, value, s->value);
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "q.weight", SR_REST, SR_INIT_MATRIX, true, 3,
                             (sr_axis[]){head, keys, model}));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", K, SR_INIT_MATRIX, true, 3,
                             (sr_axis[]){kv_head, keys, model}));
    return sr_declare_tensor(d, SR_SLOT_V, "v.weight", V, SR_INIT_MATRIX, true, 3,
                             (sr_axis[]){kv_head, values, model});
}

static sartor_status linear_declare(sr_declare *d, const shape *s) {
    static const char *const q[] = {"q_map.a.weight", "q_map.a.bias", "q_map.b.weight",
                                    "q_map.b.bias"},
                             *const k[] = {"k_map.a.weight", "k_map.a.bias", "k_map.b.weight",
                                           "k_map.b.bias"};
    SR_TRY(projections_declare(d, s, SR_BETWEEN_LINEAR, SR_BETWEEN_LINEAR));
    SR_TRY(map_declare(d, MAP_Q, q, SR_REST, s->key));
    return map_declare(d, MAP_K, k, K, s->key);
}

static sartor_status gla_declare(sr_declare *d, const shape *s) {
    const sr_axis model = sr_model_axis(d);
    sr_axis rank = axis(SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_LINEAR, SR_GLA_RANK),
            head = axis(SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_OPEN, s->heads),
            key = axis(SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_OPEN, s->key),
            value = axis(SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT, s->value);
    SR_TRY(projections_declare(d, s, SR_BETWEEN_PRODUCT, SR_BETWEEN_NORM));
    SR_TRY(sr_declare_tensor(d, GATE, "gate.weight", SR_REST, SR_INIT_MATRIX, true, 3,
                             (sr_axis[]){head, value, model}));
    SR_TRY(sr_declare_tensor(d, DECAY_IN, "decay_in.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){rank, model}));
    rank.role = SR_READS;
    SR_TRY(sr_declare_tensor(d, DECAY, "decay.weight", SR_REST, SR_INIT_MATRIX, true, 3,
                             (sr_axis[]){head, key, rank}));
    key = axis(SR_AXIS_KEY, SR_ALONG, SR_BETWEEN_OPEN, s->heads * s->key);
    SR_TRY(sr_declare_tensor(d, DECAY_BIAS, "decay.bias", SR_REST, SR_INIT_ZERO, false, 1, &key));
    value = axis(SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_NORM, s->value);
    return sr_declare_tensor(d, NORM, "out_norm.gain", SR_REST, (sr_init){SR_INIT_CONSTANT, 1, 0},
                             false, 1, &value);
}

/* Taps and bias of the convolution behind a projection. */
static sartor_status convolved_declare(sr_declare *d, const char *const names[2], sr_slot taps,
                                       sr_slot bias, int feature, sr_axis channels) {
    const sr_init init = {SR_INIT_UNIFORM, 1 / sqrt(SR_SCAN_TAPS), 0};
    const sr_axis tap = axis(SR_AXIS_TAP, SR_ALONG, SR_BETWEEN_LINEAR, SR_SCAN_TAPS);
    channels.role = SR_ALONG;
    SR_TRY(
        sr_declare_tensor(d, taps, names[0], feature, init, false, 2, (sr_axis[]){channels, tap}));
    return sr_declare_tensor(d, bias, names[1], feature, init, false, 1, &channels);
}

static sartor_status mamba2_declare(sr_declare *d, const shape *s) {
    static const char *const x[] = {"x.conv", "x.conv_bias"},
                             *const B[] = {"B.conv", "B.conv_bias"},
                             *const C[] = {"C.conv", "C.conv_bias"};
    const sr_axis model = sr_model_axis(d);
    sr_axis state = axis(SR_AXIS_STATE, SR_WRITES, SR_BETWEEN_PRODUCT, s->key),
            channel = axis(SR_AXIS_CHANNEL, SR_WRITES, SR_BETWEEN_NORM, s->heads * s->value),
            head = axis(SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_OPEN, s->heads);
    const sr_axis inner[] = {channel, model}, states[] = {state, model}, heads[] = {head, model};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "z.weight", SR_REST, SR_INIT_MATRIX, true, 2, inner));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "x.weight", V, SR_INIT_MATRIX, true, 2, inner));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "B.weight", K, SR_INIT_MATRIX, true, 2, states));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "C.weight", SR_REST, SR_INIT_MATRIX, true, 2, states));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "dt.weight", SR_REST, SR_INIT_MATRIX, true, 2, heads));
    SR_TRY(convolved_declare(d, x, SR_SLOT_CONV_V, BIAS_V, V, channel));
    SR_TRY(convolved_declare(d, B, SR_SLOT_CONV_B, BIAS_B, K, state));
    SR_TRY(convolved_declare(d, C, SR_SLOT_CONV_C, BIAS_C, SR_REST, state));
    head.role = channel.role = SR_ALONG;
    const sr_init one = {SR_INIT_CONSTANT, 1, 0}, step = {SR_INIT_TIME_STEP, 1e-3, 0.1},
                  rate = {SR_INIT_LOG_UNIFORM, 1, 16};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT_BIAS, "dt.bias", SR_REST, step, false, 1, &head));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_A, "A_log", SR_REST, rate, false, 1, &head));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_D, "D", SR_REST, one, false, 1, &head));
    return sr_declare_tensor(d, NORM, "out_norm.gain", SR_REST, one, false, 1, &channel);
}

static sartor_status declare(sr_declare *d) {
    const shape s = shape_of(d->unit->class_, d->sizes);
    switch (d->unit->class_->code.featurizer) {
    case LINEAR:
        return linear_declare(d, &s);
    case GLA:
        return gla_declare(d, &s);
    default:
        return mamba2_declare(d, &s);
    }
}

/* ---- emitting ---- */

/* The recurrence over q, k and v, with the inputs that a unit has beside them. */
static sr_value mix(sr_build *b, const shape *s, int64_t key_heads, sr_decay decay, double scale,
                    double epsilon, const sr_value in[7]) {
    const sr_attr attr = {.gated_linear = {.heads = (int)s->heads,
                                           .key_heads = (int)key_heads,
                                           .key_dim = (int)s->key,
                                           .value_dim = (int)s->value,
                                           .decay = decay,
                                           .scale = scale,
                                           .epsilon = epsilon}};
    const int64_t columns = s->heads * (s->value + (epsilon > 0));
    int state[1] = {sr_graph_state(b->graph, s->key, columns, false)};
    return sr_graph_op(b->graph, "gated_linear", attr, in, state);
}

static sr_value normalise(sr_build *b, const sr_unit *u, int branch, sr_value x, int64_t heads) {
    sr_value in[3] = {x, sr_weight(b, u, branch, NORM), SR_NO_VALUE};
    const sr_attr attr = {.head_norm = {(int)heads, false, SR_NORM_EPSILON}};
    return sr_graph_op(b->graph, "head_norm", attr, in, NULL);
}

/* factor exp(log_scale) softplus(sign (x + bias)) */
static sr_value softplus(sr_build *b, sr_value x, sr_value bias, sr_value log_scale, double sign,
                         double factor) {
    sr_value in[3] = {x, bias, log_scale};
    return sr_graph_op(b->graph, "softplus", (sr_attr){.softplus = {sign, factor}}, in, NULL);
}

static sr_value map_emit(sr_build *b, const sr_unit *u, int branch, sr_value x, sr_slot first,
                         int64_t heads) {
    sr_value in[5] = {x};
    for (int i = 0; i < 4; i++) in[1 + i] = sr_weight(b, u, branch, first + (sr_slot)i);
    const sr_attr attr = {.feature_map = {(int)heads}};
    return sr_graph_op(b->graph, "feature_map", attr, in, NULL);
}

static bool makes(const sr_unit *u, int feature) { return u->feature_source[feature] == u->index; }

static sr_value linear_emit(sr_build *b, sr_unit *u, int branch, sr_value n, const shape *s) {
    sr_value q = SR_NO_VALUE, k = SR_NO_VALUE, v = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 3, (sr_slot[]){SR_SLOT_C, SR_SLOT_B, SR_SLOT_V},
               (sr_value *[]){&q, &k, &v});
    q = map_emit(b, u, branch, q, MAP_Q, s->heads);
    if (makes(u, K)) k = map_emit(b, u, branch, k, MAP_K, s->heads);
    const sr_value in[7] = {q,
                            sr_shared(b, u, branch, K, k),
                            sr_shared(b, u, branch, V, v),
                            SR_NO_VALUE,
                            SR_NO_VALUE,
                            SR_NO_VALUE,
                            SR_NO_VALUE};
    return mix(b, s, s->heads, SR_DECAY_NONE, 1, SR_LINEAR_EPSILON, in);
}

static sr_value gla_emit(sr_build *b, sr_unit *u, int branch, sr_value n, const shape *s) {
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
    sr_value y = mix(b, s, s->heads, SR_DECAY_KEY, 1 / sqrt((double)s->key), 0, in);
    y = normalise(b, u, branch, y, s->heads);
    return sr_gate(b, g, y, SR_MAP_SWISH);
}

static sr_value mamba2_emit(sr_build *b, sr_unit *u, int branch, sr_value n, const shape *s) {
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
    const sr_value y = mix(b, s, 1, SR_DECAY_HEAD, 1, 0, in);
    return normalise(b, u, branch, sr_gate(b, z, y, SR_MAP_SWISH), 1);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    const shape s = shape_of(u->class_, b->sizes);
    switch (u->class_->code.featurizer) {
    case LINEAR:
        return linear_emit(b, u, branch, n, &s);
    case GLA:
        return gla_emit(b, u, branch, n, &s);
    default:
        return mamba2_emit(b, u, branch, n, &s);
    }
}

static sr_axis out(const sr_class *class_, const sr_sizes *sizes) {
    const shape s = shape_of(class_, sizes);
    switch (class_->code.featurizer) {
    case LINEAR:
        return axis(SR_AXIS_VALUE, SR_READS, SR_BETWEEN_LINEAR, s.heads * s.value);
    case GLA:
        return axis(SR_AXIS_VALUE, SR_READS, SR_BETWEEN_PRODUCT, s.heads * s.value);
    default:
        return axis(SR_AXIS_CHANNEL, SR_READS, SR_BETWEEN_NORM, s.heads * s.value);
    }
}

const sr_family_builder sr_family_linear = {check, declare, emit, out};
