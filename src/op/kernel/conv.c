/* conv: kernel/taps.h, compiled for x, apart for the usual numbers of taps. */
#include "op/kernel/taps.h"

void SR_KERNEL(conv_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    switch (c->attr.conv.taps) {
    case 3:
        taps_forward(c, 3, false);
        break;
    case 4:
        taps_forward(c, 4, false);
        break;
    default:
        taps_forward(c, c->attr.conv.taps, false);
        break;
    }
}

void SR_KERNEL(conv_backward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    switch (c->attr.conv.taps) {
    case 3:
        taps_backward(c, 3, false);
        break;
    case 4:
        taps_backward(c, 4, false);
        break;
    default:
        taps_backward(c, c->attr.conv.taps, false);
        break;
    }
}
