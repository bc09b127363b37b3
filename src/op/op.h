/* The operator catalogue: everything the rest of sartor knows about computing.
 *
 * An operator is one file `op/NAME.c` with one `const sr_op`; its plain C truth is
 * `op/truth/NAME.c` (compiled for float and double) and its vector kernels `op/kernel/NAME.c`
 * (compiled per instruction set and activation type). Nothing outside op/ knows how an operator
 * computes. `op/rmsnorm.c` is the one to copy when writing a new operator.
 *
 * From this table come execution, the memory plan, the cost model, the gradient checks (an operator
 * without a case in tests/op_cases.c fails the tests) and `sartor list ops`. */
#ifndef SR_OP_OP_H
#define SR_OP_OP_H

#include "base/context.h"
#include "op/attr.h"
#include "tensor/view.h"
#include <stdbool.h>

enum { SR_MAX_IN = 10, SR_MAX_STATE = 2 };
#define SR_POSITION_ANY (INT64_C(1) << 48)

/* One piece of decode state for `batch` sequences: per sequence `capacity` rows of `width`
 * elements, sequences one after another. What a row means is the operator's affair: caches of past
 * tokens are rings (the row of position p is p % capacity), recurrent state is a plain array. Zero
 * at the start of a sequence. */
typedef struct sr_state {
    void *data;       /* NULL: no state, or not placed yet */
    int64_t capacity; /* 0: no state, the call covers whole sequences from their start */
    int64_t width;
    sr_dtype type; /* SR_F32 or SR_F16 for caches and windows, always SR_F32 for recurrences */
} sr_state;

/* A gradient to write: into `view` (data NULL: not wanted), over what is there or added to it. */
typedef struct sr_grad {
    sr_view view;
    bool add;
} sr_grad;

/* One call of an operator, and, with all data NULL, the description of one while planning. Views of
 * gradients have the shape of the value; gradients of SR_ACT values are SR_ACT, all others SR_REAL.
 */
typedef struct sr_call {
    sr_attr attr;
    int64_t batch, length; /* sequences, and tokens per sequence in this call */
    int64_t position;      /* tokens that each sequence has already seen (0 without state) */
    sr_view in[SR_MAX_IN];
    sr_view out;
    sr_state state[SR_MAX_STATE];
    void *saved;   /* op->saved() elements of SR_REAL, written forward, read backward; NULL when no
                      backward will follow */
    void *scratch; /* op->scratch() bytes, 64-byte aligned, garbage at entry */
    int threads;   /* OpenMP threads to use */
    sr_numbers numbers;
    /* backward only */
    sr_grad din[SR_MAX_IN];
    sr_view dout;
} sr_call;

typedef void (*sr_kernel)(const sr_call *call);

/* Instruction sets of the vector kernels, weakest first. */
typedef enum sr_isa { SR_ISA_BASE, SR_ISA_AVX2, SR_ISA_AVX512, SR_ISAS } sr_isa;

/* All variants of one function: truth[f32, f64], fast[instruction set][f32, bf16]. */
typedef struct sr_kernels {
    sr_kernel truth[2];
    sr_kernel fast[SR_ISAS][2];
} sr_kernels;

typedef struct sr_op {
    const char *name;
    const char *summary; /* formula and source, one line */
    const char *inputs;  /* names, separated by blanks; one in brackets is optional */
    int n_in;
    int n_state;
    bool no_output;       /* writes state only */
    unsigned parameters;  /* bit i: input i is a parameter */
    unsigned weights;     /* bit i: input i is multiplied as a matrix: in bf16 mode it comes as bf16
                             when input 0 does */
    unsigned constants;   /* bit i: input i never has a gradient */
    unsigned backward_in; /* bit i: backward reads the value of input i */
    bool backward_out;    /* backward reads the output's value */
    bool backward_writes_out; /* backward computes the output too: training skips forward */
    unsigned in_place;        /* bit i: out may lie in input i's memory */
    unsigned gradient_is; /* bit i: the gradient of input i is exactly that of out: they may share
                             memory, and backward leaves it alone when they do */
    unsigned gradient_in_place; /* bit i: the gradient of input i may be computed in dout's memory
                                   (then it is not added to) */
    /* Checks the shapes and kinds of the inputs, and fills out.rows, out.cols, out.type (stride =
     * cols). Types come from call->numbers. */
    sartor_status (*check)(sartor_context *ctx, sr_call *call);
    /* Forward multiply-adds of matrix products and convolutions, times two. */
    double (*flops)(const sr_call *call);
    int64_t (*saved)(const sr_call *call); /* NULL: none */
    /* Enough for every position: a call with state is asked about at SR_POSITION_ANY, where all
     * states are full. NULL: none. */
    int64_t (*scratch)(const sr_call *call, bool backward);
    /* Makes ready what is expensive to make (oneDNN primitives). NULL: nothing. */
    sartor_status (*prepare)(sartor_context *ctx, const sr_call *call, bool backward);
    sr_kernels forward, backward; /* backward all NULL: no gradient (state writers) */
} sr_op;

/* Every operator, in a fixed order; ends with NULL. */
extern const sr_op *const sr_ops[];
const sr_op *sr_op_find(const char *name);

/* The function for these numbers on this machine (SARTOR_ISA=base|avx2|avx512 lowers it). */
sr_kernel sr_kernel_pick(const sr_kernels *kernels, sr_numbers numbers);
sr_isa sr_isa_active(void);
/* Whether kernels of this level (for bf16 activations) run on this machine. */
bool sr_isa_runs(sr_isa isa, bool bf16);
const char *sr_isa_name(sr_isa isa);

/* Helpers for check(). */
sartor_status sr_expect_shape(sartor_context *ctx, const char *op, const char *what,
                              const sr_view *view, int64_t rows, int64_t cols);
static inline void sr_set_out(sr_call *c, int64_t rows, int64_t cols, sr_kind kind) {
    c->out = (sr_view){NULL, rows, cols, cols, sr_kind_type(kind, c->numbers)};
}
static inline int64_t sr_rows(const sr_call *c) { return c->batch * c->length; }

/* Declares the variants of one function and, in a table, names them all:
 *     SR_DECLARE(rmsnorm_forward)                  at file level
 *     .forward = SR_KERNELS(rmsnorm_forward)       in the sr_op */
#define SR_DECLARE(f)                                                                              \
    void sr_##f##_truth_f32(const sr_call *);                                                      \
    void sr_##f##_truth_f64(const sr_call *);                                                      \
    void sr_##f##_f32_base(const sr_call *);                                                       \
    void sr_##f##_bf16_base(const sr_call *);                                                      \
    void sr_##f##_f32_avx2(const sr_call *);                                                       \
    void sr_##f##_bf16_avx2(const sr_call *);                                                      \
    void sr_##f##_f32_avx512(const sr_call *);                                                     \
    void sr_##f##_bf16_avx512(const sr_call *);
#define SR_KERNELS(f)                                                                              \
    {                                                                                              \
        {sr_##f##_truth_f32, sr_##f##_truth_f64}, {                                                \
            {sr_##f##_f32_base, sr_##f##_bf16_base}, {sr_##f##_f32_avx2, sr_##f##_bf16_avx2}, {    \
                sr_##f##_f32_avx512, sr_##f##_bf16_avx512                                          \
            }                                                                                      \
        }                                                                                          \
    }

#endif
