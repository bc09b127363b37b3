/* Allocation with a message instead of a crash, and what the operating system says about memory. */
#ifndef SR_BASE_MEMORY_H
#define SR_BASE_MEMORY_H

#include "base/context.h"
#include <stddef.h>
#include <stdint.h>

enum { SR_ALIGN = 64 }; /* a cache line, and the widest vector */

/* Zeroed memory for `count` objects of `size` bytes; SARTOR_MEMORY (with `what` in the message)
 * when the product overflows or memory is exhausted. Release with free(). A count of 0 gives
 * non-NULL. */
sartor_status sr_alloc(sartor_context *ctx, size_t count, size_t size, const char *what,
                       void **out);

/* As sr_alloc, but aligned to SR_ALIGN bytes and padded by one vector at the end; large blocks on
 * huge pages. Release with free(). */
sartor_status sr_alloc_aligned(sartor_context *ctx, size_t count, size_t size, const char *what,
                               void **out);

/* Current resident anonymous memory of this process in bytes (0 if the system does not tell). */
int64_t sr_anonymous_bytes(void);
/* Highest resident memory so far, file pages included. */
int64_t sr_peak_rss_bytes(void);
/* Memory of the machine (or of its control group, if that is less). */
int64_t sr_machine_memory_bytes(void);

#endif
