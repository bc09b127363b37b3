/* Which settings, learning rates and weight decays a MAD suite has. */
#ifndef SR_PROBE_MAD_SUITE_H
#define SR_PROBE_MAD_SUITE_H

#include "task/mad/mad.h"
#include <sartor/probe.h>

enum { SR_MAD_MOST_GRID = 16, SR_MAD_MOST_SUITE = SR_MAD_TASKS * SR_MAD_MOST_SETTINGS };

typedef struct sr_mad_suite {
    sr_mad_setting setting[SR_MAD_MOST_SUITE]; /* by task */
    int64_t epochs[SR_MAD_MOST_SUITE];         /* of each setting, at most */
    int settings;
    double rate[SR_MAD_MOST_GRID], decay[SR_MAD_MOST_GRID];
    int rates, decays;
} sr_mad_suite;

/* The suite of the options' suite, tasks, epochs, rates and decays, all of them checked. */
sartor_status sr_mad_suite_make(sartor_context *ctx, const sartor_mad_options *options,
                                sr_mad_suite *suite);

#endif
