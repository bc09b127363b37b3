/* Trained models: load, measure, generate. */
#ifndef SARTOR_MODEL_H
#define SARTOR_MODEL_H

#include <sartor/train.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sartor_model sartor_model;

/* Reads model.safetensors, or any file with a sartor model inside; a folder means the
 * model.safetensors in it. */
sartor_status sartor_model_load(sartor_context *context, const char *path, sartor_model **model);
void sartor_model_destroy(sartor_model **model);

typedef enum sartor_split {
    SARTOR_SPLIT_ALL = 0,
    SARTOR_SPLIT_TRAIN,
    SARTOR_SPLIT_VALIDATION,
    SARTOR_SPLIT_TEST
} sartor_split;

typedef struct sartor_eval_options {
    sartor_text text;
    sartor_split split;
    int64_t batch, context; /* 0: 8, and the model's */
    sartor_precision precision;
    int threads;
    sartor_progress_fn progress; /* step and steps count windows */
    void *progress_user;
} sartor_eval_options;
void sartor_eval_defaults(sartor_eval_options *options);

sartor_status sartor_eval(sartor_context *context, sartor_model *model,
                          const sartor_eval_options *options, sartor_measure *result);

typedef enum sartor_cache_type { SARTOR_CACHE_F16 = 0, SARTOR_CACHE_F32 = 1 } sartor_cache_type;

/* Called with the bytes of every generated token as they come; return false to stop. */
typedef bool (*sartor_token_fn)(void *user, const char *bytes, size_t size);

typedef struct sartor_generate_options {
    const char *prompt;
    size_t prompt_bytes; /* 0: up to the terminating zero */
    int64_t tokens;      /* at most; a separator ends the text earlier */
    double temperature;  /* 0: the most likely token */
    int64_t top_k;       /* 0: all */
    double top_p;        /* 1: all */
    uint64_t seed;
    sartor_cache_type cache;
    sartor_precision precision;
    int threads;
    sartor_token_fn on_token;
    void *on_token_user;
} sartor_generate_options;
void sartor_generate_defaults(sartor_generate_options *options);

typedef struct sartor_generation {
    char *text; /* the continuation, without the prompt; ends in a zero behind text_bytes bytes */
    size_t text_bytes;
    int64_t tokens;
    double tokens_per_second; /* of the decode steps, prefill not included */
} sartor_generation;

sartor_status sartor_generate(sartor_context *context, sartor_model *model,
                              const sartor_generate_options *options, sartor_generation *result);
void sartor_generation_release(sartor_generation *result);

#ifdef __cplusplus
}
#endif
#endif
