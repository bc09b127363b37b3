#include "study/purpose.h"

#include <string.h>

const char *sr_settings_purpose(const json_t *settings) {
    const char *name = json_string_value(json_object_get(settings, SR_SETTING_PURPOSE));
    return name != NULL ? name : "search";
}

const char *sr_study_purpose_name(const sr_study *study) {
    return sr_settings_purpose(sr_study_settings(study));
}

sartor_status sr_study_purpose_check(sartor_context *ctx, const sr_study *study, const char *name) {
    const char *is = sr_study_purpose_name(study);
    return strcmp(is, name) == 0
               ? SARTOR_OK
               : sr_fail(ctx, SARTOR_INVALID, "%s: is a study of sartor %.32s, not of sartor %s",
                         sr_study_path(study), is, name);
}
