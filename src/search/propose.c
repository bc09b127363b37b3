/* A generation's start: children of the parents, new and within the limits, and the rows of their
 * trials. */
#include "search/generation.h"
#include "search/jobs.h"
#include "search/lineage.h"
#include "search/rungs.h"
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

static int64_t parent_of(const brood *b, const newborn *child, int i) {
    const int index = child->birth.parent[i];
    return index >= 0 && index < b->parents.n ? b->parents.trial[index] : 0;
}

static sartor_status choose_legacy(brood *b, const newborn *child, sr_legacy *legacy) {
    int64_t trial[SR_MAX_PARENTS];
    const sr_genome *genome[SR_MAX_PARENTS] = {NULL};
    for (int i = 0; i < SR_MAX_PARENTS; i++) {
        trial[i] = parent_of(b, child, i);
        if (trial[i] != 0) genome[i] = &b->parents.genome[child->birth.parent[i]];
    }
    return sr_legacy_choose(b->ctx, b->study, b->search, &child->genome, trial, genome, legacy);
}

static sartor_status add_training(brood *b, const newborn *child, int64_t trial, const char *genome,
                                  const sr_legacy *legacy, int64_t *job) {
    const sr_search_settings *s = &b->search->settings;
    const int64_t budget = legacy->n > 0 ? s->inherit_tokens : s->train_tokens;
    double work;
    SR_TRY(sr_expected_work(b->ctx, b->study, &child->genome, child->values[SR_FLOPS],
                            (int64_t)(sr_stage_end(s, 0) * (double)budget), &work));
    json_t *spec = json_pack("{s:I, s:s}", "trial", (json_int_t)trial, "genome", genome);
    if (spec == NULL) return sr_no_memory(b->ctx);
    sartor_status status = sr_legacy_specify(b->ctx, b->search, legacy, b->generation, spec);
    if (status == SARTOR_OK) status = sr_stage_specify(b->ctx, b->search, spec);
    if (status == SARTOR_OK)
        status =
            sr_job_add(b->ctx, b->study, SR_KIND_TRIAL, child->arch, spec, work, false, job, NULL);
    json_decref(spec);
    return status;
}

static sartor_status add_probe(brood *b, const newborn *child, int64_t trial, const char *genome) {
    double work;
    SR_TRY(sr_expected_work(b->ctx, b->study, &child->genome, child->values[SR_FLOPS],
                            sr_probe_tokens(&b->search->settings.mad), &work));
    json_t *spec = json_pack("{s:I, s:s}", "trial", (json_int_t)trial, "genome", genome);
    if (spec == NULL) return sr_no_memory(b->ctx);
    int64_t job;
    sartor_status status =
        sr_job_add(b->ctx, b->study, SR_KIND_PROBE, child->arch, spec, work, false, &job, NULL);
    json_decref(spec);
    return status;
}

static sartor_status add_values(brood *b, const newborn *child, const sr_legacy *legacy,
                                int64_t trial) {
    for (int i = 0; i < SR_OBJECTIVE_COUNT; i++)
        if (!isnan(child->values[i]))
            SR_TRY(sr_run_sql(b->ctx, b->study, NULL,
                              "INSERT INTO value (trial, name, value) VALUES (?, ?, ?)", "isd",
                              trial, sr_objective_get(i)->name, child->values[i]));
    if (legacy->n == 0) return SARTOR_OK;
    return sr_run_sql(b->ctx, b->study, NULL,
                      "INSERT INTO value (trial, name, value) VALUES (?, ?, ?)", "isd", trial,
                      SR_VALUE_INHERITED, legacy->share);
}

static sartor_status store_child(brood *b, const newborn *child, int64_t trial) {
    const sr_search_settings *s = &b->search->settings;
    const bool trained = sr_search_needs(s, SR_TRAINED);
    char *genome = b->search->space.print(&b->search->space, &child->genome);
    if (genome == NULL) return sr_no_memory(b->ctx);
    char parent[2][24];
    bool has[2];
    for (int i = 0; i < 2; i++) {
        has[i] = parent_of(b, child, i) != 0;
        snprintf(parent[i], sizeof parent[i], "%" PRId64, parent_of(b, child, i));
    }
    char job_text[24];
    int64_t job = 0;
    sr_legacy legacy = {.n = 0};
    sartor_status status = trained ? choose_legacy(b, child, &legacy) : SARTOR_OK;
    if (status == SARTOR_OK && trained)
        status = add_training(b, child, trial, genome, &legacy, &job);
    snprintf(job_text, sizeof job_text, "%" PRId64, job);
    if (status == SARTOR_OK)
        status = sr_run_sql(
            b->ctx, b->study, NULL,
            "INSERT INTO trial (id, generation, slot, genome, arch, parent1, parent2, operator,"
            " mutations, repairs, refused, baseline, job, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?,"
            " ?, ?, ?, ?, ?, ?)",
            "iiisssssiiisss", trial, (int64_t)b->generation, (int64_t)child->slot, genome,
            child->arch, has[0] ? parent[0] : NULL, has[1] ? parent[1] : NULL, child->birth.how,
            (int64_t)child->birth.mutations, (int64_t)child->birth.repairs, (int64_t)child->refused,
            child->baseline, trained ? job_text : NULL, sr_search_has_jobs(s) ? "open" : "done");
    if (status == SARTOR_OK && sr_search_needs(s, SR_PROBED))
        status = add_probe(b, child, trial, genome);
    free(genome);
    return status == SARTOR_OK ? add_values(b, child, &legacy, trial) : status;
}

static sartor_status store_inside(brood *b) {
    int there;
    SR_TRY(sr_generation_latest(b->ctx, b->study, SR_LATEST_STARTED, &there));
    if (there >= b->generation) return SARTOR_OK;
    sr_query rows;
    SR_TRY(sr_sql(b->ctx, b->study, &rows, "SELECT coalesce(max(id), 0) FROM trial", ""));
    int64_t last = sr_next(&rows) ? sr_int(&rows, 0) : 0;
    SR_TRY(sr_done(&rows));
    for (int i = 0; i < b->n; i++) SR_TRY(store_child(b, &b->child[i], last + 1 + i));
    return b->n == 0 ? sr_study_put(b->ctx, b->study, SR_FACT_EXHAUSTED, "1") : SARTOR_OK;
}

static sartor_status store_brood(void *user) { return store_inside(user); }

sartor_status sr_generation_start(sartor_context *ctx, sr_study *study, const sr_search *search,
                                  int generation) {
    brood b = {.ctx = ctx, .study = study, .search = search, .generation = generation};
    sartor_status status = make_brood(&b);
    if (status == SARTOR_OK) status = sr_in_transaction(ctx, study, store_brood, &b);
    sr_population_free(&b.parents);
    free(b.child);
    return status;
}
