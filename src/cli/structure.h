/* Drawing an architecture: one line per LIV, equal stretches once with their count. */
#ifndef SR_CLI_STRUCTURE_H
#define SR_CLI_STRUCTURE_H

#include <sartor/architecture.h>

/* Prints embedding, LIVs and unembedding with their parameters and what they share. `arch` as for
 * sartor_inspect(). */
sartor_status sr_print_structure(sartor_context *ctx, const char *arch, const sartor_sizes *sizes);

#endif
