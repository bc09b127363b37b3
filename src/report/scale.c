/* What the report of scaling laws shows: the answer, with bands, and how far the study is. */
#include "report/report.h"

#include "probe/scale.h"
#include "study/jobs.h"
#include <sartor/sartor.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *counts_json(const sr_job_counts *c) {
    return json_pack("{s:I, s:I, s:I, s:I}", "done", (json_int_t)c->done, "running",
                     (json_int_t)c->running, "failed", (json_int_t)c->failed, "waiting",
                     (json_int_t)c->waiting);
}

sartor_status sr_report_scale(sartor_context *ctx, sr_study *study, json_t **data) {
    sr_job_counts counts;
    const char *path = sr_study_path(study), *slash = strrchr(path, '/');
    char made[SR_REPORT_TIME];
    SR_TRY(sr_job_count(ctx, study, SR_KIND_SCALE, sr_all_jobs, &counts));
    SR_TRY(sr_scale_answer(ctx, study, true, data));
    json_t *head = json_pack("{s:s, s:s, s:s, s:s, s:O, s:o}", "purpose", SR_PURPOSE_SCALE, "title",
                             slash != NULL ? slash + 1 : path, "made", sr_report_time(made),
                             "sartor", sartor_version(), "settings", sr_study_settings(study),
                             "state", counts_json(&counts));
    const bool good = head != NULL && json_object_update(*data, head) == 0;
    json_decref(head);
    if (good) return SARTOR_OK;
    json_decref(*data);
    *data = NULL;
    return sr_no_memory(ctx);
}
