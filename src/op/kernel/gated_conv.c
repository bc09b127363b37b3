/* gated_conv: kernel/taps.h, compiled for B * v, apart for the usual numbers of taps. */
#include "op/kernel/taps.h"

void SR_KERNEL(gated_conv_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    switch (c->attr.conv.taps) {
    case 3:
        taps_forward(c, 3, 1, true);
        break;
    case 4:
        taps_forward(c, 4, 1, true);
        break;
    default:
        taps_forward(c, c->attr.conv.taps, 1, true);
        break;
    }
}

void SR_KERNEL(gated_conv_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    switch (c->attr.conv.taps) {
    case 3:
        taps_backward(c, 3, 1, true);
        break;
    case 4:
        taps_backward(c, 4, 1, true);
        break;
    default:
        taps_backward(c, c->attr.conv.taps, 1, true);
        break;
    }
}
