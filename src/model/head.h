/* The head that makes a whole sequence of one state: the decoder of MAD's compression task (Poli et
 * al. 2024, appendix B; mad/model/auto_encoder.py of the published code).
 *
 * The stream of the last token, plus the sinusoids of every position, passes for each position
 * through twice RMSNorm, linear map with bias and GELU; the model's norm and unembedding follow,
 * here with a bias. */
#ifndef SR_MODEL_HEAD_H
#define SR_MODEL_HEAD_H

#include "graph/graph.h"
#include "liv/sizes.h"

enum { SR_HEAD_LAYERS = 2 };

/* Parameters. */
typedef struct sr_sequence_head {
    int frequencies;
    int norm[SR_HEAD_LAYERS], weight[SR_HEAD_LAYERS], bias[SR_HEAD_LAYERS];
    int unembed_bias;
} sr_sequence_head;

sartor_status sr_head_declare(sartor_context *ctx, sr_schema *schema, const sr_sizes *sizes,
                              sr_sequence_head *head);
/* The residual stream of all tokens [batch * length, width] to the decoder's, one row per position.
 */
sr_value sr_head_emit(const sr_sequence_head *head, sr_graph *g, sr_value x);

#endif
