#define _GNU_SOURCE
/* Generations: who survives, who is proposed next, and the rows that say so.
 *
 * What holds: a generation is a function of the rows before it, the settings and the seed. It is
 * computed outside any transaction and stored in one, which first makes sure that no other worker
 * has stored it meanwhile; both would have stored the same. */
#include "search/population.h"
#include "search/timing.h"

#include "base/memory.h"
#include "study/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROPOSALS = 200, /* of the algorithm for one slot, before drawing from the whole space */
    DRAWS = 200      /* from the whole space, before the slot stays empty */
};

static sartor_status no_memory(sartor_context *ctx) {
    return sr_fail(ctx, SARTOR_MEMORY, "not enough memory");
}

/* ---- a generation that is to be ---- */

typedef struct newborn {
    int slot, refused;
    sr_birth birth;
    const char *baseline; /* a preset's name, or NULL */
    double values[SR_OBJECTIVE_COUNT];
    char arch[SR_HASH_TEXT];
    sr_genome genome;
} newborn;

typedef struct brood {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    int generation, n, room;
    newborn *child;
    sr_population parents;
    double nearest[SR_MAX_LIMITS]; /* smallest value seen of each limited objective */
} brood;

static sartor_status seen(brood *b, const char *arch, bool *answer) {
    *answer = false;
    for (int i = 0; i < b->n && !*answer; i++) *answer = strcmp(b->child[i].arch, arch) == 0;
    if (*answer) return SARTOR_OK;
    sr_query rows;
    SR_TRY(sr_sql(b->ctx, b->study, &rows, "SELECT 1 FROM trial WHERE arch = ?", "s", arch));
    *answer = sr_next(&rows);
    return sr_done(&rows);
}

/* Whether a drawn candidate is new and within the limits that can be known now. */
static sartor_status consider(brood *b, newborn *child, bool *good) {
    const sr_search_settings *s = &b->search->settings;
    *good = false;
    b->search->space.identity(&b->search->space, &child->genome, child->arch);
    bool known;
    SR_TRY(seen(b, child->arch, &known));
    if (known) return SARTOR_OK;
    SR_TRY(sr_objectives_compute(b->ctx, &child->genome, &s->sizes, child->values));
    for (int i = 0; i < s->n_limits; i++) {
        double x = child->values[s->limit[i].objective];
        if (x < b->nearest[i]) b->nearest[i] = x;
    }
    *good = sr_violation(s->limit, s->n_limits, child->values) <= 0;
    return SARTOR_OK;
}

static sartor_status propose(brood *b, int slot, int attempt, newborn *child) {
    const sr_search *search = b->search;
    if (b->generation > 0 && attempt < PROPOSALS)
        return search->settings.algorithm->propose(
            b->ctx, &search->evolution, sr_population_members(&b->parents), b->parents.n,
            b->generation, slot, attempt, &child->genome, &child->birth);
    sr_first_candidate(&search->evolution, b->generation, slot, attempt, &child->genome);
    child->birth = (sr_birth){.how = "sample", .parent = {-1, -1}};
    return SARTOR_OK;
}

/* A child for one slot; the slot stays empty when everything that is drawn was seen before or lies
 * beyond the limits. */
static sartor_status fill_slot(brood *b, int slot) {
    newborn *child = &b->child[b->n];
    for (int attempt = 0; attempt < PROPOSALS + DRAWS; attempt++) {
        bool good;
        if (sr_interrupted(b->ctx)) return sr_fail(b->ctx, SARTOR_INTERRUPTED, "interrupted");
        SR_TRY(propose(b, slot, attempt, child));
        SR_TRY(consider(b, child, &good));
        if (!good) continue;
        child->slot = slot;
        child->refused = attempt;
        child->baseline = NULL;
        b->n++;
        return SARTOR_OK;
    }
    return SARTOR_OK;
}

/* Presets take the first slots of the first generation. */
static sartor_status add_baselines(brood *b) {
    const sr_search_settings *s = &b->search->settings;
    for (const char *p = s->seed_with; p != NULL && *p != '\0' && b->n < b->room;) {
        size_t n = strcspn(p, ",");
        char name[64];
        if (n >= sizeof name) return sr_fail(b->ctx, SARTOR_FORMAT, "seed-with is not a list");
        memcpy(name, p, n);
        name[n] = '\0';
        p += n + (p[n] == ',');
        const sr_preset *preset = sr_preset_find(name);
        if (preset == NULL) return sr_fail(b->ctx, SARTOR_FORMAT, "no preset %s", name);
        newborn *child = &b->child[b->n];
        SR_TRY(sr_arch_parse(b->ctx, preset->name, s->livs, &child->genome));
        sr_genome_canonical(&child->genome);
        bool good;
        SR_TRY(consider(b, child, &good));
        if (!good) {
            sr_log(b->ctx, "%s is not in the first population: beyond a limit, or there twice",
                   name);
            continue;
        }
        child->slot = b->n;
        child->refused = 0;
        child->birth = (sr_birth){.how = "seed", .parent = {-1, -1}};
        child->baseline = preset->name;
        b->n++;
    }
    return SARTOR_OK;
}

static sartor_status none_within_limits(const brood *b) {
    const sr_search_settings *s = &b->search->settings;
    if (s->n_limits == 0)
        return sr_fail(b->ctx, SARTOR_INVALID, "the space has no architecture at all");
    int worst = 0;
    for (int i = 1; i < s->n_limits; i++)
        if (b->nearest[i] / s->limit[i].most > b->nearest[worst] / s->limit[worst].most) worst = i;
    const char *name = sr_objective_get(s->limit[worst].objective)->name;
    return sr_fail(
        b->ctx, SARTOR_INVALID,
        "no architecture within the limits was found: the smallest %s of thousands drawn "
        "is %g, the limit is %g",
        name, b->nearest[worst], s->limit[worst].most);
}

static sartor_status make_brood(brood *b) {
    const sr_search *search = b->search;
    const int slots = search->settings.algorithm->children(&search->evolution, b->generation);
    b->room = slots;
    SR_TRY(sr_alloc(b->ctx, (size_t)slots, sizeof *b->child, "a generation", (void **)&b->child));
    for (int i = 0; i < SR_MAX_LIMITS; i++) b->nearest[i] = INFINITY;
    if (b->generation == 0)
        SR_TRY(add_baselines(b));
    else
        SR_TRY(sr_population_parents(b->ctx, b->study, search, b->generation - 1, &b->parents));
    if (b->generation > 0 && b->parents.n == 0)
        return sr_fail(b->ctx, SARTOR_FORMAT, "%s: generation %d has no parents",
                       sr_study_path(b->study), b->generation);
    for (int slot = b->n; slot < slots; slot++) SR_TRY(fill_slot(b, slot));
    return b->n == 0 && b->generation == 0 ? none_within_limits(b) : SARTOR_OK;
}

/* ---- storing a generation ---- */

static sartor_status add_training(brood *b, const newborn *child, int64_t trial, const char *genome,
                                  int64_t *job) {
    double work;
    SR_TRY(sr_expected_work(b->ctx, b->study, &child->genome, child->values[SR_FLOPS],
                            b->search->settings.train_tokens, &work));
    json_t *spec = json_pack("{s:I, s:s}", "trial", (json_int_t)trial, "genome", genome);
    if (spec == NULL) return no_memory(b->ctx);
    sartor_status status =
        sr_job_add(b->ctx, b->study, SR_KIND_TRIAL, child->arch, spec, work, false, job, NULL);
    json_decref(spec);
    return status;
}

static sartor_status add_values(brood *b, const newborn *child, int64_t trial) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++)
        if (!isnan(child->values[i]))
            SR_TRY(sr_run_sql(b->ctx, b->study, NULL,
                              "INSERT INTO value (trial, name, value) VALUES (?, ?, ?)", "isd",
                              trial, sr_objective_get(i)->name, child->values[i]));
    return SARTOR_OK;
}

static sartor_status parent_id(const brood *b, int index, char *text, size_t room) {
    if (index < 0 || index >= b->parents.n) return SARTOR_INVALID;
    snprintf(text, room, "%" PRId64, b->parents.trial[index]);
    return SARTOR_OK;
}

static sartor_status store_child(brood *b, const newborn *child, int64_t trial) {
    const sr_search_settings *s = &b->search->settings;
    const bool trained = sr_search_needs(s, SR_TRAINED), measured = sr_search_needs(s, SR_MEASURED);
    char *genome = b->search->space.print(&b->search->space, &child->genome);
    if (genome == NULL) return no_memory(b->ctx);
    char parent[2][24];
    bool has[2];
    for (int i = 0; i < 2; i++)
        has[i] = parent_id(b, child->birth.parent[i], parent[i], sizeof parent[i]) == SARTOR_OK;
    char job_text[24];
    int64_t job = 0;
    sartor_status status = trained ? add_training(b, child, trial, genome, &job) : SARTOR_OK;
    snprintf(job_text, sizeof job_text, "%" PRId64, job);
    if (status == SARTOR_OK)
        status = sr_run_sql(
            b->ctx, b->study, NULL,
            "INSERT INTO trial (id, generation, slot, genome, arch, parent1, parent2, operator,"
            " mutations, refused, baseline, job, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
            " ?, ?)",
            "iiisssssiisss", trial, (int64_t)b->generation, (int64_t)child->slot, genome,
            child->arch, has[0] ? parent[0] : NULL, has[1] ? parent[1] : NULL, child->birth.how,
            (int64_t)child->birth.mutations, (int64_t)child->refused, child->baseline,
            trained ? job_text : NULL, trained || measured ? "open" : "done");
    free(genome);
    return status == SARTOR_OK ? add_values(b, child, trial) : status;
}

/* The largest number of a generation; -1: there is none. */
static sartor_status latest(sartor_context *ctx, sr_study *study, const char *sql, int *number) {
    sr_query rows;
    bool good = true;
    *number = -1;
    SR_TRY(sr_sql(ctx, study, &rows, sql, ""));
    if (sr_next(&rows) && !sr_is_null(&rows, 0)) {
        int64_t n = sr_int(&rows, 0);
        good = sr_is_integer(&rows, 0) && n >= 0 && n <= SR_MAX_GENERATIONS;
        if (good) *number = (int)n;
    }
    SR_TRY(sr_done(&rows));
    return good ? SARTOR_OK
                : sr_fail(ctx, SARTOR_FORMAT, "%s: is corrupted (number of a generation)",
                          sr_study_path(study));
}

static sartor_status latest_generation(sartor_context *ctx, sr_study *study, int *number) {
    return latest(ctx, study, "SELECT max(generation) FROM trial", number);
}

static sartor_status store_inside(brood *b) {
    int there;
    SR_TRY(latest_generation(b->ctx, b->study, &there));
    if (there >= b->generation) return SARTOR_OK;
    sr_query rows;
    SR_TRY(sr_sql(b->ctx, b->study, &rows, "SELECT coalesce(max(id), 0) FROM trial", ""));
    int64_t last = sr_next(&rows) ? sr_int(&rows, 0) : 0;
    SR_TRY(sr_done(&rows));
    for (int i = 0; i < b->n; i++) SR_TRY(store_child(b, &b->child[i], last + 1 + i));
    return b->n == 0 ? sr_study_put(b->ctx, b->study, SR_FACT_EXHAUSTED, "1") : SARTOR_OK;
}

/* Runs `inside` in a transaction of its own. */
static sartor_status in_transaction(sartor_context *ctx, sr_study *study,
                                    sartor_status (*inside)(void *), void *user) {
    SR_TRY(sr_study_begin(ctx, study));
    sartor_status status = inside(user);
    if (status == SARTOR_OK) status = sr_study_commit(ctx, study);
    if (status != SARTOR_OK) sr_study_rollback(study);
    return status;
}

static sartor_status store_brood(void *user) { return store_inside(user); }

static sartor_status start_generation(sartor_context *ctx, sr_study *study, const sr_search *search,
                                      int generation) {
    brood b = {.ctx = ctx, .study = study, .search = search, .generation = generation};
    sartor_status status = make_brood(&b);
    if (status == SARTOR_OK) status = in_transaction(ctx, study, store_brood, &b);
    sr_population_free(&b.parents);
    free(b.child);
    return status;
}

/* ---- a generation's end ---- */

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
    sartor_status status = ids != NULL ? SARTOR_OK : no_memory(e->ctx);
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
            status = no_memory(e->ctx);
    if (status == SARTOR_OK && (e->front = json_dumps(ids, JSON_COMPACT)) == NULL)
        status = no_memory(e->ctx);
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
    SR_TRY(latest(e->ctx, e->study, "SELECT max(number) FROM generation", &there));
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

static sartor_status end_generation(sartor_context *ctx, sr_study *study, const sr_search *search,
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
    if (status == SARTOR_OK) status = in_transaction(ctx, study, store_ending, &e);
    sr_population_free(&e.members);
    free(e.chosen);
    free(e.front);
    return status;
}

/* ---- advancing ---- */

/* Trials whose job was given up are failed; trained ones of a generation that is measured get
 * their measurement. */
typedef struct settling {
    sartor_context *ctx;
    sr_study *study;
    const sr_search *search;
    int generation;
    int64_t open;
} settling;

static sartor_status add_measurement(settling *s, int64_t trial, int64_t job, const char *genome) {
    json_t *spec = json_pack("{s:I, s:I, s:s}", "trial", (json_int_t)trial, "job", (json_int_t)job,
                             "genome", genome);
    char name[40];
    snprintf(name, sizeof name, "trial %" PRId64, trial);
    if (spec == NULL) return no_memory(s->ctx);
    int64_t id;
    sartor_status status =
        sr_job_add(s->ctx, s->study, SR_KIND_MEASURE, name, spec, 1, true, &id, NULL);
    json_decref(spec);
    SR_TRY(status);
    return sr_run_sql(s->ctx, s->study, NULL, "UPDATE trial SET measure = ? WHERE id = ?", "ii", id,
                      trial);
}

/* Each has a job that will be done: else nobody would ever see the end of the wait. */
static sartor_status count_open(settling *s) {
    sr_query rows;
    int64_t stuck = 0;
    SR_TRY(sr_sql(s->ctx, s->study, &rows,
                  "SELECT count(*), min(CASE WHEN EXISTS (SELECT 1 FROM job WHERE job.id IN"
                  " (trial.job, trial.measure) AND job.state IN ('waiting', 'running'))"
                  " THEN NULL ELSE trial.id END) FROM trial WHERE state = 'open'",
                  ""));
    bool found = sr_next(&rows);
    bool all = !found || sr_is_null(&rows, 1);
    s->open = found ? sr_int(&rows, 0) : 0;
    if (!all) stuck = sr_int(&rows, 1);
    SR_TRY(sr_done(&rows));
    return all ? SARTOR_OK
               : sr_fail(s->ctx, SARTOR_FORMAT, "%s: is corrupted (trial %" PRId64 " has no job)",
                         sr_study_path(s->study), stuck);
}

static sartor_status settle(void *user) {
    settling *s = user;
    SR_TRY(sr_run_sql(s->ctx, s->study, NULL,
                      "UPDATE trial SET state = 'failed' WHERE state = 'open' AND EXISTS (SELECT 1"
                      " FROM job WHERE job.id IN (trial.job, trial.measure) AND job.state ="
                      " 'failed')",
                      ""));
    while (sr_search_needs(&s->search->settings, SR_MEASURED)) {
        sr_query rows;
        SR_TRY(sr_sql(s->ctx, s->study, &rows,
                      "SELECT id, job, genome FROM trial WHERE state = 'open' AND measure IS NULL"
                      " AND (job IS NULL OR EXISTS (SELECT 1 FROM job WHERE job.id = trial.job"
                      " AND job.state = 'done')) ORDER BY id LIMIT 1",
                      ""));
        bool more = sr_next(&rows);
        int64_t trial = more ? sr_int(&rows, 0) : 0, job = more ? sr_int(&rows, 1) : 0;
        char *genome = more && sr_text(&rows, 2) != NULL ? strdup(sr_text(&rows, 2)) : NULL;
        sartor_status status = sr_done(&rows);
        if (status == SARTOR_OK && more)
            status = genome != NULL ? add_measurement(s, trial, job, genome) : no_memory(s->ctx);
        free(genome);
        SR_TRY(status);
        if (!more) break;
    }
    return count_open(s);
}

static sartor_status total_generations(sartor_context *ctx, sr_study *study, int *total) {
    char *text;
    SR_TRY(sr_study_get(ctx, study, SR_FACT_GENERATIONS, &text));
    long stored = text != NULL ? strtol(text, NULL, 10) : 0;
    *total = (int)(stored < 0 ? 0 : stored > SR_MAX_GENERATIONS ? SR_MAX_GENERATIONS : stored);
    free(text);
    SR_TRY(sr_study_get(ctx, study, SR_FACT_EXHAUSTED, &text));
    bool exhausted = text != NULL;
    free(text);
    if (!exhausted) return SARTOR_OK;
    SR_TRY(latest(ctx, study, "SELECT max(number) FROM generation", total));
    ++*total;
    return SARTOR_OK;
}

/* One generation's end, and the next one's start. */
static sartor_status step(sartor_context *ctx, sr_study *study, const sr_search *search,
                          bool *finished) {
    int now, ended, total;
    SR_TRY(latest_generation(ctx, study, &now));
    SR_TRY(latest(ctx, study, "SELECT max(number) FROM generation", &ended));
    SR_TRY(total_generations(ctx, study, &total));
    if (now > ended) {
        settling s = {.ctx = ctx, .study = study, .search = search, .generation = now};
        SR_TRY(in_transaction(ctx, study, settle, &s));
        if (s.open > 0) return SARTOR_OK;
        SR_TRY(end_generation(ctx, study, search, now));
        sr_search_prune(ctx, study);
    }
    *finished = search->jobs_only || now + 1 >= total;
    return *finished ? SARTOR_OK : start_generation(ctx, study, search, now + 1);
}

/* Called when no job is open. */
sartor_status sr_search_advance(sartor_context *ctx, sr_study *study, void *user, bool *finished) {
    const sr_search *search = user;
    /* Where nothing is trained or measured, there will be no jobs to wait for. */
    const bool jobs = sr_search_needs(&search->settings, SR_TRAINED) ||
                      sr_search_needs(&search->settings, SR_MEASURED);
    *finished = false;
    do {
        if (sr_interrupted(ctx)) return sr_fail(ctx, SARTOR_INTERRUPTED, "interrupted");
        SR_TRY(step(ctx, study, search, finished));
    } while (!jobs && !*finished);
    return SARTOR_OK;
}
