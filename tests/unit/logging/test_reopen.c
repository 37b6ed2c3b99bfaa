/* Log files that were renamed are opened anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mf_test.h"
#include "sink_support.h"

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

/* The program has gone to another folder since. */
static void test_reopen_of_a_relative_path(void)
{
    char before[512], renamed[600], path[512];
    mf_logger *logger = sink_logger();
    (void)snprintf(path, sizeof path, "%s", new_path());
    (void)snprintf(renamed, sizeof renamed, "%s.1", path);
    mf_check(getcwd(before, sizeof before) != NULL);
    mf_check_int(chdir(mf_test_temp_dir()), 0);
    mf_check_int(mf_log_add_file(logger, strrchr(path, '/') + 1, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(chdir(before), 0);
    mf_check_int(rename(path, renamed), 0);
    mf_log_reopen();
    log_ticks(logger, 1);
    flush(logger);
    mf_logger_destroy(logger);
    account at = account_of(path);
    check_account(&at, 1);
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

/* A FIFO stands where the file was: lines are as short as a pipe needs them. */
static void test_reopen_as_fifo(void)
{
    char renamed[600], path[512], large[1024], text[16384];
    mf_logger *logger = sink_logger();
    (void)snprintf(path, sizeof path, "%s", new_path());
    (void)snprintf(renamed, sizeof renamed, "%s.1", path);
    memset(large, 1, sizeof large - 1); /* each byte becomes six */
    large[sizeof large - 1] = '\0';
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    log_ticks(logger, 1);
    flush(logger);
    mf_check_int(rename(path, renamed), 0);
    mf_check_int(mkfifo(path, S_IRUSR | S_IWUSR), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    mf_log_reopen();
    mf_log_event(logger, MF_LOG_INFO, "large", large, NULL, 0);
    flush(logger);
    mf_logger_destroy(logger);
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    mf_check_contains(text, "\"event\":\"large\"");
    mf_check_contains(text, "\"truncated\":true");
    mf_check(got <= 4096);
}

static const mf_test tests[] = {
    {"reopen__follows_the_path", test_reopen},
    {"reopen__of_a_relative_path", test_reopen_of_a_relative_path},
    {"reopen__that_fails_is_logged", test_reopen_that_fails},
    {"reopen__as_a_fifo", test_reopen_as_fifo},
};
MF_TEST_MAIN(tests)
