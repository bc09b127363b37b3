/* conv: kernel/taps.h, compiled for x, apart for the usual numbers of taps and one tile. */
#include "op/kernel/taps.h"

void SR_KERNEL(conv_forward)(const sr_call *c) {
    const int64_t tiles = sr_taps_tiles(c);
#pragma omp parallel num_threads(c->threads)
    if (c->attr.conv.taps == 3 && tiles == 1)
        taps_forward(c, 3, 1, false);
    else if (c->attr.conv.taps == 4 && tiles == 1)
        taps_forward(c, 4, 1, false);
    else if (c->attr.conv.taps == 3)
        taps_forward(c, 3, tiles, false);
    else
        taps_forward(c, c->attr.conv.taps, tiles, false);
}

void SR_KERNEL(conv_backward)(const sr_call *c) {
    const int64_t tiles = sr_taps_tiles(c);
#pragma omp parallel num_threads(c->threads)
    if (c->attr.conv.taps == 3 && tiles == 1)
        taps_backward(c, 3, 1, false);
    else if (c->attr.conv.taps == 4 && tiles == 1)
        taps_backward(c, 4, 1, false);
    else if (c->attr.conv.taps == 3)
        taps_backward(c, 3, tiles, false);
    else
        taps_backward(c, c->attr.conv.taps, tiles, false);
}
