/* Reading the settings of a study back: a study file is input like any other.
 *
 * The first setting that is missing or wrong stays in `status` (SARTOR_FORMAT, with its name in the
 * message); the readers then return something harmless, so that a caller checks once. */
#ifndef SR_STUDY_SETTING_H
#define SR_STUDY_SETTING_H

#include "base/context.h"
#include <jansson.h>
#include <stdint.h>

typedef struct sr_settings_reader {
    sartor_context *ctx;
    const json_t *json;
    sartor_status status;
} sr_settings_reader;

void sr_setting_wrong(sr_settings_reader *r, const char *name);
/* Within low..high; low when wrong. */
int64_t sr_setting_integer(sr_settings_reader *r, const char *name, int64_t low, int64_t high);
/* At least 0. */
double sr_setting_real(sr_settings_reader *r, const char *name);
/* Borrowed; "" when wrong. */
const char *sr_setting_text(sr_settings_reader *r, const char *name);
/* 0 or 1 as the text is `zero` or `one`. */
int sr_setting_choice(sr_settings_reader *r, const char *name, const char *zero, const char *one);

#endif
