/* Reading requests. */
#define _GNU_SOURCE
#include "grow/request.h"

#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const sr_growth_size sizes[] = {
    {"width", "N", "channels of the residual stream", SR_AXIS_MODEL},
    {"ff", "N", "hidden channels of memoryless LIVs", SR_AXIS_FF},
    {"heads", "+N", "query heads, so many more; heads of a recurrence", SR_AXIS_HEAD},
    {"kv-heads", "N", "heads of keys and values", SR_AXIS_KV_HEAD},
    {"key", "N", "channels of a query and key in each head", SR_AXIS_KEY},
    {"value", "N", "channels of a value in each head", SR_AXIS_VALUE},
    {"state", "N", "states of a recurrence", SR_AXIS_STATE},
    {"taps", "N", "taps of short convolutions", SR_AXIS_TAP},
    {"channels", "N", "channels of a recurrence or a convolution", SR_AXIS_CHANNEL},
    {"rank", "N", "rank of time steps and decays, width of filter networks", SR_AXIS_RANK},
    {"features", "N", "features of linear attention and of learned positions", SR_AXIS_FEATURE},
    {"mix", "N", "rank of RWKV's data-dependent token shift", SR_AXIS_MIX},
};

const sr_growth_size *sr_growth_size_get(int index) {
    return index >= 0 && (size_t)index < sizeof sizes / sizeof *sizes ? &sizes[index] : NULL;
}

const char *sr_growth_size_name(sr_axis_kind axis) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].axis == axis) return sizes[i].name;
    return sr_axis_name(axis);
}

void sr_growth_request_free(sr_growth_request *r) {
    free(r->at);
    free(r->livs);
    free(r->to);
    *r = (sr_growth_request){.at = NULL};
}

/* The last one would count, and the others be lost unseen. */
static sartor_status given_twice(sartor_context *ctx, const char *name) {
    return sr_fail(ctx, SARTOR_INVALID, "%s is given twice", name);
}

static sartor_status set_size(sartor_context *ctx, sr_growth_request *r, const sr_growth_size *s,
                              const char *value) {
    const bool more = *value == '+';
    char *end;
    const long long n = strtoll(value + more, &end, 10);
    if (r->size[s->axis].value > 0) return given_twice(ctx, s->name);
    if (value[more] < '0' || value[more] > '9' || *end != '\0' || n < 1 || n > SR_MAX_WIDTH)
        return sr_fail(ctx, SARTOR_INVALID, "%s: '%.40s' is no size of 1 to %d, or +N", s->name,
                       value, SR_MAX_WIDTH);
    r->size[s->axis].value = n;
    r->size[s->axis].more = more;
    return SARTOR_OK;
}

static sartor_status set_text(sartor_context *ctx, char **place, const char *name,
                              const char *value) {
    if (*place != NULL) return given_twice(ctx, name);
    *place = strdup(value);
    return *place != NULL ? SARTOR_OK : sr_no_memory(ctx);
}

static sartor_status set_rotation(sartor_context *ctx, sr_growth_request *r, const char *value) {
    static const char *const names[] = {"auto", "spread", "extend", "none"};
    for (int i = 0; i < 4; i++)
        if (strcmp(value, names[i]) == 0) {
            r->rotation = (sr_rotation)i;
            return SARTOR_OK;
        }
    return sr_fail(ctx, SARTOR_INVALID, "rotation: '%.40s' is not auto, spread, extend or none",
                   value);
}

static sartor_status set_new_livs(sartor_context *ctx, sr_growth_request *r, const char *value) {
    const bool stacked = strcmp(value, "stacked") == 0;
    if (!stacked && strcmp(value, "silent") != 0)
        return sr_fail(ctx, SARTOR_INVALID, "new-livs: '%.40s' is not silent or stacked", value);
    r->new_livs = stacked ? SR_NEW_LIVS_STACKED : SR_NEW_LIVS_SILENT;
    return SARTOR_OK;
}

sartor_status sr_growth_request_set(sartor_context *ctx, sr_growth_request *r, const char *name,
                                    const char *value) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(name, sizes[i].name) == 0) return set_size(ctx, r, &sizes[i], value);
    if (strcmp(name, "at") == 0) return set_text(ctx, &r->at, name, value);
    if (strcmp(name, "livs") == 0 || strcmp(name, "add-livs") == 0)
        return set_text(ctx, &r->livs, "livs", value);
    if (strcmp(name, "to") == 0) return set_text(ctx, &r->to, name, value);
    if (strcmp(name, "rotation") == 0) return set_rotation(ctx, r, value);
    if (strcmp(name, "new-livs") == 0) return set_new_livs(ctx, r, value);
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s, ", sizes[i].name);
    return sr_fail(
        ctx, SARTOR_INVALID,
        "nothing that grows is called '%.40s'; there are %slivs, to, and at, rotation, new-livs",
        name, names);
}

static sartor_status set_item(sartor_context *ctx, sr_growth_request *r, char *item) {
    char *equals = strchr(item, '=');
    if (equals == NULL) return sr_fail(ctx, SARTOR_INVALID, "'%.60s' is not NAME=VALUE", item);
    *equals = '\0';
    return sr_growth_request_set(ctx, r, item, equals + 1);
}

sartor_status sr_growth_request_parse(sartor_context *ctx, const char *text, size_t n,
                                      sr_growth_request *r) {
    static const char blanks[] = " \t\r\n";
    char *copy = strndup(text, n), *rest = NULL;
    *r = (sr_growth_request){.at = NULL};
    if (copy == NULL) return sr_no_memory(ctx);
    sartor_status status = SARTOR_OK;
    char *item = strtok_r(copy, blanks, &rest);
    if (item == NULL) status = sr_fail(ctx, SARTOR_INVALID, "it does not say what is to grow");
    for (; item != NULL && status == SARTOR_OK; item = strtok_r(NULL, blanks, &rest))
        status = set_item(ctx, r, item);
    free(copy);
    if (status != SARTOR_OK) sr_growth_request_free(r);
    return status;
}
