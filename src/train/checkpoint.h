/* The record of a run, and the three files that hold it.
 *
 * checkpoint.safetensors  weights, moments, generations where the model grew, and record, while the
 *                         run is not done
 * model.safetensors       weights, tokenizer, record and final measure, when it is done
 * state.safetensors       the last checkpoint under another name, for extending a finished run
 *
 * The end of a run is: checkpoint of the last step, model, rename of the checkpoint to state. Each
 * is atomic, and a run that finds a checkpoint of its last step repeats what follows it: killing at
 * any moment loses nothing. */
#ifndef SR_TRAIN_CHECKPOINT_H
#define SR_TRAIN_CHECKPOINT_H

#include "data/tokenizer.h"
#include "model/file.h"
#include "train/settings.h"

/* The record's metadata key, and what the names of stored buffers begin with. */
extern const char sr_record_key[], sr_first_moment[], sr_second_moment[], sr_generation_prefix[];

typedef struct sr_run_record {
    int64_t step, tokens;
    double seconds;
    int64_t peak_rss, peak_anonymous;
    double validation; /* last bits per byte; NaN before */
    int totals;        /* as in sr_schedule */
    int64_t total[SR_MAX_TOTALS];
    int stages;       /* growths of the run's own schedule that are done */
    sr_births births; /* as in sr_trainer_options; none lies behind `step` */
    bool done;        /* `result` is there */
    sartor_measure result;
} sr_run_record;

/* The record inside an open file, after comparing its settings with `settings`. SARTOR_MISMATCH,
 * SARTOR_FORMAT. */
sartor_status sr_record_read(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                             const json_t *settings, sr_run_record *record);

/* The same with settings that may be any: *settings, objects of strings by their names, is a new
 * reference, NULL on failure. */
sartor_status sr_record_load(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                             json_t **settings, sr_run_record *record);

/* The record inside an open file as the text of one whose model has grown at its step; sets
 * born->step and the number of the new generation. Release with free(). */
sartor_status sr_record_grown(sartor_context *ctx, const char *where, const sr_st_reader *reader,
                              sr_generation *born, int *generation, char **text);

/* Weights, moments, generations and record. SARTOR_NOT_FINITE, and nothing written, when a weight
 * is not. */
sartor_status sr_checkpoint_write(sartor_context *ctx, const char *path, const sr_trainer *trainer,
                                  const sr_tokenizer *tokenizer, const json_t *settings,
                                  const sr_run_record *record);
/* Into an allocated trainer with the record's births. SARTOR_FORMAT when a generation in the file
 * is none of those. */
sartor_status sr_checkpoint_read(sartor_context *ctx, const sr_st_reader *reader,
                                 const sr_run_record *record, sr_trainer *trainer);
/* Weights, tokenizer and record. */
sartor_status sr_result_write(sartor_context *ctx, const char *path, const sr_trainer *trainer,
                              const sr_tokenizer *tokenizer, const json_t *settings,
                              const sr_run_record *record);

#endif
