/* Times calls of add(1, 2) in another process: this library against its peers. Each part is a
 * process of its own, because pinning holds for all that a process starts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peer.h"
#include "bench/peers/multifrost.h"
#include "bench/peers/zmq.h"

#define PEERS_MAX 8
#define SYNC_CALLS 4000 /* in a round */
#define WARM_CALLS 500  /* before the first round */

typedef struct rival {
    bench_peer (*start)(void);
    double sync_p50, sync_p99;           /* goals for our time divided by the rival's; 0: none */
    double pipelined_64, pipelined_1000; /* goals for our rate divided by the rival's */
    unsigned calls;                      /* in one pipelined round */
} rival;

static const rival rivals[] = {
    {bench_peer_zmq_msgpack, 1.05, 1.15, 0, 1.1, 200000},
    {bench_peer_zmq, 1.13, 0, 0, 0, 200000},
#ifdef BENCH_WITH_GRPC
    {bench_peer_grpc, 0.80, 0, 5, 15, 20000},
#endif
#ifdef BENCH_WITH_NNG
    {bench_peer_nng, 0.70, 0, 3, 0, 50000},
#endif
#ifdef BENCH_WITH_PYTHON
    {bench_peer_python, 0.7, 0, 0, 15, 20000},
#endif
    {bench_peer_multifrost_on_libzmq, 0, 0, 0, 0, 200000},
};
#define RIVALS (sizeof rivals / sizeof rivals[0])

static void report(const char *name, const char *unit, const bench_series *ours,
                   const char *against, const bench_series *theirs, bench_goal goal, double target)
{
    bench_report(&(bench_figure){.bench = "rpc",
                                 .name = name,
                                 .unit = unit,
                                 .values = ours,
                                 .against = against,
                                 .peers = theirs,
                                 .goal = goal,
                                 .target = target});
}

/* ---- One call after the other ---- */

static void sync_rounds(const bench_options *options, bool pinned)
{
    static bench_series p50[RIVALS + 1];
    static bench_series p99[RIVALS + 1];
    bench_peer peers[RIVALS + 1];
    peers[RIVALS] = bench_peer_multifrost();
    for (size_t i = 0; i < RIVALS; i++) {
        peers[i] = rivals[i].start();
    }
    for (unsigned round = 0; round <= options->rounds; round++) {
        for (size_t i = 0; i <= RIVALS; i++) {
            (void)peers[i].sync(peers[i].self, bench_scaled(options, WARM_CALLS));
            bench_latency latency = peers[i].sync(peers[i].self, bench_scaled(options, SYNC_CALLS));
            if (round > 0) { /* round 0 warms up */
                bench_add(&p50[i], latency.p50_us);
                bench_add(&p99[i], latency.p99_us);
            }
        }
    }
    for (size_t i = 0; i < RIVALS; i++) {
        report(pinned ? "sync call p50, pinned" : "sync call p50, free", "us", &p50[RIVALS],
               peers[i].name, &p50[i], BENCH_AT_MOST, pinned ? rivals[i].sync_p50 : 0);
        report(pinned ? "sync call p99, pinned" : "sync call p99, free", "us", &p99[RIVALS],
               peers[i].name, &p99[i], BENCH_AT_MOST, pinned ? rivals[i].sync_p99 : 0);
    }
    for (size_t i = 0; i <= RIVALS; i++) {
        peers[i].stop(peers[i].self);
    }
}

static void run_sync(const bench_options *options)
{
    bench_pin();
    sync_rounds(options, true);
}

static void run_free(const bench_options *options)
{
    sync_rounds(options, false);
}

/* ---- Many open calls ---- */

static void pipelined_rounds(const bench_options *options, unsigned in_flight, const rival *against,
                             double target)
{
    bench_series ours = {0};
    bench_series theirs = {0};
    char name[64];
    bench_peer peer = against->start();
    bench_peer own = bench_peer_multifrost();
    for (unsigned round = 0; round <= options->rounds; round++) {
        double own_rate = own.pipelined(own.self, in_flight, bench_scaled(options, 200000));
        double rate = peer.pipelined(peer.self, in_flight, bench_scaled(options, against->calls));
        if (round > 0) {
            bench_add(&ours, own_rate);
            bench_add(&theirs, rate);
        }
    }
    (void)snprintf(name, sizeof name, "calls with %u in flight", in_flight);
    report(name, "calls/s", &ours, peer.name, &theirs, BENCH_AT_LEAST, target);
    own.stop(own.self);
    peer.stop(peer.self);
}

static void run_pipelined(const bench_options *options)
{
    for (size_t i = 0; i < RIVALS; i++) {
        pipelined_rounds(options, 64, &rivals[i], rivals[i].pipelined_64);
        pipelined_rounds(options, 1000, &rivals[i], rivals[i].pipelined_1000);
    }
}

static void run_threads(const bench_options *options)
{
    bench_series ours = {0};
    bench_series theirs = {0};
    bench_peer own = bench_peer_multifrost();
    unsigned calls = bench_scaled(options, 20000);
    for (unsigned round = 0; round <= options->rounds; round++) {
        double own_rate = bench_multifrost_threads(own.self, 4, calls);
        double rate = bench_zmq_threads(4, calls);
        if (round > 0) {
            bench_add(&ours, own_rate);
            bench_add(&theirs, rate);
        }
    }
    report("4 threads calling through one parent", "calls/s", &ours, "4 DEALERs of libzmq", &theirs,
           BENCH_AT_LEAST, 0.95);
    own.stop(own.self);
}

static void run_payload(const bench_options *options)
{
    static const size_t sizes[] = {1024, 16 * 1024, 128 * 1024, 1024 * 1024};
    bench_peer own = bench_peer_multifrost();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bench_series ours = {0};
        bench_series theirs = {0};
        char name[64];
        unsigned calls = bench_scaled(options, (unsigned)(((size_t)1 << 29) / (sizes[i] + 8192)));
        for (unsigned round = 0; round <= options->rounds; round++) {
            double own_rate = bench_multifrost_echo(own.self, sizes[i], 16, calls);
            double rate = bench_zmq_echo(sizes[i], 16, calls);
            if (round > 0) {
                bench_add(&ours, own_rate);
                bench_add(&theirs, rate);
            }
        }
        (void)snprintf(name, sizeof name, "echo of %zu KiB, 16 in flight", sizes[i] / 1024);
        report(name, "calls/s", &ours, "libzmq", &theirs, BENCH_AT_LEAST, 0.9);
    }
    own.stop(own.self);
}

/* ---- Instruments on and off ---- */

static void compare_instruments(const bench_options *options, const char *name,
                                const bench_instruments *on, const bench_instruments *off,
                                unsigned in_flight, double target)
{
    bench_series with = {0};
    bench_series without = {0};
    bench_peer watched = bench_peer_instrumented(on);
    bench_peer plain = bench_peer_instrumented(off);
    for (unsigned round = 0; round <= options->rounds; round++) {
        double rate = watched.pipelined(watched.self, in_flight, bench_scaled(options, 200000));
        double plain_rate = plain.pipelined(plain.self, in_flight, bench_scaled(options, 200000));
        if (round > 0) {
            bench_add(&with, rate);
            bench_add(&without, plain_rate);
        }
    }
    report(name, "calls/s", &with, plain.name, &without, BENCH_AT_LEAST, target);
    watched.stop(watched.self);
    plain.stop(plain.self);
}

/* One call after the other, on one core. */
static void run_watched(const bench_options *options)
{
    bench_series with = {0};
    bench_series without = {0};
    bench_pin();
    bench_peer watched = bench_peer_instrumented(&(bench_instruments){.name = "all instruments"});
    bench_peer plain =
        bench_peer_instrumented(&(bench_instruments){.name = "no instruments", .no_metrics = true});
    for (unsigned round = 0; round <= options->rounds; round++) {
        bench_latency own = watched.sync(watched.self, bench_scaled(options, SYNC_CALLS));
        bench_latency bare = plain.sync(plain.self, bench_scaled(options, SYNC_CALLS));
        if (round > 0) {
            bench_add(&with, own.p50_us);
            bench_add(&without, bare.p50_us);
        }
    }
    report("sync call p50, all instruments, pinned", "us", &with, plain.name, &without,
           BENCH_AT_MOST, 1.04);
    watched.stop(watched.self);
    plain.stop(plain.self);
}

static void run_instruments(const bench_options *options)
{
    char path[] = "/tmp/multifrost-bench-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        bench_die("cannot make a log file in /tmp");
    }
    const bench_instruments plain = {.name = "no instruments", .no_metrics = true};
    const bench_instruments measured = {.name = "without a log"};
    const bench_instruments logged = {.name = "log", .log_file = path};
    compare_instruments(options, "all instruments, 64 in flight", &measured, &plain, 64, 0.95);
    compare_instruments(options, "all instruments, 1,000 in flight", &measured, &plain, 1000, 0.95);
    compare_instruments(options, "JSON log of every call, 1,000 in flight", &logged, &measured,
                        1000, 0.75);
    const bench_instruments sampled = {
        .name = "log", .log_file = path, .log_sample_first = 1, .log_sample_thereafter = 100};
    compare_instruments(options, "JSON log of 1 call in 100, 1,000 in flight", &sampled, &measured,
                        1000, 0.95);
    (void)close(fd);
    (void)unlink(path);
}

/* ---- Parts ---- */

static const struct {
    const char *name;
    void (*run)(const bench_options *options);
} parts[] = {
    {"sync", run_sync},       {"free", run_free},       {"pipelined", run_pipelined},
    {"threads", run_threads}, {"payload", run_payload}, {"instruments", run_instruments},
    {"watched", run_watched},
};

static bool run_alone(size_t part, const bench_options *options)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        parts[part].run(options);
        exit(EXIT_SUCCESS);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
    int first = 0;
    bool good = true;
    bench_options options = bench_options_read(argc, argv, &first);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        bool chosen = first == argc;
        for (int k = first; k < argc; k++) {
            chosen = chosen || strcmp(argv[k], parts[i].name) == 0;
        }
        good = !chosen || run_alone(i, &options) ? good : false;
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
