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

static sartor_status check(sartor_context *ctx, const sr_class *class_, const sr_sizes *sizes) {
    const int64_t n = sr_state_head_dim(sizes);
    if (sizes->width % n == 0) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID,
                   "%s has heads of twice the head dim: width %" PRId64
                   " is not a multiple of %" PRId64,
                   class_->name, sizes->width, n);
}

static sartor_status declare_gates(sr_declare *d, int64_t heads) {
    sr_axis head = {SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_OPEN, heads};
    const sr_axis rows[] = {head, sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "dt.weight", SR_REST, SR_INIT_MATRIX, true, 2, rows));
    SR_TRY(sr_declare_tensor(d, BETA, "beta.weight", SR_REST, SR_INIT_MATRIX, true, 2, rows));
    head.role = SR_ALONG;
    SR_TRY(sr_declare_tensor(d, SR_SLOT_A, "A_log", SR_REST, (sr_init){SR_INIT_LOG_UNIFORM, 1, 16},
                             false, 1, &head));
    return sr_declare_tensor(d, SR_SLOT_DT_BIAS, "dt.bias", SR_REST,
                             (sr_init){SR_INIT_TIME_STEP, 1e-3, 0.1}, false, 1, &head);
}

static sartor_status declare(sr_declare *d) {
    const int64_t w = d->sizes->width, n = sr_state_head_dim(d->sizes), heads = w / n;
    const sr_axis head = {SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_PRODUCT, heads};
    const sr_axis keys[] = {head, {SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_NORM, n}, sr_model_axis(d)};
    const sr_axis values[] = {
        head, {SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_NORM, n}, sr_model_axis(d)};
    const sr_axis gates[] = {
        head, {SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT, n}, sr_model_axis(d)};
    const sr_axis gain = {SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_PRODUCT, n};
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "q.weight", SR_REST, SR_INIT_MATRIX, true, 3, keys));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", SHARED_K, SR_INIT_MATRIX, true, 3, keys));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "v.weight", SHARED_V, SR_INIT_MATRIX, true, 3, values));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "z.weight", SR_REST, SR_INIT_MATRIX, true, 3, gates));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_C, "q.conv", SR_REST, w, SR_SCAN_TAPS));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_B, "k.conv", SHARED_K, w, SR_SCAN_TAPS));
    SR_TRY(sr_declare_taps(d, SR_SLOT_CONV_V, "v.conv", SHARED_V, w, SR_SCAN_TAPS));
    SR_TRY(declare_gates(d, heads));
    return sr_declare_tensor(d, GAIN, "head_norm.gain", SR_REST, (sr_init){SR_INIT_CONSTANT, 1, 0},
                             false, 1, &gain);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    const int hd = (int)sr_state_head_dim(b->sizes), heads = (int)(b->sizes->width / hd);
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
    int state[1] = {sr_graph_state(b->graph, hd, b->sizes->width, false)};
    sr_value norm[3] = {SR_NO_VALUE, sr_weight(b, u, branch, GAIN), SR_NO_VALUE};
    norm[0] = sr_graph_op(b->graph, "delta_rule",
                          (sr_attr){.delta = {heads, hd, hd, SR_UNIT_EPSILON}}, in, state);
    sr_value o = sr_graph_op(b->graph, "head_norm",
                             (sr_attr){.head_norm = {heads, false, SR_NORM_EPSILON}}, norm, NULL);
    return sr_gate(b, z, o, SR_MAP_SWISH);
}

static sr_axis out(const sr_class *class_, const sr_sizes *sizes) {
    (void)class_;
    return (sr_axis){SR_AXIS_VALUE, SR_READS, SR_BETWEEN_PRODUCT, sizes->width};
}

const sr_family_builder sr_family_delta = {check, declare, emit, out};
