/* In-context recall, plain and noisy: a sequence of keys, each followed by its value, and a last
 * key that came before. The multi-query form scores the value of every key that came before; the
 * other form only the last one, which a special token announces. Noise replaces whole pairs. */
#include "base/memory.h"
#include "task/mad/rows.h"
#include <stdlib.h>

typedef struct recall {
    const sr_mad_setting *setting;
    sr_mad_ids ids;
    int64_t pairs;            /* of the sequence, the last one included */
    int32_t *tokens, *wanted; /* of the sequence before it is shifted */
    int32_t *value;           /* of each key; SR_MAD_IGNORE: the key has not come yet */
    int32_t *order;           /* keys that have come, in the order of their first time */
} recall;

static int32_t draw_value(const recall *r, sr_pcg64 *rng) {
    return (int32_t)(r->ids.keys + sr_pcg64_choice(rng, r->ids.values));
}

/* One row's tokens and the values to score. */
static void draw(recall *r, sr_pcg64 *rng) {
    const sr_mad_setting *s = r->setting;
    int64_t n = 0, came = 0;
    for (int64_t k = 0; k < r->ids.keys; k++) r->value[k] = SR_MAD_IGNORE;
    int64_t never_noise = sr_pcg64_choice(rng, r->pairs);
    for (int64_t pair = 0; pair < r->pairs - 1; pair++, n += 2) {
        int32_t *token = r->tokens + n, *wanted = r->wanted + n;
        wanted[0] = wanted[1] = SR_MAD_IGNORE;
        if (s->noise > 0 && pair != never_noise && sr_pcg64_uniform(rng) < s->noise) {
            for (int i = 0; i < 2; i++)
                token[i] =
                    (int32_t)(r->ids.keys + r->ids.values + sr_pcg64_choice(rng, r->ids.noise));
            continue;
        }
        int32_t key = (int32_t)sr_pcg64_choice(rng, r->ids.keys);
        if (r->value[key] == SR_MAD_IGNORE) {
            r->value[key] = draw_value(r, rng);
            r->order[came++] = key;
        } else if (s->multi_query) {
            wanted[1] = r->value[key];
        }
        token[0] = key;
        token[1] = r->value[key];
    }
    /* The pair that is never noise may be the last one, and then all others may be noise. The
     * benchmark fails there; here the last key is new. */
    int32_t last;
    if (came > 0) {
        last = r->order[sr_pcg64_choice(rng, came)];
    } else {
        last = (int32_t)sr_pcg64_choice(rng, r->ids.keys);
        r->value[last] = draw_value(r, rng);
    }
    if (!s->multi_query) {
        r->tokens[n] = (int32_t)s->vocab - 1;
        r->wanted[n++] = SR_MAD_IGNORE;
    }
    r->tokens[n] = last;
    r->wanted[n++] = SR_MAD_IGNORE;
    r->tokens[n] = r->wanted[n] = r->value[last];
}

sartor_status sr_mad_recall_rows(sartor_context *ctx, const sr_mad_setting *setting,
                                 sr_mad_stream *stream, bool test_form, sr_mad_set *set) {
    recall r = {.setting = setting, .ids = sr_mad_divide(setting), .pairs = setting->length / 2};
    void *block = NULL;
    size_t tokens = (size_t)set->length + 1, keys = (size_t)r.ids.keys;
    SR_TRY(sr_alloc(ctx, 2 * (tokens + keys), sizeof(int32_t), "a sequence", &block));
    r.tokens = block;
    r.wanted = r.tokens + tokens;
    r.value = r.wanted + tokens;
    r.order = r.value + keys;
    for (int64_t row = 0; row < set->rows; row++) {
        draw(&r, &stream->rng);
        sr_mad_shift(r.tokens, r.wanted, set->length, test_form, set->inputs + row * set->length,
                     set->targets + row * set->length);
    }
    free(block);
    return SARTOR_OK;
}
