/* How `unembed_loss` cuts its work: a block of tokens whose logits stay in the cache. */
#ifndef SR_OP_UNEMBED_LOSS_H
#define SR_OP_UNEMBED_LOSS_H

#include "op/matmul.h"
#include "op/op.h"

enum { SR_LOSS_BLOCK_BYTES = 4 << 20 };

/* Tokens per block: their f32 logits fill about SR_LOSS_BLOCK_BYTES. */
static inline int64_t sr_loss_block(const sr_call *c) {
    int64_t rows = SR_LOSS_BLOCK_BYTES / 4 / c->in[1].rows / 16 * 16;
    rows = rows < 16 ? 16 : rows > 1024 ? 1024 : rows;
    return rows < c->in[0].rows ? rows : c->in[0].rows;
}

/* Bytes of one block of logits, and, in bf16 mode, of their gradient beside it. */
static inline int64_t sr_loss_logits_bytes(const sr_call *c) {
    return (sr_loss_block(c) * c->in[1].rows * 4 + 63) / 64 * 64;
}
static inline int64_t sr_loss_gradient_bytes(const sr_call *c) {
    return c->in[0].type == SR_BF16 ? (sr_loss_block(c) * c->in[1].rows * 2 + 63) / 64 * 64 : 0;
}

/* logits = h W^T; dh = g W; dW (+)= g^T h, for `rows` tokens. */
static inline sr_matmul sr_loss_logits(const sr_call *c, int64_t rows) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = rows,
                       .n = w->rows,
                       .k = h->cols,
                       .a_stride = h->stride,
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
static inline sr_matmul sr_loss_dw(const sr_call *c, int64_t rows, int64_t dw_stride, bool add) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = w->rows,
                       .n = h->cols,
                       .k = rows,
                       .a_stride = w->rows,
                       .b_stride = h->stride,
                       .c_stride = dw_stride,
                       .type = h->type,
                       .c_type = SR_F32,
                       .a_transposed = true,
                       .add = add,
                       .sign = 1};
}

#endif
