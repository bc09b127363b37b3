#include "op/machine.h"
#include "op/op.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

void sr_machine_print(char text[SR_MACHINE_TEXT]) {
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, SR_MACHINE_TEXT, "%s, oneDNN %d.%d.%d isa %#x", sr_isa_name(sr_isa_active()),
             v->major, v->minor, v->patch, (unsigned)dnnl_get_effective_cpu_isa());
}
