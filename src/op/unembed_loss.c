/* unembed_loss: loss[t] = -log softmax(W h[t] + bias)[target[t]] in nats; 0 where target[t] < 0.
 *
 * The logits of all tokens never exist at once: blocks of tokens pass through, and backward
 * computes their logits anew. Tokens that are not scored cost nothing. Backward also writes the
 * losses, so that training runs it alone. */
#include "op/unembed_loss.h"

SR_DECLARE(unembed_loss_forward)
SR_DECLARE(unembed_loss_backward)

sartor_status sr_loss_check(sartor_context *ctx, const char *op, const sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, op, "W", &c->in[1], c->in[1].rows, c->in[0].cols));
    SR_TRY(sr_expect_shape(ctx, op, "target", &c->in[2], c->in[0].rows, 1));
    if (c->in[SR_LOSS_BIAS].cols > 0)
        SR_TRY(sr_expect_shape(ctx, op, "bias", &c->in[SR_LOSS_BIAS], 1, c->in[1].rows));
    return SARTOR_OK;
}

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_loss_check(ctx, "unembed_loss", c));
    sr_set_out(c, c->in[0].rows, 1, SR_REAL);
    return SARTOR_OK;
}

/* As if every token were scored: which ones are is not known before the run. */
double sr_loss_flops(const sr_call *c) {
    return 2.0 * (double)c->in[0].rows * (double)c->in[0].cols * (double)c->in[1].rows;
}

static bool fast(const sr_call *c) {
    return c->numbers == SR_FAST_F32 || c->numbers == SR_FAST_BF16;
}

/* All products of a call: where every token is scored, whole blocks and the last, shorter one; else
 * whole blocks of gathered tokens. First and later dW. */
enum { PRODUCTS = 2 * 5 + 4 };
static int products(const sr_call *c, bool backward, sr_matmul all[PRODUCTS]) {
    int n = 0;
    const int64_t block = sr_loss_block(c), rest = c->in[0].rows % block, d = c->in[0].cols;
    const int64_t stride = c->in[0].stride, dw_stride = c->din[1].view.stride;
    for (int last = 0; last < (rest > 0 ? 2 : 1); last++) {
        int64_t rows = last ? rest : block;
        all[n++] = sr_loss_logits(c, rows, stride);
        for (int add = 0; add < 2 && backward; add++) {
            all[n++] = sr_loss_dh(c, rows, c->din[0].view.stride, add);
            all[n++] = sr_loss_dw(c, rows, stride, dw_stride, add);
        }
    }
    all[n++] = sr_loss_logits(c, block, d);
    if (backward) {
        all[n++] = sr_loss_dh(c, block, d, false);
        for (int add = 0; add < 2; add++) all[n++] = sr_loss_dw(c, block, d, dw_stride, add);
    }
    return n;
}

sartor_status sr_loss_prepare(sartor_context *ctx, const sr_call *c, bool backward) {
    sr_matmul all[PRODUCTS];
    int n = fast(c) ? products(c, backward, all) : 0;
    for (int i = 0; i < n; i++) SR_TRY(sr_matmul_prepare(ctx, &all[i], c->threads));
    return SARTOR_OK;
}

/* One row of probabilities for the truths. */
int64_t sr_loss_scratch(const sr_call *c, bool backward) {
    if (!fast(c)) return c->in[1].rows * 8;
    sr_matmul all[PRODUCTS];
    int n = products(c, backward, all);
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        int64_t bytes = sr_matmul_scratch(&all[i], c->threads);
        most = bytes > most ? bytes : most;
    }
    return sr_loss_logits_bytes(c) + sr_loss_gradient_bytes(c) + sr_loss_gathered_bytes(c) +
           sr_loss_list_bytes(c) + most;
}

const sr_op sr_op_unembed_loss = {
    .name = "unembed_loss",
    .summary = "loss = -log softmax(W h + bias)[target], in nats; 0 where target < 0",
    .inputs = "h W target [bias]",
    .n_in = SR_LOSS_INPUTS,
    .parameters = 1u << SR_LOSS_W | 1u << SR_LOSS_BIAS,
    .weights = 1u << SR_LOSS_W,
    .constants = 1u << SR_LOSS_TARGET,
    .backward_in = 1u << SR_LOSS_H | 1u << SR_LOSS_W | 1u << SR_LOSS_TARGET | 1u << SR_LOSS_BIAS,
    .backward_writes_out = true,
    .check = check,
    .flops = sr_loss_flops,
    .scratch = sr_loss_scratch,
    .prepare = sr_loss_prepare,
    .forward = SR_KERNELS(unembed_loss_forward),
    .backward = SR_KERNELS(unembed_loss_backward),
};
