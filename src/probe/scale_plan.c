/* Which sizes are trained: from budgets and architectures to runs. */
#define _GNU_SOURCE
#include "probe/scale.h"

#include "base/memory.h"
#include "model/cost.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_STEPS = 20, /* fewer are mostly warm-up */
    LEAST_SIZES = 3,  /* of a parabola */
    CHANNELS_PER_LIV = 16,
    MICRO_TOKENS = 1 << 14 /* of a micro-batch: more need more memory, not less time */
};
static const double reference_budget = 1e12, reference_width = 128;
/* Hoffmann et al. (2022) found about 20 pieces to be best; a piece is about 4 bytes. A size sqrt(8)
 * times as large reads an eighth of them. */
static const double pieces_per_param = 20, bytes_per_param = 80, reach = 8;

sr_scale_batch sr_scale_batch_at(const sr_scale_settings *s, double budget) {
    const double wanted = (double)s->batch * cbrt(budget / reference_budget);
    const double most = fmax(1, (double)(MICRO_TOKENS / s->sizes.context));
    const double accumulate = fmax(1, ceil(wanted / most));
    return (sr_scale_batch){.windows = (int64_t)fmax(1, nearbyint(wanted / accumulate)),
                            .accumulate = (int64_t)accumulate};
}

double sr_scale_rate(const sr_scale_settings *s, int64_t width) {
    return s->learning_rate * sqrt(reference_width / (double)width);
}

/* ---- families ---- */

typedef struct size {
    int64_t width, params, cache;
    int livs;
    double flops; /* forward, per token */
} size;

typedef struct family {
    const char *arch;
    char id[SR_FAMILY_TEXT];
    sr_genome pattern;
    bool follows; /* depth follows width */
    size *sizes;  /* by rising width */
    int n, room;
    sr_genome scratch;
    char text[SR_GENOME_TEXT]; /* scratch */
} family;

/* The shortest beginning whose repeats are the genome. */
static sartor_status reduce(sartor_context *ctx, family *f) {
    sr_genome_canonical(&f->pattern);
    for (int n = 1; n < f->pattern.n; n++) {
        if (f->pattern.n % n != 0) continue;
        f->scratch = f->pattern;
        f->scratch.n = n;
        SR_TRY(sr_genome_fit(ctx, &f->scratch, f->pattern.n));
        if (!sr_genome_equal(&f->scratch, &f->pattern)) continue;
        f->pattern.n = n;
        break;
    }
    sr_genome_canonical(&f->pattern);
    return SARTOR_OK;
}

static sartor_status find_pattern(sartor_context *ctx, const char *arch, int livs, family *f) {
    f->arch = arch;
    f->follows = livs == 0;
    const sr_preset *preset = f->follows ? sr_preset_find(arch) : NULL;
    if (preset != NULL)
        SR_TRY(sr_genome_parse(ctx, preset->names, strlen(preset->names), &f->pattern));
    else
        SR_TRY(sr_arch_parse(ctx, arch, livs, &f->pattern));
    if (f->follows) SR_TRY(reduce(ctx, f));
    sr_genome_canonical(&f->pattern);
    char id[SR_HASH_TEXT];
    sr_genome_id(&f->pattern, id);
    snprintf(f->id, sizeof f->id, "%s%s", id, f->follows ? "" : " fixed");
    return SARTOR_OK;
}

static int depth(const family *f, int64_t width) {
    const int n = f->pattern.n;
    if (!f->follows) return n;
    int64_t repeats = (2 * width + n * CHANNELS_PER_LIV) / (2 * n * CHANNELS_PER_LIV);
    if (repeats > SR_MAX_LIVS / n) repeats = SR_MAX_LIVS / n;
    return n * (repeats > 1 ? (int)repeats : 1);
}

/* *made false where the classes do not allow this width, or no memory could hold it. */
static sartor_status add_size(sartor_context *ctx, const sr_scale_settings *s, int64_t width,
                              family *f, bool *made) {
    sr_sizes sizes = s->sizes;
    sr_model *model = NULL;
    sr_cost cost;
    *made = false;
    sizes.width = width;
    f->scratch = f->pattern;
    SR_TRY(sr_genome_fit(ctx, &f->scratch, depth(f, width)));
    sartor_status status = sr_model_create(ctx, &f->scratch, &sizes, &model);
    if (status == SARTOR_INVALID || status == SARTOR_MEMORY) return SARTOR_OK;
    if (status == SARTOR_OK) status = sr_model_cost(ctx, model, &cost);
    sr_model_destroy(&model);
    SR_TRY(status);
    if (f->n == f->room) {
        f->room = f->room > 0 ? 2 * f->room : 64;
        size *more = realloc(f->sizes, (size_t)f->room * sizeof *more);
        if (more == NULL) return sr_no_memory(ctx);
        f->sizes = more;
    }
    f->sizes[f->n++] = (size){.width = width,
                              .params = cost.backbone + cost.embedding,
                              .cache = cost.cache_bytes,
                              .livs = f->scratch.n,
                              .flops = cost.flops_per_token};
    *made = true;
    return SARTOR_OK;
}

/* ---- steps ---- */

static double tokens_of_step(const sr_scale_settings *s, double budget) {
    const sr_scale_batch batch = sr_scale_batch_at(s, budget);
    return (double)(batch.windows * batch.accumulate * s->sizes.context);
}

/* Whole steps that the budget pays for: training takes three times a forward pass. */
static double steps_of(const sr_scale_settings *s, const size *z, double budget) {
    return nearbyint(budget / (3 * z->flops * tokens_of_step(s, budget)));
}

static double middle_ratio(const sartor_scale_options *o) {
    return o->tokenizer != NULL ? pieces_per_param : bytes_per_param;
}

/* Tokens that the budget pays for, by parameter. */
static double ratio_of(const size *z, double budget) {
    return budget / (3 * z->flops * (double)z->params);
}

/* ---- which sizes ---- */

/* Multiples of the head dim, about eight to an octave, until none is of use. */
static sartor_status list_sizes(sartor_context *ctx, const sartor_scale_options *o,
                                const sr_scale_settings *s, double largest, family *f) {
    const int64_t head = s->sizes.head_dim;
    int64_t step = 1;
    for (int64_t k = 1; head * k <= SR_MAX_WIDTH; k += step) {
        bool made;
        SR_TRY(add_size(ctx, s, head * k, f, &made));
        if (made) {
            const size *z = &f->sizes[f->n - 1];
            if (ratio_of(z, largest) < middle_ratio(o) / reach / 2 ||
                steps_of(s, z, largest) < LEAST_STEPS)
                break;
        }
        if (k == 16 * step) step *= 2;
    }
    return SARTOR_OK;
}

static sartor_status list_widths(sartor_context *ctx, const sartor_scale_options *o,
                                 const sr_scale_settings *s, family *f) {
    for (int i = 0; i < o->n_widths; i++) {
        bool made;
        SR_TRY(add_size(ctx, s, o->widths[i], f, &made));
        if (!made)
            return sr_fail_in(ctx, SARTOR_INVALID, "%s at width %" PRId64, f->arch, o->widths[i]);
    }
    return SARTOR_OK;
}

/* Marks the sizes nearest to a geometric row of tokens per parameter, each once. */
static void choose(const sartor_scale_options *o, const sr_scale_settings *s, const family *f,
                   double budget, bool *chosen) {
    for (int k = 0; k < o->points; k++) {
        const double target = middle_ratio(o) * pow(reach, 1 - 2.0 * k / (o->points - 1));
        int best = -1;
        double least = INFINITY;
        for (int i = 0; i < f->n; i++) {
            const double far = fabs(log(ratio_of(&f->sizes[i], budget) / target));
            if (chosen[i] || far >= least || steps_of(s, &f->sizes[i], budget) < LEAST_STEPS)
                continue;
            best = i;
            least = far;
        }
        if (best >= 0) chosen[best] = true;
    }
}

static void choose_all(sartor_context *ctx, const sr_scale_settings *s, const family *f,
                       double budget, bool *chosen) {
    for (int i = 0; i < f->n; i++) {
        const double steps = steps_of(s, &f->sizes[i], budget);
        chosen[i] = steps >= LEAST_STEPS;
        if (!chosen[i])
            sr_log(ctx, "%s: width %" PRId64 " is left out at %g FLOPs, which are %g steps",
                   f->arch, f->sizes[i].width, budget, steps);
    }
}

/* ---- runs ---- */

static char *genome_text(family *f, const sr_genome *genome) {
    sr_genome_print(genome, f->text);
    return strdup(f->text);
}

static sartor_status add_run(sartor_context *ctx, const sr_scale_settings *s, family *f,
                             const size *z, double budget, sr_scale_runs *runs) {
    if (runs->n == runs->room) {
        runs->room = runs->room > 0 ? 2 * runs->room : 64;
        sr_scale_run *more = realloc(runs->run, (size_t)runs->room * sizeof *more);
        if (more == NULL) return sr_no_memory(ctx);
        runs->run = more;
    }
    const double steps = steps_of(s, z, budget);
    const sr_scale_batch batch = sr_scale_batch_at(s, budget);
    if (steps > 1e12 || batch.accumulate > 1 << 16)
        return sr_fail(ctx, SARTOR_INVALID, "%s: %g FLOPs are %g steps of width %" PRId64, f->arch,
                       budget, steps, z->width);
    sr_scale_run *run = &runs->run[runs->n++];
    *run = (sr_scale_run){.arch = f->arch,
                          .pattern = genome_text(f, &f->pattern),
                          .budget = budget,
                          .livs = z->livs,
                          .width = z->width,
                          .params = z->params,
                          .cache = z->cache,
                          .steps = (int64_t)steps,
                          .batch = batch,
                          .flops_per_token = z->flops,
                          .learning_rate = sr_scale_rate(s, z->width)};
    memcpy(run->family, f->id, sizeof run->family);
    run->tokens = run->steps * batch.windows * batch.accumulate * s->sizes.context;
    f->scratch = f->pattern;
    SR_TRY(sr_genome_fit(ctx, &f->scratch, z->livs));
    run->genome = genome_text(f, &f->scratch);
    return run->pattern != NULL && run->genome != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status plan_budget(sartor_context *ctx, const sartor_scale_options *o,
                                 const sr_scale_settings *s, family *f, double budget,
                                 sr_scale_runs *runs) {
    bool *chosen;
    int n = 0;
    SR_TRY(sr_alloc(ctx, (size_t)f->n, sizeof *chosen, "sizes", (void **)&chosen));
    if (o->n_widths > 0)
        choose_all(ctx, s, f, budget, chosen);
    else
        choose(o, s, f, budget, chosen);
    for (int i = 0; i < f->n; i++) n += chosen[i];
    sartor_status status = SARTOR_OK;
    if (n < LEAST_SIZES)
        status =
            sr_fail(ctx, SARTOR_INVALID,
                    "%s: only %d of its sizes have %d steps or more at %g FLOPs, %d are "
                    "needed; give more FLOPs, fewer LIVs, or a smaller batch, context or head dim",
                    f->arch, n, LEAST_STEPS, budget, LEAST_SIZES);
    for (int i = 0; status == SARTOR_OK && i < f->n; i++)
        if (chosen[i]) status = add_run(ctx, s, f, &f->sizes[i], budget, runs);
    free(chosen);
    return status;
}

static sartor_status plan_family(sartor_context *ctx, const sartor_scale_options *o,
                                 const sr_scale_settings *s, family *f, sr_scale_runs *runs) {
    double largest = 0;
    for (int i = 0; i < o->n_budgets; i++) largest = fmax(largest, o->budgets[i]);
    SR_TRY(o->n_widths > 0 ? list_widths(ctx, o, s, f) : list_sizes(ctx, o, s, largest, f));
    if (f->n == 0) return sr_fail_in(ctx, SARTOR_INVALID, "%s", f->arch);
    for (int i = 0; i < o->n_budgets; i++) SR_TRY(plan_budget(ctx, o, s, f, o->budgets[i], runs));
    return SARTOR_OK;
}

static sartor_status check(sartor_context *ctx, const sartor_scale_options *o) {
    if (o->n_archs < 1) return sr_fail(ctx, SARTOR_INVALID, "no architecture is given");
    if (o->n_budgets < 1) return sr_fail(ctx, SARTOR_INVALID, "no budget is given");
    for (int i = 0; i < o->n_budgets; i++) {
        if (!(o->budgets[i] >= 1e3 && o->budgets[i] <= 1e30))
            return sr_fail(ctx, SARTOR_INVALID, "the budget %g is no number of FLOPs",
                           o->budgets[i]);
        for (int j = 0; j < i; j++)
            if (o->budgets[i] == o->budgets[j])
                return sr_fail(ctx, SARTOR_INVALID, "the budget %g is given twice", o->budgets[i]);
    }
    for (int i = 0; i < o->n_widths; i++) {
        if (o->widths[i] < 1 || o->widths[i] > SR_MAX_WIDTH)
            return sr_fail(ctx, SARTOR_INVALID, "width is %" PRId64 ", expected 1 to %d",
                           o->widths[i], SR_MAX_WIDTH);
        for (int j = 0; j < i; j++)
            if (o->widths[i] == o->widths[j])
                return sr_fail(ctx, SARTOR_INVALID, "the width %" PRId64 " is given twice",
                               o->widths[i]);
    }
    if (o->n_widths > 0 && o->n_widths < LEAST_SIZES)
        return sr_fail(ctx, SARTOR_INVALID,
                       "%d width%s given, and a parabola takes %d or more; those that the study "
                       "has already are not trained again",
                       o->n_widths, o->n_widths == 1 ? " is" : "s are", LEAST_SIZES);
    if (o->n_widths == 0 && (o->points < LEAST_SIZES || o->points > 64))
        return sr_fail(ctx, SARTOR_INVALID, "points is %d, expected %d to 64", o->points,
                       LEAST_SIZES);
    return SARTOR_OK;
}

sartor_status sr_scale_plan(sartor_context *ctx, const sartor_scale_options *o,
                            const sr_scale_settings *s, sr_scale_runs *runs) {
    *runs = (sr_scale_runs){NULL, 0, 0};
    SR_TRY(check(ctx, o));
    for (int i = 0; i < o->n_archs; i++) {
        family *f;
        SR_TRY(sr_alloc(ctx, 1, sizeof *f, "an architecture", (void **)&f));
        sartor_status status = find_pattern(ctx, o->archs[i], o->sizes.livs, f);
        if (status == SARTOR_OK) status = plan_family(ctx, o, s, f, runs);
        free(f->sizes);
        free(f);
        SR_TRY(status);
        if (runs->n > SR_SCALE_RUNS)
            return sr_fail(ctx, SARTOR_INVALID, "more than %d runs: give fewer budgets or sizes",
                           SR_SCALE_RUNS);
    }
    return SARTOR_OK;
}

void sr_scale_runs_free(sr_scale_runs *runs) {
    for (int i = 0; i < runs->n; i++) {
        free((char *)runs->run[i].pattern);
        free((char *)runs->run[i].genome);
    }
    free(runs->run);
    *runs = (sr_scale_runs){NULL, 0, 0};
}
