/* Names, lists of names, and the values that need no training. */
#include "search/objectives.h"

#include "model/cost.h"
#include "model/decoder.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const sr_objective objectives[SR_OBJECTIVE_COUNT] = {
    [SR_BPB] = {"bpb", "bits per byte", "on validation text after the training budget", SR_TRAINED},
    [SR_PARAMS] = {"params", "parameters", "of the backbone, shared ones once", SR_COMPUTED},
    [SR_CACHE] = {"cache", "bytes", "of decode state at the context, f16, batch 1", SR_COMPUTED},
    [SR_FLOPS] = {"flops", "FLOPs per token", "forward, mean over a full context", SR_COMPUTED},
    [SR_MEMORY] = {"memory", "bytes", "while decoding: weights, state and scratch", SR_COMPUTED},
    [SR_PREFILL] = {"prefill", "seconds per token", "of a prompt as long as the context",
                    SR_MEASURED},
    [SR_DECODE] = {"decode", "seconds per token", "of generated text after a full context",
                   SR_MEASURED},
    [SR_MAD] = {"mad", "1 - MAD score", "of a suite of synthetic tasks (sartor mad)", SR_PROBED},
};

const sr_objective *sr_objective_get(int id) {
    return id >= 0 && id < SR_OBJECTIVE_COUNT ? &objectives[id] : NULL;
}

int sr_objective_find(const char *name, size_t n) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++)
        if (strlen(objectives[i].name) == n && memcmp(objectives[i].name, name, n) == 0) return i;
    return -1;
}

void sr_objective_names(char text[SR_OBJECTIVE_NAMES]) {
    size_t at = 0;
    for (int i = 0; i < SR_OBJECTIVE_COUNT && at < SR_OBJECTIVE_NAMES; i++)
        at += (size_t)snprintf(text + at, SR_OBJECTIVE_NAMES - at, "%s%s", i > 0 ? ", " : "",
                               objectives[i].name);
}

/* Shown in messages: an absurdly long name is cut. */
static int shown(size_t n) { return n > 64 ? 64 : (int)n; }

sartor_status sr_objectives_parse(sartor_context *ctx, const char *text,
                                  int ids[SR_OBJECTIVE_COUNT], int *n) {
    *n = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        int id = sr_objective_find(at, length);
        if (id < 0) {
            char names[SR_OBJECTIVE_NAMES];
            sr_objective_names(names);
            return sr_fail(ctx, SARTOR_INVALID,
                           "objectives: '%.*s' is not an objective; there are %s", shown(length),
                           at, names);
        }
        for (int i = 0; i < *n; i++)
            if (ids[i] == id)
                return sr_fail(ctx, SARTOR_INVALID, "objectives: %s is given twice",
                               objectives[id].name);
        ids[(*n)++] = id;
        at += length;
        if (*at == '\0') return SARTOR_OK;
    }
}

sartor_status sr_objectives_compute(sartor_context *ctx, const sr_genome *genome,
                                    const sr_sizes *sizes, double values[SR_OBJECTIVE_COUNT]) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) values[i] = NAN;
    sr_model *model;
    SR_TRY(sr_model_create(ctx, genome, sizes, &model));
    const sr_decoder_options decoding = {sizes->context, SR_F16, SR_FAST_F32, 1};
    int64_t memory = 0;
    sr_cost cost;
    sartor_status status = sr_model_cost(ctx, model, &cost);
    if (status == SARTOR_OK) status = sr_decoder_plan_bytes(ctx, model, &decoding, &memory);
    if (status == SARTOR_OK) {
        values[SR_PARAMS] = (double)cost.backbone;
        values[SR_CACHE] = (double)cost.cache_bytes;
        values[SR_FLOPS] = cost.flops_per_token;
        values[SR_MEMORY] = (double)memory;
    }
    sr_model_destroy(&model);
    return status;
}
