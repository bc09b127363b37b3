/* MoE-MLP: a mixture of experts in the form of MAD (Poli et al. 2024): all experts see the same
 * gated features h = gelu(W_gate n) * (W_value n), as wide as the stream; each has an output matrix
 * of its own; a router weighs what they say:
 *
 *     y = sum over e of w_e W_e h,   w = route(W_router n + b_router)
 *
 * The matrices W_e lie side by side in the output projection, [width, experts * width], which reads
 * `spread`: row by row this is the order of MAD's [width * experts, width]. Its unused parameter
 * `gates` is left out. Sparsity 1 routes as MAD's program does, where every expert has weight; 2
 * gives weight to the active experts only (op/route.c). Units may share the gate before its map,
 * and the weights w.
 *
 * MoE-MLP-Shared has one more expert, W_s, that every token uses (Dai et al. 2024, DeepSeekMoE,
 * arXiv 2401.06066, section 3.2):
 *
 *     y = W_s h + sum over e of w_e W_e h
 *
 * Its output projection is that of the dense unit, so that a GEGLU grows into it by experts that
 * begin at zero. */
#include "liv/internal.h"

#include <inttypes.h>

#define GATE        SR_SLOT_C
#define VALUE       SR_SLOT_V
#define ROUTER      SR_SLOT_OWN
#define ROUTER_BIAS (sr_slot)(SR_SLOT_OWN + 1)
enum { SHARED_GATE, SHARED_ROUTER }; /* in the order of sr_family_features() */

enum { SHARED_EXPERT = 23 }; /* featurizer */

static bool has_shared_expert(const sr_class *class_) {
    return class_->code.featurizer == SHARED_EXPERT;
}

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    unit->axis[SR_AXIS_FF] = model->width;
    unit->axis[SR_AXIS_EXPERT] = SR_EXPERTS;
    if (model->width % SR_EXPERTS == 0) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "%s: width %" PRId64 " is not a multiple of %d experts",
                   class_->name, model->width, SR_EXPERTS);
}

/* What the experts' matrices read. */
static int spread_axes(const sr_unit *unit, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(unit, SR_AXIS_EXPERT, SR_READS, SR_BETWEEN_OPEN);
    axis[1] = sr_unit_axis(unit, SR_AXIS_FF, SR_READS, SR_BETWEEN_PRODUCT);
    return 2;
}

static sartor_status declare(sr_declare *d) {
    const sr_axis ff = sr_unit_axis(d->unit, SR_AXIS_FF, SR_WRITES, SR_BETWEEN_PRODUCT),
                  expert = sr_unit_axis(d->unit, SR_AXIS_EXPERT, SR_WRITES, SR_BETWEEN_OPEN);
    const sr_axis both[] = {ff, sr_model_axis(d)}, scores[] = {expert, sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, GATE, "gate.weight", SHARED_GATE, SR_INIT_MATRIX, true, 2, both));
    SR_TRY(sr_declare_tensor(d, VALUE, "value.weight", SR_REST, SR_INIT_MATRIX, true, 2, both));
    SR_TRY(sr_declare_tensor(d, ROUTER, "router.weight", SHARED_ROUTER, SR_INIT_MATRIX, true, 2,
                             scores));
    SR_TRY(
        sr_declare_vector(d, ROUTER_BIAS, "router.bias", SHARED_ROUTER, SR_INIT_ZERO, 1, &expert));
    if (!has_shared_expert(d->unit->class_)) return SARTOR_OK;
    sr_axis read[2];
    return sr_declare_out(d, SR_SLOT_OUT_EXPERTS, "experts.weight", spread_axes(d->unit, read),
                          read);
}

/* Scores and weights are f32 in every mode: the choice of experts should not hang on rounding. */
static sr_value route(sr_build *b, const sr_unit *u, int branch, sr_value n) {
    sr_value scores = SR_NO_VALUE;
    sr_project(b, u, branch, n, true, 1, (sr_slot[]){ROUTER}, (sr_value *[]){&scores});
    scores = sr_bias(b, u, branch, scores, ROUTER_BIAS);
    sr_attr attr = {.route = {(int)u->size.axis[SR_AXIS_EXPERT], SR_ACTIVE_EXPERTS,
                              u->class_->code.sparsity == 2}};
    return sr_graph_op(b->graph, "route", attr, &scores, NULL);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value gate = SR_NO_VALUE, value = SR_NO_VALUE, in[2];
    sr_project(b, u, branch, n, false, 2, (sr_slot[]){GATE, VALUE}, (sr_value *[]){&gate, &value});
    gate = sr_shared(b, u, branch, SHARED_GATE, gate);
    in[0] = sr_gate(b, gate, value, u->class_->code.nonlinearity);
    in[1] = SR_NO_VALUE;
    if (u->feature_source[SHARED_ROUTER] == u->index) in[1] = route(b, u, branch, n);
    in[1] = sr_shared(b, u, branch, SHARED_ROUTER, in[1]);
    const sr_value spread = sr_graph_op(b->graph, "spread", (sr_attr){.norm = {0}}, in, NULL);
    if (!has_shared_expert(u->class_)) return spread;
    u->out_experts = spread;
    return in[0];
}

static int out(const sr_unit *unit, sr_axis axis[2]) {
    if (!has_shared_expert(unit->class_)) return spread_axes(unit, axis);
    axis[0] = sr_unit_axis(unit, SR_AXIS_FF, SR_READS, SR_BETWEEN_PRODUCT);
    return 1;
}

static const char *fixed(const sr_class *class_, sr_axis_kind kind) {
    (void)class_;
    return kind == SR_AXIS_EXPERT ? "another expert takes weight from those there are" : NULL;
}

const sr_family_builder sr_family_moe = {sizes, declare, emit, out, fixed};
