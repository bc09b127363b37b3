/* GDN: Gated DeltaNet (Yang, Kautz & Hatamizadeh 2024, arXiv 2412.06464). Per head, with q, k and v
 * behind a 4-tap convolution and SiLU, and q and k of length one:
 *
 *     S_t = alpha_t (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T,    o_t = S_t^T q_t
 *     alpha = exp(-exp(A_log) softplus(W_dt n + dt_bias)),    beta = sigmoid(W_beta n)
 *     y = W_out (rmsnorm(o) * silu(W_z n))
 *
 * The norm is per head, with one gain for all. Heads are twice as wide as those of attention. k and
 * v, shared, are what comes out of SiLU. */
#include "liv/internal.h"

#include <inttypes.h>

#define BETA SR_SLOT_OWN
#define GAIN (sr_slot)(SR_SLOT_OWN + 1)
enum { SHARED_K, SHARED_V }; /* in the order of sr_family_features() */

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    unit->axis[SR_AXIS_TAP] = SR_SCAN_TAPS;
    return sr_size_state_heads(ctx, class_, model, unit);
}

static sr_axis head_axis(const sr_declare *d, sr_axis_role role) {
    return sr_unit_axis(d->unit, SR_AXIS_HEAD, role, SR_BETWEEN_OPEN);
}

static sartor_status declare_gates(sr_declare *d) {
    const sr_axis head = head_axis(d, SR_WRITES), along = head_axis(d, SR_ALONG);
    const sr_axis rows[] = {head, sr_model_axis(d)};
    const sr_init rate = {SR_INIT_LOG_UNIFORM, 1, 16}, step = {SR_INIT_TIME_STEP, 1e-3, 0.1};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "dt.weight", SR_REST, SR_INIT_MATRIX, true, 2, rows));
    SR_TRY(sr_declare_tensor(d, BETA, "beta.weight", SR_REST, SR_INIT_MATRIX, true, 2, rows));
    SR_TRY(sr_declare_vector(d, SR_SLOT_A, "A_log", SR_REST, rate, 1, &along));
    return sr_declare_vector(d, SR_SLOT_DT_BIAS, "dt.bias", SR_REST, step, 1, &head);
}

static sartor_status declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    const sr_axis head = head_axis(d, SR_WRITES), model = sr_model_axis(d);
    const sr_axis q[] = {head, sr_unit_axis(u, SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_PRODUCT), model},
                  k[] = {head, sr_unit_axis(u, SR_AXIS_KEY, SR_SILENCES, SR_BETWEEN_PRODUCT),
                         model},
                  v[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_NORM), model},
                  z[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT),
                         model},
                  gain = sr_unit_axis(u, SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_NORM);
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "q.weight", SR_REST, SR_INIT_MATRIX, true, 3, q));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", SHARED_K, SR_INIT_MATRIX, true, 3, k));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "v.weight", SHARED_V, SR_INIT_MATRIX, true, 3, v));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "z.weight", SR_REST, SR_INIT_MATRIX, true, 3, z));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_C, "q.conv", SR_REST, 2, q));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_B, "k.conv", SHARED_K, 2, k));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_V, "v.conv", SHARED_V, 2, v));
    SR_TRY(declare_gates(d));
    return sr_declare_vector(d, GAIN, "head_norm.gain", SR_REST, (sr_init){SR_INIT_CONSTANT, 1, 0},
                             1, &gain);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    const int heads = (int)u->size.axis[SR_AXIS_HEAD], key = (int)u->size.axis[SR_AXIS_KEY],
              value = (int)u->size.axis[SR_AXIS_VALUE];
    sr_value q = SR_NO_VALUE, k = SR_NO_VALUE, v = SR_NO_VALUE, z = SR_NO_VALUE, dt = SR_NO_VALUE,
             beta = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 4, (sr_slot[]){SR_SLOT_C, SR_SLOT_B, SR_SLOT_V, SR_SLOT_Z},
               (sr_value *[]){&q, &k, &v, &z});
    sr_project(b, u, branch, n, true, 2, (sr_slot[]){SR_SLOT_DT, BETA}, (sr_value *[]){&dt, &beta});
    q = sr_convolve(b, u, branch, q, SR_SLOT_CONV_C, SR_SLOTS, true);
    if (u->feature_source[SHARED_K] == u->index)
        k = sr_convolve(b, u, branch, k, SR_SLOT_CONV_B, SR_SLOTS, true);
    if (u->feature_source[SHARED_V] == u->index)
        v = sr_convolve(b, u, branch, v, SR_SLOT_CONV_V, SR_SLOTS, true);
    k = sr_shared(b, u, branch, SHARED_K, k);
    v = sr_shared(b, u, branch, SHARED_V, v);
    sr_value in[7] = {q,
                      k,
                      v,
                      dt,
                      beta,
                      sr_weight(b, u, branch, SR_SLOT_A),
                      sr_weight(b, u, branch, SR_SLOT_DT_BIAS)};
    int state[1] = {sr_graph_state(b->graph, key, (int64_t)heads * value, false)};
    sr_value norm[3] = {SR_NO_VALUE, sr_weight(b, u, branch, GAIN), SR_NO_VALUE};
    norm[0] = sr_graph_op(b->graph, "delta_rule",
                          (sr_attr){.delta = {heads, key, value, SR_UNIT_EPSILON}}, in, state);
    const sr_attr attr = {.head_norm = {heads, false, SR_NORM_EPSILON, u->size.divisor}};
    sr_value o = sr_graph_op(b->graph, "head_norm", attr, norm, NULL);
    return sr_gate(b, z, o, SR_MAP_SWISH);
}

static int out(const sr_unit *unit, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(unit, SR_AXIS_HEAD, SR_READS, SR_BETWEEN_OPEN);
    axis[1] = sr_unit_axis(unit, SR_AXIS_VALUE, SR_READS, SR_BETWEEN_NORM);
    return 2;
}

static const char *fixed(const sr_class *class_, sr_axis_kind kind) {
    (void)class_;
    return kind == SR_AXIS_KEY ? "keys and queries of length one would need zeros on both sides, "
                                 "which then have no gradient; more heads or values can be had"
                               : NULL;
}

const sr_family_builder sr_family_delta = {sizes, declare, emit, out, fixed};
