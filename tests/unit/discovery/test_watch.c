/* Waiting for services and for changes, and the counts of both. */
#include <poll.h>

#include <multifrost/metrics.h>
#include <multifrost/runtime.h>

#include "registry_support.h"

/* ---- Discovery ---- */

static void do_register(mf_registry *registry)
{
    if (mf_registry_register(registry, "late", 5501, NULL) != MF_OK) {
        _exit(1);
    }
}

static void do_repair(mf_registry *registry)
{
    write_text("services.json", "{}");
    do_register(registry);
}

static void test_discover_waits_for_a_service(void)
{
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    mf_error error = MF_ERROR_INIT;
    int64_t start = mf_test_now_ms();
    mf_check_int(mf_registry_discover(registry, "late", 150, &found, &error), MF_ERR_NOT_FOUND);
    mf_check(mf_test_now_ms() - start >= 150);
    mf_check_contains(error.message, "'late'");
    mf_check_int(mf_registry_discover(registry, "late", 0, &found, &error), MF_ERR_NOT_FOUND);
    pid_t pid = later(do_register, registry); /* makes the folder too */
    mf_check_int(mf_registry_discover(registry, "late", 30000, &found, &error), MF_OK);
    mf_check_int(found.pid, pid);
    end_process(pid);
    write_text("services.json", "{\"half"); /* as if being written in place */
    pid = later(do_repair, registry);
    mf_check_int(mf_registry_discover(registry, "late", 30000, &found, &error), MF_OK);
    mf_check_int(found.pid, pid);
    end_process(pid);
    mf_registry_destroy(registry);
}

/* ---- Watching ---- */

static bool readable(int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    return poll(&at, 1, 0) == 1;
}

static void test_wait_sees_every_kind_of_change(void)
{
    mf_registry *registry = open_registry(0);
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_registry_wait(registry, 1000, &error), MF_ERR_IO);
    mf_check_int(mf_registry_watch_fd(registry), -1);
    write_text("services.json", "{}");
    int fd = mf_registry_watch_fd(registry);
    mf_check(fd >= 0 && !readable(fd));
    mf_check_int(mf_registry_wait(registry, 0, &error), MF_ERR_TIMEOUT);
    mf_check_int(mf_registry_wait(registry, 20, NULL), MF_ERR_TIMEOUT);
    mf_check_int(mf_registry_register(registry, "a", 1, &error), MF_OK); /* moved to its name */
    mf_check(readable(fd));
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_OK);
    mf_check(!readable(fd));
    mf_check_int(mf_registry_wait(registry, 0, &error), MF_ERR_TIMEOUT);
    write_text("registry.lock", "1"); /* another file */
    mf_check_int(mf_registry_wait(registry, 0, &error), MF_ERR_TIMEOUT);
    write_text("services.json", "{ }"); /* in place */
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_OK);
    mf_check_int(unlink(path_of("services.json")), 0);
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_OK);
    mf_check_int(unlink(path_of("registry.lock")), 0);
    mf_check_int(rmdir(folder), 0);
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_OK);
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_ERR_IO);
    (void)mkdir(folder, 0700);
    mf_check_int(mf_registry_watch_fd(registry), fd); /* the same, so that it can stay in a set */
    write_text("services.json", "{}");
    mf_check_int(mf_registry_wait(registry, MF_TEST_PATIENCE_MS, &error), MF_OK);
    mf_registry_destroy(registry);
}

static void test_wait_wakes_up(void)
{
    mf_registry *registry = open_registry(0);
    write_text("services.json", "{}");
    pid_t pid = later(do_register, registry);
    mf_check_int(mf_registry_wait(registry, MF_TIMEOUT_INFINITE, NULL), MF_OK);
    end_process(pid);
    mf_registry_destroy(registry);
}

/* ---- Metrics ---- */

static void ignore(const mf_service *service, void *user_data)
{
    (void)service;
    (void)user_data;
}

static void check_count(mf_runtime *runtime, const char *line)
{
    size_t length = 0;
    char *text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &length, NULL),
                 MF_OK);
    mf_check(text != NULL && strstr(text, line) != NULL);
    if (text == NULL || strstr(text, line) == NULL) {
        (void)fprintf(stderr, "missing: %s\n", line);
    }
    free(text);
}

static void test_operations_are_counted(void)
{
    mf_runtime *runtime = NULL;
    mf_registry *registry = NULL;
    mf_service found = MF_SERVICE_INIT;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    mf_registry_destroy(open_registry(0)); /* for its folder */
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    options.directory = folder;
    options.runtime = runtime;
    options.lock_timeout_ms = 1;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
#define OPERATIONS "multifrost_registry_operations_total{op="
    check_count(runtime, OPERATIONS "\"list\",result=\"conflict\"} 0\n");
    check_count(runtime, "multifrost_registry_lock_wait_seconds_count 0\n");
    mf_check_int(mf_registry_register(registry, "a", 1, NULL), MF_OK);
    mf_check_int(mf_registry_register(registry, "a", 1, NULL), MF_ERR_EXISTS);
    mf_check_int(mf_registry_find(registry, "b", &found, NULL), MF_ERR_NOT_FOUND);
    mf_check_int(mf_registry_list(registry, ignore, NULL, NULL), MF_OK);
    write_text("registry.lock", "1");
    mf_check_int(mf_registry_unregister(registry, "a", NULL), MF_ERR_TIMEOUT);
    (void)unlink(path_of("registry.lock"));
    mf_check_int(mf_registry_unregister(registry, "", NULL), MF_ERR_INVALID_ARGUMENT);
    write_text("services.json", "[]");
    mf_check_int(mf_registry_discover(registry, "a", 0, &found, NULL), MF_ERR_PROTOCOL);
    check_count(runtime, OPERATIONS "\"register\",result=\"ok\"} 1\n");
    check_count(runtime, OPERATIONS "\"register\",result=\"conflict\"} 1\n");
    check_count(runtime, OPERATIONS "\"discover\",result=\"ok\"} 1\n");
    check_count(runtime, OPERATIONS "\"discover\",result=\"corrupt\"} 1\n");
    check_count(runtime, OPERATIONS "\"list\",result=\"ok\"} 1\n");
    check_count(runtime, OPERATIONS "\"unregister\",result=\"locked\"} 1\n");
    check_count(runtime, OPERATIONS "\"unregister\",result=\"error\"} 1\n");
    check_count(runtime, "multifrost_registry_lock_wait_seconds_count 3\n");
    mf_registry_destroy(registry);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"registry__discover_waits_for_a_service", test_discover_waits_for_a_service},
    {"registry__wait_sees_every_kind_of_change", test_wait_sees_every_kind_of_change},
    {"registry__wait_wakes_up", test_wait_wakes_up},
    {"registry__operations_are_counted", test_operations_are_counted},
};

MF_TEST_MAIN(tests)
