/* An operator at the admin socket of a running program with real workers: what each command does,
 * as calls, /circuits, /metrics and the log tell it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "operator.h"
#include "parents.h"

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

static void test_restart(void)
{
    scene at;
    begin_with_worker(&at, false);
    int64_t pid = mf_parent_pid(at.parent);
    ask_ok(&at, "{\"command\":\"restart\",\"worker\":\"math-0\"}");
    mf_check_contains(at.line, "\"from\":\"ready\",\"to\":\"restarting\"");
    wait_for_other_worker(&at, pid);
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
    {"admin__two_runtimes_have_two_sockets", test_two_runtimes},
};
MF_TEST_MAIN(tests)
