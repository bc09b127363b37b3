#include "op/truth/unembed.h"

void SR_TRUTH(unembed_score_forward)(const sr_call *c) {
    real *p = c->scratch;
    for (int64_t r = 0; r < c->in[SR_LOSS_H].rows; r++) {
        real *out = row(&c->out, r);
        out[0] = 0;
        out[1] = -1;
        if (target(c, r) < 0) continue;
        out[0] = logits(c, r, p) - p[target(c, r)];
        int64_t best = 0;
        for (int64_t v = 1; v < c->in[SR_LOSS_W].rows; v++)
            if (p[v] > p[best]) best = v;
        out[1] = (real)best;
    }
}
