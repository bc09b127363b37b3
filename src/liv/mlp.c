/* MLP: y = W_out gelu(W_up n), the memoryless unit of the first Transformers (Vaswani et al. 2017)
 * with GELU (Hendrycks & Gimpel 2016, in its form with tanh), 4 times the width, no gate and no
 * biases. It has one feature, so nothing that units could share and still differ. */
#include "liv/internal.h"

/* The map that lies between W_up and W_out keeps zero and has a slope there. */
static sr_axis hidden(const sr_sizes *sizes, sr_axis_role role) {
    return (sr_axis){SR_AXIS_FF, role, SR_BETWEEN_ENTRY, sr_mlp_width(sizes->width)};
}

static sartor_status declare(sr_declare *d) {
    return sr_declare_tensor(d, SR_SLOT_V, "up.weight", SR_REST, SR_INIT_MATRIX, true, 2,
                             (sr_axis[]){hidden(d->sizes, SR_WRITES), sr_model_axis(d)});
}

static sr_value emit(sr_build *b, sr_unit *u, int branch, sr_value n) {
    sr_value up = SR_NO_VALUE;
    sr_project(b, u, branch, n, false, 1, (sr_slot[]){SR_SLOT_V}, (sr_value *[]){&up});
    return sr_map(b, up, u->class_->code.nonlinearity);
}

static sr_axis out(const sr_class *class_, const sr_sizes *sizes) {
    (void)class_;
    return hidden(sizes, SR_READS);
}

const sr_family_builder sr_family_mlp = {.declare = declare, .emit = emit, .out = out};
