#include "search/answers.h"
#include "search/lineage.h"

#include "base/memory.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a trial's row holds is no text, or not in UTF-8. */
static sartor_status corrupted(sartor_context *ctx, const sr_study *study, int64_t trial) {
    return sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (trial %" PRId64 ")", sr_study_path(study),
                   trial);
}

json_t *sr_number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }
json_t *sr_string_or_null(const char *s) { return s != NULL ? json_string(s) : json_null(); }

/* ---- the front ---- */

/* Ids behind the last finished generation, as a JSON array, joined to its front. */
static sartor_status candidates_for_front(sartor_context *ctx, sr_study *study, char **ids) {
    sr_query rows;
    int64_t ended = -1;
    json_t *array = NULL;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT number, front FROM generation ORDER BY number DESC LIMIT 1", ""));
    if (sr_next(&rows)) {
        ended = sr_int(&rows, 0);
        array = json_loads(sr_text(&rows, 1) != NULL ? sr_text(&rows, 1) : "", 0, NULL);
    }
    SR_TRY(sr_done(&rows));
    if (!json_is_array(array)) {
        json_decref(array);
        array = json_array();
    }
    sartor_status status =
        sr_sql(ctx, study, &rows, "SELECT id FROM trial WHERE generation > ? AND state = 'done'",
               "i", ended);
    if (status == SARTOR_OK) {
        while (sr_next(&rows)) (void)json_array_append_new(array, json_integer(sr_int(&rows, 0)));
        status = sr_done(&rows);
    }
    *ids = status == SARTOR_OK ? json_dumps(array, JSON_COMPACT) : NULL;
    json_decref(array);
    return status == SARTOR_OK && *ids == NULL ? sr_no_memory(ctx) : status;
}

sartor_status sr_answer_population(sartor_context *ctx, sr_study *study, const sr_search *search,
                                   bool genomes, sr_population *p, bool **in_front) {
    char *ids;
    *p = (sr_population){.values_only = !genomes};
    *in_front = NULL;
    SR_TRY(candidates_for_front(ctx, study, &ids));
    sartor_status status = sr_population_ids(ctx, study, search, ids, p);
    free(ids);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, p->n > 0 ? (size_t)p->n : 1, 1, "a front", (void **)in_front);
    if (status == SARTOR_OK) status = sr_population_front(ctx, p, *in_front);
    if (status == SARTOR_OK) return status;
    sr_population_free(p);
    free(*in_front);
    *in_front = NULL;
    return status;
}

typedef struct entry {
    const double *raw;
    int objectives;
    int64_t trial;
    char arch[SR_HASH_TEXT];
} entry;

static int by_objectives_then_id(const void *a, const void *b) {
    const entry *x = a, *y = b;
    for (int k = 0; k < x->objectives; k++)
        if (x->raw[k] != y->raw[k]) return x->raw[k] < y->raw[k] ? -1 : 1;
    return strcmp(x->arch, y->arch);
}

static sartor_status read_arch(sartor_context *ctx, sr_study *study, entry *e) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT arch FROM trial WHERE id = ?", "i", e->trial));
    if (sr_next(&rows) && sr_text(&rows, 0) != NULL)
        snprintf(e->arch, sizeof e->arch, "%s", sr_text(&rows, 0));
    return sr_done(&rows);
}

static json_t *values_json(const sr_search *search, const entry *e) {
    json_t *values = json_object();
    for (int k = 0; values != NULL && k < e->objectives; k++)
        (void)json_object_set_new(values, sr_objective_get(search->settings.objective[k])->name,
                                  sr_number_or_null(e->raw[k]));
    return values;
}

static sartor_status add_entry(sartor_context *ctx, sr_study *study, const sr_search *search,
                               const entry *e, json_t *front) {
    sr_query rows;
    json_t *row = NULL;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT genome, generation, baseline FROM trial WHERE id = ?",
                  "i", e->trial));
    if (sr_next(&rows))
        row = json_pack("{s:I, s:s, s:s, s:o, s:I, s:o, s:o}", "trial", (json_int_t)e->trial, "id",
                        e->arch, "genome", sr_text(&rows, 0), "sizes",
                        sr_search_sizes_json(&search->settings), "generation",
                        (json_int_t)sr_int(&rows, 1), "objectives", values_json(search, e),
                        "baseline", sr_string_or_null(sr_text(&rows, 2)));
    SR_TRY(sr_done(&rows));
    if (row == NULL) return corrupted(ctx, study, e->trial);
    return json_array_append_new(front, row) == 0 ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status sorted_front(sartor_context *ctx, sr_study *study, const sr_search *search,
                                  json_t *front) {
    sr_population p;
    bool *in_front;
    entry *entries = NULL;
    int n = 0;
    SR_TRY(sr_answer_population(ctx, study, search, false, &p, &in_front));
    sartor_status status =
        sr_alloc(ctx, p.n > 0 ? (size_t)p.n : 1, sizeof *entries, "a front", (void **)&entries);
    for (int i = 0; status == SARTOR_OK && i < p.n; i++) {
        if (!in_front[i]) continue;
        entries[n] = (entry){
            .raw = p.raw + i * p.objectives, .objectives = p.objectives, .trial = p.trial[i]};
        status = read_arch(ctx, study, &entries[n++]);
    }
    if (status == SARTOR_OK) qsort(entries, (size_t)n, sizeof *entries, by_objectives_then_id);
    for (int i = 0; status == SARTOR_OK && i < n; i++)
        status = add_entry(ctx, study, search, &entries[i], front);
    free(entries);
    free(in_front);
    sr_population_free(&p);
    return status;
}

sartor_status sr_answer_front(sartor_context *ctx, sr_study *study, const sr_search *search,
                              json_t **answer) {
    const sr_search_settings *s = &search->settings;
    json_t *names = json_array(), *reference = json_array(), *front = json_array();
    for (int k = 0; k < s->n_objectives; k++) {
        (void)json_array_append_new(names, json_string(sr_objective_get(s->objective[k])->name));
        (void)json_array_append_new(reference, sr_number_or_null(s->scale[s->objective[k]].worst));
    }
    *answer = json_pack("{s:i, s:o, s:o, s:o}", "version", 1, "objectives", names, "reference",
                        reference, "front", front);
    if (*answer == NULL) return sr_no_memory(ctx);
    sartor_status status = sorted_front(ctx, study, search, front);
    if (status == SARTOR_OK) return status;
    json_decref(*answer);
    *answer = NULL;
    return status;
}

/* ---- show ---- */

sartor_status sr_count_trials(sartor_context *ctx, sr_study *study, sr_trial_counts *c) {
    sr_query rows;
    *c = (sr_trial_counts){0};
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT state, count(*) FROM trial GROUP BY state", ""));
    while (sr_next(&rows)) {
        const char *state = sr_text(&rows, 0);
        if (state == NULL) continue;
        if (strcmp(state, "done") == 0) c->done = sr_int(&rows, 1);
        if (strcmp(state, "failed") == 0) c->failed = sr_int(&rows, 1);
        if (strcmp(state, "open") == 0) c->waiting = sr_int(&rows, 1);
    }
    SR_TRY(sr_done(&rows));
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT count(DISTINCT trial.id) FROM trial JOIN job ON " SR_JOB_OF_TRIAL
                  " WHERE trial.state = 'open' AND job.state = 'running'",
                  ""));
    if (sr_next(&rows)) c->running = sr_int(&rows, 0);
    c->waiting -= c->running;
    SR_TRY(sr_done(&rows));
    /* Given up by a supervisor, and not yet seen by a worker. */
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT count(*) FROM trial WHERE state = 'open' AND EXISTS (SELECT 1 FROM job"
                  " WHERE " SR_JOB_OF_TRIAL " AND job.state = 'failed')",
                  ""));
    int64_t given_up = sr_next(&rows) ? sr_int(&rows, 0) : 0;
    c->failed += given_up;
    c->waiting -= given_up;
    return sr_done(&rows);
}

static sartor_status settings_with_total(sartor_context *ctx, sr_study *study, json_t **settings) {
    char *total;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_GENERATIONS, &total));
    *settings = json_copy((json_t *)sr_study_settings(study));
    if (*settings != NULL && total != NULL)
        (void)json_object_set_new(*settings, "generations", json_integer(strtoll(total, NULL, 10)));
    free(total);
    return *settings != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

sartor_status sr_answer_show(sartor_context *ctx, sr_study *study, const sr_search *search,
                             json_t **answer) {
    (void)search;
    sr_trial_counts c;
    sr_query rows;
    json_t *settings = NULL, *volumes = json_array();
    int64_t generation = 0;
    sartor_status status = sr_count_trials(ctx, study, &c);
    if (status == SARTOR_OK)
        status = sr_sql(ctx, study, &rows, "SELECT max(generation) FROM trial", "");
    if (status == SARTOR_OK) {
        if (sr_next(&rows)) generation = sr_int(&rows, 0);
        status = sr_done(&rows);
    }
    if (status == SARTOR_OK)
        status =
            sr_sql(ctx, study, &rows, "SELECT hypervolume FROM generation ORDER BY number", "");
    if (status == SARTOR_OK) {
        while (sr_next(&rows))
            (void)json_array_append_new(volumes, sr_number_or_null(sr_real(&rows, 0)));
        status = sr_done(&rows);
    }
    json_t *spent = NULL, *flops = NULL;
    if (status == SARTOR_OK)
        status = sr_answer_spent(ctx, study, json_array_size(volumes), &spent, &flops);
    if (status == SARTOR_OK) status = settings_with_total(ctx, study, &settings);
    if (status != SARTOR_OK) {
        json_decref(volumes);
        json_decref(spent);
        json_decref(flops);
        return status;
    }
    *answer = json_pack("{s:i, s:{s:I, s:I, s:I, s:I}, s:I, s:o, s:o, s:o, s:o}", "version", 1,
                        "trials", "done", (json_int_t)c.done, "running", (json_int_t)c.running,
                        "failed", (json_int_t)c.failed, "waiting", (json_int_t)c.waiting,
                        "generation", (json_int_t)generation, "hypervolume", volumes, "settings",
                        settings, "training", spent, "training_flops", flops);
    return *answer != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

/* ---- one trial ---- */

static sartor_status trial_values(sartor_context *ctx, sr_study *study, int64_t trial,
                                  json_t *values) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT name, value FROM value WHERE trial = ?", "i", trial));
    while (sr_next(&rows)) {
        const char *name = sr_text(&rows, 0);
        if (name != NULL && sr_objective_find(name, strlen(name)) >= 0)
            (void)json_object_set_new(values, name, sr_number_or_null(sr_real(&rows, 1)));
    }
    return sr_done(&rows);
}

static sartor_status trial_curve(sartor_context *ctx, sr_study *study, int64_t job, json_t *curve) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT step, tokens, loss, bits_per_byte FROM curve WHERE job = ? ORDER BY step",
                  "i", job));
    while (sr_next(&rows))
        (void)json_array_append_new(curve, json_pack("[I, I, o, o]", (json_int_t)sr_int(&rows, 0),
                                                     (json_int_t)sr_int(&rows, 1),
                                                     sr_number_or_null(sr_real(&rows, 2)),
                                                     sr_number_or_null(sr_real(&rows, 3))));
    return sr_done(&rows);
}

/* Where the weights lie, if they are kept, and why a job failed. */
static sartor_status trial_job(sartor_context *ctx, sr_study *study, int64_t job, json_t *answer) {
    sr_query rows;
    SR_TRY(
        sr_sql(ctx, study, &rows, "SELECT attempt, state, reason FROM job WHERE id = ?", "i", job));
    if (sr_next(&rows)) {
        char *path = sr_job_model_path(study, SR_KIND_TRIAL, job, (int)sr_int(&rows, 0));
        if (path != NULL && access(path, R_OK) == 0)
            (void)json_object_set_new(answer, "model", json_string(path));
        (void)json_object_set_new(answer, "reason", sr_string_or_null(sr_text(&rows, 2)));
        free(path);
    }
    return sr_done(&rows);
}

/* What the probe of a trial says: the scores of the tasks, or why it failed. */
static sartor_status trial_probe(sartor_context *ctx, sr_study *study, int64_t trial,
                                 json_t *answer) {
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT job.result, job.reason FROM trial JOIN job ON job.kind = '" SR_KIND_PROBE
                  "' AND job.name = trial.arch WHERE trial.id = ?",
                  "i", trial));
    if (sr_next(&rows)) {
        const char *text = sr_text(&rows, 0);
        json_t *result = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        json_t *tasks = json_object_get(result, "tasks");
        if (json_is_object(tasks)) (void)json_object_set(answer, "mad_tasks", tasks);
        json_decref(result);
        if (!sr_is_null(&rows, 1))
            (void)json_object_set_new(answer, "reason", sr_string_or_null(sr_text(&rows, 1)));
    }
    return sr_done(&rows);
}

static json_t *trial_row(const sr_query *rows, const sr_search *search, int64_t trial) {
    const char *genome = sr_text(rows, 0);
    json_t *parents = json_array();
    for (int i = 0; i < 2; i++)
        if (!sr_is_null(rows, 3 + i))
            (void)json_array_append_new(parents, json_integer(sr_int(rows, 3 + i)));
    return json_pack("{s:i, s:I, s:s, s:s, s:o, s:I, s:s, s:n, s:o, s:s, s:o, s:I, s:I, s:I}",
                     "version", 1, "trial", (json_int_t)trial, "id", sr_text(rows, 1), "genome",
                     genome, "sizes", sr_search_sizes_json(&search->settings), "generation",
                     (json_int_t)sr_int(rows, 2), "state", sr_text(rows, 8), "reason", "baseline",
                     sr_string_or_null(sr_text(rows, 7)), "operator", sr_text(rows, 5), "parents",
                     parents, "mutations", (json_int_t)sr_int(rows, 6), "repairs",
                     (json_int_t)sr_int(rows, 11), "refused", (json_int_t)sr_int(rows, 9));
}

static sartor_status is_in_front(sartor_context *ctx, sr_study *study, const sr_search *search,
                                 int64_t trial, bool *answer) {
    sr_population p;
    bool *in_front;
    *answer = false;
    SR_TRY(sr_answer_population(ctx, study, search, false, &p, &in_front));
    for (int i = 0; i < p.n; i++)
        if (p.trial[i] == trial) *answer = in_front[i];
    free(in_front);
    sr_population_free(&p);
    return SARTOR_OK;
}

static sartor_status add_names(sartor_context *ctx, json_t *answer) {
    const char *genome = json_string_value(json_object_get(answer, "genome"));
    sr_genome *parsed = malloc(sizeof *parsed);
    char *names = malloc(SR_GENOME_TEXT);
    sartor_status status = parsed != NULL && names != NULL
                               ? sr_genome_parse(ctx, genome, strlen(genome), parsed)
                               : sr_no_memory(ctx);
    if (status == SARTOR_OK) {
        sr_genome_names(parsed, names);
        (void)json_object_set_new(answer, "names", json_string(names));
    }
    free(parsed);
    free(names);
    return status;
}

sartor_status sr_answer_trial(sartor_context *ctx, sr_study *study, const sr_search *search,
                              int64_t trial, json_t **answer) {
    sr_query rows;
    int64_t job = 0;
    *answer = NULL;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT genome, arch, generation, parent1, parent2, operator, mutations,"
                  " baseline, state, refused, job, repairs FROM trial WHERE id = ?",
                  "i", trial));
    bool found = sr_next(&rows);
    if (found) {
        *answer = trial_row(&rows, search, trial);
        job = sr_int(&rows, 10);
    }
    SR_TRY(sr_done(&rows));
    if (!found)
        return sr_fail(ctx, SARTOR_INVALID, "%s: there is no trial %" PRId64, sr_study_path(study),
                       trial);
    if (*answer == NULL) return corrupted(ctx, study, trial);
    json_t *values = json_object(), *curve = json_array();
    bool front = false;
    (void)json_object_set_new(*answer, "objectives", values);
    (void)json_object_set_new(*answer, "model", json_null());
    (void)json_object_set_new(*answer, "curve", curve);
    sartor_status status = add_names(ctx, *answer);
    if (status == SARTOR_OK) status = trial_values(ctx, study, trial, values);
    if (status == SARTOR_OK) status = is_in_front(ctx, study, search, trial, &front);
    if (status == SARTOR_OK) status = trial_curve(ctx, study, job, curve);
    if (status == SARTOR_OK) status = trial_job(ctx, study, job, *answer);
    if (status == SARTOR_OK) status = trial_probe(ctx, study, trial, *answer);
    json_t *training = NULL;
    if (status == SARTOR_OK) status = sr_answer_training(ctx, study, search, trial, &training);
    if (training != NULL) (void)json_object_set_new(*answer, "training", training);
    if (status == SARTOR_OK) (void)json_object_set_new(*answer, "front", json_boolean(front));
    if (status != SARTOR_OK) {
        json_decref(*answer);
        *answer = NULL;
    }
    return status;
}
