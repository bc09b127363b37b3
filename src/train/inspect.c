/* sartor_inspect(): what an architecture is and costs, without training it. */
#include "base/memory.h"
#include "model/cost.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void sartor_sizes_defaults(sartor_sizes *s) {
    *s = (sartor_sizes){.width = 128, .head_dim = 32, .window = 128, .context = 256, .vocab = 257};
}

static sartor_status describe(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                              sartor_report *report) {
    char text[SR_SIZES_TEXT];
    report->genome = malloc(SR_GENOME_TEXT);
    report->names = malloc(SR_GENOME_TEXT);
    if (report->genome == NULL || report->names == NULL)
        return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sr_genome_print(genome, report->genome);
    sr_genome_names(genome, report->names);
    sr_genome_id(genome, report->genome_id);
    sr_sizes_print(sizes, text);
    sr_arch_id(genome, text, report->id);
    report->sizes = (sartor_sizes){.livs = genome->n,
                                   .width = sizes->width,
                                   .head_dim = sizes->head_dim,
                                   .window = sizes->window,
                                   .context = sizes->context,
                                   .vocab = sizes->vocab,
                                   .tie_embeddings = sizes->tied};
    return SARTOR_OK;
}

static sartor_status inspect(sartor_context *ctx, const sr_genome *genome, const sr_sizes *sizes,
                             int64_t batch, sr_numbers numbers, int threads,
                             sartor_report *report) {
    sr_model *model = NULL;
    sr_cost cost;
    SR_TRY(sr_model_create(ctx, genome, sizes, &model));
    sartor_status status = sr_model_cost(ctx, model, &cost);
    if (status == SARTOR_OK)
        status = sr_model_train_bytes(ctx, model, batch, sizes->context, numbers, threads,
                                      &report->train_memory_bytes);
    if (status == SARTOR_OK) {
        report->params_backbone = cost.backbone;
        report->params_embedding = cost.embedding;
        report->cache_bytes = cost.cache_bytes;
        report->flops_per_token = cost.flops_per_token;
        status = describe(ctx, &model->genome, sizes, report);
    }
    sr_model_destroy(&model);
    return status;
}

sartor_status sartor_inspect(sartor_context *ctx, const char *arch, const sartor_sizes *sizes,
                             int64_t batch, sartor_precision precision, int threads,
                             sartor_report *report) {
    *report = (sartor_report){0};
    if (arch == NULL) return sr_fail(ctx, SARTOR_INVALID, "no architecture is given");
    if (batch < 1 || batch > 1 << 20)
        return sr_fail(ctx, SARTOR_INVALID, "batch is %" PRId64 ", expected 1 to %d", batch,
                       1 << 20);
    SR_TRY(sr_precision_check(ctx, precision));
    SR_TRY(sr_threads_resolve(ctx, threads, &threads));
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sr_sizes model_sizes = sr_sizes_from(sizes, sizes->vocab);
    sartor_status status = sr_arch_parse(ctx, arch, sizes->livs, genome);
    if (status == SARTOR_OK)
        status =
            inspect(ctx, genome, &model_sizes, batch, sr_numbers_from(precision), threads, report);
    free(genome);
    if (status != SARTOR_OK) sartor_report_release(report);
    return status;
}

void sartor_report_release(sartor_report *report) {
    free(report->genome);
    free(report->names);
    *report = (sartor_report){0};
}
