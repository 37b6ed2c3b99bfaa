/* Queries of the recorder: which calls they select, in which order, and how many. */
#include <string.h>

#include "mf_test.h"
#include "recorder_support.h"

static void test_queries_select(void)
{
    char name[100] = "";
    recorder_fixture *at = recorder_setup(MFI_RECORDER_BYTES_LEAST, 600 * SECOND);
    mfi_recorded_names longer;
    memset(name, 'x', sizeof name - 1);
    mfi_recorder_name(at->recorder, &longer, "math", "math-1", name);
    mfi_client_span one = recorder_begin(at, &at->add, NOW + 1, "one");
    mfi_client_span two = recorder_begin(at, &at->sub, NOW, "two");
    mfi_client_span three = recorder_begin(at, &longer, NOW + 2, "three");
    recorder_end(at, &three, &longer, NOW + 3, MF_ERR_TIMEOUT);
    mf_call_query query = {.struct_size = sizeof query, .view = MF_CALLS_ALL, .limit = 10};
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 3);
    mf_check_str(at->lines[0].correlation_id, "two"); /* the oldest of the open ones */
    mf_check_str(at->lines[2].correlation_id, "three");
    query.limit = 1;
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    mf_check_int(at->counts.matched, 3);
    mf_check_str(at->lines[0].correlation_id, "two");
    query.limit = 10;
    query.function = "add";
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    query.function = name;
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].correlation_id, "three");
    query.function = NULL;
    query.worker = "math-0";
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 2);
    query.target = "other";
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 0);
    query.target = query.worker = NULL;
    query.status = "timeout";
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    query.status = NULL;
    query.correlation_id = "one";
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    recorder_end(at, &one, &at->add, NOW + 5, MF_OK);
    recorder_end(at, &two, &at->sub, NOW + 5, MF_OK);
    mf_check_int(recorder_ask(at, &query, NOW + SECOND), 1);
    mf_check_str(at->lines[0].status, "ok");
    recorder_teardown(at);
}

static const mf_test tests[] = {
    {"recorder_read__queries_select", test_queries_select},
};
MF_TEST_MAIN(tests)
