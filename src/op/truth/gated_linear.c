#include "op/gated_linear.h"
#include "op/truth/truth.h"

/* The recurrence unrolled: out_t is a sum over pairs of a query t and a key s <= t, whose product
 * is weighted, channel by channel, with all decays between them. */

static bool has(const sr_call *c, int i) { return c->in[i].cols > 0; }

/* Weights of the pairs (t, s) of one head, for s going down from t. */
typedef struct pairs {
    const sr_call *c;
    int h, key, K;             /* head, first column of its keys, key channels */
    real decay[SR_GL_MAX_DIM]; /* product of the decays so far */
} pairs;

static pairs begin(const sr_call *c, int h) {
    pairs p = {.c = c, .h = h, .K = c->attr.gated_linear.key_dim};
    p.key = h / sr_gl_group(c) * p.K;
    for (int d = 0; d < p.K; d++) p.decay[d] = 1;
    return p;
}
static real decay_at(const pairs *p, int64_t r, int d) {
    const sr_view *g = &p->c->in[SR_GL_DECAY];
    if (g->cols == 0) return 1;
    const bool by_key = p->c->attr.gated_linear.decay == SR_DECAY_KEY;
    return (real)exp((double)row(g, r)[by_key ? p->key + d : p->h]);
}
/* A pair of a token with itself has the bonus for a weight, and no decay passes in between. */
static bool is_bonus(const pairs *p, int64_t t, int64_t s) {
    return s == t && has(p->c, SR_GL_BONUS);
}
static real weight(const pairs *p, int64_t t, int64_t s, int d) {
    return is_bonus(p, t, s) ? row(&p->c->in[SR_GL_BONUS], 0)[p->key + d] : p->decay[d];
}
static void pass(pairs *p, int64_t t, int64_t s) {
    for (int d = 0; d < p->K && !is_bonus(p, t, s); d++) p->decay[d] *= decay_at(p, s, d);
}

/* scale q_t . k_s, weighted. */
static real score(const pairs *p, int64_t t, int64_t s) {
    real sum = 0;
    for (int d = 0; d < p->K; d++)
        sum += row(&p->c->in[SR_GL_Q], t)[p->key + d] * row(&p->c->in[SR_GL_K], s)[p->key + d] *
               weight(p, t, s, d);
    return sum * (real)p->c->attr.gated_linear.scale;
}
/* What the state takes in: column j of step v, or the 1 of the normaliser. */
static real value(const pairs *p, int64_t s, int64_t j) {
    const int V = p->c->attr.gated_linear.value_dim;
    if (j == V) return 1;
    real step = has(p->c, SR_GL_STEP) ? row(&p->c->in[SR_GL_STEP], s)[p->h] : 1;
    return step * row(&p->c->in[SR_GL_V], s)[p->h * V + j];
}

/* Row t of q S, [columns]. */
static void read_state(const sr_call *c, int h, int64_t t, real *sum) {
    const int64_t first = t - t % c->length, columns = sr_gl_columns(c);
    const sr_state *state = &c->state[0];
    pairs p = begin(c, h);
    for (int64_t j = 0; j < columns; j++) sum[j] = 0;
    for (int64_t s = t; s >= first; s--) {
        real w = score(&p, t, s);
        for (int64_t j = 0; j < columns; j++) sum[j] += w * value(&p, s, j);
        pass(&p, t, s);
    }
    for (int d = 0; d < p.K && state->data != NULL; d++)
        for (int64_t j = 0; j < columns; j++)
            sum[j] +=
                (real)c->attr.gated_linear.scale * row(&c->in[SR_GL_Q], t)[p.key + d] * p.decay[d] *
                ((real *)state->data)[(t / c->length * p.K + d) * state->width + h * columns + j];
}

void SR_TRUTH(gated_linear_forward)(const sr_call *c) {
    const int V = c->attr.gated_linear.value_dim;
    const sr_state *state = &c->state[0];
    const int64_t columns = sr_gl_columns(c);
    real sum[SR_GL_MAX_DIM + 1];
    for (int64_t t = 0; t < c->out.rows; t++)
        for (int h = 0; h < c->attr.gated_linear.heads; h++) {
            read_state(c, h, t, sum);
            for (int j = 0; j < V; j++) {
                real y = sum[j];
                if (columns > V) y /= sum[V] + (real)c->attr.gated_linear.epsilon;
                if (has(c, SR_GL_SKIP))
                    y += row(&c->in[SR_GL_SKIP], 0)[h] * row(&c->in[SR_GL_V], t)[h * V + j];
                row(&c->out, t)[h * V + j] = y;
            }
        }
    for (int64_t t = 0; t < c->out.rows && state->data != NULL; t++)
        for (int h = 0; h < c->attr.gated_linear.heads; h++) {
            const pairs p = begin(c, h);
            for (int d = 0; d < p.K; d++)
                for (int64_t j = 0; j < columns; j++) {
                    real *s = (real *)state->data + (t / c->length * p.K + d) * state->width +
                              h * columns + j;
                    *s = decay_at(&p, t, d) * *s +
                         row(&c->in[SR_GL_K], t)[p.key + d] * value(&p, t, j);
                }
        }
}

/* Gradients through the pair (t, s), given those of row t of q S. */
static void pair_back(const pairs *p, int64_t t, int64_t s, const real *dsum) {
    const sr_call *c = p->c;
    const int V = c->attr.gated_linear.value_dim;
    const real w = score(p, t, s), step = has(c, SR_GL_STEP) ? row(&c->in[SR_GL_STEP], s)[p->h] : 1;
    real dw = 0, dstep = 0;
    for (int64_t j = 0; j < sr_gl_columns(c); j++) dw += dsum[j] * value(p, s, j);
    for (int j = 0; j < V; j++) {
        sum_into(&c->din[SR_GL_V], s, p->h * V + j, w * dsum[j] * step);
        dstep += w * dsum[j] * row(&c->in[SR_GL_V], s)[p->h * V + j];
    }
    sum_into(&c->din[SR_GL_STEP], s, p->h, dstep);
    dw *= (real)c->attr.gated_linear.scale;
    for (int d = 0; d < p->K; d++) {
        const real q = row(&c->in[SR_GL_Q], t)[p->key + d], k = row(&c->in[SR_GL_K], s)[p->key + d],
                   a = weight(p, t, s, d);
        sum_into(&c->din[SR_GL_Q], t, p->key + d, dw * k * a);
        sum_into(&c->din[SR_GL_K], s, p->key + d, dw * q * a);
        if (is_bonus(p, t, s)) {
            sum_into(&c->din[SR_GL_BONUS], 0, p->key + d, dw * q * k);
            continue;
        }
        const bool by_key = c->attr.gated_linear.decay == SR_DECAY_KEY;
        for (int64_t i = s + 1; i <= t - has(c, SR_GL_BONUS); i++)
            sum_into(&c->din[SR_GL_DECAY], i, by_key ? p->key + d : p->h, dw * q * k * a);
    }
}

/* Of whole sequences from their start: a backward pass has no state. */
void SR_TRUTH(gated_linear_backward)(const sr_call *c) {
    const int V = c->attr.gated_linear.value_dim;
    real sum[SR_GL_MAX_DIM + 1];
    for (int i = 0; i < SR_GL_INPUTS; i++) start(&c->din[i]);
    for (int64_t t = 0; t < c->dout.rows; t++)
        for (int h = 0; h < c->attr.gated_linear.heads; h++) {
            const real *dout = row(&c->dout, t) + h * V;
            for (int j = 0; j < V && has(c, SR_GL_SKIP); j++) {
                const real v = row(&c->in[SR_GL_V], t)[h * V + j];
                sum_into(&c->din[SR_GL_SKIP], 0, h, dout[j] * v);
                sum_into(&c->din[SR_GL_V], t, h * V + j, dout[j] * row(&c->in[SR_GL_SKIP], 0)[h]);
            }
            if (c->attr.gated_linear.epsilon > 0) {
                read_state(c, h, t, sum);
                const real z = sum[V] + (real)c->attr.gated_linear.epsilon;
                real dz = 0;
                for (int j = 0; j < V; j++) dz -= dout[j] * sum[j] / (z * z);
                for (int j = 0; j < V; j++) sum[j] = dout[j] / z;
                sum[V] = dz;
            } else {
                memcpy(sum, dout, (size_t)V * sizeof(real));
            }
            pairs p = begin(c, h);
            for (int64_t s = t; s >= t - t % c->length; s--) {
                pair_back(&p, t, s, sum);
                pass(&p, t, s);
            }
        }
}
