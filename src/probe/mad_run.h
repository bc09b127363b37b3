/* One run of MAD: one architecture trained on one setting with one learning rate and weight decay,
 * and what it scores (Poli et al. 2024, appendix B; athms/mad-lab).
 *
 * Both protocols train with AdamW on batches of 128 for up to 200 epochs, without warm-up and
 * clipping, and stop after an epoch with an accuracy above 0.999.
 *
 * faithful  what the published code does: a constant rate, since its schedule is never attached;
 *           averages 0.9 and 0.999; decay of every parameter; accuracy over classes and perplexity
 *           averaged over batches; all decisions on the test set; reported is the epoch of the
 *           lowest perplexity, which is the checkpoint that the code goes back to.
 * paper     what the paper says: the rate follows a cosine to 1e-6, one value per epoch; averages
 *           0.9 and 0.98; decay of matrices only; all decisions on a validation set that is no part
 *           of the test set: the run stops by its plain accuracy and goes back to the weights of
 *           the lowest validation perplexity, which are then tested once. */
#ifndef SR_PROBE_MAD_RUN_H
#define SR_PROBE_MAD_RUN_H

#include "genome/genome.h"
#include "probe/mad_eval.h"

typedef enum sr_mad_protocol { SR_MAD_FAITHFUL, SR_MAD_PAPER } sr_mad_protocol;

#define SR_MAD_ENOUGH 0.999 /* accuracy */
enum { SR_MAD_BATCH = 128, SR_MAD_EPOCHS = 200 };

typedef struct sr_mad_run_options {
    sr_mad_protocol protocol;
    double rate, weight_decay;
    int64_t batch, epochs;
    sr_numbers numbers; /* SR_FAST_F32 or SR_FAST_BF16 */
    int threads;
    uint64_t seed;             /* of weights and order */
    const char *folder;        /* for checkpoints; NULL: none are written */
    double checkpoint_seconds; /* between checkpoints; 0: 30 */
    /* Before every step: steps done, steps at most, the loss of the last one (0 before the first).
     * May be NULL. */
    void (*before_step)(void *user, int64_t step, int64_t steps, double loss);
    void *user;
} sr_mad_run_options;

typedef struct sr_mad_result {
    double accuracy; /* of the scored positions of the test set */
    double
        accuracy_macro; /* over classes: mean of batches (faithful), or of the whole set (paper) */
    double perplexity;  /* likewise */
    double selection;   /* what the best run of a grid has the most of: accuracy_macro (faithful),
                           or the plain accuracy on the validation set (paper) */
    int64_t epoch;      /* that is reported, from 1 */
    int64_t epochs, steps;               /* done */
    double seconds, examples_per_second; /* in training, without scoring */
    double seconds_scoring;
} sr_mad_result;

/* The score of a run: what MAD scores are averages of. */
static inline double sr_mad_result_score(const sr_mad_result *r, sr_mad_protocol protocol) {
    return protocol == SR_MAD_FAITHFUL ? r->accuracy_macro : r->accuracy;
}

/* `sizes` for a setting: vocabulary, context, filter length and head are the task's. */
sr_sizes sr_mad_sizes(const sr_sizes *sizes, const sr_mad_setting *setting);

/* Examples that pass through the model at once: the largest divisor of the batch whose tokens are
 * about 4096 at most. */
int64_t sr_mad_micro_rows(int64_t batch, int64_t length);

/* `data` is of `setting`, with a validation part for SR_MAD_PAPER; only width, head dim, window and
 * tied of `sizes` count. The same arguments give the same bits, also when the run was interrupted
 * or killed and called again with the same folder. SARTOR_NOT_FINITE when training diverges,
 * SARTOR_MISMATCH when the folder holds another run. */
sartor_status sr_mad_run(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                         const sr_mad_setting *setting, const sr_mad_data *data,
                         const sr_mad_run_options *options, sr_mad_result *result);

#endif
