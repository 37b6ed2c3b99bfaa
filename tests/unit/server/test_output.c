/* What the process prints, caught on its way and queued in the channel. */
#include "core/server/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/wire/limits.h"
#include "test_channel.h"

typedef struct caught {
    test_channel base;
    mfi_captures captures;
    mf_status status;
    mf_error error;
    struct stat before[2]; /* of stdout and stderr */
} caught;

static void start_on_engine(void *argument)
{
    caught *at = argument;
    at->status = mfi_captures_start(&at->captures, &at->base.channel, &at->error);
}

static void stop_on_engine(void *argument)
{
    caught *at = argument;
    mfi_captures_stop(&at->captures);
}

static bool burst(void *self, const mfi_waiter *until)
{
    (void)self;
    (void)until;
    return true;
}

static bool never(void *self)
{
    (void)self;
    return false;
}

/* A channel whose driver has no socket: messages stay in its queue. */
static void prepare(caught *at)
{
    static const mfi_driver_ops ops = {.burst = burst, .needs_watch = never, .has_more = never};
    memset(at, 0, sizeof *at);
    channel_open(&at->base);
    mf_check_int(mfi_driver_init(&at->base.channel.driver, at->base.runtime->loop, &ops, NULL,
                                 MFI_NS_PER_MS, &at->error),
                 MF_OK);
    (void)fstat(STDOUT_FILENO, &at->before[0]);
    (void)fstat(STDERR_FILENO, &at->before[1]);
}

/* While output is caught no assertion may fail, because its text would be caught too. */
static void start(caught *at)
{
    prepare(at);
    mfi_loop_call(at->base.runtime->loop, start_on_engine, at);
}

static bool is_given_back(const caught *at, int fd)
{
    struct stat now;
    const struct stat *before = &at->before[fd - STDOUT_FILENO];
    return fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

static void stop(caught *at)
{
    mfi_loop_call(at->base.runtime->loop, stop_on_engine, at);
    mf_check_int(at->status, MF_OK);
    mf_check_str(at->error.message, "");
    mf_check(is_given_back(at, STDOUT_FILENO) && is_given_back(at, STDERR_FILENO));
}

static void end(caught *at)
{
    mf_check(mfi_channel_pop(&at->base.channel) == NULL);
    mfi_driver_fini(&at->base.channel.driver);
    mfi_mpsc_init(&at->base.channel.driver.queue);
    channel_close(&at->base);
}

static void print(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

/* The next message, which must be this line. */
static void check_line(caught *at, mfi_message_type type, const char *wanted)
{
    char text[64];
    mfi_envelope envelope;
    mf_error error = MF_ERROR_INIT;
    mfi_reject why = MFI_REJECT_NONE;
    mfi_out *out = mfi_channel_pop(&at->base.channel);
    mf_check(out != NULL);
    if (out == NULL) {
        return;
    }
    mf_check_int(mfi_envelope_decode(out->buf.data, out->buf.size, NULL, &envelope, &why, &error),
                 MF_OK);
    mf_check_int(envelope.type, type);
    mf_check_int(out->traffic, MFI_TRAFFIC_OUTPUT);
    mf_check_int(out->route.size, 0); /* to every peer */
    mf_check_int(envelope.id.size, 36);
    mf_check(envelope.timestamp > 1e9);
    (void)snprintf(text, sizeof text, "%.*s", (int)envelope.output.size, envelope.output.data);
    mf_check_str(text, wanted);
    mfi_out_free(out);
}

static void test_lines_become_messages(void)
{
    caught at;
    start(&at);
    print(STDOUT_FILENO, "one\ntw");
    print(STDOUT_FILENO, "o\n\nthree");
    stop(&at); /* queues what was still in the pipe, and a line without an end */
    mf_check_int(atomic_load(&at.base.channel.outputs_waiting), 3);
    check_line(&at, MFI_MESSAGE_STDOUT, "one");
    check_line(&at, MFI_MESSAGE_STDOUT, "two");
    check_line(&at, MFI_MESSAGE_STDOUT, "three");
    end(&at);
}

static void test_each_stream_has_its_type(void)
{
    caught at;
    start(&at);
    print(STDERR_FILENO, "warning\n");
    stop(&at);
    check_line(&at, MFI_MESSAGE_STDERR, "warning");
    end(&at);
}

/* Lines of stdio leave when they end, although the stream leads into a pipe. */
static void test_stdio_sends_whole_lines(void)
{
    caught at;
    start(&at);
    (void)printf("line %d\n", 1);
    stop(&at);
    check_line(&at, MFI_MESSAGE_STDOUT, "line 1");
    end(&at);
}

static bool has_line(void *data)
{
    return atomic_load(&((caught *)data)->base.channel.outputs_waiting) == 1;
}

static void test_engine_reads_while_the_worker_runs(void)
{
    caught at;
    start(&at);
    print(STDOUT_FILENO, "at once\n");
    bool seen = mf_test_until(has_line, &at, MF_TEST_PATIENCE_MS);
    stop(&at);
    mf_check(seen);
    check_line(&at, MFI_MESSAGE_STDOUT, "at once");
    end(&at);
}

static void test_a_flood_is_dropped_and_counted(void)
{
    caught at;
    start(&at);
    atomic_store(&at.base.channel.outputs_waiting, MFI_CHILD_OUTPUTS_MAX);
    print(STDOUT_FILENO, "lost\nlost too\n");
    stop(&at);
    channel_check_metrics(&at.base, "transport_dropped_messages_total{reason=\"hwm\"} 2\n");
    mf_check_int(atomic_load(&at.base.channel.outputs_waiting), MFI_CHILD_OUTPUTS_MAX);
    end(&at);
}

static void test_a_long_line_comes_in_pieces(void)
{
    enum { SIZE = 20000 };
    static char text[SIZE + 2];
    caught at;
    mfi_envelope envelope;
    mfi_reject why = MFI_REJECT_NONE;
    size_t size = 0;
    memset(text, 'x', SIZE);
    text[SIZE] = '\n';
    start(&at);
    print(STDOUT_FILENO, text);
    stop(&at);
    for (mfi_out *out = NULL; (out = mfi_channel_pop(&at.base.channel)) != NULL;) {
        mf_check_int(mfi_envelope_decode(out->buf.data, out->buf.size, NULL, &envelope, &why, NULL),
                     MF_OK);
        mf_check(envelope.output.size <= MFI_OUTPUT_MAX_BYTES);
        size += envelope.output.size;
        mfi_out_free(out);
    }
    mf_check_int(size, SIZE);
    end(&at);
}

/* A process that the worker started may keep the pipe open: the end does not wait for it. */
static void test_a_pipe_that_stays_open_is_left(void)
{
    caught at;
    start(&at);
    int kept = dup(STDOUT_FILENO);
    print(kept, "from another process\n");
    stop(&at);
    check_line(&at, MFI_MESSAGE_STDOUT, "from another process");
    end(&at);
    (void)close(kept);
}

typedef struct look {
    caught *at;
    bool ended;
} look;

static void look_on_engine(void *argument)
{
    look *here = argument;
    here->ended = here->at->captures.streams[0].source.fd < 0;
}

static bool engine_saw_the_end(void *data)
{
    look at = {.at = data};
    mfi_loop_call(at.at->base.runtime->loop, look_on_engine, &at);
    return at.ended;
}

static void test_a_stream_that_the_program_closed_is_given_back(void)
{
    caught at;
    start(&at);
    print(STDOUT_FILENO, "last words");
    (void)close(STDOUT_FILENO);
    bool seen = mf_test_until(engine_saw_the_end, &at, MF_TEST_PATIENCE_MS);
    stop(&at);
    mf_check(seen);
    check_line(&at, MFI_MESSAGE_STDOUT, "last words");
    end(&at);
}

/* The program closed stderr when its runtime was there. The pipe for stdout must not get its
 * number, because the pipe for stderr would replace it. */
static void test_a_stream_that_was_closed_before_is_caught(void)
{
    caught at;
    prepare(&at);
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    (void)close(STDERR_FILENO);
    mfi_loop_call(at.base.runtime->loop, start_on_engine, &at);
    print(STDOUT_FILENO, "from stdout\n");
    mfi_loop_call(at.base.runtime->loop, stop_on_engine, &at);
    bool is_closed = fcntl(STDERR_FILENO, F_GETFD) < 0;
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    mf_check_int(at.status, MF_OK);
    mf_check_str(at.error.message, "");
    mf_check(!is_closed);
    check_line(&at, MFI_MESSAGE_STDOUT, "from stdout");
    end(&at);
}

static void test_what_never_began_can_be_stopped(void)
{
    caught at;
    prepare(&at);
    stop(&at);
    stop(&at);
    end(&at);
}

static const mf_test tests[] = {
    {"output__lines_become_messages", test_lines_become_messages},
    {"output__each_stream_has_its_type", test_each_stream_has_its_type},
    {"output__stdio_sends_whole_lines", test_stdio_sends_whole_lines},
    {"output__engine_reads_while_the_worker_runs", test_engine_reads_while_the_worker_runs},
    {"output__a_flood_is_dropped_and_counted", test_a_flood_is_dropped_and_counted},
    {"output__a_long_line_comes_in_pieces", test_a_long_line_comes_in_pieces},
    {"output__a_pipe_that_stays_open_is_left", test_a_pipe_that_stays_open_is_left},
    {"output__a_stream_that_the_program_closed_is_given_back",
     test_a_stream_that_the_program_closed_is_given_back},
    {"output__a_stream_that_was_closed_before_is_caught",
     test_a_stream_that_was_closed_before_is_caught},
    {"output__what_never_began_can_be_stopped", test_what_never_began_can_be_stopped},
};

MF_TEST_MAIN(tests)
