#include "search/rungs.h"

#include "base/memory.h"
#include "study/setting.h"
#include "study/text.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_VALIDATION = 1 << 16, LARGEST_VALIDATION = 1 << 22 };

void sartor_search_defaults(sartor_search_options *o) {
    *o = (sartor_search_options){.objectives = "bpb,params,cache",
                                 .algorithm = "nsga2",
                                 .population = 16,
                                 .generations = 18,
                                 .train_tokens = 1000000,
                                 .batch = 16,
                                 .learning_rate = 2e-3,
                                 .precision = SARTOR_F32,
                                 .threads = 1,
                                 .lease = 60};
    sartor_sizes_defaults(&o->sizes);
    o->sizes.livs = 12;
}

/* ---- options -> JSON ---- */

static sartor_status check_options(sartor_context *ctx, const sartor_search_options *o) {
    struct {
        const char *name;
        int64_t value, low, high;
    } ranges[] = {
        {"population", o->population, 1, SR_MAX_POPULATION},
        {"generations", o->generations, 1, SR_MAX_GENERATIONS},
        {"livs", o->sizes.livs, 1, SR_MAX_LIVS},
        {"train-tokens", o->train_tokens, 1, INT64_C(1) << 50},
        {"inherit-tokens", o->inherit_tokens, 0, INT64_C(1) << 50},
        {"evaluator", (int64_t)o->evaluator, SARTOR_SCRATCH, SARTOR_INHERIT},
        {"batch", o->batch, 1, 1 << 20},
        {"threads", o->threads, 1, SR_MAX_THREADS},
        {"memory", o->memory_limit, 0, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return sr_fail(ctx, SARTOR_INVALID,
                           "%s is %" PRId64 ", expected %" PRId64 " to %" PRId64, ranges[i].name,
                           ranges[i].value, ranges[i].low, ranges[i].high);
    if (!isfinite(o->learning_rate) || o->learning_rate < 0)
        return sr_fail(ctx, SARTOR_INVALID, "the learning rate is %g, expected at least 0",
                       o->learning_rate);
    if (!isfinite(o->lease) || o->lease < 1 || o->lease > 86400)
        return sr_fail(ctx, SARTOR_INVALID, "the lease is %g seconds, expected 1 to 86400",
                       o->lease);
    if (o->algorithm == NULL || sr_algorithm_find(o->algorithm) == NULL)
        return sr_fail(ctx, SARTOR_INVALID,
                       "there is no algorithm %s; nsga2, ga, firefly, random are there",
                       o->algorithm != NULL ? o->algorithm : "(none)");
    return sr_precision_check(ctx, o->precision);
}

/* Limits as one text, in the order given: "params=2000000 decode=0.002". */
static sartor_status put_limits(sartor_context *ctx, const sartor_search_options *o, json_t *json) {
    if (o->n_limits > SR_MAX_LIMITS)
        return sr_fail(ctx, SARTOR_INVALID, "%d limits are given, at most %d are possible",
                       o->n_limits, SR_MAX_LIMITS);
    json_t *limits = json_object();
    if (limits == NULL || json_object_set_new(json, "limits", limits) != 0)
        return sr_no_memory(ctx);
    for (int i = 0; i < o->n_limits; i++) {
        sr_limit limit;
        SR_TRY(sr_limit_parse(ctx, o->limits[i], &limit));
        const char *name = sr_objective_get(limit.objective)->name;
        if (json_object_set_new(limits, name, json_real(limit.most)) != 0) return sr_no_memory(ctx);
    }
    return SARTOR_OK;
}

/* Presets must be buildable in the pool before anything starts. */
static sartor_status check_seeds(sartor_context *ctx, const char *list, const sr_pool *pool,
                                 int livs) {
    sr_genome *genome;
    SR_TRY(sr_alloc(ctx, 1, sizeof *genome, "a genome", (void **)&genome));
    sartor_status status = SARTOR_OK;
    for (const char *p = list; status == SARTOR_OK && *p != '\0';) {
        size_t n = strcspn(p, ",");
        char name[64];
        if (n == 0 || n >= sizeof name) {
            status = sr_fail(ctx, SARTOR_INVALID, "seed-with: '%s' is not a list of presets", list);
            break;
        }
        memcpy(name, p, n);
        name[n] = '\0';
        if (sr_preset_find(name) == NULL)
            status = sr_fail(ctx, SARTOR_INVALID,
                             "seed-with: there is no preset %s (sartor list presets)", name);
        if (status == SARTOR_OK) status = sr_arch_parse(ctx, name, livs, genome);
        if (status == SARTOR_OK && sr_genome_check(ctx, genome, pool) != SARTOR_OK)
            status = sr_fail_in(ctx, SARTOR_INVALID, "seed-with: %s at these sizes", name);
        p += n + (p[n] == ',');
    }
    free(genome);
    return status;
}

/* `mad` is younger than the others: studies that do without do not mention it. */
static sartor_status put_scales(sartor_context *ctx, const sr_scale *scales, bool probed,
                                json_t *json) {
    json_t *object = json_object();
    bool bad = object == NULL;
    for (int i = 0; !bad && i < SR_OBJECTIVE_COUNT; i++)
        if (i != SR_MAD || probed)
            bad = json_object_set_new(object, sr_objective_get(i)->name,
                                      json_pack("[f,f,b]", scales[i].best, scales[i].worst,
                                                scales[i].logarithmic)) != 0;
    if (bad || json_object_set_new(json, "scale", object) != 0) return sr_no_memory(ctx);
    return SARTOR_OK;
}

/* Whether an objective is minimised or limited. */
static bool is_needed(int id, const int *objectives, int n, const json_t *limits) {
    bool needed = json_object_get(limits, sr_objective_get(id)->name) != NULL;
    for (int i = 0; i < n; i++) needed |= objectives[i] == id;
    return needed;
}

static sartor_status make_suite(sartor_context *ctx, const char *name, sr_mad_suite *suite) {
    sartor_mad_options o;
    sartor_mad_defaults(&o);
    if (name != NULL) o.suite = name;
    return sr_mad_suite_make(ctx, &o, suite);
}

/* Studies that do not probe do not mention it. */
static sartor_status put_suite(sartor_context *ctx, const char *name, bool probed, json_t *json) {
    sr_mad_suite *suite;
    if (!probed && name != NULL)
        return sr_fail(ctx, SARTOR_INVALID, "mad-suite needs mad among the objectives or limits");
    if (!probed) return SARTOR_OK;
    SR_TRY(sr_alloc(ctx, 1, sizeof *suite, "a suite", (void **)&suite));
    sartor_status status = make_suite(ctx, name, suite);
    free(suite);
    SR_TRY(status);
    return json_object_set_new(json, "mad_suite", json_string(name != NULL ? name : "quick")) == 0
               ? SARTOR_OK
               : sr_no_memory(ctx);
}

/* Studies that train from scratch do not mention it. */
static sartor_status put_evaluator(sartor_context *ctx, const sartor_search_options *o,
                                   bool trained, json_t *json) {
    if (o->evaluator == SARTOR_SCRATCH && o->inherit_tokens != 0)
        return sr_fail(ctx, SARTOR_INVALID, "inherit-tokens is for the evaluator inherit");
    if (o->evaluator == SARTOR_SCRATCH) return SARTOR_OK;
    if (!trained)
        return sr_fail(ctx, SARTOR_INVALID,
                       "the evaluator inherit needs bpb among the objectives or limits");
    if (sr_algorithm_find(o->algorithm)->unrelated)
        return sr_fail(ctx, SARTOR_INVALID, "the algorithm %s makes no children that could inherit",
                       o->algorithm);
    if (o->inherit_tokens > o->train_tokens)
        return sr_fail(ctx, SARTOR_INVALID,
                       "inherit-tokens is %" PRId64 ", more than train-tokens, %" PRId64
                       ": a child that inherits would cost more than one from scratch",
                       o->inherit_tokens, o->train_tokens);
    const int64_t tokens =
        o->inherit_tokens > 0 ? o->inherit_tokens : (2 * o->train_tokens + 4) / 5;
    bool bad = json_object_set_new(json, "evaluator", json_string("inherit")) != 0;
    bad |= json_object_set_new(json, "inherit_tokens", json_integer(tokens)) != 0;
    return bad ? sr_no_memory(ctx) : SARTOR_OK;
}

/* Likewise of those that pause nowhere. */
static sartor_status put_rungs(sartor_context *ctx, const sartor_search_options *o, bool trained,
                               json_t *json) {
    double rung[SR_MAX_RUNGS];
    int n;
    SR_TRY(sr_rungs_parse(ctx, o->rungs, rung, &n));
    if (n == 0) return SARTOR_OK;
    if (!trained)
        return sr_fail(ctx, SARTOR_INVALID, "rungs need bpb among the objectives or limits");
    char *text = sr_rungs_print(rung, n);
    const bool good = text != NULL && json_object_set_new(json, "rungs", json_string(text)) == 0;
    free(text);
    return good ? SARTOR_OK : sr_no_memory(ctx);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

sartor_status sr_search_settings_make(sartor_context *ctx, const sartor_search_options *o,
                                      const sr_tokenizer *tokenizer, const sr_source *source,
                                      char excluded[SR_EXCLUDED_TEXT], json_t **out) {
    *out = NULL;
    excluded[0] = '\0';
    SR_TRY(check_options(ctx, o));
    int ids[SR_OBJECTIVE_COUNT], n;
    SR_TRY(sr_objectives_parse(ctx, o->objectives, ids, &n));
    const sr_sizes sizes = sr_sizes_from(&o->sizes, sr_tokenizer_vocab(tokenizer));
    sr_pool pool = o->extended_pool ? sr_pool_all() : sr_pool_paper();
    SR_TRY(sr_pool_fit(ctx, &pool, &sizes, excluded));
    const char *seeds = o->seed_with != NULL && *o->seed_with != '\0' ? o->seed_with : NULL;
    if (seeds != NULL) SR_TRY(check_seeds(ctx, seeds, &pool, o->sizes.livs));
    sr_scale scales[SR_OBJECTIVE_COUNT];
    SR_TRY(sr_scales_make(ctx, &pool, o->sizes.livs, &sizes, scales));

    json_t *json =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:b}", "space", "star",
                  "objectives", o->objectives, "algorithm", o->algorithm, "livs", o->sizes.livs,
                  "width", (json_int_t)sizes.width, "head_dim", (json_int_t)sizes.head_dim,
                  "window", (json_int_t)sizes.window, "context", (json_int_t)sizes.context, "vocab",
                  (json_int_t)sizes.vocab, "tie_embeddings", sizes.tied);
    if (json == NULL) return sr_no_memory(ctx);
    int64_t validation = clamp(o->train_tokens / 4, SMALLEST_VALIDATION, LARGEST_VALIDATION);
    int64_t memory = o->memory_limit > 0 ? o->memory_limit : sr_machine_memory_bytes();
    json_t *more = json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:f, s:s, s:s?, s:s, s:i, s:o, s:I}", "survival",
        o->survival == SARTOR_MU_PLUS_LAMBDA ? "mu+lambda" : "elitist", "population", o->population,
        "train_tokens", (json_int_t)o->train_tokens, "validation_tokens", (json_int_t)validation,
        "batch", (json_int_t)o->batch, "learning_rate", o->learning_rate, "precision",
        o->precision == SARTOR_BF16 ? "bf16" : "f32", "seed_with", seeds, "pool",
        o->extended_pool ? "extended" : "paper", "threads", o->threads, "seed",
        json_sprintf("%" PRIu64, o->seed), "memory", (json_int_t)memory);
    sartor_status status =
        more != NULL && json_object_update(json, more) == 0 ? SARTOR_OK : sr_no_memory(ctx);
    json_decref(more);
    if (status == SARTOR_OK) status = sr_study_text_settings(ctx, tokenizer, source, json);
    if (status == SARTOR_OK) status = put_limits(ctx, o, json);
    const json_t *limits = json_object_get(json, "limits");
    const bool trained = is_needed(SR_BPB, ids, n, limits);
    const bool probed = is_needed(SR_MAD, ids, n, limits);
    if (status == SARTOR_OK) status = put_evaluator(ctx, o, trained, json);
    if (status == SARTOR_OK) status = put_rungs(ctx, o, trained, json);
    if (status == SARTOR_OK) status = put_scales(ctx, scales, probed, json);
    if (status == SARTOR_OK) status = put_suite(ctx, o->mad_suite, probed, json);
    if (status == SARTOR_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

/* ---- JSON -> settings ---- */

static void read_limits(sr_settings_reader *r, sr_search_settings *s) {
    json_t *limits = json_object_get(r->json, "limits"), *value;
    const char *name;
    if (!json_is_object(limits)) sr_setting_wrong(r, "limits");
    json_object_foreach(limits, name, value) {
        int id = sr_objective_find(name, strlen(name));
        if (id < 0 || !json_is_number(value) || s->n_limits == SR_MAX_LIMITS) {
            sr_setting_wrong(r, "limits");
            return;
        }
        s->limit[s->n_limits++] = (sr_limit){.objective = id, .most = json_number_value(value)};
    }
}

static void read_scales(sr_settings_reader *r, sr_search_settings *s) {
    const json_t *scales = json_object_get(r->json, "scale");
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) {
        const json_t *scale = json_object_get(scales, sr_objective_get(i)->name);
        if (scale == NULL && i == SR_MAD) continue;
        sr_scale *to = &s->scale[i];
        *to = (sr_scale){.best = json_number_value(json_array_get(scale, 0)),
                         .worst = json_number_value(json_array_get(scale, 1)),
                         .logarithmic = json_is_true(json_array_get(scale, 2))};
        if (json_array_size(scale) != 3 || !(to->worst > to->best)) sr_setting_wrong(r, "scale");
    }
}

static void read_sizes(sr_settings_reader *r, sr_search_settings *s) {
    s->livs = (int)sr_setting_integer(r, "livs", 1, SR_MAX_LIVS);
    s->sizes = (sr_sizes){.width = sr_setting_integer(r, "width", 1, SR_MAX_WIDTH),
                          .head_dim = sr_setting_integer(r, "head_dim", 1, SR_MAX_WIDTH),
                          .window = sr_setting_integer(r, "window", 1, SR_MAX_CONTEXT),
                          .context = sr_setting_integer(r, "context", 1, SR_MAX_CONTEXT),
                          .vocab = sr_setting_integer(r, "vocab", 2, SR_MAX_VOCAB),
                          .tied = json_is_true(json_object_get(r->json, "tie_embeddings"))};
    s->sizes.filter_length = s->sizes.context;
}

sartor_status sr_search_settings_read(sartor_context *ctx, const json_t *json,
                                      sr_search_settings *s) {
    *s = (sr_search_settings){0};
    sr_settings_reader r = {ctx, json, SARTOR_OK};
    if (strcmp(sr_setting_text(&r, "space"), "star") != 0) sr_setting_wrong(&r, "space");
    read_sizes(&r, s);
    s->population = (int)sr_setting_integer(&r, "population", 1, SR_MAX_POPULATION);
    s->threads = (int)sr_setting_integer(&r, "threads", 1, SR_MAX_THREADS);
    s->batch = sr_setting_integer(&r, "batch", 1, 1 << 20);
    s->train_tokens = sr_setting_integer(&r, "train_tokens", 1, INT64_C(1) << 50);
    s->validation_tokens = sr_setting_integer(&r, "validation_tokens", 1, INT64_MAX);
    s->inherit = json_object_get(json, "evaluator") != NULL &&
                 sr_setting_choice(&r, "evaluator", "scratch", "inherit") == 1;
    if (s->inherit)
        s->inherit_tokens = sr_setting_integer(&r, "inherit_tokens", 1, INT64_C(1) << 50);
    const char *rungs = json_string_value(json_object_get(json, "rungs"));
    if (sr_rungs_parse(ctx, rungs, s->rung, &s->rungs) != SARTOR_OK) sr_setting_wrong(&r, "rungs");
    s->memory_limit = sr_setting_integer(&r, "memory", 0, INT64_MAX);
    s->learning_rate = sr_setting_real(&r, "learning_rate");
    s->precision = (sartor_precision)sr_setting_choice(&r, "precision", "f32", "bf16");
    s->survival = (sr_survival)sr_setting_choice(&r, "survival", "elitist", "mu+lambda");
    s->algorithm = sr_algorithm_find(sr_setting_text(&r, "algorithm"));
    if (s->algorithm == NULL) sr_setting_wrong(&r, "algorithm");
    s->seed_with = json_string_value(json_object_get(json, "seed_with"));
    s->seed = strtoull(sr_setting_text(&r, "seed"), NULL, 10);
    read_limits(&r, s);
    read_scales(&r, s);
    if (r.status == SARTOR_OK && sr_objectives_parse(ctx, sr_setting_text(&r, "objectives"),
                                                     s->objective, &s->n_objectives) != SARTOR_OK)
        sr_setting_wrong(&r, "objectives");
    if (sr_search_needs(s, SR_PROBED)) {
        if (!(s->scale[SR_MAD].worst > 0)) sr_setting_wrong(&r, "scale");
        if (r.status == SARTOR_OK &&
            make_suite(ctx, sr_setting_text(&r, "mad_suite"), &s->mad) != SARTOR_OK)
            sr_setting_wrong(&r, "mad_suite");
    }
    SR_TRY(r.status);
    char excluded[SR_EXCLUDED_TEXT];
    s->star.pool =
        sr_setting_choice(&r, "pool", "paper", "extended") ? sr_pool_all() : sr_pool_paper();
    s->star.livs = s->livs;
    sr_sizes_print(&s->sizes, s->star.sizes);
    SR_TRY(r.status);
    return sr_pool_fit(ctx, &s->star.pool, &s->sizes, excluded);
}

bool sr_search_needs(const sr_search_settings *s, sr_objective_source source) {
    for (int i = 0; i < s->n_objectives; i++)
        if (sr_objective_get(s->objective[i])->source == source) return true;
    for (int i = 0; i < s->n_limits; i++)
        if (sr_objective_get(s->limit[i].objective)->source == source) return true;
    return false;
}

bool sr_search_has_jobs(const sr_search_settings *s) {
    return sr_search_needs(s, SR_TRAINED) || sr_search_needs(s, SR_MEASURED) ||
           sr_search_needs(s, SR_PROBED);
}

json_t *sr_search_sizes_json(const sr_search_settings *s) {
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:b}", "livs", s->livs, "width",
                     (json_int_t)s->sizes.width, "head_dim", (json_int_t)s->sizes.head_dim,
                     "window", (json_int_t)s->sizes.window, "context", (json_int_t)s->sizes.context,
                     "vocab", (json_int_t)s->sizes.vocab, "tie_embeddings", s->sizes.tied);
}
