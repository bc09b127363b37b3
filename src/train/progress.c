#include "train/progress.h"

#include "base/clock.h"
#include "data/score.h"
#include <math.h>

static const double interval = 0.1; /* seconds */

sr_progress_meter sr_progress_start(const sartor_train_options *options, int64_t step,
                                    int64_t end) {
    double now = sr_seconds();
    return (sr_progress_meter){.call = options->progress,
                               .user = options->progress_user,
                               .first = step,
                               .end = end,
                               .started = now,
                               .last = now,
                               .last_tokens = -1};
}

void sr_progress_step(sr_progress_meter *m, const sr_metrics_line *line, double validation) {
    const sr_step *s = &line->of_step;
    if (m->call == NULL) return;
    if (m->last_tokens < 0) m->last_tokens = line->tokens - s->tokens;
    m->steps++;
    m->nats += s->loss;
    if (s->bytes > 0) m->bits += sr_bits_per_byte(s->loss * (double)s->scored, (uint64_t)s->bytes);
    double now = sr_seconds();
    bool first = line->step == m->first + 1, last = line->step == m->end;
    if (!first && !last && now - m->last < interval) return;
    double per_step = (now - m->started) / (double)(line->step - m->first);
    m->report = (sartor_progress){.step = line->step,
                                  .steps = m->end,
                                  .tokens = line->tokens,
                                  .loss = m->nats / (double)m->steps,
                                  .bits_per_byte = m->bits / (double)m->steps,
                                  .learning_rate = s->rate,
                                  .gradient_norm = s->norm,
                                  .validation_bits_per_byte = validation,
                                  .tokens_per_second = (double)(line->tokens - m->last_tokens) /
                                                       (now - m->last + 1e-9),
                                  .seconds_left = per_step * (double)(m->end - line->step)};
    m->last = now;
    m->last_tokens = line->tokens;
    m->steps = 0;
    m->nats = m->bits = 0;
    m->call(m->user, &m->report);
}

void sr_progress_validation(sr_progress_meter *m, double validation, uint64_t done, uint64_t all) {
    if (m->call == NULL) return;
    double now = sr_seconds();
    if (m->validation_started == 0) m->validation_started = now;
    if (done < all && now - m->last < interval) return;
    double spent = now - m->validation_started;
    m->report.step = m->report.steps = m->end;
    m->report.validation_bits_per_byte = validation;
    m->report.seconds_left = spent * (double)(all - done) / (double)done;
    m->last = now;
    m->call(m->user, &m->report);
}
