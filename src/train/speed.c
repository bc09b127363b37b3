/* A repetition is a whole prompt, or one step; single ones vary with whatever else the machine
 * does, so the median counts. Kernels need the same time for any token numbers. */
#include "train/speed.h"

#include "base/clock.h"
#include "base/memory.h"
#include "model/decoder.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    LEAST = 3,    /* repetitions */
    MOST = 4096,  /* repetitions that a median is taken over */
    AT_ONCE = 256 /* tokens between two looks at an interruption; the longest chunk of prefill */
};

typedef struct bench {
    sartor_context *ctx;
    sr_decoder *decoder;
    int32_t *ids; /* context */
    int64_t context;
    double times[MOST];
} bench;

static sartor_status prefill(bench *b) {
    const float *logits;
    for (int64_t at = 0; at < b->context; at += AT_ONCE) {
        int64_t n = b->context - at < AT_ONCE ? b->context - at : AT_ONCE;
        if (sr_interrupted(b->ctx))
            return sr_fail(b->ctx, SARTOR_INTERRUPTED, "interrupted while measuring speed");
        SR_TRY(sr_decoder_feed(b->ctx, b->decoder, b->ids + at, n, &logits));
    }
    return SARTOR_OK;
}

static sartor_status step(bench *b) {
    const float *logits;
    if (sr_interrupted(b->ctx))
        return sr_fail(b->ctx, SARTOR_INTERRUPTED, "interrupted while measuring speed");
    return sr_decoder_feed(b->ctx, b->decoder, b->ids, 1, &logits);
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 == 1 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Runs until `seconds` are over, the first time unmeasured: it makes what is made when first
 * needed, and fills the caches. */
static sartor_status repeat(bench *b, sartor_status (*run)(bench *), bool from_reset,
                            double seconds, double *result) {
    const double end = sr_seconds() + seconds;
    int n = -1;
    for (; n < LEAST || (n < MOST && sr_seconds() < end); n++) {
        if (from_reset) sr_decoder_reset(b->decoder);
        double start = sr_seconds();
        SR_TRY(run(b));
        if (n >= 0) b->times[n] = sr_seconds() - start;
    }
    *result = median(b->times, n);
    return SARTOR_OK;
}

sartor_status sr_speed_measure(sartor_context *ctx, sr_model *model, int64_t context,
                               sr_numbers numbers, int threads, double seconds, sr_speed *speed) {
    if (context < 1 || context > SR_MAX_CONTEXT)
        return sr_fail(ctx, SARTOR_INVALID, "context is %" PRId64 ", expected 1 to %d", context,
                       SR_MAX_CONTEXT);
    bench *b;
    SR_TRY(sr_alloc(ctx, 1, sizeof *b, "measuring speed", (void **)&b));
    b->ctx = ctx;
    b->context = context;
    sr_decoder_options options = {context, SR_F16, numbers, threads};
    sartor_status status =
        sr_alloc(ctx, (size_t)context, sizeof *b->ids, "measuring speed", (void **)&b->ids);
    if (status == SARTOR_OK) status = sr_decoder_create(ctx, model, &options, &b->decoder);
    if (status == SARTOR_OK) {
        for (int64_t i = 0; i < context; i++) b->ids[i] = (int32_t)(i * 31 % model->sizes.vocab);
        double prompt = 0;
        status = repeat(b, prefill, true, seconds / 2, &prompt);
        speed->prefill = prompt / (double)context;
    }
    if (status == SARTOR_OK) status = repeat(b, step, false, seconds / 2, &speed->decode);
    sr_decoder_destroy(&b->decoder);
    free(b->ids);
    free(b);
    return status;
}
