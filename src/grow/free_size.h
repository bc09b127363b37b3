/* How large free entries are.
 *
 * A new model's weights are drawn small, and training makes them several times larger. Where
 * tensors multiply (gate, value, output), entries as small as in a new model beside zeros lie close
 * to a saddle: after 1500 steps such hidden channels had hardly moved (docs/results/growth.md). So
 * new entries are drawn at the size, the root mean square, of trained ones. Both functions give the
 * factor from the one to the other; 1 where nothing was drawn from a normal distribution, or
 * nothing is there to compare with. */
#ifndef SR_GROW_FREE_SIZE_H
#define SR_GROW_FREE_SIZE_H

#include "grow/growth.h"

/* `from`: the tensor's old entries. */
float sr_free_size(const sr_grown_tensor *tensor, const float *from);
/* Of tensor `param` of a new unit: beside its like in the old units of its class; `from`: flat. */
float sr_free_size_of_new(const sr_growth *growth, int param, const float *from);

#endif
