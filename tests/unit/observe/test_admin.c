/* What is told of the admin socket: counted commands and faults, and a record of each change. */
#include <stdlib.h>

#include "log_support.h"
#include "metric_support.h"
#include "mf_test.h"

static void test_counts(void)
{
    metric_fixture at;
    size_t size = 0;
    metric_setup(&at);
    mfi_observe_admin_begin(at.observer);
    mfi_observe_admin_command(at.observer, MFI_ADMIN_DRAIN, MFI_ADMIN_OK);
    mfi_observe_fault(at.client, MFI_FAULT_DROP);
    mfi_observe_fault(at.client, MFI_FAULT_DROP);
    mf_check_int(mf_metrics_render(at.metrics, MF_METRICS_PROMETHEUS_TEXT, &at.text, &size, NULL),
                 MF_OK);
    mf_check_contains(at.text,
                      "\nmultifrost_admin_commands_total{command=\"drain\",result=\"ok\"} 1\n");
    mf_check_contains(at.text,
                      "\nmultifrost_admin_commands_total{command=\"restart\",result=\"ok\"} 0\n");
    mf_check_contains(at.text,
                      "\nmultifrost_faults_injected_total{target=\"math\",kind=\"drop\"} 2\n");
    metric_teardown(&at);
}

static void test_change(void)
{
    log_fixture at;
    log_setup(&at);
    mfi_observe_config_change(
        at.observer,
        &(mfi_config_change){
            .setting = "log_level", .from = "info", .to = "debug", .uid = 1000, .pid = 12});
    check_logged(&at, "info config_change|Setting log_level: debug|,\"from\":\"info\","
                      "\"to\":\"debug\",\"fields\":{\"setting\":\"log_level\",\"by_uid\":1000,"
                      "\"by_pid\":12}}");
    mfi_observe_config_change(
        at.observer,
        &(mfi_config_change){
            .setting = "drain", .target = "math", .worker = "math-0", .from = "off", .to = "on"});
    check_logged(&at, "info config_change|Setting drain of math-0: on|" MATH
                      ",\"from\":\"off\",\"to\":\"on\",\"fields\":{\"setting\":\"drain\","
                      "\"by_uid\":0,\"by_pid\":0}}");
    log_teardown(&at);
}

static const mf_test tests[] = {
    {"admin__commands_and_faults_are_counted", test_counts},
    {"admin__a_change_is_logged", test_change},
};
MF_TEST_MAIN(tests)
