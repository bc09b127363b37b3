/* scan: the selective state space recurrence of Mamba (S6; Gu & Dao 2023), with its gate. Per
 * channel, with N states, Delta = softplus(dt + dt_bias), A = -exp(A_log): h[t] = exp(Delta A)
 * h[t-1] + Delta B[t] u[t],   y[t] = (C[t] . h[t] + D u[t]) silu(z[t]). The state is h, [d, N],
 * always f32. */
#include "op/scan.h"

SR_DECLARE(scan_forward)
SR_DECLARE(scan_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    int64_t rows = c->in[0].rows, d = c->in[0].cols;
    int states = c->attr.scan.states;
    if (states < 1 || states > SR_SCAN_STATES)
        return sr_fail(ctx, SARTOR_INVALID, "scan: %d states, expected 1 to %d", states,
                       SR_SCAN_STATES);
    SR_TRY(sr_expect_shape(ctx, "scan", "dt", &c->in[SR_SCAN_DT], rows, d));
    SR_TRY(sr_expect_shape(ctx, "scan", "B", &c->in[SR_SCAN_B], rows, states));
    SR_TRY(sr_expect_shape(ctx, "scan", "C", &c->in[SR_SCAN_C], rows, states));
    SR_TRY(sr_expect_shape(ctx, "scan", "A_log", &c->in[SR_SCAN_A], d, states));
    SR_TRY(sr_expect_shape(ctx, "scan", "dt_bias", &c->in[SR_SCAN_BIAS], 1, d));
    SR_TRY(sr_expect_shape(ctx, "scan", "D", &c->in[SR_SCAN_D], 1, d));
    SR_TRY(sr_expect_shape(ctx, "scan", "z", &c->in[SR_SCAN_Z], rows, d));
    sr_set_out(c, rows, d, SR_ACT);
    return SARTOR_OK;
}

static int64_t saved(const sr_call *c) {
    return c->batch * sr_scan_saves(c) * sr_scan_padded(c) * c->attr.scan.states;
}

/* Forward: A, transposed. Backward also: the gradients of B and C by group when there are several;
 * per thread, one segment's decays, states (one more) and lanes of the gradients of B and C; the
 * state's gradient; and partial gradients of A_log, dt_bias and D. */
static int64_t scratch(const sr_call *c, bool backward) {
    int64_t d = sr_scan_padded(c), n = c->attr.scan.states, groups = sr_scan_groups(c);
    int64_t floats = d * n;
    if (backward) {
        if (groups > 1) floats += groups * 2 * sr_rows(c) * ((n + 15) / 16 * 16);
        floats += c->threads * ((4 * SR_SCAN_SEGMENT + 1) * n * 16 + 2 * d * n + 2 * d);
    }
    return floats * (int64_t)sizeof(float);
}

const sr_op sr_op_scan = {
    .name = "scan",
    .summary = "y = (C.h + D u) silu(z), h = exp(Delta A) h + Delta B u: Mamba S6 (Gu & Dao 2023)",
    .inputs = "u dt B C A_log dt_bias D z",
    .n_in = 8,
    .n_state = 1,
    .parameters = 1u << SR_SCAN_A | 1u << SR_SCAN_BIAS | 1u << SR_SCAN_D,
    .backward_in = 0xff,
    .check = check,
    .saved = saved,
    .scratch = scratch,
    .forward = SR_KERNELS(scan_forward),
    .backward = SR_KERNELS(scan_backward),
};
