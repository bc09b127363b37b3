/* Vectors with a column tail: loads and stores of n lanes, where n == VL is known to the compiler
 * in the main loop, and gradients that are written or added to. */
#ifndef SR_OP_KERNEL_LANES_H
#define SR_OP_KERNEL_LANES_H

#include "op/vec.h"

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

#endif
