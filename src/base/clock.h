/* Time for progress and throughput: monotonic, in seconds. Results never depend on it. */
#ifndef SR_BASE_CLOCK_H
#define SR_BASE_CLOCK_H
double sr_seconds(void);
#endif
