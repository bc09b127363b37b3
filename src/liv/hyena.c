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

enum { PARTS = 3 }; /* x0, x1 and v */

/* Channels of x0, x1 and v each. */
static int64_t channels_of(const sr_unit *u) {
    const int64_t *size = u->size.axis;
    return u->class_->code.featurizer == EXPERTS ? size[SR_AXIS_VALUE] * size[SR_AXIS_EXPERT]
                                                 : size[SR_AXIS_CHANNEL];
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

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    const int64_t d = model->width;
    int64_t *size = unit->axis;
    SR_TRY(check(ctx, class_, model));
    size[SR_AXIS_FEATURE] = SR_HYENA_FEATURES;
    size[SR_AXIS_TAP] = SR_SHORT_TAPS;
    size[SR_AXIS_PART] = PARTS;
    switch (class_->code.featurizer) {
    case HYENA:
        size[SR_AXIS_TILE] = 3 * d;
        size[SR_AXIS_CHANNEL] = SR_HYENA_INNER * d;
        size[SR_AXIS_RANK] = SR_HYENA_FILTER_WIDTH;
        break;
    case MH_HYENA:
        size[SR_AXIS_TILE] = 3 * d / SR_MH_HYENA_TILES;
        size[SR_AXIS_CHANNEL] = d;
        size[SR_AXIS_HEAD] = d / sr_state_head_dim(model);
        size[SR_AXIS_RANK] = SR_MH_HYENA_FILTER_WIDTH;
        break;
    default:
        size[SR_AXIS_VALUE] = d / SR_EXPERTS;
        size[SR_AXIS_EXPERT] = SR_EXPERTS;
        size[SR_AXIS_RANK] = SR_HYENA_EXPERTS_FILTER_WIDTH;
        break;
    }
    return SARTOR_OK;
}

static sartor_status declare_router(sr_declare *d) {
    const sr_axis expert[] = {sr_unit_axis(d->unit, SR_AXIS_EXPERT, SR_WRITES, SR_BETWEEN_OPEN),
                              sr_model_axis(d)};
    SR_TRY(sr_declare_tensor(d, ROUTER, "router.weight", SR_REST, SR_INIT_MATRIX, true, 2, expert));
    return sr_declare_vector(d, ROUTER_BIAS, "router.bias", SR_REST, SR_INIT_ZERO, 1, expert);
}

/* The channels of one part, as the tensors have them that make them: returns how many axes. */
static int channel_axes(const sr_unit *u, sr_axis axis[2]) {
    const sr_between between = SR_BETWEEN_PRODUCT;
    switch (u->class_->code.featurizer) {
    case HYENA:
    case MH_HYENA:
        axis[0] = sr_unit_axis(u, SR_AXIS_CHANNEL, SR_WRITES, between);
        return 1;
    default:
        axis[0] = sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, between);
        axis[1] = sr_unit_axis(u, SR_AXIS_EXPERT, SR_ALONG, between);
        return 2;
    }
}

/* The projection is repeated a whole number of times, and a group has whole channels. */
static sartor_status check_unit(sartor_context *ctx, const sr_unit *u) {
    const int64_t *size = u->size.axis, rows = PARTS * size[SR_AXIS_CHANNEL],
                  tile = size[SR_AXIS_TILE], groups = size[SR_AXIS_HEAD];
    if (tile > 0 && rows % tile != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "LIV %d: %s repeats %" PRId64 " projected rows, which 3 times %" PRId64
                       " channels are no multiple of",
                       u->index + 1, u->class_->name, tile, size[SR_AXIS_CHANNEL]);
    if (groups > 0 && size[SR_AXIS_CHANNEL] % groups != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "LIV %d: %s cannot have %" PRId64 " heads of %" PRId64 " channels in all",
                       u->index + 1, u->class_->name, groups, size[SR_AXIS_CHANNEL]);
    return SARTOR_OK;
}

/* A projection that is not repeated has a row for each channel of each part. */
static sartor_status declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    SR_TRY(check_unit(d->ctx, u));
    const bool experts = u->class_->code.featurizer == EXPERTS;
    const sr_init uniform = {SR_INIT_UNIFORM, 1 / sqrt((double)u->size.axis[SR_AXIS_TAP]), 0};
    sr_axis part[SR_MAX_AXES], row[SR_MAX_AXES];
    part[0] = sr_unit_axis(u, SR_AXIS_PART, SR_ALONG, SR_BETWEEN_PRODUCT);
    const int axes = channel_axes(u, part + 1), rows = experts ? 1 + axes : 1;
    for (int i = 0; i < rows; i++)
        row[i] = experts ? part[i] : sr_unit_axis(u, SR_AXIS_TILE, SR_WRITES, SR_BETWEEN_PRODUCT);
    row[rows] = sr_model_axis(d);
    SR_TRY(sr_declare_tensor(d, IN, "in.weight", SR_REST, SR_INIT_MATRIX, true, rows + 1, row));
    SR_TRY(sr_declare_vector(d, IN_BIAS, "in.bias", SR_REST, SR_INIT_ZERO, rows, row));
    SR_TRY(sr_declare_taps(d, CONV, "conv", SR_REST, 1 + axes, part));
    SR_TRY(sr_declare_vector(d, CONV_BIAS, "conv_bias", SR_REST, uniform, 1 + axes, part));
    if (u->class_->code.featurizer == MH_HYENA)
        part[1] = sr_unit_axis(u, SR_AXIS_HEAD, SR_WRITES, SR_BETWEEN_PRODUCT);
    SR_TRY(sr_filter_declare(d, axes, part + 1));
    return experts ? declare_router(d) : SARTOR_OK;
}

/* x0, x1 and v. */
static void emit_parts(sr_build *b, const sr_unit *u, int branch, sr_value n,
                       sr_value part[PARTS]) {
    const int64_t channels = channels_of(u), taps = u->size.axis[SR_AXIS_TAP];
    sr_value x = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 1, (sr_slot[]){IN}, (sr_value *[]){&x});
    x = sr_bias(b, u, branch, x, IN_BIAS);
    sr_value in[3] = {x, sr_weight(b, u, branch, CONV), sr_weight(b, u, branch, CONV_BIAS)};
    const int64_t rows = b->schema->param[u->slot[branch][IN]].rows;
    int state[1] = {sr_graph_state(b->graph, taps - 1, rows, true)};
    x = sr_graph_op(b->graph, "conv", (sr_attr){.conv = {(int)taps, false}}, in, state);
    for (int i = 0; i < PARTS; i++) part[i] = sr_graph_slice(b->graph, x, i * channels, channels);
}

/* The sum of the experts' shares of y, as the router weighs them. */
static sr_value mix(sr_build *b, const sr_unit *u, int branch, sr_value n, sr_value y) {
    const sr_attr route = {.route = {(int)u->size.axis[SR_AXIS_EXPERT], SR_ACTIVE_EXPERTS,
                                     u->class_->code.sparsity == 2}};
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
    const int64_t channels = channels_of(u);
    sr_value part[PARTS];
    emit_parts(b, u, branch, n, part);
    const sr_value h = sr_filter_emit(b, u, branch);
    if (u->class_->code.featurizer == MH_HYENA) {
        const int groups = (int)u->size.axis[SR_AXIS_HEAD], hd = (int)(channels / groups);
        sr_value in[4] = {part[0], part[1], part[2], h};
        int state[2];
        for (int i = 0; i < 2; i++) state[i] = sr_graph_state(b->graph, kept(b), channels, true);
        return sr_graph_op(b->graph, "toeplitz_attention",
                           (sr_attr){.attention = {groups, groups, hd, hd, 0, SR_MAP_NONE, 1}}, in,
                           state);
    }
    sr_value in[2] = {sr_gate(b, part[1], part[2], SR_MAP_NONE), h};
    int state[1] = {sr_graph_state(b->graph, kept(b), channels, true)};
    sr_value y = sr_graph_op(b->graph, "long_conv", (sr_attr){.filter = {0}}, in, state);
    y = sr_gate(b, part[0], y, SR_MAP_NONE);
    return u->class_->code.featurizer == EXPERTS ? mix(b, u, branch, n, y) : y;
}

/* Experts' shares of the output take the place of the channels. */
static int out(const sr_unit *u, sr_axis axis[2]) {
    channel_axes(u, axis);
    axis[0].role = SR_READS;
    return 1;
}

static const char *fixed(const sr_class *class_, sr_axis_kind kind) {
    const bool tiled = class_->code.featurizer != EXPERTS;
    if (tiled && (kind == SR_AXIS_CHANNEL || kind == SR_AXIS_HEAD || kind == SR_AXIS_TILE))
        return "its projection is repeated along the channels, and more of them move all";
    return kind == SR_AXIS_EXPERT ? "another expert takes weight from those there are"
           : kind == SR_AXIS_PART ? "its order is part of what it is"
                                  : NULL;
}

const sr_family_builder sr_family_hyena = {sizes, declare, emit, out, fixed};
