#include "herd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void *herd_place(herd *h) {
    assert_true(h->n < HERD_MOST);
    return &h->candidate[h->n];
}

void herd_add(herd *h, problem_fn problem) {
    int i = h->n++;
    double violation = problem(&h->candidate[i], h->values[i]);
    h->member[i] = (sr_member){&h->candidate[i], h->values[i], violation};
}

static void keep(herd *h, const int *chosen, int n) {
    static herd kept;
    for (int i = 0; i < n; i++) {
        kept.candidate[i] = h->candidate[chosen[i]];
        memcpy(kept.values[i], h->values[chosen[i]], sizeof kept.values[i]);
        kept.member[i].violation = h->member[chosen[i]].violation;
    }
    for (int i = 0; i < n; i++) {
        h->candidate[i] = kept.candidate[i];
        memcpy(h->values[i], kept.values[i], sizeof kept.values[i]);
        h->member[i] = (sr_member){&h->candidate[i], h->values[i], kept.member[i].violation};
    }
    h->n = n;
}

int herd_evolve(sartor_context *ctx, const sr_algorithm *a, const sr_evolution *e,
                problem_fn problem, int generations, herd *h) {
    int chosen[HERD_MOST], n, evaluated = 0;
    h->n = 0;
    for (int generation = 0; generation < generations; generation++) {
        int parents = h->n, children = a->children(e, generation);
        for (int slot = 0; slot < children; slot++) {
            sr_birth birth;
            void *place = herd_place(h);
            if (generation == 0)
                sr_first_candidate(e, generation, slot, 0, place);
            else if (a->propose(ctx, e, h->member, parents, generation, slot, 0, place, &birth) !=
                     SARTOR_OK)
                fail_msg("%s", sartor_error(ctx));
            herd_add(h, problem);
        }
        evaluated += children;
        if (a->survive(ctx, e, h->member, parents, children, chosen, &n) != SARTOR_OK)
            fail_msg("%s", sartor_error(ctx));
        assert_in_range(n, 1, e->population);
        keep(h, chosen, n);
    }
    return evaluated;
}

double herd_volume(sartor_context *ctx, const herd *h, int m) {
    double values[HERD_MOST * HERD_OBJECTIVES], reference[] = {1.1, 1.1, 1.1}, volume;
    for (int i = 0; i < h->n; i++) memcpy(values + i * m, h->values[i], (size_t)m * sizeof *values);
    if (sr_hypervolume(ctx, values, (size_t)h->n, m, reference, &volume) != SARTOR_OK)
        fail_msg("%s", sartor_error(ctx));
    return volume;
}
