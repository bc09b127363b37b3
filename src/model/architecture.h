/* An architecture as JSON: what model files, and records of models that are no more, say of it. */
#ifndef SR_MODEL_ARCHITECTURE_H
#define SR_MODEL_ARCHITECTURE_H

#include "model/model.h"
#include <jansson.h>

enum { SR_MODEL_FORMAT = 1 };

/* Format version, genome, sizes, and the sizes of units that have grown; NULL when memory is
 * exhausted. */
json_t *sr_architecture_json(const sr_model *model);

/* Compiles what sr_architecture_json() gave. SARTOR_FORMAT for another version and for what is
 * missing or of the wrong type; hostile sizes are refused by sr_model_create_sized(). */
sartor_status sr_architecture_read(sartor_context *ctx, const json_t *root, sr_model **model);

#endif
