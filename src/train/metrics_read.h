/* Reading metrics.jsonl: of runs that are done, that are going on, or that came from elsewhere.
 *
 * What holds: a file of any content gives its lines in order, or one error that names file and
 * line. A last line without an end is being written, or was torn by a kill: it is left out. */
#ifndef SR_TRAIN_METRICS_READ_H
#define SR_TRAIN_METRICS_READ_H

#include "base/context.h"
#include <stdint.h>

/* One line; what it does not say, or where it says null, NaN or infinite, is NaN. */
typedef struct sr_metrics_entry {
    int64_t step, tokens; /* steps rise, tokens do not fall */
    double seconds, bits_per_byte, rate, norm, tokens_per_second, validation_bits_per_byte;
    bool grew;                     /* just before this step ... */
    const char *grown;             /* ... by this; NULL: nothing is said. Valid during the call */
    int64_t params_before, params; /* then, and from then on; 0: not said */
} sr_metrics_entry;

typedef sartor_status (*sr_metrics_fn)(void *user, const sr_metrics_entry *entry);

/* Calls `take` for every line, until it fails. SARTOR_IO, SARTOR_FORMAT. */
sartor_status sr_metrics_read(sartor_context *ctx, const char *path, sr_metrics_fn take,
                              void *user);

#endif
