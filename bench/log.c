/* Times how long a caller takes to log a call that ended, and how much CPU the whole process uses,
 * against spdlog. Both write the same fields to a file from one thread of their own. Records are
 * timed one by one, with a pause in between, as calls too are microseconds apart; the time of
 * reading the clock is subtracted. The ring is drained before it fills. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/harness.h"
#include "core/observe/observe.h"
#ifdef BENCH_WITH_SPDLOG
#include "bench/peers/spdlog.h"
#endif

#define FILL 1024       /* records between two drains: a quarter of the ring */
#define FILLS 20        /* drains in a round */
#define PAUSE_NS 2000   /* between two records */
#define OBSERVED 500000 /* calls */

typedef struct subject {
    void *self;
    void (*record)(void *self, const mfi_client_span *span);
    void (*drain)(void *self);
} subject;

typedef struct ours {
    mf_logger *logger;
    mfi_observer *observer;
    mfi_target *target;
} ours;

static void ours_record(void *self, const mfi_client_span *span)
{
    (void)self; /* the span names its target, which knows its observer */
    mfi_observe_client_end(span, NULL);
}

static void ours_drain(void *at)
{
    const ours *self = at;
    if (!mf_log_flush(self->logger, 10000)) {
        bench_die("the log does not get on");
    }
}

/* path NULL: no sink. */
static ours ours_make(const char *path)
{
    ours self = {NULL, NULL, NULL};
    mf_error error = MF_ERROR_INIT;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    mfi_client_options target = {.target = "math", .worker = "math-0"};
    options.level = MF_LOG_INFO;
    options.service = "bench";
    options.instance = "bench-1";
    if (mf_logger_create(&self.logger, &options, &error) != MF_OK ||
        (path != NULL && mf_log_add_file(self.logger, path, MF_LOG_JSON, &error) != MF_OK) ||
        mfi_observer_create(&self.observer, self.logger, NULL, 64, &error) != MF_OK ||
        mfi_target_create_client(&self.target, self.observer, &target, &error) != MF_OK) {
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
static void spdlog_record(void *at, const mfi_client_span *span)
{
    bench_spdlog_record(at, span);
}

static void spdlog_drain(void *at)
{
    bench_spdlog_drain(at);
}
#endif

static mfi_client_span make_span(mfi_target *target)
{
    uint64_t now = mfi_monotonic_ns();
    return (mfi_client_span){.target = target,
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
    double p50_ns, burst_ns, cpu_ns;
} round_result;

static void pause_until(uint64_t end_ns)
{
    while (bench_now_ns() < end_ns) {
    }
}

static void record_nothing(void *self, const mfi_client_span *span)
{
    (void)self;
    (void)span;
}

static void drain_nothing(void *self)
{
    (void)self;
}

static const subject nothing = {NULL, record_nothing, drain_nothing};

static round_result round_of(const subject *measured, mfi_client_span *span, unsigned fills)
{
    static uint64_t samples[FILL * FILLS];
    size_t count = 0;
    uint64_t cpu = 0;
    uint64_t burst = 0;
    for (unsigned fill = 0; fill < fills; fill++) {
        for (unsigned i = 0; i < FILL; i++) {
            span->end_ns++; /* so that no two records are equal */
            uint64_t begin = bench_now_ns();
            measured->record(measured->self, span);
            uint64_t end = bench_now_ns();
            samples[count++] = end - begin;
            pause_until(end + PAUSE_NS);
        }
        measured->drain(measured->self);
        /* Once more without pauses, for the mean of a burst and the CPU time of all threads. */
        uint64_t cpu_begin = bench_cpu_now_ns();
        uint64_t burst_begin = bench_now_ns();
        for (unsigned i = 0; i < FILL; i++) {
            measured->record(measured->self, span);
        }
        burst += bench_now_ns() - burst_begin;
        measured->drain(measured->self);
        cpu += bench_cpu_now_ns() - cpu_begin;
    }
    return (round_result){.p50_ns = bench_summarise(samples, count).p50_us * 1e3,
                          .burst_ns = (double)burst / (double)count,
                          .cpu_ns = (double)cpu / (double)count};
}

/* ---- Everything that a call reports, without a log ---- */

static void show_nothing(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)ret_gauges;
    (void)user_data;
}

static double observed_ns(mf_logger *silent, unsigned calls)
{
    mf_metrics *metrics = NULL;
    mfi_observer *observer = NULL;
    mfi_target *target = NULL;
    const mfi_client_options options = {
        .target = "math", .worker = "math-0", .gauges = show_nothing};
    if (mf_metrics_create(&metrics, NULL, NULL) != MF_OK ||
        mfi_observer_create(&observer, silent, metrics, 64, NULL) != MF_OK ||
        mfi_target_create_client(&target, observer, &options, NULL) != MF_OK) {
        bench_die("no memory");
    }
    mfi_client_span span = make_span(target);
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < calls; i++) {
        span.end_ns++;
        mfi_observe_client_begin(&span);
        mfi_observe_client_attempt(span.target, MFI_ATTEMPT_FIRST, span.request_bytes);
        mfi_observe_traffic(target, MFI_DIRECTION_SENT, MFI_TRAFFIC_CALL, span.request_bytes);
        mfi_observe_traffic(target, MFI_DIRECTION_RECEIVED, MFI_TRAFFIC_RESPONSE,
                            span.response_bytes);
        mfi_observe_client_end(&span, NULL);
    }
    double ns = (double)(bench_now_ns() - begin) / calls;
    mfi_target_destroy(target);
    mfi_observer_destroy(observer);
    mf_metrics_destroy(metrics);
    return ns;
}

/* ---- Results ---- */

/* One value of each kind for every round. */
typedef struct figures {
    bench_series p50, burst, cpu;
} figures;

static void add_round(figures *to, round_result result, double clock_ns)
{
    bench_add(&to->p50, result.p50_ns - clock_ns);
    bench_add(&to->burst, result.burst_ns);
    bench_add(&to->cpu, result.cpu_ns);
}

static void run(const bench_options *options, const char *path, const char *peer_path)
{
    unsigned fills = bench_scaled(options, FILLS);
    figures own = {.p50 = {.count = 0}};
    figures silent = {.p50 = {.count = 0}};
    figures theirs = {.p50 = {.count = 0}};
    bench_series observed = {.count = 0};
    ours log = ours_make(path);
    ours mute = ours_make(NULL);
    mfi_client_span span = make_span(log.target);
    mfi_client_span muted = make_span(mute.target);
    const char *against = NULL;
    const subject with_file = {&log, ours_record, ours_drain};
    const subject without = {&mute, ours_record, ours_drain};
#ifdef BENCH_WITH_SPDLOG
    bench_spdlog *peer_log = bench_spdlog_make(peer_path, 8192);
    const subject peer = {peer_log, spdlog_record, spdlog_drain};
    against = "spdlog async";
#else
    (void)peer_path;
    (void)fputs("bench_log: built without spdlog (libspdlog-dev)\n", stderr);
#endif
    for (unsigned round = 0; round < options->rounds; round++) {
        double clock_ns = round_of(&nothing, &span, fills).p50_ns;
        add_round(&own, round_of(&with_file, &span, fills), clock_ns);
        add_round(&silent, round_of(&without, &muted, fills), clock_ns);
        bench_add(&observed, observed_ns(mute.logger, bench_scaled(options, OBSERVED)));
#ifdef BENCH_WITH_SPDLOG
        add_round(&theirs, round_of(&peer, &span, fills), clock_ns);
#endif
    }
    bench_report_ns("log", "log record in the caller p50", &own.p50, NULL, NULL, 60);
    bench_report_ns("log", "log record without a sink, mean", &silent.burst, NULL, NULL, 5);
    if (against != NULL) {
        bench_report_ns("log", "log record in the caller p50", &own.p50, against, &theirs.p50,
                        0.07);
    }
    bench_report_ns("log", "call observed by metrics, no sink, mean", &observed, NULL, NULL, 60);
    bench_report_ns("log", "log record in a burst, mean", &own.burst, against, &theirs.burst, 0);
    bench_report_ns("log", "log record, CPU of all threads", &own.cpu, against, &theirs.cpu, 0);
#ifdef BENCH_WITH_SPDLOG
    bench_spdlog_end(peer_log);
#endif
    ours_end(&log);
    ours_end(&mute);
}

int main(int argc, char **argv)
{
    int first = 0;
    bench_options options = bench_options_read(argc, argv, &first);
    char folder[] = "/tmp/bench-log-XXXXXX";
    char path[64];
    char peer_path[64];
    if (mkdtemp(folder) == NULL) {
        bench_die("no temporary folder");
    }
    (void)snprintf(path, sizeof path, "%s/own.log", folder);
    (void)snprintf(peer_path, sizeof peer_path, "%s/peer.log", folder);
    run(&options, path, peer_path);
    (void)unlink(path);
    (void)unlink(peer_path);
    (void)rmdir(folder);
    return EXIT_SUCCESS;
}
