#define _GNU_SOURCE
/* A generation's end: the front so far, and who become parents. */
#include "search/generation.h"

#include "base/memory.h"
#include "study/sql.h"

#include <stdlib.h>
#include <string.h>

typedef struct ending {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    int generation;
    sr_population members; /* parents, then children */
    int n_parents;
    int *chosen, n_chosen;
    char *front; /* JSON */
    double hypervolume;
} ending;

/* The front so far: of the last front and the new trials. */
static sartor_status make_front(ending *e) {
    sr_population p = {.values_only = true};
    bool *in_front = NULL;
    char *before = NULL;
    json_t *ids = json_array();
    sartor_status status = ids != NULL ? SARTOR_OK : sr_no_memory(e->ctx);
    sr_query rows;
    if (status == SARTOR_OK)
        status = sr_sql(e->ctx, e->study, &rows, "SELECT front FROM generation WHERE number = ?",
                        "i", (int64_t)e->generation - 1);
    if (status == SARTOR_OK) {
        if (sr_next(&rows) && sr_text(&rows, 0) != NULL) before = strdup(sr_text(&rows, 0));
        status = sr_done(&rows);
    }
    if (status == SARTOR_OK && before != NULL)
        status = sr_population_ids(e->ctx, e->study, e->search, before, &p);
    if (status == SARTOR_OK)
        status = sr_population_generation(e->ctx, e->study, e->search, e->generation, &p);
    if (status == SARTOR_OK)
        status = sr_alloc(e->ctx, p.n > 0 ? (size_t)p.n : 1, 1, "a front", (void **)&in_front);
    if (status == SARTOR_OK) status = sr_population_front(e->ctx, &p, in_front);
    if (status == SARTOR_OK)
        status = sr_population_hypervolume(e->ctx, &p, in_front, &e->hypervolume);
    for (int i = 0; status == SARTOR_OK && i < p.n; i++)
        if (in_front[i] && json_array_append_new(ids, json_integer(p.trial[i])) != 0)
            status = sr_no_memory(e->ctx);
    if (status == SARTOR_OK && (e->front = json_dumps(ids, JSON_COMPACT)) == NULL)
        status = sr_no_memory(e->ctx);
    json_decref(ids);
    free(before);
    free(in_front);
    sr_population_free(&p);
    return status;
}

static sartor_status choose_parents(ending *e) {
    const sr_search *search = e->search;
    if (e->generation > 0)
        SR_TRY(sr_population_parents(e->ctx, e->study, search, e->generation - 1, &e->members));
    e->n_parents = e->members.n;
    SR_TRY(sr_population_generation(e->ctx, e->study, search, e->generation, &e->members));
    SR_TRY(sr_alloc(e->ctx, (size_t)e->members.n + 1, sizeof *e->chosen, "parents",
                    (void **)&e->chosen));
    return search->settings.algorithm->survive(
        e->ctx, &search->evolution, sr_population_members(&e->members), e->n_parents,
        e->members.n - e->n_parents, e->chosen, &e->n_chosen);
}

static sartor_status store_ending(void *user) {
    ending *e = user;
    int there;
    SR_TRY(sr_generation_latest(e->ctx, e->study, SR_LATEST_ENDED, &there));
    if (there >= e->generation) return SARTOR_OK;
    for (int i = 0; i < e->n_chosen; i++)
        SR_TRY(sr_run_sql(e->ctx, e->study, NULL,
                          "INSERT INTO parent (generation, place, trial) VALUES (?, ?, ?)", "iii",
                          (int64_t)e->generation, (int64_t)i, e->members.trial[e->chosen[i]]));
    return sr_run_sql(e->ctx, e->study, NULL,
                      "INSERT INTO generation (number, finished, hypervolume, front) VALUES (?, ?, "
                      "?, ?)",
                      "idds", (int64_t)e->generation, sr_study_now(), e->hypervolume, e->front);
}

sartor_status sr_generation_end(sartor_context *ctx, sr_study *study, const sr_search *search,
                                int generation) {
    ending e = {.ctx = ctx, .study = study, .search = search, .generation = generation};
    sartor_status status = make_front(&e);
    if (status == SARTOR_OK) status = choose_parents(&e);
    int alive = 0;
    for (int i = 0; i < e.n_chosen; i++) alive += !e.members.failed[e.chosen[i]];
    if (status == SARTOR_OK && alive == 0)
        status =
            sr_fail(ctx, SARTOR_INVALID,
                    "%s: every trial of generation %d failed; sartor show STUDY TRIAL tells why",
                    sr_study_path(study), generation);
    if (status == SARTOR_OK) status = sr_in_transaction(ctx, study, store_ending, &e);
    sr_population_free(&e.members);
    free(e.chosen);
    free(e.front);
    return status;
}
