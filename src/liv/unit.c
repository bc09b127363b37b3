/* A unit: checks, sharing of weights, and the composition of the three builders. */
#include "liv/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static sartor_status attention_sizes(sartor_context *ctx, const sr_class *class_,
                                     const sr_sizes *sizes, sr_unit_sizes *u) {
    const int64_t d = sizes->width, h = sizes->head_dim, repeat = sr_code_kv_repeat(class_->code);
    const bool one_head = class_->code.channel_mixing == 2;
    if (one_head && d % 2 != 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s rotates pairs: width %" PRId64 " must be even",
                       class_->name, d);
    if (!one_head && h % 2 != 0)
        return sr_fail(ctx, SARTOR_INVALID, "%s rotates pairs: head dim %" PRId64 " must be even",
                       class_->name, h);
    if (!one_head && d % h != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s: width %" PRId64 " is not a multiple of head dim %" PRId64, class_->name,
                       d, h);
    if (!one_head && d / h % repeat != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s repeats keys and values %" PRId64 " times: the %" PRId64
                       " heads of width %" PRId64 " and head dim %" PRId64
                       " are not a multiple of %" PRId64,
                       class_->name, repeat, d / h, d, h, repeat);
    u->axis[SR_AXIS_HEAD] = one_head ? 1 : d / h;
    u->axis[SR_AXIS_KV_HEAD] = u->axis[SR_AXIS_HEAD] / repeat;
    u->axis[SR_AXIS_KEY] = u->axis[SR_AXIS_VALUE] = u->scale = one_head ? d : h;
    if (class_->code.featurizer == 2) u->axis[SR_AXIS_TAP] = SR_SHORT_TAPS;
    return SARTOR_OK;
}

static sartor_status recurrence_sizes(sartor_context *ctx, const sr_class *class_,
                                      const sr_sizes *sizes, sr_unit_sizes *u) {
    (void)ctx;
    u->axis[SR_AXIS_CHANNEL] = sr_code_expand(class_->code) * sizes->width;
    u->axis[SR_AXIS_STATE] = sr_code_states(class_->code);
    u->axis[SR_AXIS_RANK] = sr_dt_rank(sizes->width);
    u->axis[SR_AXIS_TAP] = SR_SCAN_TAPS;
    return SARTOR_OK;
}

static sartor_status convolution_sizes(sartor_context *ctx, const sr_class *class_,
                                       const sr_sizes *sizes, sr_unit_sizes *u) {
    (void)ctx;
    u->axis[SR_AXIS_CHANNEL] = sizes->width;
    if (class_->code.featurizer == 7) {
        u->axis[SR_AXIS_TAP] = SR_SHORT_TAPS;
        return SARTOR_OK;
    }
    u->axis[SR_AXIS_FEATURE] = SR_FILTER_FEATURES;
    u->axis[SR_AXIS_RANK] = SR_FILTER_WIDTH;
    return SARTOR_OK;
}

static sartor_status memoryless_sizes(sartor_context *ctx, const sr_class *class_,
                                      const sr_sizes *sizes, sr_unit_sizes *u) {
    (void)ctx, (void)class_;
    u->axis[SR_AXIS_FF] = sr_ff_width(sizes->width);
    return SARTOR_OK;
}

sartor_status sr_size_state_heads(sartor_context *ctx, const sr_class *class_,
                                  const sr_sizes *model, sr_unit_sizes *unit) {
    const int64_t n = sr_state_head_dim(model);
    unit->axis[SR_AXIS_HEAD] = model->width / n;
    unit->axis[SR_AXIS_KEY] = unit->axis[SR_AXIS_VALUE] = unit->divisor = n;
    if (model->width % n == 0) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID,
                   "%s has heads of twice the head dim: width %" PRId64
                   " is not a multiple of %" PRId64,
                   class_->name, model->width, n);
}

static sartor_status declare_any(sr_declare *d, sr_slot slot, const char *name, int feature,
                                 sr_init init, bool decay, bool vector, int axes,
                                 const sr_axis *axis) {
    sr_unit *u = d->unit;
    int owner = feature == SR_OWN    ? u->index
                : feature == SR_REST ? u->rest_owner
                                     : u->weight_owner[feature];
    int *number = &u->slot[d->branch][slot];
    *number = -1;
    if (owner < 0) return SARTOR_OK;
    if (owner != u->index) {
        *number = d->units[owner].slot[d->branch][slot];
        return SARTOR_OK;
    }
    sr_param p = {.scope = 1 + u->index,
                  .axes = axes,
                  .init = init,
                  .decay = decay,
                  .vector = vector,
                  .trained = slot != SR_SLOT_FILTER_DECAY};
    const char *branch = !u->class_->differential ? "" : d->branch == 0 ? "a." : "b.";
    snprintf(p.name, sizeof p.name, "liv.%d.%s%s", u->index, branch, name);
    memcpy(p.axis, axis, (size_t)axes * sizeof *axis);
    *number = sr_schema_add(d->ctx, d->schema, &p);
    return *number < 0 ? SARTOR_MEMORY : SARTOR_OK;
}

sartor_status sr_declare_tensor(sr_declare *d, sr_slot slot, const char *name, int feature,
                                sr_init init, bool decay, int axes, const sr_axis *axis) {
    return declare_any(d, slot, name, feature, init, decay, false, axes, axis);
}

sartor_status sr_declare_vector(sr_declare *d, sr_slot slot, const char *name, int feature,
                                sr_init init, int axes, const sr_axis *axis) {
    return declare_any(d, slot, name, feature, init, false, true, axes, axis);
}

/* The frequencies of a unit's rotation: the model's table for its channels, or one of its own. */
static sartor_status rope_table(sr_declare *d) {
    const sr_unit *u = d->unit;
    const int64_t channels = u->size.axis[SR_AXIS_KEY] / 2 * 2;
    const bool own = u->size.pairs > 0;
    sr_param p = {
        .axes = 1, .scope = own ? 1 + u->index : 0, .init = {SR_INIT_FREQUENCIES, SR_ROPE_BASE, 0}};
    if (own)
        snprintf(p.name, sizeof p.name, "liv.%d.rope.freq", u->index);
    else
        snprintf(p.name, sizeof p.name, "rope.%" PRId64 ".freq", channels);
    p.axis[0] =
        (sr_axis){SR_AXIS_KEY, SR_ALONG, SR_BETWEEN_PRODUCT, own ? u->size.pairs : channels / 2};
    int *number = &d->unit->slot[d->branch][SR_SLOT_ROPE];
    *number = sr_schema_find(d->schema, p.name);
    if (*number < 0) *number = sr_schema_add(d->ctx, d->schema, &p);
    return *number < 0 ? SARTOR_MEMORY : SARTOR_OK;
}

/* ---- families ---- */

static sartor_status attention_declare(sr_declare *d) {
    SR_TRY(sr_featurizer_declare(d));
    return rope_table(d);
}

static sr_value compose(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_groups groups = sr_featurizer_emit(b, u, branch, n);
    return sr_token_mixing_emit(b, u, branch, &groups);
}

static int values(const sr_unit *u, sr_axis axis[2]) {
    const sr_between between =
        sr_code_biases(u->class_->code) ? SR_BETWEEN_OPEN : SR_BETWEEN_LINEAR;
    axis[0] = sr_unit_axis(u, SR_AXIS_HEAD, SR_READS, between);
    axis[1] = sr_unit_axis(u, SR_AXIS_VALUE, SR_READS, between);
    return 2;
}
static int channels(const sr_unit *u, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(u, SR_AXIS_CHANNEL, SR_READS, SR_BETWEEN_PRODUCT);
    return 1;
}
static int hidden(const sr_unit *u, sr_axis axis[2]) {
    axis[0] =
        sr_unit_axis(u, SR_AXIS_FF, SR_READS,
                     u->class_->code.nonlinearity == 3 ? SR_BETWEEN_BEND : SR_BETWEEN_PRODUCT);
    return 1;
}

static const char *computed_features(const sr_class *class_, sr_axis_kind kind) {
    (void)class_;
    return kind == SR_AXIS_FEATURE
               ? "the features of a position are computed, and others would change all of them"
               : NULL;
}

static const sr_family_builder attention = {attention_sizes, attention_declare, compose, values,
                                            NULL},
                               recurrence = {recurrence_sizes, sr_featurizer_declare, compose,
                                             channels, NULL},
                               convolution = {convolution_sizes, sr_featurizer_declare, compose,
                                              channels, computed_features},
                               memoryless = {memoryless_sizes, sr_featurizer_declare, compose,
                                             hidden, NULL};

const sr_family_builder *sr_family_builder_of(const sr_class *class_) {
    static const sr_family_builder *const builders[] = {
        [SR_FAMILY_SA] = &attention,
        [SR_FAMILY_REC] = &recurrence,
        [SR_FAMILY_GCONV] = &convolution,
        [SR_FAMILY_GMEMLESS] = &memoryless,
        [SR_FAMILY_MLP] = &sr_family_mlp,
        [SR_FAMILY_MOE] = &sr_family_moe,
        [SR_FAMILY_HYENA] = &sr_family_hyena,
        [SR_FAMILY_DELTA] = &sr_family_delta,
        [SR_FAMILY_LINEAR] = &sr_family_linear,
        [SR_FAMILY_RWKV] = &sr_family_rwkv,
        [SR_FAMILY_RWKV_CM] = &sr_family_rwkv_channels,
    };
    return builders[class_->family];
}

sartor_status sr_unit_sizes_default(sartor_context *ctx, const sr_class *class_,
                                    const sr_sizes *sizes, sr_unit_sizes *unit) {
    *unit = (sr_unit_sizes){.scale = 0};
    return sr_family_builder_of(class_)->sizes(ctx, class_, sizes, unit);
}

/* Sizes that every class can have: they tell which axes it has. */
static const sr_sizes plain = {.width = 256, .head_dim = 16, .window = 1, .filter_length = 1};

sartor_status sr_unit_sizes_check(sartor_context *ctx, const sr_class *class_,
                                  const sr_unit_sizes *u) {
    sr_unit_sizes usual;
    SR_TRY(sr_unit_sizes_default(ctx, class_, &plain, &usual));
    for (int i = 0; i < SR_AXIS_KINDS; i++) {
        if ((u->axis[i] != 0) != (usual.axis[i] != 0))
            return sr_fail(ctx, SARTOR_INVALID, "%s has %s axis '%s'", class_->name,
                           usual.axis[i] != 0 ? "an" : "no", sr_axis_name((sr_axis_kind)i));
        if (u->axis[i] < 0 || u->axis[i] > SR_MAX_WIDTH)
            return sr_fail(ctx, SARTOR_INVALID, "%s: %s is %" PRId64 ", expected 1 to %d",
                           class_->name, sr_axis_name((sr_axis_kind)i), u->axis[i], SR_MAX_WIDTH);
    }
    const int64_t heads = u->axis[SR_AXIS_HEAD], kv = u->axis[SR_AXIS_KV_HEAD];
    if (kv > 0 && heads % kv != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%s: %" PRId64 " heads are not a multiple of %" PRId64
                       " heads of keys and values",
                       class_->name, heads, kv);
    if ((u->scale != 0) != (usual.scale != 0) || u->scale < 0 || u->scale > SR_MAX_WIDTH ||
        (u->divisor != 0) != (usual.divisor != 0) || u->divisor < 0 || u->divisor > SR_MAX_WIDTH)
        return sr_fail(ctx, SARTOR_INVALID, "%s: a stored constant is out of range", class_->name);
    if (u->pairs < 0 || u->pairs > u->axis[SR_AXIS_KEY] / 2 ||
        (u->pairs > 0 && class_->family != SR_FAMILY_SA))
        return sr_fail(ctx, SARTOR_INVALID, "%s: rotates %" PRId64 " pairs of %" PRId64 " channels",
                       class_->name, u->pairs, u->axis[SR_AXIS_KEY]);
    return SARTOR_OK;
}

const char *sr_unit_fixed(const sr_class *class_, sr_axis_kind kind) {
    const sr_family_builder *f = sr_family_builder_of(class_);
    return f->fixed != NULL ? f->fixed(class_, kind) : NULL;
}

/* The weights of experts add up to one, so that equal experts are one, however they are routed. */
bool sr_class_grows_into(const sr_class *from, const sr_class *to) {
    return from == to || (from->family == SR_FAMILY_GMEMLESS && to->family == SR_FAMILY_MOE &&
                          !from->differential && !to->differential &&
                          from->code.nonlinearity == to->code.nonlinearity);
}

static sr_axis stream(const sr_declare *d) {
    return (sr_axis){SR_AXIS_MODEL, SR_WRITES, SR_BETWEEN_NORM, d->sizes->width};
}

sartor_status sr_declare_out(sr_declare *d, sr_slot slot, const char *name, int axes,
                             const sr_axis *read) {
    const sr_init init = {SR_INIT_NORMAL, 0.02 / sqrt((double)d->livs), 0};
    sr_axis axis[SR_MAX_AXES] = {stream(d)};
    memcpy(axis + 1, read, (size_t)axes * sizeof *axis);
    return sr_declare_tensor(d, slot, name, SR_OWN, init, true, 1 + axes, axis);
}

/* Channel mixing: every unit is projected back to the residual stream by a matrix of its own, some
 * with a bias. */
static sartor_status out_declare(sr_declare *d) {
    const sr_class *c = d->unit->class_;
    sr_axis read[2];
    const sr_axis written = stream(d);
    const int axes = sr_family_builder_of(c)->out(d->unit, read);
    SR_TRY(sr_declare_out(d, SR_SLOT_OUT, "out.weight", axes, read));
    if (!sr_code_biases(c->code)) return SARTOR_OK;
    return sr_declare_vector(d, SR_SLOT_OUT_BIAS, "out.bias", SR_OWN, SR_INIT_ZERO, 1, &written);
}

sartor_status sr_unit_declare(sartor_context *ctx, sr_schema *schema, const sr_sizes *sizes,
                              sr_unit *units, int i, int livs) {
    sr_unit *u = &units[i];
    sr_declare d = {ctx, schema, sizes, units, u, 0, livs};
    for (int b = 0; b < SR_BRANCHES; b++)
        for (int s = 0; s < SR_SLOTS; s++) u->slot[b][s] = -1;
    sr_param norm = {.scope = 1 + i, .axes = 1, .init = {SR_INIT_CONSTANT, 1, 0}, .trained = true};
    snprintf(norm.name, sizeof norm.name, "liv.%d.norm.gain", i);
    norm.axis[0] = (sr_axis){SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_NORM, sizes->width};
    u->norm = sr_schema_add(ctx, schema, &norm);
    if (u->norm < 0) return SARTOR_MEMORY;
    for (d.branch = 0; d.branch < (u->class_->differential ? 2 : 1); d.branch++) {
        SR_TRY(sr_family_builder_of(u->class_)->declare(&d));
        SR_TRY(out_declare(&d));
    }
    return SARTOR_OK;
}

/* A cache is as long as its longest reader looks back; a running state needs none. */
void sr_unit_plan_caches(const sr_sizes *sizes, sr_unit *units, int n, int64_t context) {
    for (int i = 0; i < n; i++) units[i].cache_rows[0] = units[i].cache_rows[1] = 0;
    for (int i = 0; i < n; i++) {
        const sr_class *c = units[i].class_;
        if (c->family != SR_FAMILY_SA) continue;
        int64_t rows = context;
        if (c->code.sparsity == 2)
            rows = sizes->window < context ? sizes->window : context;
        else if (c->code.nonlinearity == SR_MAP_NONE)
            rows = 0;
        for (int f = 0; f < 2; f++) {
            int64_t *kept = &units[units[i].feature_source[f]].cache_rows[f];
            *kept = rows > *kept ? rows : *kept;
        }
    }
}

/* x + sigmoid(gate) * W y, given y, W and x: only in classes that are neither differential nor have
 * an output bias. */
static sr_value add_gated(sr_build *b, sr_value gate, const sr_value out[3]) {
    sr_value product[3] = {out[0], out[1], SR_NO_VALUE};
    sr_value in[3] = {gate, SR_NO_VALUE, out[2]};
    in[1] = sr_graph_op(b->graph, "linear", (sr_attr){.linear = {1, false}}, product, NULL);
    return sr_graph_op(b->graph, "gate_add", (sr_attr){.gate = {SR_MAP_SIGMOID}}, in, NULL);
}

sr_value sr_unit_emit(sr_build *b, int i, sr_value x) {
    sr_unit *u = &b->units[i];
    sr_value norm[2] = {x, sr_graph_param(b->graph, u->norm, 1)};
    const sr_attr attr = {.norm = {SR_NORM_EPSILON, b->sizes->divisor}};
    sr_value n = sr_graph_op(b->graph, "rmsnorm", attr, norm, NULL);
    for (int branch = 0; branch < (u->class_->differential ? 2 : 1); branch++) {
        u->out_gate = u->out_experts = SR_NO_VALUE;
        sr_value out[3] = {sr_family_builder_of(u->class_)->emit(b, u, branch, n),
                           sr_weight(b, u, branch, SR_SLOT_OUT), x};
        if (u->out_gate != SR_NO_VALUE) {
            x = add_gated(b, u->out_gate, out);
            continue;
        }
        const sr_attr add = {.linear = {branch == 0 ? 1 : -1, true}};
        x = sr_graph_op(b->graph, "linear", add, out, NULL);
        if (u->out_experts != SR_NO_VALUE) {
            sr_value more[3] = {u->out_experts, sr_weight(b, u, branch, SR_SLOT_OUT_EXPERTS), x};
            x = sr_graph_op(b->graph, "linear", add, more, NULL);
        }
        if (u->slot[branch][SR_SLOT_OUT_BIAS] >= 0) x = sr_bias(b, u, branch, x, SR_SLOT_OUT_BIAS);
    }
    return x;
}

void sr_unit_emit_late(sr_build *b) {
    for (int i = 0; i < b->n_late; i++)
        sr_graph_op(b->graph, "cache_write", (sr_attr){.filter = {0}}, &b->late[i].value,
                    &b->late[i].state);
    b->n_late = 0;
}
