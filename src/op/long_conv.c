/* long_conv: y_t = sum over lags s of h[s] * p[t - s], per channel and sequence: the causal
 * convolution with an implicit filter (Poli et al. 2023, section 3).
 *
 * h is an activation (L rows, row = lag), computed by other operators; L may be smaller or larger
 * than the length. State: the ring of past p. */
#include "op/long_conv.h"

#include <inttypes.h>

SR_DECLARE(long_conv_forward)
SR_DECLARE(long_conv_backward)

/* Below these, direct sums are faster (measured on one core, AVX2 and AVX-512): mean lags per
 * token, and tokens of a call that has a past, where filter and past are transformed in each call.
 */
enum { DIRECT_BELOW = 64, DIRECT_BELOW_BACKWARD = 88, DIRECT_BELOW_WITH_PAST = 48 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t round_size(int64_t n) {
    int64_t size = 4;
    while (size < n) size *= 2;
    return size >= 16 && size / 4 * 3 >= n ? size / 4 * 3 : size;
}

static int64_t groups(const sr_call *c) {
    return (c->in[0].cols + SR_LONG_CONV_LANES - 1) / SR_LONG_CONV_LANES;
}

sr_long_conv_plan sr_long_conv_plan_of(const sr_call *c, bool backward) {
    sr_long_conv_plan p = {.parts = 1};
    const int64_t rows = c->in[1].rows;
    if (c->state[0].capacity > 0 && c->position > 0)
        p.past = least(least(c->position, rows - 1), c->state[0].capacity);
    p.lags = least(rows, p.past + c->length);
    const int64_t block = least(c->length, p.lags);
    const double without = p.past > 0 ? 0 : (double)p.lags * (double)p.lags / 2;
    p.transform = (double)p.lags - without / (double)c->length >=
                      (backward ? DIRECT_BELOW_BACKWARD : DIRECT_BELOW) &&
                  (p.past == 0 || block >= DIRECT_BELOW_WITH_PAST);
    p.size = p.transform ? round_size(block) : 0;
    if (backward && c->threads > 1 && groups(c) % c->threads != 0)
        p.parts = (int)least(c->batch, (2 * c->threads + groups(c) - 1) / groups(c));
    return p;
}

int64_t sr_long_conv_table(const sr_long_conv_plan *p) {
    return (p->size / 2 * SR_LONG_CONV_NODE + 15) / 16 * 16;
}

int64_t sr_long_conv_share(const sr_long_conv_plan *p, const sr_call *c, bool backward) {
    const int64_t rows = c->length + 2 * SR_LONG_CONV_PAD;
    int64_t total;
    if (p->transform)
        total = 2 * p->size * (backward ? 5 : p->lags > p->size ? 2 + SR_LONG_CONV_SPAN : 2);
    else if (backward)
        total = 2 * (rows + p->lags);
    else
        total = 2 * least(p->lags, SR_LONG_CONV_LAGS) + rows +
                c->length * (p->past > 0 ? SR_LONG_CONV_SPAN : 1);
    return total * SR_LONG_CONV_LANES;
}

static int64_t scratch(const sr_call *c, bool backward) {
    sr_long_conv_plan p = sr_long_conv_plan_of(c, backward);
    int64_t partial = p.parts > 1 ? p.parts * p.lags * groups(c) * SR_LONG_CONV_LANES : 0;
    return (sr_long_conv_table(&p) + c->threads * sr_long_conv_share(&p, c, backward) + partial) *
           (int64_t)sizeof(float);
}

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int64_t d = c->in[0].cols;
    if (c->in[1].rows < 1) return sr_fail(ctx, SARTOR_INVALID, "long_conv: the filter has no rows");
    SR_TRY(sr_expect_shape(ctx, "long_conv", "filter", &c->in[1], c->in[1].rows, d));
    if (c->state[0].capacity > 0 && c->state[0].width != d)
        return sr_fail(ctx, SARTOR_INVALID,
                       "long_conv: state is %" PRId64 " wide, expected %" PRId64, c->state[0].width,
                       d);
    sr_set_out(c, c->in[0].rows, d, SR_ACT);
    return SARTOR_OK;
}

/* Those of the direct sum. */
static double flops(const sr_call *c) {
    double sum = 0;
    for (int64_t t = c->position; t < c->position + c->length; t++)
        sum += (double)least(t + 1, c->in[1].rows);
    return 2 * sum * (double)c->batch * (double)c->in[0].cols;
}

const sr_op sr_op_long_conv = {
    .name = "long_conv",
    .summary = "y[t] = sum over s <= t of h[s] * p[t - s]",
    .inputs = "p h",
    .n_in = 2,
    .n_state = 1,
    .backward_in = 1u << 0 | 1u << 1,
    .check = check,
    .flops = flops,
    .scratch = scratch,
    .forward = SR_KERNELS(long_conv_forward),
    .backward = SR_KERNELS(long_conv_backward),
};
