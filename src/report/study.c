#define _GNU_SOURCE
/* sartor_study_report(): all that the report shows, read from a study in one go (report.h tells the
 * format). */
#include "report/report.h"

#include "base/memory.h"
#include "probe/mad_study.h"
#include "probe/scale.h"
#include "search/lineage.h"
#include "search/question.h"
#include "search/rungs.h"
#include "study/sql.h"
#include <sartor/sartor.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct collecting {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    json_t *root;
    json_t *front, *by_id; /* by trial id: ids are any numbers */
    sr_genome *genome;     /* scratch */
    sr_sharing *sharing;
    char *text; /* SR_GENOME_TEXT, scratch */
} collecting;

/* ---- header ---- */

static json_t *objectives(const collecting *c) {
    const sr_search_settings *s = &c->search->settings;
    json_t *array = json_array();
    for (int k = 0; k < s->n_objectives; k++) {
        const sr_objective *o = sr_objective_get(s->objective[k]);
        const sr_scale *scale = &s->scale[s->objective[k]];
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", o->name,
                                                     "unit", o->unit, "summary", o->summary, "log",
                                                     scale->logarithmic, "reference",
                                                     sr_number_or_null(scale->worst)));
    }
    return array;
}

static json_t *measures(const collecting *c) {
    const sr_search_settings *s = &c->search->settings;
    json_t *array = json_array();
    bool listed[SR_OBJECTIVE_COUNT] = {false};
    for (int k = 0; k < s->n_objectives; k++) {
        listed[s->objective[k]] = true;
        (void)json_array_append_new(array, json_string(sr_objective_get(s->objective[k])->name));
    }
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++)
        if (!listed[i] && (sr_objective_get(i)->source == SR_COMPUTED ||
                           sr_search_needs(s, sr_objective_get(i)->source)))
            (void)json_array_append_new(array, json_string(sr_objective_get(i)->name));
    if (s->inherit) (void)json_array_append_new(array, json_string(SR_VALUE_LINEAGE_FLOPS));
    return array;
}

const char *sr_report_time(char text[SR_REPORT_TIME]) {
    time_t now = time(NULL);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(text, SR_REPORT_TIME, "%Y-%m-%d %H:%M UTC", &utc);
    return text;
}

static sartor_status header(collecting *c) {
    json_t *show = NULL, *settings;
    const char *path = sr_study_path(c->study), *slash = strrchr(path, '/');
    char made[SR_REPORT_TIME];
    SR_TRY(sr_answer_show(c->ctx, c->study, c->search, &show));
    settings = json_object_get(show, "settings");
    (void)json_object_del(settings, "scale");
    json_t *limits = json_object_get(settings, "limits");
    char *limits_text = limits != NULL ? json_dumps(limits, JSON_COMPACT) : NULL;
    if (limits_text != NULL)
        (void)json_object_set_new(settings, "limits", json_string(limits_text));
    free(limits_text);
    c->root = json_pack("{s:i, s:s, s:s, s:s, s:O, s:O, s:o, s:o, s:O, s:O}", "version", 1, "title",
                        slash != NULL ? slash + 1 : path, "made", sr_report_time(made), "sartor",
                        sartor_version(), "settings", settings, "state",
                        json_object_get(show, "trials"), "objectives", objectives(c), "measures",
                        measures(c), "hypervolume", json_object_get(show, "hypervolume"),
                        "training_flops", json_object_get(show, "training_flops"));
    json_decref(show);
    return c->root != NULL ? SARTOR_OK : sr_no_memory(c->ctx);
}

/* ---- trials ---- */

enum { KEY = 24 };
static const char *key_of(int64_t number, char key[KEY]) {
    snprintf(key, KEY, "%" PRId64, number);
    return key;
}

static sartor_status mark_front(collecting *c) {
    sr_population p;
    bool *in_front;
    SR_TRY(sr_answer_population(c->ctx, c->study, c->search, false, &p, &in_front));
    char key[KEY];
    for (int i = 0; i < p.n; i++)
        if (in_front[i]) (void)json_object_set_new(c->front, key_of(p.trial[i], key), json_true());
    free(in_front);
    sr_population_free(&p);
    return SARTOR_OK;
}

static const char *names(collecting *c, const char *genome) {
    c->text[0] = '\0';
    if (genome != NULL && sr_genome_parse(c->ctx, genome, strlen(genome), c->genome) == SARTOR_OK)
        sr_genome_names(c->genome, c->text);
    return c->text;
}

static json_t *trial_of_row(collecting *c, const sr_query *rows) {
    int64_t id = sr_int(rows, 0);
    json_t *parents = json_array();
    for (int i = 4; i < 6; i++)
        if (!sr_is_null(rows, i))
            (void)json_array_append_new(parents, json_integer(sr_int(rows, i)));
    const char *genome = sr_text(rows, 3);
    char key[KEY];
    (void)key_of(id, key);
    return json_pack("{s:I, s:s, s:I, s:s, s:s, s:s, s:o, s:b, s:b, s:o, s:s, s:o, s:I, s:{}}",
                     "trial", (json_int_t)id, "id", sr_text(rows, 1), "generation",
                     (json_int_t)sr_int(rows, 2), "genome", genome, "names", names(c, genome),
                     "state", sr_text(rows, 9), "reason", sr_string_or_null(sr_text(rows, 10)),
                     "front", json_object_get(c->front, key) != NULL, "feasible", 1, "baseline",
                     sr_string_or_null(sr_text(rows, 8)), "operator", sr_text(rows, 6), "parents",
                     parents, "mutations", (json_int_t)sr_int(rows, 7), "values");
}

static sartor_status trials(collecting *c, json_t *array) {
    sr_query rows;
    char key[KEY];
    SR_TRY(sr_sql(c->ctx, c->study, &rows,
                  "SELECT trial.id, arch, generation, genome, parent1, parent2, operator,"
                  " mutations, baseline, trial.state, job.reason FROM trial LEFT JOIN job ON job.id"
                  " = trial.job ORDER BY trial.id",
                  ""));
    while (sr_next(&rows)) {
        json_t *trial = trial_of_row(c, &rows);
        if (trial == NULL) { /* text that is none, or not in UTF-8 */
            int64_t id = sr_int(&rows, 0);
            SR_TRY(sr_done(&rows));
            return sr_fail(c->ctx, SARTOR_FORMAT, "%s: is corrupted (trial %" PRId64 ")",
                           sr_study_path(c->study), id);
        }
        (void)json_object_set(c->by_id, key_of(sr_int(&rows, 0), key), trial);
        (void)json_array_append_new(array, trial);
    }
    return sr_done(&rows);
}

static sartor_status values(collecting *c) {
    sr_query rows;
    char key[KEY];
    SR_TRY(sr_sql(c->ctx, c->study, &rows, "SELECT trial, name, value FROM value", ""));
    while (sr_next(&rows)) {
        json_t *trial = json_object_get(c->by_id, key_of(sr_int(&rows, 0), key));
        (void)json_object_set_new(json_object_get(trial, "values"), sr_text(&rows, 1),
                                  sr_number_or_null(sr_real(&rows, 2)));
    }
    return sr_done(&rows);
}

/* How a trial was trained, out of the values that are no objectives. */
static void training(json_t *trial) {
    static const char *const names[] = {SR_VALUE_TOKENS,         SR_VALUE_INHERITED,
                                        SR_VALUE_STOPPED,        SR_VALUE_LINEAGE_TRIALS,
                                        SR_VALUE_LINEAGE_TOKENS, SR_VALUE_LINEAGE_FLOPS};
    json_t *values = json_object_get(trial, "values"), *told = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(values, names[i]);
        if (value != NULL) (void)json_object_set(told, names[i], value);
        if (strcmp(names[i], SR_VALUE_LINEAGE_FLOPS) != 0) (void)json_object_del(values, names[i]);
    }
    (void)json_object_set_new(trial, "training", told);
}

static void feasible(const collecting *c, json_t *trial) {
    const sr_search_settings *s = &c->search->settings;
    double x[SR_OBJECTIVE_COUNT];
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) {
        const json_t *value =
            json_object_get(json_object_get(trial, "values"), sr_objective_get(i)->name);
        x[i] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    if (sr_violation(s->limit, s->n_limits, x) > 0)
        (void)json_object_set_new(trial, "feasible", json_false());
}

/* ---- classes, backbones, curves ---- */

/* `found`: the counts of a generation that is in the array, by its number. */
static void count_classes(collecting *c, const json_t *trial, json_t *generations, json_t *found) {
    json_int_t g = json_integer_value(json_object_get(trial, "generation"));
    const char *genome = json_string_value(json_object_get(trial, "genome"));
    char key[KEY];
    json_t *counts = json_object_get(found, key_of(g, key));
    if (counts == NULL) {
        counts = json_object();
        (void)json_array_append_new(generations,
                                    json_pack("{s:I, s:O}", "generation", g, "counts", counts));
        (void)json_object_set_new(found, key, counts);
    }
    if (sr_genome_parse(c->ctx, genome, strlen(genome), c->genome) != SARTOR_OK) return;
    for (int i = 0; i < c->genome->n; i++) {
        const char *name = sr_class_get(c->genome->liv[i].liv_class)->name;
        (void)json_object_set_new(
            counts, name, json_integer(json_integer_value(json_object_get(counts, name)) + 1));
    }
}

static json_t *backbone(collecting *c, const char *genome) {
    json_t *livs = json_array();
    if (sr_genome_parse(c->ctx, genome, strlen(genome), c->genome) != SARTOR_OK) return livs;
    sr_genome_resolve(c->genome, c->sharing);
    for (int i = 0; i < c->genome->n; i++) {
        const sr_class *class_ = sr_class_get(c->genome->liv[i].liv_class);
        const sr_liv_sharing *shared = &c->sharing->liv[i];
        json_t *reads = json_array();
        for (int f = 0; f < sr_family_features(class_->family); f++)
            if (shared->feature_source[f] != i)
                (void)json_array_append_new(reads,
                                            json_pack("{s:s, s:i}", "feature",
                                                      sr_family_feature_name(class_->family, f),
                                                      "from", shared->feature_source[f]));
        (void)json_array_append_new(
            livs,
            json_pack("{s:s, s:s, s:o, s:o}", "class", class_->name, "family",
                      sr_family_name(class_->family), "weights_from",
                      shared->rest_owner != i ? json_integer(shared->rest_owner) : json_null(),
                      "reads", reads));
    }
    return livs;
}

static sartor_status curve(collecting *c, int64_t trial, json_t *points) {
    sr_query rows;
    SR_TRY(sr_sql(c->ctx, c->study, &rows,
                  "SELECT tokens, loss, bits_per_byte FROM curve WHERE job = (SELECT job FROM trial"
                  " WHERE id = ?) ORDER BY step",
                  "i", trial));
    while (sr_next(&rows))
        (void)json_array_append_new(points, json_pack("[I, o, o]", (json_int_t)sr_int(&rows, 0),
                                                      sr_number_or_null(sr_real(&rows, 1)),
                                                      sr_number_or_null(sr_real(&rows, 2))));
    return sr_done(&rows);
}

static sartor_status details(collecting *c, const json_t *array) {
    json_t *classes = json_array(), *backbones = json_object(), *curves = json_object();
    (void)json_object_set_new(c->root, "classes", classes);
    (void)json_object_set_new(c->root, "backbones", backbones);
    (void)json_object_set_new(c->root, "curves", curves);
    size_t i;
    json_t *trial;
    json_t *found = json_object();
    json_array_foreach(array, i, trial) { count_classes(c, trial, classes, found); }
    json_decref(found);
    json_array_foreach(array, i, trial) {
        feasible(c, trial);
        training(trial);
        if (!json_is_true(json_object_get(trial, "front")) &&
            !json_is_string(json_object_get(trial, "baseline")))
            continue;
        char key[24];
        json_t *points = json_array();
        int64_t id = json_integer_value(json_object_get(trial, "trial"));
        snprintf(key, sizeof key, "%" PRId64, id);
        (void)json_object_set_new(backbones, key,
                                  backbone(c, json_string_value(json_object_get(trial, "genome"))));
        (void)json_object_set_new(curves, key, points);
        SR_TRY(curve(c, id, points));
    }
    return SARTOR_OK;
}

static sartor_status collect(collecting *c) {
    json_t *finals = NULL;
    c->front = json_object();
    c->by_id = json_object();
    SR_TRY(sr_alloc(c->ctx, 1, sizeof *c->genome, "a genome", (void **)&c->genome));
    SR_TRY(sr_alloc(c->ctx, 1, sizeof *c->sharing, "a genome", (void **)&c->sharing));
    SR_TRY(sr_alloc(c->ctx, SR_GENOME_TEXT, 1, "a genome", (void **)&c->text));
    SR_TRY(header(c));
    json_t *array = json_array();
    (void)json_object_set_new(c->root, "trials", array);
    SR_TRY(mark_front(c));
    sartor_status status = trials(c, array);
    if (status == SARTOR_OK) status = values(c);
    if (status == SARTOR_OK) status = details(c, array);
    if (status == SARTOR_OK) status = sr_answer_finals(c->ctx, c->study, c->search, &finals);
    if (status == SARTOR_OK)
        (void)json_object_set(c->root, "finals", json_object_get(finals, "finals"));
    json_decref(finals);
    return status;
}

static sartor_status report_search(sartor_context *ctx, const char *study, const char *path) {
    sr_question q;
    collecting c = {.ctx = ctx};
    sartor_status status = sr_question_begin(ctx, study, &q);
    c.study = q.study;
    c.search = q.search;
    if (status == SARTOR_OK) status = collect(&c);
    sr_question_end(&q);
    if (status == SARTOR_OK) status = sr_report_write(ctx, c.root, path);
    json_decref(c.root);
    json_decref(c.front);
    json_decref(c.by_id);
    free(c.genome);
    free(c.sharing);
    free(c.text);
    return status;
}

/* Studies that are no search: what their pages show. */
static const struct {
    const char *purpose;
    sartor_status (*collect)(sartor_context *ctx, sr_study *study, json_t **data);
} probes[] = {{SR_PURPOSE_SCALE, sr_report_scale}, {SR_PURPOSE_MAD, sr_report_mad}};

static sartor_status report_probe(sartor_context *ctx, sr_study *study, const char *path,
                                  bool *found) {
    json_t *data = NULL;
    size_t i = 0, n = sizeof probes / sizeof *probes;
    while (i < n && strcmp(sr_study_purpose_name(study), probes[i].purpose) != 0) i++;
    *found = i < n;
    if (!*found) return SARTOR_OK;
    SR_TRY(sr_study_begin_reading(ctx, study));
    sartor_status status = probes[i].collect(ctx, study, &data);
    sr_study_rollback(study);
    if (status == SARTOR_OK) status = sr_report_write(ctx, data, path);
    json_decref(data);
    return status;
}

sartor_status sartor_study_report(sartor_context *ctx, const char *name, const char *path) {
    sr_study *study;
    bool found;
    if (name == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(sr_study_open(ctx, name, SR_STUDY_READ, &study));
    sartor_status status = report_probe(ctx, study, path, &found);
    sr_study_close(&study);
    return found || status != SARTOR_OK ? status : report_search(ctx, name, path);
}
