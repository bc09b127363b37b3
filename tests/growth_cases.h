/* Growths that tests look at one by one: every architecture, every axis, corners of two, new LIVs,
 * dense units that become mixtures. */
#ifndef GROWTH_CASES_H
#define GROWTH_CASES_H

#include "growth_tools.h"

extern sartor_context *ctx;
int make_context(void **state);
int free_context(void **state);

extern int failures;
/* Failures are told one by one and end the test when all cases are through. */
#define BAD(...)                                                                                   \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        failures++;                                                                                \
    } while (0)
void end_cases(void);

typedef struct grown {
    sr_model *from;
    sr_growth *growth;
    uint8_t *entry;
    const char *arch, *request;
} grown;

/* Calls `check` for every case. */
void for_growths(void (*check)(grown *));

#endif
