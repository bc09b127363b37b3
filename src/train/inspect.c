/* sartor_inspect(): what an architecture is and costs, without training it. */
#include "model/architecture.h"
#include "model/cost.h"
#include "train/compile.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void sartor_sizes_defaults(sartor_sizes *s) {
    *s = (sartor_sizes){.width = 128, .head_dim = 32, .window = 128, .context = 256, .vocab = 257};
}

/* What an architecture is besides its genome: the sizes, and those of units that have grown. */
static sartor_status identify(sartor_context *ctx, const sr_model *m, char id[33]) {
    char text[SR_SIZES_TEXT];
    bool grown = m->sizes.divisor > 0;
    for (int i = 0; i < m->genome.n && !grown; i++) grown = sr_model_unit_grew(m, i);
    sr_sizes_print(&m->sizes, text);
    if (!grown) {
        sr_arch_id(&m->genome, text, id);
        return SARTOR_OK;
    }
    json_t *root = sr_architecture_json(m);
    char *all = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (all != NULL) sr_arch_id(&m->genome, all, id);
    json_decref(root);
    const bool good = all != NULL;
    free(all);
    return good ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status describe(sartor_context *ctx, const sr_model *m, sartor_report *report) {
    const sr_sizes *sizes = &m->sizes;
    report->genome = malloc(SR_GENOME_TEXT);
    report->names = malloc(SR_GENOME_TEXT);
    if (report->genome == NULL || report->names == NULL)
        return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    sr_genome_print(&m->genome, report->genome);
    sr_genome_names(&m->genome, report->names);
    sr_genome_id(&m->genome, report->genome_id);
    report->sizes = (sartor_sizes){.livs = m->genome.n,
                                   .width = sizes->width,
                                   .head_dim = sizes->head_dim,
                                   .window = sizes->window,
                                   .context = sizes->context,
                                   .vocab = sizes->vocab,
                                   .tie_embeddings = sizes->tied};
    return identify(ctx, m, report->id);
}

static sartor_status inspect(sartor_context *ctx, sr_model *model, int64_t batch,
                             sr_numbers numbers, int threads, sartor_report *report) {
    sr_cost cost;
    SR_TRY(sr_model_cost(ctx, model, &cost));
    SR_TRY(sr_model_train_bytes(ctx, model, batch, model->sizes.context, numbers, threads,
                                &report->train_memory_bytes));
    report->params_backbone = cost.backbone;
    report->params_embedding = cost.embedding;
    report->cache_bytes = cost.cache_bytes;
    report->flops_per_token = cost.flops_per_token;
    return describe(ctx, model, report);
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
    const sr_sizes model_sizes = sr_sizes_from(sizes, sizes->vocab);
    sr_model *model = NULL;
    sartor_status status = sr_compile_named(ctx, arch, sizes->livs, &model_sizes, &model);
    if (status == SARTOR_OK)
        status = inspect(ctx, model, batch, sr_numbers_from(precision), threads, report);
    sr_model_destroy(&model);
    if (status != SARTOR_OK) sartor_report_release(report);
    return status;
}

void sartor_report_release(sartor_report *report) {
    free(report->genome);
    free(report->names);
    *report = (sartor_report){0};
}
