/* sartor inspect: what an architecture is and costs, without training it. */
#include "cli/arch_file.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/structure.h"

#include "base/context.h"
#include <inttypes.h>
#include <sartor/architecture.h>
#include <sartor/train.h>
#include <string.h>

typedef struct sr_request {
    const char *arch;
    sartor_sizes sizes;
    int64_t batch;
    sartor_precision precision;
    int threads;
} sr_request;

static int print_json(const sartor_report *r) {
    return sr_print_json(
        json_pack("{s:i, s:s, s:s, s:s, s:i, s:I, s:{s:I, s:I, s:I}, s:I, s:o, s:I}", "version", 1,
                  "genome", r->genome, "genome_id", r->genome_id, "id", r->id, "livs",
                  r->sizes.livs, "width", (json_int_t)r->sizes.width, "params", "backbone",
                  (json_int_t)r->params_backbone, "embedding", (json_int_t)r->params_embedding,
                  "total", (json_int_t)(r->params_backbone + r->params_embedding), "cache_bytes",
                  (json_int_t)r->cache_bytes, "flops_per_token", sr_json_real(r->flops_per_token),
                  "train_memory_bytes", (json_int_t)r->train_memory_bytes));
}

static sartor_status print_report(sartor_context *ctx, const sr_request *q,
                                  const sartor_report *r) {
    const sartor_sizes *s = &r->sizes;
    char a[SR_NUMBER_TEXT], b[SR_NUMBER_TEXT], c[SR_NUMBER_TEXT];
    printf("%-16s ", "architecture");
    sr_print_wrapped(r->names, 17);
    printf("%-16s %s\n%-16s %s\n%-16s %s\n", "genome", r->genome, "genome id", r->genome_id, "id",
           r->id);
    printf("%-16s %d LIVs, width %" PRId64 ", head dim %" PRId64 ", window %" PRId64
           ", context %" PRId64 ", vocabulary %" PRId64 "\n\n",
           "sizes", s->livs, s->width, s->head_dim, s->window, s->context, s->vocab);
    printf("structure\n");
    SR_TRY(sr_print_structure(ctx, q->arch, &q->sizes));
    printf("\n");
    printf("%-16s %s backbone + %s embedding = %s\n", "parameters",
           sr_grouped(r->params_backbone, a), sr_grouped(r->params_embedding, b),
           sr_grouped(r->params_backbone + r->params_embedding, c));
    printf("%-16s %s per token (forward, mean over a full context)\n", "FLOPs",
           sr_short_count(r->flops_per_token, a));
    printf("%-16s %s = %s bytes (one sequence at the full context, f16)\n", "cache",
           sr_short_bytes(r->cache_bytes, a), sr_grouped(r->cache_bytes, b));
    printf("%-16s %s (batch %" PRId64 ", %s)\n", "training memory",
           sr_short_bytes(r->train_memory_bytes, a), q->batch,
           q->precision == SARTOR_BF16 ? "bf16" : "f32");
    return SARTOR_OK;
}

static int inspect(const sr_request *q, bool json) {
    sartor_context *ctx = sr_context_open();
    if (ctx == NULL) return SR_EXIT_FAILURE;
    sartor_report report = {.genome = NULL};
    sartor_status status =
        sartor_inspect(ctx, q->arch, &q->sizes, q->batch, q->precision, q->threads, &report);
    int code = SR_EXIT_OK;
    if (status == SARTOR_OK && !json) status = print_report(ctx, q, &report);
    if (status != SARTOR_OK)
        code = sr_report_failure(ctx, status);
    else
        code = json ? print_json(&report) : sr_finish_output();
    sartor_report_release(&report);
    sr_context_close(&ctx);
    return code;
}

static int run(const sr_command *self, int argc, char **argv) {
    sartor_train_options training;
    sartor_train_defaults(&training);
    sr_request q = {.arch = NULL, .batch = training.batch, .threads = training.threads};
    sartor_sizes_defaults(&q.sizes);
    sartor_sizes *s = &q.sizes;
    int64_t livs = 0, threads = 0;
    int precision = training.precision;
    bool json = false;
    sr_sizes_of_arch_file(argc, argv, NULL, s);
    const sr_option table[] = {
        SR_HEADING("Model"),
        SR_ARGUMENT(
            "ARCH", &q.arch,
            "preset, genome, class names or a file that holds one (see sartor --help); or a model "
            "file or run folder, with its own sizes"),
        SR_INT("livs", "N", &livs,
               "repeat or cut ARCH to N LIVs (default: its own length; presets 12)", 1, INT32_MAX),
        SR_SIZE_ROWS(s),
        SR_INT("vocab", "V", &s->vocab, "tokens, the separator included", 1, SR_NO_LIMIT),
        SR_HEADING("Training memory"),
        SR_INT("batch", "B", &q.batch, "windows in one batch", 1, 1 << 20),
        SR_CHOICE("precision", "f32|bf16", &precision, "arithmetic of the matrix products"),
        SR_INT("threads", "K", &threads, "threads to use (default: all cores)", 1, 1024),
        SR_HEADING("Output"),
        SR_FLAG("json", &json, "one line of JSON"),
        SR_END,
    };
    int code;
    if (!sr_options_parse(self, table, argc, argv, &code)) return code;
    s->livs = (int)livs;
    q.precision = (sartor_precision)precision;
    if (threads > 0) q.threads = (int)threads;
    return inspect(&q, json);
}

const sr_command sr_command_inspect = {
    .name = "inspect",
    .summary = "structure, parameters, FLOPs, cache and memory of an architecture",
    .usage = "ARCH [options]",
    .about = "Shows what an architecture is and what it costs, without making its weights: its "
             "units and what they share, trained parameters (shared ones once), forward FLOPs per "
             "token, the bytes of its decode state and the memory that training it would take.",
    .examples = "sartor inspect transformer++ --livs 24 --width 768 --head-dim 64 --context 4096\n"
                "# two attention units that share keys and values\n"
                "sartor inspect 1.1.1.1.4-9.1.1.1.1-1.1.1.1.4-9.1.1.1.1\n"
                "# three times the same block, as JSON\n"
                "sartor inspect \"(SA-3 GMemless GConv-1 GMemless)x3\" --width 256 --json\n",
    .run = run,
};
