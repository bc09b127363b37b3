/* Hyena as the MAD benchmark has it (Poli et al. 2024, arXiv 2403.17844; Hyena: Poli et al. 2023,
 * arXiv 2302.10866), order 2: with (x0, x1, v) = conv3(tile(W n + b)),
 *
 *     Hyena           y = x0 * (h (*) (x1 * v))         4 d channels
 *     MH-Hyena        y_i = sum over j <= i of h_g[i - j] (x0_i . x1_j) v_j    in each group g
 *     Hyena-Experts   y = sum over experts e of w_e (x0 * (h (*) (x1 * v)))_e    d / 8 channels
 *
 * where (*) is the causal convolution with the implicit filter h (liv/filter.c), which includes a
 * skip. tile() repeats the projection: Hyena's 3 d rows make 12 d channels, MH-Hyena's 3 d / 4 rows
 * make 3 d, channel c from row c modulo the rows. The repetition happens inside the convolution.
 * Experts take turns along the channels, so that each has long and short filters; a router reads n
 * (op/route.c: softly as the benchmark does it, or the best two alone).
 * Nothing is shared between units but all weights at once: every row of the projection may be in
 * x0, x1 and v together. */
#include "liv/internal.h"

#include <inttypes.h>
#include <math.h>

static const sr_slot IN = SR_SLOT_OWN, IN_BIAS = SR_SLOT_OWN + 1, CONV = SR_SLOT_OWN + 2,
                     CONV_BIAS = SR_SLOT_OWN + 3, ROUTER = SR_SLOT_OWN + 4,
                     ROUTER_BIAS = SR_SLOT_OWN + 5;

enum { HYENA = 20, MH_HYENA = 21, EXPERTS = 22 }; /* featurizers */

typedef struct shape {
    int64_t rows;     /* of the projection */
    int64_t channels; /* of x0, x1 and v each */
    int64_t out;      /* what the output projection reads */
} shape;

static shape shape_of(const sr_class *class_, const sr_sizes *sizes) {
    const int64_t d = sizes->width;
    switch (class_->code.featurizer) {
    case HYENA:
        return (shape){3 * d, SR_HYENA_INNER * d, SR_HYENA_INNER * d};
    case MH_HYENA:
        return (shape){3 * d / SR_MH_HYENA_TILES, d, d};
    default:
        return (shape){3 * d, d, d / SR_EXPERTS};
    }
}

static sartor_status check(sartor_context *ctx, const sr_class *class_, const sr_sizes *sizes) {
    const int64_t d = sizes->width, group = sr_state_head_dim(sizes);
    if (class_->code.featurizer == MH_HYENA && d % group != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s has groups of twice the head dim: width %" PRId64
                       " is not a multiple of %" PRId64,
                       class_->name, d, group);
    if (class_->code.featurizer == MH_HYENA && d % SR_MH_HYENA_TILES != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s projects to 3/%d of its channels: width %" PRId64
                       " is not a multiple of %d",
                       class_->name, SR_MH_HYENA_TILES, d, SR_MH_HYENA_TILES);
    if (class_->code.featurizer == EXPERTS && d % SR_EXPERTS != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s has %d experts: width %" PRId64 " is not a multiple", class_->name,
                       SR_EXPERTS, d);
    return SARTOR_OK;
}

static sartor_status declare_router(sr_declare *d) {
    sr_axis expert = {SR_AXIS_EXPERT, SR_WRITES, SR_BETWEEN_OPEN, SR_EXPERTS};
    SR_TRY(sr_declare_tensor(d, ROUTER, "router.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){expert, sr_model_axis(d)}));
    expert.role = SR_ALONG;
    return sr_declare_tensor(d, ROUTER_BIAS, "router.bias", SR_REST, SR_INIT_ZERO, false, 1,
                             &expert);
}

static sartor_status declare(sr_declare *d) {
    const shape s = shape_of(d->unit->class_, d->sizes);
    sr_axis row = {SR_AXIS_TILE, SR_WRITES, SR_BETWEEN_OPEN, s.rows};
    sr_axis part = {SR_AXIS_PART, SR_ALONG, SR_BETWEEN_PRODUCT, 3 * s.channels};
    sr_axis tap = {SR_AXIS_TAP, SR_ALONG, SR_BETWEEN_LINEAR, SR_SHORT_TAPS};
    sr_init uniform = {SR_INIT_UNIFORM, 1 / sqrt(SR_SHORT_TAPS), 0};
    SR_TRY(sr_declare_tensor(d, IN, "in.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){row, sr_model_axis(d)}));
    row.role = SR_ALONG;
    SR_TRY(sr_declare_tensor(d, IN_BIAS, "in.bias", SR_REST, SR_INIT_ZERO, false, 1, &row));
    SR_TRY(sr_declare_tensor(d, CONV, "conv", SR_REST, uniform, false, 2, (sr_axis[]){part, tap}));
    SR_TRY(sr_declare_tensor(d, CONV_BIAS, "conv_bias", SR_REST, uniform, false, 1, &part));
    SR_TRY(sr_filter_declare(d));
    return d->unit->class_->code.featurizer == EXPERTS ? declare_router(d) : SARTOR_OK;
}

/* x0, x1 and v. */
static void emit_parts(sr_build *b, const sr_unit *u, int branch, sr_value n, sr_value part[3]) {
    const shape s = shape_of(u->class_, b->sizes);
    sr_value x = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 1, (sr_slot[]){IN}, (sr_value *[]){&x});
    x = sr_bias(b, u, branch, x, IN_BIAS);
    sr_value in[3] = {x, sr_weight(b, u, branch, CONV), sr_weight(b, u, branch, CONV_BIAS)};
    int state[1] = {sr_graph_state(b->graph, SR_SHORT_TAPS - 1, s.rows, true)};
    x = sr_graph_op(b->graph, "conv", (sr_attr){.conv = {SR_SHORT_TAPS, false}}, in, state);
    for (int i = 0; i < 3; i++) part[i] = sr_graph_slice(b->graph, x, i * s.channels, s.channels);
}

/* The sum of the experts' shares of y, as the router weighs them. */
static sr_value mix(sr_build *b, const sr_unit *u, int branch, sr_value n, sr_value y) {
    const sr_attr route = {.route = {SR_EXPERTS, SR_ACTIVE_EXPERTS, u->class_->code.sparsity == 2}};
    sr_value in[2] = {y, SR_NO_VALUE}, scores = SR_NO_VALUE;
    sr_project(b, u, branch, n, true, 1, (sr_slot[]){ROUTER}, (sr_value *[]){&scores});
    scores = sr_bias(b, u, branch, scores, ROUTER_BIAS);
    in[1] = sr_graph_op(b->graph, "route", route, &scores, NULL);
    return sr_graph_op(b->graph, "mix", (sr_attr){.filter = {0}}, in, NULL);
}

/* Past tokens that the filter reaches. */
static int64_t kept(const sr_build *b) {
    return b->context < b->sizes->filter_length ? b->context : b->sizes->filter_length;
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    const shape s = shape_of(u->class_, b->sizes);
    sr_value part[3];
    emit_parts(b, u, branch, n, part);
    const sr_value h = sr_filter_emit(b, u, branch);
    if (u->class_->code.featurizer == MH_HYENA) {
        const int hd = (int)sr_state_head_dim(b->sizes), groups = (int)(s.channels / hd);
        sr_value in[4] = {part[0], part[1], part[2], h};
        int state[2];
        for (int i = 0; i < 2; i++) state[i] = sr_graph_state(b->graph, kept(b), s.channels, true);
        return sr_graph_op(b->graph, "toeplitz_attention",
                           (sr_attr){.attention = {groups, groups, hd, hd, 0, SR_MAP_NONE, 1}}, in,
                           state);
    }
    sr_value in[2] = {sr_gate(b, part[1], part[2], SR_MAP_NONE), h};
    int state[1] = {sr_graph_state(b->graph, kept(b), s.channels, true)};
    sr_value y = sr_graph_op(b->graph, "long_conv", (sr_attr){.filter = {0}}, in, state);
    y = sr_gate(b, part[0], y, SR_MAP_NONE);
    return u->class_->code.featurizer == EXPERTS ? mix(b, u, branch, n, y) : y;
}

static sr_axis out(const sr_class *class_, const sr_sizes *sizes) {
    const bool filtered = class_->code.featurizer == HYENA; /* the axis that the filters write */
    return (sr_axis){filtered ? SR_AXIS_CHANNEL : SR_AXIS_VALUE, SR_READS, SR_BETWEEN_PRODUCT,
                     shape_of(class_, sizes).out};
}

const sr_family_builder sr_family_hyena = {check, declare, emit, out};
