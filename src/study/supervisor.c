#define _GNU_SOURCE
#include "study/supervisor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "study/pulse.h"
#include "study/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = 1024, HOST = 64, ROUND_MS = 100, MOST_IDLE_DEATHS = 5 };
static const double poll_every = 0.25, orphans_every = 2, first_pause = 0.1, longest_pause = 2,
                    quick = 5,
                    patience = 30; /* seconds; a death sooner than `quick` is a quick one */

/* A place for one worker process after the other. */
typedef struct sr_post {
    pid_t pid; /* 0: none runs */
    int fd;    /* its standard error; -1 */
    char name[128];
    char line[LINE], last[LINE]; /* being read; the last complete one */
    size_t used;
    double started, start_at, pause;
    int idle_deaths; /* in a row, without a job */
    bool finished;
} sr_post;

typedef struct sr_supervisor {
    sartor_context *ctx;
    const sr_supervisor_options *options;
    sr_post *posts;
    int n, serial;
    char host[HOST];
    sr_study *reader;
    double polled, orphans_sought;
    bool stopping, killed;
    double stop_at;
    sartor_status status;
    char message[LINE];
} sr_supervisor;

/* ---- what workers say ---- */

/* Complete lines: all are kept as the last one; those that are no error go on to the log. */
static void end_line(sr_supervisor *s, sr_post *post) {
    post->line[post->used] = '\0';
    if (post->used > 0) {
        memcpy(post->last, post->line, post->used + 1);
        if (strncmp(post->last, "sartor: ", 8) != 0) sr_log(s->ctx, "%s", post->last);
    }
    post->used = 0;
}

/* What is there now; at the end of the stream it is closed. */
static void drain(sr_supervisor *s, sr_post *post) {
    char buffer[4096];
    while (post->fd >= 0) {
        ssize_t n = read(post->fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) {
            close(post->fd);
            post->fd = -1;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] == '\n')
                end_line(s, post);
            else if (post->used + 1 < sizeof post->line)
                post->line[post->used++] = buffer[i];
        }
    }
}

static const char *last_line(const sr_post *post) {
    return strncmp(post->last, "sartor: ", 8) == 0 ? post->last + 8 : post->last;
}

/* ---- starting ---- */

static int spawn(const char *const *argv, int error_fd, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, error_fd, 2);
        error = posix_spawn(pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
                            environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static sartor_status start_with(sr_supervisor *s, sr_post *post, const char **argv) {
    int n = 0, ends[2];
    for (; s->options->command[n] != NULL; n++) argv[n] = s->options->command[n];
    /* The end of the name tells the worker whose death it shall not outlive. */
    snprintf(post->name, sizeof post->name, "%s-%" PRId64 "-%d~%ld", s->host,
             (int64_t)(sr_study_now() * 1000), ++s->serial, (long)getpid());
    argv[n] = "--worker-name";
    argv[n + 1] = post->name;
    argv[n + 2] = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sr_fail(s->ctx, SARTOR_IO, "study: cannot make a pipe: %s", strerror(errno));
    int error = spawn(argv, ends[1], &post->pid);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        post->pid = 0;
        return sr_fail(s->ctx, SARTOR_IO, "%s: cannot be started: %s", argv[0], strerror(error));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    post->fd = ends[0];
    post->used = 0;
    post->last[0] = '\0';
    post->started = sr_seconds();
    return SARTOR_OK;
}

static sartor_status start(sr_supervisor *s, sr_post *post) {
    size_t n = 0;
    while (s->options->command[n] != NULL) n++;
    const char **argv;
    SR_TRY(sr_alloc(s->ctx, n + 3, sizeof *argv, "a command line", (void **)&argv));
    sartor_status status = start_with(s, post, argv);
    free(argv);
    return status;
}

/* ---- stopping ---- */

/* The first reason counts. A stopped process acts on SIGTERM when it goes on. */
static void stop(sr_supervisor *s, sartor_status status, const char *message) {
    if (s->stopping) return;
    s->stopping = true;
    s->status = status;
    snprintf(s->message, sizeof s->message, "%s", message);
    s->stop_at = sr_seconds();
    for (int i = 0; i < s->n; i++) {
        if (s->posts[i].pid == 0) continue;
        kill(s->posts[i].pid, SIGTERM);
        kill(s->posts[i].pid, SIGCONT);
    }
}

static void stop_hard(sr_supervisor *s) {
    if (!s->stopping || s->killed || sr_seconds() - s->stop_at < patience) return;
    s->killed = true;
    for (int i = 0; i < s->n; i++)
        if (s->posts[i].pid != 0) kill(s->posts[i].pid, SIGKILL);
}

/* ---- deaths ---- */

static sartor_status job_of(sartor_context *ctx, sr_study *study, const char *worker, int64_t *job,
                            int64_t *attempt) {
    sr_query rows;
    *job = *attempt = 0;
    SR_TRY(sr_sql(ctx, study, &rows,
                  "SELECT id, attempt FROM job WHERE state = 'running' AND worker = ?", "s",
                  worker));
    if (sr_next(&rows)) {
        *job = sr_int(&rows, 0);
        *attempt = sr_int(&rows, 1);
    }
    return sr_done(&rows);
}

/* What a dead worker held is free again; `blame`: and counted against the job. */
static sartor_status settle_death(sr_supervisor *s, sr_study *study, const sr_post *post,
                                  bool blame, const char *how, int64_t *job) {
    int64_t attempt;
    bool failed;
    SR_TRY(job_of(s->ctx, study, post->name, job, &attempt));
    int64_t step = sr_pulse_take(sr_study_folder(study), post->name, *job, attempt);
    if (*job == 0) return SARTOR_OK;
    if (!blame) return sr_job_take_back(s->ctx, study, post->name, how, job);
    SR_TRY(sr_job_crashed(s->ctx, study, post->name, step, how, job, &failed));
    sr_log(s->ctx, "a worker died (%s) in job %" PRId64 " at step %" PRId64 "%s", how, *job, step,
           failed ? "; the job is given up" : "");
    return SARTOR_OK;
}

/* A study that cannot be written now is no reason to stop: the lease runs out by itself. */
static int64_t bury(sr_supervisor *s, const sr_post *post, bool blame, const char *how) {
    sr_study *study;
    int64_t job = 0;
    sartor_status status = sr_study_open(s->ctx, s->options->study, SR_STUDY_WRITE, &study);
    if (status == SARTOR_OK) status = settle_death(s, study, post, blame, how, &job);
    if (status != SARTOR_OK) sr_log(s->ctx, "a worker died (%s): %s", how, sartor_error(s->ctx));
    sr_study_close(&study);
    return job;
}

static void restart_later(sr_post *post) {
    bool soon = sr_seconds() - post->started < quick;
    post->pause = soon && post->pause > 0 ? fmin(2 * post->pause, longest_pause) : first_pause;
    post->start_at = sr_seconds() + post->pause;
}

static void on_killed(sr_supervisor *s, sr_post *post, int number) {
    char how[64];
    snprintf(how, sizeof how, "signal %d", number);
    int64_t job = bury(s, post, !s->stopping, how);
    if (s->stopping) return;
    bool idle = job == 0 && sr_seconds() - post->started < quick;
    post->idle_deaths = idle ? post->idle_deaths + 1 : 0;
    if (post->idle_deaths >= MOST_IDLE_DEATHS) {
        char message[LINE];
        snprintf(message, sizeof message, "workers die before they take a job (%s)%s%.900s", how,
                 post->last[0] != '\0' ? ": " : "", last_line(post));
        stop(s, SARTOR_IO, message);
        return;
    }
    restart_later(post);
}

static void on_exit_code(sr_supervisor *s, sr_post *post, int code) {
    /* 128 + N: somebody asked this worker to stop; if it was not meant for all, it goes on. */
    bool asked = code == 128 + SIGINT || code == 128 + SIGTERM || code == 128 + SIGHUP;
    if (code == 0) {
        post->finished = true;
    } else if (s->stopping) {
        post->finished = true;
    } else if (asked) {
        restart_later(post);
    } else {
        char message[LINE];
        if (post->last[0] != '\0')
            snprintf(message, sizeof message, "%s", last_line(post));
        else
            snprintf(message, sizeof message, "a worker ended with code %d", code);
        stop(s, SARTOR_IO, message);
    }
}

static void reap(sr_supervisor *s, sr_post *post) {
    int state;
    pid_t got = post->pid != 0 ? waitpid(post->pid, &state, WNOHANG) : 0;
    if (got == 0 || (got < 0 && errno == EINTR)) return;
    post->pid = 0;
    drain(s, post);
    end_line(s, post);
    if (post->fd >= 0) close(post->fd);
    post->fd = -1;
    if (got < 0)
        stop(s, SARTOR_LIBRARY, "a worker process cannot be waited for");
    else if (WIFSIGNALED(state))
        on_killed(s, post, WTERMSIG(state));
    else
        on_exit_code(s, post, WEXITSTATUS(state));
}

/* ---- the loop ---- */

static void wait_for_news(sr_supervisor *s, struct pollfd *fds) {
    nfds_t n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->posts[i].fd >= 0) fds[n++] = (struct pollfd){.fd = s->posts[i].fd, .events = POLLIN};
    poll(fds, n, ROUND_MS);
    for (int i = 0; i < s->n; i++) drain(s, &s->posts[i]);
}

static void call_poll(sr_supervisor *s, bool now) {
    if (s->options->poll == NULL || (!now && sr_seconds() - s->polled < poll_every)) return;
    s->options->poll(s->options->user, s->reader);
    s->polled = sr_seconds();
}

/* Whether anything runs or will. */
static bool look_after(sr_supervisor *s) {
    bool any = false;
    for (int i = 0; i < s->n; i++) {
        sr_post *post = &s->posts[i];
        reap(s, post);
        bool due = post->pid == 0 && !post->finished && !s->stopping;
        if (due && sr_seconds() >= post->start_at && start(s, post) != SARTOR_OK)
            stop(s, SARTOR_IO, sartor_error(s->ctx));
        any = any || post->pid != 0 || (due && !s->stopping);
    }
    return any;
}

/* The deaths of own workers are counted: reap() sees them. */
static bool is_own(const sr_supervisor *s, const char *name) {
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->posts[i].name, name) == 0) return true;
    return false;
}

/* Workers on this machine that died with their supervisor need no lease to run out. */
static sartor_status take_back_orphans(sr_supervisor *s, sr_study *study) {
    for (;;) {
        sr_query rows;
        char name[256] = "";
        int64_t job;
        SR_TRY(sr_sql(s->ctx, study, &rows,
                      "SELECT worker.name FROM job JOIN worker"
                      " ON worker.name = job.worker WHERE job.state = 'running' AND host = ?",
                      "s", s->host));
        while (*name == '\0' && sr_next(&rows))
            if (sr_text(&rows, 0) != NULL && !is_own(s, sr_text(&rows, 0)) &&
                sr_pulse_is_dead(sr_study_folder(study), sr_text(&rows, 0)))
                snprintf(name, sizeof name, "%s", sr_text(&rows, 0));
        SR_TRY(sr_done(&rows));
        if (*name == '\0') return SARTOR_OK;
        (void)sr_pulse_take(sr_study_folder(study), name, 0, 0);
        SR_TRY(sr_job_take_back(s->ctx, study, name, "worker gone", &job));
        if (job == 0) return SARTOR_OK;
    }
}

/* Now and then: a worker that was killed a moment ago may still hold its lock. */
static void look_for_orphans(sr_supervisor *s) {
    sr_study *study;
    if (sr_seconds() - s->orphans_sought < orphans_every) return;
    s->orphans_sought = sr_seconds();
    if (sr_study_open(s->ctx, s->options->study, SR_STUDY_WRITE, &study) != SARTOR_OK) return;
    (void)take_back_orphans(s, study);
    sr_study_close(&study);
}

static sartor_status supervise(sr_supervisor *s) {
    struct pollfd *fds;
    SR_TRY(sr_alloc(s->ctx, (size_t)s->n, sizeof *fds, "workers", (void **)&fds));
    s->status = SARTOR_OK;
    for (;;) {
        if (sr_interrupted(s->ctx))
            stop(s, SARTOR_INTERRUPTED, "interrupted; run again to continue");
        if (!look_after(s)) break;
        wait_for_news(s, fds);
        look_for_orphans(s);
        call_poll(s, false);
        stop_hard(s);
    }
    free(fds);
    call_poll(s, true);
    if (s->status == SARTOR_OK) return SARTOR_OK;
    return sr_fail(s->ctx, s->status, "%s", s->message);
}

static sartor_status begin(sr_supervisor *s) {
    if (s->options->poll != NULL)
        SR_TRY(sr_study_open(s->ctx, s->options->study, SR_STUDY_READ, &s->reader));
    SR_TRY(sr_alloc(s->ctx, (size_t)s->n, sizeof *s->posts, "workers", (void **)&s->posts));
    for (int i = 0; i < s->n; i++) s->posts[i].fd = -1;
    return SARTOR_OK;
}

sartor_status sr_supervise(sartor_context *ctx, const sr_supervisor_options *options) {
    if (options->workers < 1 || options->command == NULL || options->command[0] == NULL)
        return sr_fail(ctx, SARTOR_INVALID, "study: no workers to start");
    sr_supervisor s = {.ctx = ctx, .options = options, .n = options->workers};
    if (gethostname(s.host, sizeof s.host) != 0) snprintf(s.host, sizeof s.host, "host");
    s.host[sizeof s.host - 1] = '\0';
    sartor_status status = begin(&s);
    if (status == SARTOR_OK) status = supervise(&s);
    free(s.posts);
    sr_study_close(&s.reader);
    return status;
}
