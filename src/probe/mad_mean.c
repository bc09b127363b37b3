#include "probe/mad_mean.h"

#include <math.h>

bool sr_mad_best_add(sr_mad_best *best, double score, double selection) {
    if (best->runs++ > 0 && selection <= best->selection) return false;
    best->score = score;
    best->selection = selection;
    return true;
}

sr_mad_means sr_mad_mean(const sr_mad_suite *suite, const sr_mad_best *best) {
    sr_mad_means m = {.mad = 0};
    int tasks = 0;
    for (int i = 0; i < suite->settings; i++) {
        m.settings[suite->setting[i].task]++;
        m.task[suite->setting[i].task] += best[i].runs > 0 ? best[i].score : NAN;
    }
    for (int t = 0; t < SR_MAD_TASKS; t++) {
        m.task[t] /= m.settings[t]; /* without settings: NaN */
        if (m.settings[t] == 0) continue;
        m.mad += m.task[t];
        tasks++;
    }
    m.mad /= tasks;
    return m;
}
