/* Making a study, and whether an existing one was made with the same settings. */
#define _GNU_SOURCE
#include "study/internal.h"
#include "study/purpose.h"
#include "study/schema.h"
#include "study/sql.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- settings ---- */

static sartor_status json_text(sartor_context *ctx, const json_t *json, size_t digits,
                               char **text) {
    *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
    return *text != NULL ? SARTOR_OK
                         : sr_fail(ctx, SARTOR_MEMORY, "study: not enough memory for JSON");
}

sartor_status sr_json_value_text(sartor_context *ctx, const json_t *json, char **text) {
    return json_text(ctx, json, 17, text);
}

static bool same_value(const json_t *stored, const json_t *asked) {
    if (json_equal(stored, asked)) return true;
    bool both_integers = json_is_integer(stored) && json_is_integer(asked);
    return json_is_number(stored) && json_is_number(asked) && !both_integers &&
           json_number_value(stored) == json_number_value(asked);
}

/* What a study has that does not mention a setting: without rungs, say, it was also made by a
 * program that had none. */
static const char *unmentioned(const char *key) {
    static const struct { const char *key, *value; } defaults[] = {{"evaluator", "scratch"}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (strcmp(key, defaults[i].key) == 0) return defaults[i].value;
    return "none";
}

/* Both values as people write them. */
static sartor_status differ(sartor_context *ctx, const sr_study *study, const char *key,
                            const json_t *stored, const json_t *asked) {
    const json_t *values[2] = {stored, asked};
    char *texts[2] = {NULL, NULL};
    const char *shown[2] = {unmentioned(key), unmentioned(key)};
    sartor_status status = SARTOR_OK;
    for (int i = 0; i < 2 && status == SARTOR_OK; i++) {
        if (json_is_string(values[i]))
            shown[i] = json_string_value(values[i]);
        else if (values[i] != NULL && !json_is_null(values[i])) {
            status = json_text(ctx, values[i], 15, &texts[i]);
            shown[i] = texts[i];
        }
    }
    if (status == SARTOR_OK)
        status = sr_fail(ctx, SARTOR_MISMATCH, "%s: was made with %s %.200s, asked for is %.200s",
                         study->path, key, shown[0], shown[1]);
    free(texts[0]);
    free(texts[1]);
    return status;
}

static sartor_status compare_settings(sartor_context *ctx, const sr_study *study,
                                      const json_t *asked) {
    const char *key;
    json_t *value, *wanted = (json_t *)(uintptr_t)asked; /* only read */
    SR_TRY(sr_study_purpose_check(ctx, study, sr_settings_purpose(asked)));
    json_object_foreach(wanted, key, value) {
        const json_t *stored = json_object_get(study->settings, key);
        if (!same_value(stored, value)) return differ(ctx, study, key, stored, value);
    }
    json_object_foreach(study->settings, key, value) {
        if (json_object_get(asked, key) == NULL) return differ(ctx, study, key, value, NULL);
    }
    return SARTOR_OK;
}

/* ---- creation ---- */

/* Jobs of another study would be taken for those of this one. */
static sartor_status check_folder(sartor_context *ctx, const sr_study *study) {
    bool others = false;
    DIR *folder = opendir(study->folder);
    for (const struct dirent *e; folder != NULL && !others && (e = readdir(folder)) != NULL;)
        others = e->d_name[0] != '.' && strcmp(e->d_name, "workers") != 0;
    if (folder != NULL) closedir(folder);
    return others ? sr_fail(ctx, SARTOR_IO,
                            "%s: %s has files of a study that is gone; remove it, or choose "
                            "another name",
                            study->path, study->folder)
                  : SARTOR_OK;
}

static sartor_status fill_in(sartor_context *ctx, sr_study *study, const char *settings,
                             bool *created) {
    sr_study_header header;
    SR_TRY(sr_study_header_read(ctx, study, &header));
    if (!header.empty) return sr_study_header_check(ctx, study, &header);
    SR_TRY(check_folder(ctx, study));
    SR_TRY(sr_schema_migrate(ctx, study, 0));
    SR_TRY(sr_study_put(ctx, study, "settings", settings));
    *created = true;
    return SARTOR_OK;
}

/* In one transaction, so that there is a complete study or none, whoever else makes it. */
static sartor_status make_tables(sartor_context *ctx, sr_study *study, const json_t *settings,
                                 bool *created) {
    char *text;
    SR_TRY(sr_json_value_text(ctx, settings, &text));
    sartor_status status = sr_study_begin(ctx, study);
    if (status == SARTOR_OK) {
        status = fill_in(ctx, study, text, created);
        if (status == SARTOR_OK)
            status = sr_study_commit(ctx, study);
        else
            sr_study_rollback(study);
    }
    free(text);
    return status;
}

static sartor_status create(sartor_context *ctx, sr_study *study, const json_t *settings,
                            bool *created) {
    sr_study_header header;
    SR_TRY(sr_study_check_place(ctx, study->path, true));
    if (access(study->path, F_OK) != 0) SR_TRY(check_folder(ctx, study)); /* leaves no file */
    SR_TRY(sr_study_connect(ctx, study, study->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    SR_TRY(sr_study_header_read(ctx, study, &header));
    if (!header.empty) SR_TRY(sr_study_header_check(ctx, study, &header));
    SR_TRY(sr_study_prepare_writing(ctx, study));
    if (header.empty) SR_TRY(make_tables(ctx, study, settings, created));
    if (!*created) SR_TRY(sr_study_migrate(ctx, study));
    SR_TRY(sr_study_load_settings(ctx, study));
    return *created ? SARTOR_OK : compare_settings(ctx, study, settings);
}

sartor_status sr_study_create(sartor_context *ctx, const char *path, const json_t *settings,
                              sr_study **study, bool *created) {
    bool unused;
    if (created == NULL) created = &unused;
    *created = false;
    SR_TRY(sr_study_new(ctx, path, study));
    sartor_status status = create(ctx, *study, settings, created);
    if (status != SARTOR_OK) sr_study_close(study);
    return status;
}
