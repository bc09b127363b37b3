/* route: what each expert of a mixture weighs, from a router's scores: w = softmax(s'), row by row,
 * over all experts. The `active` largest scores are chosen.
 *
 * attr.top: s' = -infinity where an expert is not chosen: only the chosen have weight (Shazeer et
 * al. 2017; ties go to the lower number). Otherwise s' = 0 there, which leaves them the weight of a
 * score of 0: this is how mad-lab (Poli et al. 2024) routes, and every score that ties with the
 * last chosen one counts as chosen. Scores and weights are f32 also in bf16 mode. */
#include "op/route.h"

SR_DECLARE(route_forward)
SR_DECLARE(route_backward)

static sartor_status check(sartor_context *ctx, sr_call *c) {
    const int experts = c->attr.route.experts, active = c->attr.route.active;
    if (experts < 1 || experts > SR_ROUTE_EXPERTS || active < 1 || active > experts)
        return sr_fail(ctx, SARTOR_INVALID, "route: %d of %d experts, expected 1 to %d of them",
                       active, experts, SR_ROUTE_EXPERTS);
    SR_TRY(sr_expect_shape(ctx, "route", "scores", &c->in[0], c->in[0].rows, experts));
    sr_set_out(c, c->in[0].rows, experts, SR_REAL);
    return SARTOR_OK;
}

const sr_op sr_op_route = {
    .name = "route",
    .summary = "w = softmax over experts of scores, those not chosen at -infinity or at 0",
    .inputs = "scores",
    .n_in = 1,
    .backward_in = 1u << 0,
    .backward_out = true,
    .check = check,
    .forward = SR_KERNELS(route_forward),
    .backward = SR_KERNELS(route_backward),
};
