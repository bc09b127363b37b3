/* Rows of either kind of real value: `wide` (known to the compiler) says that they are f32,
 * whatever the activations are. */
#ifndef SR_OP_KERNEL_WIDE_H
#define SR_OP_KERNEL_WIDE_H

#include "op/kernel/lanes.h"

static inline bool is_wide(const sr_view *v) {
    return sizeof(act) == sizeof(float) || v->type == SR_F32;
}
SR_INLINE vf wide_load(const void *p, int64_t j, int n, bool wide) {
    return wide ? real_load((const float *)p + j, n) : act_load((const act *)p + j, n);
}
SR_INLINE void wide_give(void *p, int64_t j, bool add, vf x, int n, bool wide) {
    if (wide)
        real_give((float *)p + j, add, x, n);
    else
        act_give((act *)p + j, add, x, n);
}
SR_INLINE void *wide_row(const sr_view *v, int64_t r, bool wide) {
    return wide ? (void *)real_row(v, r) : (void *)act_row(v, r);
}

#endif
