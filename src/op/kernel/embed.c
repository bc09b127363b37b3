/* embed: copies of rows forward; backward every thread owns a block of the table's columns, so that
 * each element is summed by one thread, in row order, whatever the number of threads. */
#include "op/vec.h"

static int64_t id(const sr_call *c, int64_t r) {
    return ((const int32_t *)c->in[0].data)[r * c->in[0].stride];
}

void SR_KERNEL(embed_forward)(const sr_call *c) {
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(c->in[0].rows, 1, &low, &high);
        for (int64_t r = low; r < high; r++)
            memcpy(real_row(&c->out, r), real_row(&c->in[1], id(c, r)),
                   (size_t)c->out.cols * sizeof(float));
    }
}

void SR_KERNEL(embed_backward)(const sr_call *c) {
    const sr_grad *table = &c->din[1];
    if (table->view.data == NULL) return;
#pragma omp parallel num_threads(c->threads)
    {
        int64_t low, high;
        sr_share(table->view.rows, 1, &low, &high);
        for (int64_t r = low; r < high && !table->add; r++)
            memset(real_row(&table->view, r), 0, (size_t)table->view.cols * sizeof(float));
#pragma omp barrier
        sr_share(table->view.cols, 16, &low, &high);
        for (int64_t r = 0; r < c->dout.rows && low < high; r++) {
            float *sum = real_row(&table->view, id(c, r));
            const float *dy = real_row(&c->dout, r);
            int64_t j = low;
            for (; j + VL <= high; j += VL) v_storef(sum + j, v_loadf(sum + j) + v_loadf(dy + j));
            for (; j < high; j++) sum[j] += dy[j];
        }
    }
}
