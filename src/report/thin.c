#include "report/thin.h"

#include "base/memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

sartor_status sr_thin_begin(sartor_context *ctx, int limit, sr_thin *t) {
    *t = (sr_thin){.limit = limit, .width = 1};
    return sr_alloc(ctx, (size_t)limit, sizeof *t->point, "the points of a run",
                    (void **)&t->point);
}

void sr_thin_free(sr_thin *t) {
    free(t->point);
    *t = (sr_thin){.point = NULL};
}

static void join(sr_thin_range *a, const sr_thin_range *b) {
    if (b->n == 0) return;
    if (a->n == 0) {
        *a = *b;
        return;
    }
    a->n += b->n;
    a->sum += b->sum;
    if (b->low < a->low) a->low = b->low;
    if (b->high > a->high) a->high = b->high;
}

/* `b` follows `a`. */
static void merge(sr_thin_point *a, const sr_thin_point *b) {
    a->step = b->step;
    a->tokens = b->tokens;
    a->seconds = b->seconds;
    a->rate = b->rate;
    a->n += b->n;
    for (int k = 0; k < SR_THIN_QUANTITIES; k++) join(&a->range[k], &b->range[k]);
}

/* Neighbours become one. */
static void halve(sr_thin *t) {
    for (int i = 0; i < t->count / 2; i++) {
        t->point[i] = t->point[2 * i];
        merge(&t->point[i], &t->point[2 * i + 1]);
    }
    t->count /= 2;
    t->width *= 2;
}

void sr_thin_add(sr_thin *t, int64_t step, int64_t tokens, double seconds, double rate,
                 const double values[SR_THIN_QUANTITIES]) {
    sr_thin_point p = {.step = step, .tokens = tokens, .seconds = seconds, .rate = rate, .n = 1};
    for (int k = 0; k < SR_THIN_QUANTITIES; k++)
        if (isfinite(values[k])) p.range[k] = (sr_thin_range){1, values[k], values[k], values[k]};
    const bool full = t->count == 0 || t->point[t->count - 1].n == t->width;
    if (!full) {
        merge(&t->point[t->count - 1], &p);
        return;
    }
    if (t->count == t->limit) halve(t);
    t->point[t->count++] = p;
}

/* ---- as JSON ---- */

static json_t *short_real(double x) {
    char text[32];
    if (!isfinite(x)) return json_null();
    snprintf(text, sizeof text, "%.6g", x);
    return json_real(strtod(text, NULL));
}

typedef double (*reading_fn)(const sr_thin_point *point, int quantity);
static double seconds_of(const sr_thin_point *p, int k) {
    (void)k;
    return p->seconds;
}
static double rate_of(const sr_thin_point *p, int k) {
    (void)k;
    return p->rate;
}
static double mean_of(const sr_thin_point *p, int k) {
    const sr_thin_range *r = &p->range[k];
    return r->n > 0 ? r->sum / (double)r->n : NAN;
}
static double low_of(const sr_thin_point *p, int k) {
    return p->range[k].n > 0 ? p->range[k].low : NAN;
}
static double high_of(const sr_thin_point *p, int k) {
    return p->range[k].n > 0 ? p->range[k].high : NAN;
}

static int put_reals(json_t *object, const char *name, const sr_thin *t, reading_fn read, int k) {
    json_t *array = json_array();
    int bad = array == NULL;
    for (int i = 0; i < t->count; i++)
        bad |= json_array_append_new(array, short_real(read(&t->point[i], k)));
    return json_object_set_new(object, name, array) | bad;
}

static int put_places(json_t *object, const sr_thin *t) {
    json_t *steps = json_array(), *tokens = json_array();
    int bad = steps == NULL || tokens == NULL;
    for (int i = 0; i < t->count; i++) {
        bad |= json_array_append_new(steps, json_integer((json_int_t)t->point[i].step));
        bad |= json_array_append_new(tokens, json_integer((json_int_t)t->point[i].tokens));
    }
    bad |= json_object_set_new(object, "step", steps);
    return json_object_set_new(object, "tokens", tokens) | bad;
}

static int put_quantity(json_t *object, const char *name, const sr_thin *t, int k) {
    json_t *q = json_object();
    int bad = put_reals(q, "mean", t, mean_of, k);
    if (t->width > 1) {
        bad |= put_reals(q, "low", t, low_of, k);
        bad |= put_reals(q, "high", t, high_of, k);
    }
    return json_object_set_new(object, name, q) | bad;
}

json_t *sr_thin_json(const sr_thin *t, const char *const names[SR_THIN_QUANTITIES]) {
    json_t *object = json_pack("{s:I}", "width", (json_int_t)t->width);
    int bad = object == NULL || put_places(object, t);
    bad = bad || put_reals(object, "seconds", t, seconds_of, 0) ||
          put_reals(object, "rate", t, rate_of, 0);
    for (int k = 0; k < SR_THIN_QUANTITIES && !bad; k++)
        if (names[k] != NULL) bad = put_quantity(object, names[k], t, k);
    if (!bad) return object;
    json_decref(object);
    return NULL;
}
