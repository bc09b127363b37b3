/* unembed_loss: per block of tokens a product, a softmax in the cache, and two products back. */
#include "op/unembed_loss.h"
#include "op/vec.h"

/* exp(p - max) in place; returns the sum. */
static float exponentials(float *p, int64_t n, float most) {
    const int64_t nv = n / VL * VL;
    vf sums = {0};
    for (int64_t j = 0; j < nv; j += VL) {
        vf e = v_exp(v_loadf(p + j) - most);
        v_storef(p + j, e);
        sums += e;
    }
    float sum = v_sum(sums);
    for (int64_t j = nv; j < n; j++) sum += p[j] = expf(p[j] - most);
    return sum;
}

static float largest(const float *p, int64_t n) {
    const int64_t nv = n / VL * VL;
    float most = p[0];
    if (nv > 0) {
        vf top = v_loadf(p);
        for (int64_t j = VL; j < nv; j += VL) top = v_max(top, v_loadf(p + j));
        most = v_max_lane(top);
    }
    for (int64_t j = nv; j < n; j++) most = p[j] > most ? p[j] : most;
    return most;
}

/* Losses of one block from its logits; with `gradient`, also d loss / d logits times dout: in place
 * of the logits, or as bf16 in `rounded`. NaN logits give a NaN loss. */
static void block_loss(const sr_call *c, int64_t first, int64_t rows, float *logits, bf16 *rounded,
                       bool gradient) {
    const int64_t n = c->in[1].rows, nv = n / VL * VL;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(rows, 1, &low, &high);
        for (int64_t i = low; i < high; i++) {
            const int64_t r = first + i;
            const int32_t t = ((const int32_t *)c->in[2].data)[r * c->in[2].stride];
            float *p = logits + i * n, *loss = real_row(&c->out, r);
            bf16 *q = rounded != NULL ? rounded + i * n : NULL;
            if (t < 0) {
                *loss = 0;
                if (gradient && q != NULL) memset(q, 0, (size_t)n * sizeof(bf16));
                if (gradient && q == NULL) memset(p, 0, (size_t)n * sizeof(float));
                continue;
            }
            const float most = largest(p, n), at = p[t] - most;
            const float sum = exponentials(p, n, most);
            *loss = logf(sum) - at;
            if (!gradient) continue;
            const float dy = *real_row(&c->dout, r), scale = dy / sum;
            const float g = p[t] * scale - dy;
            if (q != NULL) {
                for (int64_t j = 0; j < nv; j += VL) v_storeh(q + j, v_loadf(p + j) * scale);
                for (int64_t j = nv; j < n; j++) q[j] = bf16_set(p[j] * scale);
                q[t] = bf16_set(g);
            } else {
                for (int64_t j = 0; j < nv; j += VL) v_storef(p + j, v_loadf(p + j) * scale);
                for (int64_t j = nv; j < n; j++) p[j] *= scale;
                p[t] = g;
            }
        }
    }
}

static void all_blocks(const sr_call *c, bool gradient) {
    const sr_view *h = &c->in[0], *w = &c->in[1];
    const int64_t block = sr_loss_block(c);
    float *logits = c->scratch;
    char *after = (char *)c->scratch + sr_loss_logits_bytes(c);
    void *scratchpad = after + sr_loss_gradient_bytes(c);
#ifdef SR_ACT_BF16
    bf16 *rounded = (bf16 *)after;
#else
    bf16 *rounded = NULL;
#endif
    const void *g = rounded != NULL ? (const void *)rounded : logits;
    for (int64_t first = 0; first < h->rows; first += block) {
        const int64_t rows = h->rows - first < block ? h->rows - first : block;
        const act *hr = act_row(h, first);
        sr_matmul p = sr_loss_logits(c, rows);
        sr_matmul_run(&p, c->threads, hr, w->data, logits, scratchpad);
        block_loss(c, first, rows, logits, rounded, gradient);
        if (!gradient) continue;
        const sr_grad *dh = &c->din[0], *dw = &c->din[1];
        if (dh->view.data != NULL) {
            p = sr_loss_dh(c, rows, dh->view.stride, dh->add);
            sr_matmul_run(&p, c->threads, g, w->data, act_row(&dh->view, first), scratchpad);
        }
        if (dw->view.data != NULL) {
            p = sr_loss_dw(c, rows, dw->view.stride, dw->add || first > 0);
            sr_matmul_run(&p, c->threads, g, hr, dw->view.data, scratchpad);
        }
    }
}

void SR_KERNEL(unembed_loss_forward)(const sr_call *c) { all_blocks(c, false); }
void SR_KERNEL(unembed_loss_backward)(const sr_call *c) { all_blocks(c, true); }
