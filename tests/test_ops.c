/* Every operator of the catalogue against its plain C truth and against finite differences. */
#include "op_cases.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MARGIN = 5 }; /* extra elements between rows, filled with a mark that must survive */
#define MARK 1.25

static double get(const sr_view *v, int64_t r, int64_t c) {
    int64_t i = r * v->stride + c;
    uint32_t u;
    float f;
    switch (v->type) {
    case SR_F32:
        return (double)((float *)v->data)[i];
    case SR_F64:
        return ((double *)v->data)[i];
    case SR_BF16:
        u = (uint32_t)((uint16_t *)v->data)[i] << 16;
        memcpy(&f, &u, 4);
        return (double)f;
    case SR_I32:
        return ((int32_t *)v->data)[i];
    default:
        return 0;
    }
}
static void set(sr_view *v, int64_t r, int64_t c, double x) {
    int64_t i = r * v->stride + c;
    float f = (float)x;
    uint32_t u;
    switch (v->type) {
    case SR_F32:
        ((float *)v->data)[i] = f;
        break;
    case SR_F64:
        ((double *)v->data)[i] = x;
        break;
    case SR_BF16:
        memcpy(&u, &f, 4);
        ((uint16_t *)v->data)[i] = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
        break;
    case SR_I32:
        ((int32_t *)v->data)[i] = (int32_t)x;
        break;
    default:
        break;
    }
}

/* A strided block; `cols` real columns and MARGIN marked ones. */
static sr_view make(int64_t rows, int64_t cols, sr_dtype type) {
    sr_view v = {NULL, rows, cols, cols + MARGIN, type};
    v.data = aligned_alloc(64, ((size_t)(rows * v.stride) * 8 + 255) / 64 * 64);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < v.stride; c++) set(&v, r, c, MARK);
    return v;
}
static void check_margin(const char *what, const sr_view *v) {
    for (int64_t r = 0; r < v->rows; r++)
        for (int64_t c = v->cols; c < v->stride; c++)
            if (get(v, r, c) != MARK)
                fail_msg("%s: wrote outside its columns, row %d", what, (int)r);
}

/* Of a case: by operator and place among its cases, so that other operators' cases change nothing.
 */
static uint64_t seed_of(const op_case *k) {
    uint64_t seed = 0;
    for (const char *c = k->op; *c != '\0'; c++) seed = 31 * seed + (unsigned char)*c;
    seed *= 1000000;
    for (const op_case *p = op_cases; p != k; p++) seed += strcmp(p->op, k->op) == 0 ? 1000 : 0;
    return seed;
}
static double value_of(const op_input *in, uint64_t seed, uint64_t i) {
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    if (in->kind == SR_ID)
        return floor(sr_rng_uniform(rng, i) * (double)in->scale) + (double)in->offset;
    /* A value that bf16 represents, so that all numbers see the same inputs. */
    float f = in->offset + in->scale * (float)sr_rng_normal(rng, i);
    uint32_t u;
    memcpy(&u, &f, 4);
    u &= 0xffff0000u;
    memcpy(&f, &u, 4);
    return (double)f;
}

typedef struct run {
    const op_case *k;
    const sr_op *op;
    sr_call call;
    size_t scratch_bytes;
} run;

static void *block(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    memset(p, 0x7f, (bytes + 127) / 64 * 64);
    return p;
}

/* A call with inputs from `seed`, on whole sequences, ready to run. */
static run begin(sartor_context *ctx, const op_case *k, sr_numbers numbers, int threads,
                 uint64_t seed) {
    run r = {.k = k, .op = sr_op_find(k->op)};
    if (r.op == NULL) fail_msg("case for an unknown operator %s", k->op);
    sr_call *c = &r.call;
    c->attr = k->attr;
    c->batch = k->batch;
    c->length = k->length;
    c->position = k->position;
    c->threads = threads;
    c->numbers = numbers;
    for (int i = 0; i < r.op->n_in; i++) {
        const op_input *in = &k->in[i];
        if (in->cols == 0) continue;
        int64_t rows = in->rows > 0 ? in->rows : k->batch * k->length;
        c->in[i] = (sr_view){NULL, rows, in->cols, in->cols, sr_kind_type(in->kind, numbers)};
    }
    if (r.op->check(ctx, c) != SARTOR_OK) fail_msg("%s: %s", k->op, sartor_error(ctx));
    for (int i = 0; i < r.op->n_in; i++) {
        if (c->in[i].cols == 0) continue;
        c->in[i] = make(c->in[i].rows, c->in[i].cols, c->in[i].type);
        for (int64_t row = 0; row < c->in[i].rows; row++)
            for (int64_t col = 0; col < c->in[i].cols; col++)
                set(&c->in[i], row, col,
                    value_of(&k->in[i], seed + (uint64_t)i, (uint64_t)(row * c->in[i].cols + col)));
    }
    if (!r.op->no_output) c->out = make(c->out.rows, c->out.cols, c->out.type);
    /* The strides that gradients will have: products are prepared for them. */
    c->dout = c->out;
    c->dout.data = NULL;
    for (int i = 0; i < r.op->n_in; i++) c->din[i].view.stride = c->in[i].cols + MARGIN;
    if (r.op->prepare != NULL &&
        (r.op->prepare(ctx, c, false) != SARTOR_OK || r.op->prepare(ctx, c, true) != SARTOR_OK))
        fail_msg("%s: %s", k->op, sartor_error(ctx));
    size_t real = numbers == SR_TRUTH_F64 ? 8 : 4;
    if (r.op->saved != NULL) c->saved = block((size_t)r.op->saved(c) * real);
    int64_t bytes = 0;
    for (int b = 0; b < 2 && r.op->scratch != NULL; b++)
        if (r.op->scratch(c, b) > bytes) bytes = r.op->scratch(c, b);
    r.scratch_bytes = (size_t)bytes;
    c->scratch = block(r.scratch_bytes + 64);
    memset((char *)c->scratch + r.scratch_bytes, 0x5a, 64);
    return r;
}

static void check_scratch(const run *r) {
    for (int i = 0; i < 64; i++)
        if (((char *)r->call.scratch)[r->scratch_bytes + (size_t)i] != 0x5a)
            fail_msg("%s: wrote past its scratch", r->k->op);
}

static void end(run *r) {
    for (int i = 0; i < SR_MAX_IN; i++) {
        free(r->call.in[i].data);
        free(r->call.din[i].view.data);
    }
    free(r->call.out.data);
    free(r->call.dout.data);
    free(r->call.saved);
    free(r->call.scratch);
}

static void forward(run *r) {
    sr_kernel_pick(&r->op->forward, r->call.numbers)(&r->call);
    if (!r->op->no_output) check_margin(r->k->op, &r->call.out);
    check_scratch(r);
}

/* Runs backward with a random output gradient; `add` puts 0.5 everywhere first. */
static void backward(run *r, uint64_t seed, bool add) {
    sr_call *c = &r->call;
    c->dout = make(c->out.rows, c->out.cols, c->out.type);
    op_input normal = {0, 1, SR_ACT, 1, 0};
    for (int64_t i = 0; i < c->dout.rows; i++)
        for (int64_t j = 0; j < c->dout.cols; j++)
            set(&c->dout, i, j, value_of(&normal, seed + 99, (uint64_t)(i * c->dout.cols + j)));
    for (int i = 0; i < r->op->n_in; i++) {
        if (c->in[i].data == NULL || (r->op->constants >> i & 1)) continue;
        sr_dtype type =
            (r->op->parameters >> i & 1) ? sr_kind_type(SR_REAL, c->numbers) : c->in[i].type;
        c->din[i].view = make(c->in[i].rows, c->in[i].cols, type);
        c->din[i].add = add;
        for (int64_t a = 0; add && a < c->in[i].rows; a++)
            for (int64_t b = 0; b < c->in[i].cols; b++) set(&c->din[i].view, a, b, 0.5);
    }
    sr_kernel_pick(&r->op->backward, c->numbers)(c);
    for (int i = 0; i < r->op->n_in; i++)
        if (c->din[i].view.data != NULL) check_margin(r->k->op, &c->din[i].view);
    check_scratch(r);
}

static void compare(const char *op, const char *what, int index, const sr_view *a,
                    const sr_view *truth, double shift, double tolerance) {
    double distance = 0, norm = 0;
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < a->cols; c++) {
            double x = get(a, r, c) - shift, y = get(truth, r, c);
            distance += (x - y) * (x - y);
            norm += y * y;
        }
    if (!(sqrt(distance) <= tolerance * sqrt(norm) + 1e-30 * (double)a->rows))
        fail_msg("%s %s %d: relative distance %.3g > %.3g", op, what, index, sqrt(distance / norm),
                 tolerance);
}

/* Fast kernels and f64 truth against the f32 truth, both passes, also with gradients that add. */
static void test_kernels(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    for (const op_case *k = op_cases; k->op != NULL; k++) {
        uint64_t seed = seed_of(k);
        run truth = begin(ctx, k, SR_TRUTH_F64, 1, seed);
        bool trained = truth.op->backward.truth[0] != NULL && !truth.op->no_output;
        if (truth.op->no_output) {
            end(&truth);
            continue;
        }
        forward(&truth);
        if (trained) backward(&truth, seed, false);
        for (int variant = 0; variant < 2 + SR_ISAS * 2 * 2; variant++) {
            sr_numbers numbers = variant < 2         ? SR_TRUTH_F32
                                 : (variant - 2) & 1 ? SR_FAST_BF16
                                                     : SR_FAST_F32;
            int isa = variant < 2 ? -1 : (variant - 2) >> 2, threads = 1 + (variant >> 1 & 1);
            if (isa >= 0 && !sr_isa_runs((sr_isa)isa, numbers == SR_FAST_BF16)) continue;
            bool add = variant % 2 == 1 || isa == SR_ISA_AVX2;
            run r = begin(ctx, k, numbers, threads, seed);
            const sr_kernels *f = &r.op->forward, *b = &r.op->backward;
            sr_op one = *r.op; /* the catalogue entry with this variant alone */
            if (isa >= 0) {
                for (int i = 0; i < SR_ISAS; i++)
                    for (int t = 0; t < 2; t++) {
                        one.forward.fast[i][t] = f->fast[isa][t];
                        one.backward.fast[i][t] = b->fast[isa][t];
                    }
                r.op = &one;
            }
            char what[64];
            snprintf(what, sizeof what, "(length %d, numbers %d, isa %d, threads %d)",
                     (int)k->length, (int)numbers, isa, threads);
            double tolerance = numbers == SR_FAST_BF16 ? 2e-2 : 3e-5;
            forward(&r);
            char forward_what[96], backward_what[96];
            snprintf(forward_what, sizeof forward_what, "forward %s", what);
            snprintf(backward_what, sizeof backward_what, "backward %s input", what);
            compare(k->op, forward_what, 0, &r.call.out, &truth.call.out, 0, tolerance);
            if (trained) {
                backward(&r, seed, add);
                for (int i = 0; i < r.op->n_in; i++)
                    if (r.call.din[i].view.data != NULL)
                        compare(k->op, backward_what, i, &r.call.din[i].view,
                                &truth.call.din[i].view, add ? 0.5 : 0, tolerance);
            }
            end(&r);
        }
        end(&truth);
    }
    sartor_context_destroy(&ctx);
}

static double weighted_sum(run *r, uint64_t seed) {
    op_input normal = {0, 1, SR_ACT, 1, 0};
    double sum = 0;
    forward(r);
    for (int64_t i = 0; i < r->call.out.rows; i++)
        for (int64_t j = 0; j < r->call.out.cols; j++)
            sum += get(&r->call.out, i, j) *
                   value_of(&normal, seed + 99, (uint64_t)(i * r->call.out.cols + j));
    return sum;
}

/* A sanitizer looks at memory, and the other tests run the same code; numbers are checked without
 * one. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The f64 truth's gradients against central differences, on a sample of elements of every input. */
static void test_gradients(void **state) {
    (void)state;
    if (SANITIZED) skip();
    sartor_context *ctx = sartor_context_create();
    for (const op_case *k = op_cases; k->op != NULL; k++) {
        const sr_op *op = sr_op_find(k->op);
        if (op == NULL || op->no_output || op->backward.truth[1] == NULL) continue;
        uint64_t seed = seed_of(k);
        run r = begin(ctx, k, SR_TRUTH_F64, 1, seed);
        forward(&r);
        backward(&r, seed, false);
        for (int i = 0; i < op->n_in; i++) {
            if (r.call.din[i].view.data == NULL) continue;
            int64_t n = r.call.in[i].rows * r.call.in[i].cols, step = n / 40 + 1;
            double worst = 0, size = 0;
            for (int64_t e = 0; e < n; e += step) {
                int64_t row = e / r.call.in[i].cols, col = e % r.call.in[i].cols;
                double x = get(&r.call.in[i], row, col), h = 1e-5 * (1 + fabs(x));
                set(&r.call.in[i], row, col, x + h);
                double up = weighted_sum(&r, seed);
                set(&r.call.in[i], row, col, x - h);
                double down = weighted_sum(&r, seed);
                set(&r.call.in[i], row, col, x);
                double numeric = (up - down) / (2 * h), exact = get(&r.call.din[i].view, row, col);
                worst = fmax(worst, fabs(numeric - exact));
                size = fmax(size, fmax(fabs(exact), fabs(numeric)));
            }
            if (!(worst <= 1e-6 * (size + 1e-3)))
                fail_msg("%s input %d: finite difference is off by %.3g of %.3g", k->op, i, worst,
                         size);
            if (size == 0) fail_msg("%s input %d: no gradient seen at all", k->op, i);
        }
        end(&r);
    }
    sartor_context_destroy(&ctx);
}

/* Rows [from, from + n) of every sequence as a call of its own. */
static sr_view cut(const sr_view *v, int64_t batch, int64_t length, int64_t from, int64_t n) {
    sr_view c = make(batch * n, v->cols, v->type);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t t = 0; t < n; t++)
            for (int64_t j = 0; j < v->cols; j++)
                set(&c, b * n + t, j, get(v, b * length + from + t, j));
    return c;
}

/* Operators with state: any split into chunks gives what one call gives. */
static void test_chunks(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const int64_t splits[] = {1, 3, 2, 1, 5, 16, 1, 64, 1000};
    for (const op_case *k = op_cases; k->op != NULL; k++) {
        const sr_op *op = sr_op_find(k->op);
        if (op == NULL || op->n_state == 0 || op->no_output || k->state[0].capacity == 0) continue;
        uint64_t seed = seed_of(k);
        for (int numbers = SR_TRUTH_F32; numbers <= SR_FAST_BF16; numbers++) {
            run full = begin(ctx, k, (sr_numbers)numbers, 1, seed);
            forward(&full);
            sr_call c = full.call;
            c.saved = NULL;
            for (int s = 0; s < op->n_state; s++) {
                c.state[s] = (sr_state){NULL, k->state[s].capacity, k->state[s].width,
                                        numbers == SR_TRUTH_F64 ? SR_F64 : SR_F32};
                size_t bytes = (size_t)(k->batch * k->state[s].capacity * k->state[s].width) * 8;
                c.state[s].data = block(bytes);
                memset(c.state[s].data, 0, bytes);
            }
            sr_view joined = make(full.call.out.rows, full.call.out.cols, full.call.out.type);
            int64_t done = 0;
            for (size_t i = 0; done < k->length; i++) {
                int64_t n = splits[i] < k->length - done ? splits[i] : k->length - done;
                sr_call part = c;
                part.length = n;
                part.position = done;
                for (int a = 0; a < op->n_in; a++)
                    if (k->in[a].cols > 0 && k->in[a].rows == 0)
                        part.in[a] = cut(&c.in[a], k->batch, k->length, done, n);
                part.out = make(k->batch * n, c.out.cols, c.out.type);
                size_t bytes = op->scratch != NULL ? (size_t)op->scratch(&part, false) : 0;
                part.scratch = block(bytes);
                sr_kernel_pick(&op->forward, (sr_numbers)numbers)(&part);
                if (strcmp(k->op, "attention") ==
                    0) { /* the cache is written by its own operator */
                    for (int s = 0; s < 2; s++) {
                        sr_call write = {.batch = k->batch,
                                         .length = n,
                                         .position = done,
                                         .threads = 1,
                                         .numbers = (sr_numbers)numbers};
                        write.in[0] = part.in[1 + s];
                        write.state[0] = c.state[s];
                        sr_kernel_pick(&sr_op_find("cache_write")->forward,
                                       (sr_numbers)numbers)(&write);
                    }
                }
                for (int64_t b = 0; b < k->batch; b++)
                    for (int64_t t = 0; t < n; t++)
                        for (int64_t j = 0; j < c.out.cols; j++)
                            set(&joined, b * k->length + done + t, j, get(&part.out, b * n + t, j));
                for (int a = 0; a < op->n_in; a++)
                    if (part.in[a].data != c.in[a].data) free(part.in[a].data);
                free(part.out.data);
                free(part.scratch);
                done += n;
            }
            compare(k->op, "in chunks, numbers", numbers, &joined, &full.call.out, 0,
                    numbers == SR_FAST_BF16 ? 1e-2 : 2e-5);
            for (int s = 0; s < op->n_state; s++) free(c.state[s].data);
            free(joined.data);
            end(&full);
        }
    }
    sartor_context_destroy(&ctx);
}

/* Nothing to score: no loss, and gradients that are zero, or left as they were. */
static void test_nothing_scored(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const op_case k = {.op = "unembed_loss",
                       .batch = 2,
                       .length = 700,
                       .in = {{0, 8, SR_ACT, 1, 0},
                              {21, 8, SR_ACT, 1, 0},
                              {0, 1, SR_ID, 50, -50},
                              {1, 21, SR_REAL, 1, 0}}};
    for (int numbers = SR_TRUTH_F32; numbers <= SR_FAST_BF16; numbers++)
        for (int add = 0; add < 2; add++) {
            run r = begin(ctx, &k, (sr_numbers)numbers, 2, 1);
            forward(&r);
            backward(&r, 1, add);
            for (int64_t t = 0; t < r.call.out.rows; t++) assert_true(get(&r.call.out, t, 0) == 0);
            for (int i = 0; i < r.op->n_in; i++)
                for (int64_t t = 0; i != 2 && t < r.call.in[i].rows; t++)
                    for (int64_t j = 0; j < r.call.in[i].cols; j++)
                        assert_true(get(&r.call.din[i].view, t, j) == (add ? 0.5 : 0));
            end(&r);
        }
    sartor_context_destroy(&ctx);
}

/* Channels of zeros behind those of every head, and the divisor of before: the same bits. */
static void grow_norm(sartor_context *ctx, const op_case *from, const op_case *to, int64_t heads,
                      sr_numbers numbers, int isa) {
    run a = begin(ctx, from, numbers, 1, 3), b = begin(ctx, to, numbers, 2, 4);
    const int64_t n = a.call.in[0].cols / heads, grown = b.call.in[0].cols / heads;
    for (int64_t r = 0; r < b.call.in[0].rows; r++)
        for (int64_t j = 0; j < heads * grown; j++)
            set(&b.call.in[0], r, j,
                j % grown < n ? get(&a.call.in[0], r, j / grown * n + j % grown) : 0);
    for (int64_t j = 0; j < n; j++) set(&b.call.in[1], 0, j, get(&a.call.in[1], 0, j));
    const sr_kernels *f = &a.op->forward;
    const sr_kernel kernel =
        isa < 0 ? f->truth[numbers == SR_TRUTH_F64] : f->fast[isa][numbers == SR_FAST_BF16];
    kernel(&a.call);
    kernel(&b.call);
    for (int64_t r = 0; r < b.call.out.rows; r++)
        for (int64_t j = 0; j < heads * grown; j++) {
            const double y = get(&b.call.out, r, j);
            const double old = j % grown < n ? get(&a.call.out, r, j / grown * n + j % grown) : 0;
            if (!(y == old))
                fail_msg("%s %d to %d channels, numbers %d, isa %d: channel %d is %.9g, was %.9g",
                         from->op, (int)n, (int)grown, (int)numbers, isa, (int)j, y, old);
        }
    end(&a);
    end(&b);
}

static void test_grown_norms(void **state) {
    (void)state;
    sartor_context *ctx = sartor_context_create();
    const int64_t sizes[][2] = {{48, 64}, {50, 77}, {1, 17}, {33, 34}, {6, 512}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int64_t heads = 1; heads <= 19; heads += 9)
            for (int isa = -1; isa <= (int)sr_isa_active(); isa++)
                for (int second = 0; second < 2; second++) {
                    op_case k[2];
                    for (int g = 0; g < 2; g++) {
                        const int64_t n = sizes[i][g];
                        k[g] = (op_case){.op = "head_norm", .batch = 2, .length = 9};
                        k[g].attr.head_norm.heads = (int)heads;
                        k[g].attr.head_norm.epsilon = 1e-5;
                        k[g].attr.head_norm.divisor = g == 0 ? 0 : sizes[i][0];
                        k[g].in[0] = (op_input){0, heads * n, SR_ACT, 1, 0};
                        k[g].in[1] = (op_input){1, n, SR_REAL, 0.5f, 1};
                    }
                    const sr_numbers numbers = isa < 0 ? (second ? SR_TRUTH_F64 : SR_TRUTH_F32)
                                                       : (second ? SR_FAST_BF16 : SR_FAST_F32);
                    if (isa >= 0 && !sr_isa_runs((sr_isa)isa, second)) continue;
                    grow_norm(ctx, &k[0], &k[1], heads, numbers, isa);
                    if (heads > 1) continue;
                    for (int g = 0; g < 2; g++) {
                        k[g].op = "rmsnorm";
                        k[g].attr.norm.epsilon = 1e-5;
                        k[g].attr.norm.divisor = g == 0 ? 0 : sizes[i][0];
                        k[g].in[0].kind = SR_REAL;
                    }
                    grow_norm(ctx, &k[0], &k[1], 1, numbers, isa);
                }
    sartor_context_destroy(&ctx);
}

static void test_every_operator_has_a_case(void **state) {
    (void)state;
    for (const sr_op *const *op = sr_ops; *op != NULL; op++) {
        bool found = false;
        for (const op_case *k = op_cases; k->op != NULL; k++)
            found = found || strcmp(k->op, (*op)->name) == 0;
        if (!found) fail_msg("operator %s has no case in tests/op_cases.c", (*op)->name);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator_has_a_case),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_nothing_scored),
        cmocka_unit_test(test_grown_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
