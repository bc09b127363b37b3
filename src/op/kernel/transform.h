/* A Fourier transform for causal convolutions: every lane of a vector is a channel of its own.
 *
 * A block of M real numbers x is a polynomial; with the M numbers before it (prev) it is the
 * complex polynomial x - i prev modulo t^M - i, where t^-M = -i. The real part of its product with
 * a filter of up to M lags is the causal convolution over this block, exactly and without zero
 * padding. The product is taken by splitting t^m - w into t^(m/4) - (the four fourth roots of w),
 * again and again: one pair of twiddles per polynomial, and no reordering, since the inverse takes
 * the same way back.
 *
 * Polynomials ("nodes") of a tree are numbered as in a heap: 1 is the root, 2 n and 2 n + 1 are the
 * halves t^(m/2) -+ sqrt(w) of n. Sizes are 2^k or 3 * 2^k; the latter begins with three trees, of
 * the cube roots of i. Leaves are single points, or pairs modulo t^2 - w where 2^k is no power of
 * four. */
#ifndef SR_OP_KERNEL_TRANSFORM_H
#define SR_OP_KERNEL_TRANSFORM_H

#include "op/vec.h"

typedef struct cf {
    vf re, im;
} cf;

/* Twiddles of a node: s = sqrt(w), q = sqrt(s), and q s. */
typedef struct node {
    float sr, si, qr, qi, tr, ti;
} node;

typedef struct transform {
    int64_t size, tree; /* points in all, and of one tree */
    int trees, leaf;    /* 1 or 3; 1 or 2 points */
    float scale;        /* to multiply with after an inverse */
    node *nodes;        /* tree / 2 per tree; node 0 of each is unused */
} transform;

/* The angle of w, in turns: a root's angle shared out over its level, plus the bits of n reversed.
 */
static inline double node_turns(double root, int64_t n) {
    double turns = 0, weight = 0.5;
    for (; n > 1; n /= 2, root /= 2, weight /= 2) turns += (double)(n & 1) * weight;
    return root + turns;
}

/* Describes a transform; `nodes` has space for size / 2. Call on all threads: each fills a share.
 */
static inline transform transform_make(int64_t size, node *nodes) {
    transform f = {.size = size, .tree = size, .trees = 1, .leaf = 1, .nodes = nodes};
    if (size % 3 == 0) {
        f.trees = 3;
        f.tree = size / 3;
    }
    int64_t m = f.tree;
    while (m > 2) m /= 4;
    f.leaf = (int)m;
    f.scale = (float)f.leaf / (float)size;
    return f;
}
static inline void transform_fill(const transform *f) {
    const double turn = 2 * 3.14159265358979323846;
    int64_t low, high, per = f->tree / 2;
    sr_share(f->trees * per, 64, &low, &high);
    for (int64_t i = low; i < high; i++) {
        double root = f->trees == 1 ? 0.25 : 1.0 / 12 + (double)(i / per) / 3;
        double a = turn * node_turns(root, i % per);
        f->nodes[i] = (node){(float)cos(a / 2), (float)sin(a / 2),     (float)cos(a / 4),
                             (float)sin(a / 4), (float)cos(a * 3 / 4), (float)sin(a * 3 / 4)};
    }
}

static inline cf c_add(cf a, cf b) { return (cf){a.re + b.re, a.im + b.im}; }
static inline cf c_sub(cf a, cf b) { return (cf){a.re - b.re, a.im - b.im}; }
static inline cf c_mul(cf a, cf b) {
    return (cf){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
static inline cf c_mul_add(cf sum, cf a, cf b) {
    return (cf){sum.re + a.re * b.re - a.im * b.im, sum.im + a.re * b.im + a.im * b.re};
}
/* a * conj(r + i m) */
static inline cf c_back(cf a, vf r, vf m) { return (cf){a.re * r + a.im * m, a.im * r - a.re * m}; }

/* (a, b) <- (a + (r + i m) b, a - (r + i m) b) */
static inline void split(cf *a, cf *b, vf r, vf m) {
    cf sum = {a->re + b->re * r - b->im * m, a->im + b->re * m + b->im * r};
    *b = (cf){a->re * 2 - sum.re, a->im * 2 - sum.im};
    *a = sum;
}

/* One node of 4 * quarter points into its four quarters, and back (times 4). */
static inline void split4(cf *z, int64_t quarter, const node *n) {
    const vf sr = v_set(n->sr), si = v_set(n->si), qr = v_set(n->qr), qi = v_set(n->qi);
    for (int64_t i = 0; i < quarter; i++) {
        cf a = z[i], b = z[i + quarter], c = z[i + 2 * quarter], d = z[i + 3 * quarter];
        split(&a, &c, sr, si);
        split(&b, &d, sr, si);
        split(&a, &b, qr, qi);
        split(&c, &d, -qi, qr);
        z[i] = a;
        z[i + quarter] = b;
        z[i + 2 * quarter] = c;
        z[i + 3 * quarter] = d;
    }
}
static inline void join4(cf *z, int64_t quarter, const node *n) {
    const vf sr = v_set(n->sr), si = v_set(n->si), qr = v_set(n->qr), qi = v_set(n->qi);
    const vf tr = v_set(n->tr), ti = v_set(n->ti);
    for (int64_t i = 0; i < quarter; i++) {
        cf a = z[i], b = z[i + quarter], c = z[i + 2 * quarter], d = z[i + 3 * quarter];
        cf u = c_add(a, b), v = c_sub(a, b), x = c_add(c, d), y = c_sub(c, d);
        z[i] = c_add(u, x);
        z[i + 2 * quarter] = c_back(c_sub(u, x), sr, si);
        z[i + quarter] = c_back((cf){v.re + y.im, v.im - y.re}, qr, qi);
        z[i + 3 * quarter] = c_back((cf){v.re - y.im, v.im + y.re}, tr, ti);
    }
}

/* Below this many points a tree is walked level by level, above it node by node: the inner levels
 * of a large transform stay in the caches. */
enum { WALK = 64 };

static void tree_forward(cf *z, int64_t m, int64_t n, const node *nodes) {
    if (m > WALK) {
        split4(z, m / 4, nodes + n);
        for (int i = 0; i < 4; i++) tree_forward(z + i * (m / 4), m / 4, 4 * n + i, nodes);
        return;
    }
    int64_t count = 1;
    for (; m >= 8; m /= 4, count *= 4)
        for (int64_t i = 0; i < count; i++) split4(z + i * m, m / 4, nodes + n * count + i);
    if (m == 4)
        for (int64_t i = 0; i < count; i++) split4(z + i * 4, 1, nodes + n * count + i);
}
static void tree_inverse(cf *z, int64_t m, int64_t n, const node *nodes) {
    if (m > WALK) {
        for (int i = 0; i < 4; i++) tree_inverse(z + i * (m / 4), m / 4, 4 * n + i, nodes);
        join4(z, m / 4, nodes + n);
        return;
    }
    int64_t count = 1, part = m;
    for (; part >= 8; part /= 4) count *= 4;
    if (part == 4)
        for (int64_t i = 0; i < count; i++) join4(z + i * 4, 1, nodes + n * count + i);
    while (part < m) {
        part *= 4;
        count /= 4;
        for (int64_t i = 0; i < count; i++) join4(z + i * part, part / 4, nodes + n * count + i);
    }
}

/* The top level splits off four parts of one tree, or the three trees of a 3 * 2^k transform (the
 * cube roots of i are at 1/12, 5/12 and 9/12 of a turn). It is done where rows are read and
 * written. */
typedef struct branch {
    int64_t from, points, root;
    const node *nodes;
} branch;

static inline int parts_of(const transform *f) { return f->trees == 3 ? 3 : 4; }
static inline branch part_of(const transform *f, int i) {
    if (f->trees == 3) return (branch){i * f->tree, f->tree, 1, f->nodes + i * (f->tree / 2)};
    return (branch){i * (f->size / 4), f->size / 4, 4 + i, f->nodes};
}

#define SR_HALF   v_set(0.5f)
#define SR_SIN_60 v_set(0.866025403784438647f)
#define SR_ALWAYS static inline __attribute__((always_inline))
/* Splits re + i im, given by functions of the row (im NULL: zero), into z. */
typedef vf (*row_in)(const void *rows, int64_t i);
SR_ALWAYS void split_rows(const transform *f, cf *z, const void *rows, row_in re, row_in im) {
    const int64_t n = f->size / parts_of(f);
    const vf zero = {0}, h = SR_HALF, g = SR_SIN_60;
    if (f->trees == 3) {
        for (int64_t i = 0; i < n; i++) {
            cf a = {re(rows, i), im != NULL ? im(rows, i) : zero};
            cf b = {re(rows, i + n), im != NULL ? im(rows, i + n) : zero};
            cf c = {re(rows, i + 2 * n), im != NULL ? im(rows, i + 2 * n) : zero};
            cf u = {b.re * g - b.im * h, b.re * h + b.im * g};
            cf v = {c.re * h - c.im * g, c.re * g + c.im * h};
            cf s = c_add(u, v), t = c_sub(u, v), o = {a.re - s.re * h, a.im - s.im * h};
            z[i] = c_add(a, s);
            z[i + n] = (cf){o.re - t.im * g, o.im + t.re * g};
            z[i + 2 * n] = (cf){o.re + t.im * g, o.im - t.re * g};
        }
        return;
    }
    const node *top = f->nodes + 1;
    const vf sr = v_set(top->sr), si = v_set(top->si), qr = v_set(top->qr), qi = v_set(top->qi);
    for (int64_t i = 0; i < n; i++) {
        cf x[4];
        for (int k = 0; k < 4; k++)
            x[k] = (cf){re(rows, i + k * n), im != NULL ? im(rows, i + k * n) : zero};
        for (int k = 0; k < 2; k++) {
            if (im != NULL) {
                split(&x[k], &x[k + 2], sr, si);
                continue;
            }
            vf a = x[k].re, b = x[k + 2].re;
            x[k] = (cf){a + b * sr, b * si};
            x[k + 2] = (cf){a - b * sr, -x[k].im};
        }
        split(&x[0], &x[1], qr, qi);
        split(&x[2], &x[3], -qi, qr);
        for (int k = 0; k < 4; k++) z[i + k * n] = x[k];
    }
}

/* Joins z and hands out the real parts of its first `count` rows, scaled. */
typedef void (*row_out)(const void *rows, int64_t i, vf v);
SR_ALWAYS void join_rows(const transform *f, const cf *z, const void *rows, row_out out,
                         int64_t count) {
    const int64_t n = f->size / parts_of(f);
    const vf scale = v_set(f->scale), h = SR_HALF, g = SR_SIN_60;
    if (f->trees == 3) {
        for (int64_t i = 0; i < n; i++) {
            cf a = z[i], s = c_add(z[i + n], z[i + 2 * n]), t = c_sub(z[i + n], z[i + 2 * n]);
            cf o = {a.re - s.re * h, a.im - s.im * h};
            cf u = {o.re + t.im * g, o.im - t.re * g}, v = {o.re - t.im * g, o.im + t.re * g};
            if (i < count) out(rows, i, (a.re + s.re) * scale);
            if (i + n < count) out(rows, i + n, (u.re * g + u.im * h) * scale);
            if (i + 2 * n < count) out(rows, i + 2 * n, (v.re * h + v.im * g) * scale);
        }
        return;
    }
    const node *top = f->nodes + 1;
    const vf sr = v_set(top->sr) * scale, si = v_set(top->si) * scale;
    const vf qr = v_set(top->qr) * scale, qi = v_set(top->qi) * scale;
    const vf tr = v_set(top->tr) * scale, ti = v_set(top->ti) * scale;
    for (int64_t i = 0; i < n; i++) {
        cf a = z[i], b = z[i + n], c = z[i + 2 * n], d = z[i + 3 * n];
        cf u = c_add(a, b), v = c_sub(a, b), x = c_add(c, d), y = c_sub(c, d);
        if (i < count) out(rows, i, (u.re + x.re) * scale);
        if (i + n < count) out(rows, i + n, (v.re + y.im) * qr + (v.im - y.re) * qi);
        if (i + 2 * n < count) out(rows, i + 2 * n, (u.re - x.re) * sr + (u.im - x.im) * si);
        if (i + 3 * n < count) out(rows, i + 3 * n, (v.re - y.im) * tr + (v.im + y.re) * ti);
    }
}

/* All below the top level, in place. */
static inline void parts_forward(const transform *f, cf *z) {
    for (int i = 0; i < parts_of(f); i++) {
        const branch p = part_of(f, i);
        tree_forward(z + p.from, p.points, p.root, p.nodes);
    }
}
static inline void parts_inverse(const transform *f, cf *z) {
    for (int i = 0; i < parts_of(f); i++) {
        const branch p = part_of(f, i);
        tree_inverse(z + p.from, p.points, p.root, p.nodes);
    }
}

/* A pair modulo t^2 - w, w = s or -s of the node above. */
static inline void pair(cf to[2], const cf a[2], const cf b[2], const node *above, bool second,
                        bool add) {
    const float sign = second ? -1 : 1;
    const cf w = {v_set(sign * above->sr), v_set(sign * above->si)};
    cf a0 = a[0], a1 = a[1], b0 = b[0], b1 = b[1];
    cf c0 = c_mul_add(c_mul(a0, b0), w, c_mul(a1, b1)), c1 = c_mul_add(c_mul(a0, b1), a1, b0);
    to[0] = add ? c_add(to[0], c0) : c0;
    to[1] = add ? c_add(to[1], c1) : c1;
}

/* to = a * b, or to += a * b, of transformed polynomials; `to` may be a or b. */
static inline void multiply(const transform *f, cf *to, const cf *a, const cf *b, bool add) {
    if (f->leaf == 1) {
        for (int64_t i = 0; i < f->size; i++)
            to[i] = add ? c_mul_add(to[i], a[i], b[i]) : c_mul(a[i], b[i]);
        return;
    }
    for (int64_t i = 0; i < f->size; i += 2) {
        const int64_t tree = i / f->tree, in_tree = i % f->tree;
        const node *above = f->nodes + tree * (f->tree / 2) + (f->tree + in_tree) / 4;
        pair(to + i, a + i, b + i, above, in_tree & 2, add);
    }
}

/* The last level of tree_forward(), a product, and the first of tree_inverse(), in registers. */
static inline void convolve4(cf *z, const cf *h, const node *n) {
    cf t[4] = {z[0], z[1], z[2], z[3]};
    split4(t, 1, n);
    for (int i = 0; i < 4; i++) t[i] = c_mul(t[i], h[i]);
    join4(t, 1, n);
    for (int i = 0; i < 4; i++) z[i] = t[i];
}

/* z = inverse(forward(z) * h) of one tree, part by part so that both are read from near caches. */
static void tree_convolve(cf *z, const cf *h, int64_t m, int64_t n, const node *nodes) {
    if (m > WALK) {
        split4(z, m / 4, nodes + n);
        for (int i = 0; i < 4; i++)
            tree_convolve(z + i * (m / 4), h + i * (m / 4), m / 4, 4 * n + i, nodes);
        join4(z, m / 4, nodes + n);
        return;
    }
    int64_t count = 1, part = m;
    for (; part > 4; part /= 4, count *= 4)
        for (int64_t i = 0; i < count; i++) split4(z + i * part, part / 4, nodes + n * count + i);
    for (int64_t i = 0; i < count; i++)
        if (part == 4)
            convolve4(z + i * 4, h + i * 4, nodes + n * count + i);
        else
            pair(z + i * 2, z + i * 2, h + i * 2, nodes + (n * count + i) / 2, i & 1, false);
    while (part < m) {
        part *= 4;
        count /= 4;
        for (int64_t i = 0; i < count; i++) join4(z + i * part, part / 4, nodes + n * count + i);
    }
}

/* The same of all parts. */
static inline void parts_convolve(const transform *f, cf *z, const cf *h) {
    for (int i = 0; i < parts_of(f); i++) {
        const branch p = part_of(f, i);
        tree_convolve(z + p.from, h + p.from, p.points, p.root, p.nodes);
    }
}

#endif
