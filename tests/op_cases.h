/* The shapes on which every operator is checked: against its truth, by finite differences, with
 * strided views, with gradients that add, on one and two threads, in chunks. */
#ifndef OP_CASES_H
#define OP_CASES_H

#include "op/op.h"

typedef struct op_input {
    int64_t rows, cols; /* rows 0: batch * length tokens; cols 0: input is absent */
    sr_kind kind;
    float scale,
        offset; /* values: offset + scale * standard normal; SR_ID: uniform in [0, scale) */
} op_input;

typedef struct op_case {
    const char *op;
    sr_attr attr;
    int64_t batch, length;
    op_input in[SR_MAX_IN];
    /* For operators with state: rows and columns of each piece per sequence, in chunked runs. */
    struct {
        int64_t capacity, width;
    } state[SR_MAX_STATE];
    int64_t position; /* of the first token, where an operator without state reads it */
} op_case;

/* Ends with op == NULL. */
extern const op_case op_cases[];

#endif
