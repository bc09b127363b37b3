/* What a study is for: a search, a MAD suite, a scaling law ...
 *
 * The setting "purpose" names it; a study without one is a search. A purpose brings its kinds of
 * jobs and says what comes next; everything else about a study is the same for all. */
#ifndef SR_STUDY_PURPOSE_H
#define SR_STUDY_PURPOSE_H

#include "study/worker.h"

#define SR_SETTING_PURPOSE "purpose"

typedef struct sr_study_purpose {
    const char *name;  /* the setting */
    const char *title; /* as in messages: "a search", "a MAD suite" */
    const sr_job_kind *kinds;
    int n_kinds;
    /* What kinds and `advance` get as `user`, from the settings and facts of the study. */
    sartor_status (*open)(sartor_context *ctx, const sr_study *study, bool jobs_only, void **user);
    void (*close)(void *user); /* also of NULL */
    /* See sr_worker_options; NULL: finished when no job is open. */
    sartor_status (*advance)(sartor_context *ctx, sr_study *study, void *user, bool *finished);
} sr_study_purpose;

/* The name of a purpose in settings, or of a study's: "search" where the setting is missing. */
const char *sr_settings_purpose(const json_t *settings);
const char *sr_study_purpose_name(const sr_study *study);
/* SARTOR_INVALID with a line that says what the study is for when that is not `name`. */
sartor_status sr_study_purpose_check(sartor_context *ctx, const sr_study *study, const char *name);

#endif
