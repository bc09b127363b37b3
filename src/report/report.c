/* Writes the report: the page that embed.py built, with the data in its middle.
 *
 * The data stands in a script element of type application/json, which the browser never runs. JSON
 * is printed in ASCII and '<', '>' and '&', which occur only inside its strings, as \u escapes: no
 * string can end the element, whatever it says. */
#include "report/report.h"
#include "base/file.h"
#include "report/page.h"

#include <stdlib.h>
#include <string.h>

/* For json_dump_callback(). Errors of the stream are found when the file is committed. */
static int put_escaped(const char *text, size_t size, void *user) {
    FILE *stream = user;
    for (size_t done = 0; done < size;) {
        size_t plain = 0;
        while (done + plain < size && strchr("<>&", text[done + plain]) == NULL) plain++;
        if (plain > 0) fwrite(text + done, 1, plain, stream);
        done += plain;
        if (done < size) fprintf(stream, "\\u%04x", (unsigned)(unsigned char)text[done++]);
    }
    return 0;
}

/* A page for each purpose, and the lists that it cannot do without. */
typedef struct kind {
    const char *purpose;
    const sr_page *page;
    const char *lists[3];
} kind;
static const kind kinds[] = {
    {"search", &sr_page_search, {"objectives", "measures", "trials"}},
    {"scale", &sr_page_scale, {"results"}},
    {"mad", &sr_page_mad, {"results", "published"}},
    {"run", &sr_page_run, {"runs"}},
};

static sartor_status find_page(sartor_context *ctx, const json_t *data, const sr_page **page) {
    if (!json_is_object(data) || json_integer_value(json_object_get(data, "version")) != 1)
        return sr_fail(ctx, SARTOR_INVALID, "report: the data is not an object of version 1");
    const char *purpose = json_string_value(json_object_get(data, "purpose"));
    const kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(purpose != NULL ? purpose : "search", kinds[i].purpose) == 0) k = &kinds[i];
    if (k == NULL)
        return sr_fail(ctx, SARTOR_INVALID, "report: there is no page for \"%.32s\"", purpose);
    for (size_t i = 0; i < 3 && k->lists[i] != NULL; i++)
        if (!json_is_array(json_object_get(data, k->lists[i])))
            return sr_fail(ctx, SARTOR_INVALID, "report: the data has no list of %s", k->lists[i]);
    *page = k->page;
    return SARTOR_OK;
}

sartor_status sr_report_write(sartor_context *ctx, const json_t *data, const char *path) {
    enum { DIGITS = 12 };
    sr_file file;
    const sr_page *page = NULL;
    SR_TRY(find_page(ctx, data, &page));
    SR_TRY(sr_file_create(ctx, path, &file));
    fwrite(page->before, 1, page->before_size, file.stream);
    if (json_dump_callback(data, put_escaped, file.stream,
                           JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS)) != 0) {
        sr_file_abandon(&file);
        return sr_fail(ctx, SARTOR_INVALID, "report: the data cannot be written as JSON");
    }
    fwrite(page->after, 1, page->after_size, file.stream);
    return sr_file_commit(ctx, &file);
}
