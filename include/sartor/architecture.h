/* Architectures: a genome, its sizes, and what they cost, without training anything. */
#ifndef SARTOR_ARCHITECTURE_H
#define SARTOR_ARCHITECTURE_H

#include <sartor/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Arithmetic of training and inference. */
typedef enum sartor_precision { SARTOR_F32 = 0, SARTOR_BF16 = 1 } sartor_precision;

/* Sizes: everything besides the genome that shapes a model. Fill with sartor_sizes_defaults(). */
typedef struct sartor_sizes {
    int livs;            /* 0: the genome's own length, 12 for a preset */
    int64_t width;       /* channels of the residual stream; 128 */
    int64_t head_dim;    /* channels of an attention head; 32 */
    int64_t window;      /* positions that banded classes see; 128 */
    int64_t context;     /* tokens of a training window; 256 */
    int64_t vocab;       /* tokens, separator included; 257 (bytes) */
    bool tie_embeddings; /* the embedding is the unembedding too */
} sartor_sizes;
void sartor_sizes_defaults(sartor_sizes *sizes);

/* What inspecting tells; strings belong to the report. */
typedef struct sartor_report {
    char *genome; /* canonical, five integers per LIV */
    char *names;  /* class names, repeats collapsed; sharing is not in it */
    char genome_id[33], id[33];
    sartor_sizes sizes;                        /* as compiled */
    int64_t params_backbone, params_embedding; /* shared weights once */
    int64_t cache_bytes;                       /* decode state at the context, f16, batch 1 */
    double flops_per_token;     /* forward, mean over a full context, unembedding included */
    int64_t train_memory_bytes; /* of a training run with the given batch, precision, threads */
} sartor_report;

/* `arch`: a preset, a genome, a names list, or a file that holds one; or a model file
 * (*.safetensors) or run folder, whose own sizes then count. */
sartor_status sartor_inspect(sartor_context *context, const char *arch, const sartor_sizes *sizes,
                             int64_t batch, sartor_precision precision, int threads,
                             sartor_report *report);
void sartor_report_release(sartor_report *report);

#ifdef __cplusplus
}
#endif
#endif
