/* A sink writes whole lines to a pipe and reports a failed write. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "logging/logger.h"
#include "mf_test.h"

#define LINE_BYTES 1000
#define LINES 200

typedef struct reading {
    int fd;
    size_t bytes;
    unsigned split; /* writes of the sink that did not end with a line */
} reading;

/* O_DIRECT makes a pipe of packets: each read returns what one write wrote. */
static void *read_packets(void *argument)
{
    static char packet[2 * PIPE_BUF];
    reading *all = argument;
    ssize_t got = 0;
    while ((got = read(all->fd, packet, sizeof packet)) > 0) {
        all->bytes += (size_t)got;
        all->split += packet[got - 1] != '\n';
    }
    return NULL;
}

static void test_pipe_gets_whole_lines(void)
{
    static char lines[LINES * LINE_BYTES];
    int ends[2];
    pthread_t thread;
    if (!mf_check(pipe2(ends, O_CLOEXEC | O_DIRECT) == 0)) {
        return;
    }
    reading all = {.fd = ends[0]};
    mfi_sink sink = {.fd = ends[1], .is_pipe = true};
    memset(lines, 'x', sizeof lines);
    for (size_t i = LINE_BYTES; i <= sizeof lines; i += LINE_BYTES) {
        lines[i - 1] = '\n';
    }
    if (mf_check(mfi_thread_start(&thread, "test", read_packets, &all) == 0)) {
        mf_check(mfi_sink_write(&sink, lines, sizeof lines));
        (void)close(ends[1]);
        (void)pthread_join(thread, NULL);
        mf_check_int(all.bytes, sizeof lines);
        mf_check_int(all.split, 0);
    }
    (void)close(ends[0]);
}

static void test_failure_is_told(void)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    mfi_sink sink = {.fd = fd};
    if (mf_check(fd >= 0)) {
        mf_check(!mfi_sink_write(&sink, "line\n", 5));
        (void)close(fd);
    }
}

static const mf_test tests[] = {
    {"sink__pipe_gets_whole_lines", test_pipe_gets_whole_lines},
    {"sink__failure_is_told", test_failure_is_told},
};
MF_TEST_MAIN(tests)
