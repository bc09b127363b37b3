/* One chunk of delta_rule: what forward and backward both need of it.
 *
 * Let g[i] be the product of alpha from the chunk's first token to token i, and D[i][j] that from
 * j + 1 to i (0 for j > i). Unrolled, S[i] = g[i] S + sum over j <= i of D[i][j] k[j] u[j]^T with
 * u[i] = beta[i] (v[i] - alpha[i] S[i-1]^T k[i]), so that the u of a chunk solve a triangular
 * system, and all the rest are products (the chunkwise form of the paper):
 *
 *     (I + L) U = diag(beta) (V - diag(g) K S),     L[i][j] = beta[i] D[i][j] k[i].k[j], j < i
 *     out = diag(g) Q S + A U,                      A[i][j] = D[i][j] q[i].k[j]
 *     S after the chunk = g[last] S + K^T diag(D[last]) U
 *
 * D is made by multiplication alone: nothing grows, however strong the decay. */
#ifndef SR_OP_KERNEL_DELTA_CHUNK_H
#define SR_OP_KERNEL_DELTA_CHUNK_H

#include "op/delta_rule.h"
#include "op/kernel/lanes.h"
#include "op/kernel/product.h"

enum { CHUNK = SR_DELTA_CHUNK, LANES = CHUNK / VL };

/* What has decayed further counts as nothing beside the 1 of the present token: products with it
 * would become denormal numbers, which are slow. */
#define LEAST 1e-20f

/* A thread's region. Blocks of two halves are stacked by rows (k above q) or side by side. */
typedef struct head {
    const sr_call *c;
    int K, V;
    int64_t kw, vw, rows; /* padded key and value channels; key channels in whole ROWS */
    float *state;         /* [kw][vw]: S; backward: its gradient */
    float *kq;            /* [2 CHUNK][kw], of length one */
    float *kt, *qt;       /* [kw][CHUNK] */
    float *system;        /* [2 CHUNK][CHUNK]: -L above A */
    float *decay;         /* [CHUNK][CHUNK]: D */
    float *u;             /* [2 CHUNK][vw]: U, and out */
    float *alpha, *gamma, *beta;
    float *log_alpha, *slope;               /* and d log alpha / d dt */
    float *inverse;                         /* [2 CHUNK]: 1 / length of k and q */
    float *dbeta;                           /* gradients of b */
    float *dpairs, *dread_log, *dwrite_log; /* of log alpha: see finish_gates() */
    /* backward only */
    float *y;      /* [2 CHUNK][vw]: gradients of the system's right side, above those of out */
    float *yt;     /* [vw][2 CHUNK] */
    float *ut;     /* [vw][CHUNK] */
    float *pairs;  /* [2 CHUNK][CHUNK]: gradients of k.k above those of q.k */
    float *turned; /* [CHUNK][2 CHUNK]: the same transposed */
    float *dread;  /* [kw][2 CHUNK]: gradients of k where it reads, and of q */
    float *dwrite; /* [kw][CHUNK]: gradients of k where it writes */
} head;

static head head_of(const sr_call *c, float *region, bool backward) {
    head a = {.c = c,
              .K = c->attr.delta.key_dim,
              .V = c->attr.delta.value_dim,
              .kw = sr_delta_keys(c),
              .vw = sr_delta_values(c),
              .rows = (c->attr.delta.key_dim + ROWS - 1) / ROWS * ROWS};
    const struct {
        float **block;
        int64_t floats;
    } blocks[] = {{&a.state, a.kw * a.vw},
                  {&a.kq, 2 * CHUNK * a.kw},
                  {&a.kt, CHUNK * a.kw},
                  {&a.system, 2 * CHUNK * CHUNK},
                  {&a.decay, CHUNK * CHUNK},
                  {&a.u, 2 * CHUNK * a.vw},
                  {&a.alpha, CHUNK},
                  {&a.gamma, CHUNK},
                  {&a.beta, CHUNK},
                  {&a.log_alpha, CHUNK},
                  {&a.slope, CHUNK},
                  {&a.inverse, 2 * CHUNK},
                  {&a.dbeta, CHUNK},
                  {&a.dpairs, CHUNK},
                  {&a.dread_log, CHUNK},
                  {&a.dwrite_log, CHUNK},
                  {&a.qt, CHUNK * a.kw},
                  {&a.y, 2 * CHUNK * a.vw},
                  {&a.yt, 2 * CHUNK * a.vw},
                  {&a.ut, CHUNK * a.vw},
                  {&a.pairs, 2 * CHUNK * CHUNK},
                  {&a.turned, 2 * CHUNK * CHUNK},
                  {&a.dread, 2 * CHUNK * a.kw},
                  {&a.dwrite, CHUNK * a.kw}};
    for (size_t i = 0; i < (backward ? sizeof blocks / sizeof *blocks : 16); i++) {
        *blocks[i].block = region;
        region += blocks[i].floats;
    }
    return a;
}

/* Channels of head h at token t of sequence b. */
static act *rows_of(const head *a, const sr_view *v, int64_t b, int64_t t, int h, int dim) {
    return act_row(v, b * a->c->length + t) + (int64_t)h * dim;
}

/* y[column][row] = x[row][column] of f32 blocks; rows and cols are whole vectors. */
static void turn(const float *x, int64_t xs, int64_t rows, int64_t cols, float *y, int64_t ys) {
    for (int64_t r = 0; r < rows; r += VL)
        for (int64_t j = 0; j < cols; j += VL) {
            vf v[VL];
            for (int i = 0; i < VL; i++) v[i] = v_loadf(x + (r + i) * xs + j);
            v_transpose(v);
            for (int i = 0; i < VL; i++) v_storef(y + (j + i) * ys + r, v[i]);
        }
}

static void scale_row(float *x, int64_t width, float by) {
    for (int64_t j = 0; j < width; j += VL) v_storef(x + j, v_loadf(x + j) * by);
}

/* n rows of k or q, and CHUNK - n of zeros, with length one. */
static void load_unit(const head *a, const sr_view *x, int64_t b, int64_t t0, int64_t n, int h,
                      float *to, float *inverse) {
    vf sums[CHUNK];
    copy_in(rows_of(a, x, b, t0, h, a->K), x->stride, n, a->K, 1, to, a->kw, CHUNK);
    for (int i = 0; i < CHUNK; i++) {
        sums[i] = v_set(0);
        for (int64_t j = 0; j < a->kw; j += VL) {
            vf v = v_loadf(to + i * a->kw + j);
            sums[i] += v * v;
        }
    }
    lane_sums(sums, CHUNK, inverse);
    const float epsilon = (float)a->c->attr.delta.epsilon;
    for (int i = 0; i < CHUNK; i++) {
        inverse[i] = 1 / sqrtf(inverse[i] + epsilon);
        scale_row(to + i * a->kw, a->kw, inverse[i]);
    }
}

/* alpha, beta and what they are made of; tokens behind the last keep all and write nothing. */
static void load_gates(const head *a, int64_t b, int64_t t0, int64_t n, int h) {
    const sr_call *c = a->c;
    const sr_view *dt = &c->in[SR_DELTA_DT], *beta = &c->in[SR_DELTA_BETA];
    const float rate = expf(real_row(&c->in[SR_DELTA_A], 0)[h]),
                bias = real_row(&c->in[SR_DELTA_BIAS], 0)[h];
    for (int i = 0; i < CHUNK; i += VL) {
        const int m = n - i < VL ? (n > i ? (int)(n - i) : 0) : VL;
        const int64_t r = b * c->length + t0 + (m > 0 ? i : 0);
        vf slope, x = gather(real_row(dt, r) + h, dt->stride, m) + bias;
        vf log_alpha = v_softplus(x, &slope) * -rate;
        v_storef(a->log_alpha + i, log_alpha);
        v_storef(a->slope + i, slope * -rate);
        v_storef(a->alpha + i, v_exp(log_alpha));
        v_storef(a->beta + i, v_sigmoid(gather(real_row(beta, r) + h, beta->stride, m)));
    }
    float g = 1;
    for (int i = 0; i < CHUNK; i++) {
        if (i >= n) {
            a->alpha[i] = 1;
            a->beta[i] = 0;
        }
        g *= a->alpha[i];
        a->gamma[i] = g = g < LEAST ? 0 : g;
    }
}

/* Lanes l * VL ... as numbers. */
static vi lane_numbers(int l) {
    vi v;
    for (int i = 0; i < VL; i++) v[i] = l * VL + i;
    return v;
}

/* D row by row. */
static void make_decays(const head *a) {
    vf d[LANES];
    vi number[LANES];
    const vf one = v_set(1), least = v_set(LEAST);
    for (int l = 0; l < LANES; l++) {
        d[l] = v_set(0);
        number[l] = lane_numbers(l);
    }
    for (int i = 0; i < CHUNK; i++)
        for (int l = 0; l < LANES; l++) {
            d[l] = d[l] * a->alpha[i];
            d[l] = v_select(d[l] < least, v_set(0), d[l]);
            d[l] = v_select(number[l] == i, one, d[l]);
            v_storef(a->decay + i * CHUNK + l * VL, d[l]);
        }
}

/* Keys, queries, gates, D, -L and A of n tokens. On and above the diagonal of -L is what nobody
 * reads; D makes A zero above it. */
static void make_chunk(const head *a, int64_t b, int64_t t0, int64_t n, int h) {
    const sr_call *c = a->c;
    load_unit(a, &c->in[SR_DELTA_K], b, t0, n, h, a->kq, a->inverse);
    load_unit(a, &c->in[SR_DELTA_Q], b, t0, n, h, a->kq + CHUNK * a->kw, a->inverse + CHUNK);
    load_gates(a, b, t0, n, h);
    make_decays(a);
    turn(a->kq, a->kw, CHUNK, a->kw, a->kt, CHUNK);
    product(2 * CHUNK, CHUNK, a->K, a->kq, a->kw, a->kt, CHUNK, a->system, CHUNK, false);
    for (int i = 0; i < CHUNK; i++)
        for (int l = 0; l < CHUNK; l += VL) {
            float *above = a->system + i * CHUNK + l, *below = above + CHUNK * CHUNK;
            vf d = v_loadf(a->decay + i * CHUNK + l);
            v_storef(above, v_loadf(above) * d * -a->beta[i]);
            v_storef(below, v_loadf(below) * d);
        }
}

/* One block of ROWS unknowns, first to last; v[i] += sum over k < i of l[i][k] v[k]. */
SR_INLINE void solve_block(const float *l, int64_t down, int64_t right, float *x, int64_t xs,
                           int64_t width) {
    for (int64_t j = 0; j < width; j += VL) {
        vf v[ROWS];
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            v[i] = v_loadf(x + i * xs + j);
#pragma GCC unroll 8
            for (int k = 0; k < i; k++) v[i] += v[k] * l[i * down + k * right];
            v_storef(x + i * xs + j, v[i]);
        }
    }
}
/* (I + L) x = x in place. */
static void solve(const head *a, float *x) {
    const int64_t vw = a->vw;
    for (int r = 0; r < CHUNK; r += ROWS) {
        const float *l = a->system + r * CHUNK;
        if (r > 0) product(ROWS, vw, r, l, CHUNK, x, vw, x + r * vw, vw, true);
        solve_block(l + r, CHUNK, 1, x + r * vw, vw, vw);
    }
}
/* (I + L)^T x = x in place: from the last row to the first. */
static void solve_transposed(const head *a, float *x) {
    const int64_t vw = a->vw;
    for (int r = CHUNK - ROWS; r >= 0; r -= ROWS) {
        const int next = r + ROWS, last = next - 1;
        if (next < CHUNK)
            product_t(ROWS, vw, CHUNK - next, a->system + next * CHUNK + r, CHUNK, x + next * vw,
                      vw, x + r * vw, vw, true);
        solve_block(a->system + last * CHUNK + last, -1, -CHUNK, x + last * vw, -vw, vw);
    }
}

/* U of a chunk, from the state before it (NULL: zero); with `read`, below it diag(g) Q S. */
static void make_values(const head *a, const float *state, bool read, int64_t b, int64_t t0,
                        int64_t n, int h) {
    const int64_t vw = a->vw, rows = read ? 2 * CHUNK : CHUNK;
    float *u = a->u;
    if (state != NULL)
        product(rows, vw, a->K, a->kq, a->kw, state, vw, u, vw, false);
    else
        memset(u, 0, (size_t)(rows * vw) * sizeof(float));
    for (int i = 0; i < CHUNK; i++, u += vw) {
        if (i >= n) {
            memset(u, 0, (size_t)vw * sizeof(float));
            continue;
        }
        const act *v = rows_of(a, &a->c->in[SR_DELTA_V], b, t0 + i, h, a->V);
        const float gamma = a->gamma[i], beta = a->beta[i];
        for (int j = 0; j < vw; j += VL) {
            const int m = a->V - j < VL ? a->V - j : VL;
            vf x = m > 0 ? act_load(v + j, m) : v_set(0);
            v_storef(u + j, (x - v_loadf(u + j) * gamma) * beta);
        }
    }
    for (int i = 0; read && state != NULL && i < CHUNK; i++, u += vw) scale_row(u, vw, a->gamma[i]);
    solve(a, a->u);
}

#endif
