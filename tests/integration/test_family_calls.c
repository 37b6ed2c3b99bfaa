/* What a parent shows of the calls in its workers: those that hang, and, when a worker was killed,
 * those that it ran and its last log lines. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "family_support.h"
#include "mf_test.h"
#include "parents.h"

typedef struct seen_calls {
    unsigned clients, servers;
    char worker[64], correlation_id[200]; /* of the server's row */
    char of_client[200];
} seen_calls;

static void see_call(const mf_call_row *row, void *user_data)
{
    seen_calls *seen = user_data;
    if (strcmp(row->role, "server") == 0) {
        seen->servers++;
        (void)snprintf(seen->worker, sizeof seen->worker, "%s", row->worker);
        (void)snprintf(seen->correlation_id, sizeof seen->correlation_id, "%s",
                       row->correlation_id);
    } else {
        seen->clients++;
        (void)snprintf(seen->of_client, sizeof seen->of_client, "%s", row->correlation_id);
    }
}

static void see_open_calls(family *at, seen_calls *seen)
{
    const mf_probe *probe = mf_runtime_probe(at->runtime);
    const mf_call_query query = {.struct_size = sizeof query, .view = MF_CALLS_OPEN, .limit = 100};
    mf_call_counts counts = {.struct_size = sizeof counts};
    memset(seen, 0, sizeof *seen);
    mf_check(probe->visit_calls(probe->self, &query, see_call, seen, &counts));
    mf_check_int(counts.shown, seen->clients + seen->servers);
}

static bool runs_in_worker(void *data)
{
    seen_calls seen;
    see_open_calls(data, &seen);
    return seen.servers == 1;
}

/* Both ends of a call that hangs are among the open calls of the parent. */
static void test_a_hung_handler_is_shown_by_the_parent(void)
{
    family at;
    mf_future *future = NULL;
    seen_calls seen;
    family_begin(&at, 1, NULL);
    atomic_store(&at.shared->held, 1);
    mf_check_int(mf_call_future(at.callers[0].parent, "hold", MF_ARGS(1), NULL, &future, NULL),
                 MF_OK);
    mf_check(mf_test_until(runs_in_worker, &at, MF_TEST_PATIENCE_MS));
    see_open_calls(&at, &seen);
    mf_check_int(seen.clients, 1);
    mf_check_str(seen.worker, "family-0");
    mf_check_str(seen.correlation_id, seen.of_client);
    atomic_store(&at.shared->held, 0);
    mf_check_int(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, NULL), MF_OK);
    mf_future_destroy(future);
    family_end(&at);
}

typedef struct seen_crash {
    unsigned count;
    char running[2000], log[8000];
} seen_crash;

static void see_crash(const mf_crash_row *row, void *user_data)
{
    seen_crash *seen = user_data;
    if (seen->count++ > 0) {
        return; /* the newest one comes first */
    }
    for (size_t i = 0; i < row->running_count; i++) {
        size_t used = strlen(seen->running);
        (void)snprintf(seen->running + used, sizeof seen->running - used, "%s;",
                       row->running[i].function);
    }
    (void)snprintf(seen->log, sizeof seen->log, "%s", row->log != NULL ? row->log : "");
}

static bool has_crash(void *data)
{
    family *at = data;
    seen_crash seen = {0};
    const mf_probe *probe = mf_runtime_probe(at->runtime);
    (void)probe->visit_crashes(probe->self, see_crash, &seen);
    return seen.count == 1;
}

/* The worker's own words: what it ran, and its last log lines, wherever its log goes. */
static void test_a_black_box_has_what_only_the_worker_knew(void)
{
    family at;
    mf_future *future = NULL;
    seen_crash seen = {0};
    char sink[300];
    (void)snprintf(sink, sizeof sink, "%s/worker.log", mf_test_temp_dir());
    mf_check_int(setenv("COMLINK_LOG_SINK", sink, 1), 0);
    family_begin(&at, 1, NULL);
    (void)unsetenv("COMLINK_LOG_SINK");
    atomic_store(&at.shared->held, 1);
    mf_check_int(mf_call(at.callers[0].parent, "count", MF_ARGS(1), NULL, NULL), MF_OK);
    mf_check_int(mf_call_future(at.callers[0].parent, "hold", MF_ARGS(1), NULL, &future, NULL),
                 MF_OK);
    mf_check(mf_test_until(runs_in_worker, &at, MF_TEST_PATIENCE_MS));
    kill_worker(at.callers[0].parent);
    mf_check(mf_test_until(has_crash, &at, MF_TEST_PATIENCE_MS));
    const mf_probe *probe = mf_runtime_probe(at.runtime);
    mf_check_int(probe->visit_crashes(probe->self, see_crash, &seen), 1);
    mf_check_str(seen.running, "hold;");
    mf_check_contains(seen.log, "\"event\":\"");
    mf_check(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, NULL) != MF_OK);
    mf_future_destroy(future);
    atomic_store(&at.shared->held, 0);
    family_end(&at);
}

int main(int argc, char **argv)
{
    static const mf_test tests[] = {
        {"family__a_hung_handler_is_shown_by_the_parent",
         test_a_hung_handler_is_shown_by_the_parent},
        {"family__a_black_box_has_what_only_the_worker_knew",
         test_a_black_box_has_what_only_the_worker_knew},
    };
    return family_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
