/* sine: both functions from one argument reduction to [-pi/4, pi/4]. */
#include "op/vec.h"

/* sin and cos with absolute error below 2e-7. Beyond |x| = 4096, where three pieces of pi/2 no
 * longer suffice, lane by lane with the C library. */
static inline void sine_cosine(vf x, vf *sine, vf *cosine) {
    vf magnitude = (vf)((vi)x & 0x7fffffff);
    vi far = ~(magnitude <= v_set(4096));
    vf k = v_select(far, v_set(0), x) * 0.636619772367581343f + 12582912.0f;
    vi n = (vi)k - 0x4b400000;
    k = k - 12582912.0f;
    vf r = x - k * 1.5703125f;
    r = r - k * 4.837512969970703125e-4f;
    r = r - k * 7.54978995489188e-8f;
    vf q = r * r;
    vf s = v_set(-1.9515295891e-4f) * q + 8.3321608736e-3f;
    s = (s * q - 1.6666654611e-1f) * q * r + r;
    vf c = v_set(2.443315711809948e-5f) * q - 1.388731625493765e-3f;
    c = (c * q + 4.166664568298827e-2f) * q * q - 0.5f * q + 1.0f;
    vi swap = (n & 1) != 0;
    vi sine_sign = (n & 2) << 30, cosine_sign = ((n + 1) & 2) << 30;
    *sine = (vf)((vi)v_select(swap, c, s) ^ sine_sign);
    *cosine = (vf)((vi)v_select(swap, s, c) ^ cosine_sign);
    int any = 0;
    for (int i = 0; i < VL; i++) any |= far[i];
    if (__builtin_expect(any, 0))
        for (int i = 0; i < VL; i++)
            if (far[i]) {
                (*sine)[i] = sinf(x[i]);
                (*cosine)[i] = cosf(x[i]);
            }
}

/* Columns [j, j + n) of a row, n <= VL. */
static inline vf load(const float *p, int64_t n) {
    return n == VL ? v_loadf(p) : v_loadf_n(p, (int)n);
}
static inline void store(float *p, vf v, int64_t n) {
    if (n == VL)
        v_storef(p, v);
    else
        v_storef_n(p, v, (int)n);
}

void SR_KERNEL(sine_forward)(const sr_call *c) {
    const float *bias = real_row(&c->in[1], 0), *freq = real_row(&c->in[2], 0);
    const int64_t d = c->out.cols;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        for (int64_t j = 0; j < d; j += VL) {
            const int64_t n = d - j < VL ? d - j : VL;
            const vf b = load(bias + j, n), f = load(freq + j, n);
            for (int64_t r = low; r < high; r++) {
                vf s, co;
                sine_cosine(f * (load(real_row(&c->in[0], r) + j, n) + b), &s, &co);
                store(real_row(&c->out, r) + j, s, n);
            }
        }
    }
}

void SR_KERNEL(sine_backward)(const sr_call *c) {
    const float *bias = real_row(&c->in[1], 0), *freq = real_row(&c->in[2], 0);
    const int64_t d = c->out.cols, width = (d + 15) / 16 * 16;
    const bool want_x = c->din[0].view.data != NULL, add_x = c->din[0].add;
    int used = 1;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->out.rows, 1, &low, &high);
        float *part = (float *)c->scratch + 2 * width * omp_get_thread_num();
#pragma omp single
        used = omp_get_num_threads();
        for (int64_t j = 0; j < d; j += VL) {
            const int64_t n = d - j < VL ? d - j : VL;
            const vf b = load(bias + j, n), f = load(freq + j, n);
            vf dbias = {0}, dfreq = {0};
            for (int64_t r = low; r < high; r++) {
                vf u = load(real_row(&c->in[0], r) + j, n) + b, s, co;
                sine_cosine(f * u, &s, &co);
                vf g = load(real_row(&c->dout, r) + j, n) * co;
                dbias += g * f;
                dfreq += g * u;
                if (!want_x) continue;
                float *dx = real_row(&c->din[0].view, r) + j;
                store(dx, add_x ? load(dx, n) + g * f : g * f, n);
            }
            store(part + j, dbias, n);
            store(part + width + j, dfreq, n);
        }
    }
    for (int i = 1; i <= 2; i++) {
        if (c->din[i].view.data == NULL) continue;
        float *out = real_row(&c->din[i].view, 0);
        for (int64_t j = 0; j < d; j++) {
            float sum = c->din[i].add ? out[j] : 0;
            for (int t = 0; t < used; t++)
                sum += ((const float *)c->scratch)[width * (2 * t + i - 1) + j];
            out[j] = sum;
        }
    }
}
