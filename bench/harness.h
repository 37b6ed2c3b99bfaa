/* The parts of every benchmark: alternating rounds, medians, other processes, JSON lines. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_ROUNDS_MAX 64

/* ---- Options: --smoke (one short round that shows that all works), --rounds N ---- */
typedef struct bench_options {
    bool smoke;
    unsigned rounds; /* 1 with --smoke; odd, so that a median is a value of some round */
} bench_options;
/* Ends the program with a message if an option is unknown; free arguments start at *ret_first. */
bench_options bench_options_read(int argc, char **argv, int *ret_first);
/* count, or a hundredth of it (at least 1) with --smoke. */
unsigned bench_scaled(const bench_options *options, unsigned count);

/* ---- Time ---- */
uint64_t bench_now_ns(void);     /* CLOCK_MONOTONIC */
uint64_t bench_cpu_now_ns(void); /* of this process: CLOCK_PROCESS_CPUTIME_ID */
/* Pins this thread, and all that it starts afterwards, to the first core. */
void bench_pin(void);

/* ---- Figures ---- */
typedef struct bench_latency {
    double p50_us, p99_us;
} bench_latency;
/* Sorts the samples. */
bench_latency bench_summarise(uint64_t *samples_ns, size_t count);

/* One value for each round. */
typedef struct bench_series {
    double values[BENCH_ROUNDS_MAX];
    unsigned count;
} bench_series;
void bench_add(bench_series *series, double value);
double bench_median(const bench_series *series);

typedef enum bench_goal { BENCH_AT_MOST, BENCH_AT_LEAST } bench_goal;

/* One line of the results. The target is for the ratio if there is a peer, else for the value. */
typedef struct bench_figure {
    const char *bench; /* "rpc" */
    const char *name;  /* "sync p50, pinned" */
    const char *unit;  /* "us", "calls/s", "ns" */
    const bench_series *values;
    const char *against;       /* NULL: no peer */
    const bench_series *peers; /* of the same rounds */
    bench_goal goal;
    double target; /* 0: no goal */
} bench_figure;
/* Prints it as one line of JSON: medians, their ratio, the ratios' spread over the rounds. */
void bench_report(const bench_figure *figure);
/* Reports nanoseconds. most: goal for the value, or for the ratio to the peer's; 0: no goal. */
void bench_report_ns(const char *bench, const char *name, const bench_series *values,
                     const char *against, const bench_series *peers, double most);

/* ---- Other processes ---- */
typedef struct bench_process {
    pid_t pid;
    int out; /* its standard output */
} bench_process;
/* Starts a program and reads the first line that it prints, without the newline. */
bool bench_process_start(bench_process *process, const char *const argv[], char *line, size_t size);
/* Reads the next line; false at the end. */
bool bench_process_line(bench_process *process, char *line, size_t size);
void bench_process_end(bench_process *process); /* kills the process and waits for its end */
/* "<folder of this program>/<name>" */
const char *bench_sibling(const char *name, char *to, size_t size);

/* Prints the message and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
