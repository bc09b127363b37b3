/* The checkpoint of a MAD run: weights, moments, the record, and with SR_MAD_PAPER the weights that
 * were best so far; one file, replaced as a whole. */
#ifndef SR_PROBE_MAD_CHECKPOINT_H
#define SR_PROBE_MAD_CHECKPOINT_H

#include "base/hash.h"
#include "probe/mad_run.h"
#include "train/trainer.h"
#include <jansson.h>

/* How far a run is. */
typedef struct sr_mad_record {
    int64_t step;
    int64_t best_epoch; /* of the lowest perplexity, from 1; 0: none yet */
    sr_mad_scores best; /* of that epoch, on the set that decides */
    bool enough;        /* the last epoch's accuracy ends the run */
    double seconds, seconds_scoring;
} sr_mad_record;

/* Of all examples: their values, shapes and parts. */
sr_hash sr_mad_data_identity(const sr_mad_data *data);

/* Everything that decides the result, as an object of strings; NULL when memory is exhausted. */
json_t *sr_mad_run_settings(const sr_model *model, const sr_mad_setting *setting,
                            const sr_mad_data *data, const sr_mad_run_options *options,
                            int64_t rows);

/* `best`: schema.elements weights, or NULL. */
sartor_status sr_mad_checkpoint_write(sartor_context *ctx, const char *path,
                                      const sr_trainer *trainer, const float *best,
                                      const json_t *settings, const sr_mad_record *record);
/* Into an allocated trainer, *found telling whether there was one. SARTOR_MISMATCH when it is of
 * other settings, SARTOR_FORMAT when it is damaged. */
sartor_status sr_mad_checkpoint_read(sartor_context *ctx, const char *path, sr_trainer *trainer,
                                     float *best, const json_t *settings, sr_mad_record *record,
                                     bool *found);

#endif
