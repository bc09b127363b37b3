/* unembed_loss: loss[t] = -log softmax(W h[t])[target[t]] in nats; 0 where target[t] < 0.
 *
 * The logits of all tokens never exist at once: blocks of tokens pass through, and backward
 * computes their logits anew. Backward also writes the losses, so that training runs it alone. */
#include "op/unembed_loss.h"

SR_DECLARE(unembed_loss_forward)
SR_DECLARE(unembed_loss_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    SR_TRY(sr_expect_shape(ctx, "unembed_loss", "W", &c->in[1], c->in[1].rows, c->in[0].cols));
    SR_TRY(sr_expect_shape(ctx, "unembed_loss", "target", &c->in[2], c->in[0].rows, 1));
    sr_set_out(c, c->in[0].rows, 1, SR_REAL);
    return SARTOR_OK;
}

static double flops(const sr_call *c) {
    return 2.0 * (double)c->in[0].rows * (double)c->in[0].cols * (double)c->in[1].rows;
}

static bool fast(const sr_call *c) {
    return c->numbers == SR_FAST_F32 || c->numbers == SR_FAST_BF16;
}

/* All products of a call: whole blocks and the last, shorter one; first and later dW. */
static int products(const sr_call *c, bool backward, sr_matmul all[12]) {
    int n = 0;
    int64_t block = sr_loss_block(c), rest = c->in[0].rows % block;
    for (int last = 0; last < (rest > 0 ? 2 : 1); last++) {
        int64_t rows = last ? rest : block;
        all[n++] = sr_loss_logits(c, rows);
        for (int add = 0; add < 2 && backward; add++) {
            all[n++] = sr_loss_dh(c, rows, c->din[0].view.stride, add);
            all[n++] = sr_loss_dw(c, rows, c->din[1].view.stride, add);
        }
    }
    return n;
}

static sartor_status prepare(sartor_context *ctx, const sr_call *c, bool backward) {
    sr_matmul all[12];
    int n = fast(c) ? products(c, backward, all) : 0;
    for (int i = 0; i < n; i++) SR_TRY(sr_matmul_prepare(ctx, &all[i], c->threads));
    return SARTOR_OK;
}

/* Logits, their bf16 gradient, oneDNN's scratchpad; one row of probabilities for the truths. */
static int64_t scratch(const sr_call *c, bool backward) {
    if (!fast(c)) return c->in[1].rows * 8;
    sr_matmul all[12];
    int n = products(c, backward, all);
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        int64_t bytes = sr_matmul_scratch(&all[i], c->threads);
        most = bytes > most ? bytes : most;
    }
    return sr_loss_logits_bytes(c) + sr_loss_gradient_bytes(c) + most;
}

const sr_op sr_op_unembed_loss = {
    .name = "unembed_loss",
    .summary = "loss = -log softmax(W h)[target], in nats; 0 where target < 0",
    .inputs = "h W target",
    .n_in = 3,
    .parameters = 1u << 1,
    .weights = 1u << 1,
    .constants = 1u << 2,
    .backward_in = 1u << 0 | 1u << 1 | 1u << 2,
    .backward_writes_out = true,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .prepare = prepare,
    .forward = SR_KERNELS(unembed_loss_forward),
    .backward = SR_KERNELS(unembed_loss_backward),
};
