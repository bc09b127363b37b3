/* More on vectors: loads and stores of n lanes for column tails, where n == VL is known to the
 * compiler in the main loop; gradients that are written or added to; transposition; denormals. */
#ifndef SR_OP_KERNEL_LANES_H
#define SR_OP_KERNEL_LANES_H

#include "op/vec.h"
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#define SR_INLINE static inline __attribute__((always_inline))

SR_INLINE vf act_load(const act *p, int n) { return n == VL ? v_load(p) : v_load_n(p, n); }
SR_INLINE vf real_load(const float *p, int n) { return n == VL ? v_loadf(p) : v_loadf_n(p, n); }
SR_INLINE void act_store(act *p, vf x, int n) {
    if (n == VL)
        v_store(p, x);
    else
        v_store_n(p, x, n);
}
SR_INLINE void real_store(float *p, vf x, int n) {
    if (n == VL)
        v_storef(p, x);
    else
        v_storef_n(p, x, n);
}
SR_INLINE void act_give(act *p, bool add, vf x, int n) {
    act_store(p, add ? act_load(p, n) + x : x, n);
}
SR_INLINE void real_give(float *p, bool add, vf x, int n) {
    real_store(p, add ? real_load(p, n) + x : x, n);
}

/* Lanes from memory `step` elements apart, and back. */
SR_INLINE vf gather(const float *p, int64_t step, int n) {
    float t[VL] = {0};
    for (int i = 0; i < n; i++) t[i] = p[i * step];
    return v_loadf(t);
}
SR_INLINE void scatter(float *p, int64_t step, vf x, int n) {
    float t[VL];
    v_storef(t, x);
    for (int i = 0; i < n; i++) p[i * step] = t[i];
}

/* out[k] = sum of the lanes of v[k], k < n: VL vectors at a time, merged pair by pair. */
static inline void lane_sums(const vf *v, int n, float *out) {
    for (int from = 0; from < n; from += VL) {
        vf s[VL];
        for (int i = 0; i < VL; i++) s[i] = from + i < n ? v[from + i] : (vf){0};
#pragma GCC unroll 4
        for (int step = 1; step < VL; step *= 2) {
            vi low, high;
            for (int i = 0; i < VL; i++) {
                low[i] = (i & step ? VL : 0) + (i & ~step);
                high[i] = (i & step ? VL : 0) + (i | step);
            }
            for (int i = 0; i < VL / 2 / step; i++)
                s[i] = __builtin_shuffle(s[2 * i], s[2 * i + 1], low) +
                       __builtin_shuffle(s[2 * i], s[2 * i + 1], high);
        }
        if (n - from < VL)
            v_storef_n(out + from, s[0], n - from);
        else
            v_storef(out + from, s[0]);
    }
}

/* Denormals become zero between these two calls: decaying states and their gradients live on as
 * denormals, each of them a hundred times slower than a normal number. */
static inline unsigned flush_denormals(void) {
#if defined(__SSE__)
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040); /* flush to zero, denormals are zero */
    return old;
#else
    return 0;
#endif
}
static inline void restore_denormals(unsigned old) {
#if defined(__SSE__)
    _mm_setcsr(old);
#else
    (void)old;
#endif
}

#endif
