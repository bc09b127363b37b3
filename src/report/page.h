/* The pages of the report as embed.py built them: everything before and after the data. */
#ifndef SR_REPORT_PAGE_H
#define SR_REPORT_PAGE_H

#include <stddef.h>

typedef struct sr_page {
    const unsigned char *before;
    size_t before_size;
    const unsigned char *after;
    size_t after_size;
} sr_page;

extern const sr_page sr_page_search, sr_page_scale, sr_page_mad, sr_page_run;

#endif
