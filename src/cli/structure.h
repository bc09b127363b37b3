/* Drawing an architecture: one line per LIV, equal stretches once with their count. */
#ifndef SR_CLI_STRUCTURE_H
#define SR_CLI_STRUCTURE_H

#include "model/model.h"

/* Prints embedding, LIVs and unembedding with their parameters and what they share. */
sartor_status sr_print_structure(sartor_context *ctx, const sr_model *model);

#endif
