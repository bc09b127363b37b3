#include "op/matmul.h"

#include <inttypes.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct entry {
    sr_matmul key;
    int threads;
    uint64_t hash;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, scratch; /* descriptions; the data is set per run, under `busy` */
    int64_t scratch_bytes;
    pthread_mutex_t busy;
    struct entry *next;
} entry;

enum { BUCKETS = 1024 };
static struct {
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    entry *bucket[BUCKETS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Padding bytes must not take part in the comparison: copy field by field into zeroed memory. */
static sr_matmul normal_key(const sr_matmul *p) {
    sr_matmul key;
    memset(&key, 0, sizeof key);
    key.m = p->m, key.n = p->n, key.k = p->k;
    key.a_stride = p->a_stride, key.b_stride = p->b_stride, key.c_stride = p->c_stride;
    key.type = p->type, key.c_type = p->c_type;
    key.a_transposed = p->a_transposed, key.b_transposed = p->b_transposed;
    key.add = p->add, key.sign = p->sign;
    return key;
}

static uint64_t hash_of(const sr_matmul *key, int threads) {
    return XXH3_64bits_withSeed(key, sizeof *key, (uint64_t)threads);
}

static entry *find(const sr_matmul *key, int threads, uint64_t hash) {
    entry *e = __atomic_load_n(&table.bucket[hash % BUCKETS], __ATOMIC_ACQUIRE);
    for (; e != NULL; e = e->next)
        if (e->hash == hash && e->threads == threads && memcmp(&e->key, key, sizeof *key) == 0)
            return e;
    return NULL;
}

static dnnl_data_type_t dnnl_type(sr_dtype type) { return type == SR_BF16 ? dnnl_bf16 : dnnl_f32; }

#if DNNL_VERSION_MAJOR < 3
typedef dnnl_memory_desc_t matrix;
#define MATRIX(m) (&(m))
static dnnl_status_t matrix_make(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}
static void matrix_free(matrix *m) { (void)m; }
static dnnl_status_t product_make(dnnl_primitive_desc_t *out, const matrix m[3],
                                  dnnl_primitive_attr_t attr) {
    dnnl_matmul_desc_t d;
    dnnl_status_t s = dnnl_matmul_desc_init(&d, &m[0], &m[1], NULL, &m[2]);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(out, &d, attr, table.engine, NULL);
}
static dnnl_status_t add_to_result(dnnl_post_ops_t ops) { return dnnl_post_ops_append_sum(ops, 1); }
static dnnl_status_t scale_result(dnnl_post_ops_t ops, float s) {
    return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_linear, s, 0);
}
static int64_t matrix_bytes(const dnnl_memory_desc_t *m) {
    return (int64_t)dnnl_memory_desc_get_size(m);
}
#else
typedef dnnl_memory_desc_t matrix;
#define MATRIX(m) (m)
static dnnl_status_t matrix_make(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides);
}
static void matrix_free(matrix *m) { dnnl_memory_desc_destroy(*m); }
static dnnl_status_t product_make(dnnl_primitive_desc_t *out, const matrix m[3],
                                  dnnl_primitive_attr_t attr) {
    return dnnl_matmul_primitive_desc_create(out, table.engine, m[0], m[1], NULL, m[2], attr);
}
static dnnl_status_t add_to_result(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}
static dnnl_status_t scale_result(dnnl_post_ops_t ops, float s) {
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, s, 0);
}
static int64_t matrix_bytes(const_dnnl_memory_desc_t m) {
    return (int64_t)dnnl_memory_desc_get_size(m);
}
#endif

static bool good(dnnl_status_t *s, dnnl_status_t now) {
    *s = now;
    return now == dnnl_success;
}

/* One primitive and the four memory objects of its arguments. */
static dnnl_status_t build(entry *e) {
    const sr_matmul *p = &e->key;
    dnnl_dims_t dims[3] = {{p->m, p->k}, {p->k, p->n}, {p->m, p->n}};
    dnnl_dims_t strides[3] = {{p->a_stride, 1}, {p->b_stride, 1}, {p->c_stride, 1}};
    if (p->a_transposed) strides[0][0] = 1, strides[0][1] = p->a_stride;
    if (p->b_transposed) strides[1][0] = 1, strides[1][1] = p->b_stride;
    const dnnl_data_type_t types[3] = {dnnl_type(p->type), dnnl_type(p->type),
                                       dnnl_type(p->c_type)};
    matrix m[3];
    dnnl_memory_t *memory[3] = {&e->a, &e->b, &e->c};
    dnnl_status_t s = dnnl_success;
    int made = 0;
    for (; made < 3 && s == dnnl_success; made++)
        s = matrix_make(&m[made], dims[made], types[made], strides[made]);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    if (s == dnnl_success && good(&s, dnnl_primitive_attr_create(&attr)) &&
        good(&s, dnnl_post_ops_create(&ops)) && (p->sign > 0 || good(&s, scale_result(ops, -1))) &&
        (!p->add || good(&s, add_to_result(ops))) &&
        good(&s, dnnl_primitive_attr_set_post_ops(attr, ops)) &&
        good(&s, dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
        good(&s, product_make(&pd, m, attr)) &&
        good(&s, dnnl_primitive_create(&e->primitive, pd))) {
        for (int i = 0; i < 3 && s == dnnl_success; i++)
            s = dnnl_memory_create(memory[i], MATRIX(m[i]), table.engine, DNNL_MEMORY_NONE);
        if (s == dnnl_success) {
            const void *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
            e->scratch_bytes = matrix_bytes(pad);
            if (e->scratch_bytes > 0)
                s = dnnl_memory_create(&e->scratch, pad, table.engine, DNNL_MEMORY_NONE);
        }
    }
    if (pd != NULL) dnnl_primitive_desc_destroy(pd);
    if (ops != NULL) dnnl_post_ops_destroy(ops);
    if (attr != NULL) dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < made; i++) matrix_free(&m[i]);
    return s;
}

sartor_status sr_matmul_prepare(sartor_context *ctx, const sr_matmul *p, int threads) {
    sr_matmul key = normal_key(p);
    uint64_t hash = hash_of(&key, threads);
    pthread_mutex_lock(&table.lock);
    dnnl_status_t s = dnnl_success;
    if (table.stream == NULL &&
        (s = dnnl_engine_create(&table.engine, dnnl_cpu, 0)) == dnnl_success)
        s = dnnl_stream_create(&table.stream, table.engine, dnnl_stream_default_flags);
    entry *e = s == dnnl_success ? find(&key, threads, hash) : NULL;
    if (e == NULL && s == dnnl_success && (e = calloc(1, sizeof *e)) != NULL) {
        e->key = key, e->threads = threads, e->hash = hash;
        pthread_mutex_init(&e->busy, NULL);
        /* What oneDNN chooses (blocks, scratch, order of sums) depends on how many it may use. */
        const int before = omp_get_max_threads();
        omp_set_num_threads(threads);
        s = build(e);
        omp_set_num_threads(before);
        if (s == dnnl_success) {
            e->next = table.bucket[hash % BUCKETS];
            __atomic_store_n(&table.bucket[hash % BUCKETS], e, __ATOMIC_RELEASE);
        } else { /* what build made before it failed is lost: this ends the program's work anyway */
            free(e);
            e = NULL;
        }
    }
    pthread_mutex_unlock(&table.lock);
    if (e != NULL) return SARTOR_OK;
    return sr_fail(ctx, SARTOR_LIBRARY,
                   "oneDNN cannot make a %" PRId64 " x %" PRId64 " x %" PRId64
                   " %s matrix product (status %d)",
                   p->m, p->n, p->k, p->type == SR_BF16 ? "bf16" : "f32", (int)s);
}

int64_t sr_matmul_scratch(const sr_matmul *p, int threads) {
    sr_matmul key = normal_key(p);
    const entry *e = find(&key, threads, hash_of(&key, threads));
    return e != NULL ? e->scratch_bytes : 0;
}

void sr_matmul_run(const sr_matmul *p, int threads, const void *a, const void *b, void *c,
                   void *scratch) {
    sr_matmul key = normal_key(p);
    uint64_t hash = hash_of(&key, threads);
    entry *e = find(&key, threads, hash); /* entries are never removed: no lock */
    pthread_mutex_lock(&e->busy);
    dnnl_memory_set_data_handle(e->a, (void *)(uintptr_t)a);
    dnnl_memory_set_data_handle(e->b, (void *)(uintptr_t)b);
    dnnl_memory_set_data_handle(e->c, c);
    dnnl_exec_arg_t args[4] = {
        {DNNL_ARG_SRC, e->a}, {DNNL_ARG_WEIGHTS, e->b}, {DNNL_ARG_DST, e->c}};
    int n = 3;
    if (e->scratch != NULL) {
        dnnl_memory_set_data_handle(e->scratch, scratch);
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, e->scratch};
    }
    dnnl_primitive_execute(e->primitive, table.stream, n, args);
    dnnl_stream_wait(table.stream);
    pthread_mutex_unlock(&e->busy);
}
