/* What the process prints, caught on its way and queued in the channel. */
#include "core/server/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/process/private.h"
#include "core/wire/limits.h"
#include "test_channel.h"

typedef struct caught {
    test_channel base;
    mfi_forwarding forwarding;
    mf_status status;
    mf_error error;
    struct stat before[2]; /* of stdout and stderr */
} caught;

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
    at->status = mfi_forwarding_start(&at->forwarding, &at->base.channel, &at->error);
}

static bool is_given_back(const caught *at, int fd)
{
    struct stat now;
    const struct stat *before = &at->before[fd - STDOUT_FILENO];
    return fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

static void stop(caught *at)
{
    mfi_forwarding_stop(&at->forwarding);
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

/* The next message, which must be this line of the call with this correlation id (or ""). */
static void check_line_of(caught *at, mfi_message_type type, const char *wanted, const char *call)
{
    char text[64];
    mfi_metadata metadata;
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
    mfi_metadata_read(envelope.metadata, &metadata);
    (void)snprintf(text, sizeof text, "%.*s", (int)metadata.correlation_id.size,
                   metadata.correlation_id.data != NULL ? metadata.correlation_id.data : "");
    mf_check_str(text, call);
    mfi_out_free(out);
}

static void check_line(caught *at, mfi_message_type type, const char *wanted)
{
    check_line_of(at, type, wanted, "");
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

static void test_lines_leave_while_the_worker_runs(void)
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

static void test_a_stream_that_the_program_closed_is_given_back(void)
{
    caught at;
    start(&at);
    print(STDOUT_FILENO, "last words");
    (void)close(STDOUT_FILENO);
    print(STDERR_FILENO, "still read\n");
    bool seen = mf_test_until(has_line, &at, MF_TEST_PATIENCE_MS);
    stop(&at);
    mf_check(seen);
    check_line(&at, MFI_MESSAGE_STDERR, "still read");
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
    at.status = mfi_forwarding_start(&at.forwarding, &at.base.channel, &at.error);
    print(STDOUT_FILENO, "from stdout\n");
    mfi_forwarding_stop(&at.forwarding);
    bool is_closed = fcntl(STDERR_FILENO, F_GETFD) < 0;
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    mf_check_int(at.status, MF_OK);
    mf_check_str(at.error.message, "");
    mf_check(!is_closed);
    check_line(&at, MFI_MESSAGE_STDOUT, "from stdout");
    end(&at);
}

/* ---- Handlers and callbacks ---- */

static void test_a_line_has_the_id_of_the_handler_that_runs(void)
{
    caught at;
    mfi_printing first;
    mfi_printing second;
    const mf_context one = {.correlation_id = "c-1"};
    const mf_context two = {.correlation_id = "c-2"};
    start(&at);
    mfi_printing_enter(&first, &one);
    print(STDOUT_FILENO, "of the first\n");
    mfi_printing_leave(&first); /* reads the line while its handler counts */
    mfi_printing_enter(&first, &one);
    mfi_printing_enter(&second, &two);
    print(STDERR_FILENO, "of one of two\n");
    mfi_printing_leave(&first);
    print(STDERR_FILENO, "of the second\n");
    mfi_printing_leave(&second);
    print(STDERR_FILENO, "of none\n");
    stop(&at);
    check_line_of(&at, MFI_MESSAGE_STDOUT, "of the first", "c-1");
    check_line_of(&at, MFI_MESSAGE_STDERR, "of one of two", "");
    check_line_of(&at, MFI_MESSAGE_STDERR, "of the second", "c-2");
    check_line_of(&at, MFI_MESSAGE_STDERR, "of none", "");
    end(&at);
}

static void test_nothing_is_kept_of_handlers_where_nothing_is_caught(void)
{
    mfi_printing printing;
    const mf_context one = {.correlation_id = "c-1"};
    mfi_printing_enter(&printing, &one);
    mf_check(!printing.node.is_listed);
    mfi_printing_leave(&printing);
}

#define FLOOD_LINES 4000 /* 256 KB: four times what a pipe holds */

static void print_flood(void *data)
{
    (void)data;
    for (int i = 0; i < FLOOD_LINES; i++) {
        print(STDOUT_FILENO, "a line of sixty-four bytes, as many as four pipes hold together\n");
    }
}

/* A callback of the program runs on the engine thread. While it prints more than a pipe holds,
 * another thread reads. */
static void test_a_callback_may_print_more_than_a_pipe_holds(void)
{
    caught at;
    int lines = 0;
    start(&at);
    mfi_loop_call(at.base.runtime->loop, print_flood, NULL);
    stop(&at);
    for (mfi_out *out = NULL; (out = mfi_channel_pop(&at.base.channel)) != NULL; lines++) {
        mfi_out_free(out);
    }
    mf_check_int(lines, FLOOD_LINES);
    end(&at);
}

/* ---- Two children of one process ---- */

static void check_two_children(bool first_stops_first)
{
    caught first;
    caught second;
    start(&first);
    prepare(&second);
    memcpy(second.before, first.before, sizeof second.before);
    second.status = mfi_forwarding_start(&second.forwarding, &second.base.channel, &second.error);
    print(STDOUT_FILENO, "to both\n");
    mfi_forwarding_stop(first_stops_first ? &first.forwarding : &second.forwarding);
    print(STDERR_FILENO, "to the one that is left\n"); /* was the end by SIGPIPE */
    mfi_forwarding_stop(first_stops_first ? &second.forwarding : &first.forwarding);
    stop(&first); /* as before; looks at the streams */
    stop(&second);
    check_line(&first, MFI_MESSAGE_STDOUT, "to both");
    check_line(&second, MFI_MESSAGE_STDOUT, "to both");
    check_line(first_stops_first ? &second : &first, MFI_MESSAGE_STDERR, "to the one that is left");
    end(&first);
    end(&second);
}

static void test_the_last_child_gives_the_streams_back(void)
{
    check_two_children(true);
    check_two_children(false);
}

/* ---- Pipes that the parent reads ---- */

/* Descriptors 1 and 2 lead into pipes, and the environment says of some that the parent reads them.
 * Returns what was read from the pipe of stdout. */
static void check_pipes(bool named, int messages, const char *in_pipe)
{
    caught at;
    int out[2];
    int err[2];
    char names[MFI_PRIVATE_PIPES_MAX];
    char text[64] = "";
    (void)fflush(stdout);
    int kept[2] = {fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
                   fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
    mf_check(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    mfi_private_name_pipes(names, named ? out[1] : 0, err[1]);
    (void)dup2(out[1], STDOUT_FILENO);
    (void)dup2(err[1], STDERR_FILENO);
    (void)setenv(MFI_PRIVATE_PIPES, strchr(names, '=') + 1, 1);
    mfi_private_take();
    prepare(&at);
    at.status = mfi_forwarding_start(&at.forwarding, &at.base.channel, &at.error);
    (void)printf("a line\n"); /* is flushed */
    mfi_forwarding_stop(&at.forwarding);
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    (void)!read(out[0], text, sizeof text - 1);
    (void)dup2(kept[0], STDOUT_FILENO);
    (void)dup2(kept[1], STDERR_FILENO);
    int *fds[] = {out, err, kept};
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i][0]);
        (void)close(fds[i][1]);
    }
    mf_check_int(at.status, MF_OK);
    mf_check_int(atomic_load(&at.base.channel.outputs_waiting), messages);
    mf_check_str(text, in_pipe);
    if (messages > 0) {
        check_line(&at, MFI_MESSAGE_STDOUT, "a line");
    }
    end(&at);
}

static void test_what_the_parent_reads_is_not_caught(void)
{
    check_pipes(true, 0, "a line\n");
    check_pipes(false, 1, "");
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
    {"output__lines_leave_while_the_worker_runs", test_lines_leave_while_the_worker_runs},
    {"output__a_flood_is_dropped_and_counted", test_a_flood_is_dropped_and_counted},
    {"output__a_long_line_comes_in_pieces", test_a_long_line_comes_in_pieces},
    {"output__a_pipe_that_stays_open_is_left", test_a_pipe_that_stays_open_is_left},
    {"output__a_stream_that_the_program_closed_is_given_back",
     test_a_stream_that_the_program_closed_is_given_back},
    {"output__a_stream_that_was_closed_before_is_caught",
     test_a_stream_that_was_closed_before_is_caught},
    {"output__a_line_has_the_id_of_the_handler_that_runs",
     test_a_line_has_the_id_of_the_handler_that_runs},
    {"output__nothing_is_kept_of_handlers_where_nothing_is_caught",
     test_nothing_is_kept_of_handlers_where_nothing_is_caught},
    {"output__a_callback_may_print_more_than_a_pipe_holds",
     test_a_callback_may_print_more_than_a_pipe_holds},
    {"output__the_last_child_gives_the_streams_back", test_the_last_child_gives_the_streams_back},
    {"output__what_the_parent_reads_is_not_caught", test_what_the_parent_reads_is_not_caught},
    {"output__what_never_began_can_be_stopped", test_what_never_began_can_be_stopped},
};

MF_TEST_MAIN(tests)
