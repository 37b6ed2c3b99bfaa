/* What workers print, and what is left of it when they die. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mf_test.h"
#include "parents.h"

#define DEATHS 20
#define WORDS 10

typedef struct last_words {
    char ids[DEATHS][64]; /* correlation ids of the calls, in their order */
    _Atomic(int) calls;
    int lines, of_their_call, in_order;
    int deaths, late; /* late: exits that were logged before the last line */
} last_words;

/* The log writer's thread, until the flush. */
static void read_record(mf_log_level level, const char *line, size_t length, void *user_data)
{
    last_words *at = user_data;
    char wanted[128];
    (void)level;
    (void)length;
    if (strstr(line, "\"event\":\"process_exit\"") != NULL && at->deaths < DEATHS) {
        at->deaths++;
        at->late += at->lines != at->deaths * WORDS;
    }
    if (strstr(line, "\"worker_output\"") == NULL || strstr(line, "\"last words ") == NULL) {
        return;
    }
    int call = at->lines / WORDS;
    (void)snprintf(wanted, sizeof wanted, "\"message\":\"last words %d of %d\"",
                   at->lines % WORDS + 1, WORDS);
    at->in_order += strstr(line, wanted) != NULL;
    (void)snprintf(wanted, sizeof wanted, "\"correlation_id\":\"death-%d\"", call);
    at->of_their_call += strstr(line, wanted) != NULL && strstr(line, "\"trace_id\":\"") != NULL;
    at->lines++;
}

static void test_last_words_of_a_crash(void)
{
    last_words at = {0};
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_check_int(
        mf_log_add_callback(mf_runtime_logger(runtime), read_record, &at, MF_LOG_JSON, &error),
        MF_OK);
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.auto_restart = true;
    options.restart_backoff_ms = 1;
    options.max_restart_attempts = DEATHS + 1;
    options.restart_stable_ms = 1;
    options.circuit_failures = MF_DISABLED;
    mf_parent *parent = start(&options);
    for (int i = 0; i < DEATHS; i++) {
        char id[32];
        mf_call_options with = MF_CALL_OPTIONS_INIT;
        (void)snprintf(id, sizeof id, "death-%d", i);
        with.correlation_id = id;
        mf_check(mf_test_until(is_ready, parent, MF_TEST_PATIENCE_MS));
        mf_check_int(mf_call_with(parent, "last_words", MF_ARGS(WORDS), &with, NULL, &error),
                     MF_ERR_WORKER_EXITED);
    }
    mf_parent_destroy(parent); /* the last exit is logged after its call has ended */
    mf_check(mf_log_flush(mf_runtime_logger(runtime), MF_TEST_PATIENCE_MS));
    mf_check_int(at.lines, DEATHS * WORDS);
    mf_check_int(at.of_their_call, DEATHS * WORDS);
    mf_check_int(at.in_order, DEATHS * WORDS);
    mf_check_int(at.deaths, DEATHS);
    mf_check_int(at.late, 0);
    mf_runtime_destroy(runtime);
}

/* Neither the worker's own variables nor those of the process that spawned this one. */
static void test_private_variables_stay_with_the_worker(void)
{
    int64_t count = -1;
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    (void)setenv("COMLINK_ZMQ_PORT", "5000", 1);
    (void)setenv("COMLINK_OUTPUT_PIPES", "1:2,3:4", 1);
    mf_parent_options options = worker_options();
    mf_parent *parent = start(&options);
    mf_check_int(mf_call(parent, "inherited", MF_NO_ARGS, &result, &error), MF_OK);
    count = mf_result_int(result);
    mf_result_destroy(result);
    mf_parent_destroy(parent);
    (void)unsetenv("COMLINK_ZMQ_PORT");
    (void)unsetenv("COMLINK_OUTPUT_PIPES");
    mf_check_int(count, 0);
}

/* ---- Messages or pipes ---- */

typedef struct talk {
    _Atomic(int) lines;
} talk;

static void count_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)is_stderr;
    atomic_fetch_add(&((talk *)user_data)->lines, length > 5 && memcmp(line, "line ", 5) == 0);
}

/* More lines than may wait on the way to on_output. None is lost, because a pipe that is not read
 * makes its worker wait. */
static void test_no_line_is_lost_on_the_way(void)
{
    enum { LINES = 50000 };
    talk at = {0};
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    options.on_output = count_line;
    options.user_data = &at;
    mf_parent *parent = start(&options);
    mf_check_int(mf_call(parent, "print_lines", MF_ARGS(LINES), NULL, &error), MF_OK);
    mf_parent_destroy(parent);
    mf_check_int(at.lines, LINES);
}

static const mf_test tests[] = {
    {"output__last_words_of_a_crash", test_last_words_of_a_crash},
    {"output__private_variables_stay_with_the_worker", test_private_variables_stay_with_the_worker},
    {"output__no_line_is_lost_on_the_way", test_no_line_is_lost_on_the_way},
};

MF_TEST_MAIN(tests)
