#include "op/route.h"
#include "op/truth/truth.h"

/* How many experts stand before e when they are sorted by score; ties by number, or not at all. */
static int rank_of(const real *s, int experts, int e, bool ties) {
    int before = 0;
    for (int i = 0; i < experts; i++) before += s[i] > s[e] || (ties && s[i] == s[e] && i < e);
    return before;
}

static bool chosen(const sr_call *c, const real *s, int e) {
    return rank_of(s, c->attr.route.experts, e, c->attr.route.top) < c->attr.route.active;
}

void SR_TRUTH(route_forward)(const sr_call *c) {
    const int experts = c->attr.route.experts;
    for (int64_t r = 0; r < c->out.rows; r++) {
        const real *s = row(&c->in[0], r);
        real *w = row(&c->out, r), most = -INFINITY, sum = 0;
        for (int e = 0; e < experts; e++) {
            w[e] = chosen(c, s, e) ? s[e] : c->attr.route.top ? -INFINITY : 0;
            most = w[e] > most ? w[e] : most;
        }
        for (int e = 0; e < experts; e++) sum += w[e] = (real)exp((double)(w[e] - most));
        for (int e = 0; e < experts; e++) w[e] /= sum;
    }
}

/* ds = w (dw - sum of w dw) where s reaches the softmax. */
void SR_TRUTH(route_backward)(const sr_call *c) {
    const int experts = c->attr.route.experts;
    for (int64_t r = 0; r < c->dout.rows; r++) {
        const real *s = row(&c->in[0], r), *w = row(&c->out, r), *dw = row(&c->dout, r);
        real mean = 0;
        for (int e = 0; e < experts; e++) mean += w[e] * dw[e];
        for (int e = 0; e < experts; e++)
            put(&c->din[0], r, e, chosen(c, s, e) ? w[e] * (dw[e] - mean) : 0);
    }
}
