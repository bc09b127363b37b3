/* A series of steps of any length as a bounded number of points: each stands for `width` steps in a
 * row (the last one for fewer), and keeps mean and range of what was measured in them. */
#ifndef SR_REPORT_THIN_H
#define SR_REPORT_THIN_H

#include "base/context.h"
#include <jansson.h>
#include <stdint.h>

enum { SR_THIN_QUANTITIES = 3 };

/* Of one quantity, without what is NaN. */
typedef struct sr_thin_range {
    int64_t n;
    double sum, low, high;
} sr_thin_range;

typedef struct sr_thin_point {
    int64_t step, tokens; /* of the last step in it, also: */
    double seconds, rate;
    int64_t n; /* steps */
    sr_thin_range range[SR_THIN_QUANTITIES];
} sr_thin_point;

typedef struct sr_thin {
    sr_thin_point *point;
    int count, limit; /* once above the limit, count lies between half of it and it */
    int64_t width;
} sr_thin;

/* `limit`: even. Release with sr_thin_free(). */
sartor_status sr_thin_begin(sartor_context *ctx, int limit, sr_thin *thin);
void sr_thin_free(sr_thin *thin);

/* One step; values[k] may be NaN. */
void sr_thin_add(sr_thin *thin, int64_t step, int64_t tokens, double seconds, double rate,
                 const double values[SR_THIN_QUANTITIES]);

/* {"step": [int], "tokens": [int], "seconds": [x|null], "rate": [x|null], and for each name of a
 * quantity {"mean": [x|null], and with a width above 1 "low", "high"}}, "width": int}; reals with
 * six digits. A NULL name is left out. NULL when memory is exhausted. */
json_t *sr_thin_json(const sr_thin *thin, const char *const names[SR_THIN_QUANTITIES]);

#endif
