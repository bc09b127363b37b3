/* Trains from PyTorch's initial weights on PyTorch's batches and prints the losses, one a line
 * (tests/torch/training.py compares them).
 *
 *     follow_curve FILE NAMES f32|bf16
 */
#include "base/context.h"
#include "tensor/safetensors.h"
#include "train/trainer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const sr_st_tensor *batches;

static int64_t fill(void *user, int64_t step, int64_t micro, int32_t *ids, int32_t *targets) {
    (void)user, (void)micro;
    const int64_t rows = batches->dims[1], length = batches->dims[2] - 1;
    const int32_t *from = (const int32_t *)batches->data + step * rows * (length + 1);
    for (int64_t r = 0; r < rows; r++) {
        memcpy(ids + r * length, from + r * (length + 1), (size_t)length * 4);
        memcpy(targets + r * length, from + r * (length + 1) + 1, (size_t)length * 4);
    }
    return 0;
}

static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

static sartor_status load(sartor_context *ctx, const sr_st_reader *file, sr_model *m) {
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        char name[128];
        if (!p->trained) continue;
        snprintf(name, sizeof name, "param/%s", p->name);
        const sr_st_tensor *t = sr_st_find(file, name);
        if (t == NULL || t->type != SR_ST_F32 || t->count != p->rows * p->cols)
            return sr_fail(ctx, SARTOR_MISMATCH, "%s is missing or has another shape", name);
        memcpy(m->params + p->offset, t->data, t->bytes);
    }
    return SARTOR_OK;
}

static sartor_status follow(sartor_context *ctx, const char *path, const char *arch, bool bf16) {
    sr_st_reader *file;
    SR_TRY(sr_st_open(ctx, path, &file));
    json_t *sizes = json_loads(sr_st_metadata(file, "sartor"), 0, NULL);
    json_t *how = json_loads(sr_st_metadata(file, "training"), 0, NULL);
    batches = sr_st_find(file, "batches");
    const int64_t steps = batches->dims[0], T = batches->dims[2] - 1;
    sr_sizes s = {(int64_t)number(sizes, "width"),
                  (int64_t)number(sizes, "head_dim"),
                  1,
                  (int64_t)number(sizes, "vocab"),
                  T,
                  T,
                  json_is_true(json_object_get(sizes, "tied")),
                  SR_HEAD_LANGUAGE,
                  0};
    sr_genome *genome = malloc(sizeof *genome);
    sr_model *m;
    SR_TRY(sr_arch_parse(ctx, arch, 0, genome));
    SR_TRY(sr_model_create(ctx, genome, &s, &m));
    sr_trainer_options o = {
        .rows = batches->dims[1],
        .length = T,
        .accumulate = 1,
        .numbers = bf16 ? SR_FAST_BF16 : SR_FAST_F32,
        .threads = 1,
        .weight_decay = number(how, "weight_decay"),
        .clip = number(how, "clip"),
        .schedule = {
            number(how, "lr"), number(how, "min_lr"), (int64_t)number(how, "warmup"), 1, {steps}}};
    sr_trainer *t;
    SR_TRY(sr_trainer_create(ctx, m, &o, &t));
    SR_TRY(sr_trainer_allocate(ctx, t));
    sr_model_init(m, 0);
    SR_TRY(load(ctx, file, m));
    sr_trainer_refresh(t);
    sr_task task = {.fill = fill};
    for (int64_t i = 0; i < steps; i++) {
        sr_step step;
        SR_TRY(sr_trainer_step(ctx, t, &task, &step));
        printf("%.9g\n", step.loss);
    }
    sr_trainer_destroy(&t);
    sr_model_destroy(&m);
    free(genome);
    json_decref(sizes);
    json_decref(how);
    sr_st_close(&file);
    return SARTOR_OK;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: follow_curve FILE NAMES f32|bf16\n");
        return 2;
    }
    sartor_context *ctx = sartor_context_create();
    sartor_status status = follow(ctx, argv[1], argv[2], strcmp(argv[3], "bf16") == 0);
    if (status != SARTOR_OK) fprintf(stderr, "follow_curve: %s\n", sartor_error(ctx));
    sartor_context_destroy(&ctx);
    return status == SARTOR_OK ? 0 : 1;
}
