/* From a setting to rows of tokens: what sr_mad_generate() puts together. */
#ifndef SR_TASK_MAD_ROWS_H
#define SR_TASK_MAD_ROWS_H

#include "base/pcg64.h"
#include "task/mad/mad.h"

/* How a setting divides its tokens: `keys` tokens from 0 on, then values, then noise, then the
 * special tokens. Tasks without keys and values have `contents` in place of both. */
typedef struct sr_mad_ids {
    int64_t keys, values, contents, noise;
} sr_mad_ids;
sr_mad_ids sr_mad_divide(const sr_mad_setting *setting);

/* Most tokens of a key or value of fuzzy recall: as many as its table of keys can tell apart. */
enum { SR_MAD_LONGEST_TUPLE = 4 };

/* The random numbers of a setting, used up from set to set. */
typedef struct sr_mad_stream {
    sr_pcg64 rng;      /* the benchmark's */
    sr_pcg64 blanks;   /* in the place of the generator that the benchmark leaves to chance */
    int64_t enumerate; /* fuzzy recall enumerates permutations up to this number of them */
} sr_mad_stream;

enum { SR_MAD_ENUMERATE = 10000 };
sr_mad_stream sr_mad_start(const sr_mad_setting *setting);

/* Fills the set's rows, in the form of the training set or in that of the test set. The setting has
 * passed its check; the set has room. */
typedef sartor_status sr_mad_rows(sartor_context *ctx, const sr_mad_setting *setting,
                                  sr_mad_stream *stream, bool test_form, sr_mad_set *set);
sr_mad_rows sr_mad_recall_rows; /* plain and noisy */
sr_mad_rows sr_mad_fuzzy_rows;
sr_mad_rows sr_mad_copy_rows;
sr_mad_rows sr_mad_compression_rows;
sr_mad_rows sr_mad_memorization_rows;

/* A set of zeros. */
sartor_status sr_mad_set_alloc(sartor_context *ctx, int64_t rows, int64_t length, sr_mad_set *set);

/* The tasks that predict the next token: of `length + 1` tokens all but the last are inputs. The
 * training form scores every next token, the test form what `wanted` holds for it. */
void sr_mad_shift(const int32_t *tokens, const int32_t *wanted, int64_t length, bool test_form,
                  int32_t *inputs, int32_t *targets);

#endif
