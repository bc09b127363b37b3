#include "real_space.h"

#include <math.h>
#include <string.h>

static const double eta_cross = 15, eta_mutate = 20, pi = 3.14159265358979323846;

/* ---- real vectors ---- */

static int count_of(const sr_space *space) { return *(const int *)space->user; }

static void real_sample(const sr_space *space, sr_draw *draw, void *out) {
    real_vector *v = out;
    memset(v, 0, sizeof *v);
    for (int i = 0; i < count_of(space); i++) v->x[i] = sr_draw_uniform(draw);
}

/* The spread factor for a parent at `gap` parent distances from its bound. */
static double spread(double u, double gap) {
    double alpha = 2 - pow(1 + 2 * gap, -(eta_cross + 1));
    return u * alpha <= 1 ? pow(u * alpha, 1 / (eta_cross + 1))
                          : pow(1 / (2 - u * alpha), 1 / (eta_cross + 1));
}

static void real_cross(const sr_space *space, sr_draw *draw, const void *a, const void *b,
                       void *child) {
    const real_vector *va = a, *vb = b;
    real_vector *c = child;
    *c = *va;
    if (sr_draw_uniform(draw) >= 0.9) return;
    for (int i = 0; i < count_of(space); i++) {
        if (sr_draw_below(draw, 2)) continue;
        double low = fmin(va->x[i], vb->x[i]), high = fmax(va->x[i], vb->x[i]), d = high - low;
        if (d < 1e-14) continue;
        double u = sr_draw_uniform(draw);
        if (sr_draw_below(draw, 2))
            c->x[i] = fmax(0, (low + high - spread(u, low / d) * d) / 2);
        else
            c->x[i] = fmin(1, (low + high + spread(u, (1 - high) / d) * d) / 2);
    }
}

static int real_mutate(const sr_space *space, sr_draw *draw, double rate, void *candidate) {
    real_vector *v = candidate;
    int changed = 0;
    for (int i = 0; i < count_of(space); i++) {
        if (sr_draw_uniform(draw) >= rate) continue;
        double u = sr_draw_uniform(draw), x = v->x[i], power = eta_mutate + 1, step;
        if (u < 0.5)
            step = pow(2 * u + (1 - 2 * u) * pow(1 - x, power), 1 / power) - 1;
        else
            step = 1 - pow(2 * (1 - u) + (2 * u - 1) * pow(x, power), 1 / power);
        v->x[i] = fmin(fmax(x + step, 0), 1);
        changed += v->x[i] != x;
    }
    return changed;
}

static void real_approach(const sr_space *space, sr_draw *draw, double attraction,
                          const void *target, void *candidate) {
    const real_vector *t = target;
    real_vector *v = candidate;
    for (int i = 0; i < count_of(space); i++)
        if (sr_draw_uniform(draw) < attraction) v->x[i] = t->x[i];
}

static double real_distance(const sr_space *space, const void *a, const void *b) {
    const real_vector *va = a, *vb = b;
    double sum = 0;
    for (int i = 0; i < count_of(space); i++) sum += fabs(va->x[i] - vb->x[i]);
    return sum / count_of(space);
}

/* Of any space here: the bytes. */
static void identity(const sr_space *space, const void *candidate, char id[SR_HASH_TEXT]) {
    sr_hash_text(sr_hash_bytes(candidate, space->bytes, 0), id);
}

sr_space real_space(const int *n) {
    return (sr_space){
        .name = "real",
        .bytes = sizeof(real_vector),
        .user = n,
        .sample = real_sample,
        .cross = real_cross,
        .mutate = real_mutate,
        .approach = real_approach,
        .distance = real_distance,
        .identity = identity,
    };
}

/* ---- words ---- */

static void word_sample(const sr_space *space, sr_draw *draw, void *out) {
    (void)space;
    for (int i = 0; i < WORD_LETTERS; i++)
        ((word *)out)->letter[i] = (char)sr_draw_below(draw, ALPHABET);
}

static void word_cross(const sr_space *space, sr_draw *draw, const void *a, const void *b,
                       void *child) {
    (void)space;
    int from = (int)sr_draw_below(draw, WORD_LETTERS + 1);
    int to = (int)sr_draw_below(draw, WORD_LETTERS + 1);
    for (int i = 0; i < WORD_LETTERS; i++) {
        bool inside = from <= to ? from <= i && i < to : to <= i && i < from;
        ((word *)child)->letter[i] = ((const word *)(inside ? b : a))->letter[i];
    }
}

static int word_mutate(const sr_space *space, sr_draw *draw, double rate, void *candidate) {
    (void)space;
    word *w = candidate;
    int changed = 0;
    for (int i = 0; i < WORD_LETTERS; i++) {
        if (sr_draw_uniform(draw) >= rate) continue;
        char letter = (char)sr_draw_below(draw, ALPHABET);
        changed += letter != w->letter[i];
        w->letter[i] = letter;
    }
    return changed;
}

static void word_approach(const sr_space *space, sr_draw *draw, double attraction,
                          const void *target, void *candidate) {
    (void)space;
    for (int i = 0; i < WORD_LETTERS; i++)
        if (sr_draw_uniform(draw) < attraction)
            ((word *)candidate)->letter[i] = ((const word *)target)->letter[i];
}

static double word_distance(const sr_space *space, const void *a, const void *b) {
    (void)space;
    int different = 0;
    for (int i = 0; i < WORD_LETTERS; i++)
        different += ((const word *)a)->letter[i] != ((const word *)b)->letter[i];
    return (double)different / WORD_LETTERS;
}

sr_space word_space(void) {
    return (sr_space){
        .name = "word",
        .bytes = sizeof(word),
        .sample = word_sample,
        .cross = word_cross,
        .mutate = word_mutate,
        .approach = word_approach,
        .distance = word_distance,
        .identity = identity,
    };
}

/* ---- problems ---- */

static double zdt_g(const real_vector *v) {
    double sum = 0;
    for (int i = 1; i < 30; i++) sum += v->x[i];
    return 1 + 9 * sum / 29;
}

double zdt1(const void *candidate, double *values) {
    const real_vector *v = candidate;
    double g = zdt_g(v);
    values[0] = v->x[0];
    values[1] = g * (1 - sqrt(v->x[0] / g));
    return 0;
}

double zdt2(const void *candidate, double *values) {
    const real_vector *v = candidate;
    double g = zdt_g(v), r = v->x[0] / g;
    values[0] = v->x[0];
    values[1] = g * (1 - r * r);
    return 0;
}

double zdt3(const void *candidate, double *values) {
    const real_vector *v = candidate;
    double g = zdt_g(v), r = v->x[0] / g;
    values[0] = v->x[0];
    values[1] = g * (1 - sqrt(r) - r * sin(10 * pi * v->x[0]));
    return 0;
}

double dtlz2(const void *candidate, double *values) {
    const real_vector *v = candidate;
    double g = 0, a = v->x[0] * pi / 2, b = v->x[1] * pi / 2;
    for (int i = 2; i < 12; i++) g += (v->x[i] - 0.5) * (v->x[i] - 0.5);
    values[0] = (1 + g) * cos(a) * cos(b);
    values[1] = (1 + g) * cos(a) * sin(b);
    values[2] = (1 + g) * sin(a);
    return 0;
}

double two_words(const void *candidate, double *values) {
    const word *w = candidate;
    values[0] = values[1] = 0;
    for (int i = 0; i < WORD_LETTERS; i++) {
        values[0] += (w->letter[i] != 0) / (double)WORD_LETTERS;
        values[1] += (w->letter[i] != 1 - i % 2) / (double)WORD_LETTERS;
    }
    return 0;
}

double two_words_limited(const void *candidate, double *values) {
    const word *w = candidate;
    two_words(candidate, values);
    return w->letter[0] == 5 ? INFINITY : w->letter[0] == 4 ? 0.5 : 0;
}
