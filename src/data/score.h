/* Evaluation windows for bits per byte.
 *
 * What holds: every token of the stream but its leading separator is scored exactly once. Windows
 * have the context's length and start half a context apart; the first scores all its tokens, each
 * other one only those the windows before it have not, which therefore have at least half a context
 * before them (or the whole text). Separators are predicted and count in nats, but stand for no
 * bytes. */
#ifndef SR_DATA_SCORE_H
#define SR_DATA_SCORE_H

#include "data/cache.h"

typedef struct sr_windows {
    const sr_tokens *tokens;
    const int32_t *token_bytes;
    int32_t context, stride;
    uint64_t count;
} sr_windows;

/* `tokens` and `tokenizer` are borrowed. context >= 1. */
sartor_status sr_windows_init(sartor_context *ctx, const sr_tokens *tokens,
                              const sr_tokenizer *tokenizer, int32_t context, sr_windows *out);

/* Fills `context` ids and targets of window `index` < count; a target is -1 where nothing is scored
 * (already scored, or padding after the end). Adds what is scored to *scored_tokens and
 * *scored_bytes (raw bytes). */
void sr_window_fill(const sr_windows *w, uint64_t index, int32_t *ids, int32_t *targets,
                    uint64_t *scored_tokens, uint64_t *scored_bytes);

/* nats / ln 2 / bytes. */
double sr_bits_per_byte(double nats, uint64_t bytes);

#endif
