/* RWKV-6-CM: the channel mixer of RWKV-6 (Peng et al. 2024, arXiv 2404.05892, section 4.1). With p
 * the token before n (0 at the start):
 *
 *     y = sigmoid(W_r x_r) * (W_out relu(W_k x_k)^2),    x_i = n + (p - n) * mu_i
 *
 * Units may share the receptance W_r x_r. */
#include "liv/internal.h"

#define MU_K SR_SLOT_OWN
#define MU_R (sr_slot)(SR_SLOT_OWN + 1)
enum { SHARED_R }; /* in the order of sr_family_features() */

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    (void)ctx, (void)class_;
    unit->axis[SR_AXIS_FF] = SR_RWKV_EXPAND * model->width;
    return SARTOR_OK;
}

/* The receptance multiplies what is written to the stream, channel by channel. */
static sartor_status declare(sr_declare *d) {
    const sr_axis along = {SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_PRODUCT, d->sizes->width};
    const sr_axis key[] = {sr_unit_axis(d->unit, SR_AXIS_FF, SR_WRITES, SR_BETWEEN_BEND),
                           sr_model_axis(d)},
                  receptance[] = {along, sr_model_axis(d)};
    const sr_init rising = {SR_INIT_SHARE, 1, 0}, half = {SR_INIT_SHARE, 0.5, 0};
    SR_TRY(sr_declare_vector(d, MU_K, "k.mu", SR_REST, rising, 1, &along));
    SR_TRY(sr_declare_vector(d, MU_R, "r.mu", SHARED_R, half, 1, &along));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "k.weight", SR_REST, SR_INIT_MATRIX, true, 2, key));
    return sr_declare_tensor(d, SR_SLOT_C, "r.weight", SHARED_R, SR_INIT_MATRIX, true, 2,
                             receptance);
}

static sr_value project_shifted(sr_build *b, const sr_unit *u, int branch, sr_value n,
                                sr_value past, sr_slot mu, sr_slot weight) {
    sr_value in[4] = {n, past, sr_weight(b, u, branch, mu), SR_NO_VALUE}, y = SR_NO_VALUE;
    sr_value x = sr_graph_op(b->graph, "shift_mix", (sr_attr){.norm = {0}}, in, NULL);
    sr_project(b, u, branch, x, false, 1, &weight, (sr_value *[]){&y});
    return y;
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    int state[1] = {sr_graph_state(b->graph, 1, b->sizes->width, true)};
    sr_value past = sr_graph_op(b->graph, "token_shift", (sr_attr){.norm = {0}}, &n, state);
    sr_value r = SR_NO_VALUE;
    if (u->feature_source[SHARED_R] == u->index)
        r = project_shifted(b, u, branch, n, past, MU_R, SR_SLOT_C);
    u->out_gate = sr_shared(b, u, branch, SHARED_R, r);
    sr_value k = project_shifted(b, u, branch, n, past, MU_K, SR_SLOT_V);
    return sr_map(b, k, u->class_->code.nonlinearity);
}

static int out(const sr_unit *unit, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(unit, SR_AXIS_FF, SR_READS, SR_BETWEEN_BEND);
    return 1;
}

const sr_family_builder sr_family_rwkv_channels = {
    .sizes = sizes, .declare = declare, .emit = emit, .out = out};
