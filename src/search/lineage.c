#define _GNU_SOURCE
#include "search/lineage.h"

#include "model/file.h"
#include "search/answers.h"
#include "search/rungs.h"
#include "study/attempt.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- weights that are there ---- */

sartor_status sr_finished_model(sartor_context *ctx, sr_study *study, int64_t job, char **path) {
    char *folder;
    *path = NULL;
    SR_TRY(sr_finished_folder(ctx, study, job, &folder));
    if (folder == NULL) return SARTOR_OK;
    if (asprintf(path, "%s/model.safetensors", folder) < 0) *path = NULL;
    free(folder);
    return *path != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

/* Likewise of a finished trial. */
static sartor_status trial_model(sartor_context *ctx, sr_study *study, int64_t trial, char **path) {
    sr_query rows;
    *path = NULL;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT job FROM trial WHERE id = ? AND state = 'done' AND job IS NOT NULL", "i",
                  trial));
    const int64_t job = sr_next(&rows) ? sr_int(&rows, 0) : 0;
    SR_TRY(sr_done(&rows));
    return job != 0 ? sr_finished_model(ctx, study, job, path) : SARTOR_OK;
}

/* ---- the choice ---- */

/* Of the parameters, embeddings included. */
static sartor_status share_of(sartor_context *ctx, const sr_sizes *sizes, const sr_genome *child,
                              const sr_genome *const *genome, int n, double *share) {
    sr_model *model = NULL, *parent[SR_MAX_PARENTS] = {NULL};
    sr_inheritance told;
    sartor_status status = sr_model_create(ctx, child, sizes, &model);
    for (int i = 0; i < n && status == SARTOR_OK; i++)
        status = sr_model_create(ctx, genome[i], sizes, &parent[i]);
    if (status == SARTOR_OK)
        status = sr_inherit_plan(ctx, model, (const sr_model *const *)parent, n, &told);
    if (status == SARTOR_OK) *share = (double)told.inherited / (double)told.parameters;
    for (int i = 0; i < n; i++) sr_model_destroy(&parent[i]);
    sr_model_destroy(&model);
    return status;
}

sartor_status sr_legacy_choose(sartor_context *ctx, sr_study *study, const sr_search *search,
                               const sr_genome *child, const int64_t trial[SR_MAX_PARENTS],
                               const sr_genome *const genome[SR_MAX_PARENTS], sr_legacy *legacy) {
    const sr_genome *from[SR_MAX_PARENTS];
    *legacy = (sr_legacy){.n = 0};
    if (!search->settings.inherit) return SARTOR_OK;
    for (int i = 0; i < SR_MAX_PARENTS; i++) {
        char *path = NULL;
        if (trial[i] == 0) continue;
        SR_TRY(trial_model(ctx, study, trial[i], &path));
        const bool there = path != NULL && access(path, R_OK) == 0;
        free(path);
        if (!there) continue;
        from[legacy->n] = genome[i];
        legacy->trial[legacy->n++] = trial[i];
    }
    if (legacy->n == 0) return SARTOR_OK;
    return share_of(ctx, &search->settings.sizes, child, from, legacy->n, &legacy->share);
}

/* Generations see the text in different orders: else a line of descent would train again and again
 * on the part that its short budgets reach. */
sartor_status sr_legacy_specify(sartor_context *ctx, const sr_search *search,
                                const sr_legacy *legacy, int generation, json_t *spec) {
    const sr_search_settings *s = &search->settings;
    if (legacy->n == 0) return SARTOR_OK;
    json_t *trials = json_array();
    bool bad = trials == NULL;
    for (int i = 0; i < legacy->n; i++)
        bad |= json_array_append_new(trials, json_integer(legacy->trial[i])) != 0;
    bad |= json_object_set_new(spec, "inherit", trials) != 0;
    bad |= json_object_set_new(spec, "tokens", json_integer(s->inherit_tokens)) != 0;
    const int64_t seed = (int64_t)(s->seed + (uint64_t)generation);
    bad |= json_object_set_new(spec, "seed", json_integer(seed)) != 0;
    return bad ? sr_no_memory(ctx) : SARTOR_OK;
}

/* ---- the weights ---- */

bool sr_inherits(const json_t *spec) {
    return json_array_size(json_object_get(spec, "inherit")) > 0;
}

static sartor_status open_parent(sartor_context *ctx, sr_study *study, int64_t trial,
                                 sr_model **model) {
    char *path;
    sr_st_reader *reader = NULL;
    SR_TRY(trial_model(ctx, study, trial, &path));
    sartor_status status =
        path != NULL && access(path, F_OK) == 0
            ? sr_model_open(ctx, path, &reader, model)
            : sr_fail(ctx, SARTOR_IO,
                      "the weights of trial %" PRId64 ", which are inherited, are gone", trial);
    sr_st_close(&reader);
    free(path);
    return status;
}

sartor_status sr_inherit_begin(sartor_context *ctx, void *user, sr_model *model, uint64_t seed) {
    const sr_inheriting *h = user;
    const json_t *trials = json_object_get(h->spec, "inherit");
    sr_model *parent[SR_MAX_PARENTS] = {NULL};
    const int n = (int)json_array_size(trials);
    sr_inheritance told;
    if (n < 1 || n > SR_MAX_PARENTS)
        return sr_fail(ctx, SARTOR_FORMAT, "a trial that inherits from %d others", n);
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < n && status == SARTOR_OK; i++)
        status = open_parent(ctx, h->study, json_integer_value(json_array_get(trials, (size_t)i)),
                             &parent[i]);
    if (status == SARTOR_OK)
        status = sr_inherit(ctx, model, (const sr_model *const *)parent, n, seed, &told);
    for (int i = 0; i < n; i++) sr_model_destroy(&parent[i]);
    return status;
}

/* ---- what it cost ---- */

static sartor_status put(sartor_context *ctx, sr_study *study, int64_t trial, const char *name,
                         double value) {
    return sr_run_sql(ctx, study, NULL,
                      "INSERT OR REPLACE INTO value (trial, name, value) VALUES (?, ?, ?)", "isd",
                      trial, name, value);
}

sartor_status sr_lineage_store(sartor_context *ctx, sr_study *study, int64_t trial,
                               int64_t tokens) {
    sr_query rows;
    double sums[3] = {0, 0, 0};
    SR_TRY(put(ctx, study, trial, SR_VALUE_TOKENS, (double)tokens));
    SR_TRY(sr_sql(ctx, study, &rows,
                  "WITH RECURSIVE line (id) AS (SELECT ? UNION SELECT origin.value FROM line"
                  " JOIN trial ON trial.id = line.id JOIN job ON job.id = trial.job,"
                  " json_each(job.spec, '$.inherit') AS origin)"
                  " SELECT count(*), total(t.value), total(t.value * f.value) FROM line"
                  " JOIN value AS t ON t.trial = line.id AND t.name = '" SR_VALUE_TOKENS "'"
                  " JOIN value AS f ON f.trial = line.id AND f.name = 'flops'",
                  "i", trial));
    if (sr_next(&rows))
        for (int i = 0; i < 3; i++) sums[i] = sr_real(&rows, i);
    SR_TRY(sr_done(&rows));
    SR_TRY(put(ctx, study, trial, SR_VALUE_LINEAGE_TRIALS, sums[0]));
    SR_TRY(put(ctx, study, trial, SR_VALUE_LINEAGE_TOKENS, sums[1]));
    return put(ctx, study, trial, SR_VALUE_LINEAGE_FLOPS, SR_TRAINING_FLOPS * sums[2]);
}

/* ---- the answer ---- */

static sartor_status value_of(sartor_context *ctx, sr_study *study, int64_t trial, const char *name,
                              double *value) {
    sr_query rows;
    *value = NAN;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT value FROM value WHERE trial = ? AND name = ?", "is",
                  trial, name));
    if (sr_next(&rows)) *value = sr_real(&rows, 0);
    return sr_done(&rows);
}

static json_t *whole_or_null(double x) {
    return x >= 0 && x < 0x1p62 ? json_integer((json_int_t)llround(x)) : json_null();
}

static sartor_status add_origins(sartor_context *ctx, sr_study *study, int64_t trial,
                                 json_t *origins) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT origin.value FROM trial JOIN job ON job.id = trial.job,"
                  " json_each(job.spec, '$.inherit') AS origin WHERE trial.id = ?",
                  "i", trial));
    while (sr_next(&rows)) (void)json_array_append_new(origins, json_integer(sr_int(&rows, 0)));
    return sr_done(&rows);
}

sartor_status sr_answer_training(sartor_context *ctx, sr_study *study, const sr_search *search,
                                 int64_t trial, json_t **training) {
    static const char *const names[] = {SR_VALUE_TOKENS,         "flops",
                                        SR_VALUE_INHERITED,      SR_VALUE_LINEAGE_TRIALS,
                                        SR_VALUE_LINEAGE_TOKENS, SR_VALUE_LINEAGE_FLOPS};
    enum { TOKENS, FLOPS, INHERITED, TRIALS, ALL_TOKENS, ALL_FLOPS, NAMES };
    double x[NAMES];
    for (int i = 0; i < NAMES; i++) SR_TRY(value_of(ctx, study, trial, names[i], &x[i]));
    json_t *origins = json_array();
    *training = json_pack(
        "{s:o, s:o, s:o, s:f, s:{s:o, s:o, s:o}, s:o}", "tokens", whole_or_null(x[TOKENS]), "flops",
        sr_number_or_null(SR_TRAINING_FLOPS * x[TOKENS] * x[FLOPS]), "inherits", origins,
        "inherited_share", isnan(x[INHERITED]) ? 0 : x[INHERITED], "lineage", "trials",
        whole_or_null(x[TRIALS]), "tokens", whole_or_null(x[ALL_TOKENS]), "flops",
        sr_number_or_null(x[ALL_FLOPS]), "tokens_from_scratch",
        whole_or_null(x[ALL_FLOPS] / (SR_TRAINING_FLOPS * x[FLOPS])));
    if (*training == NULL) return sr_no_memory(ctx);
    sartor_status status = add_origins(ctx, study, trial, origins);
    if (status == SARTOR_OK) status = sr_answer_rungs(ctx, study, search, trial, *training);
    if (status == SARTOR_OK) return status;
    json_decref(*training);
    *training = NULL;
    return status;
}

/* Adds one generation's FLOPs to the list, which has a place for each. */
static void set_flops(json_t *flops, int64_t generation, size_t generations, double sum) {
    if (generation >= 0 && (uint64_t)generation < generations)
        (void)json_array_set_new(flops, (size_t)generation, sr_number_or_null(sum));
}

sartor_status sr_answer_spent(sartor_context *ctx, sr_study *study, size_t generations,
                              json_t **spent, json_t **flops) {
    sr_query rows;
    double tokens = 0, sum = 0;
    int64_t trained = 0, stopped = 0;
    *spent = NULL;
    *flops = json_array();
    for (size_t i = 0; i < generations; i++) (void)json_array_append_new(*flops, json_null());
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT generation, count(*), total(t.value), total(t.value * f.value),"
                  " count(s.value) FROM trial"
                  " JOIN value AS t ON t.trial = trial.id AND t.name = '" SR_VALUE_TOKENS "'"
                  " JOIN value AS f ON f.trial = trial.id AND f.name = 'flops'"
                  " LEFT JOIN value AS s ON s.trial = trial.id AND s.name = '" SR_VALUE_STOPPED "'"
                  " GROUP BY generation ORDER BY generation",
                  ""));
    while (sr_next(&rows)) {
        trained += sr_int(&rows, 1);
        tokens += sr_real(&rows, 2);
        sum += SR_TRAINING_FLOPS * sr_real(&rows, 3);
        stopped += sr_int(&rows, 4);
        set_flops(*flops, sr_int(&rows, 0), generations, sum);
    }
    SR_TRY(sr_done(&rows));
    *spent = trained == 0 ? json_null()
                          : json_pack("{s:o, s:o, s:I}", "tokens", whole_or_null(tokens), "flops",
                                      sr_number_or_null(sum), "stopped", (json_int_t)stopped);
    return *spent != NULL && *flops != NULL ? SARTOR_OK : sr_no_memory(ctx);
}
