/* The page of the report as embed.py built it: everything before and after the data. */
#ifndef SR_REPORT_PAGE_H
#define SR_REPORT_PAGE_H

#include <stddef.h>

extern const unsigned char sr_page_before[], sr_page_after[];
extern const size_t sr_page_before_size, sr_page_after_size;

#endif
