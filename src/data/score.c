#include "data/score.h"

sartor_status sr_windows_init(sartor_context *ctx, const sr_tokens *tokens,
                              const sr_tokenizer *tokenizer, int32_t context, sr_windows *out) {
    if (context < 1)
        return sr_fail(ctx, SARTOR_INVALID, "context must be at least 1, not %d", context);
    if (tokens->vocab != sr_tokenizer_vocab(tokenizer))
        return sr_fail(ctx, SARTOR_MISMATCH, "the tokens have a vocabulary of %d, the tokenizer %d",
                       tokens->vocab, sr_tokenizer_vocab(tokenizer));
    uint64_t targets = tokens->count - 1, length = (uint64_t)context;
    uint64_t stride = context > 1 ? length / 2 : 1;
    *out =
        (sr_windows){.tokens = tokens,
                     .token_bytes = sr_tokenizer_token_bytes(tokenizer),
                     .context = context,
                     .stride = (int32_t)stride,
                     .count = targets <= length ? 1 : 1 + (targets - length + stride - 1) / stride};
    return SARTOR_OK;
}

void sr_window_fill(const sr_windows *w, uint64_t index, int32_t *ids, int32_t *targets,
                    uint64_t *scored_tokens, uint64_t *scored_bytes) {
    const sr_tokens *t = w->tokens;
    uint64_t first = index * (uint64_t)w->stride;
    int32_t seen = index == 0 ? 0 : w->context - w->stride; /* scored by the windows before */
    for (int32_t i = 0; i < w->context; i++) {
        uint64_t at = first + (uint64_t)i;
        bool inside = at + 1 < t->count;
        ids[i] = inside ? sr_token(t, at) : t->vocab - 1;
        targets[i] = inside && i >= seen ? sr_token(t, at + 1) : -1;
        if (targets[i] < 0) continue;
        ++*scored_tokens;
        *scored_bytes += (uint64_t)w->token_bytes[targets[i]];
    }
}

double sr_bits_per_byte(double nats, uint64_t bytes) {
    return nats / 0.69314718055994530942 / (double)bytes;
}
