/* sartor_work(): working on a study, whatever it is for. */
#include "search/progress.h"

#include "probe/mad_study.h"
#include "probe/scale.h"
#include "study/local.h"

#include <stdlib.h>
#include <string.h>

static const sr_study_purpose *const purposes[] = {&sr_search_purpose, &sr_scale_purpose,
                                                   &sr_mad_purpose};

static sartor_status find(sartor_context *ctx, const sr_study *study,
                          const sr_study_purpose **purpose) {
    const char *name = sr_study_purpose_name(study);
    for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++) {
        *purpose = purposes[i];
        if (strcmp(purposes[i]->name, name) == 0) return SARTOR_OK;
    }
    return sr_fail(ctx, SARTOR_FORMAT, "%s: a study for \"%.32s\", which this sartor does not know",
                   sr_study_path(study), name);
}

sartor_status sr_supervise_progress(sartor_context *ctx, const sr_local_options *options,
                                    sartor_study_progress_fn progress, void *user) {
    sr_progress_watch watch = {.call = progress, .user = user, .workers = options->workers};
    sr_local_options local = *options;
    local.poll = progress != NULL ? sr_progress_poll : NULL;
    local.poll_user = &watch;
    sartor_status status = sr_local_supervise(ctx, &local);
    sr_progress_end(&watch);
    return status;
}

static sartor_status work(sartor_context *ctx, const sartor_work_options *o, sr_job_set only,
                          sr_study **study) {
    const sr_study_purpose *purpose;
    void *user = NULL;
    SR_TRY(sr_study_open(ctx, o->study, SR_STUDY_WRITE, study));
    SR_TRY(find(ctx, *study, &purpose));
    sartor_status status = purpose->open(ctx, *study, o->jobs_only, &user);
    if (status == SARTOR_OK && !o->mixed) status = sr_machine_check(ctx, *study);
    if (status == SARTOR_OK && o->worker_name != NULL) {
        status = sr_local_work(ctx, *study, purpose, o->worker_name, only, user);
    } else if (status == SARTOR_OK) {
        sr_study_close(study);
        sr_local_options local = {.study = o->study,
                                  .program = o->program,
                                  .workers = o->workers > 0 ? o->workers : 1,
                                  .mixed = o->mixed,
                                  .jobs_only = o->jobs_only,
                                  .jobs = o->jobs};
        status = sr_supervise_progress(ctx, &local, o->progress, o->progress_user);
    }
    purpose->close(user);
    return status;
}

sartor_status sartor_work(sartor_context *ctx, const sartor_work_options *o) {
    sr_study *study = NULL;
    char *spans;
    if (o->study == NULL) return sr_fail(ctx, SARTOR_INVALID, "no study is given");
    SR_TRY(sr_job_set_parse(ctx, o->jobs, &spans));
    sartor_status status = work(ctx, o, (sr_job_set){spans}, &study);
    sr_study_close(&study);
    free(spans);
    return status;
}
