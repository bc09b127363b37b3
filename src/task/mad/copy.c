/* Selective copying: tokens between blanks, then a copy token and as many blanks as there were
 * tokens, where they are to be repeated. No blank lies between the last token and the copy token.
 * The tokens are the benchmark's; where the blanks lie, it leaves to a generator without a seed. */
#include "base/memory.h"
#include "task/mad/rows.h"
#include <stdlib.h>
#include <string.h>

sartor_status sr_mad_copy_rows(sartor_context *ctx, const sr_mad_setting *setting,
                               sr_mad_stream *stream, bool test_form, sr_mad_set *set) {
    (void)test_form;
    int64_t copies = setting->copy, contents = sr_mad_divide(setting).contents;
    int64_t blanks = setting->length - 2 * copies - 1;
    const int32_t copy = (int32_t)setting->vocab - 1, blank = copy - 1;
    void *block = NULL;
    SR_TRY(sr_alloc(ctx, (size_t)copies, sizeof(int64_t), "a sequence", &block));
    int64_t *before = block; /* blanks in front of each token */
    for (int64_t row = 0; row < set->rows; row++) {
        int32_t *input = set->inputs + row * set->length;
        int32_t *target = set->targets + row * set->length;
        int32_t *wanted = target + set->length - copies;
        for (int32_t *t = target; t < wanted; t++) *t = SR_MAD_IGNORE;
        for (int64_t i = 0; i < copies; i++)
            wanted[i] = (int32_t)sr_pcg64_choice(&stream->rng, contents);
        memset(before, 0, (size_t)copies * sizeof *before);
        for (int64_t i = 0; i < blanks; i++) before[sr_pcg64_choice(&stream->blanks, copies)]++;
        for (int64_t i = 0; i < copies; i++) {
            for (int64_t k = 0; k < before[i]; k++) *input++ = blank;
            *input++ = wanted[i];
        }
        *input++ = copy;
        for (int64_t i = 0; i < copies; i++) *input++ = blank;
    }
    free(block);
    return SARTOR_OK;
}
