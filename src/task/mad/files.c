/* Data sets as NumPy files. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "data/npy.h"
#include "task/mad/rows.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const part_names[SR_MAD_PARTS] = {"train", "test", "validation"};
static const char *const half_names[2] = {"inputs", "targets"};

/* `mark` stands between part and half: '_', or '/' where each part has a folder of its own. */
static sartor_status path_of(sartor_context *ctx, const char *folder, int part, char mark, int half,
                             char path[PATH_MAX]) {
    int n =
        snprintf(path, PATH_MAX, "%s/%s%c%s.npy", folder, part_names[part], mark, half_names[half]);
    if (n > 0 && n < PATH_MAX) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_INVALID, "%.40s...: the path is too long", folder);
}

sartor_status sr_mad_write(sartor_context *ctx, const sr_mad_data *data, const char *folder) {
    SR_TRY(sr_make_folder(ctx, folder));
    for (int part = 0; part < SR_MAD_PARTS; part++) {
        const sr_mad_set *set = &data->part[part];
        for (int half = 0; half < 2 && set->rows > 0; half++) {
            char path[PATH_MAX];
            SR_TRY(path_of(ctx, folder, part, '_', half, path));
            SR_TRY(sr_npy_write(ctx, path, set->rows, set->length,
                                half == 0 ? set->inputs : set->targets));
        }
    }
    return SARTOR_OK;
}

static bool is_missing(const char *path) {
    struct stat st;
    return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static bool scores_nothing(const sr_mad_set *set) {
    for (int64_t i = 0, n = set->rows * set->length; i < n; i++)
        if (set->targets[i] != SR_MAD_IGNORE) return false;
    return true;
}

/* Two open files as a set. `length`: that of the parts before; 0: there are none. */
static sartor_status read_pair(sartor_context *ctx, const sr_npy npy[2], int64_t length,
                               int64_t vocab, sr_mad_set *set) {
    const sr_npy *inputs = &npy[0], *targets = &npy[1];
    if (inputs->rows == 0 || inputs->columns == 0)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is empty", inputs->name);
    if (inputs->rows != targets->rows || inputs->columns != targets->columns)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: is %lld x %lld, and its inputs are %lld x %lld",
                       targets->name, (long long)targets->rows, (long long)targets->columns,
                       (long long)inputs->rows, (long long)inputs->columns);
    if (length != 0 && inputs->columns != length)
        return sr_fail(ctx, SARTOR_FORMAT, "%s: rows of %lld tokens, and those of train have %lld",
                       inputs->name, (long long)inputs->columns, (long long)length);
    SR_TRY(sr_mad_set_alloc(ctx, inputs->rows, inputs->columns, set));
    SR_TRY(sr_npy_tokens(ctx, inputs, vocab, 0, set->inputs));
    SR_TRY(sr_npy_tokens(ctx, targets, vocab, SR_MAD_IGNORE, set->targets));
    if (scores_nothing(set))
        return sr_fail(ctx, SARTOR_FORMAT, "%s: scores nothing: all its targets are %d",
                       targets->name, SR_MAD_IGNORE);
    return SARTOR_OK;
}

static sartor_status read_part(sartor_context *ctx, const char *folder, int part, char mark,
                               int64_t vocab, sr_mad_data *data) {
    char paths[2][PATH_MAX];
    for (int half = 0; half < 2; half++)
        SR_TRY(path_of(ctx, folder, part, mark, half, paths[half]));
    if (part == SR_MAD_VALIDATION && is_missing(paths[0]) && is_missing(paths[1])) return SARTOR_OK;
    sr_npy npy[2] = {{0}, {0}};
    sartor_status status = sr_npy_open(ctx, paths[0], &npy[0]);
    if (status == SARTOR_OK) status = sr_npy_open(ctx, paths[1], &npy[1]);
    if (status == SARTOR_OK)
        status = read_pair(ctx, npy, data->part[SR_MAD_TRAIN].length, vocab, &data->part[part]);
    for (int half = 0; half < 2; half++) sr_npy_close(&npy[half]);
    return status;
}

sartor_status sr_mad_read(sartor_context *ctx, const char *folder, int64_t vocab,
                          sr_mad_data *data) {
    *data = (sr_mad_data){.vocab = vocab};
    char path[PATH_MAX];
    SR_TRY(path_of(ctx, folder, SR_MAD_TRAIN, '/', 0, path));
    char mark = is_missing(path) ? '_' : '/';
    for (int part = 0; part < SR_MAD_PARTS; part++) {
        sartor_status status = read_part(ctx, folder, part, mark, vocab, data);
        if (status == SARTOR_OK) continue;
        sr_mad_data_free(data);
        return status;
    }
    return SARTOR_OK;
}
