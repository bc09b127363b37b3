/* The matrix products that `linear` makes, shared by its declaration (which prepares them) and its
 * kernels (which run them). */
#ifndef SR_OP_LINEAR_H
#define SR_OP_LINEAR_H

#include "op/matmul.h"
#include "op/op.h"

/* Up to this many rows the forward product is a matrix-vector kernel of our own: it runs at the
 * speed of memory, which oneDNN's does not. */
enum { SR_LINEAR_FEW_ROWS = 4 };

static inline bool sr_linear_few(const sr_call *c) { return c->in[0].rows <= SR_LINEAR_FEW_ROWS; }

/* An f32 output beside bf16 operands: its gradient is rounded to bf16 before it is multiplied. */
static inline bool sr_linear_rounds(const sr_call *c) {
    return c->in[0].type == SR_BF16 && c->out.type == SR_F32;
}

/* Where the rounded gradient ends, and oneDNN's scratchpad begins, in the backward scratch. */
static inline int64_t sr_linear_rounded_bytes(const sr_call *c) {
    return sr_linear_rounds(c) ? (c->out.rows * c->out.cols * 2 + 63) / 64 * 64 : 0;
}

/* y = sign * x W^T (+ y). */
static inline sr_matmul sr_linear_y(const sr_call *c) {
    const sr_view *x = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = x->rows,
                       .n = w->rows,
                       .k = x->cols,
                       .a_stride = x->stride,
                       .b_stride = w->stride,
                       .c_stride = c->out.stride,
                       .type = x->type,
                       .c_type = c->out.type,
                       .b_transposed = true,
                       .add = c->in[2].cols > 0,
                       .sign = c->attr.linear.sign};
}

/* dx = sign * dy W (+ dx). `dy_stride`: of the (possibly rounded) output gradient. */
static inline sr_matmul sr_linear_dx(const sr_call *c, int64_t dx_stride, bool add) {
    const sr_view *x = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = x->rows,
                       .n = x->cols,
                       .k = w->rows,
                       .a_stride = sr_linear_rounds(c) ? c->out.cols : c->dout.stride,
                       .b_stride = w->stride,
                       .c_stride = dx_stride,
                       .type = x->type,
                       .c_type = x->type,
                       .add = add,
                       .sign = c->attr.linear.sign};
}

/* dW = sign * dy^T x (+ dW), always f32. */
static inline sr_matmul sr_linear_dw(const sr_call *c, int64_t dw_stride, bool add) {
    const sr_view *x = &c->in[0], *w = &c->in[1];
    return (sr_matmul){.m = w->rows,
                       .n = x->cols,
                       .k = x->rows,
                       .a_stride = sr_linear_rounds(c) ? c->out.cols : c->dout.stride,
                       .b_stride = x->stride,
                       .c_stride = dw_stride,
                       .type = x->type,
                       .c_type = SR_F32,
                       .a_transposed = true,
                       .add = add,
                       .sign = c->attr.linear.sign};
}

#endif
