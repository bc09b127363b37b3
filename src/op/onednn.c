#include "op/onednn.h"

#include <inttypes.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef dnnl_memory_desc_t matrix;
#if DNNL_VERSION_MAJOR < 3
#define MATRIX(m) (&(m))
typedef const dnnl_memory_desc_t *borrowed;
#else
#define MATRIX(m) (m)
typedef const_dnnl_memory_desc_t borrowed;
#endif

typedef struct entry {
    sr_matmul key;
    int threads;
    uint64_t hash;
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t of; /* owns the scratchpad's description */
    matrix a, b, c;
    borrowed scratch;
    int64_t scratch_bytes;
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
static dnnl_status_t matrix_make(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}
static dnnl_status_t product_make(dnnl_primitive_desc_t *out, const entry *e,
                                  dnnl_primitive_attr_t attr) {
    dnnl_matmul_desc_t d;
    dnnl_status_t s = dnnl_matmul_desc_init(&d, &e->a, &e->b, NULL, &e->c);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(out, &d, attr, table.engine, NULL);
}
static dnnl_status_t add_to_result(dnnl_post_ops_t ops) { return dnnl_post_ops_append_sum(ops, 1); }
static dnnl_status_t scale_result(dnnl_post_ops_t ops, float s) {
    return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_linear, s, 0);
}
#else
static dnnl_status_t matrix_make(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides);
}
static dnnl_status_t product_make(dnnl_primitive_desc_t *out, const entry *e,
                                  dnnl_primitive_attr_t attr) {
    return dnnl_matmul_primitive_desc_create(out, table.engine, e->a, e->b, NULL, e->c, attr);
}
static dnnl_status_t add_to_result(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}
static dnnl_status_t scale_result(dnnl_post_ops_t ops, float s) {
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, s, 0);
}
#endif

static bool good(dnnl_status_t *s, dnnl_status_t now) {
    *s = now;
    return now == dnnl_success;
}

/* One primitive and what its arguments look like. */
static dnnl_status_t build(entry *e) {
    const sr_matmul *p = &e->key;
    dnnl_dims_t dims[3] = {{p->m, p->k}, {p->k, p->n}, {p->m, p->n}};
    dnnl_dims_t strides[3] = {{p->a_stride, 1}, {p->b_stride, 1}, {p->c_stride, 1}};
    if (p->a_transposed) strides[0][0] = 1, strides[0][1] = p->a_stride;
    if (p->b_transposed) strides[1][0] = 1, strides[1][1] = p->b_stride;
    const dnnl_data_type_t type = dnnl_type(p->type);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_success;
    if (good(&s, matrix_make(&e->a, dims[0], type, strides[0])) &&
        good(&s, matrix_make(&e->b, dims[1], type, strides[1])) &&
        good(&s, matrix_make(&e->c, dims[2], dnnl_type(p->c_type), strides[2])) &&
        good(&s, dnnl_primitive_attr_create(&attr)) && good(&s, dnnl_post_ops_create(&ops)) &&
        (p->sign > 0 || good(&s, scale_result(ops, -1))) &&
        (!p->add || good(&s, add_to_result(ops))) &&
        good(&s, dnnl_primitive_attr_set_post_ops(attr, ops)) &&
        good(&s, dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
        good(&s, product_make(&e->of, e, attr)) &&
        good(&s, dnnl_primitive_create(&e->primitive, e->of))) {
        e->scratch = dnnl_primitive_desc_query_md(e->of, dnnl_query_scratchpad_md, 0);
        e->scratch_bytes = (int64_t)dnnl_memory_desc_get_size(e->scratch);
    }
    if (ops != NULL) dnnl_post_ops_destroy(ops);
    if (attr != NULL) dnnl_primitive_attr_destroy(attr);
    return s;
}

sartor_status sr_onednn_prepare(sartor_context *ctx, const sr_matmul *p, int threads) {
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

int64_t sr_onednn_scratch(const sr_matmul *p, int threads) {
    sr_matmul key = normal_key(p);
    const entry *e = find(&key, threads, hash_of(&key, threads));
    return e != NULL ? e->scratch_bytes : 0;
}

void sr_onednn_run(const sr_matmul *p, int threads, const void *a, const void *b, void *c,
                   void *scratch) {
    sr_matmul key = normal_key(p);
    /* Entries are never removed or changed: no lock. */
    const entry *e = find(&key, threads, hash_of(&key, threads));
    const struct {
        int name;
        borrowed shape;
        void *data;
    } all[4] = {{DNNL_ARG_SRC, MATRIX(e->a), (void *)(uintptr_t)a},
                {DNNL_ARG_WEIGHTS, MATRIX(e->b), (void *)(uintptr_t)b},
                {DNNL_ARG_DST, MATRIX(e->c), c},
                {DNNL_ARG_SCRATCHPAD, e->scratch, scratch}};
    dnnl_exec_arg_t args[4];
    const int n = e->scratch_bytes > 0 ? 4 : 3;
    for (int i = 0; i < n; i++) { /* 0.2 microseconds each */
        args[i].arg = all[i].name;
        dnnl_memory_create(&args[i].memory, all[i].shape, table.engine, all[i].data);
    }
    dnnl_primitive_execute(e->primitive, table.stream, n, args);
    dnnl_stream_wait(table.stream);
    for (int i = 0; i < n; i++) dnnl_memory_destroy(args[i].memory);
}
