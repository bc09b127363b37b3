/* What the operator harness does not ask of long_conv: the accuracy and causality of its transforms
 * at length, half precision state, chunks of every kind, the same bits again. */
#include "op/op.h"

#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sr_view block(int64_t rows, int64_t cols, uint64_t seed, float scale) {
    sr_view v = {aligned_alloc(64, (size_t)(rows * cols + 15) / 16 * 64), rows, cols, cols, SR_F32};
    assert_non_null(v.data);
    sr_rng rng = {seed, SR_FOR_TEST, 0};
    for (int64_t i = 0; i < rows * cols; i++)
        ((float *)v.data)[i] = scale * (float)sr_rng_normal(rng, (uint64_t)i);
    return v;
}
static sr_call make(int64_t batch, int64_t length, int64_t lags, int64_t d, int threads) {
    sr_call call = {0}, *c = &call;
    c->batch = batch;
    c->length = length;
    c->threads = threads;
    c->numbers = SR_FAST_F32;
    c->in[0] = block(batch * length, d, 1, 1);
    c->in[1] = block(lags, d, 2, 0.2f);
    c->out = block(batch * length, d, 3, 1);
    c->dout = block(batch * length, d, 4, 1);
    c->din[0].view = block(batch * length, d, 5, 1);
    c->din[1].view = block(lags, d, 6, 1);
    return call;
}
static void release(sr_call *p) {
    free(p->in[0].data);
    free(p->in[1].data);
    free(p->out.data);
    free(p->dout.data);
    free(p->din[0].view.data);
    free(p->din[1].view.data);
}
static void run(sr_call *c, sr_isa isa, bool backward) {
    const sr_op *op = sr_op_find("long_conv");
    int64_t bytes = (op->scratch(c, backward) + 63) / 64 * 64;
    c->scratch = aligned_alloc(64, (size_t)bytes + 64);
    memset(c->scratch, 0xff, (size_t)bytes + 64); /* NaN where it is read unwritten */
    (backward ? op->backward : op->forward).fast[isa][0](c);
    for (int64_t i = bytes; i < bytes + 64; i++)
        assert_int_equal(((unsigned char *)c->scratch)[i], 0xff);
    free(c->scratch);
    c->scratch = NULL;
}

static double distance(const float *x, const double *y, int64_t n) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        norm += y[i] * y[i];
    }
    return sqrt(difference / norm);
}
static double float_distance(const float *x, const float *y, int64_t n) {
    double *wide = malloc((size_t)n * sizeof *wide);
    for (int64_t i = 0; i < n; i++) wide[i] = (double)y[i];
    double result = distance(x, wide, n);
    free(wide);
    return result;
}

static void test_accuracy(void **state) {
    (void)state;
    const int64_t shapes[][3] = {{2, 256, 256},  {1, 1000, 1000}, {1, 3000, 3000}, {1, 2048, 2048},
                                 {2, 1500, 200}, {1, 300, 900},   {2, 90, 90}};
    const int64_t d = 3;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const int64_t batch = shapes[k][0], n = shapes[k][1], lags = shapes[k][2];
        sr_call p = make(batch, n, lags, d, 1);
        const float *x = p.in[0].data, *h = p.in[1].data, *dy = p.dout.data;
        double *y = calloc((size_t)(2 * batch * n + lags) * d, sizeof *y);
        double *dx = y + batch * n * d, *dh = dx + batch * n * d;
        for (int64_t b = 0; b < batch; b++)
            for (int64_t t = 0; t < n; t++)
                for (int64_t s = 0; s <= t && s < lags; s++)
                    for (int64_t j = 0; j < d; j++) {
                        int64_t to = (b * n + t) * d + j, from = to - s * d;
                        y[to] += (double)h[s * d + j] * (double)x[from];
                        dx[from] += (double)h[s * d + j] * (double)dy[to];
                        dh[s * d + j] += (double)dy[to] * (double)x[from];
                    }
        for (int isa = 0; isa <= (int)sr_isa_active(); isa++) {
            run(&p, (sr_isa)isa, false);
            run(&p, (sr_isa)isa, true);
            assert_true(distance(p.out.data, y, batch * n * d) < 3e-6);
            assert_true(distance(p.din[0].view.data, dx, batch * n * d) < 3e-6);
            assert_true(distance(p.din[1].view.data, dh, lags * d) < 3e-6);
        }
        free(y);
        release(&p);
    }
}

static void test_causality(void **state) {
    (void)state;
    const int64_t n = 700, d = 5, from = 401;
    sr_call p = make(1, n, n, d, 1);
    float *before = malloc((size_t)(n * d) * sizeof *before), *y = p.out.data;
    for (int isa = 0; isa <= (int)sr_isa_active(); isa++) {
        run(&p, (sr_isa)isa, false);
        memcpy(before, y, (size_t)(n * d) * sizeof *before);
        for (int64_t i = from * d; i < n * d; i++) ((float *)p.in[0].data)[i] += 3;
        run(&p, (sr_isa)isa, false);
        double largest = 0, worst = 0, after = 0;
        for (int64_t i = 0; i < n * d; i++) {
            largest = fmax(largest, fabs((double)y[i]));
            double change = fabs((double)y[i] - (double)before[i]);
            if (i < from * d)
                worst = fmax(worst, change);
            else
                after = fmax(after, change);
        }
        assert_true(worst <= 1e-5 * largest);
        assert_true(after > 0.1 * largest);
    }
    free(before);
    release(&p);
}

/* Chunks that meet every way of computing: from the start, tokens, direct and transformed chunks
 * with a past, a ring that wraps; on one and on several threads. */
static void test_state(void **state) {
    (void)state;
    const int64_t chunks[] = {200, 1, 7, 130, 1, 40, 52, 300, 1, 14, 256};
    const int64_t lengths[] = {1500, 170};
    for (int k = 0; k < 2; k++)
        for (int half = 0; half < 2; half++)
            for (int isa = 0; isa <= (int)sr_isa_active(); isa++)
                for (int threads = 1; threads <= 3; threads += 2) {
                    const int64_t n = 1002, d = 150, batch = 2, lags = lengths[k];
                    sr_call p = make(batch, n, lags, d, threads);
                    run(&p, (sr_isa)isa, false);
                    float *y = malloc((size_t)(batch * n * d) * sizeof *y);
                    sr_call c = p;
                    c.state[0] = (sr_state){NULL, lags, d, half ? SR_F16 : SR_F32};
                    c.state[0].data = calloc((size_t)(batch * lags * d), half ? 2 : 4);
                    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
                        c.length = chunks[i];
                        c.in[0] = block(batch * c.length, d, 1, 1);
                        c.out = block(batch * c.length, d, 1, 1);
                        for (int64_t b = 0; b < batch; b++)
                            memcpy((float *)c.in[0].data + b * c.length * d,
                                   (float *)p.in[0].data + (b * n + c.position) * d,
                                   (size_t)(c.length * d) * sizeof(float));
                        run(&c, (sr_isa)isa, false);
                        for (int64_t b = 0; b < batch; b++)
                            memcpy(y + (b * n + c.position) * d,
                                   (float *)c.out.data + b * c.length * d,
                                   (size_t)(c.length * d) * sizeof(float));
                        c.position += c.length;
                        free(c.in[0].data);
                        free(c.out.data);
                    }
                    assert_int_equal(c.position, n);
                    assert_true(float_distance(y, p.out.data, batch * n * d) <
                                (half ? 1e-3 : 3e-6));
                    free(c.state[0].data);
                    free(y);
                    release(&p);
                }
}

/* Threads that share a filter gradient add it up in a fixed order. */
static void test_same_bits(void **state) {
    (void)state;
    const int64_t shapes[][2] = {{300, 300}, {60, 60}};
    for (int k = 0; k < 2; k++) {
        sr_call p = make(5, shapes[k][0], shapes[k][1], 40, 4);
        const size_t bytes = (size_t)(shapes[k][1] * 40) * sizeof(float);
        float *first = malloc(bytes);
        run(&p, sr_isa_active(), true);
        memcpy(first, p.din[1].view.data, bytes);
        for (int i = 0; i < 20; i++) {
            run(&p, sr_isa_active(), true);
            assert_memory_equal(first, p.din[1].view.data, bytes);
        }
        p.threads = 1;
        run(&p, sr_isa_active(), true);
        assert_true(float_distance(first, p.din[1].view.data, shapes[k][1] * 40) < 3e-6);
        free(first);
        release(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_causality),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
