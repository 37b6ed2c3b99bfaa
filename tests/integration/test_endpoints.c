/* Without a registry: a child binds a stated address, and parents connect to it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* ---- Ports ---- */

/* A port that no other process is given as a free one. A child can bind it beside this socket,
 * because both allow it and only the child listens. */
typedef struct place {
    int holder;
    uint16_t port;
    char endpoint[64];
} place;

static place hold_place(void)
{
    static const int yes = 1;
    place at = {.holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    mf_check_int(setsockopt(at.holder, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    mf_check_int(bind(at.holder, (struct sockaddr *)&address, size), 0);
    mf_check_int(getsockname(at.holder, (struct sockaddr *)&address, &size), 0);
    at.port = ntohs(address.sin_port);
    (void)snprintf(at.endpoint, sizeof at.endpoint, "tcp://127.0.0.1:%u", (unsigned)at.port);
    return at;
}

static void free_place(const place *at)
{
    (void)close(at->holder);
}

/* ---- A child in this process ---- */

typedef struct service {
    mf_runtime *runtime;
    mf_child *child;
    pthread_t thread;
    char log[300], endpoint[80];
} service;

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a;
    int64_t b;
    (void)user_data;
    return mf_request_unpack(request, &a, &b) == MF_OK ? mf_reply_value(reply, a + b) : MF_ERR_TYPE;
}

static void *run(void *data)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_run(data, &error), MF_OK);
    mf_check_str(error.message, "");
    return NULL;
}

static bool is_bound(void *child)
{
    return mf_child_port(child) != 0;
}

static void make_service(service *at, const char *bind, const char *id)
{
    static int count;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options log = MF_RUNTIME_OPTIONS_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    memset(at, 0, sizeof *at);
    (void)snprintf(at->log, sizeof at->log, "%s/log%d", mf_test_temp_dir(), count++);
    log.log_file = at->log;
    log.role = "child";
    mf_check_int(mf_runtime_create(&at->runtime, &log, &error), MF_OK);
    options.runtime = at->runtime;
    options.bind = bind;
    options.service_id = id;
    options.registry_directory = "/nowhere"; /* a child that registers could not run */
    options.no_signals = true;
    mf_check_int(mf_child_create(&at->child, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_child_handle(at->child, "add", add, NULL), MF_OK);
}

/* reached_at: the address of the parents' endpoint. */
static void start_service(service *at, const char *bind, const char *id, const char *reached_at)
{
    make_service(at, bind, id);
    mf_check_int(pthread_create(&at->thread, NULL, run, at->child), 0);
    mf_check(mf_test_until(is_bound, at->child, MF_TEST_PATIENCE_MS));
    (void)snprintf(at->endpoint, sizeof at->endpoint, "tcp://%s:%u", reached_at,
                   (unsigned)mf_child_port(at->child));
}

static void end_service(service *at)
{
    mf_child_stop(at->child);
    (void)pthread_join(at->thread, NULL);
    mf_child_destroy(at->child);
    mf_runtime_destroy(at->runtime);
}

static void check_log(const char *path, const char *part, int times)
{
    char line[4096];
    int count = 0;
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, part) != NULL ? 1 : 0;
    }
    mf_check_int(count, times);
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* ---- Parents ---- */

static mf_parent_options options_for(const char *endpoint)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.endpoint = endpoint;
    options.start_timeout_ms = MF_TEST_PATIENCE_MS;
    options.circuit_open_ms = 100;
    return options;
}

static void check_add(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
}

static void check_reached(const char *bind, const char *reached_at)
{
    service at;
    char endpoint[80];
    uint64_t rtt_ns = 0;
    start_service(&at, bind, NULL, reached_at);
    mf_parent_options options = options_for(at.endpoint);
    mf_parent *first = start(&options);
    mf_parent *second = start(&options);
    check_add(first);
    check_add(second);
    mf_check_int(mf_parent_pid(first), 0);
    (void)mf_parent_endpoint(first, endpoint, sizeof endpoint);
    mf_check_str(endpoint, strcmp(reached_at, "localhost") != 0 ? at.endpoint : endpoint);
    mf_check_int(mf_parent_heartbeat(first, MF_TEST_PATIENCE_MS, &rtt_ns, NULL), MF_OK);
    mf_check(rtt_ns > 0);
    mf_parent_destroy(first);
    check_add(second);
    mf_parent_destroy(second);
    end_service(&at);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return has;
}

static void test_addresses(void)
{
    check_reached("tcp://127.0.0.1:0", "127.0.0.1");
    check_reached("tcp://127.0.0.1:0", "localhost");
    check_reached("tcp://localhost:0", "127.0.0.1");
    check_reached("tcp://0.0.0.0:0", "127.0.0.1");
    if (has_ipv6()) {
        check_reached("tcp://[::1]:0", "[::1]");
        check_reached("tcp://[::]:0", "[::1]");
        check_reached("tcp://[::]:0", "127.0.0.1");
    }
}

static void test_stated_port(void)
{
    service at;
    place where = hold_place();
    start_service(&at, where.endpoint, "math", "127.0.0.1");
    mf_check_str(at.endpoint, where.endpoint);
    mf_parent_options options = options_for(where.endpoint);
    mf_parent *parent = start(&options);
    check_add(parent);
    mf_parent_destroy(parent);
    end_service(&at);
    free_place(&where);
}

static void test_address_in_use(void)
{
    service first;
    service second;
    mf_error error = MF_ERROR_INIT;
    start_service(&first, "tcp://127.0.0.1:0", NULL, "127.0.0.1");
    make_service(&second, first.endpoint, NULL);
    mf_check_int(mf_child_run(second.child, &error), MF_ERR_ADDRESS_IN_USE);
    mf_check_contains(error.message, first.endpoint);
    mf_check_contains(error.message, "in use");
    mf_child_destroy(second.child);
    mf_runtime_destroy(second.runtime);
    end_service(&first);
}

static void test_log_says_where_and_who_can_reach_it(void)
{
    service own;
    service open;
    char endpoint[100];
    start_service(&own, "tcp://127.0.0.1:0", "math", "127.0.0.1");
    start_service(&open, "tcp://0.0.0.0:0", NULL, "0.0.0.0");
    end_service(&own);
    end_service(&open);
    check_log(own.log, "\"level\":\"info\",\"severity_number\":9,\"event\":\"service_bind\"", 1);
    (void)snprintf(endpoint, sizeof endpoint, "\"endpoint\":\"%s\"", own.endpoint);
    check_log(own.log, endpoint, 1);
    check_log(own.log, "reachable by others", 0);
    check_log(own.log, "service_register", 0);
    check_log(open.log, "\"level\":\"warn\",\"severity_number\":13,\"event\":\"service_bind\"", 1);
    (void)snprintf(endpoint, sizeof endpoint, "\"endpoint\":\"%s\"", open.endpoint);
    check_log(open.log, endpoint, 1);
    check_log(open.log, "reachable by others", 1);
}

/* ---- A start without a service ---- */

static void check_no_service(const place *where)
{
    char wanted[160];
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = options_for(where->endpoint);
    options.start_timeout_ms = 200;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_START_TIMEOUT);
    mf_check(mf_test_now_ms() - before >= 200);
    (void)snprintf(wanted, sizeof wanted, "no service answered at %s within 200 ms",
                   where->endpoint);
    mf_check_str(error.message, wanted);
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_contains(error.message, where->endpoint);
    mf_parent_destroy(parent);
}

static void test_nobody_listens(void)
{
    place where = hold_place();
    check_no_service(&where);
    free_place(&where);
}

static void test_somebody_else_listens(void)
{
    place where = hold_place();
    mf_check_int(listen(where.holder, 8), 0);
    check_no_service(&where);
    free_place(&where);
}

/* ---- A service of its own process, which comes and goes ---- */

static pid_t start_process(const char *bind)
{
    char home[300], address[100], program[300], option[] = "--service", name[] = "math";
    char sanitizer[600];
    const char *tsan = getenv("TSAN_OPTIONS");
    pid_t pid = 0;
    (void)snprintf(home, sizeof home, "HOME=%s", mf_test_temp_dir());
    (void)snprintf(address, sizeof address, "COMLINK_BIND=%s", bind);
    (void)snprintf(program, sizeof program, "%s",
                   mf_test_build_path("tests/conformance/conformance_child"));
    (void)snprintf(sanitizer, sizeof sanitizer, "TSAN_OPTIONS=%s", tsan != NULL ? tsan : "");
    char *args[] = {program, option, name, NULL};
    char *env[] = {home, address, sanitizer, NULL};
    mf_check_int(posix_spawn(&pid, program, NULL, NULL, args, env), 0);
    return pid;
}

static void end_process(pid_t pid, int number)
{
    int status = 0;
    mf_check_int(kill(pid, number), 0);
    mf_check_int(waitpid(pid, &status, 0), pid);
    mf_check(number != SIGTERM || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

static bool is_away(void *parent)
{
    return !is_ready(parent);
}

static void check_no_registry(void)
{
    char path[300];
    struct stat found;
    (void)snprintf(path, sizeof path, "%s/.multifrost", mf_test_temp_dir());
    mf_check(stat(path, &found) != 0);
}

/* The parent is started before the service, and the service ends by this signal. */
static void restart_process(int number)
{
    char log[300];
    place where = hold_place();
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_runtime *runtime = NULL;
    mf_runtime_options logged = MF_RUNTIME_OPTIONS_INIT;
    mf_parent_options options = options_for(where.endpoint);
    (void)snprintf(log, sizeof log, "%s/parent%d.log", mf_test_temp_dir(), number);
    logged.log_file = log;
    mf_check_int(mf_runtime_create(&runtime, &logged, &error), MF_OK);
    options.runtime = runtime;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start_async(parent, NULL, NULL, &error), MF_OK);
    pid_t process = start_process(where.endpoint);
    mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
    check_add(parent);
    end_process(process, number);
    mf_check(mf_test_until(is_away, parent, MF_TEST_PATIENCE_MS));
    process = start_process(where.endpoint);
    check_add(parent); /* waits until the parent has found it; readiness may come a little later */
    mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    check_add(parent);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    end_process(process, SIGTERM);
    check_log(log, "\"event\":\"service_lost\"", 1);
    check_log(log, "\"event\":\"service_found\"", 3);
    check_no_registry();
    free_place(&where);
}

static void test_restarted_service_is_found_again(void)
{
    restart_process(SIGKILL);
    restart_process(SIGTERM);
}

static void test_calls_say_what_vanished(void)
{
    char wanted[200];
    place where = hold_place();
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = options_for(where.endpoint);
    options.target = "sums";
    options.fail_fast = true;
    pid_t process = start_process(where.endpoint);
    mf_parent *parent = start(&options);
    end_process(process, SIGKILL);
    mf_check(mf_test_until(is_away, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    (void)snprintf(wanted, sizeof wanted, "'sums' has no service: '%s' vanished at 2",
                   where.endpoint);
    mf_check_contains(error.message, wanted);
    mf_parent_destroy(parent);
    free_place(&where);
}

/* ---- Pools, probes, metrics ---- */

typedef struct seen {
    int ready, circuits;
} seen;

static void see_row(const mf_health_row *row, void *data)
{
    seen *at = data;
    bool is_own = strcmp(row->component, "127.0.0.1") == 0;
    at->ready += is_own && strcmp(row->measurement, "workers") == 0 &&
                 row->status == MF_HEALTH_PASS && row->observed_number == 2;
}

static void see_circuit(const mf_circuit_row *row, void *data)
{
    seen *at = data;
    bool is_own = strcmp(row->target, "127.0.0.1") == 0;
    at->circuits += is_own && strcmp(row->state, "closed") == 0 && row->worker.pid == 0;
}

static void check_shown(mf_runtime *runtime, const service *first)
{
    seen at = {0};
    char *text = NULL;
    size_t size = 0;
    const mf_probe *probe = mf_runtime_probe(runtime);
    probe->visit_health(probe->self, see_row, &at);
    probe->visit_circuits(probe->self, see_circuit, &at);
    mf_check_int(at.ready, 1);
    mf_check_int(at.circuits, 2);
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    mf_check_contains(text, "target=\"127.0.0.1\"");
    mf_check(strstr(text, strrchr(first->endpoint, ':')) == NULL); /* no port */
    free(text);
}

static void test_pool_of_addresses(void)
{
    service first;
    service second;
    mf_pool *pool = NULL;
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    start_service(&first, "tcp://127.0.0.1:0", NULL, "127.0.0.1");
    start_service(&second, "tcp://127.0.0.1:0", NULL, "127.0.0.1");
    const char *endpoints[] = {first.endpoint, second.endpoint, NULL};
    mf_parent_options parent = options_for(NULL);
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    parent.runtime = runtime;
    options.parent = &parent;
    options.endpoints = endpoints;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    for (int i = 0; i < 20; i++) {
        mf_check_int(mf_pool_call(pool, "add", MF_ARGS(i, 1), NULL, &error), MF_OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        mf_check(stats_of(mf_pool_member(pool, i)).calls_total > 0);
    }
    check_shown(runtime, &first);
    mf_check_int(mf_pool_rolling_restart(pool, &error), MF_OK); /* connects anew */
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 1), NULL, &error), MF_OK);
    mf_pool_destroy(pool);
    mf_runtime_destroy(runtime);
    end_service(&first);
    end_service(&second);
}

static void test_pool_at_one_address(void)
{
    service at;
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    start_service(&at, "tcp://127.0.0.1:0", NULL, "127.0.0.1");
    mf_parent_options parent = options_for(at.endpoint);
    options.parent = &parent;
    options.workers = 3;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 1), NULL, &error), MF_OK);
    mf_pool_destroy(pool);
    end_service(&at);
}

static const mf_test tests[] = {
    {"endpoint__addresses_are_reached", test_addresses},
    {"endpoint__a_child_binds_the_stated_port", test_stated_port},
    {"endpoint__an_address_in_use_is_named", test_address_in_use},
    {"endpoint__the_log_says_where_and_who_can_reach_it", test_log_says_where_and_who_can_reach_it},
    {"endpoint__a_start_ends_where_nobody_listens", test_nobody_listens},
    {"endpoint__a_start_ends_where_somebody_else_listens", test_somebody_else_listens},
    {"endpoint__a_restarted_service_is_found_again", test_restarted_service_is_found_again},
    {"endpoint__calls_say_what_vanished", test_calls_say_what_vanished},
    {"endpoint__a_pool_has_several_addresses", test_pool_of_addresses},
    {"endpoint__a_pool_has_one_address", test_pool_at_one_address},
};
MF_TEST_MAIN(tests)
