/* What a person asks growth for, and the larger model that answers it. */
#ifndef SR_GROW_REQUEST_H
#define SR_GROW_REQUEST_H

#include "grow/growth.h"

/* What becomes of rotated keys whose channels grow by whole pairs. Frequencies are stored, so that
 * each way is exact. */
typedef enum sr_rotation {
    SR_ROTATION_AUTO,   /* spread where the new size is a multiple of the old one, else extend */
    SR_ROTATION_SPREAD, /* old pair i becomes pair c i: the table of a new model of that size */
    SR_ROTATION_EXTEND, /* old pairs stay, new ones turn more slowly (base to the power c) */
    SR_ROTATION_NONE    /* old pairs stay, new channels do not turn */
} sr_rotation;

/* What new LIVs are at first. */
typedef enum sr_new_livs {
    SR_NEW_LIVS_SILENT, /* they add nothing to the stream */
    SR_NEW_LIVS_STACKED /* whole copies of LIVs of their class: another function */
} sr_new_livs;

typedef struct sr_growth_request {
    struct {
        int64_t value; /* 0: as it is */
        bool more;     /* so many more, not so many in all */
    } size[SR_AXIS_KINDS];
    char *at;   /* which LIVs: "1,3-5,SA-3"; NULL: all that have the axis */
    char *livs; /* "CLASSES@POSITION": LIVs to add; NULL: none */
    char *to;   /* an architecture that has the model as a part; NULL: its own */
    sr_rotation rotation;
    sr_new_livs new_livs;
    bool approximate; /* also what changes the function */
} sr_growth_request;
void sr_growth_request_free(sr_growth_request *request);

/* A size that can be asked for: "width", "ff", "heads" ... */
typedef struct sr_growth_size {
    const char *name, *argument, *summary;
    sr_axis_kind axis;
} sr_growth_size;
/* NULL out of range. */
const sr_growth_size *sr_growth_size_get(int index);
/* What an axis is called in requests. */
const char *sr_growth_size_name(sr_axis_kind axis);

/* Sets one item by name: a size ("256", "+2"), "at", "livs" (or "add-livs"), "to", "rotation"
 * (auto|spread|extend|none), "new-livs" (silent|stacked). SARTOR_INVALID with what is wrong. */
sartor_status sr_growth_request_set(sartor_context *ctx, sr_growth_request *request,
                                    const char *name, const char *value);
/* "width=256 ff=512 livs=SA-3,GMemless@end", items separated by spaces; `n` bytes. */
sartor_status sr_growth_request_parse(sartor_context *ctx, const char *text, size_t n,
                                      sr_growth_request *request);

/* Compiles the larger model. SARTOR_INVALID with the reason: nothing grows, something would shrink,
 * a LIV or axis is not there, sizes do not divide, a rule is not exact (unless approximate). LIVs
 * that share features or weights with chosen ones grow with them. */
sartor_status sr_growth_plan(sartor_context *ctx, const sr_model *from,
                             const sr_growth_request *request, sr_growth **growth);

#endif
