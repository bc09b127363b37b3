/* From what a person names to a compiled model without weights. */
#ifndef SR_TRAIN_COMPILE_H
#define SR_TRAIN_COMPILE_H

#include "model/model.h"

/* `name`: a model file (*.safetensors, or what begins like one) or a run folder, compiled as it is,
 * grown or not; else an architecture (sr_arch_parse()) of `livs` LIVs with `sizes`. */
sartor_status sr_compile_named(sartor_context *ctx, const char *name, int livs,
                               const sr_sizes *sizes, sr_model **model);

#endif
