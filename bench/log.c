/* What it costs a caller to log a call that ended, and what it costs the whole process. Both sides
 * write the same fields to a file from a thread of their own. Records are timed one by one, with a
 * pause between them (calls, too, come some microseconds apart), and what the clock itself costs is
 * subtracted. The ring is drained before it fills. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/harness.h"
#include "core/observe.h"
#ifdef BENCH_WITH_SPDLOG
#include "bench/peers/spdlog.h"
#endif

#define FILL 1024 /* records before the writer is waited for: a quarter of the ring */
#define FILLS 20  /* in a round */
#define PAUSE_NS 2000

typedef struct subject {
    void *self;
    void (*record)(void *self, const mfi_span *span);
    void (*drain)(void *self);
} subject;

typedef struct ours {
    mf_logger *logger;
    mfi_observer *observer;
    mfi_target *target;
} ours;

static void ours_record(void *at, const mfi_span *span)
{
    const ours *self = at;
    mfi_observe_call_end(self->observer, span, NULL);
}

static void ours_drain(void *at)
{
    const ours *self = at;
    if (!mf_log_flush(self->logger, 10000)) {
        bench_die("the log does not get on");
    }
}

/* path NULL: without a sink. */
static ours ours_make(const char *path)
{
    ours self = {NULL, NULL, NULL};
    mf_error error = MF_ERROR_INIT;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_target_options target = {.target = "math", .worker = "math-0"};
    options.level = MF_LOG_INFO;
    options.service = "bench";
    options.instance = "bench-1";
    if (mf_logger_create(&self.logger, &options, &error) != MF_OK ||
        (path != NULL && mf_log_add_file(self.logger, path, MF_LOG_JSON, &error) != MF_OK) ||
        mfi_observer_create(&self.observer, self.logger, NULL, &error) != MF_OK ||
        mfi_target_create(&self.target, self.observer, &target, &error) != MF_OK) {
        bench_die("%s", error.message);
    }
    return self;
}

static void ours_end(ours *self)
{
    mfi_target_destroy(self->target);
    mfi_observer_destroy(self->observer);
    mf_logger_destroy(self->logger);
}

#ifdef BENCH_WITH_SPDLOG
static void spdlog_record(void *at, const mfi_span *span)
{
    bench_spdlog_record(at, span);
}

static void spdlog_drain(void *at)
{
    bench_spdlog_drain(at);
}
#endif

static mfi_span make_span(mfi_target *target)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_span){.target = target,
                      .function = mfi_target_function(target, "add", 3),
                      .function_name = "add",
                      .namespace_name = "default",
                      .context = {.correlation_id = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
                                  .trace_id = "0af7651916cd43dd8448eb211c80319c",
                                  .span_id = "b7ad6b7169203331",
                                  .request_id = "7d444840-9dc0-41d1-b245-5ffdce74fad2",
                                  .trace_flags = 1},
                      .start_ns = now,
                      .sent_ns = now + 4321,
                      .received_ns = now + 75432,
                      .end_ns = now + 81234,
                      .server_queue_ns = 8765,
                      .server_handler_ns = 1234,
                      .deadline_ms = 5000,
                      .request_bytes = 210,
                      .response_bytes = 190,
                      .attempt = 1,
                      .has_server_times = true};
}

typedef struct round_result {
    double p50_ns, cpu_ns;
} round_result;

static void pause_until(uint64_t end_ns)
{
    while (bench_now_ns() < end_ns) {
    }
}

static void record_nothing(void *self, const mfi_span *span)
{
    (void)self;
    (void)span;
}

static void drain_nothing(void *self)
{
    (void)self;
}

static const subject nothing = {NULL, record_nothing, drain_nothing};

static round_result round_of(const subject *measured, mfi_span *span, unsigned fills)
{
    static uint64_t samples[FILL * FILLS];
    size_t count = 0;
    uint64_t cpu = 0;
    for (unsigned fill = 0; fill < fills; fill++) {
        for (unsigned i = 0; i < FILL; i++) {
            span->end_ns++; /* so that no two records are the same */
            uint64_t begin = bench_now_ns();
            measured->record(measured->self, span);
            uint64_t end = bench_now_ns();
            samples[count++] = end - begin;
            pause_until(end + PAUSE_NS);
        }
        measured->drain(measured->self);
        /* The same again without pauses, for the time of all threads. */
        uint64_t cpu_begin = bench_cpu_now_ns();
        for (unsigned i = 0; i < FILL; i++) {
            measured->record(measured->self, span);
        }
        measured->drain(measured->self);
        cpu += bench_cpu_now_ns() - cpu_begin;
    }
    return (round_result){.p50_ns = bench_summarise(samples, count).p50_us * 1e3,
                          .cpu_ns = (double)cpu / (double)count};
}

static void report(const char *name, const bench_series *values, const char *against,
                   const bench_series *peers, double target)
{
    bench_report(&(bench_figure){.bench = "log",
                                 .name = name,
                                 .unit = "ns",
                                 .values = values,
                                 .against = against,
                                 .peers = peers,
                                 .goal = target > 0 ? BENCH_AT_MOST : BENCH_NO_GOAL,
                                 .target = target});
}

int main(int argc, char **argv)
{
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    unsigned fills = bench_scaled(&options, FILLS);
    char folder[] = "/tmp/bench-log-XXXXXX";
    char path[64];
    char peer_path[64];
    bench_series p50 = {.count = 0};
    bench_series cpu = {.count = 0};
    bench_series silent = {.count = 0};
    if (mkdtemp(folder) == NULL) {
        bench_die("no temporary folder");
    }
    (void)snprintf(path, sizeof path, "%s/own.log", folder);
    (void)snprintf(peer_path, sizeof peer_path, "%s/peer.log", folder);
    ours own = ours_make(path);
    ours mute = ours_make(NULL);
    mfi_span span = make_span(own.target);
    const subject subjects[] = {{&own, ours_record, ours_drain}, {&mute, ours_record, ours_drain}};
#ifdef BENCH_WITH_SPDLOG
    bench_series peer_p50 = {.count = 0};
    bench_series peer_cpu = {.count = 0};
    bench_spdlog *log = bench_spdlog_make(peer_path, 8192);
    const subject peer = {log, spdlog_record, spdlog_drain};
#else
    (void)fputs("bench_log: built without spdlog (libspdlog-dev)\n", stderr);
#endif
    for (unsigned round = 0; round <= options.rounds; round++) {
        double clock_ns = round_of(&nothing, &span, fills).p50_ns;
        round_result result = round_of(&subjects[0], &span, fills);
        round_result quiet = round_of(&subjects[1], &span, fills);
#ifdef BENCH_WITH_SPDLOG
        round_result theirs = round_of(&peer, &span, fills);
        if (round > 0) {
            bench_add(&peer_p50, theirs.p50_ns - clock_ns);
            bench_add(&peer_cpu, theirs.cpu_ns);
        }
#endif
        if (round > 0) { /* the first one warms up */
            bench_add(&p50, result.p50_ns - clock_ns);
            bench_add(&cpu, result.cpu_ns);
            bench_add(&silent, quiet.p50_ns - clock_ns);
        }
    }
    report("log record in the caller p50", &p50, NULL, NULL, 60);
    report("log record in the caller p50, no sink", &silent, NULL, NULL, 5);
#ifdef BENCH_WITH_SPDLOG
    report("log record in the caller p50", &p50, "spdlog async", &peer_p50, 0.07);
    report("log record, CPU of the process", &cpu, "spdlog async", &peer_cpu, 0);
    bench_spdlog_end(log);
#else
    report("log record, CPU of the process", &cpu, NULL, NULL, 0);
#endif
    ours_end(&own);
    ours_end(&mute);
    (void)unlink(path);
    (void)unlink(peer_path);
    (void)rmdir(folder);
    return EXIT_SUCCESS;
}
