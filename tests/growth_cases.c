#include "growth_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

sartor_context *ctx;
int failures;

int make_context(void **state) {
    (void)state;
    ctx = sartor_context_create();
    failures = 0;
    return ctx == NULL;
}
int free_context(void **state) {
    (void)state;
    sartor_context_destroy(&ctx);
    return 0;
}

void end_cases(void) {
    if (failures > 0) fail_msg("%d failures", failures);
}

/* False where the model cannot grow so (test_growth has these). */
static bool grow(grown *g, const char *arch, const char *request) {
    *g = (grown){growth_model(ctx, arch, &growth_sizes), NULL, NULL, arch, request};
    g->growth = growth_of(ctx, g->from, request, false);
    if (g->growth == NULL) {
        sr_model_destroy(&g->from);
        return false;
    }
    g->entry = growth_entries(g->growth);
    return true;
}

static void grown_free(grown *g) {
    free(g->entry);
    sr_growth_destroy(&g->growth);
    sr_model_destroy(&g->from);
}

/* Axes that meet in one tensor, or in one product. */
static const char *const corners[] = {"heads=+4 value=+3",
                                      "width=+3 ff=+3",
                                      "key=+3 heads=+4",
                                      "state=+3 channels=+3",
                                      "taps=+2 channels=+3",
                                      "rank=+3 channels=+3",
                                      "mix=+3 width=+3",
                                      "width=+3 key=+3 value=+3",
                                      "rank=+3 key=+3",
                                      "features=+3 key=+3",
                                      "state=+2 heads=+2 taps=+1",
                                      "width=+3 heads=+4",
                                      "rank=+3 width=+3",
                                      "state=+3 width=+3",
                                      "taps=+1 value=+3",
                                      "key=+3 value=+3"};

/* Dense units that become mixtures. */
static const char *const experts[] = {"to=1.1.1.1.1-70.1.1.1.1",
                                      "to=1.1.1.1.1-71.1.1.1.1 width=24 ff=+3"};

/* All that LIVs of a class can grow by, and one more of them, which is as large. */
static void all_and_more(const sr_class *c, char *request, size_t room) {
    size_t used = 0;
    sr_unit_sizes u;
    assert_int_equal(sr_unit_sizes_default(ctx, c, &growth_sizes, &u), SARTOR_OK);
    for (int i = 0; sr_growth_size_get(i) != NULL; i++) {
        const sr_growth_size *s = sr_growth_size_get(i);
        if (u.axis[s->axis] == 0 || s->axis == SR_AXIS_KV_HEAD || sr_unit_fixed(c, s->axis) != NULL)
            continue;
        used += (size_t)snprintf(request + used, room - used, "%s=+%d ", s->name,
                                 s->axis == SR_AXIS_HEAD ? 4 : 3);
    }
    snprintf(request + used, room - used, "livs=%s@1", c->name);
}

void for_growths(void (*check)(grown *)) {
    char arch[96], request[96];
    grown g;
    for (int a = 0; growth_arch(a, arch) != NULL; a++) {
        for (int i = 0; sr_growth_size_get(i) != NULL; i++) {
            snprintf(request, sizeof request, "%s=+3", sr_growth_size_get(i)->name);
            bool took = grow(&g, arch, request);
            if (!took) snprintf(request, sizeof request, "%s=+4", sr_growth_size_get(i)->name);
            if (!took && !grow(&g, arch, request)) continue;
            check(&g);
            grown_free(&g);
        }
        for (size_t i = 0; i < sizeof corners / sizeof *corners; i++) {
            if (!grow(&g, arch, corners[i])) continue;
            check(&g);
            grown_free(&g);
        }
    }
    for (int c = 1; c <= sr_class_count(); c++) {
        snprintf(request, sizeof request, "livs=%s@1", sr_class_get(c)->name);
        if (!grow(&g, "SA-1 GMemless", request)) fail_msg("%s: %s", request, sartor_error(ctx));
        check(&g);
        grown_free(&g);
        all_and_more(sr_class_get(c), request, sizeof request);
        if (!grow(&g, sr_class_get(c)->name, request))
            fail_msg("%s: %s", request, sartor_error(ctx));
        check(&g);
        grown_free(&g);
    }
    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++) {
        if (!grow(&g, "SA-1 GEGLU", experts[i])) fail_msg("%s", sartor_error(ctx));
        check(&g);
        grown_free(&g);
    }
}
