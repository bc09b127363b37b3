/* Writes a report page (tests/report/run.py looks at it in a browser).
 *
 *     report_write DATA.json PAGE.html
 */
#include "report/report.h"

#include <stdio.h>

int main(int argc, char **argv) {
    sartor_context *ctx = sartor_context_create();
    if (argc != 3 || ctx == NULL) return 2;
    json_error_t error;
    json_t *data = json_load_file(argv[1], JSON_ALLOW_NUL, &error);
    sartor_status status = SARTOR_FORMAT;
    if (data == NULL) {
        fprintf(stderr, "%s:%d: %s\n", argv[1], error.line, error.text);
    } else {
        status = sr_report_write(ctx, data, argv[2]);
        if (status != SARTOR_OK) fprintf(stderr, "%s\n", sartor_error(ctx));
    }
    json_decref(data);
    sartor_context_destroy(&ctx);
    return status == SARTOR_OK ? 0 : 1;
}
