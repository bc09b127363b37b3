/* The sets of a setting, drawn from one stream. */
#include "base/memory.h"
#include "task/mad/rows.h"
#include <stdlib.h>

sr_mad_stream sr_mad_start(const sr_mad_setting *setting) {
    sr_mad_stream stream = {.enumerate = SR_MAD_ENUMERATE};
    sr_pcg64_seed(&stream.rng, &setting->seed, 1);
    sr_pcg64_seed(&stream.blanks, (const uint64_t[]){setting->seed, 1}, 2);
    return stream;
}

void sr_mad_shift(const int32_t *tokens, const int32_t *wanted, int64_t length, bool test_form,
                  int32_t *inputs, int32_t *targets) {
    const int32_t *next = test_form ? wanted : tokens;
    for (int64_t i = 0; i < length; i++) {
        inputs[i] = tokens[i];
        targets[i] = next[i + 1];
    }
}

sartor_status sr_mad_set_alloc(sartor_context *ctx, int64_t rows, int64_t length, sr_mad_set *set) {
    void *inputs = NULL, *targets = NULL;
    size_t count = (size_t)rows * (size_t)length;
    sartor_status status = sr_alloc(ctx, count, sizeof(int32_t), "examples", &inputs);
    if (status == SARTOR_OK) status = sr_alloc(ctx, count, sizeof(int32_t), "examples", &targets);
    if (status != SARTOR_OK) {
        free(inputs);
        return status;
    }
    *set = (sr_mad_set){rows, length, inputs, targets};
    return SARTOR_OK;
}

sartor_status sr_mad_generate(sartor_context *ctx, const sr_mad_setting *setting, bool validation,
                              sr_mad_data *data) {
    static sr_mad_rows *const makers[SR_MAD_TASKS] = {
        [SR_MAD_RECALL] = sr_mad_recall_rows,
        [SR_MAD_FUZZY] = sr_mad_fuzzy_rows,
        [SR_MAD_NOISY] = sr_mad_recall_rows,
        [SR_MAD_COPY] = sr_mad_copy_rows,
        [SR_MAD_COMPRESSION] = sr_mad_compression_rows,
        [SR_MAD_MEMORIZATION] = sr_mad_memorization_rows,
    };
    *data = (sr_mad_data){.vocab = setting->vocab};
    SR_TRY(sr_mad_setting_check(ctx, setting));
    const int64_t rows[SR_MAD_PARTS] = {setting->train, setting->test,
                                        validation ? setting->test : 0};
    sr_mad_stream stream = sr_mad_start(setting);
    sartor_status status = SARTOR_OK;
    for (int p = 0; p < SR_MAD_PARTS && status == SARTOR_OK; p++) {
        status = sr_mad_set_alloc(ctx, rows[p], sr_mad_network_length(setting), &data->part[p]);
        if (status == SARTOR_OK && rows[p] > 0)
            status =
                makers[setting->task](ctx, setting, &stream, p != SR_MAD_TRAIN, &data->part[p]);
    }
    if (status != SARTOR_OK) sr_mad_data_free(data);
    return status;
}

void sr_mad_data_free(sr_mad_data *data) {
    for (int p = 0; p < SR_MAD_PARTS; p++) {
        free(data->part[p].inputs);
        free(data->part[p].targets);
    }
    *data = (sr_mad_data){0};
}
