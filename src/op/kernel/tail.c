#include "op/vec.h"

void SR_KERNEL(tail_forward)(const sr_call *c) {
    const size_t size = sr_dtype_bytes(c->out.type);
    for (int64_t b = 0; b < c->batch; b++)
        memcpy((char *)c->out.data + (size_t)(b * c->out.stride) * size,
               (const char *)c->in[0].data +
                   (size_t)(((b + 1) * c->length - 1) * c->in[0].stride) * size,
               (size_t)c->out.cols * size);
}

void SR_KERNEL(tail_backward)(const sr_call *c) {
    const sr_view *dx = &c->din[0].view, *dy = &c->dout;
    const size_t size = sr_dtype_bytes(dx->type), bytes = (size_t)dx->cols * size;
    if (dx->data == NULL) return;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(dx->rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++) {
            const int64_t b = r / c->length;
            const bool last = r % c->length == c->length - 1;
            char *to = (char *)dx->data + (size_t)(r * dx->stride) * size;
            const char *from = (const char *)dy->data + (size_t)(b * dy->stride) * size;
            if (!c->din[0].add && last) memcpy(to, from, bytes);
            if (!c->din[0].add && !last) memset(to, 0, bytes);
            for (int64_t j = 0; c->din[0].add && last && j < dx->cols; j++)
                if (dx->type == SR_F32)
                    ((float *)to)[j] += ((const float *)from)[j];
                else
                    a_set((act *)to + j, a_get((act *)to + j) + a_get((const act *)from + j));
        }
    }
}
