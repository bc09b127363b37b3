/* Sizes that an ARCH file brings along: they stand in for the defaults of options that are not
 * given.
 */
#ifndef SR_CLI_ARCH_FILE_H
#define SR_CLI_ARCH_FILE_H

#include <sartor/architecture.h>

/* Looks through a command's arguments before they are parsed. `option` names the one that takes
 * ARCH
 * ("--arch"), NULL: any word may. Where that is a file with a JSON object that has "sizes" (as
 * sartor show --save writes), they go to `sizes`; whatever is wrong with it is left for later to
 * say. */
void sr_sizes_of_arch_file(int argc, char **argv, const char *option, sartor_sizes *sizes);

#endif
