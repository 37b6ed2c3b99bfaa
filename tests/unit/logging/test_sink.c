/* A sink writes whole lines, declares what it lost, and follows its path. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logging/environment.h"
#include "mf_test.h"
#include "sink_support.h"

static const char *new_path(void)
{
    static char path[2][512];
    static int number;
    char *own = path[number % 2];
    (void)snprintf(own, sizeof path[0], "%s/sink-%d.log", mf_test_temp_dir(), number++);
    return own;
}

static void flush(mf_logger *logger)
{
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
}

static account account_of(const char *path)
{
    account at;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    account_init(&at);
    mf_check(fd >= 0);
    account_fd(&at, fd);
    (void)close(fd);
    return at;
}

/* ---- Whole lines ---- */

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

/* ---- Sinks that fail, and recover ---- */

static void test_failure_is_counted(void)
{
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    mf_check_int(mf_log_add_file(logger, "/dev/full", MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 10);
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_check_int(stats.dropped_sink_error, 10);
    mf_check_int(stats.records[MF_LOG_INFO], 0); /* nothing is written */
    mf_check_int(stats.bytes, 0);
    mf_logger_destroy(logger);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    mf_check_int(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    mf_check_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on the size of files stands for a full disk: a write is cut in the middle of a line. */
static void use_full_disk(bool is_emptied)
{
    const char *path = new_path();
    struct stat facts;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 2);
    flush(logger);
    mf_check_int(stat(path, &facts), 0);
    limit_files((rlim_t)facts.st_size * 2 + 50); /* two more lines, and a half one */
    log_ticks(logger, 20);
    flush(logger);
    log_ticks(logger, 20);
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_check(stats.dropped_sink_error >= 30);
    limit_files(RLIM_INFINITY);
    if (is_emptied) {
        mf_check_int(truncate(path, 0), 0);
    }
    flush(logger); /* tries again: the loss is declared without another record */
    log_ticks(logger, 5);
    flush(logger);
    mf_log_stats_read(logger, &stats);
    mf_logger_destroy(logger);
    account at = account_of(path);
    mf_check_int(at.own_lost, stats.dropped_sink_error);
    mf_check_int(at.own_lost + stats.records[MF_LOG_INFO], 47); /* lost and written: produced */
    if (!is_emptied) {                                          /* the half line was completed */
        check_account(&at, 47);
        mf_check_int(at.ticks, stats.records[MF_LOG_INFO]);
    } else {
        mf_check_int(at.wrong, 1); /* its first number is not 1 */
        mf_check_int(at.next_seq, 48);
        mf_check_int(at.ticks, 5);
    }
}

static void test_full_disk(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    use_full_disk(false);
    use_full_disk(true);
}

/* The other writer of the file wrote behind the half line: that line is ended, and lost. */
static void test_half_line_is_ended(void)
{
    char text[16384];
    const char *path = new_path();
    struct stat facts;
    mf_logger *logger = sink_logger();
    int other = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 1);
    flush(logger);
    mf_check_int(stat(path, &facts), 0);
    limit_files((rlim_t)facts.st_size + 50);
    log_ticks(logger, 1);
    flush(logger);
    limit_files(RLIM_INFINITY);
    mf_check_int(write(other, "other", 5), 5);
    log_ticks(logger, 1);
    flush(logger);
    mf_logger_destroy(logger);
    ssize_t got = pread(other, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    const char *line = strstr(text, "other\n{\"timestamp\"");
    mf_check_contains(text, "other\n{\"timestamp\"");
    mf_check_contains(line != NULL ? line : "", "\"count\":1,\"first_seq\":2,\"last_seq\":2,");
    mf_check_contains(line != NULL ? line : "", "\"seq\":3,");
    (void)close(other);
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

/* ---- Reopening ---- */

static bool has_line(void *data)
{
    struct stat facts;
    return stat(data, &facts) == 0;
}

static void test_reopen(void)
{
    char renamed[600], path[512];
    mf_logger *logger = sink_logger();
    struct stat facts;
    (void)snprintf(path, sizeof path, "%s", new_path());
    (void)snprintf(renamed, sizeof renamed, "%s.1", path);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 3);
    flush(logger);
    mf_check_int(rename(path, renamed), 0);
    errno = 7;
    mf_log_reopen();
    mf_check_int(errno, 7);
    mf_check(mf_test_until(has_line, path, MF_TEST_PATIENCE_MS)); /* without another record */
    mf_check_int(stat(path, &facts), 0);
    mf_check_int(facts.st_mode & 0777, 0600);
    log_ticks(logger, 2);
    flush(logger);
    mf_logger_destroy(logger);
    account old = account_of(renamed);
    check_account(&old, 3);
    account fresh = {.next_seq = 4};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    account_fd(&fresh, fd);
    (void)close(fd);
    check_account(&fresh, 5);
}

static void test_reopen_that_fails(void)
{
    char folder[600], path[700], renamed[650], text[4096];
    mf_logger *logger = sink_logger();
    (void)snprintf(folder, sizeof folder, "%s.d", new_path());
    (void)snprintf(path, sizeof path, "%s/log", folder);
    (void)snprintf(renamed, sizeof renamed, "%s.1", folder);
    mf_check_int(mkdir(folder, S_IRWXU), 0);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(rename(folder, renamed), 0);
    mf_log_reopen();
    log_ticks(logger, 1);
    flush(logger);
    mf_logger_destroy(logger);
    (void)snprintf(path, sizeof path, "%s/log", renamed);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    mf_check_contains(text, "\"level\":\"error\",\"severity_number\":17,\"event\":\"log_reopen\"");
    mf_check_contains(text, "\"error\":\"No such file or directory\"");
    mf_check_contains(text, "\"event\":\"tick\"");
}

/* ---- COMLINK_LOG_SINK ---- */

static void test_environment(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_logger *logger = sink_logger();
    const char *path = new_path();
    (void)unsetenv("COMLINK_LOG_SINK");
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    (void)setenv("COMLINK_LOG_SINK", "", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    mf_check(!mfi_log_enabled(logger, MF_LOG_FATAL)); /* no sink yet */
    (void)setenv("COMLINK_LOG_SINK", "syslog", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "COMLINK_LOG_SINK is 'syslog'");
    (void)setenv("COMLINK_LOG_SINK", "/nonexistent/log", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_ERR_IO);
    mf_check_contains(error.message, "COMLINK_LOG_SINK: cannot open the log file");
    (void)setenv("COMLINK_LOG_SINK", path, 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    (void)unsetenv("COMLINK_LOG_SINK");
    log_ticks(logger, 4);
    mf_logger_destroy(logger);
    account at = account_of(path);
    check_account(&at, 4);
}

static const mf_test tests[] = {
    {"sink__pipe_gets_whole_lines", test_pipe_gets_whole_lines},
    {"sink__datagrams_are_lines", test_datagrams_are_lines},
    {"sink__failure_is_counted", test_failure_is_counted},
    {"sink__full_disk_loses_what_it_declares", test_full_disk},
    {"sink__half_line_is_ended", test_half_line_is_ended},
    {"sink__reader_comes_back", test_reader_comes_back},
    {"reopen__follows_the_path", test_reopen},
    {"reopen__that_fails_is_logged", test_reopen_that_fails},
    {"environment__adds_a_sink", test_environment},
};
MF_TEST_MAIN(tests)
