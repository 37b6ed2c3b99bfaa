/* Options, clocks, rounds, child processes and the lines of JSON, so that every benchmark measures
 * and reports in the same way. */
#include "bench/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define ROUNDS_DEFAULT 7

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* ---- Options ---- */

static unsigned read_rounds(const char *text)
{
    char *end = NULL;
    unsigned long rounds = text != NULL ? strtoul(text, &end, 10) : 0;
    if (rounds < 1 || rounds > BENCH_ROUNDS_MAX || *end != '\0') {
        bench_die("--rounds: a number from 1 to %d", BENCH_ROUNDS_MAX);
    }
    return (unsigned)rounds;
}

bench_options bench_options_read(int argc, char **argv, int *ret_first)
{
    bench_options options = {.rounds = ROUNDS_DEFAULT};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--smoke") == 0) {
            options.smoke = true;
            options.rounds = 1;
        } else if (strcmp(argv[at], "--rounds") == 0) {
            options.rounds = read_rounds(argv[++at]);
        } else {
            bench_die("%s: unknown option (--smoke, --rounds N)", argv[at]);
        }
    }
    *ret_first = at;
    return options;
}

unsigned bench_scaled(const bench_options *options, unsigned count)
{
    unsigned scaled = options->smoke ? count / 100 : count;
    return scaled > 0 ? scaled : 1;
}

/* ---- Time ---- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_now_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_pin(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        bench_die("cannot pin to core 0: %s", strerror(errno));
    }
}

/* ---- Figures ---- */

static int compare_samples(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static int compare_values(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return *left < *right ? -1 : *left > *right;
}

bench_latency bench_summarise(uint64_t *samples_ns, size_t count)
{
    qsort(samples_ns, count, sizeof *samples_ns, compare_samples);
    return (bench_latency){.p50_us = (double)samples_ns[count / 2] / 1e3,
                           .p99_us = (double)samples_ns[count * 99 / 100] / 1e3};
}

void bench_add(bench_series *series, double value)
{
    if (series->count < BENCH_ROUNDS_MAX) {
        series->values[series->count++] = value;
    }
}

double bench_median(const bench_series *series)
{
    double sorted[BENCH_ROUNDS_MAX];
    memcpy(sorted, series->values, series->count * sizeof sorted[0]);
    qsort(sorted, series->count, sizeof sorted[0], compare_values);
    return series->count > 0 ? sorted[series->count / 2] : 0;
}

/* "AMD EPYC 9004, 2 cores", from /proc/cpuinfo. */
static const char *machine(void)
{
    static char text[160];
    char line[256];
    FILE *file = text[0] == '\0' ? fopen("/proc/cpuinfo", "re") : NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) == 0 && value != NULL) {
            (void)snprintf(text, sizeof text, "%.*s, %ld cores", (int)strcspn(value + 2, "\"\\\n"),
                           value + 2, sysconf(_SC_NPROCESSORS_ONLN));
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return text[0] != '\0' ? text : "unknown";
}

static void print_spread(const char *key, const bench_series *values, const bench_series *peers)
{
    double least = 0;
    double most = 0;
    for (unsigned i = 0; i < values->count; i++) {
        double value = values->values[i] / (peers != NULL ? peers->values[i] : 1);
        least = i == 0 || value < least ? value : least;
        most = i == 0 || value > most ? value : most;
    }
    (void)printf(",\"%s\":[%.6g,%.6g]", key, least, most);
}

void bench_report(const bench_figure *figure)
{
    double value = bench_median(figure->values);
    double judged = value;
    (void)printf("{\"bench\":\"%s\",\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", figure->bench,
                 figure->name, value, figure->unit);
    print_spread("spread", figure->values, NULL);
    if (figure->against != NULL) {
        double peer = bench_median(figure->peers);
        judged = value / peer;
        (void)printf(",\"against\":\"%s\",\"peer_value\":%.6g,\"ratio\":%.4g", figure->against,
                     peer, judged);
        print_spread("ratio_spread", figure->values, figure->peers);
    }
    if (figure->target > 0) {
        bool met =
            figure->goal == BENCH_AT_MOST ? judged <= figure->target : judged >= figure->target;
        (void)printf(",\"goal\":\"%s\",\"target\":%.6g,\"met\":%s",
                     figure->goal == BENCH_AT_MOST ? "at most" : "at least", figure->target,
                     met ? "true" : "false");
    }
    (void)printf(",\"rounds\":%u,\"machine\":\"%s\"}\n", figure->values->count, machine());
    (void)fflush(stdout);
}

void bench_report_ns(const char *bench, const char *name, const bench_series *values,
                     const char *against, const bench_series *peers, double most)
{
    bench_report(&(bench_figure){.bench = bench,
                                 .name = name,
                                 .unit = "ns",
                                 .values = values,
                                 .against = against,
                                 .peers = peers,
                                 .goal = BENCH_AT_MOST,
                                 .target = most});
}

/* ---- Other processes ---- */

bool bench_process_line(bench_process *process, char *line, size_t size)
{
    size_t length = 0;
    char c = 0;
    while (read(process->out, &c, 1) == 1) {
        if (c == '\n') {
            line[length] = '\0';
            return true;
        }
        if (length + 1 < size) {
            line[length++] = c;
        }
    }
    return false;
}

bool bench_process_start(bench_process *process, const char *const argv[], char *line, size_t size)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    union {
        const char *const *shown;
        char *const *taken; /* the type that POSIX declares; posix_spawn() changes nothing */
    } arguments = {.shown = argv};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failed = posix_spawnp(&process->pid, argv[0], &actions, NULL, arguments.taken, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    process->out = ends[0];
    if (failed != 0) {
        (void)close(ends[0]);
        process->pid = 0;
        return false;
    }
    if (!bench_process_line(process, line, size)) {
        bench_process_end(process);
        return false;
    }
    return true;
}

void bench_process_end(bench_process *process)
{
    if (process->pid > 0) {
        (void)kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
        (void)close(process->out);
        process->pid = 0;
    }
}

const char *bench_sibling(const char *name, char *to, size_t size)
{
    char own[3072];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    (void)snprintf(to, size, "%s/%s", own, name);
    return to;
}
