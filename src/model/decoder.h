/* Decoding: tokens in, logits of the next token out, with the state of each unit kept between.
 *
 * Prefill runs in chunks of 256, 64, 16 and 1 tokens; a step is a chunk of 1. Any split of a text
 * gives the same logits (to rounding). Beyond `context` tokens caches keep the most recent ones. */
#ifndef SR_MODEL_DECODER_H
#define SR_MODEL_DECODER_H

#include "model/model.h"

typedef struct sr_decoder sr_decoder;

typedef struct sr_decoder_options {
    int64_t context;    /* tokens that the state can hold */
    sr_dtype cache;     /* SR_F32 or SR_F16: keys, values, windows, histories */
    sr_numbers numbers; /* SR_TRUTH_F32, SR_FAST_F32 or SR_FAST_BF16 */
    int threads;
} sr_decoder_options;

/* The model must have weights, and outlives the decoder. */
sartor_status sr_decoder_create(sartor_context *ctx, sr_model *model,
                                const sr_decoder_options *options, sr_decoder **decoder);
void sr_decoder_destroy(sr_decoder **decoder);

/* Feeds n >= 1 tokens; `logits` (vocab floats, the decoder's, valid until the next call) are those
 * of the token after them. Token numbers are checked. */
sartor_status sr_decoder_feed(sartor_context *ctx, sr_decoder *decoder, const int32_t *ids,
                              int64_t n, const float **logits);
/* Back to the start of a sequence. */
void sr_decoder_reset(sr_decoder *decoder);
int64_t sr_decoder_position(const sr_decoder *decoder);

/* Bytes of all state pieces, as allocated. */
int64_t sr_decoder_cache_bytes(const sr_decoder *decoder);
/* Bytes that decoding holds now: the model's weights, their bf16 copy, state, filters, scratch. */
int64_t sr_decoder_bytes(const sr_decoder *decoder);

/* What sr_decoder_bytes() will be once a prompt of options->context tokens was fed: the model needs
 * no weights. Beyond it go the graphs themselves and what making filters takes for a moment. */
sartor_status sr_decoder_plan_bytes(sartor_context *ctx, sr_model *model,
                                    const sr_decoder_options *options, int64_t *bytes);

#endif
