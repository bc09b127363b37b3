/* RWKV-6: the time mixer of RWKV-6 (Peng et al. 2024, arXiv 2404.05892, section 4.2). p is the
 * token before n (0 at the start); five mixtures of both, for the decay w, k, v, r and the gate g,
 * in shares made from the input by low rank:
 *
 *     x_i = n + (p - n) * (mu_i + U_i tanh(D_i x)),    x = n + (p - n) * mu
 *     decay_t = exp(-exp(W_up tanh(W_down x_w) + bias)),    k = W_k x_k,    v = W_v x_v,    r = W_r
 * x_r S_t = diag(decay_t) S_(t-1) + k_t v_t^T,    o_t = (S_(t-1) + diag(u) k_t v_t^T)^T r_t y =
 * W_out (norm(o) * silu(W_g x_g))
 *
 * The norm is over the channels of each head, with gain and bias per channel. Heads are twice as
 * wide as those of attention. Units may share k and v. */
#include "liv/internal.h"

#include <inttypes.h>
#include <stdio.h>

/* What is mixed, in the order of the paper's program; those that the state is fed with are shared
 * features. */
enum { W, K, V, R, G, MIXTURES };
enum { SHARED_K, SHARED_V }; /* in the order of sr_family_features() */
static const struct {
    const char *name;
    int feature;
    double power; /* of the initial shares */
    sr_slot weight;
} mixtures[MIXTURES] = {{"w", SR_REST, 1, SR_SLOT_DT_IN},
                        {"k", SHARED_K, 1, SR_SLOT_B},
                        {"v", SHARED_V, 1, SR_SLOT_V},
                        {"r", SR_REST, 0.5, SR_SLOT_C},
                        {"g", SR_REST, 0.5, SR_SLOT_Z}};

#define MU_X      SR_SLOT_OWN
#define MU(i)     (sr_slot)(SR_SLOT_OWN + 1 + (i))
#define DOWN(i)   (sr_slot)(SR_SLOT_OWN + 1 + MIXTURES + (i))
#define UP(i)     (sr_slot)(SR_SLOT_OWN + 1 + 2 * MIXTURES + (i))
#define BONUS     (sr_slot)(SR_SLOT_OWN + 1 + 3 * MIXTURES)
#define NORM_GAIN (sr_slot)(BONUS + 1)
#define NORM_BIAS (sr_slot)(BONUS + 2)

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    unit->axis[SR_AXIS_MIX] = SR_RWKV_MIX_RANK;
    unit->axis[SR_AXIS_RANK] = SR_RWKV_DECAY_RANK;
    return sr_size_state_heads(ctx, class_, model, unit);
}

/* The matrices D_i are neighbours: they make one product. They begin at zero, so that the shares
 * begin at mu. */
static sartor_status declare_mixtures(sr_declare *d) {
    const sr_axis along = {SR_AXIS_MODEL, SR_ALONG, SR_BETWEEN_PRODUCT, d->sizes->width};
    const sr_axis down[] = {sr_unit_axis(d->unit, SR_AXIS_MIX, SR_WRITES, SR_BETWEEN_ASLEEP),
                            sr_model_axis(d)};
    const sr_axis up[] = {along, sr_unit_axis(d->unit, SR_AXIS_MIX, SR_READS, SR_BETWEEN_ASLEEP)};
    char name[32];
    SR_TRY(
        sr_declare_vector(d, MU_X, "mix.mu", SR_REST, (sr_init){SR_INIT_SHARE, 1, 0}, 1, &along));
    for (int i = 0; i < MIXTURES; i++) {
        snprintf(name, sizeof name, "%s.mix.down.weight", mixtures[i].name);
        SR_TRY(
            sr_declare_tensor(d, DOWN(i), name, mixtures[i].feature, SR_INIT_ZERO, true, 2, down));
    }
    for (int i = 0; i < MIXTURES; i++) {
        snprintf(name, sizeof name, "%s.mix.up.weight", mixtures[i].name);
        SR_TRY(sr_declare_tensor(d, UP(i), name, mixtures[i].feature,
                                 (sr_init){SR_INIT_UNIFORM, 0.01, 0}, true, 2, up));
        snprintf(name, sizeof name, "%s.mu", mixtures[i].name);
        SR_TRY(sr_declare_vector(d, MU(i), name, mixtures[i].feature,
                                 (sr_init){SR_INIT_SHARE, mixtures[i].power, 0}, 1, &along));
    }
    return SARTOR_OK;
}

/* A head is silent where its values are: behind the norm, whose bias stays zero there. */
static sr_axis head_axis(const sr_declare *d, sr_axis_role role) {
    return sr_unit_axis(d->unit, SR_AXIS_HEAD, role, SR_BETWEEN_PRODUCT);
}

static sartor_status declare_decay(sr_declare *d) {
    const sr_axis rank[] = {sr_unit_axis(d->unit, SR_AXIS_RANK, SR_WRITES, SR_BETWEEN_ASLEEP),
                            sr_model_axis(d)};
    const sr_axis key[] = {head_axis(d, SR_WRITES),
                           sr_unit_axis(d->unit, SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_OPEN),
                           sr_unit_axis(d->unit, SR_AXIS_RANK, SR_READS, SR_BETWEEN_ASLEEP)};
    SR_TRY(
        sr_declare_tensor(d, SR_SLOT_DT_IN, "w.down.weight", SR_REST, SR_INIT_ZERO, true, 2, rank));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_DT, "w.up.weight", SR_REST,
                             (sr_init){SR_INIT_UNIFORM, 0.01, 0}, true, 3, key));
    return sr_declare_vector(d, SR_SLOT_DT_BIAS, "w.bias", SR_REST, (sr_init){SR_INIT_RISE, -6, -1},
                             2, key);
}

static sartor_status declare(sr_declare *d) {
    const sr_unit *u = d->unit;
    const sr_axis head = head_axis(d, SR_WRITES), model = sr_model_axis(d);
    const sr_axis r[] = {head, sr_unit_axis(u, SR_AXIS_KEY, SR_WRITES, SR_BETWEEN_PRODUCT), model},
                  k[] = {head, sr_unit_axis(u, SR_AXIS_KEY, SR_SILENCES, SR_BETWEEN_PRODUCT),
                         model},
                  v[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_CENTRED),
                         model},
                  g[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_PRODUCT),
                         model},
                  bonus[] = {head_axis(d, SR_ALONG),
                             sr_unit_axis(u, SR_AXIS_KEY, SR_ALONG, SR_BETWEEN_PRODUCT)},
                  gain[] = {head_axis(d, SR_ALONG),
                            sr_unit_axis(u, SR_AXIS_VALUE, SR_ALONG, SR_BETWEEN_NORM)},
                  bias[] = {head, sr_unit_axis(u, SR_AXIS_VALUE, SR_WRITES, SR_BETWEEN_NORM)};
    const sr_init zigzag = {SR_INIT_ZIGZAG, 0.1, 0}, one = {SR_INIT_CONSTANT, 1, 0};
    SR_TRY(declare_mixtures(d));
    SR_TRY(declare_decay(d));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_B, "k.weight", SHARED_K, SR_INIT_MATRIX, true, 3, k));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_V, "v.weight", SHARED_V, SR_INIT_MATRIX, true, 3, v));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_C, "r.weight", SR_REST, SR_INIT_MATRIX, true, 3, r));
    SR_TRY(sr_declare_tensor(d, SR_SLOT_Z, "g.weight", SR_REST, SR_INIT_MATRIX, true, 3, g));
    SR_TRY(sr_declare_vector(d, BONUS, "u", SR_REST, zigzag, 2, bonus));
    SR_TRY(sr_declare_vector(d, NORM_GAIN, "head_norm.gain", SR_REST, one, 2, gain));
    return sr_declare_vector(d, NORM_BIAS, "head_norm.bias", SR_REST, SR_INIT_ZERO, 2, bias);
}

static sr_value product(sr_build *b, const sr_unit *u, int branch, sr_value x, bool real,
                        sr_slot slot) {
    sr_value y = SR_NO_VALUE;
    sr_project(b, u, branch, x, real, 1, &slot, (sr_value *[]){&y});
    return y;
}

/* The matrix product of every mixture that this unit makes. */
static void emit_products(sr_build *b, const sr_unit *u, int branch, sr_value n,
                          sr_value y[MIXTURES]) {
    int state[1] = {sr_graph_state(b->graph, 1, b->sizes->width, true)};
    sr_value past = sr_graph_op(b->graph, "token_shift", (sr_attr){.norm = {0}}, &n, state);
    sr_value in[4] = {n, past, sr_weight(b, u, branch, MU_X), SR_NO_VALUE};
    sr_value x = sr_graph_op(b->graph, "shift_mix", (sr_attr){.norm = {0}}, in, NULL);
    sr_value low[MIXTURES], *to[MIXTURES];
    sr_slot down[MIXTURES];
    for (int i = 0; i < MIXTURES; i++) {
        y[i] = low[i] = SR_NO_VALUE;
        to[i] = &low[i];
        down[i] = DOWN(i);
    }
    sr_project(b, u, branch, x, false, MIXTURES, down, to);
    for (int i = 0; i < MIXTURES; i++) {
        if (low[i] == SR_NO_VALUE) continue;
        low[i] = sr_map(b, low[i], SR_MAP_TANH);
        in[2] = sr_weight(b, u, branch, MU(i));
        in[3] = product(b, u, branch, low[i], false, UP(i));
        x = sr_graph_op(b->graph, "shift_mix", (sr_attr){.norm = {0}}, in, NULL);
        y[i] = product(b, u, branch, x, false, mixtures[i].weight);
    }
}

/* The logarithm of the decay. */
static sr_value emit_decay(sr_build *b, const sr_unit *u, int branch, sr_value low) {
    low = sr_map(b, low, SR_MAP_TANH);
    sr_value in[2] = {product(b, u, branch, low, true, SR_SLOT_DT),
                      sr_weight(b, u, branch, SR_SLOT_DT_BIAS)};
    return sr_graph_op(b->graph, "log_decay", (sr_attr){.norm = {0}}, in, NULL);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    const int heads = (int)u->size.axis[SR_AXIS_HEAD], key = (int)u->size.axis[SR_AXIS_KEY],
              value = (int)u->size.axis[SR_AXIS_VALUE];
    sr_value y[MIXTURES];
    emit_products(b, u, branch, n, y);
    sr_value in[7] = {y[R],
                      sr_shared(b, u, branch, SHARED_K, y[K]),
                      sr_shared(b, u, branch, SHARED_V, y[V]),
                      emit_decay(b, u, branch, y[W]),
                      sr_weight(b, u, branch, BONUS),
                      SR_NO_VALUE,
                      SR_NO_VALUE};
    int state[1] = {sr_graph_state(b->graph, key, (int64_t)heads * value, false)};
    sr_attr attr = {.gated_linear = {heads, heads, key, value, SR_DECAY_KEY, 1, 0}};
    sr_value norm[3] = {sr_graph_op(b->graph, "gated_linear", attr, in, state),
                        sr_weight(b, u, branch, NORM_GAIN), sr_weight(b, u, branch, NORM_BIAS)};
    attr = (sr_attr){.head_norm = {heads, true, SR_RWKV_EPSILON, u->size.divisor}};
    sr_value o = sr_graph_op(b->graph, "head_norm", attr, norm, NULL);
    return sr_gate(b, y[G], o, SR_MAP_SWISH);
}

static int out(const sr_unit *unit, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(unit, SR_AXIS_HEAD, SR_READS, SR_BETWEEN_PRODUCT);
    axis[1] = sr_unit_axis(unit, SR_AXIS_VALUE, SR_READS, SR_BETWEEN_CENTRED);
    return 2;
}

const sr_family_builder sr_family_rwkv = {sizes, declare, emit, out, NULL};
