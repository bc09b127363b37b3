/* What the finished runs of a MAD study say, as JSON. */
#define _GNU_SOURCE
#include "probe/mad_study.h"

#include "base/memory.h"
#include "probe/mad_mean.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The runs of one architecture on one setting, other than their scores. */
typedef struct cell {
    int runs, failed;
    double learning_rate, weight_decay; /* of the best run */
    json_t *result;                     /* the best run's; NULL: none is done */
} cell;

typedef struct answering {
    sartor_context *ctx;
    sr_study *study;
    const sr_mad_asked *asked;
    char (*setting)[SR_MAD_SETTING_TEXT]; /* as text */
    cell *cell;                           /* [n_archs][settings] */
    sr_mad_best *best;                    /* likewise */
} answering;

static bool among(double x, const double *numbers, int n) {
    for (int i = 0; i < n; i++)
        if (numbers[i] == x) return true;
    return false;
}

static int setting_of(const answering *a, const sr_mad_job *job) {
    const sr_mad_suite *s = a->asked->suite;
    if (!among(job->learning_rate, s->rate, s->rates) ||
        !among(job->weight_decay, s->decay, s->decays))
        return -1;
    for (int i = 0; i < s->settings; i++)
        if (s->epochs[i] == job->epochs && strcmp(a->setting[i], job->setting) == 0) return i;
    return -1;
}

static sartor_status count(answering *a, int at, const sr_mad_job *job, const char *state,
                           const char *result) {
    cell *c = &a->cell[at];
    c->runs++;
    c->failed += strcmp(state, "failed") == 0;
    if (strcmp(state, "done") != 0) return SARTOR_OK;
    json_t *r = result != NULL ? json_loads(result, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *score = json_object_get(r, "score"), *selection = json_object_get(r, "selection");
    if (!json_is_number(score) || !json_is_number(selection)) {
        json_decref(r);
        return sr_fail(a->ctx, SARTOR_FORMAT, "%s: is corrupted (the result of a run)",
                       sr_study_path(a->study));
    }
    if (!sr_mad_best_add(&a->best[at], json_number_value(score), json_number_value(selection))) {
        json_decref(r);
        return SARTOR_OK;
    }
    json_decref(c->result);
    c->result = r;
    c->learning_rate = job->learning_rate;
    c->weight_decay = job->weight_decay;
    return SARTOR_OK;
}

static sartor_status count_row(answering *a, const sr_query *rows) {
    const char *text = sr_text(rows, 0), *state = sr_text(rows, 1);
    json_t *spec = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    sr_mad_job job;
    sartor_status status = sr_mad_job_read(a->ctx, a->study, spec, &job);
    const int setting = status == SARTOR_OK ? setting_of(a, &job) : -1;
    for (int i = 0; setting >= 0 && i < a->asked->n_archs && status == SARTOR_OK; i++)
        if (strcmp(a->asked->ids[i], job.id) == 0)
            status = count(a, i * a->asked->suite->settings + setting, &job,
                           state != NULL ? state : "", sr_text(rows, 2));
    json_decref(spec);
    return status;
}

static sartor_status count_all(answering *a) {
    sr_query rows;
    SR_TRY(sr_sql(a->ctx, a->study, &rows,
                  "SELECT spec, state, result FROM job WHERE kind = '" SR_KIND_MAD "' ORDER BY id",
                  ""));
    sartor_status status = SARTOR_OK;
    while (status == SARTOR_OK && sr_next(&rows)) status = count_row(a, &rows);
    const sartor_status end = sr_done(&rows);
    return status != SARTOR_OK ? status : end;
}

/* ---- as JSON ---- */

/* json_pack() does not take NaN, which stands for nothing finished. */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *member(const json_t *result, const char *name) {
    const json_t *value = json_object_get(result, name);
    return value != NULL ? json_incref((json_t *)(uintptr_t)value) : json_null();
}

static json_t *setting_json(const answering *a, int arch, int setting) {
    const int at = arch * a->asked->suite->settings + setting;
    const cell *c = &a->cell[at];
    const sr_mad_setting *s = &a->asked->suite->setting[setting];
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, "
        "s:i, s:i}",
        "setting", a->setting[setting], "vocab", (json_int_t)s->vocab, "length",
        (json_int_t)s->length, "train", (json_int_t)s->train, "chance", sr_mad_chance(s), "score",
        member(c->result, "score"), "accuracy", member(c->result, "accuracy"), "accuracy_macro",
        member(c->result, "accuracy_macro"), "perplexity", member(c->result, "perplexity"),
        "learning_rate", number(c->result != NULL ? c->learning_rate : NAN), "weight_decay",
        number(c->result != NULL ? c->weight_decay : NAN), "epoch", member(c->result, "epoch"),
        "epochs", member(c->result, "epochs"), "seconds", member(c->result, "seconds"), "runs",
        c->runs, "done", a->best[at].runs, "failed", c->failed);
}

/* One task of one architecture: {"score", "settings"}. NULL: no memory. */
static json_t *task_json(const answering *a, int arch, sr_mad_task_id task, double score) {
    const sr_mad_suite *s = a->asked->suite;
    json_t *settings = json_array();
    for (int i = 0; i < s->settings; i++)
        if (s->setting[i].task == task &&
            json_array_append_new(settings, setting_json(a, arch, i)) != 0) {
            json_decref(settings);
            return NULL;
        }
    return json_pack("{s:o, s:o}", "score", number(score), "settings", settings);
}

static sartor_status arch_json(const answering *a, int arch, json_t *results) {
    const sr_mad_means means =
        sr_mad_mean(a->asked->suite, a->best + arch * a->asked->suite->settings);
    json_t *tasks = json_object();
    sartor_status status = SARTOR_OK;
    for (int task = 0; task < SR_MAD_TASKS && status == SARTOR_OK; task++)
        if (means.settings[task] > 0 &&
            json_object_set_new(tasks, sr_mad_task_name((sr_mad_task_id)task),
                                task_json(a, arch, (sr_mad_task_id)task, means.task[task])) != 0)
            status = sr_no_memory(a->ctx);
    json_t *result = json_pack("{s:s, s:o, s:o}", "arch", a->asked->archs[arch], "tasks", tasks,
                               "mad", number(means.mad));
    if (status == SARTOR_OK && (result == NULL || json_array_append(results, result) != 0))
        status = sr_no_memory(a->ctx);
    json_decref(result);
    return status;
}

sartor_status sr_mad_answer(sartor_context *ctx, sr_study *study, const sr_mad_asked *asked,
                            json_t **answer) {
    const size_t settings = (size_t)asked->suite->settings;
    const size_t cells = (size_t)asked->n_archs * settings;
    answering a = {.ctx = ctx, .study = study, .asked = asked};
    json_t *results = json_array();
    sartor_status status =
        sr_alloc(ctx, settings, sizeof *a.setting, "an answer", (void **)&a.setting);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, cells, sizeof *a.cell, "an answer", (void **)&a.cell);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, cells, sizeof *a.best, "an answer", (void **)&a.best);
    if (status == SARTOR_OK) {
        for (size_t i = 0; i < settings; i++)
            sr_mad_setting_print(&asked->suite->setting[i], a.setting[i]);
        status = count_all(&a);
    }
    for (int i = 0; i < asked->n_archs && status == SARTOR_OK; i++)
        status = arch_json(&a, i, results);
    if (status == SARTOR_OK) {
        *answer = json_pack("{s:i, s:O}", "version", 1, "results", results);
        if (*answer == NULL) status = sr_no_memory(ctx);
    }
    for (size_t i = 0; a.cell != NULL && i < cells; i++) json_decref(a.cell[i].result);
    json_decref(results);
    free(a.cell);
    free(a.best);
    free(a.setting);
    return status;
}

/* ---- everything that a study holds ---- */

typedef struct gathering {
    sartor_context *ctx;
    sr_study *study;
    sr_mad_suite suite;
    char **arch; /* [archs] */
    char (*id)[SR_HASH_TEXT];
    int archs;
} gathering;

static sartor_status gather_arch(gathering *g, const sr_mad_job *job) {
    for (int i = 0; i < g->archs; i++)
        if (strcmp(g->id[i], job->id) == 0) return SARTOR_OK;
    const size_t room = (size_t)g->archs + 1;
    char **archs = realloc(g->arch, room * sizeof *archs);
    if (archs == NULL) return sr_no_memory(g->ctx);
    g->arch = archs;
    char(*ids)[SR_HASH_TEXT] = realloc(g->id, room * sizeof *ids);
    if (ids == NULL) return sr_no_memory(g->ctx);
    g->id = ids;
    if ((archs[g->archs] = strdup(job->arch)) == NULL) return sr_no_memory(g->ctx);
    snprintf(ids[g->archs++], SR_HASH_TEXT, "%s", job->id);
    return SARTOR_OK;
}

static void gather_number(double x, double *numbers, int *n) {
    if (!among(x, numbers, *n) && *n < SR_MAD_MOST_GRID) numbers[(*n)++] = x;
}

/* A study with more settings than any suite has shows the first ones. */
static sartor_status gather_setting(gathering *g, const sr_mad_job *job) {
    sr_mad_suite *s = &g->suite;
    sr_mad_setting setting;
    char text[SR_MAD_SETTING_TEXT];
    SR_TRY(sr_mad_setting_parse(g->ctx, job->setting, &setting));
    for (int i = 0; i < s->settings; i++) {
        sr_mad_setting_print(&s->setting[i], text);
        if (s->epochs[i] == job->epochs && strcmp(text, job->setting) == 0) return SARTOR_OK;
    }
    if (s->settings == SR_MAD_MOST_SUITE) return SARTOR_OK;
    s->epochs[s->settings] = job->epochs;
    s->setting[s->settings++] = setting;
    return SARTOR_OK;
}

static sartor_status gather_row(gathering *g, const char *text) {
    json_t *spec = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    sr_mad_job job;
    sartor_status status = sr_mad_job_read(g->ctx, g->study, spec, &job);
    if (status == SARTOR_OK) status = gather_arch(g, &job);
    if (status == SARTOR_OK) status = gather_setting(g, &job);
    if (status == SARTOR_OK) {
        gather_number(job.learning_rate, g->suite.rate, &g->suite.rates);
        gather_number(job.weight_decay, g->suite.decay, &g->suite.decays);
    }
    json_decref(spec);
    return status;
}

sartor_status sr_mad_answer_all(sartor_context *ctx, sr_study *study, json_t **answer) {
    sr_query rows;
    gathering *g;
    SR_TRY(sr_alloc(ctx, 1, sizeof *g, "an answer", (void **)&g));
    g->ctx = ctx;
    g->study = study;
    sartor_status status = sr_sql(
        ctx, study, &rows, "SELECT spec FROM job WHERE kind = '" SR_KIND_MAD "' ORDER BY id", "");
    if (status == SARTOR_OK) {
        while (status == SARTOR_OK && sr_next(&rows)) status = gather_row(g, sr_text(&rows, 0));
        const sartor_status end = sr_done(&rows);
        if (status == SARTOR_OK) status = end;
    }
    if (status == SARTOR_OK) {
        const sr_mad_asked asked = {(const char *const *)g->arch, g->id, g->archs, &g->suite};
        status = sr_mad_answer(ctx, study, &asked, answer);
    }
    for (int i = 0; i < g->archs; i++) free(g->arch[i]);
    free(g->arch);
    free(g->id);
    free(g);
    return status;
}
