#include "task/language.h"

static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    const sr_language *language = user;
    const sr_batches *b = &language->batches;
    sr_batch_fill(b, (uint64_t)step, (int32_t)micro, ids, targets);
    int64_t bytes = 0, n = (int64_t)b->rows * b->context;
    for (int64_t i = 0; i < n; i++) bytes += language->token_bytes[targets[i]];
    return bytes;
}

sr_task sr_language_task(sr_language *language) {
    return (sr_task){.fill = fill, .user = language};
}
