/* Which weights of finished trials stay: those of the front, of the parents too, or all. Where
 * children inherit, those of the parents always do. */
#include "search/jobs.h"

#include "study/sql.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Whether a training job's folder is still needed: open work, or kept by the policy. */
static sartor_status needed(sartor_context *ctx, sr_study *study, int64_t job, const char *policy,
                            bool *answer) {
    sr_query rows;
    *answer = true;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT trial.state = 'open'"
                  " OR trial.id IN (SELECT value FROM json_each((SELECT front FROM generation"
                  "   ORDER BY number DESC LIMIT 1)))"
                  " OR (? = 'parents' AND trial.id IN (SELECT trial FROM parent WHERE generation ="
                  "   (SELECT max(generation) FROM parent)))"
                  " FROM trial WHERE trial.job = ?",
                  "si", policy, job));
    if (sr_next(&rows)) *answer = sr_int(&rows, 0) != 0;
    return sr_done(&rows);
}

void sr_search_prune(sartor_context *ctx, sr_study *study, const sr_search *search) {
    char *stored = NULL, *trials = sr_study_inside(study, SR_KIND_TRIAL);
    if (sr_study_get(ctx, study, SR_FACT_KEEP, &stored) != SARTOR_OK) stored = NULL;
    const bool some = stored != NULL && strcmp(stored, "all") != 0;
    const char *policy = search->settings.inherit ? "parents" : stored;
    DIR *folder = trials != NULL && some ? opendir(trials) : NULL;
    for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char *end;
        int64_t job = strtoll(e->d_name, &end, 10);
        bool keep;
        if (job <= 0 || *end != '\0' || needed(ctx, study, job, policy, &keep) != SARTOR_OK || keep)
            continue;
        char *path = sr_study_inside(study, SR_KIND_TRIAL "/%" PRId64, job);
        if (path != NULL) sr_remove_folder(path);
        free(path);
    }
    if (folder != NULL) closedir(folder);
    free(stored);
    free(trials);
}
