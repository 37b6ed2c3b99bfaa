/* The registry entry of a worker that is a service. */
#include "child_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <multifrost/child.h>
#include <multifrost/metrics.h>
#include <multifrost/registry.h>

#include "base/clock.h"

static mf_status find_service(const char *folder, const char *id, mf_service *ret_service)
{
    mf_registry *registry = NULL;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = folder;
    mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    mf_status status = mf_registry_find(registry, id, ret_service, NULL);
    mf_registry_destroy(registry);
    return status;
}

typedef struct look {
    const char *folder;
    mf_service service;
} look;

static bool is_registered(void *data)
{
    look *at = data;
    return find_service(at->folder, "worker", &at->service) == MF_OK;
}

static void test_service_registers_what_is_bound_and_unregisters(void)
{
    test_worker worker;
    test_peer peer;
    char folder[512];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    mf_check_int(mf_child_port(worker.child), 0);
    worker_start(&worker);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(at.service.port, mf_child_port(worker.child));
    peer_open(&peer, at.service.port);
    peer_call(&peer, "a", "twice", MF_ARGS(21), mf_nil());
    peer_expect_int(&peer, "a", 42);
    peer_shutdown(&peer);
    worker_join(&worker);
    mf_check_int(find_service(folder, "worker", &at.service), MF_ERR_NOT_FOUND);
    peer_close(&peer);
    worker_end(&worker);
}

static void test_service_refuses_a_name_that_is_taken(void)
{
    test_worker first;
    test_worker second;
    char folder[512];
    char text[128];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    options.registry_directory = folder;
    worker_create(&first, &options);
    worker_start(&first);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    worker_create(&second, &options);
    mf_check_int(mf_child_run(second.child, &second.error), MF_ERR_EXISTS);
    (void)snprintf(text, sizeof text,
                   "FATAL: Service 'worker' already running (PID: %lld, port: %u)",
                   (long long)getpid(), (unsigned)mf_child_port(first.child));
    mf_check_str(second.error.message, text);
    mf_child_destroy(second.child);
    mf_runtime_destroy(second.runtime);
    mf_check(is_registered(&at)); /* the loser took nothing out */
    worker_end(&first);
}

typedef struct rows {
    char status[64]; /* of worker:registered, "absent" before it was seen */
} rows;

static void look_at_row(const mf_health_row *row, void *user_data)
{
    rows *at = user_data;
    if (strcmp(row->component, "worker") == 0 && strcmp(row->measurement, "registered") == 0) {
        (void)snprintf(at->status, sizeof at->status, "%d", (int)row->status);
    }
}

static bool health_passes(void *data)
{
    const mf_probe *probe = mf_runtime_probe(((test_worker *)data)->runtime);
    rows at = {"absent"};
    probe->visit_health(probe->self, look_at_row, &at);
    return strtol(at.status, NULL, 10) == MF_HEALTH_PASS && strcmp(at.status, "absent") != 0;
}

static void test_health_says_whether_it_is_registered(void)
{
    test_worker worker;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    worker_create(&worker, &options);
    mf_check(!health_passes(&worker));
    worker_start(&worker);
    mf_check(mf_test_until(health_passes, &worker, MF_TEST_PATIENCE_MS));
    mf_child_stop(worker.child);
    worker_join(&worker);
    mf_check(!health_passes(&worker));
    worker_end(&worker);
}

enum { FAILURES = 5 };

static bool has_failed_to_enter(void *data)
{
    static const char name[] = "registry_operations_total{op=\"register\",result=\"error\"} ";
    const test_worker *worker = data;
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(worker->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    const char *at = strstr(text, name);
    bool enough = at != NULL && strtol(at + sizeof name - 1, NULL, 10) >= FAILURES;
    free(text);
    return enough;
}

/* Every attempt makes files in the folder that the keeper watches. */
static void test_an_entry_that_cannot_be_made_is_not_tried_without_pause(void)
{
    test_worker worker;
    char folder[512];
    char lock[600];
    char file[600];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    (void)snprintf(folder, sizeof folder, "%s", registry_folder());
    (void)snprintf(lock, sizeof lock, "%s/services.lock", folder);
    (void)snprintf(file, sizeof file, "%s/services.json", folder);
    options.registry_directory = folder;
    worker_create(&worker, &options);
    worker_start(&worker);
    look at = {.folder = folder, .service = MF_SERVICE_INIT};
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    mf_check(mf_test_until(health_passes, &worker, MF_TEST_PATIENCE_MS));
    mf_check_int(mkdir(lock, 0700), 0); /* no language makes such a lock */
    uint64_t begin = mfi_monotonic_ns();
    mf_check_int(unlink(file), 0);
    mf_check(mf_test_until(has_failed_to_enter, &worker, MF_TEST_PATIENCE_MS));
    /* The keeper looks again after 250 ms. */
    mf_check(mfi_monotonic_ns() - begin >= (FAILURES - 1) * 250 * MFI_NS_PER_MS);
    mf_check_int(rmdir(lock), 0);
    mf_check(mf_test_until(is_registered, &at, MF_TEST_PATIENCE_MS));
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"service__registers_what_is_bound_and_unregisters",
     test_service_registers_what_is_bound_and_unregisters},
    {"service__refuses_a_name_that_is_taken", test_service_refuses_a_name_that_is_taken},
    {"service__health_says_whether_it_is_registered", test_health_says_whether_it_is_registered},
    {"service__an_entry_that_cannot_be_made_is_not_tried_without_pause",
     test_an_entry_that_cannot_be_made_is_not_tried_without_pause},
};

MF_TEST_MAIN(tests)
