/* The series of a worker's process, from its spawn to its exit. The process is this one, or a child
 * that waits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/figures.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metric_support.h"
#include "mf_test.h"

#define READ_MOST 64
#define TARGETS 70
#define SHARED_NS (10 * MFI_NS_PER_MS)
#define ABSENT (-1000.0)
#define OF(family) "worker_" family "{target=\"math\",worker=\"math-0\"}"

static void read_all(metric_fixture *at)
{
    size_t size = 0;
    free(at->text);
    at->text = NULL;
    mf_check_int(mf_metrics_render(at->metrics, MF_METRICS_PROMETHEUS_TEXT, &at->text, &size, NULL),
                 MF_OK);
}

static double value_of(const metric_fixture *at, const char *series)
{
    char line[256];
    size_t length = mfi_str_format(line, sizeof line, "\nmultifrost_%s ", series);
    const char *found = strstr(at->text, line);
    return found != NULL ? strtod(found + length, NULL) : ABSENT;
}

static bool has(const metric_fixture *at, const char *series)
{
    return value_of(at, series) > ABSENT;
}

static const char *const gauges[] = {OF("resident_memory_bytes"), OF("open_fds"), OF("threads"),
                                     OF("start_time_seconds")};

static void check_gauges(const metric_fixture *at, bool there)
{
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        mf_check_str(has(at, gauges[i]) ? gauges[i] : "", there ? gauges[i] : "");
    }
}

static double cpu(metric_fixture *at)
{
    read_all(at);
    return value_of(at, OF("cpu_seconds_total"));
}

static mfi_figures own_figures(void)
{
    mfi_figures figures = {0};
    mf_check(mfi_figures_look(getpid(), &figures));
    return figures;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)MFI_NS_PER_S;
}

static void spawned(mfi_target *target, uint64_t start_ticks)
{
    mfi_observe_process_changed(target, &(mfi_process_event){.what = MFI_PROCESS_SPAWNED,
                                                             .pid = getpid(),
                                                             .start_ticks = start_ticks});
}

static void exited(mfi_target *target, uint64_t used_ns)
{
    mfi_observe_process_changed(target, &(mfi_process_event){.what = MFI_PROCESS_EXITED,
                                                             .pid = getpid(),
                                                             .exit_known = true,
                                                             .expected = true,
                                                             .used_ns = used_ns});
}

static void service(mfi_target *target, mfi_service_what what, const mfi_figures *figures)
{
    mfi_observe_service_changed(target, &(mfi_service_event){.what = what,
                                                             .pid = getpid(),
                                                             .start_ticks = figures->start_ticks,
                                                             .used_ns = figures->cpu_ns});
}

/* ---- A spawned worker ---- */

static void test_from_spawn_to_exit(void)
{
    metric_fixture at;
    metric_setup(&at);
    read_all(&at);
    check_gauges(&at, false);
    mf_check(!has(&at, OF("cpu_seconds_total"))); /* no series before there is a process */
    spawned(at.client, own_figures().start_ticks);
    mf_check(cpu(&at) >= 0);
    check_gauges(&at, true);
    mf_check(value_of(&at, OF("resident_memory_bytes")) > 0);
    mf_check(value_of(&at, OF("threads")) >= 1);
    mf_check(value_of(&at, OF("open_fds")) >= 3);
    mf_check(value_of(&at, OF("run_queue_seconds_total")) >= 0);
    exited(at.client, 1000 * MFI_NS_PER_S);
    mf_check_int(cpu(&at), 1000); /* what was read before is part of it */
    check_gauges(&at, false);
    mf_check(has(&at, OF("run_queue_seconds_total")));
    metric_teardown(&at);
}

/* Nobody scraped while the processes lived. */
static void test_exits_between_scrapes(void)
{
    metric_fixture at;
    metric_setup(&at);
    for (int i = 0; i < 3; i++) {
        spawned(at.client, own_figures().start_ticks);
        exited(at.client, 5 * MFI_NS_PER_S);
    }
    exited(at.client, 5 * MFI_NS_PER_S); /* of no process */
    mf_check_int(cpu(&at), 15);
    metric_teardown(&at);
}

static void test_restarts_go_on(void)
{
    metric_fixture at;
    metric_setup(&at);
    spawned(at.client, own_figures().start_ticks);
    exited(at.client, 1000 * MFI_NS_PER_S);
    spawned(at.client, own_figures().start_ticks);
    double second = cpu(&at);
    mf_check(second > 999.999 && second < 1000.001 + seconds(own_figures().cpu_ns));
    check_gauges(&at, true);
    exited(at.client, 0); /* the helper was lost: what was read counts */
    mf_check(cpu(&at) >= second);
    check_gauges(&at, false);
    metric_teardown(&at);
}

/* The pid is that of another process: nothing of it is shown. */
static void test_reused_pid(void)
{
    metric_fixture at;
    metric_setup(&at);
    spawned(at.client, own_figures().start_ticks + 1);
    read_all(&at);
    check_gauges(&at, false);
    mf_check(!has(&at, OF("cpu_seconds_total")));
    metric_teardown(&at);
}

/* Its start could not be read, so no later reading can be trusted. Its exit is known. */
static void test_hidden(void)
{
    metric_fixture at;
    metric_setup(&at);
    spawned(at.client, 0);
    read_all(&at);
    check_gauges(&at, false);
    mf_check(!has(&at, OF("cpu_seconds_total")));
    exited(at.client, 2 * MFI_NS_PER_S);
    mf_check_int(cpu(&at), 2);
    metric_teardown(&at);
}

static void test_end_of_the_target(void)
{
    metric_fixture at;
    metric_setup(&at);
    spawned(at.client, own_figures().start_ticks);
    double before = cpu(&at);
    check_gauges(&at, true);
    mfi_target_destroy(at.client);
    at.client = NULL;
    mf_check(cpu(&at) >= before); /* counters stay */
    check_gauges(&at, false);
    metric_teardown(&at);
}

/* ---- A service ---- */

static bool has_used(void *data)
{
    metric_fixture *at = data;
    return cpu(at) > 0;
}

static void test_service(void)
{
    metric_fixture at;
    metric_setup(&at);
    mfi_figures first = own_figures();
    service(at.client, MFI_SERVICE_FOUND, &first);
    mf_check(mf_test_until(has_used, &at, MF_TEST_PATIENCE_MS));
    check_gauges(&at, true);
    service(at.client, MFI_SERVICE_LOST, &first);
    read_all(&at);
    check_gauges(&at, false);
    for (int i = 0; i < 50; i++) { /* found again: its time is not counted again */
        mfi_figures again = own_figures();
        service(at.client, MFI_SERVICE_FOUND, &again);
        read_all(&at);
    }
    check_gauges(&at, true);
    double counted = value_of(&at, OF("cpu_seconds_total"));
    mf_check(counted > 0 && counted <= seconds(own_figures().cpu_ns - first.cpu_ns) + 1e-6);
    service(at.client, MFI_SERVICE_FOUND, &(mfi_figures){0}); /* another one, which is hidden */
    read_all(&at);
    check_gauges(&at, false);
    metric_teardown(&at);
}

/* ---- Bounds ---- */

typedef struct many {
    metric_fixture fixture;
    mfi_target *targets[TARGETS];
} many;

static void no_gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    (void)user_data;
    *ret_gauges = (mfi_client_gauges){.state = MFI_WORKER_READY};
}

static int count_shown(many *at)
{
    int count = 0;
    read_all(&at->fixture);
    for (const char *line = at->fixture.text;
         (line = strstr(line, "\nmultifrost_worker_threads{")) != NULL; line++) {
        count++;
    }
    return count;
}

static bool all_are_shown(void *data)
{
    return count_shown(data) == TARGETS;
}

/* A collection reads so many at most, and all of them have their turn. */
static void test_many_workers(void)
{
    static many at;
    metric_setup(&at.fixture);
    mfi_observer *observer = NULL;
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&observer, at.fixture.logger, metrics, 200, NULL), MF_OK);
    for (int i = 0; i < TARGETS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "many-%d", i);
        const mfi_client_options options = {
            .target = name, .worker = name, .gauges = no_gauges, .user_data = &at};
        mf_check_int(mfi_target_create_client(&at.targets[i], observer, &options, NULL), MF_OK);
        spawned(at.targets[i], own_figures().start_ticks);
    }
    mf_metrics *own = at.fixture.metrics;
    at.fixture.metrics = metrics;
    int first = count_shown(&at);
    mf_check(first >= 1 && first <= READ_MOST);
    mf_check(mf_test_until(all_are_shown, &at, MF_TEST_PATIENCE_MS));
    for (int i = 0; i < TARGETS; i++) {
        mfi_target_destroy(at.targets[i]);
    }
    mf_check_int(count_shown(&at), 0);
    at.fixture.metrics = own;
    mfi_observer_destroy(observer);
    mf_metrics_destroy(metrics);
    metric_teardown(&at.fixture);
}

/* Judges only two collections that were near enough to each other. */
static bool two_share(void *data)
{
    metric_fixture *at = data;
    read_all(at);
    uint64_t first = at->client->account.read_ns;
    read_all(at);
    uint64_t second = at->client->account.read_ns;
    if (mfi_monotonic_ns() - first >= SHARED_NS) {
        return false;
    }
    mf_check_int(second, first);
    return true;
}

static bool is_read_again(void *data)
{
    metric_fixture *at = data;
    uint64_t before = at->client->account.read_ns;
    read_all(at);
    return at->client->account.read_ns != before;
}

static void test_collections_share(void)
{
    metric_fixture at;
    metric_setup(&at);
    spawned(at.client, own_figures().start_ticks);
    mf_check(mf_test_until(two_share, &at, MF_TEST_PATIENCE_MS));
    mf_check(mf_test_until(is_read_again, &at, MF_TEST_PATIENCE_MS));
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"figures__from_spawn_to_exit", test_from_spawn_to_exit},
    {"figures__exits_between_scrapes", test_exits_between_scrapes},
    {"figures__restarts_go_on", test_restarts_go_on},
    {"figures__reused_pid", test_reused_pid},
    {"figures__hidden", test_hidden},
    {"figures__end_of_the_target", test_end_of_the_target},
    {"figures__service", test_service},
    {"figures__many_workers", test_many_workers},
    {"figures__collections_share", test_collections_share},
};

MF_TEST_MAIN(tests)
