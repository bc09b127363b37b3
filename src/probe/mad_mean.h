/* From runs to a MAD score: the best run of a setting's grid, the mean over the settings of a task,
 * the mean over the tasks (athms/mad-lab, mad/analysis.py). */
#ifndef SR_PROBE_MAD_MEAN_H
#define SR_PROBE_MAD_MEAN_H

#include "probe/mad_suite.h"

/* The best run of a grid so far; {0}: none. */
typedef struct sr_mad_best {
    int runs; /* that are finished */
    double score, selection;
} sr_mad_best;

/* One more finished run; true when it is the best now. Of equals the first stays. */
bool sr_mad_best_add(sr_mad_best *best, double score, double selection);

typedef struct sr_mad_means {
    double task[SR_MAD_TASKS]; /* NaN where a setting has no finished run */
    int settings[SR_MAD_TASKS];
    double mad; /* over the tasks that have settings; NaN where one of them is */
} sr_mad_means;

/* `best` of each setting of the suite. */
sr_mad_means sr_mad_mean(const sr_mad_suite *suite, const sr_mad_best *best);

#endif
