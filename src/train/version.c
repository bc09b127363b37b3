/* sartor_version(): the project's version, which the build puts into version_text.h. */
#include "train/version_text.h"

#include <sartor/sartor.h>

const char *sartor_version(void) { return SR_VERSION_TEXT; }
