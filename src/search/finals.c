/* Finals: the front's best and the presets, trained for longer with several seeds, scored on the
 * test split that the search never saw, and measured alone. They are jobs of the same study: the
 * same call again continues, and when all is done only answers. */
#include "search/finals.h"
#include "search/answers.h"
#include "search/progress.h"
#include "search/timing.h"

#include "base/memory.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char default_baselines[] = "transformer++,striped-mamba,lfm2";

void sartor_finals_defaults(sartor_finals_options *o) {
    *o = (sartor_finals_options){.top = 8, .seeds = 3, .tokens = 4000000};
}

/* ---- who is in ---- */

typedef struct choosing {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    json_t *members; /* [{"trial", "id", "genome", "baseline"}] */
} choosing;

static bool is_member(const choosing *c, const char *arch) {
    size_t i;
    const json_t *m;
    json_array_foreach(c->members, i, m) {
        if (strcmp(json_string_value(json_object_get(m, "id")), arch) == 0) return true;
    }
    return false;
}

static sartor_status add_member(choosing *c, int64_t trial, const sr_genome *genome,
                                const char *baseline) {
    char arch[SR_HASH_TEXT];
    c->search->space.identity(&c->search->space, genome, arch);
    if (is_member(c, arch)) return SARTOR_OK;
    char *text = c->search->space.print(&c->search->space, genome);
    if (text == NULL) return sr_no_memory(c->ctx);
    json_t *member =
        json_pack("{s:o, s:s, s:s, s:s?}", "trial", trial > 0 ? json_integer(trial) : json_null(),
                  "id", arch, "genome", text, "baseline", baseline);
    free(text);
    return member != NULL && json_array_append_new(c->members, member) == 0 ? SARTOR_OK
                                                                            : sr_no_memory(c->ctx);
}

/* 0: it was no trial of the search. */
static sartor_status find_trial(choosing *c, const sr_genome *genome, int64_t *trial) {
    char arch[SR_HASH_TEXT];
    sr_query rows;
    *trial = 0;
    c->search->space.identity(&c->search->space, genome, arch);
    SR_TRY(sr_sql(c->ctx, c->study, &rows, "SELECT id FROM trial WHERE arch = ?", "s", arch));
    if (sr_next(&rows)) *trial = sr_int(&rows, 0);
    return sr_done(&rows);
}

/* A preset that the sizes do not allow is left out, with a line in the log. */
static sartor_status add_preset(choosing *c, const char *name) {
    const sr_search_settings *s = &c->search->settings;
    const sr_preset *preset = sr_preset_find(name);
    if (preset == NULL)
        return sr_fail(c->ctx, SARTOR_INVALID, "there is no preset %s (sartor list presets)", name);
    sr_genome *genome = malloc(sizeof *genome);
    if (genome == NULL) return sr_no_memory(c->ctx);
    sr_model *model = NULL;
    sartor_status status = sr_arch_parse(c->ctx, name, s->livs, genome);
    if (status == SARTOR_OK) {
        sr_genome_canonical(genome);
        int64_t trial = 0;
        if (sr_model_create(c->ctx, genome, &s->sizes, &model) == SARTOR_OK) {
            status = find_trial(c, genome, &trial);
            if (status == SARTOR_OK) status = add_member(c, trial, genome, preset->name);
        } else
            sr_log(c->ctx, "%s is not among the finals: %s", name, sartor_error(c->ctx));
    }
    sr_model_destroy(&model);
    free(genome);
    return status;
}

static sartor_status add_presets(choosing *c, const char *list) {
    for (const char *p = list; *p != '\0';) {
        char name[64];
        size_t n = strcspn(p, ",");
        if (n >= sizeof name)
            return sr_fail(c->ctx, SARTOR_INVALID, "baselines: '%s' is not a list of presets",
                           list);
        memcpy(name, p, n);
        name[n] = '\0';
        if (n > 0) SR_TRY(add_preset(c, name));
        p += n + (p[n] == ',');
    }
    return SARTOR_OK;
}

/* Quality where it was measured, else the first objective. */
static double merit(const sr_population *p, int i) {
    double bpb = p->values[i * SR_OBJECTIVE_COUNT + SR_BPB];
    return isnan(bpb) ? p->raw[i * p->objectives] : bpb;
}

static sartor_status add_front(choosing *c, int top) {
    sr_population p;
    bool *left;
    SR_TRY(sr_answer_population(c->ctx, c->study, c->search, true, &p, &left));
    sartor_status status = SARTOR_OK;
    for (int taken = 0; status == SARTOR_OK && taken < top;) {
        int best = -1;
        for (int i = 0; i < p.n; i++)
            if (left[i] && (best < 0 || merit(&p, i) < merit(&p, best))) best = i;
        if (best < 0) break;
        left[best] = false;
        const size_t before = json_array_size(c->members); /* a baseline may be there already */
        status = add_member(c, p.trial[best], &p.genome[best], NULL);
        taken += json_array_size(c->members) > before;
    }
    free(left);
    sr_population_free(&p);
    return status;
}

/* ---- their jobs ---- */

int64_t sr_final_seed(const sr_search *search, int run) {
    return (int64_t)(search->settings.seed + (uint64_t)run);
}

void sr_final_name(char name[SR_FINAL_NAME], const char *arch, int64_t tokens, int64_t seed) {
    snprintf(name, SR_FINAL_NAME, "%.64s tokens %" PRId64 " seed %" PRId64, arch, tokens, seed);
}

void sr_final_measure_name(char name[SR_FINAL_NAME], const char *arch, int64_t tokens) {
    snprintf(name, SR_FINAL_NAME, "final %.64s tokens %" PRId64, arch, tokens);
}

static sartor_status cost(choosing *c, const char *genome, int64_t tokens, double *work) {
    const sr_search_settings *s = &c->search->settings;
    double values[SR_OBJECTIVE_COUNT];
    sr_genome *parsed = malloc(sizeof *parsed);
    if (parsed == NULL) return sr_no_memory(c->ctx);
    sartor_status status = sr_genome_parse(c->ctx, genome, strlen(genome), parsed);
    if (status == SARTOR_OK) status = sr_objectives_compute(c->ctx, parsed, &s->sizes, values);
    if (status == SARTOR_OK)
        status = sr_expected_work(c->ctx, c->study, parsed, values[SR_FLOPS], tokens, work);
    free(parsed);
    return status;
}

static sartor_status add_jobs(choosing *c, const json_t *member, int64_t tokens, int seeds) {
    const char *arch = json_string_value(json_object_get(member, "id"));
    const char *genome = json_string_value(json_object_get(member, "genome"));
    int64_t first = 0;
    double work;
    SR_TRY(cost(c, genome, tokens, &work));
    for (int i = 0; i < seeds; i++) {
        char name[SR_FINAL_NAME];
        int64_t id, seed = sr_final_seed(c->search, i);
        sr_final_name(name, arch, tokens, seed);
        json_t *spec = json_pack("{s:s, s:s, s:I, s:I}", "id", arch, "genome", genome, "tokens",
                                 (json_int_t)tokens, "seed", (json_int_t)seed);
        if (spec == NULL) return sr_no_memory(c->ctx);
        sartor_status status =
            sr_job_add(c->ctx, c->study, SR_KIND_FINAL, name, spec, work, false, &id, NULL);
        json_decref(spec);
        SR_TRY(status);
        if (i == 0) first = id;
    }
    char name[SR_FINAL_NAME];
    sr_final_measure_name(name, arch, tokens);
    json_t *spec =
        json_pack("{s:s, s:s, s:I}", "id", arch, "genome", genome, "job", (json_int_t)first);
    if (spec == NULL) return sr_no_memory(c->ctx);
    sartor_status status =
        sr_job_add(c->ctx, c->study, SR_KIND_MEASURE, name, spec, 1, true, &first, NULL);
    json_decref(spec);
    return status;
}

static sartor_status store_finals(choosing *c, const sartor_finals_options *o) {
    size_t i;
    const json_t *member;
    json_array_foreach(c->members, i, member) SR_TRY(add_jobs(c, member, o->tokens, o->seeds));
    json_t *fact = json_pack("{s:I, s:i, s:O}", "tokens", (json_int_t)o->tokens, "seeds", o->seeds,
                             "members", c->members);
    char *text = fact != NULL ? json_dumps(fact, JSON_COMPACT) : NULL;
    json_decref(fact);
    sartor_status status =
        text != NULL ? sr_study_put(c->ctx, c->study, SR_FACT_FINALS, text) : sr_no_memory(c->ctx);
    free(text);
    return status;
}

static sartor_status make_finals(choosing *c, const sartor_finals_options *o) {
    c->members = json_array();
    if (c->members == NULL) return sr_no_memory(c->ctx);
    SR_TRY(add_presets(c, o->baselines != NULL ? o->baselines : default_baselines));
    SR_TRY(add_front(c, o->top));
    if (json_array_size(c->members) == 0)
        return sr_fail(c->ctx, SARTOR_INVALID, "%s: no trial is finished yet",
                       sr_study_path(c->study));
    SR_TRY(sr_study_begin(c->ctx, c->study));
    sartor_status status = store_finals(c, o);
    if (status == SARTOR_OK) status = sr_study_commit(c->ctx, c->study);
    if (status != SARTOR_OK) sr_study_rollback(c->study);
    return status;
}

/* ---- the call ---- */

static sartor_status check(sartor_context *ctx, const sartor_finals_options *o) {
    if (o->study == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    if (o->top < 0 || o->top > 10000)
        return sr_fail(ctx, SARTOR_INVALID, "top is %d, expected 0 to 10000", o->top);
    if (o->seeds < 1 || o->seeds > SR_MOST_SEEDS)
        return sr_fail(ctx, SARTOR_INVALID, "seeds is %d, expected 1 to %d", o->seeds,
                       SR_MOST_SEEDS);
    if (o->tokens < 1 || o->tokens > INT64_C(1) << 50)
        return sr_fail(ctx, SARTOR_INVALID, "tokens is %" PRId64 ", expected at least 1",
                       o->tokens);
    return SARTOR_OK;
}

static sartor_status prepare(sartor_context *ctx, const sartor_finals_options *o, sr_study *study,
                             sr_search *search, int *threads) {
    SR_TRY(sr_search_open(ctx, study, search));
    SR_TRY(sr_study_text_open(ctx, study, &search->text,
                              SR_TEST)); /* there, and its tokens made once */
    choosing c = {.ctx = ctx, .study = study, .search = search};
    sartor_status status = make_finals(&c, o);
    json_decref(c.members);
    *threads = search->settings.threads;
    return status;
}

static sartor_status answer(sartor_context *ctx, const char *path, sr_search *search, char **json) {
    sr_study *study;
    json_t *object = NULL;
    SR_TRY(sr_study_open(ctx, path, SR_STUDY_READ, &study));
    sartor_status status = sr_answer_finals(ctx, study, search, &object);
    sr_study_close(&study);
    if (status == SARTOR_OK && (*json = json_dumps(object, JSON_REAL_PRECISION(17))) == NULL)
        status = sr_no_memory(ctx);
    json_decref(object);
    return status;
}

sartor_status sartor_finals(sartor_context *ctx, const sartor_finals_options *o, char **json) {
    sr_study *study;
    int threads = 1;
    *json = NULL;
    SR_TRY(check(ctx, o));
    SR_TRY(sr_study_open(ctx, o->study, SR_STUDY_WRITE, &study));
    sr_search *search = calloc(1, sizeof *search);
    sartor_status status =
        search != NULL ? prepare(ctx, o, study, search, &threads) : sr_no_memory(ctx);
    sr_study_close(&study);
    if (status == SARTOR_OK)
        status = sr_supervise_progress(
            ctx,
            &(sr_local_options){.study = o->study,
                                .program = o->program,
                                .workers = sr_local_workers(o->workers, threads),
                                .jobs_only = true},
            o->progress, o->progress_user);
    if (status == SARTOR_OK) status = answer(ctx, o->study, search, json);
    if (search != NULL) sr_search_close(search);
    free(search);
    return status;
}
