#include "train/trainer.h"

#include "base/memory.h"
#include "op/optim.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const char advice[] = "a smaller --batch, --context, --width or --livs needs less";

sartor_status sr_check_memory(sartor_context *ctx, int64_t bytes, const char *what,
                              const char *hint) {
    int64_t machine = sr_machine_memory_bytes();
    if (machine <= 0 || bytes <= machine) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_MEMORY, "%s needs %.2f GB of memory, this machine has %.2f GB; %s",
                   what, (double)bytes / 1e9, (double)machine / 1e9, hint);
}

/* Weights, gradients, two moments, generations, and the bf16 copy. */
static int64_t flat_bytes(const sr_model *model, const sr_trainer_options *o) {
    return model->schema.elements * (4 * (int64_t)sizeof(float) + (o->births.count > 0 ? 1 : 0) +
                                     (o->numbers == SR_FAST_BF16 ? 2 : 0));
}

int64_t sr_trainer_bytes(const sr_trainer *t) {
    return flat_bytes(t->model, &t->options) + t->arena_bytes;
}

sartor_status sr_trainer_create(sartor_context *ctx, sr_model *model,
                                const sr_trainer_options *options, sr_trainer **trainer) {
    *trainer = NULL;
    /* Before planning: products of absurd sizes take oneDNN long. */
    SR_TRY(sr_check_memory(ctx, flat_bytes(model, options), "training", advice));
    sr_trainer *t;
    SR_TRY(sr_alloc(ctx, 1, sizeof *t, "a trainer", (void **)&t));
    t->model = model;
    t->options = *options;
    sr_graph_options graph = {.numbers = options->numbers,
                              .batch = options->rows,
                              .length = options->length,
                              .train = true,
                              .threads = options->threads};
    sartor_status status =
        sr_model_build(ctx, model, &graph, SR_GRAPH_LOSS, options->length, &t->graph);
    if (status == SARTOR_OK) {
        t->arena_bytes = sr_graph_arena_bytes(t->graph.graph);
        status = sr_check_memory(ctx, sr_trainer_bytes(t), "training", advice);
    }
    if (status == SARTOR_OK) status = sr_optimiser_init(ctx, &model->schema, &t->optimiser);
    if (status != SARTOR_OK)
        sr_trainer_destroy(&t);
    else
        *trainer = t;
    return status;
}

sartor_status sr_trainer_allocate(sartor_context *ctx, sr_trainer *t) {
    const size_t n = (size_t)t->model->schema.elements;
    SR_TRY(sr_model_allocate(ctx, t->model));
    SR_TRY(sr_alloc_aligned(ctx, n, sizeof(float), "the gradients", (void **)&t->grads));
    SR_TRY(sr_alloc_aligned(ctx, n, sizeof(float), "the optimiser", (void **)&t->m));
    SR_TRY(sr_alloc_aligned(ctx, n, sizeof(float), "the optimiser", (void **)&t->v));
    if (t->options.births.count > 0)
        SR_TRY(sr_alloc_aligned(ctx, n, 1, "the generations", (void **)&t->generation));
    if (t->options.numbers == SR_FAST_BF16)
        SR_TRY(sr_alloc_aligned(ctx, n, 2, "the bf16 weights", (void **)&t->rounded));
    SR_TRY(sr_alloc_aligned(ctx, (size_t)t->arena_bytes, 1, "the activations", &t->arena));
    sr_graph_bind(t->graph.graph, &(sr_bindings){.params = t->model->params,
                                                 .params_bf16 = t->rounded,
                                                 .grads = t->grads,
                                                 .arena = t->arena});
    return SARTOR_OK;
}

void sr_trainer_refresh(sr_trainer *t) {
    if (t->rounded != NULL)
        sr_to_bf16(t->model->params, t->rounded, t->model->schema.elements, t->options.threads);
}

void sr_trainer_release_buffers(sr_trainer *t) {
    free(t->grads);
    free(t->arena);
    t->grads = NULL;
    t->arena = NULL;
}

void sr_trainer_destroy(sr_trainer **trainer) {
    sr_trainer *t = *trainer;
    if (t == NULL) return;
    sr_model_graph_destroy(&t->graph);
    sr_optimiser_free(&t->optimiser);
    sr_trainer_release_buffers(t);
    free(t->m);
    free(t->v);
    free(t->generation);
    free(t->rounded);
    free(t);
    *trainer = NULL;
}

/* Sum of the losses of one micro-batch; what is not scored has loss 0. */
static double sum_losses(const sr_trainer *t) {
    sr_view loss = sr_graph_view(t->graph.graph, t->graph.out);
    const float *p = loss.data;
    double sum = 0;
    for (int64_t i = 0; i < loss.rows; i++) sum += p[i * loss.stride];
    return sum;
}

sartor_status sr_trainer_step(sartor_context *ctx, sr_trainer *t, const sr_task *task,
                              sr_step *out) {
    const sr_trainer_options *o = &t->options;
    sr_graph *g = t->graph.graph;
    *out = (sr_step){.tokens = o->rows * o->length * o->accumulate};
    out->scored = task->scored != NULL ? task->scored(task->user, t->step) : out->tokens;
    const int64_t micros = task->micros != NULL ? task->micros(task->user, t->step) : o->accumulate;
    double nats = 0;
    for (int64_t micro = 0; micro < micros; micro++) {
        out->bytes += task->fill(task->user, t->step, micro, sr_graph_ids_data(g, t->graph.ids),
                                 sr_graph_ids_data(g, t->graph.targets));
        sr_graph_forward(g, 0);
        sr_graph_backward(g, t->graph.out, 1.0 / (double)out->scored, micro > 0);
        nats += sum_losses(t);
    }
    out->loss = nats / (double)out->scored;
    out->rate = sr_schedule_rate(&o->schedule, t->step);
    sr_age age[SR_MAX_GROWTHS + 1];
    sr_births_ages(&o->births, t->step, out->rate, age);
    const sr_ages all = {t->generation, age, o->births.count + 1};
    const sr_ages *ages = t->generation != NULL ? &all : NULL;
    out->norm = sr_optimiser_norm(&t->optimiser, t->grads, ages, o->threads);
    if (!isfinite(out->loss) || !isfinite(out->norm))
        return sr_fail(ctx, SARTOR_NOT_FINITE, "the %s is not finite at step %" PRId64,
                       isfinite(out->loss) ? "gradient" : "loss", t->step + 1);
    sr_update update = {.step = t->step + 1,
                        .rate = out->rate,
                        .weight_decay = o->weight_decay,
                        .gradient_scale =
                            o->clip > 0 && out->norm > o->clip ? o->clip / out->norm : 1,
                        .threads = o->threads,
                        .beta1 = o->beta1,
                        .beta2 = o->beta2,
                        .decay_all = o->decay_all,
                        .ages = ages};
    sr_optimiser_step(&t->optimiser, &update, t->model->params, t->grads, t->m, t->v, t->rounded);
    t->step++;
    return SARTOR_OK;
}
