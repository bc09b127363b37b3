#include "tensor/schema.h"

#include "base/hash.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const axis_names[SR_AXIS_KINDS] = {
    [SR_AXIS_MODEL] = "model",
    [SR_AXIS_HEAD] = "head",
    [SR_AXIS_KV_HEAD] = "kv_head",
    [SR_AXIS_KEY] = "key",
    [SR_AXIS_VALUE] = "value",
    [SR_AXIS_CHANNEL] = "channel",
    [SR_AXIS_FF] = "ff",
    [SR_AXIS_STATE] = "state",
    [SR_AXIS_TAP] = "tap",
    [SR_AXIS_RANK] = "rank",
    [SR_AXIS_FEATURE] = "feature",
    [SR_AXIS_VOCAB] = "vocab",
    [SR_AXIS_POSITION] = "position",
    [SR_AXIS_MIX] = "mix",
    [SR_AXIS_EXPERT] = "expert",
    [SR_AXIS_TILE] = "tile",
    [SR_AXIS_PART] = "part",
};

const char *sr_axis_name(sr_axis_kind kind) {
    return (unsigned)kind < SR_AXIS_KINDS ? axis_names[kind] : NULL;
}

int sr_axis_find(const char *name) {
    for (int i = 0; i < SR_AXIS_KINDS; i++)
        if (strcmp(axis_names[i], name) == 0) return i;
    return -1;
}

/* The first axis that is a column. */
static int first_column(const sr_param *p) {
    if (p->vector) return 0;
    int first = p->axes - 1;
    while (first > 0 && p->axis[first].role == SR_READS && p->axis[first - 1].role == SR_READS)
        first--;
    return first;
}

int sr_schema_add(sartor_context *ctx, sr_schema *schema, const sr_param *param) {
    int64_t rows = 1, cols = 1;
    for (int i = 0; i < param->axes; i++) {
        int64_t *side = i >= first_column(param) ? &cols : &rows;
        if (param->axis[i].size < 1 || __builtin_mul_overflow(*side, param->axis[i].size, side) ||
            rows > INT64_C(1) << 40 || cols > (INT64_C(1) << 40) / rows) {
            sr_fail(ctx, SARTOR_MEMORY, "%s: a size is below 1 or beyond all memory", param->name);
            return -1;
        }
    }
    if (schema->elements > (INT64_C(1) << 40)) {
        sr_fail(ctx, SARTOR_MEMORY, "%s: the model is beyond all memory", param->name);
        return -1;
    }
    if (schema->count == schema->room) {
        int room = schema->room > 0 ? 2 * schema->room : 64;
        sr_param *more = realloc(schema->param, (size_t)room * sizeof *more);
        if (more == NULL) {
            sr_fail(ctx, SARTOR_MEMORY, "not enough memory for the parameter schema");
            return -1;
        }
        schema->param = more;
        schema->room = room;
    }
    sr_param *p = &schema->param[schema->count];
    *p = *param;
    p->rows = rows;
    p->cols = cols;
    p->offset = schema->elements;
    schema->elements += rows * cols;
    return schema->count++;
}

int sr_schema_find(const sr_schema *schema, const char *name) {
    for (int i = 0; i < schema->count; i++)
        if (strcmp(schema->param[i].name, name) == 0) return i;
    return -1;
}

void sr_schema_free(sr_schema *schema) {
    free(schema->param);
    *schema = (sr_schema){NULL, 0, 0, 0};
}

static int64_t count(const sr_schema *schema, bool embedding) {
    int64_t n = 0;
    for (int i = 0; i < schema->count; i++) {
        const sr_param *p = &schema->param[i];
        if (p->trained && p->embedding == embedding) n += p->rows * p->cols;
    }
    return n;
}

int64_t sr_schema_backbone(const sr_schema *schema) { return count(schema, false); }
int64_t sr_schema_embedding(const sr_schema *schema) { return count(schema, true); }

static double initial(const sr_param *p, sr_rng rng, int64_t i) {
    const double n = (double)(p->rows * p->cols), a = p->init.a, b = p->init.b;
    switch (p->init.kind) {
    case SR_INIT_NORMAL:
        return a * sr_rng_normal(rng, (uint64_t)i);
    case SR_INIT_UNIFORM:
        return a * (2 * sr_rng_uniform(rng, (uint64_t)i) - 1);
    case SR_INIT_CONSTANT:
        return a;
    case SR_INIT_LOG_RANGE:
        return log((double)(i % p->cols + 1));
    case SR_INIT_LOG_UNIFORM:
        return log(a + (b - a) * sr_rng_uniform(rng, (uint64_t)i));
    case SR_INIT_TIME_STEP: {
        double dt = a * exp(sr_rng_uniform(rng, (uint64_t)i) * log(b / a));
        return dt + log(-expm1(-dt));
    }
    case SR_INIT_LINEAR_RANGE:
        return n > 1 ? a + (b - a) * (double)i / (n - 1) : a;
    case SR_INIT_FREQUENCIES:
        return pow(a, -(double)i / n);
    case SR_INIT_SHARE:
        return 1 - pow((double)i / n, a);
    case SR_INIT_RISE:
        return n > 1 ? a + (b - a) * pow((double)i / (n - 1), 0.7) : a;
    case SR_INIT_ZIGZAG:
        return a * (double)((i + 1) % 3 - 1);
    case SR_INIT_POSITIONS: {
        const int64_t s = i / p->cols;
        const double w = 2 * acos(-1) * (double)s / (double)p->rows;
        if (i % p->cols == 0) return p->rows > 1 ? (double)s / (double)(p->rows - 1) : 0;
        return i % p->cols == 1 ? cos(a * w) : -sin(a * w);
    }
    }
    return 0;
}

void sr_schema_init(const sr_schema *schema, uint64_t seed, float *flat) {
    for (int k = 0; k < schema->count; k++) {
        const sr_param *p = &schema->param[k];
        sr_hash name = sr_hash_bytes(p->name, strlen(p->name), 0);
        sr_rng rng = {seed ^ name.low, SR_FOR_INIT, (uint32_t)name.high};
        for (int64_t i = 0; i < p->rows * p->cols; i++)
            flat[p->offset + i] = (float)initial(p, rng, i);
    }
}
