/* Reads /proc. Names, units and texts are those of the Prometheus client libraries, so that the
 * dashboards made for those libraries work here too. */
#include "metrics/process_metrics.h"

#include <dirent.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "metrics/metric_set.h"

typedef struct process_families {
    mf_counter *cpu;
    uint64_t cpu_seen_ns;
    mf_family *open_fds, *max_fds, *virtual_bytes, *virtual_max, *resident, *heap, *threads;
    mf_family *start_time;
} process_families;

static void set(mf_family *family, double value)
{
    mf_gauge_set(mf_family_gauge(family, NULL), value);
}

/* Fields of /proc/self/stat after the name, which is in parentheses and may hold any character. */
typedef struct stat_fields {
    unsigned long long threads, start_ticks, virtual_bytes;
    long long resident_pages;
} stat_fields;

static bool read_stat(stat_fields *ret_fields)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    if (rest == NULL) {
        return false;
    }
    char *end = NULL;
    const char *at = rest + 2; /* field 3 */
    for (int field = 3; field <= 24; field++) {
        while (*at == ' ') {
            at++;
        }
        if (field >= 20) {
            unsigned long long number = strtoull(at, &end, 10);
            ret_fields->threads = field == 20 ? number : ret_fields->threads;
            ret_fields->start_ticks = field == 22 ? number : ret_fields->start_ticks;
            ret_fields->virtual_bytes = field == 23 ? number : ret_fields->virtual_bytes;
            ret_fields->resident_pages = field == 24 ? (long long)number : 0;
        }
        const char *space = strchr(at, ' ');
        if (space == NULL) {
            return false;
        }
        at = space;
    }
    return true;
}

static double boot_time(void)
{
    struct timespec boot;
    struct timespec wall;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9;
}

static void collect_descriptors(const process_families *families)
{
    struct rlimit limit;
    DIR *directory = opendir("/proc/self/fd");
    if (directory != NULL) {
        double count = -3;                   /* ".", ".." and the directory's own descriptor */
        while (readdir(directory) != NULL) { /* NOLINT: no other thread uses this stream */
            count++;
        }
        (void)closedir(directory);
        set(families->open_fds, count);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        set(families->max_fds, (double)limit.rlim_cur);
    }
    if (getrlimit(RLIMIT_AS, &limit) == 0) {
        set(families->virtual_max, limit.rlim_cur != RLIM_INFINITY ? (double)limit.rlim_cur : -1);
    }
}

static void collect(void *user_data)
{
    process_families *families = user_data;
    struct timespec used;
    stat_fields fields = {0};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0) {
        uint64_t ns = (uint64_t)used.tv_sec * MFI_NS_PER_S + (uint64_t)used.tv_nsec;
        mf_counter_add(families->cpu, ns - families->cpu_seen_ns);
        families->cpu_seen_ns = ns;
    }
    collect_descriptors(families);
    set(families->heap, (double)mallinfo2().uordblks);
    if (read_stat(&fields)) {
        double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
        set(families->threads, (double)fields.threads);
        set(families->virtual_bytes, (double)fields.virtual_bytes);
        set(families->resident, (double)fields.resident_pages * (double)sysconf(_SC_PAGESIZE));
        set(families->start_time, boot_time() + (double)fields.start_ticks * tick);
    }
}

mf_status mfi_metrics_add_process(mf_metrics *metrics, mf_error *error)
{
    process_families *families = mfi_metric_set_keep(metrics, sizeof *families);
    if (families == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the process metrics");
    }
    const struct {
        const char *name, *unit, *help;
        mf_family **place;
    } gauges[] = {
        {"process_open_fds", NULL, "Number of open file descriptors.", &families->open_fds},
        {"process_max_fds", NULL, "Maximum number of open file descriptors.", &families->max_fds},
        {"process_virtual_memory_bytes", "bytes", "Virtual memory size in bytes.",
         &families->virtual_bytes},
        {"process_virtual_memory_max_bytes", "bytes",
         "Maximum amount of virtual memory available in bytes.", &families->virtual_max},
        {"process_resident_memory_bytes", "bytes", "Resident memory size in bytes.",
         &families->resident},
        {"process_heap_bytes", "bytes", "Process heap size in bytes.", &families->heap},
        {"process_threads", NULL, "Number of OS threads in the process.", &families->threads},
        {"process_start_time_seconds", "seconds",
         "Start time of the process since unix epoch in seconds.", &families->start_time},
    };
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.max_series = 1;
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        options.name = gauges[i].name;
        options.unit = gauges[i].unit;
        options.help = gauges[i].help;
        mf_status status = mfi_metric_set_add(metrics, &options, gauges[i].place, error);
        if (status != MF_OK) {
            return status;
        }
    }
    mf_family *cpu = NULL;
    options.type = MF_METRIC_COUNTER;
    options.name = "process_cpu_seconds_total";
    options.unit = "seconds";
    options.help = "Total user and system CPU time spent in seconds.";
    options.counter_factor = 1e-9;
    mf_status status = mfi_metric_set_add(metrics, &options, &cpu, error);
    if (status == MF_OK) {
        families->cpu = mf_family_counter(cpu, NULL);
        status = mf_metrics_add_collector(metrics, collect, families, error);
    }
    return status;
}
