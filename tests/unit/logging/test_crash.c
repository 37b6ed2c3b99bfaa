/* The last records before a fatal signal reach the log: mf_log_crash_flush() in a handler writes
 * what the log writer did not come to. Each crash is one of a forked process. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "logging/logger.h"
#include "mf_test.h"

#define RECORDS 2000
#define LINES_MAX 8192

static int crash_fd;

static void on_fatal(int signal_number)
{
    (void)mf_log_crash_flush(crash_fd);
    (void)raise(signal_number);
}

static void handle(int signal_number)
{
    struct sigaction fatal = {.sa_handler = on_fatal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    (void)sigaction(signal_number, &fatal, NULL);
}

static mf_logger *make_logger(void)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = MF_LOG_INFO;
    options.service = "s";
    return mf_logger_create(&logger, &options, NULL) == MF_OK ? logger : NULL;
}

static void log_number(mf_logger *logger, const char *event, int number)
{
    char message[64];
    (void)snprintf(message, sizeof message, "%s-%d.", event, number);
    MF_LOG(logger, MF_LOG_INFO, event, message, MF_FIELD("text", "a\x01\xff"),
           MF_FIELD("third", 1.0 / 3.0));
}

/* ---- What the file holds ---- */

typedef struct found {
    char *text;
    size_t lines;
    uint64_t seqs[LINES_MAX];
} found;

static found read_file(const char *path)
{
    found at = {.lines = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    mf_check(fd >= 0 && size > 0);
    at.text = calloc(1, (size_t)size + 1);
    mf_check_int(pread(fd, at.text, (size_t)size, 0), size);
    (void)close(fd);
    for (char *line = at.text; *line != '\0' && at.lines < LINES_MAX; at.lines++) {
        char *end = strchr(line, '\n');
        const char *seq = strstr(line, "\"seq\":");
        mf_check(end != NULL && end[-1] == '}' && line[0] == '{' && seq != NULL && seq < end);
        at.seqs[at.lines] = seq != NULL ? strtoull(seq + 6, NULL, 10) : 0;
        line = end != NULL ? end + 1 : line + strlen(line);
    }
    return at;
}

static size_t times(const found *at, const char *text)
{
    size_t count = 0;
    for (const char *next = at->text; (next = strstr(next, text)) != NULL; next++) {
        count++;
    }
    return count;
}

/* The messages of one thread are there in their order, and no others of that event. */
static void check_each_once(const found *at, const char *event, int count)
{
    char text[64];
    const char *from = at->text;
    for (int i = 1; i <= count && from != NULL; i++) {
        (void)snprintf(text, sizeof text, "\"%s-%d.\"", event, i);
        from = strstr(from, text);
    }
    mf_check(from != NULL);
    (void)snprintf(text, sizeof text, "\"event\":\"%s\"", event);
    mf_check_int(times(at, text), count);
}

/* ---- Crashes ---- */

static const char *new_path(void)
{
    static char path[4096];
    static int number;
    (void)snprintf(path, sizeof path, "%s/crash-%d.log", mf_test_temp_dir(), number++);
    return path;
}

/* Runs crash(logger, path) in a forked process, and returns the signal that ended that process. */
static int run(void (*crash)(mf_logger *logger, const char *path), const char *path)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        crash_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
        crash(make_logger(), path);
        _exit(1);
    }
    mf_check(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void log_and_abort(mf_logger *logger, const char *path)
{
    handle(SIGABRT);
    (void)!mf_log_add_file(logger, path, MF_LOG_JSON, NULL);
    for (int i = 1; i <= RECORDS; i++) {
        log_number(logger, "own", i);
    }
    abort();
}

static void test_abort_loses_no_record(void)
{
    const char *path = new_path();
    mf_check_int(run(log_and_abort, path), SIGABRT);
    found at = read_file(path);
    mf_check_int(at.lines, RECORDS);
    for (size_t i = 0; i < at.lines; i++) {
        mf_check_int(at.seqs[i], i + 1); /* writer and handler took turns: one order, no gap */
    }
    check_each_once(&at, "own", RECORDS);
    free(at.text);
}

static void *log_for_ever(void *argument)
{
    for (int i = 1;; i++) {
        log_number(argument, "other", i);
    }
    return NULL;
}

static void log_beside_others(mf_logger *logger, const char *path)
{
    pthread_t threads[2];
    handle(SIGSEGV);
    (void)!mf_log_add_file(logger, path, MF_LOG_JSON, NULL);
    for (int i = 0; i < 2; i++) {
        (void)pthread_create(&threads[i], NULL, log_for_ever, logger);
    }
    for (int i = 1; i <= 8; i++) {
        MF_LOG(logger, MF_LOG_FATAL, "own", "last", MF_FIELD("number", i)); /* fits a full ring */
    }
    (void)raise(SIGSEGV);
}

static void test_records_of_the_crashing_thread_are_there(void)
{
    const char *path = new_path();
    mf_check_int(run(log_beside_others, path), SIGSEGV);
    found at = read_file(path);
    for (int i = 1; i <= 8; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "{\"number\":%d}", i);
        mf_check(times(&at, text) >= 1);
    }
    free(at.text);
}

static _Atomic(bool) all_logged;

static void crash_here(mf_log_level level, const char *line, size_t length, void *user_data)
{
    (void)level;
    (void)length;
    (void)user_data;
    if (strstr(line, "\"first-1.\"") == NULL) {
        abort();
    }
    while (!atomic_load(&all_logged)) { /* the records behind the first one come into the ring */
        (void)sched_yield();
    }
}

static void crash_in_the_writer(mf_logger *logger, const char *path)
{
    (void)path;
    handle(SIGABRT);
    (void)!mf_log_add_callback(logger, crash_here, NULL, MF_LOG_JSON, NULL);
    log_number(logger, "first", 1);
    for (int i = 1; i <= 100; i++) {
        log_number(logger, "own", i);
    }
    atomic_store(&all_logged, true);
    (void)mf_log_flush(logger, MF_TEST_PATIENCE_MS);
}

static void test_a_crash_of_the_writer_leaves_the_ring(void)
{
    const char *path = new_path();
    mf_check_int(run(crash_in_the_writer, path), SIGABRT);
    found at = read_file(path);
    check_each_once(&at, "own", 100);
    for (size_t i = 1; i < at.lines; i++) {
        mf_check_int(at.seqs[i], at.seqs[i - 1] + 1);
    }
    mf_check_int(at.seqs[at.lines - 1], 101);
    free(at.text);
}

/* ---- Without a crash ---- */

static void test_the_program_may_go_on(void)
{
    const char *path = new_path();
    mf_logger *logger = make_logger();
    mf_logger *silent = make_logger();
    size_t flushed = 0;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    mf_check_int(mf_log_crash_flush(fd), 0);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    for (int i = 1; i <= 1000; i++) {
        log_number(logger, "own", i);
        log_number(silent, "none", i);
        flushed += i % 100 == 0 ? mf_log_crash_flush(fd) : 0;
    }
    mf_check(flushed > 0);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_logger_destroy(silent);
    mf_logger_destroy(logger);
    (void)close(fd);
    found at = read_file(path);
    check_each_once(&at, "own", 1000);
    mf_check_int(at.lines, 1000);
    mf_check_int(at.seqs[999], 1000);
    free(at.text);
}

/* A handler of a process that was forked from the logger's writes no record twice. */
static void test_a_forked_process_writes_none(void)
{
    const char *path = new_path();
    mf_logger *logger = make_logger();
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    log_number(logger, "own", 1);
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(mf_log_crash_flush(fd) == 0 ? 0 : 1);
    }
    mf_check(waitpid(pid, &status, 0) == pid);
    mf_check_int(status, 0);
    mf_logger_destroy(logger);
    (void)close(fd);
}

/* ---- Beside a sink that goes on ---- */

#define FREE_LINES 5

/* A function that takes a line for each post. */
typedef struct taker {
    sem_t go_on;
    _Atomic(uint64_t) last; /* number of the newest line taken */
} taker;

static void take(mf_log_level level, const char *line, size_t length, void *user_data)
{
    taker *at = user_data;
    const char *seq = strstr(line, "\"seq\":");
    (void)level;
    (void)length;
    sem_wait(&at->go_on);
    atomic_store(&at->last, seq != NULL ? strtoull(seq + 6, NULL, 10) : UINT64_MAX);
}

static bool has_taken(void *data)
{
    taker *at = data;
    return atomic_load(&at->last) >= FREE_LINES;
}

static bool is_full(void *data)
{
    struct pollfd ready = {.fd = *(int *)data, .events = POLLOUT};
    return poll(&ready, 1, 0) == 0;
}

static void *flush_and_close(void *argument)
{
    int *fd = argument;
    (void)mf_log_crash_flush(*fd);
    (void)close(*fd);
    return NULL;
}

/* The function takes lines while the flush is in the middle of the same queue: what comes behind
 * them is all there. */
static void test_a_sink_goes_on_meanwhile(void)
{
    static taker at;
    static char text[256 * 1024];
    int ends[2];
    pthread_t thread;
    size_t size = 0;
    ssize_t got = 0;
    mf_logger *logger = make_logger();
    sem_init(&at.go_on, 0, 0);
    mf_check_int(pipe2(ends, O_CLOEXEC), 0);
    mf_check(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    mf_check_int(mf_log_add_callback(logger, take, &at, MF_LOG_JSON, NULL), MF_OK);
    for (int i = 1; i <= 400; i++) {
        log_number(logger, "own", i);
    }
    (void)mf_log_flush(logger, 100); /* the lines are in the queue of the function */
    mf_check_int(pthread_create(&thread, NULL, flush_and_close, &ends[1]), 0);
    mf_check(mf_test_until(is_full, &ends[1], MF_TEST_PATIENCE_MS));
    for (int i = 0; i < FREE_LINES; i++) {
        sem_post(&at.go_on);
    }
    mf_check(mf_test_until(has_taken, &at, MF_TEST_PATIENCE_MS));
    while ((got = read(ends[0], text + size, sizeof text - 1 - size)) > 0) {
        size += (size_t)got;
    }
    (void)pthread_join(thread, NULL);
    (void)close(ends[0]);
    const found all = {.text = text};
    check_each_once(&all, "own", 400);
    for (int i = 0; i < 400; i++) {
        sem_post(&at.go_on);
    }
    mf_logger_destroy(logger);
}

static const mf_test tests[] = {
    {"crash__abort_loses_no_record", test_abort_loses_no_record},
    {"crash__records_of_the_crashing_thread_are_there",
     test_records_of_the_crashing_thread_are_there},
    {"crash__of_the_writer_leaves_the_ring", test_a_crash_of_the_writer_leaves_the_ring},
    {"crash__the_program_may_go_on", test_the_program_may_go_on},
    {"crash__a_forked_process_writes_none", test_a_forked_process_writes_none},
    {"crash__a_sink_goes_on_meanwhile", test_a_sink_goes_on_meanwhile},
};
MF_TEST_MAIN(tests)
