/* MLP: y = W_out gelu(W_up n), the memoryless unit of the first Transformers (Vaswani et al. 2017)
 * with GELU (Hendrycks & Gimpel 2016, in its form with tanh), 4 times the width, no gate and no
 * biases. It has one feature, so nothing that units could share and still differ. */
#include "liv/internal.h"

static sartor_status sizes(sartor_context *ctx, const sr_class *class_, const sr_sizes *model,
                           sr_unit_sizes *unit) {
    (void)ctx, (void)class_;
    unit->axis[SR_AXIS_FF] = sr_mlp_width(model->width);
    return SARTOR_OK;
}

/* The map that lies between W_up and W_out keeps zero and has a slope there. */
static sartor_status declare(sr_declare *d) {
    const sr_axis both[] = {sr_unit_axis(d->unit, SR_AXIS_FF, SR_WRITES, SR_BETWEEN_ENTRY),
                            sr_model_axis(d)};
    return sr_declare_tensor(d, SR_SLOT_V, "up.weight", SR_REST, SR_INIT_MATRIX, true, 2, both);
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value up = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 1, (sr_slot[]){SR_SLOT_V}, (sr_value *[]){&up});
    return sr_map(b, up, u->class_->code.nonlinearity);
}

static int out(const sr_unit *unit, sr_axis axis[2]) {
    axis[0] = sr_unit_axis(unit, SR_AXIS_FF, SR_READS, SR_BETWEEN_ENTRY);
    return 1;
}

const sr_family_builder sr_family_mlp = {
    .sizes = sizes, .declare = declare, .emit = emit, .out = out};
