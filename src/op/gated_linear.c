/* gated_linear: linear attention whose state decays, the matrix-state recurrence of many units.
 *
 * Per head, with a state S [key, value] and a = exp(decay):
 *     S_t = diag(a_t) S_(t-1) + k_t^T (step_t v_t)
 *     out_t = scale q_t S_t + skip v_t                                  without bonus
 *     out_t = scale q_t (S_(t-1) + diag(bonus) k_t^T (step_t v_t)) + skip v_t          with bonus
 * decay is logarithmic and at most 0, per key channel (GLA, Yang et al. 2024; RWKV-6, Peng et al.
 * 2024), per head (Mamba-2, Dao & Gu 2024) or absent (Katharopoulos et al. 2020); step and skip are
 * Mamba-2's time step and D, bonus is RWKV's u. With epsilon > 0, out_t = q_t S_t / (q_t z_t +
 * epsilon), z the sum of the keys. Several heads may read the same query and key.
 *
 * Row d of state[0] holds S[d][:] of every head in turn, and with epsilon z[d] behind it; f32. */
#include "op/gated_linear.h"
#include <inttypes.h>

SR_DECLARE(gated_linear_forward)
SR_DECLARE(gated_linear_backward)

static sartor_status sizes_check(sartor_context *ctx, const sr_call *c) {
    const int heads = c->attr.gated_linear.heads, keys = c->attr.gated_linear.key_heads,
              k = c->attr.gated_linear.key_dim, v = c->attr.gated_linear.value_dim;
    if (heads < 1 || keys < 1 || heads % keys != 0)
        return sr_fail(ctx, SARTOR_INVALID,
                       "gated_linear: %d heads cannot read the keys of %d heads", heads, keys);
    if (k < 1 || k > SR_GL_MAX_DIM || v < 1 || v > SR_GL_MAX_DIM)
        return sr_fail(ctx, SARTOR_INVALID,
                       "gated_linear: heads of %d keys and %d values, expected 1 to %d", k, v,
                       SR_GL_MAX_DIM);
    const bool more = c->in[SR_GL_DECAY].cols > 0 || c->in[SR_GL_BONUS].cols > 0 ||
                      c->in[SR_GL_STEP].cols > 0 || c->in[SR_GL_SKIP].cols > 0;
    if (c->attr.gated_linear.epsilon < 0 || (c->attr.gated_linear.epsilon > 0 && more))
        return sr_fail(ctx, SARTOR_INVALID,
                       "gated_linear: only q, k and v can be normalised, by an epsilon above 0");
    return SARTOR_OK;
}

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sizes_check(ctx, c));
    const int64_t rows = c->in[SR_GL_Q].rows, heads = c->attr.gated_linear.heads,
                  keys = (int64_t)c->attr.gated_linear.key_heads * c->attr.gated_linear.key_dim,
                  values = heads * c->attr.gated_linear.value_dim;
    const sr_decay decay = c->attr.gated_linear.decay;
    const struct {
        const char *name;
        int64_t rows, cols;
        bool optional;
    } expected[] = {{"q", rows, keys, false},
                    {"k", rows, keys, false},
                    {"v", rows, values, false},
                    {"decay", rows,
                     decay == SR_DECAY_KEY    ? keys
                     : decay == SR_DECAY_HEAD ? heads
                                              : 0,
                     false},
                    {"bonus", 1, keys, true},
                    {"step", rows, heads, true},
                    {"skip", 1, heads, true}};
    for (int i = 0; i < SR_GL_INPUTS; i++) {
        if (c->in[i].cols == 0 && (expected[i].optional || expected[i].cols == 0)) continue;
        SR_TRY(sr_expect_shape(ctx, "gated_linear", expected[i].name, &c->in[i], expected[i].rows,
                               expected[i].cols));
    }
    const sr_state *s = &c->state[0];
    if (s->capacity > 0 &&
        (s->capacity != c->attr.gated_linear.key_dim || s->width != heads * sr_gl_columns(c)))
        return sr_fail(ctx, SARTOR_INVALID,
                       "gated_linear: a state of %" PRId64 " x %" PRId64 ", expected %d x %" PRId64,
                       s->capacity, s->width, c->attr.gated_linear.key_dim,
                       heads * sr_gl_columns(c));
    sr_set_out(c, rows, values, SR_ACT);
    return SARTOR_OK;
}

/* Each token updates the state and reads it. */
static double flops(const sr_call *c) {
    return 4.0 * (double)sr_rows(c) * c->attr.gated_linear.heads * c->attr.gated_linear.key_dim *
           c->attr.gated_linear.value_dim;
}

static int64_t saved(const sr_call *c) {
    return c->batch * c->attr.gated_linear.heads * sr_gl_saves(c) * c->attr.gated_linear.key_dim *
           sr_gl_pad(sr_gl_columns(c));
}

static int64_t scratch(const sr_call *c, bool backward) {
    int64_t floats = c->threads * sr_gl_region_forward(c);
    if (backward) {
        floats = c->threads * (sr_gl_region_backward(c) + sr_gl_own(c));
        if (sr_gl_parts(c) > 1) floats += sr_gl_parts(c) * sr_gl_part(c);
    }
    return floats * (int64_t)sizeof(float);
}

const sr_op sr_op_gated_linear = {
    .name = "gated_linear",
    .summary = "out = scale q S + skip v, S = diag(exp(decay)) S + k^T step v; out / (q z + "
               "epsilon) when normalised",
    .inputs = "q k v [decay] [bonus] [step] [skip]",
    .n_in = SR_GL_INPUTS,
    .n_state = 1,
    .parameters = 1u << SR_GL_BONUS | 1u << SR_GL_SKIP,
    .backward_in = (1u << SR_GL_INPUTS) - 1,
    .check = check,
    .flops = flops,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(gated_linear_forward),
    .backward = SR_KERNELS(gated_linear_backward),
};
