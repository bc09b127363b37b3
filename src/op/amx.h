/* Whether the matrix tiles of x86 (AMX, bf16) may be used: the processor has them and the kernel
 * has granted them to this process. Asks once; safe from any thread. */
#ifndef SR_OP_AMX_H
#define SR_OP_AMX_H

#include <stdbool.h>

bool sr_amx_ready(void);

#endif
