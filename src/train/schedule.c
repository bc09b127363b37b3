#include "train/schedule.h"

#include <math.h>

int64_t sr_schedule_total(const sr_schedule *s, int64_t step) {
    int i = 0;
    while (i < s->totals - 1 && step >= s->total[i]) i++;
    return s->total[i];
}

double sr_schedule_rate(const sr_schedule *s, int64_t step) {
    const double pi = 3.14159265358979323846;
    if (step < s->warmup) return s->peak * (double)(step + 1) / (double)s->warmup;
    int64_t total = sr_schedule_total(s, step);
    if (total <= s->warmup) return s->peak;
    double part = (double)(step - s->warmup) / (double)(total - s->warmup);
    return s->floor + (s->peak - s->floor) * 0.5 * (1 + cos(pi * part));
}
