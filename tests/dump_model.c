/* Writes one model's weights, a batch, logits, loss and all gradients to a safetensors file, for
 * comparison with the PyTorch reference (tests/torch/parity.py).
 *
 *     dump_model FILE ARCH f32|bf16 [--sizes width head_dim window vocab context tied]
 */
#include "base/context.h"
#include "base/rng.h"
#include "model/file.h"
#include "model_run.h"
#include "tensor/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2 };

static json_t *architecture(const sr_model *m, const char *numbers) {
    json_t *livs = json_array();
    for (int i = 0; i < m->genome.n; i++) {
        const sr_gene *g = &m->genome.liv[i];
        const sr_class *c = sr_class_get(g->liv_class);
        json_array_append_new(
            livs,
            json_pack("{s:i, s:s, s:[iiiii], s:b, s:[iiiii]}", "class", c->number, "name", c->name,
                      "code", c->code.featurizer, c->code.token_mixing, c->code.sparsity,
                      c->code.nonlinearity, c->code.channel_mixing, "differential",
                      (int)c->differential, "genes", g->liv_class, g->featurizer_label,
                      g->featurizer_strategy, g->group_label, g->group_strategy));
    }
    const sr_sizes *s = &m->sizes;
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "livs", livs, "width",
                     (json_int_t)s->width, "head_dim", (json_int_t)s->head_dim, "window",
                     (json_int_t)s->window, "vocab", (json_int_t)s->vocab, "context",
                     (json_int_t)s->context, "filter_length", (json_int_t)s->filter_length, "tied",
                     (int)s->tied, "numbers", numbers);
}

/* Weights large enough that every path matters; positions of A, biases and constants stay. */
static void enliven(sr_model *m) {
    sr_rng rng = {77, SR_FOR_TEST, 0};
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        for (int64_t k = 0; k < p->rows * p->cols && p->trained; k++) {
            float *x = &m->params[p->offset + k];
            double noise = sr_rng_normal(rng, (uint64_t)(p->offset + k));
            *x = p->decay ? (float)(noise / sqrt((double)p->cols)) : *x + (float)(0.1 * noise);
        }
    }
}

static sartor_status declare(sartor_context *ctx, sr_st_writer *w, const sr_model *m,
                             const char *group) {
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        char name[128];
        int64_t dims[2] = {p->rows, p->cols};
        if (!p->trained) continue;
        snprintf(name, sizeof name, "%s/%s", group, p->name);
        SR_TRY(sr_st_declare(ctx, w, name, SR_ST_F32, p->axes > 1 ? 2 : 1,
                             p->axes > 1 ? dims : dims + 1));
    }
    return SARTOR_OK;
}

static sartor_status write_group(sartor_context *ctx, sr_st_writer *w, const sr_model *m,
                                 const char *group, const float *flat) {
    for (int i = 0; i < m->schema.count; i++) {
        const sr_param *p = &m->schema.param[i];
        char name[128];
        if (!p->trained) continue;
        snprintf(name, sizeof name, "%s/%s", group, p->name);
        SR_TRY(sr_st_write(ctx, w, name, flat + p->offset, (size_t)(p->rows * p->cols) * 4));
    }
    return SARTOR_OK;
}

static sartor_status dump(sartor_context *ctx, const char *path, sr_model *m, const char *numbers) {
    const int64_t T = m->sizes.context, rows = BATCH * T, V = m->sizes.vocab;
    int32_t *ids = malloc((size_t)rows * 4), *targets = malloc((size_t)rows * 4);
    sr_rng rng = {9, SR_FOR_TEST, 1};
    for (int64_t i = 0; i < rows; i++) {
        ids[i] = (int32_t)sr_rng_below(rng, (uint64_t)(2 * i), (uint64_t)V);
        targets[i] =
            i % 11 == 5 ? -1 : (int32_t)sr_rng_below(rng, (uint64_t)(2 * i + 1), (uint64_t)V);
    }
    sr_numbers n = strcmp(numbers, "bf16") == 0 ? SR_FAST_BF16 : SR_FAST_F32;
    model_run logits = model_run_make(ctx, m, n, SR_GRAPH_LOGITS, BATCH, T, false, 1);
    model_run train = model_run_make(ctx, m, n, SR_GRAPH_LOSS, BATCH, T, true, 1);
    model_run_go(&logits, ids, NULL);
    float loss = (float)model_run_go(&train, ids, targets);
    sr_st_writer *w = NULL;
    json_t *json = architecture(m, numbers);
    char *text = json_dumps(json, JSON_COMPACT);
    int64_t batch[2] = {BATCH, T}, out[3] = {BATCH, T, V}, one[1] = {1};
    SR_TRY(sr_st_create(ctx, path, &w));
    SR_TRY(sr_st_set_metadata(ctx, w, "sartor", text));
    SR_TRY(declare(ctx, w, m, "param"));
    SR_TRY(declare(ctx, w, m, "grad"));
    SR_TRY(sr_st_declare(ctx, w, "ids", SR_ST_I32, 2, batch));
    SR_TRY(sr_st_declare(ctx, w, "targets", SR_ST_I32, 2, batch));
    SR_TRY(sr_st_declare(ctx, w, "logits", SR_ST_F32, 3, out));
    SR_TRY(sr_st_declare(ctx, w, "loss", SR_ST_F32, 1, one));
    SR_TRY(write_group(ctx, w, m, "param", m->params));
    SR_TRY(write_group(ctx, w, m, "grad", train.grads));
    SR_TRY(sr_st_write(ctx, w, "ids", ids, (size_t)rows * 4));
    SR_TRY(sr_st_write(ctx, w, "targets", targets, (size_t)rows * 4));
    sr_view view = sr_graph_view(logits.graph.graph, logits.graph.out);
    SR_TRY(sr_st_write(ctx, w, "logits", view.data, (size_t)(rows * V) * 4));
    SR_TRY(sr_st_write(ctx, w, "loss", &loss, 4));
    SR_TRY(sr_st_commit(ctx, &w));
    free(text);
    json_decref(json);
    model_run_free(&logits);
    model_run_free(&train);
    free(ids);
    free(targets);
    return SARTOR_OK;
}

int main(int argc, char **argv) {
    sr_sizes sizes = {64, 8, 7, 61, 40, 40, false, SR_HEAD_LANGUAGE, 0};
    if (argc != 4 && argc != 11) {
        fprintf(stderr, "usage: dump_model FILE ARCH f32|bf16 [--sizes D H W V T TIED]\n");
        return 2;
    }
    if (argc == 11)
        sizes = (sr_sizes){
            strtol(argv[5], NULL, 10),       strtol(argv[6], NULL, 10), strtol(argv[7], NULL, 10),
            strtol(argv[8], NULL, 10),       strtol(argv[9], NULL, 10), strtol(argv[9], NULL, 10),
            strtol(argv[10], NULL, 10) != 0, SR_HEAD_LANGUAGE,          0};
    sartor_context *ctx = sartor_context_create();
    sr_model *m = model_make(ctx, argv[2], &sizes, 3);
    enliven(m);
    sartor_status status = dump(ctx, argv[1], m, argv[3]);
    if (status != SARTOR_OK) fprintf(stderr, "dump_model: %s\n", sartor_error(ctx));
    sr_model_destroy(&m);
    sartor_context_destroy(&ctx);
    return status == SARTOR_OK ? 0 : 1;
}
