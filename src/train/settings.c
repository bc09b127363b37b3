#include "train/settings.h"

#include "op/machine.h"
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sartor_train_defaults(sartor_train_options *o) {
    *o = (sartor_train_options){.batch = 16,
                                .accumulate = 1,
                                .learning_rate = 2e-3,
                                .min_learning_rate = -1,
                                .warmup = -1,
                                .weight_decay = 0.1,
                                .clip = 1,
                                .precision = SARTOR_F32};
    o->new_rate = -1;
    o->new_warmup = -1;
    sartor_sizes_defaults(&o->sizes);
}

sr_sizes sr_sizes_from(const sartor_sizes *s, int64_t vocab) {
    return (sr_sizes){.width = s->width,
                      .head_dim = s->head_dim,
                      .window = s->window,
                      .vocab = vocab,
                      .context = s->context,
                      .filter_length = s->context,
                      .tied = s->tie_embeddings};
}

sr_numbers sr_numbers_from(sartor_precision precision) {
    return precision == SARTOR_BF16 ? SR_FAST_BF16 : SR_FAST_F32;
}

int sr_cores(void) {
    int cores = omp_get_num_procs();
    return cores < SR_MAX_THREADS ? cores : SR_MAX_THREADS;
}

sartor_status sr_threads_resolve(sartor_context *ctx, int threads, int *resolved) {
    if (threads < 0 || threads > SR_MAX_THREADS)
        return sr_fail(ctx, SARTOR_INVALID, "threads is %d, expected 1 to %d (0: every core)",
                       threads, SR_MAX_THREADS);
    *resolved = threads > 0 ? threads : sr_cores();
    return SARTOR_OK;
}

sartor_status sr_precision_check(sartor_context *ctx, sartor_precision precision) {
    if (precision == SARTOR_F32 || precision == SARTOR_BF16) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "precision %d is neither f32 nor bf16", (int)precision);
}

/* ---- resolving ---- */

enum { MAX_BATCH = 1 << 20, MAX_ACCUMULATE = 1 << 16 };
static const int64_t max_steps = INT64_C(1) << 40;

static sartor_status check_range(sartor_context *ctx, const char *name, int64_t value, int64_t low,
                                 int64_t high) {
    if (value >= low && value <= high) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "%s is %" PRId64 ", expected %" PRId64 " to %" PRId64, name,
                   value, low, high);
}

static sartor_status check_number(sartor_context *ctx, const char *name, double value, double low) {
    if (isfinite(value) && value >= low) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "%s is %g, expected a number of at least %g", name, value,
                   low);
}

static sartor_status resolve_steps(sartor_context *ctx, const sartor_train_options *o,
                                   sr_run_settings *s) {
    const int64_t default_steps = 1000;
    int64_t each = s->batch * s->accumulate * s->sizes.context;
    if (o->steps != 0 && o->tokens != 0)
        return sr_fail(ctx, SARTOR_INVALID, "give a number of steps or of tokens, not both");
    if (o->tokens < 0) return sr_fail(ctx, SARTOR_INVALID, "tokens is below 1");
    s->steps = o->tokens > 0   ? (o->tokens - 1) / each + 1
               : o->steps != 0 ? o->steps
                               : default_steps;
    return check_range(ctx, "steps", s->steps, 1, max_steps);
}

static sartor_status resolve_rates(sartor_context *ctx, const sartor_train_options *o,
                                   sr_run_settings *s) {
    s->rate = o->learning_rate;
    s->min_rate = o->min_learning_rate < 0 ? s->rate / 10 : o->min_learning_rate;
    s->weight_decay = o->weight_decay;
    s->clip = o->clip;
    SR_TRY(check_number(ctx, "the learning rate", s->rate, 0));
    SR_TRY(check_number(ctx, "the smallest learning rate", s->min_rate, 0));
    SR_TRY(check_number(ctx, "weight decay", s->weight_decay, 0));
    SR_TRY(check_number(ctx, "clip", s->clip, 0));
    if (s->min_rate > s->rate)
        return sr_fail(ctx, SARTOR_INVALID,
                       "the smallest learning rate %g is above the learning rate %g", s->min_rate,
                       s->rate);
    int64_t twentieth = s->steps / 20;
    s->warmup = o->warmup >= 0 ? o->warmup : twentieth < 500 ? twentieth : 500;
    return check_range(ctx, "warmup", s->warmup, 0, s->steps);
}

/* The schedule of growth, and how new parts learn. */
static sartor_status resolve_growth(sartor_context *ctx, const sartor_train_options *o,
                                    sr_growth_steps *growth, sr_run_settings *s) {
    growth->count = 0;
    s->growth = growth;
    s->born = sr_generation_with(o->new_rate, o->new_warmup, o->freeze_old);
    SR_TRY(check_number(ctx, "the learning-rate factor of new parts", s->born.rate_factor, 0));
    SR_TRY(check_range(ctx, "the warm-up of new parts", s->born.warmup, 0, max_steps));
    if (o->grow == NULL) return SARTOR_OK;
    return sr_growth_steps_parse(ctx, o->grow, s->steps, growth);
}

static sartor_status resolve_architecture(sartor_context *ctx, const sartor_train_options *o,
                                          const sr_model *origin, sr_genome *genome) {
    if (origin != NULL) {
        *genome = origin->genome;
        return SARTOR_OK;
    }
    if (o->arch == NULL) return sr_fail(ctx, SARTOR_INVALID, "no architecture is given");
    SR_TRY(sr_arch_parse(ctx, o->arch, o->sizes.livs, genome));
    sr_genome_canonical(genome);
    return SARTOR_OK;
}

sartor_status sr_settings_resolve(sartor_context *ctx, const sartor_train_options *o, int64_t vocab,
                                  const sr_model *origin, sr_genome *genome,
                                  sr_growth_steps *growth, sr_run_settings *s) {
    SR_TRY(resolve_architecture(ctx, o, origin, genome));
    *s =
        (sr_run_settings){.genome = genome,
                          .sizes = origin != NULL ? origin->sizes : sr_sizes_from(&o->sizes, vocab),
                          .batch = o->batch,
                          .accumulate = o->accumulate,
                          .precision = o->precision,
                          .seed = o->seed};
    SR_TRY(check_range(ctx, "batch", s->batch, 1, MAX_BATCH));
    SR_TRY(check_range(ctx, "accumulate", s->accumulate, 1, MAX_ACCUMULATE));
    SR_TRY(check_range(ctx, "context", s->sizes.context, 1, SR_MAX_CONTEXT));
    SR_TRY(check_range(ctx, "checkpoint-every", o->checkpoint_every, 0, max_steps));
    SR_TRY(check_range(ctx, "extend", o->extend, 0, max_steps));
    SR_TRY(sr_precision_check(ctx, s->precision));
    SR_TRY(sr_threads_resolve(ctx, o->threads, &s->threads));
    SR_TRY(resolve_steps(ctx, o, s));
    SR_TRY(resolve_growth(ctx, o, growth, s));
    return resolve_rates(ctx, o, s);
}

/* ---- as text ---- */

/* The shortest decimal that reads back as the same number. */
static json_t *number_text(double x) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    return json_string(text);
}

static json_t *integer_text(int64_t x) { return json_sprintf("%" PRId64, x); }

static json_t *hash_text(sr_hash hash) {
    char text[SR_HASH_TEXT];
    sr_hash_text(hash, text);
    return json_string(text);
}

static const char origin_key[] = "initial weights";

/* Runs that begin with new weights have no such setting. */
static bool set_origin(json_t *root, const sr_run_settings *s) {
    if (s->origin.high == 0 && s->origin.low == 0) return true;
    return json_object_set_new(root, origin_key, hash_text(s->origin)) == 0;
}

/* Runs that do not grow have no such settings. */
static bool set_growth(json_t *root, const sr_run_settings *s) {
    if (s->growth == NULL || s->growth->count == 0) return true;
    char *text = malloc(2 * SR_GROWTH_STEPS_TEXT);
    bool good = text != NULL;
    if (good) {
        sr_growth_steps_print(s->growth, text);
        good =
            json_object_set_new(root, "growth", json_string(text)) == 0 &&
            json_object_set_new(root, "rate of new parts", number_text(s->born.rate_factor)) == 0 &&
            json_object_set_new(root, "warmup of new parts", integer_text(s->born.warmup)) == 0 &&
            json_object_set_new(root, "frozen old parts",
                                json_string(s->born.freeze_old ? "yes" : "no")) == 0;
    }
    free(text);
    return good;
}

json_t *sr_settings_json(const sr_run_settings *s) {
    char *genome = malloc(SR_GENOME_TEXT), machine[SR_MACHINE_TEXT];
    json_t *root = json_object();
    int bad = genome == NULL || root == NULL;
    if (!bad) {
        sr_genome_print(s->genome, genome);
        sr_machine_print(machine);
        bad |= json_object_set_new(root, "architecture", json_string(genome));
        bad |= json_object_set_new(root, "width", integer_text(s->sizes.width));
        bad |= json_object_set_new(root, "head dim", integer_text(s->sizes.head_dim));
        bad |= json_object_set_new(root, "window", integer_text(s->sizes.window));
        bad |= json_object_set_new(root, "context", integer_text(s->sizes.context));
        bad |= json_object_set_new(root, "filter length", integer_text(s->sizes.filter_length));
        bad |=
            json_object_set_new(root, "tied embeddings", json_string(s->sizes.tied ? "yes" : "no"));
        bad |= json_object_set_new(root, "vocabulary", integer_text(s->sizes.vocab));
        bad |= json_object_set_new(root, "tokenizer", hash_text(s->tokenizer));
        bad |= json_object_set_new(root, "training data", hash_text(s->data));
        bad |= json_object_set_new(root, "validation data", hash_text(s->validation));
        bad |= json_object_set_new(root, "batch", integer_text(s->batch));
        bad |= json_object_set_new(root, "accumulate", integer_text(s->accumulate));
        bad |= json_object_set_new(root, "steps", integer_text(s->steps));
        bad |= json_object_set_new(root, "learning rate", number_text(s->rate));
        bad |= json_object_set_new(root, "smallest learning rate", number_text(s->min_rate));
        bad |= json_object_set_new(root, "warmup", integer_text(s->warmup));
        bad |= json_object_set_new(root, "weight decay", number_text(s->weight_decay));
        bad |= json_object_set_new(root, "clip", number_text(s->clip));
        bad |= json_object_set_new(root, "precision",
                                   json_string(s->precision == SARTOR_BF16 ? "bf16" : "f32"));
        bad |= json_object_set_new(root, "threads", integer_text(s->threads));
        bad |= json_object_set_new(root, "seed", json_sprintf("%" PRIu64, s->seed));
        bad |= json_object_set_new(root, "machine", json_string(machine));
        bad |= !set_origin(root, s) || !set_growth(root, s);
    }
    free(genome);
    if (!bad) return root;
    json_decref(root);
    return NULL;
}

/* What to do about a setting that differs. */
static const char *remedy(const char *name) {
    if (strcmp(name, "training data") == 0 || strcmp(name, "validation data") == 0)
        return "the data changed since it started; restore it, or start anew in another folder";
    if (strcmp(name, "machine") == 0)
        return "other arithmetic would change the result; continue it on such a machine, or start "
               "anew in another folder";
    return "use the same value, or start anew in another folder";
}

/* Settings that only some runs have. */
static bool is_optional(const char *name) {
    return strcmp(name, "growth") == 0 || strcmp(name, origin_key) == 0;
}

sartor_status sr_settings_compare(sartor_context *ctx, const char *where, const json_t *stored,
                                  const json_t *wanted) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, name, value) {
        const char *old = json_string_value(json_object_get(stored, name));
        const char *new = json_string_value(value);
        if (old == NULL && is_optional(name))
            return sr_fail(ctx, SARTOR_MISMATCH,
                           "%s: the run there has no %s, asked for is %.200s; %s", where, name, new,
                           remedy(name));
        if (old == NULL)
            return sr_fail(ctx, SARTOR_FORMAT, "%s: the stored run lacks its %s", where, name);
        if (strcmp(old, new) != 0)
            return sr_fail(ctx, SARTOR_MISMATCH,
                           "%s: the run there has %s %.200s, asked for is %.200s; %s", where, name,
                           old, new, remedy(name));
    }
    json_object_foreach((json_t *)(uintptr_t)stored, name, value) {
        if (json_object_get(wanted, name) == NULL && json_is_string(value))
            return sr_fail(ctx, SARTOR_MISMATCH,
                           "%s: the run there has %s %.200s, asked for is none; %s", where, name,
                           json_string_value(value), remedy(name));
    }
    return SARTOR_OK;
}
