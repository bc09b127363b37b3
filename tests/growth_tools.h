/* Growing small models in tests, and comparing what they compute. */
#ifndef GROWTH_TOOLS_H
#define GROWTH_TOOLS_H

#include "grow/request.h"
#include "model_run.h"

/* Sizes at which every class can be built, with room for odd growth. */
extern const sr_sizes growth_sizes;

/* A model whose every tensor matters: gains away from 1, biases away from 0, small embeddings (sd
 * 0.02, so that a norm's epsilon shows), other matrices at 1 / sqrt(columns). All weights are
 * multiples of 2^-12: means of a power of two of them are exact. */
sr_model *growth_model(sartor_context *ctx, const char *arch, const sr_sizes *sizes);

/* Grows by a request text (grow/request.h) and fills in the weights. `approximate` as in the
 * request. NULL with the error in the context. */
sr_growth *growth_of(sartor_context *ctx, const sr_model *model, const char *request,
                     bool approximate);

/* The same where it must succeed. */
sr_growth *growth_must(sartor_context *ctx, const sr_model *model, const char *what,
                       const char *request, bool approximate);

/* What growth made of an entry of the larger model's flat buffer: OLD ones and their twins are
 * copied; of the others ZERO are zero by rule, FREE might be anything (in new units too, although
 * they copy old ones), TAKEN are made of old ones. */
typedef enum growth_entry { GROWTH_OLD, GROWTH_ZERO, GROWTH_FREE, GROWTH_TAKEN } growth_entry;
/* One byte for each of to->schema.elements; release with free(). */
uint8_t *growth_entries(const sr_growth *growth);
/* On which axes entry `index` of parameter `param` of the larger model lies at a new coordinate: a
 * bit for each; all bits where the parameter is new. place[]: its coordinates. */
unsigned growth_new_axes(const sr_growth *growth, int param, int64_t index,
                         int64_t place[SR_MAX_AXES]);

/* Largest difference of the logits of two models over a few sequences, and the largest logit. */
typedef struct growth_difference {
    double worst, largest;
} growth_difference;
growth_difference growth_compare(sartor_context *ctx, sr_model *a, sr_model *b, sr_numbers numbers);
/* Of logits after prefill and steps of `b` against a whole pass of `a`; f32 kernels and cache. */
growth_difference growth_compare_steps(sartor_context *ctx, sr_model *a, sr_model *b);

/* The test fails unless both models compute the same. In f64 adding exact zeros changes no bit;
 * `averaged`: values behind a norm that takes away the mean pass a division. */
void growth_expect_same(sartor_context *ctx, sr_model *a, sr_model *b, const char *what,
                        const char *request, bool averaged);
/* The same of growth_compare_steps(). */
void growth_expect_same_steps(sartor_context *ctx, sr_model *a, sr_model *b, const char *what,
                              const char *request);

/* A tensor by name, which must be there: its number; its weights and how many there are. */
int growth_param(const sr_schema *schema, const char *name);
const float *growth_tensor(const sr_model *model, const char *name, int64_t *n);

/* Random tokens; ids and targets of tests. */
void growth_tokens(int32_t *ids, int64_t n, int64_t vocab, uint64_t seed);

/* Architectures that tests grow: every class, and all kinds of sharing; NULL behind the last. */
const char *growth_arch(int index, char text[96]);

/* The axes that a model's LIVs have and requests can name. */
bool growth_has_axis(const sr_model *model, sr_axis_kind kind);

#endif
