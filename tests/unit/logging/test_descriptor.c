/* How the kinds of descriptors are written to: whole lines, and no wait for a reader. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mf_test.h"
#include "sink_support.h"

typedef struct packets {
    int fd;
    size_t lines, bytes;
    unsigned split; /* writes of the sink that did not end with a line, or are too long */
    unsigned cut;   /* lines that say so */
} packets;

/* O_DIRECT makes a pipe of packets: each read returns what one write wrote. */
static void *read_packets(void *argument)
{
    static char packet[4 * PIPE_BUF];
    packets *all = argument;
    ssize_t got = 0;
    while ((got = read(all->fd, packet, sizeof packet - 1)) > 0) {
        packet[got] = '\0';
        all->bytes += (size_t)got;
        all->split += packet[got - 1] != '\n' || got > PIPE_BUF;
        for (const char *at = packet; (at = strchr(at, '\n')) != NULL; at++) {
            all->lines++;
        }
        all->cut += strstr(packet, ",\"truncated\":true}\n") != NULL;
    }
    return NULL;
}

/* Lines that escapes make longer than a pipe takes at once are cut for the pipe alone. */
static void use_packets(mf_log_format format)
{
    enum { LINES = 200 };
    char text[1000], key[120];
    int ends[2];
    pthread_t thread;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(key, 2, sizeof key - 1);
    key[sizeof key - 1] = '\0';
    mf_check_int(pipe2(ends, O_CLOEXEC | O_DIRECT), 0);
    packets all = {.fd = ends[0]};
    mf_check_int(mf_log_add_fd(logger, ends[1], format, NULL), MF_OK);
    (void)close(ends[1]);
    mf_check_int(mfi_thread_start(&thread, "test", read_packets, &all), 0);
    for (int i = 0; i < LINES; i++) {
        MF_LOG(logger, MF_LOG_ERROR, "long", text, MF_FIELD(key, i), MF_FIELD("b", i),
               MF_FIELD(key + 1, i), MF_FIELD(key + 2, i), MF_FIELD(key + 3, i),
               MF_FIELD(key + 4, i), MF_FIELD(key + 5, i));
    }
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_logger_destroy(logger);
    (void)pthread_join(thread, NULL);
    (void)close(ends[0]);
    mf_check_int(all.lines, LINES);
    mf_check_int(all.split, 0);
    mf_check_int(all.bytes, stats.bytes);
    mf_check(all.cut > 0 || format == MF_LOG_HUMAN);
}

static void test_pipe_gets_whole_lines(void)
{
    use_packets(MF_LOG_JSON);
    use_packets(MF_LOG_HUMAN);
}

/* A message of a socket is one line. */
static void test_datagrams_are_lines(void)
{
    char text[1024];
    int ends[2];
    mf_logger *logger = sink_logger();
    mf_check_int(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    mf_check_int(mf_log_add_fd(logger, ends[1], MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 3);
    flush(logger);
    for (int i = 1; i <= 3; i++) {
        account at = {.next_seq = (uint64_t)i};
        ssize_t got = recv(ends[0], text, sizeof text - 1, MSG_DONTWAIT);
        if (mf_check(got > 0)) {
            text[got - 1] = '\0'; /* the newline */
            account_line(&at, text);
            check_account(&at, (uint64_t)i);
        }
    }
    mf_logger_destroy(logger);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The reader of a FIFO leaves, and another one comes. */
static void test_reader_comes_back(void)
{
    const char *path = new_path();
    static reader rest;
    mf_error error = MF_ERROR_INIT;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    mf_check_int(mkfifo(path, S_IRUSR | S_IWUSR), 0);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, &error), MF_ERR_IO);
    mf_check_contains(error.message, path); /* no reader: an error, and no wait */
    int reading = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    (void)close(reading);
    log_ticks(logger, 10);
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_check_int(stats.dropped_sink_error, 10);
    reading = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    mf_check_int(fcntl(reading, F_SETFL, 0), 0);
    reader_start(&rest, reading);
    log_ticks(logger, 10);
    flush(logger);
    mf_logger_destroy(logger);
    reader_join(&rest);
    check_account(&rest.account, 20);
    mf_check_int(rest.account.own_lost, 10);
    mf_check_int(rest.account.ticks, 10);
}

static const mf_test tests[] = {
    {"descriptor__pipe_gets_whole_lines", test_pipe_gets_whole_lines},
    {"descriptor__datagrams_are_lines", test_datagrams_are_lines},
    {"descriptor__reader_comes_back", test_reader_comes_back},
};
MF_TEST_MAIN(tests)
