/* What stands in entries that growth leaves free.
 *
 * Any value keeps the function; which one decides how fast new parts learn. A new model's weights
 * are drawn small, and training makes them several times larger. Where tensors multiply (gate,
 * value, output), entries as small as in a new model beside zeros lie close to a saddle: such
 * hidden channels had hardly moved after 1500 steps. So free entries are drawn at the size, the
 * root mean square, of trained ones, and a new unit begins as a copy of an old one of its class,
 * but silent. Measured in docs/results/growth.md. */
#ifndef SR_GROW_FREE_ENTRIES_H
#define SR_GROW_FREE_ENTRIES_H

#include "grow/growth.h"

/* The factor from what a new model draws for a tensor to the size of its old entries, `from`. 1
 * where nothing is drawn from a normal distribution, or all old ones are zero. */
float sr_free_size(const sr_param *to, const sr_param *old, const float *from);

/* The unit of `from` whose sizes and weights new LIV `liv` of `genome` begins with: the k-th new
 * one of a class takes the k-th old one, in turn. -1: `from` has none of the class. */
int sr_unit_alike(const sr_model *from, const sr_genome *genome, const sr_unit_origin *origin,
                  int liv);

/* The grown tensor of that unit which has the place of tensor `param` of a new one. NULL: there is
 * no such unit, or its sizes differ. */
const sr_grown_tensor *sr_tensor_alike(const sr_growth *growth, int param);

/* Tensor `param` of a new unit, initialised in `weights`, where all old units have grown already:
 * what the unit alike has from before is copied, the rest gets its size; of a stacked one all is
 * copied. Nothing changes where sr_tensor_alike() finds none. `from`: the smaller model's weights.
 */
void sr_copy_alike(const sr_growth *growth, int param, const float *from, float *weights);

#endif
