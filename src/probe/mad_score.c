#include "probe/mad_score.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

sartor_status sr_mad_tally_init(sartor_context *ctx, int64_t vocab, sr_mad_tally *t) {
    *t = (sr_mad_tally){.vocab = vocab};
    SR_TRY(sr_alloc(ctx, 3 * (size_t)vocab, sizeof *t->targets, "counts", (void **)&t->targets));
    t->hits = t->targets + vocab;
    t->predictions = t->hits + vocab;
    return SARTOR_OK;
}

void sr_mad_tally_free(sr_mad_tally *t) {
    free(t->targets);
    *t = (sr_mad_tally){0};
}

void sr_mad_tally_clear(sr_mad_tally *t) {
    memset(t->targets, 0, 3 * (size_t)t->vocab * sizeof *t->targets);
    t->scored = 0;
    t->nats = 0;
}

void sr_mad_tally_join(sr_mad_tally *to, const sr_mad_tally *from) {
    for (int64_t i = 0; i < 3 * to->vocab; i++) to->targets[i] += from->targets[i];
    to->scored += from->scored;
    to->nats += from->nats;
}

sr_mad_score sr_mad_tally_score(const sr_mad_tally *t) {
    int64_t hits = 0, classes = 0;
    double sum = 0;
    for (int64_t c = 0; c < t->vocab; c++) {
        hits += t->hits[c];
        classes += t->targets[c] > 0 || t->predictions[c] > 0;
        if (t->targets[c] > 0) sum += (double)t->hits[c] / (double)t->targets[c];
    }
    return (sr_mad_score){.accuracy = (double)hits / (double)t->scored,
                          .accuracy_macro = sum / (double)classes,
                          .perplexity = exp(t->nats / (double)t->scored)};
}
