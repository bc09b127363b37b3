/* Linux grants the tile registers on request, for the whole process. */
#define _GNU_SOURCE
#include "op/amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl(2) */

bool sr_amx_ready(void) {
    static atomic_int answer; /* 0: not asked yet; racing threads get the same answer */
    if (atomic_load(&answer) == 0) {
        unsigned a, b, c, d = 0;
        bool ready = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) &&
                     (d >> 24 & 1) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
        atomic_store(&answer, ready ? 1 : -1);
    }
    return atomic_load(&answer) > 0;
}
#else
bool sr_amx_ready(void) { return false; }
#endif
