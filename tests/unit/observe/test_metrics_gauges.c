/* What the engine says of the present, and the gauges that show it at each collection. */
#include "base/clock.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "metric_support.h"
#include "mf_test.h"

#define STATE(word) "circuit_state{" METRIC_OF_WORKER ",state=\"" word "\"}"

static void test_gauges_show_what_the_engine_says(void)
{
    metric_fixture at;
    metric_setup(&at);
    at.client_gauges = (mfi_client_gauges){.calls_in_flight = 3,
                                           .oldest_call_age_seconds = 1.5,
                                           .queue_depth = 4,
                                           .queue_capacity = 100,
                                           .concurrency_limit = 50,
                                           .heartbeat_misses = 2,
                                           .heartbeat_last_ns = 7 * MFI_NS_PER_S,
                                           .restart_backoff_seconds = 0.5,
                                           .restarts = true,
                                           .restart_budget = 5,
                                           .state = MFI_WORKER_READY,
                                           .pid = 4711,
                                           .circuit = MFI_CIRCUIT_OPEN,
                                           .circuit_since_ns = 8 * MFI_NS_PER_S,
                                           .next_probe_ns = 9 * MFI_NS_PER_S,
                                           .pool_state = MFI_POOL_DRAINING};
    at.server_gauges =
        (mfi_server_gauges){.handlers_busy = 3, .handlers = 8, .queue_depth = 4, .queue_bytes = 90};
    metric_read(&at);
    metric_check(&at, "client_calls_in_flight{target=\"math\"}", 3);
    metric_check(&at, "client_oldest_call_age_seconds{target=\"math\"}", 1.5);
    metric_check(&at, "client_queue_depth{target=\"math\"}", 4);
    metric_check(&at, "client_queue_capacity{target=\"math\"}", 100);
    metric_check(&at, "client_concurrency_limit{target=\"math\"}", 50);
    metric_check(&at, "heartbeat_consecutive_misses{target=\"math\"}", 2);
    metric_check(&at, "heartbeat_last_success_timestamp_seconds{target=\"math\"}", 7);
    metric_check(&at, "worker_restart_backoff_seconds{target=\"math\",worker=\"math-0\"}", 0.5);
    metric_check(&at, "worker_restart_budget_remaining{target=\"math\"}", 5);
    metric_check(&at, "circuit_next_probe_timestamp_seconds{" METRIC_OF_WORKER "}", 9);
    metric_check(&at, "circuit_state_since_timestamp_seconds{" METRIC_OF_WORKER "}", 8);
    metric_check(&at, STATE("closed"), 0);
    metric_check(&at, STATE("open"), 1);
    metric_check(&at, STATE("half_open"), 0);
    metric_check(&at, "circuits{state=\"open\"}", 1);
    metric_check(&at, "circuits{state=\"closed\"}", 0);
    metric_check(&at, "worker_pid{" METRIC_OF_WORKER "}", 4711);
    metric_check(&at, "worker_up{" METRIC_OF_WORKER "}", 1);
    metric_check(&at, "workers{state=\"ready\"}", 1);
    metric_check(&at, "workers{state=\"down\"}", 0);
    metric_check(&at, "pool_workers{target=\"math\",state=\"ready\"}", 0);
    metric_check(&at, "pool_workers{target=\"math\",state=\"starting\"}", 0);
    metric_check(&at, "pool_workers{target=\"math\",state=\"draining\"}", 1);
    metric_check(&at, "pool_workers{target=\"math\",state=\"down\"}", 0);
    metric_check(&at, "server_calls_in_flight{worker=\"serve\"}", 3);
    metric_check(&at, "server_queue_depth{worker=\"serve\"}", 4);
    metric_check(&at, "server_queue_bytes{worker=\"serve\"}", 90);
    metric_check(&at, "server_threads{worker=\"serve\",state=\"busy\"}", 3);
    metric_check(&at, "server_threads{worker=\"serve\",state=\"idle\"}", 5);
    metric_teardown(&at);
}

/* Connected and answering: frozen, restarting and ended workers are not up. */
static void test_up_follows_the_state(void)
{
    metric_fixture at;
    metric_setup(&at);
    for (int state = 0; state < MFI_WORKER_STATE_COUNT; state++) {
        char series[64];
        at.client_gauges.state = (mfi_worker_state)state;
        metric_read(&at);
        metric_check(&at, "worker_up{" METRIC_OF_WORKER "}",
                     state == MFI_WORKER_READY || state == MFI_WORKER_DRAINING ? 1 : 0);
        for (int other = 0; other < MFI_WORKER_STATE_COUNT; other++) {
            (void)mfi_str_format(series, sizeof series, "workers{state=\"%s\"}",
                                 mfi_worker_word((mfi_worker_state)other));
            metric_check(&at, series, other == state ? 1 : 0);
        }
    }
    metric_teardown(&at);
}

/* A budget of restarts is no fact where nothing restarts. */
static void test_budget_is_of_those_that_restart(void)
{
    metric_fixture at;
    metric_setup(&at);
    at.client_gauges.restart_budget = 5;
    metric_read(&at);
    metric_check(&at, "worker_restart_budget_remaining{target=\"math\"}", METRIC_ABSENT);
    at.client_gauges.restarts = true;
    metric_read(&at);
    metric_check(&at, "worker_restart_budget_remaining{target=\"math\"}", 5);
    metric_teardown(&at);
}

/* What is not one of a pool has no series of pools. */
static void test_pools_alone_have_members(void)
{
    metric_fixture at;
    metric_setup(&at);
    metric_read(&at);
    metric_check(&at, "pool_workers{target=\"math\",state=\"ready\"}", METRIC_ABSENT);
    metric_check(&at, "log_dropped_total{reason=\"ring_full\"}", 0);
    metric_check(&at, "log_dropped_total{reason=\"oversize\"}", 0);
    metric_check(&at, "log_dropped_total{reason=\"sampled\"}", 0);
    metric_check(&at, "log_dropped_total{reason=\"sink_error\"}", 0);
    metric_teardown(&at);
}

/* A worker of the same name as a target is neither added to it nor hidden by it. */
static void test_sides_of_one_name_stay_apart(void)
{
    metric_fixture at;
    mfi_target *other = NULL;
    metric_setup(&at);
    const mfi_server_options server = {
        .worker = "math", .gauges = metric_show_server, .user_data = &at};
    mf_check_int(mfi_target_create_server(&other, at.observer, &server, NULL), MF_OK);
    at.client_gauges.calls_in_flight = 3;
    at.server_gauges.handlers_busy = 2;
    metric_read(&at);
    metric_check(&at, "client_calls_in_flight{target=\"math\"}", 3);
    metric_check(&at, "server_calls_in_flight{worker=\"math\"}", 2);
    metric_check(&at, "server_calls_in_flight{worker=\"serve\"}", 2);
    mfi_target_destroy(other);
    metric_teardown(&at);
}

static const mf_test tests[] = {
    {"observe__gauges_show_what_the_engine_says", test_gauges_show_what_the_engine_says},
    {"observe__up_follows_the_state", test_up_follows_the_state},
    {"observe__budget_is_of_those_that_restart", test_budget_is_of_those_that_restart},
    {"observe__pools_alone_have_members", test_pools_alone_have_members},
    {"observe__sides_of_one_name_stay_apart", test_sides_of_one_name_stay_apart},
};
MF_TEST_MAIN(tests)
