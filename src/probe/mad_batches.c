#include "probe/mad_batches.h"

#include "base/memory.h"
#include "base/rng.h"
#include <stdlib.h>
#include <string.h>

sartor_status sr_mad_batches_init(sartor_context *ctx, const sr_mad_set *set, uint64_t seed,
                                  int64_t batch, int64_t rows, sr_mad_batches *b) {
    *b = (sr_mad_batches){.set = set, .seed = seed, .batch = batch, .rows = rows, .epoch = -1};
    return sr_alloc(ctx, (size_t)set->rows, sizeof *b->order, "the order of examples",
                    (void **)&b->order);
}

void sr_mad_batches_free(sr_mad_batches *b) {
    free(b->order);
    *b = (sr_mad_batches){0};
}

int64_t sr_mad_steps_per_epoch(const sr_mad_batches *b) {
    return (b->set->rows + b->batch - 1) / b->batch;
}

/* Fisher and Yates. */
static void shuffle(sr_mad_batches *b, int64_t epoch) {
    if (b->epoch == epoch) return;
    const sr_rng rng = {b->seed, SR_FOR_ORDER, (uint32_t)epoch};
    for (int64_t i = 0; i < b->set->rows; i++) b->order[i] = (int32_t)i;
    for (int64_t i = b->set->rows - 1; i > 0; i--) {
        int64_t j = (int64_t)sr_rng_below(rng, (uint64_t)i, (uint64_t)i + 1);
        int32_t other = b->order[j];
        b->order[j] = b->order[i];
        b->order[i] = other;
    }
    b->epoch = epoch;
}

/* The examples of a step: *n numbers. */
static const int32_t *examples(sr_mad_batches *b, int64_t step, int64_t *n) {
    const int64_t steps = sr_mad_steps_per_epoch(b), first = step % steps * b->batch;
    shuffle(b, step / steps);
    *n = b->set->rows - first < b->batch ? b->set->rows - first : b->batch;
    return b->order + first;
}

static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    sr_mad_batches *b = user;
    const int64_t length = b->set->length;
    const size_t bytes = (size_t)length * sizeof *ids;
    int64_t n;
    const int32_t *example = examples(b, step, &n);
    for (int64_t row = 0; row < b->rows; row++, ids += length, targets += length) {
        const int64_t k = micro * b->rows + row;
        if (k < n) {
            memcpy(ids, b->set->inputs + example[k] * length, bytes);
            memcpy(targets, b->set->targets + example[k] * length, bytes);
        } else {
            memset(ids, 0, bytes);
            for (int64_t i = 0; i < length; i++) targets[i] = SR_MAD_IGNORE;
        }
    }
    return 0;
}

static int64_t scored(void *user, int64_t step) {
    sr_mad_batches *b = user;
    int64_t n, sum = 0;
    const int32_t *example = examples(b, step, &n);
    for (int64_t k = 0; k < n; k++) {
        const int32_t *targets = b->set->targets + example[k] * b->set->length;
        for (int64_t i = 0; i < b->set->length; i++) sum += targets[i] >= 0;
    }
    return sum > 0 ? sum : 1;
}

static int64_t micros(void *user, int64_t step) {
    sr_mad_batches *b = user;
    int64_t n;
    (void)examples(b, step, &n);
    return (n + b->rows - 1) / b->rows;
}

sr_task sr_mad_task(sr_mad_batches *b) {
    return (sr_task){.fill = fill, .scored = scored, .micros = micros, .user = b};
}
