/* unembed_loss: per block of scored tokens a product, a softmax in the cache, two products back. */
#include "op/kernel/unembed.h"

/* d loss / d logits times dout from the exponentials `p`: in place, or as bf16 in `q`. */
static void logit_gradient(float *p, bf16 *q, int64_t n, int32_t target, float sum, float dy) {
    const int64_t nv = n / VL * VL;
    const float scale = dy / sum, at = p[target] * scale - dy;
    if (q != NULL) {
        for (int64_t j = 0; j < nv; j += VL) v_storeh(q + j, v_loadf(p + j) * scale);
        for (int64_t j = nv; j < n; j++) q[j] = bf16_set(p[j] * scale);
        q[target] = bf16_set(at);
    } else {
        for (int64_t j = 0; j < nv; j += VL) v_storef(p + j, v_loadf(p + j) * scale);
        for (int64_t j = nv; j < n; j++) p[j] *= scale;
        p[target] = at;
    }
}

/* Losses of one block from its logits; with `gradient`, also that of the logits; rows from `rows`
 * to `padded` have none. NaN logits give a NaN loss. */
static void block_loss(const sr_call *c, const scored *s, int64_t first, int64_t rows,
                       int64_t padded, bool gradient) {
    const int64_t n = c->in[SR_LOSS_W].rows;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(gradient ? padded : rows, 1, &low, &high);
        for (int64_t i = low; i < high; i++) {
            float *p = s->logits + i * n;
            bf16 *q = s->rounded != NULL ? s->rounded + i * n : NULL;
            if (i >= rows) {
                memset(q != NULL ? (void *)q : p, 0, (size_t)n * (q != NULL ? 2 : 4));
                continue;
            }
            const int64_t r = s->token[first + i];
            const int32_t t = target_of(c, r);
            add_bias(p, &c->in[SR_LOSS_BIAS], n);
            const float most = largest(p, n), at = p[t] - most;
            const float sum = exponentials(p, n, most);
            *real_row(&c->out, r) = logf(sum) - at;
            if (gradient) logit_gradient(p, q, n, t, sum, *real_row(&c->dout, r));
        }
    }
}

/* Each thread sums some columns, so that the order does not depend on the threads. */
static void bias_gradient(const sr_call *c, const scored *s, int64_t rows) {
    const int64_t n = c->in[SR_LOSS_W].rows;
    float *out = real_row(&c->din[SR_LOSS_BIAS].view, 0);
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(n, 16, &low, &high);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = low; j < high; j++)
                out[j] +=
                    s->rounded != NULL ? bf16_get(s->rounded[i * n + j]) : s->logits[i * n + j];
    }
}

static void scatter(const sr_call *c, const scored *s, int64_t first, int64_t rows) {
    const sr_grad *dh = &c->din[SR_LOSS_H];
    const int64_t d = dh->view.cols;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(rows, 1, &low, &high);
        for (int64_t i = low; i < high; i++) {
            act *to = act_row(&dh->view, s->token[first + i]);
            const act *from = s->gathered + i * d;
            if (!dh->add) memcpy(to, from, (size_t)d * sizeof(act));
            for (int64_t j = 0; dh->add && j < d; j++)
                a_set(to + j, a_get(to + j) + a_get(from + j));
        }
    }
}

/* What tokens that are not scored leave behind. */
static void clear_tokens(const sr_call *c, bool gradient) {
    const sr_grad *dh = &c->din[SR_LOSS_H];
    const bool rows = gradient && dh->view.data != NULL && !dh->add;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[SR_LOSS_H].rows, 16, &low, &high);
        for (int64_t r = low; r < high; r++) {
            if (target_of(c, r) >= 0) continue;
            *real_row(&c->out, r) = 0;
            if (rows) memset(act_row(&dh->view, r), 0, (size_t)dh->view.cols * sizeof(act));
        }
    }
}

/* Sums that no block will start. */
static void clear_sums(const sr_call *c, const scored *s) {
    const sr_grad *dw = &c->din[SR_LOSS_W], *db = &c->din[SR_LOSS_BIAS];
    if (db->view.data != NULL && !db->add)
        memset(db->view.data, 0, (size_t)db->view.cols * sizeof(float));
    if (s->count > 0 || dw->view.data == NULL || dw->add) return;
    for (int64_t v = 0; v < dw->view.rows; v++)
        memset(real_row(&dw->view, v), 0, (size_t)dw->view.cols * sizeof(float));
}

static void all_blocks(const sr_call *c, bool gradient) {
    const sr_view *w = &c->in[SR_LOSS_W];
    const sr_grad *dh = &c->din[SR_LOSS_H], *dw = &c->din[SR_LOSS_W];
    const int64_t block = sr_loss_block(c);
    const scored s = find_scored(c);
    const void *g = s.rounded != NULL ? (const void *)s.rounded : s.logits;
    if (!s.all) clear_tokens(c, gradient);
    if (gradient) clear_sums(c, &s);
    for (int64_t first = 0; first < s.count; first += block) {
        const int64_t rows = s.count - first < block ? s.count - first : block;
        int64_t padded, stride;
        const act *h = scored_rows(c, &s, first, rows, &padded, &stride);
        sr_matmul p = sr_loss_logits(c, padded, stride);
        sr_matmul_run(&p, c->threads, h, w->data, s.logits, s.scratchpad);
        block_loss(c, &s, first, rows, padded, gradient);
        if (!gradient) continue;
        if (c->din[SR_LOSS_BIAS].view.data != NULL) bias_gradient(c, &s, rows);
        if (dw->view.data != NULL) {
            p = sr_loss_dw(c, padded, stride, dw->view.stride, dw->add || first > 0);
            sr_matmul_run(&p, c->threads, g, h, dw->view.data, s.scratchpad);
        }
        if (dh->view.data == NULL) continue;
        if (s.all) {
            p = sr_loss_dh(c, rows, dh->view.stride, dh->add);
            sr_matmul_run(&p, c->threads, g, w->data, act_row(&dh->view, first), s.scratchpad);
        } else { /* the gathered rows are not needed any more */
            p = sr_loss_dh(c, padded, stride, false);
            sr_matmul_run(&p, c->threads, g, w->data, s.gathered, s.scratchpad);
            scatter(c, &s, first, rows);
        }
    }
}

void SR_KERNEL(unembed_loss_forward)(const sr_call *c) { all_blocks(c, false); }
void SR_KERNEL(unembed_loss_backward)(const sr_call *c) { all_blocks(c, true); }
