/* A staged schedule: at which steps of a run its model grows, and what is asked for each time.
 *
 * As text: "2000: width=256; 6000: livs=SA-3,GMemless@end". What stands behind a step is for those
 * who plan the growth; here it is only text. */
#ifndef SR_TRAIN_GROWTH_STEPS_H
#define SR_TRAIN_GROWTH_STEPS_H

#include "train/births.h"

enum { SR_GROWTH_STEPS_TEXT = 1 << 12 }; /* bytes of a schedule, at most, its end included */

typedef struct sr_growth_steps {
    int count;
    int64_t step[SR_MAX_GROWTHS];        /* updates done before, rising */
    const char *request[SR_MAX_GROWTHS]; /* in `text`: words with one blank between them */
    char text[SR_GROWTH_STEPS_TEXT];
} sr_growth_steps;

/* SARTOR_INVALID, naming the stage, when a step is no number from 1 to `last`, does not lie behind
 * the one before, or nothing is asked for. The requests point into `out`: do not copy it. */
sartor_status sr_growth_steps_parse(sartor_context *ctx, const char *text, int64_t last,
                                    sr_growth_steps *out);
/* One spelling of a schedule, to compare. */
void sr_growth_steps_print(const sr_growth_steps *steps, char text[2 * SR_GROWTH_STEPS_TEXT]);

/* How many growths belong before the update that follows `step` others. */
int sr_growth_steps_due(const sr_growth_steps *steps, int64_t step);

#endif
