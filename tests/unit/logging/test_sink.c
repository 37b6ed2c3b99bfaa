/* A sink that fails declares what it lost, and leaves no half line. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mf_test.h"
#include "sink_support.h"

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

/* Takes what the socket has: each message is a line. */
static void account_messages(account *at, int fd)
{
    char line[8300];
    ssize_t got = 0;
    while ((got = recv(fd, line, sizeof line, MSG_DONTWAIT)) > 0) {
        at->wrong += line[got - 1] != '\n';
        line[got - 1] = '\0';
        account_line(at, line);
    }
}

/* A sink that failed and came back declares its next loss alone, not the first one again. */
static void test_each_loss_is_declared_once(void)
{
    char large[1024]; /* each byte becomes six */
    int ends[2], least = 1;
    account at;
    mf_logger *logger = sink_logger();
    account_init(&at);
    memset(large, 1, sizeof large - 1);
    large[sizeof large - 1] = '\0';
    mf_check_int(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    mf_check_int(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    mf_check_int(mf_log_add_fd(logger, ends[1], MF_LOG_JSON, NULL), MF_OK);
    for (int i = 0; i < 3; i++) {
        mf_log_event(logger, MF_LOG_INFO, "tick", large, NULL, 0); /* no message takes it */
        flush(logger);
        account_messages(&at, ends[0]);
        log_ticks(logger, 1);
        flush(logger);
        account_messages(&at, ends[0]);
    }
    mf_logger_destroy(logger);
    account_messages(&at, ends[0]);
    check_account(&at, 6);
    mf_check_int(at.own_lost, 3);
    mf_check_int(at.ticks, 3);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static const mf_test tests[] = {
    {"sink__failure_is_counted", test_failure_is_counted},
    {"sink__full_disk_loses_what_it_declares", test_full_disk},
    {"sink__half_line_is_ended", test_half_line_is_ended},
    {"sink__each_loss_is_declared_once", test_each_loss_is_declared_once},
};
MF_TEST_MAIN(tests)
