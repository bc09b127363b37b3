#include "op/delta_rule.h"
#include "op/truth/truth.h"

/* One token of one head: keys and queries of length one, alpha and beta, and what backward needs of
 * their making. */
typedef struct token {
    real k[SR_DELTA_HEAD], q[SR_DELTA_HEAD];
    real k_inverse, q_inverse; /* 1 / length */
    real alpha, beta;
    real log_alpha, slope; /* d log alpha / d dt */
    const real *v;
} token;

static real normalise(const sr_call *c, const real *x, real *unit) {
    real sum = (real)c->attr.delta.epsilon;
    for (int i = 0; i < c->attr.delta.key_dim; i++) sum += x[i] * x[i];
    real inverse = 1 / (real)sqrt((double)sum);
    for (int i = 0; i < c->attr.delta.key_dim; i++) unit[i] = x[i] * inverse;
    return inverse;
}

static void read_token(const sr_call *c, int64_t r, int h, token *t) {
    const int K = c->attr.delta.key_dim, V = c->attr.delta.value_dim;
    t->q_inverse = normalise(c, row(&c->in[SR_DELTA_Q], r) + h * K, t->q);
    t->k_inverse = normalise(c, row(&c->in[SR_DELTA_K], r) + h * K, t->k);
    t->v = row(&c->in[SR_DELTA_V], r) + h * V;
    double x = (double)(row(&c->in[SR_DELTA_DT], r)[h] + row(&c->in[SR_DELTA_BIAS], 0)[h]);
    real rate = (real)exp((double)row(&c->in[SR_DELTA_A], 0)[h]);
    t->log_alpha = -rate * (real)(fmax(x, 0) + log1p(exp(-fabs(x))));
    t->slope = -rate * sigmoid((real)x);
    t->alpha = (real)exp((double)t->log_alpha);
    t->beta = sigmoid(row(&c->in[SR_DELTA_BETA], r)[h]);
}

/* (S^T x)[j]: what a key holds, or what a query reads. */
static real read_state(const sr_call *c, const real *s, int64_t stride, const real *x, int j) {
    real sum = 0;
    for (int i = 0; i < c->attr.delta.key_dim; i++) sum += s[i * stride + j] * x[i];
    return sum;
}

/* after = alpha before + beta k (v - alpha before^T k)^T; `after` may be `before`. */
static void step(const sr_call *c, const token *t, const real *before, real *after,
                 int64_t stride) {
    for (int j = 0; j < c->attr.delta.value_dim; j++) {
        real u = t->beta * (t->v[j] - t->alpha * read_state(c, before, stride, t->k, j));
        for (int i = 0; i < c->attr.delta.key_dim; i++)
            after[i * stride + j] = t->alpha * before[i * stride + j] + t->k[i] * u;
    }
}

static real *saved_row(const sr_call *c, int64_t b, int h, int64_t chunk, int i) {
    return (real *)c->saved + sr_delta_saved_at(c, b, h, chunk) + i * sr_delta_values(c);
}

static void forward_head(const sr_call *c, int64_t b, int h) {
    const int K = c->attr.delta.key_dim, V = c->attr.delta.value_dim;
    real *s = c->scratch;
    int64_t stride = V;
    if (c->state[0].data != NULL) {
        stride = c->state[0].width;
        s = (real *)c->state[0].data + b * K * stride + h * V;
    } else {
        memset(s, 0, (size_t)(K * V) * sizeof(real));
    }
    for (int64_t t = 0; t < c->length; t++) {
        const int64_t r = b * c->length + t;
        if (c->saved != NULL && t > 0 && t % SR_DELTA_CHUNK == 0)
            for (int i = 0; i < K; i++)
                memcpy(saved_row(c, b, h, t / SR_DELTA_CHUNK, i), s + i * stride,
                       (size_t)V * sizeof(real));
        token now;
        read_token(c, r, h, &now);
        step(c, &now, s, s, stride);
        for (int j = 0; j < V; j++) row(&c->out, r)[h * V + j] = read_state(c, s, stride, now.q, j);
    }
}

void SR_TRUTH(delta_rule_forward)(const sr_call *c) {
    for (int64_t b = 0; b < c->batch; b++)
        for (int h = 0; h < c->attr.delta.heads; h++) forward_head(c, b, h);
}

/* The gradient of x, given that of unit = x * inverse. */
static void put_normalised(const sr_call *c, int input, int64_t r, int h, const real *unit,
                           real inverse, const real *dunit) {
    const int K = c->attr.delta.key_dim;
    real dot = 0;
    for (int i = 0; i < K; i++) dot += unit[i] * dunit[i];
    for (int i = 0; i < K; i++)
        put(&c->din[input], r, h * K + i, inverse * (dunit[i] - unit[i] * dot));
}

/* One step back: ds holds the gradient of the state after the step, then that before it. With
 * held = S^T k (S before) and u = beta (v - alpha held): after = alpha S + k u^T. */
static void step_back(const sr_call *c, int64_t r, int h, const real *before, const real *after,
                      real *ds) {
    const int K = c->attr.delta.key_dim, V = c->attr.delta.value_dim;
    const real *dout = row(&c->dout, r) + h * V;
    token t;
    read_token(c, r, h, &t);
    real dq[SR_DELTA_HEAD], dk[SR_DELTA_HEAD], dalpha = 0, dbeta = 0;
    for (int i = 0; i < K; i++) {
        dq[i] = dk[i] = 0;
        for (int j = 0; j < V; j++) {
            dq[i] += after[i * V + j] * dout[j];
            ds[i * V + j] += t.q[i] * dout[j];
            dalpha += ds[i * V + j] * before[i * V + j];
        }
    }
    for (int j = 0; j < V; j++) {
        const real held = read_state(c, before, V, t.k, j), u = t.beta * (t.v[j] - t.alpha * held);
        real du = 0;
        for (int i = 0; i < K; i++) {
            dk[i] += ds[i * V + j] * u;
            du += ds[i * V + j] * t.k[i];
        }
        put(&c->din[SR_DELTA_V], r, h * V + j, t.beta * du);
        dbeta += du * (t.v[j] - t.alpha * held);
        const real dw = -t.beta * du; /* of alpha held */
        dalpha += dw * held;
        for (int i = 0; i < K; i++) {
            dk[i] += dw * t.alpha * before[i * V + j];
            ds[i * V + j] = t.alpha * (ds[i * V + j] + dw * t.k[i]);
        }
    }
    put_normalised(c, SR_DELTA_Q, r, h, t.q, t.q_inverse, dq);
    put_normalised(c, SR_DELTA_K, r, h, t.k, t.k_inverse, dk);
    put(&c->din[SR_DELTA_BETA], r, h, dbeta * t.beta * (1 - t.beta));
    const real dlog = dalpha * t.alpha;
    put(&c->din[SR_DELTA_DT], r, h, dlog * t.slope);
    sum_into(&c->din[SR_DELTA_BIAS], 0, h, dlog * t.slope);
    sum_into(&c->din[SR_DELTA_A], 0, h, dlog * t.log_alpha);
}

/* Chunk by chunk from the last: its states are computed again from the saved one. */
static void backward_head(const sr_call *c, int64_t b, int h) {
    const int K = c->attr.delta.key_dim, V = c->attr.delta.value_dim, n = K * V;
    real *states = c->scratch, *ds = states + (SR_DELTA_CHUNK + 1) * (int64_t)n;
    memset(ds, 0, (size_t)n * sizeof(real));
    for (int64_t chunk = sr_delta_saves(c); chunk >= 0; chunk--) {
        const int64_t first = chunk * SR_DELTA_CHUNK, r = b * c->length + first;
        int steps = SR_DELTA_CHUNK;
        if (c->length - first < steps) steps = (int)(c->length - first);
        memset(states, 0, (size_t)n * sizeof(real));
        for (int i = 0; chunk > 0 && i < K; i++)
            memcpy(states + i * V, saved_row(c, b, h, chunk, i), (size_t)V * sizeof(real));
        for (int i = 0; i < steps; i++) {
            token t;
            read_token(c, r + i, h, &t);
            step(c, &t, states + (int64_t)i * n, states + (int64_t)(i + 1) * n, V);
        }
        for (int i = steps - 1; i >= 0; i--)
            step_back(c, r + i, h, states + (int64_t)i * n, states + (int64_t)(i + 1) * n, ds);
    }
}

void SR_TRUTH(delta_rule_backward)(const sr_call *c) {
    start(&c->din[SR_DELTA_A]);
    start(&c->din[SR_DELTA_BIAS]);
    for (int64_t b = 0; b < c->batch; b++)
        for (int h = 0; h < c->attr.delta.heads; h++) backward_head(c, b, h);
}
