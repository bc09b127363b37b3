/* Which weights of finished trials stay: those of the front, of the parents too, or all. Where
 * children inherit, those of the parents always do. */
#define _GNU_SOURCE
#include "search/jobs.h"

#include "study/attempt.h"
#include "study/sql.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a training job's folder is still needed: of a generation that has not ended (whoever
 * looks may be late), the start of a job that goes on, or kept by the policy. */
static sartor_status needed(sartor_context *ctx, sr_study *study, int64_t job, const char *policy,
                            bool *answer) {
    sr_query rows;
    *answer = true;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT NOT EXISTS (SELECT 1 FROM job WHERE id = ?2)"
                  " OR EXISTS (SELECT 1 FROM trial WHERE job = ?2 AND (generation >"
                  "   coalesce((SELECT max(number) FROM generation), -1)"
                  "  OR id IN (SELECT value FROM json_each((SELECT front FROM generation"
                  "   ORDER BY number DESC LIMIT 1)))"
                  "  OR (?1 = 'parents' AND id IN (SELECT trial FROM parent WHERE generation ="
                  "   (SELECT max(generation) FROM parent)))))"
                  " OR EXISTS (SELECT 1 FROM trial JOIN job ON job.id = trial.job"
                  "  WHERE trial.state = 'open' AND json_extract(job.spec, '$.after') = ?2)",
                  "si", policy, job));
    if (sr_next(&rows)) *answer = sr_int(&rows, 0) != 0;
    return sr_done(&rows);
}

/* A trial that was stopped at a rung will not go on. */
static sartor_status drop_checkpoint(sartor_context *ctx, sr_study *study, int64_t job) {
    sr_query rows;
    char *folder = NULL, *path = NULL;
    SR_TRY(sr_sql(ctx, study, &rows, "SELECT 1 FROM trial WHERE job = ? AND state <> 'open'", "i",
                  job));
    const bool ended = sr_next(&rows);
    SR_TRY(sr_done(&rows));
    if (ended) SR_TRY(sr_finished_folder(ctx, study, job, &folder));
    if (folder != NULL && asprintf(&path, "%s/checkpoint.safetensors", folder) >= 0)
        (void)unlink(path);
    free(path);
    free(folder);
    return SARTOR_OK;
}

void sr_search_prune(sartor_context *ctx, sr_study *study, const sr_search *search) {
    char *stored = NULL, *trials = sr_study_inside(study, SR_KIND_TRIAL);
    if (sr_study_get(ctx, study, SR_FACT_KEEP, &stored) != SARTOR_OK) stored = NULL;
    const bool all = stored == NULL || strcmp(stored, "all") == 0;
    const bool look = !all || search->settings.rungs > 0;
    const char *policy = search->settings.inherit ? "parents" : stored;
    DIR *folder = trials != NULL && look ? opendir(trials) : NULL;
    for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char *end;
        int64_t job = strtoll(e->d_name, &end, 10);
        bool keep = all;
        if (job <= 0 || *end != '\0') continue;
        if (!all && needed(ctx, study, job, policy, &keep) != SARTOR_OK) continue;
        if (keep && search->settings.rungs > 0) (void)drop_checkpoint(ctx, study, job);
        if (keep) continue;
        char *path = sr_study_inside(study, SR_KIND_TRIAL "/%" PRId64, job);
        if (path != NULL) sr_remove_folder(path);
        free(path);
    }
    if (folder != NULL) closedir(folder);
    free(stored);
    free(trials);
}
