/* How `unembed_loss` and `unembed_score` cut their work: a block of tokens whose logits stay in the
 * caches of the threads. Where some tokens are not scored, blocks are made of copies of those that
 * are. */
#ifndef SR_OP_UNEMBED_LOSS_H
#define SR_OP_UNEMBED_LOSS_H

#include "op/matmul.h"
#include "op/op.h"

enum { SR_LOSS_BLOCK_BYTES = 4 << 20 };

/* Inputs of both operators. */
enum { SR_LOSS_H, SR_LOSS_W, SR_LOSS_TARGET, SR_LOSS_BIAS, SR_LOSS_INPUTS };

/* Tokens per block: their f32 logits fill about SR_LOSS_BLOCK_BYTES for every thread. */
static inline int64_t sr_loss_block(const sr_call *c) {
    int64_t rows = (int64_t)c->threads * SR_LOSS_BLOCK_BYTES / 4 / c->in[1].rows / 16 * 16;
    rows = rows < 16 ? 16 : rows > 1024 ? 1024 : rows;
    return rows < c->in[0].rows ? rows : c->in[0].rows;
}

/* Bytes of one block of logits; in bf16 mode, of their gradient beside it; of one block of gathered
 * tokens; of the numbers of all scored tokens. In the scratch they lie in this order, the
 * scratchpad of the products behind them. */
static inline int64_t sr_loss_logits_bytes(const sr_call *c) {
    return (sr_loss_block(c) * c->in[1].rows * 4 + 63) / 64 * 64;
}
static inline int64_t sr_loss_gradient_bytes(const sr_call *c) {
    return c->in[0].type == SR_BF16 ? (sr_loss_block(c) * c->in[1].rows * 2 + 63) / 64 * 64 : 0;
}
static inline int64_t sr_loss_gathered_bytes(const sr_call *c) {
    int64_t size = (int64_t)sr_dtype_bytes(c->in[0].type);
    return (sr_loss_block(c) * c->in[0].cols * size + 63) / 64 * 64;
}
static inline int64_t sr_loss_list_bytes(const sr_call *c) {
    return (c->in[0].rows * (int64_t)sizeof(int32_t) + 63) / 64 * 64;
}

/* logits = h W^T; dh = g W; dW (+)= g^T h, for `rows` tokens. */
static inline sr_matmul sr_loss_logits(const sr_call *c, int64_t rows, int64_t h_stride) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = rows,
                       .n = w->rows,
                       .k = h->cols,
                       .a_stride = h_stride,
                       .b_stride = w->stride,
                       .c_stride = w->rows,
                       .type = h->type,
                       .c_type = SR_F32,
                       .b_transposed = true,
                       .sign = 1};
}
static inline sr_matmul sr_loss_dh(const sr_call *c, int64_t rows, int64_t dh_stride, bool add) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = rows,
                       .n = h->cols,
                       .k = w->rows,
                       .a_stride = w->rows,
                       .b_stride = w->stride,
                       .c_stride = dh_stride,
                       .type = h->type,
                       .c_type = h->type,
                       .add = add,
                       .sign = 1};
}
static inline sr_matmul sr_loss_dw(const sr_call *c, int64_t rows, int64_t h_stride,
                                   int64_t dw_stride, bool add) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = w->rows,
                       .n = h->cols,
                       .k = rows,
                       .a_stride = w->rows,
                       .b_stride = h_stride,
                       .c_stride = dw_stride,
                       .type = h->type,
                       .c_type = SR_F32,
                       .a_transposed = true,
                       .add = add,
                       .sign = 1};
}

/* What the tables of both operators share. */
sartor_status sr_loss_check(sartor_context *ctx, const char *op, const sr_call *call);
double sr_loss_flops(const sr_call *call);
int64_t sr_loss_scratch(const sr_call *call, bool backward);
sartor_status sr_loss_prepare(sartor_context *ctx, const sr_call *call, bool backward);

#endif
