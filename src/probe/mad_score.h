/* What MAD measures: accuracy over all scored positions, accuracy averaged over classes,
 * perplexity.
 *
 * The published code averages over classes without saying so: torchmetrics' multiclass accuracy is
 * "macro" by default. Per class c the share of its targets that were predicted, averaged over the
 * classes that occur as a target or as a prediction (one that is only predicted counts 0); per
 * batch of 128, and then over batches by their number of examples, as is exp(mean nats). */
#ifndef SR_PROBE_MAD_SCORE_H
#define SR_PROBE_MAD_SCORE_H

#include "base/context.h"
#include <stdint.h>

/* Counts per class. Fields may be read. */
typedef struct sr_mad_tally {
    int64_t vocab;
    int64_t *targets, *hits, *predictions; /* [vocab] each */
    int64_t scored;
    double nats;
} sr_mad_tally;

sartor_status sr_mad_tally_init(sartor_context *ctx, int64_t vocab, sr_mad_tally *tally);
void sr_mad_tally_free(sr_mad_tally *tally); /* also of {0} */
void sr_mad_tally_clear(sr_mad_tally *tally);

/* One scored position; target and prediction lie in the vocabulary. */
static inline void sr_mad_tally_add(sr_mad_tally *t, int32_t target, int32_t prediction,
                                    double nats) {
    t->targets[target]++;
    t->predictions[prediction]++;
    t->hits[target] += target == prediction;
    t->scored++;
    t->nats += nats;
}
/* All that `from` has counted. */
void sr_mad_tally_join(sr_mad_tally *to, const sr_mad_tally *from);

typedef struct sr_mad_score {
    double accuracy;       /* of all scored positions */
    double accuracy_macro; /* mean over classes */
    double perplexity;     /* exp(mean nats); infinite or NaN where the loss is */
} sr_mad_score;

/* Of one tally as a whole, which has scored something. */
sr_mad_score sr_mad_tally_score(const sr_mad_tally *tally);

#endif
