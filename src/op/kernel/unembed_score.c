/* unembed_score: as unembed_loss forward, with the place of the largest logit. */
#include "op/kernel/unembed.h"

/* NaN logits give a NaN loss, and token 0. */
static void block_score(const sr_call *c, const scored *s, int64_t first, int64_t rows) {
    const int64_t n = c->in[SR_LOSS_W].rows;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(rows, 1, &low, &high);
        for (int64_t i = low; i < high; i++) {
            const int64_t r = s->token[first + i];
            float *p = s->logits + i * n, *out = real_row(&c->out, r);
            add_bias(p, &c->in[SR_LOSS_BIAS], n);
            const float most = largest(p, n), at = p[target_of(c, r)] - most;
            int64_t best = 0;
            while (best < n - 1 && p[best] != most) best++;
            out[0] = logf(exponentials(p, n, most)) - at;
            out[1] = p[best] == p[best] ? (float)best : 0;
        }
    }
}

void SR_KERNEL(unembed_score_forward)(const sr_call *c) {
    const int64_t block = sr_loss_block(c);
    const scored s = find_scored(c);
    for (int64_t r = 0; !s.all && r < c->in[SR_LOSS_H].rows; r++) {
        if (target_of(c, r) >= 0) continue;
        real_row(&c->out, r)[0] = 0;
        real_row(&c->out, r)[1] = -1;
    }
    for (int64_t first = 0; first < s.count; first += block) {
        const int64_t rows = s.count - first < block ? s.count - first : block;
        int64_t padded, stride;
        const act *h = scored_rows(c, &s, first, rows, &padded, &stride);
        sr_matmul p = sr_loss_logits(c, padded, stride);
        sr_matmul_run(&p, c->threads, h, c->in[SR_LOSS_W].data, s.logits, s.scratchpad);
        block_score(c, &s, first, rows);
    }
}
