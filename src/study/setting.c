#include "study/setting.h"

#include <string.h>

void sr_setting_wrong(sr_settings_reader *r, const char *name) {
    if (r->status == SARTOR_OK)
        r->status = sr_fail(r->ctx, SARTOR_FORMAT, "the setting %s is missing or wrong", name);
}

int64_t sr_setting_integer(sr_settings_reader *r, const char *name, int64_t low, int64_t high) {
    const json_t *value = json_object_get(r->json, name);
    int64_t x = json_integer_value(value);
    if (json_is_integer(value) && x >= low && x <= high) return x;
    sr_setting_wrong(r, name);
    return low;
}

double sr_setting_real(sr_settings_reader *r, const char *name) {
    const json_t *value = json_object_get(r->json, name);
    if (!json_is_number(value) || json_number_value(value) < 0) sr_setting_wrong(r, name);
    return json_number_value(value);
}

const char *sr_setting_text(sr_settings_reader *r, const char *name) {
    const char *s = json_string_value(json_object_get(r->json, name));
    if (s == NULL) sr_setting_wrong(r, name);
    return s != NULL ? s : "";
}

int sr_setting_choice(sr_settings_reader *r, const char *name, const char *zero, const char *one) {
    const char *s = sr_setting_text(r, name);
    if (strcmp(s, one) == 0) return 1;
    if (strcmp(s, zero) != 0) sr_setting_wrong(r, name);
    return 0;
}
