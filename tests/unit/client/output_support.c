/* Prints as the worker, and keeps what the log gets: see output_support.h. */
#include "output_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void keep_record(mf_log_level level, const char *line, size_t length, void *user_data)
{
    output_test *at = user_data;
    int number = atomic_load(&at->count);
    (void)level;
    if (number < RECORDS_MAX && strstr(line, "\"worker_output\"") != NULL) {
        (void)snprintf(at->records[number], sizeof at->records[0], "%.*s", (int)length, line);
        atomic_store(&at->count, number + 1);
    }
}

static void count_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    (void)line;
    (void)length;
    (void)is_stderr;
    atomic_fetch_add(&((output_test *)user_data)->shown, 1);
}

static void open_on_engine(void *data)
{
    output_test *at = data;
    mfi_output_open(at->output, at->pipes[0][0], at->pipes[1][0]);
}

void output_init_as(output_test *at, bool spawned)
{
    mf_parent_options options;
    mf_error error = MF_ERROR_INIT;
    memset(at, 0, sizeof *at);
    rig_options(&options);
    options.on_output = count_line;
    options.user_data = at;
    if (!spawned) {
        options.program = NULL;
        options.service_id = "math";
        options.restart_backoff_ms = 0; /* of the other mode */
    }
    rig_init(&at->rig, &options, spawned);
    at->output = &at->rig.parent->calls.output;
    mf_check_int(mf_log_add_callback(mf_runtime_logger(at->rig.runtime), keep_record, at,
                                     MF_LOG_JSON, &error),
                 MF_OK);
    rig_start(&at->rig);
    for (int i = 0; i < 2; i++) {
        mf_check_int(pipe2(at->pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
    }
    if (spawned) {
        mfi_loop_call(at->rig.runtime->loop, open_on_engine, at);
    }
}

void output_init(output_test *at)
{
    output_init_as(at, true);
}

static void close_on_engine(void *data)
{
    mfi_output_close(((output_test *)data)->output);
}

void output_fini(output_test *at)
{
    mf_check(mf_log_flush(mf_runtime_logger(at->rig.runtime), MF_TEST_PATIENCE_MS));
    mf_check_int(atomic_load(&at->count), at->checked);
    mfi_loop_call(at->rig.runtime->loop, close_on_engine, at);
    rig_fini(&at->rig);
    mf_check_int(atomic_load(&at->shown), at->checked); /* on_output gets what the log gets */
    for (int i = 0; i < 2; i++) {
        (void)close(at->pipes[i][0]);
        (void)close(at->pipes[i][1]);
    }
}

/* ---- The worker and its calls ---- */

void output_print(const output_test *at, bool is_stderr, const char *text)
{
    size_t size = strlen(text);
    mf_check_int(write(at->pipes[is_stderr ? 1 : 0][1], text, size), size);
}

static void read_on_engine(void *data)
{
    output_test *at = data;
    mf_check(mfi_output_read(at->output, false));
}

void output_look(output_test *at)
{
    mfi_loop_call(at->rig.runtime->loop, read_on_engine, at);
}

void output_send(output_test *at, open_call *call, const char *id, int64_t timeout_ms)
{
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.correlation_id = id;
    options.timeout_ms = timeout_ms;
    rig_call_with(&at->rig, "work", &options, &call->outcome);
}

void output_begin(output_test *at, open_call *call, const char *id)
{
    output_send(at, call, id, MF_TEST_PATIENCE_MS);
    rig_take(&at->rig, &call->message, MFI_MESSAGE_CALL, "work");
}

void output_answer(output_test *at, open_call *call)
{
    rig_answer(&at->rig, &call->message);
    mf_check_int(rig_await(&call->outcome), MF_OK);
}

void output_talk(output_test *at)
{
    output_print(at, false, "hello\n");
    output_look(at);
}

void output_check(output_test *at, const char *text, const char *id, const char *fields)
{
    char wanted[256];
    mf_check(mf_log_flush(mf_runtime_logger(at->rig.runtime), MF_TEST_PATIENCE_MS));
    mf_check(at->checked < atomic_load(&at->count));
    const char *record = at->records[at->checked++];
    (void)snprintf(wanted, sizeof wanted, "\"message\":\"%s\"", text);
    mf_check_contains(record, wanted);
    (void)snprintf(wanted, sizeof wanted, "\"fields\":{%s}", fields);
    mf_check_contains(record, wanted);
    (void)snprintf(wanted, sizeof wanted, "\"correlation_id\":\"%s\"", id);
    mf_check_int(strstr(record, "\"correlation_id\"") != NULL, id[0] != '\0');
    mf_check(id[0] == '\0' || strstr(record, wanted) != NULL);
}
