/* What of the machine decides the last bits of a result: vector kernels and oneDNN's code paths. */
#ifndef SR_OP_MACHINE_H
#define SR_OP_MACHINE_H

enum { SR_MACHINE_TEXT = 96 };
/* One line, for example "avx512, oneDNN 2.6.3 isa 0x3ff". Equal texts and thread counts compute
 * equal bits. */
void sr_machine_print(char text[SR_MACHINE_TEXT]);

#endif
