/* Compression: random tokens and a token at whose place a model is to know them all. Memorization:
 * keys whose values are not in the sequence, because they are the same in all sequences. Neither
 * has a test form of its own. */
#include "base/memory.h"
#include "task/mad/rows.h"
#include <stdlib.h>
#include <string.h>

sartor_status sr_mad_compression_rows(sartor_context *ctx, const sr_mad_setting *setting,
                                      sr_mad_stream *stream, bool test_form, sr_mad_set *set) {
    (void)ctx, (void)test_form;
    int64_t contents = sr_mad_divide(setting).contents;
    for (int64_t row = 0; row < set->rows; row++) {
        int32_t *input = set->inputs + row * set->length;
        for (int64_t i = 0; i < set->length - 1; i++)
            input[i] = (int32_t)sr_pcg64_choice(&stream->rng, contents);
        input[set->length - 1] = (int32_t)setting->vocab - 1;
        memcpy(set->targets + row * set->length, input, (size_t)set->length * sizeof *input);
    }
    return SARTOR_OK;
}

/* Writes all keys and all values, each shuffled: keys[i] belongs to values[i]. The numbers are
 * those of a stream of their own with the same seed. */
static void pair_up(const sr_mad_setting *setting, sr_mad_ids ids, int32_t *keys, int32_t *values) {
    sr_pcg64 rng;
    sr_pcg64_seed(&rng, &setting->seed, 1);
    for (int64_t i = 0; i < ids.keys; i++) keys[i] = (int32_t)i;
    for (int64_t i = 0; i < ids.values; i++) values[i] = (int32_t)(ids.keys + i);
    sr_pcg64_shuffle(&rng, keys, (int32_t)ids.keys);
    sr_pcg64_shuffle(&rng, values, (int32_t)ids.values);
}

sartor_status sr_mad_memorization_rows(sartor_context *ctx, const sr_mad_setting *setting,
                                       sr_mad_stream *stream, bool test_form, sr_mad_set *set) {
    (void)test_form;
    sr_mad_ids ids = sr_mad_divide(setting);
    void *block = NULL;
    SR_TRY(
        sr_alloc(ctx, (size_t)(ids.keys + ids.values), sizeof(int32_t), "keys and values", &block));
    int32_t *keys = block, *values = keys + ids.keys;
    pair_up(setting, ids, keys, values);
    int64_t pairs = set->length / 2;
    for (int64_t row = 0; row < set->rows; row++) {
        int32_t *input = set->inputs + row * set->length;
        int32_t *target = set->targets + row * set->length;
        /* The pair that noise would spare: the benchmark draws it, though this task has no noise.
         */
        (void)sr_pcg64_choice(&stream->rng, pairs);
        for (int64_t i = 0; i < pairs; i++) {
            int64_t at = sr_pcg64_choice(&stream->rng, ids.keys);
            input[2 * i] = keys[at];
            target[2 * i] = SR_MAD_IGNORE;
            input[2 * i + 1] = (int32_t)setting->vocab - 1;
            target[2 * i + 1] = values[at];
        }
    }
    free(block);
    return SARTOR_OK;
}
