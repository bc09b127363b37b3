/* sartor_generate(): continues a text, a token at a time, through decode states. */
#include "base/clock.h"
#include "base/memory.h"
#include "model/decoder.h"
#include "train/loaded.h"
#include "train/sample.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t max_tokens = INT64_C(1) << 31;

void sartor_generate_defaults(sartor_generate_options *o) {
    *o = (sartor_generate_options){.prompt = "",
                                   .tokens = 200,
                                   .temperature = 0.8,
                                   .top_p = 0.95,
                                   .cache = SARTOR_CACHE_F16,
                                   .precision = SARTOR_F32};
}

typedef struct generation {
    sartor_context *ctx;
    sartor_model *model;
    const sartor_generate_options *options;
    int threads;
    sr_ids prompt; /* the separator, then the tokens of the prompt */
    sr_decoder *decoder;
    sr_sampler sampler;
    char *text;
    size_t bytes, room;
    int64_t tokens;
    double seconds; /* of decode steps */
    int64_t steps;
} generation;

static sartor_status check_options(generation *g) {
    const sartor_generate_options *o = g->options;
    if (o->tokens < 1 || o->tokens > max_tokens)
        return sr_fail(g->ctx, SARTOR_INVALID, "tokens is %" PRId64 ", expected 1 to %" PRId64,
                       o->tokens, max_tokens);
    if (!isfinite(o->temperature) || o->temperature < 0)
        return sr_fail(g->ctx, SARTOR_INVALID, "temperature is %g, expected 0 or more",
                       o->temperature);
    if (o->top_k < 0)
        return sr_fail(g->ctx, SARTOR_INVALID, "top-k is %" PRId64 ", expected 0 or more",
                       o->top_k);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return sr_fail(g->ctx, SARTOR_INVALID, "top-p is %g, expected more than 0, at most 1",
                       o->top_p);
    if (o->cache != SARTOR_CACHE_F16 && o->cache != SARTOR_CACHE_F32)
        return sr_fail(g->ctx, SARTOR_INVALID, "cache type %d is neither f16 nor f32",
                       (int)o->cache);
    SR_TRY(sr_precision_check(g->ctx, o->precision));
    return sr_threads_resolve(g->ctx, o->threads, &g->threads);
}

static sartor_status encode_prompt(generation *g) {
    const sartor_generate_options *o = g->options;
    const char *text = o->prompt != NULL ? o->prompt : "";
    size_t n = o->prompt_bytes > 0 && o->prompt != NULL ? o->prompt_bytes : strlen(text);
    SR_TRY(sr_tokenizer_encode(g->ctx, g->model->tokenizer, text, n, &g->prompt));
    int32_t *ids = realloc(g->prompt.ids, (g->prompt.count + 1) * sizeof *ids);
    if (ids == NULL) return sr_fail(g->ctx, SARTOR_MEMORY, "not enough memory for the prompt");
    memmove(ids + 1, ids, g->prompt.count * sizeof *ids);
    ids[0] = sr_tokenizer_separator(g->model->tokenizer);
    g->prompt.ids = ids;
    g->prompt.room = ++g->prompt.count;
    return SARTOR_OK;
}

/* The state holds the whole text, or the model's context where that is shorter. */
static sartor_status make_decoder(generation *g) {
    const sartor_generate_options *o = g->options;
    sr_model *model = g->model->model;
    int64_t context = (int64_t)g->prompt.count + o->tokens;
    if (context > model->sizes.context) context = model->sizes.context;
    sr_decoder_options options = {.context = context,
                                  .cache = o->cache == SARTOR_CACHE_F32 ? SR_F32 : SR_F16,
                                  .numbers = sr_numbers_from(o->precision),
                                  .threads = g->threads};
    sr_graph_options step = {
        .numbers = SR_TRUTH_F32, .batch = 1, .length = 1, .decode = true, .threads = 1};
    sr_model_graph graph;
    SR_TRY(sr_model_build(g->ctx, model, &step, SR_GRAPH_NEXT, context, &graph));
    int64_t bytes = 6 * model->schema.elements;
    for (int i = 0; i < sr_graph_states(graph.graph); i++)
        bytes += sr_graph_state_bytes(graph.graph, i, options.cache);
    sr_model_graph_destroy(&graph);
    /* Long filters are held twice while they are made. */
    for (int i = 0; i < sr_unit_filters(model->units, model->genome.n); i++)
        bytes += 2 * (int64_t)sizeof(float) *
                 sr_unit_filter_elements(&model->sizes, model->units, model->genome.n, i);
    SR_TRY(sr_check_memory(g->ctx, bytes, "generating", "fewer --tokens need less"));
    return sr_decoder_create(g->ctx, model, &options, &g->decoder);
}

static sartor_status append(generation *g, const char *bytes, size_t n) {
    if (g->bytes + n + 1 > g->room) {
        size_t room = 2 * (g->bytes + n + 1);
        char *text = realloc(g->text, room);
        if (text == NULL) return sr_fail(g->ctx, SARTOR_MEMORY, "not enough memory for the text");
        g->text = text;
        g->room = room;
    }
    if (n > 0) memcpy(g->text + g->bytes, bytes, n);
    g->bytes += n;
    g->text[g->bytes] = '\0';
    return SARTOR_OK;
}

static sartor_status decode(generation *g) {
    const sartor_generate_options *o = g->options;
    const sr_tokenizer *tokenizer = g->model->tokenizer;
    const float *logits;
    SR_TRY(append(g, "", 0));
    SR_TRY(sr_decoder_feed(g->ctx, g->decoder, g->prompt.ids, (int64_t)g->prompt.count, &logits));
    for (;;) {
        int32_t token;
        SR_TRY(sr_sample(g->ctx, &g->sampler, logits, (uint64_t)sr_decoder_position(g->decoder),
                         &token));
        if (token == sr_tokenizer_separator(tokenizer)) return SARTOR_OK;
        size_t n;
        const char *piece = sr_tokenizer_piece(tokenizer, token, &n);
        SR_TRY(append(g, piece, n));
        g->tokens++;
        if (o->on_token != NULL && !o->on_token(o->on_token_user, piece, n)) return SARTOR_OK;
        if (g->tokens == o->tokens) return SARTOR_OK;
        if (sr_interrupted(g->ctx))
            return sr_fail(g->ctx, SARTOR_INTERRUPTED, "interrupted after %" PRId64 " tokens",
                           g->tokens);
        double start = sr_seconds();
        SR_TRY(sr_decoder_feed(g->ctx, g->decoder, &token, 1, &logits));
        g->seconds += sr_seconds() - start;
        g->steps++;
    }
}

sartor_status sartor_generate(sartor_context *ctx, sartor_model *model,
                              const sartor_generate_options *o, sartor_generation *result) {
    generation g = {.ctx = ctx, .model = model, .options = o};
    g.sampler = (sr_sampler){.vocab = model->model->sizes.vocab,
                             .temperature = o->temperature,
                             .top_k = o->top_k,
                             .top_p = o->top_p,
                             .seed = o->seed};
    *result = (sartor_generation){0};
    sartor_status status = check_options(&g);
    if (status == SARTOR_OK) status = encode_prompt(&g);
    if (status == SARTOR_OK) status = sr_sampler_init(ctx, &g.sampler);
    if (status == SARTOR_OK) status = make_decoder(&g);
    if (status == SARTOR_OK) status = decode(&g);
    if (status == SARTOR_OK) {
        *result = (sartor_generation){.text = g.text,
                                      .text_bytes = g.bytes,
                                      .tokens = g.tokens,
                                      .tokens_per_second =
                                          g.steps > 0 ? (double)g.steps / (g.seconds + 1e-9) : 0};
        g.text = NULL;
    }
    free(g.text);
    sr_ids_free(&g.prompt);
    sr_sampler_free(&g.sampler);
    sr_decoder_destroy(&g.decoder);
    return status;
}

void sartor_generation_release(sartor_generation *result) {
    free(result->text);
    *result = (sartor_generation){0};
}
