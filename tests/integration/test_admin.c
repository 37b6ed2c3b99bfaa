/* An operator at the admin socket of a running program with real workers: what each command does,
 * as calls, /circuits, /metrics and the log tell it; and what a bad client can do, which is little.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

#define BODY_MAX ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)70000)
#define GARBAGE 1000
#define DELAY_MS 150

typedef struct scene {
    mf_runtime *runtime;
    mf_http *http;
    mf_admin *admin;
    mf_parent *parent;
    int fd;         /* a client of the socket */
    char path[107]; /* of the socket */
    char log[512];
    char *body; /* of the last page or file */
    char *line; /* the last answer */
} scene;

/* ---- A client ---- */

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void send_text(int fd, const char *text)
{
    size_t size = strlen(text);
    mf_check_int(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Reads up to a newline. False if the other end closes before. */
static bool read_line(int fd, char *to, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && recv(fd, to + length, 1, 0) == 1) {
        if (to[length++] == '\n') {
            to[length] = '\0';
            return true;
        }
    }
    to[length] = '\0';
    return false;
}

static void ask(scene *at, const char *command)
{
    send_text(at->fd, command);
    send_text(at->fd, "\n");
    mf_check(read_line(at->fd, at->line, LINE_MAX_BYTES));
    mf_check_contains(at->line, "{\"schema\":\"multifrost.admin/1\",\"ok\":");
}

static void ask_ok(scene *at, const char *command)
{
    ask(at, command);
    mf_check_contains(at->line, "\"ok\":true");
}

static void ask_bad(scene *at, const char *command, const char *why)
{
    ask(at, command);
    mf_check_contains(at->line, "\"ok\":false");
    mf_check_contains(at->line, why);
}

/* ---- The program ---- */

static void begin(scene *at, bool faults)
{
    static int number = 0;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options runtime = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    mf_admin_options admin = MF_ADMIN_OPTIONS_INIT;
    *at = (scene){.body = malloc(BODY_MAX), .line = malloc(LINE_MAX_BYTES)};
    (void)snprintf(at->log, sizeof at->log, "%s/admin-%d.log", mf_test_temp_dir(), ++number);
    (void)snprintf(at->path, sizeof at->path, "%s/%d.sock", mf_test_temp_dir(), number);
    runtime.log_file = at->log;
    runtime.fault_injection = faults;
    http.port = MF_HTTP_PORT_ANY;
    admin.path = at->path;
    mf_check_int(mf_runtime_create(&at->runtime, &runtime, &error), MF_OK);
    mf_check_int(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), MF_OK);
    mf_check_int(mf_admin_create(&at->admin, at->runtime, &admin, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_str(mf_admin_path(at->admin), at->path);
    at->fd = try_connect(at->path);
    mf_check(at->fd >= 0);
}

static void begin_with_worker(scene *at, bool faults)
{
    mf_parent_options options = worker_options();
    begin(at, faults);
    options.runtime = at->runtime;
    options.auto_restart = true;
    at->parent = start(&options);
}

static void end(scene *at)
{
    (void)close(at->fd);
    mf_parent_destroy(at->parent);
    mf_http_destroy(at->http);
    mf_admin_destroy(at->admin);
    mf_runtime_destroy(at->runtime);
    mf_check_int(access(at->path, F_OK), -1);
    free(at->body);
    free(at->line);
}

static void get(scene *at, const char *path)
{
    char request[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(mf_http_port(at->http))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    mf_check_int(send(fd, request, (size_t)size, 0), size);
    size_t length = 0;
    ssize_t got = 0;
    while ((got = recv(fd, at->body + length, BODY_MAX - 1 - length, 0)) > 0) {
        length += (size_t)got;
    }
    at->body[length] = '\0';
    (void)close(fd);
}

static void check_metric(scene *at, const char *sample)
{
    char line[256];
    (void)snprintf(line, sizeof line, "\nmultifrost_%s\n", sample);
    get(at, "/metrics");
    mf_check_contains(at->body, line);
}

static void check_log(scene *at, const char *part)
{
    mf_check(mf_log_flush(mf_runtime_logger(at->runtime), MF_TEST_PATIENCE_MS));
    FILE *file = fopen(at->log, "re");
    mf_check(file != NULL);
    size_t length = file != NULL ? fread(at->body, 1, BODY_MAX - 1, file) : 0;
    at->body[length] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    mf_check_contains(at->body, part);
}

static void add(scene *at, mf_status wanted)
{
    mf_check_int(mf_call(at->parent, "add", MF_ARGS(1, 2), NULL, NULL), wanted);
}

/* ---- Settings ---- */

static void test_log_level(void)
{
    scene at;
    char who[64];
    begin(&at, false);
    ask_ok(&at, "{\"command\":\"log_level\",\"part\":\"all\",\"level\":\"debug\"}");
    mf_check_contains(at.line, "\"from\":\"info\",\"to\":\"debug\"");
    mf_check_int(mf_log_get_level(mf_runtime_logger(at.runtime)), MF_LOG_DEBUG);
    check_log(&at, "\"event\":\"config_change\"");
    mf_check_contains(at.body, "\"from\":\"info\",\"to\":\"debug\"");
    (void)snprintf(who, sizeof who, "\"setting\":\"log_level\",\"by_uid\":%d,\"by_pid\":%d",
                   (int)geteuid(), (int)getpid());
    mf_check_contains(at.body, who);
    check_metric(&at, "admin_commands_total{command=\"log_level\",result=\"ok\"} 1");
    ask_bad(&at, "{\"command\":\"log_level\",\"level\":\"loud\"}", "use trace, debug");
    ask_bad(&at, "{\"command\":\"log_level\",\"part\":\"client\",\"level\":\"info\"}", "one level");
    mf_check_int(mf_log_get_level(mf_runtime_logger(at.runtime)), MF_LOG_DEBUG);
    check_metric(&at, "admin_commands_total{command=\"log_level\",result=\"error\"} 2");
    ask_ok(&at, "{\"command\":\"log_level\",\"level\":\"error\"}");
    check_log(&at, "\"from\":\"debug\",\"to\":\"error\"");
    end(&at);
}

static void test_circuit(void)
{
    scene at;
    begin_with_worker(&at, false);
    ask_ok(&at, "{\"command\":\"circuit\",\"target\":\"math\",\"action\":\"force_open\"}");
    mf_check_contains(at.line,
                      "\"changed\":1,\"refused\":0,\"workers\":[{\"target\":\"math\","
                      "\"worker\":\"math-0\",\"from\":\"closed\",\"to\":\"forced_open\"}]");
    add(&at, MF_ERR_CIRCUIT_OPEN);
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body, "\"state\":\"forced_open\"");
    mf_check_contains(at.body, "an operator forced it open");
    check_metric(&at, "circuit_state{target=\"math\",worker=\"math-0\",state=\"forced_open\"} 1");
    check_log(&at, "\"from\":\"closed\",\"to\":\"forced_open\",\"reason\":\"admin\"");
    ask_ok(&at, "{\"command\":\"circuit\",\"worker\":\"math-0\",\"action\":\"reset\"}");
    add(&at, MF_OK);
    ask_ok(&at, "{\"command\":\"circuit\",\"worker\":\"math-0\",\"action\":\"force_closed\"}");
    mf_check_str(mf_parent_circuit_state(at.parent), "disabled");
    add(&at, MF_OK);
    ask_ok(&at, "{\"command\":\"circuit\",\"worker\":\"math-0\",\"action\":\"auto\"}");
    mf_check_str(mf_parent_circuit_state(at.parent), "closed");
    ask_bad(&at, "{\"command\":\"circuit\",\"worker\":\"math-7\",\"action\":\"auto\"}",
            "this process has no worker 'math-7'");
    mf_check_contains(at.line, "\"worker\":\"math-0\""); /* what is known */
    end(&at);
}

static void take_circuit_check(const mf_health_row *row, void *user_data)
{
    char *output = user_data;
    if (strcmp(row->measurement, "circuit") == 0) {
        (void)snprintf(output, BODY_MAX, "%s", row->output != NULL ? row->output : "none");
    }
}

/* No probe call and no cool-down is awaited where an operator decides. */
static void test_health_of_a_forced_circuit(void)
{
    scene at;
    begin_with_worker(&at, false);
    const mf_probe *probe = mf_runtime_probe(at.runtime);
    ask_ok(&at, "{\"command\":\"circuit\",\"target\":\"math\",\"action\":\"force_open\"}");
    probe->visit_health(probe->self, take_circuit_check, at.body);
    mf_check_str(at.body, "circuit math is forced_open by rule admin (an operator forced it open); "
                          "calls are refused until an operator orders reset or auto");
    end(&at);
}

/* /circuits tells a circuit without rules from one that an operator holds closed. */
static void test_circuit_without_rules(void)
{
    scene at;
    mf_parent_options options = worker_options();
    begin(&at, false);
    options.runtime = at.runtime;
    options.circuit_failures = MF_DISABLED;
    at.parent = start(&options);
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body, "\"state\":\"disabled\"");
    mf_check_contains(at.body, "\"config\":{\"consecutive_failures\":0,");
    end(&at);
    begin_with_worker(&at, false);
    ask_ok(&at, "{\"command\":\"circuit\",\"worker\":\"math-0\",\"action\":\"force_closed\"}");
    get(&at, "/circuits/math-0");
    mf_check_contains(at.body, "\"state\":\"disabled\"");
    mf_check_contains(at.body, "\"config\":{\"consecutive_failures\":5,");
    end(&at);
}

static bool has_other_pid(void *data)
{
    int64_t *pids = data;
    mf_parent *parent = (mf_parent *)(intptr_t)pids[1];
    return is_ready(parent) && mf_parent_pid(parent) != pids[0];
}

static void test_restart(void)
{
    scene at;
    begin_with_worker(&at, false);
    int64_t pids[] = {mf_parent_pid(at.parent), (int64_t)(intptr_t)at.parent};
    ask_ok(&at, "{\"command\":\"restart\",\"worker\":\"math-0\"}");
    mf_check_contains(at.line, "\"from\":\"ready\",\"to\":\"restarting\"");
    mf_check(mf_test_until(has_other_pid, pids, MF_TEST_PATIENCE_MS));
    add(&at, MF_OK);
    check_log(&at, "\"event\":\"worker_restart\"");
    check_metric(&at, "worker_restarts_total{target=\"math\",reason=\"manual\"} 1");
    mf_check_int(mf_parent_stop(at.parent, NULL), MF_OK);
    ask_bad(&at, "{\"command\":\"restart\",\"worker\":\"math-0\"}", "can be restarted");
    ask_bad(&at, "{\"command\":\"drain\",\"worker\":\"math-0\"}", "only a member of a pool");
    end(&at);
}

static void test_drain(void)
{
    scene at;
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = worker_options();
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    begin(&at, false);
    parent.runtime = at.runtime;
    options.parent = &parent;
    options.workers = 2;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_int(mf_pool_start(pool, &error), MF_OK);
    mf_check_str(error.message, "");
    ask_ok(&at, "{\"command\":\"drain\",\"worker\":\"math-1\"}");
    mf_check_contains(at.line, "\"worker\":\"math-1\",\"from\":\"off\",\"to\":\"on\"");
    check_metric(&at, "pool_workers{target=\"math\",state=\"draining\"} 1");
    check_log(&at, "\"event\":\"drain\"");
    ask_ok(&at, "{\"command\":\"drain\",\"worker\":\"math-0\",\"action\":\"begin\"}");
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, NULL), MF_ERR_NOT_RUNNING);
    ask_ok(&at, "{\"command\":\"drain\",\"worker\":\"math-0\",\"action\":\"end\"}");
    mf_check_int(mf_pool_call(pool, "add", MF_ARGS(1, 2), NULL, NULL), MF_OK);
    check_metric(&at, "pool_workers{target=\"math\",state=\"draining\"} 1");
    mf_pool_destroy(pool);
    end(&at);
}

static void test_status_and_help(void)
{
    scene at;
    begin_with_worker(&at, false);
    ask_ok(&at, "{\"command\":\"status\"}");
    mf_check_contains(at.line, "\"heap\":");
    mf_check_contains(at.line, "\"name\":\"mf-admin\"");
    mf_check_contains(at.line, "\"descriptors\":{\"open\":");
    mf_check_contains(at.line, "\"worker\":\"math-0\",\"state\":\"ready\"");
    ask_ok(&at, "{\"command\":\"help\"}");
    mf_check_contains(at.line, "\"circuit\":[\"action\",\"target\",\"worker\"]");
    end(&at);
}

/* ---- Faults ---- */

static void check_hits(scene *at, const char *kind, int hits)
{
    char sample[128];
    (void)snprintf(sample, sizeof sample, "faults_injected_total{target=\"math\",kind=\"%s\"} %d",
                   kind, hits);
    check_metric(at, sample);
}

static void test_faults_are_off(void)
{
    scene at;
    begin_with_worker(&at, false);
    ask_bad(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\"}",
            "fault injection is off");
    add(&at, MF_OK);
    end(&at);
}

static void test_fault_error(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\","
                "\"function\":\"add\",\"count\":1}");
    mf_check_int(mf_call(at.parent, "divide", MF_ARGS(4, 2), NULL, NULL), MF_OK);
    mf_check_int(mf_call(at.parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_str(error.message, "the call of 'add' to 'math' was ended by an injected fault");
    add(&at, MF_OK); /* one was asked for */
    check_hits(&at, "error", 1);
    check_log(&at, "\"setting\":\"fault\"");
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\",\"share\":0}");
    add(&at, MF_OK);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\"}");
    add(&at, MF_ERR_NOT_RUNNING);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"action\":\"clear\"}");
    mf_check_contains(at.line,
                      "\"from\":\"error of any function, share 1.000, for 60000 ms, 1 calls "
                      "hit\",\"to\":\"none\"");
    add(&at, MF_OK);
    end(&at);
}

static void count_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)error;
    mf_check_int(status, MF_OK);
    mf_result_destroy(result);
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

static bool are_two(void *user_data)
{
    return __atomic_load_n((int *)user_data, __ATOMIC_SEQ_CST) == 2;
}

static void test_fault_delay(void)
{
    scene at;
    int ended = 0;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"delay\",\"delay_ms\":150}");
    int64_t began = mf_test_now_ms();
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, count_end, &ended, NULL),
                 MF_OK);
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, count_end, &ended, NULL),
                 MF_OK);
    add(&at, MF_OK);
    mf_check(mf_test_now_ms() - began >= DELAY_MS);
    mf_check(mf_test_until(are_two, &ended, MF_TEST_PATIENCE_MS));
    check_hits(&at, "delay", 3);
    end(&at);
}

static void test_fault_drop(void)
{
    scene at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin_with_worker(&at, true);
    options.timeout_ms = 50;
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"drop\",\"count\":1}");
    mf_check_int(mf_call_with(at.parent, "add", MF_ARGS(1, 2), &options, NULL, NULL),
                 MF_ERR_TIMEOUT);
    add(&at, MF_OK);
    check_hits(&at, "drop", 1);
    end(&at);
}

static void test_fault_crash(void)
{
    scene at;
    begin_with_worker(&at, true);
    int64_t pids[] = {mf_parent_pid(at.parent), (int64_t)(intptr_t)at.parent};
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"crash\",\"count\":1}");
    add(&at, MF_ERR_WORKER_EXITED);
    mf_check(mf_test_until(has_other_pid, pids, MF_TEST_PATIENCE_MS));
    check_log(&at, "\"event\":\"worker_crash\"");
    get(&at, "/crashes");
    mf_check_contains(at.body, "\"signal\":9");
    check_hits(&at, "crash", 1);
    end(&at);
}

static void test_fault_freeze(void)
{
    scene at;
    begin_with_worker(&at, true);
    int64_t pid = mf_parent_pid(at.parent);
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"freeze\","
                "\"delay_ms\":150,\"count\":1}");
    add(&at, MF_OK); /* before it stopped, or after it went on */
    check_hits(&at, "freeze", 1);
    mf_check_int(mf_call(at.parent, "sleep_ms", MF_ARGS(DELAY_MS), NULL, NULL), MF_OK);
    add(&at, MF_OK);
    mf_check_int(mf_parent_pid(at.parent), pid);
    end(&at);
}

/* Late messages that nobody sends any more are given back. */
static void test_stop_with_late_calls(void)
{
    scene at;
    mf_future *future = NULL;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"delay\","
                "\"delay_ms\":600000}");
    mf_check_int(mf_call_future(at.parent, "add", MF_ARGS(1, 2), NULL, &future, NULL), MF_OK);
    mf_check_int(mf_parent_stop(at.parent, NULL), MF_OK);
    mf_check(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, NULL) != MF_OK);
    mf_future_destroy(future);
    end(&at);
}

/* ---- Bad clients ---- */

static void test_garbage(void)
{
    static const char *const lines[] = {
        "",
        "{",
        "null",
        "[1]",
        "{}",
        "{\"command\":\"explode\"}",
        "{\"command\":7}",
        "{\"command\":\"status\",\"more\":1}",
        "{\"command\":\"circuit\",\"action\":\"auto\"}",
        "\xff\xfe\x01",
        "GET / HTTP/1.1\r",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "[",
    };
    scene at;
    begin_with_worker(&at, true);
    for (size_t i = 0; i < GARBAGE; i++) {
        ask_bad(&at, lines[i % (sizeof lines / sizeof lines[0])], "\"error\":\"");
    }
    ask_ok(&at, "{\"command\":\"status\"}");
    add(&at, MF_OK);
    check_metric(&at, "admin_commands_total{command=\"circuit\",result=\"error\"} 83");
    end(&at);
}

static void test_long_line(void)
{
    scene at;
    char *line = malloc(20001);
    begin(&at, false);
    memset(line, 'a', 20000);
    line[20000] = '\0';
    ask_bad(&at, line, "a line has at most 4096 bytes");
    ask_ok(&at, "{\"command\":\"help\"}"); /* one answer for the long one */
    free(line);
    end(&at);
}

static void test_slow_client(void)
{
    scene at;
    static const char help[] = "{\"command\":\"help\"}\n";
    begin(&at, false);
    int slow = try_connect(at.path);
    int flags = fcntl(slow, F_GETFL);
    mf_check_int(fcntl(slow, F_SETFL, flags | O_NONBLOCK), 0);
    /* Until neither direction takes any more. The rest of a cut line does not matter. */
    size_t sent = 0;
    for (int quiet = 0; quiet < 100;) {
        if (send(slow, help, sizeof help - 1, MSG_NOSIGNAL) < 0) {
            quiet++;
            ask_ok(&at, "{\"command\":\"help\"}"); /* the other one is served meanwhile */
        } else {
            quiet = 0;
            sent++;
        }
    }
    mf_check(sent > 0);
    ask_ok(&at, "{\"command\":\"status\"}");
    (void)close(slow);
    end(&at);
}

static void test_idle_client_gives_way(void)
{
    scene at;
    int fds[8];
    char line[256];
    begin(&at, false);
    for (size_t i = 0; i < 8; i++) { /* with that of the scene, which was silent longest: nine */
        fds[i] = try_connect(at.path);
        send_text(fds[i], "{\"command\":\"x\"}\n");
        mf_check(read_line(fds[i], line, sizeof line));
    }
    mf_check(!read_line(at.fd, line, sizeof line)); /* closed */
    send_text(fds[0], "{\"command\":\"x\"}\n");
    mf_check(read_line(fds[0], line, sizeof line));
    for (size_t i = 0; i < 8; i++) {
        (void)close(fds[i]);
    }
    end(&at);
}

/* Its answer comes through the exit status. */
static int ask_as_other(const char *path)
{
    char line[256];
    pid_t pid = fork();
    if (pid == 0) {
        int fd = setresuid(65534, 65534, 65534) == 0 ? try_connect(path) : -1;
        bool told = fd >= 0 && read_line(fd, line, sizeof line) &&
                    strstr(line, "user 65534 may not ask") != NULL &&
                    !read_line(fd, line, sizeof line);
        _exit(fd < 0 ? 2 : told ? 0 : 1);
    }
    int status = 0;
    mf_check_int(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_another_user(void)
{
    char folder[] = "/tmp/mf-admin-XXXXXX";
    char path[64];
    scene at;
    mf_admin *admin = NULL;
    mf_admin_options options = MF_ADMIN_OPTIONS_INIT;
    if (geteuid() != 0) {
        (void)fprintf(stderr, "skipped: another user is refused (needs root)\n");
        return;
    }
    begin(&at, false);
    mf_check(mkdtemp(folder) != NULL);
    mf_check_int(chmod(folder, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a.sock", folder);
    options.path = path;
    mf_check_int(mf_admin_create(&admin, at.runtime, &options, NULL), MF_OK);
    mf_check_int(ask_as_other(path), 2); /* the file's mode keeps others out */
    mf_check_int(chmod(path, 0666), 0);
    mf_check_int(ask_as_other(path), 0); /* and so does the kernel's word */
    check_metric(&at, "admin_commands_total{command=\"connect\",result=\"error\"} 1");
    mf_admin_destroy(admin);
    mf_check_int(rmdir(folder), 0);
    end(&at);
}

/* ---- Paths ---- */

static void test_two_runtimes(void)
{
    mf_runtime *runtimes[2] = {NULL, NULL};
    mf_admin *admins[2] = {NULL, NULL};
    mf_error error = MF_ERROR_INIT;
    char line[512];
    char wanted[512];
    struct stat facts;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.service = "my service/x";
    mf_check_int(setenv("XDG_RUNTIME_DIR", mf_test_temp_dir(), 1), 0);
    for (int i = 0; i < 2; i++) {
        mf_check_int(mf_runtime_create(&runtimes[i], &options, &error), MF_OK);
        mf_check_int(mf_admin_create(&admins[i], runtimes[i], NULL, &error), MF_OK);
        mf_check_str(error.message, "");
        (void)snprintf(wanted, sizeof wanted, "%s/multifrost/my_service_x.%d%s.sock",
                       mf_test_temp_dir(), (int)getpid(), i == 0 ? "" : ".2");
        mf_check_str(mf_admin_path(admins[i]), wanted);
        mf_check_int(stat(wanted, &facts), 0);
        mf_check_int(facts.st_mode & 07777, 0600);
    }
    for (int i = 0; i < 2; i++) {
        int fd = try_connect(mf_admin_path(admins[i]));
        send_text(fd, i == 0 ? "{\"command\":\"log_level\",\"level\":\"error\"}\n"
                             : "{\"command\":\"log_level\",\"level\":\"warn\"}\n");
        mf_check(read_line(fd, line, sizeof line));
        mf_check_contains(line, "\"ok\":true");
        (void)close(fd);
    }
    mf_check_int(mf_log_get_level(mf_runtime_logger(runtimes[0])), MF_LOG_ERROR);
    mf_check_int(mf_log_get_level(mf_runtime_logger(runtimes[1])), MF_LOG_WARN);
    (void)snprintf(wanted, sizeof wanted, "%s/multifrost", mf_test_temp_dir());
    mf_check_int(stat(wanted, &facts), 0);
    mf_check_int(facts.st_mode & 07777, 0700);
    for (int i = 0; i < 2; i++) {
        mf_admin_destroy(admins[i]);
        mf_runtime_destroy(runtimes[i]);
    }
    mf_check_int(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static const mf_test tests[] = {
    {"admin__sets_the_log_level", test_log_level},
    {"admin__forces_and_resets_circuits", test_circuit},
    {"admin__health_of_a_forced_circuit", test_health_of_a_forced_circuit},
    {"admin__circuit_without_rules", test_circuit_without_rules},
    {"admin__restarts_a_worker", test_restart},
    {"admin__drains_a_member_of_a_pool", test_drain},
    {"admin__tells_status_and_help", test_status_and_help},
    {"admin__faults_are_off_by_default", test_faults_are_off},
    {"admin__fault_error", test_fault_error},
    {"admin__fault_delay", test_fault_delay},
    {"admin__fault_drop", test_fault_drop},
    {"admin__fault_crash", test_fault_crash},
    {"admin__fault_freeze", test_fault_freeze},
    {"admin__a_stop_ends_late_calls", test_stop_with_late_calls},
    {"admin__garbage_changes_nothing", test_garbage},
    {"admin__a_long_line_has_one_answer", test_long_line},
    {"admin__a_slow_client_holds_up_no_other", test_slow_client},
    {"admin__an_idle_client_gives_way", test_idle_client_gives_way},
    {"admin__another_user_is_refused", test_another_user},
    {"admin__two_runtimes_have_two_sockets", test_two_runtimes},
};
MF_TEST_MAIN(tests)
