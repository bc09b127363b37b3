#define _GNU_SOURCE
#include "search/population.h"

#include "base/memory.h"
#include "study/sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static sartor_status grow_array(sartor_context *ctx, void **array, size_t count, size_t each) {
    if (count > SIZE_MAX / each) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    void *larger = realloc(*array, count * each);
    if (larger == NULL) return sr_fail(ctx, SARTOR_MEMORY, "not enough memory for the trials");
    *array = larger;
    return SARTOR_OK;
}

static sartor_status make_room(sartor_context *ctx, sr_population *p) {
    if (p->n < p->room) return SARTOR_OK;
    const size_t room = p->room > 0 ? 2 * (size_t)p->room : 16, m = (size_t)p->objectives;
    SR_TRY(grow_array(ctx, (void **)&p->trial, room, sizeof *p->trial));
    SR_TRY(grow_array(ctx, (void **)&p->failed, room, sizeof *p->failed));
    SR_TRY(grow_array(ctx, (void **)&p->values, room * SR_OBJECTIVE_COUNT, sizeof *p->values));
    SR_TRY(grow_array(ctx, (void **)&p->raw, room * m, sizeof *p->raw));
    SR_TRY(grow_array(ctx, (void **)&p->scaled, room * m, sizeof *p->scaled));
    SR_TRY(grow_array(ctx, (void **)&p->violation, room, sizeof *p->violation));
    SR_TRY(grow_array(ctx, (void **)&p->member, room, sizeof *p->member));
    if (!p->values_only) SR_TRY(grow_array(ctx, (void **)&p->genome, room, sizeof *p->genome));
    p->room = (int)room;
    return SARTOR_OK;
}

void sr_population_free(sr_population *p) {
    free(p->trial);
    free(p->failed);
    free(p->values);
    free(p->raw);
    free(p->scaled);
    free(p->violation);
    free(p->genome);
    free(p->member);
    *p = (sr_population){0};
}

static sartor_status read_values(sartor_context *ctx, sr_study *study, int64_t trial,
                                 double values[SR_OBJECTIVE_COUNT]) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++) values[i] = NAN;
    sr_query rows;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT name, value FROM value WHERE trial = ?", "i", trial));
    while (sr_next(&rows)) {
        const char *name = sr_text(&rows, 0);
        int id = name != NULL ? sr_objective_find(name, strlen(name)) : -1;
        if (id >= 0) values[id] = sr_real(&rows, 1);
    }
    return sr_done(&rows);
}

sartor_status sr_population_add(sartor_context *ctx, sr_study *study, const sr_search *search,
                                sr_population *p, int64_t trial, const char *state,
                                const char *genome) {
    const sr_search_settings *s = &search->settings;
    p->objectives = s->n_objectives;
    SR_TRY(make_room(ctx, p));
    const int i = p->n;
    double *values = p->values + i * SR_OBJECTIVE_COUNT;
    if (!p->values_only &&
        search->space.parse(ctx, &search->space, genome, &p->genome[i]) != SARTOR_OK)
        return sr_fail_in(ctx, SARTOR_FORMAT, "%s: trial %lld", sr_study_path(study),
                          (long long)trial);
    SR_TRY(read_values(ctx, study, trial, values));
    bool failed = strcmp(state, "done") != 0;
    for (int k = 0; k < s->n_objectives; k++) {
        double x = values[s->objective[k]];
        if (isnan(x)) failed = true;
    }
    for (int k = 0; k < s->n_objectives; k++) {
        const int id = s->objective[k];
        p->raw[i * p->objectives + k] = failed ? INFINITY : values[id];
        p->scaled[i * p->objectives + k] = failed ? INFINITY : sr_scaled(&s->scale[id], values[id]);
    }
    p->trial[i] = trial;
    p->failed[i] = failed;
    p->violation[i] = failed ? INFINITY : sr_violation(s->limit, s->n_limits, values);
    p->n++;
    return SARTOR_OK;
}

const sr_member *sr_population_members(sr_population *p) {
    for (int i = 0; i < p->n; i++)
        p->member[i] = (sr_member){.candidate = p->values_only ? NULL : &p->genome[i],
                                   .values = p->scaled + i * p->objectives,
                                   .violation = p->violation[i]};
    return p->member;
}

/* ---- reading ---- */

/* Reads the ids first: a row's trial is looked up while the list of rows is not open. */
static sartor_status add_ids(sartor_context *ctx, sr_study *study, const sr_search *search,
                             const json_t *ids, sr_population *p) {
    size_t i;
    const json_t *id;
    json_array_foreach(ids, i, id) {
        sr_query rows;
        char *state = NULL, *genome = NULL;
        SR_TRY(sr_sql(ctx, study, &rows, "SELECT state, genome FROM trial WHERE id = ?", "i",
                      (int64_t)json_integer_value(id)));
        if (sr_next(&rows) && sr_text(&rows, 0) != NULL && sr_text(&rows, 1) != NULL) {
            state = strdup(sr_text(&rows, 0));
            genome = strdup(sr_text(&rows, 1));
        }
        sartor_status status = sr_done(&rows);
        if (status == SARTOR_OK)
            status = state != NULL && genome != NULL
                         ? sr_population_add(ctx, study, search, p, json_integer_value(id), state,
                                             genome)
                         : sr_fail(ctx, SARTOR_FORMAT, "%s: trial %lld is missing",
                                   sr_study_path(study), (long long)json_integer_value(id));
        free(state);
        free(genome);
        SR_TRY(status);
    }
    return SARTOR_OK;
}

static sartor_status add_query(sartor_context *ctx, sr_study *study, const sr_search *search,
                               const char *sql, int generation, sr_population *p) {
    json_t *ids = json_array();
    sr_query rows;
    sartor_status status =
        ids != NULL ? SARTOR_OK : sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
    if (status == SARTOR_OK) status = sr_sql(ctx, study, &rows, sql, "i", (int64_t)generation);
    if (status == SARTOR_OK) {
        while (sr_next(&rows)) (void)json_array_append_new(ids, json_integer(sr_int(&rows, 0)));
        status = sr_done(&rows);
    }
    if (status == SARTOR_OK) status = add_ids(ctx, study, search, ids, p);
    json_decref(ids);
    return status;
}

sartor_status sr_population_parents(sartor_context *ctx, sr_study *study, const sr_search *search,
                                    int generation, sr_population *p) {
    return add_query(ctx, study, search,
                     "SELECT trial FROM parent WHERE generation = ? ORDER BY place", generation, p);
}

sartor_status sr_population_generation(sartor_context *ctx, sr_study *study,
                                       const sr_search *search, int generation, sr_population *p) {
    return add_query(ctx, study, search, "SELECT id FROM trial WHERE generation = ? ORDER BY slot",
                     generation, p);
}

sartor_status sr_population_ids(sartor_context *ctx, sr_study *study, const sr_search *search,
                                const char *ids, sr_population *p) {
    json_t *array = json_loads(ids, 0, NULL);
    if (!json_is_array(array)) {
        json_decref(array);
        return sr_fail(ctx, SARTOR_FORMAT, "%s: a stored front is not a list",
                       sr_study_path(study));
    }
    sartor_status status = add_ids(ctx, study, search, array, p);
    json_decref(array);
    return status;
}

/* ---- fronts ---- */

sartor_status sr_population_front(sartor_context *ctx, const sr_population *p, bool *in_front) {
    const int m = p->objectives;
    if (p->n == 0) return SARTOR_OK;
    double *values = NULL;
    int *index = NULL, n = 0;
    bool *front = NULL;
    size_t room = (size_t)p->n;
    sartor_status status =
        sr_alloc(ctx, room * (size_t)m, sizeof *values, "a front", (void **)&values);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, room, sizeof *index, "a front", (void **)&index);
    if (status == SARTOR_OK)
        status = sr_alloc(ctx, room, sizeof *front, "a front", (void **)&front);
    for (int i = 0; status == SARTOR_OK && i < p->n; i++) {
        in_front[i] = false;
        if (p->violation[i] > 0) continue;
        memcpy(values + n * m, p->raw + i * m, (size_t)m * sizeof *values);
        index[n++] = i;
    }
    if (status == SARTOR_OK) status = sr_pareto_front(ctx, values, (size_t)n, m, front);
    for (int i = 0; status == SARTOR_OK && i < n; i++) in_front[index[i]] = front[i];
    free(values);
    free(index);
    free(front);
    return status;
}

sartor_status sr_population_hypervolume(sartor_context *ctx, const sr_population *p,
                                        const bool *in_front, double *volume) {
    const int m = p->objectives;
    double *values = NULL, reference[SR_OBJECTIVE_COUNT];
    int n = 0;
    *volume = 0;
    if (p->n == 0) return SARTOR_OK;
    for (int k = 0; k < m; k++) reference[k] = 1;
    SR_TRY(sr_alloc(ctx, (size_t)p->n * (size_t)m, sizeof *values, "a front", (void **)&values));
    for (int i = 0; i < p->n; i++)
        if (in_front[i]) memcpy(values + m * n++, p->scaled + i * m, (size_t)m * sizeof *values);
    sartor_status status = sr_hypervolume(ctx, values, (size_t)n, m, reference, volume);
    free(values);
    return status;
}
