#include "train/version_text.h" /* made by the build from the project's version */

#include <sartor/sartor.h>

const char *sartor_version(void) { return SR_VERSION_TEXT; }
