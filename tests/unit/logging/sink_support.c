/* What a sink was given: see sink_support.h. */
#include "sink_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mf_test.h"

void account_init(account *at)
{
    *at = (account){.next_seq = 1};
}

static uint64_t number(const char *line, const char *key)
{
    const char *found = strstr(line, key);
    return found != NULL ? strtoull(found + strlen(key), NULL, 10) : 0;
}

void account_line(account *at, const char *line)
{
    uint64_t seq = number(line, "\"seq\":");
    size_t length = strlen(line);
    if (length < 2 || line[0] != '{' || line[length - 1] != '}' ||
        strstr(line + 1, "{\"timestamp\"") != NULL) {
        at->wrong++;
        return;
    }
    if (strstr(line, "\"event\":\"log_dropped\"") == NULL) {
        at->wrong += seq != at->next_seq;
        at->lines++;
        at->ticks += strstr(line, "\"event\":\"tick\"") != NULL;
        at->next_seq = seq + 1;
        return;
    }
    uint64_t first = number(line, "\"first_seq\":");
    uint64_t last = number(line, "\"last_seq\":");
    bool is_own = strstr(line, "\"reason\":\"sink_error\"") != NULL;
    at->wrong += first != at->next_seq || last < first;
    at->wrong += number(line, "\"count\":") != last - first + 1;
    at->wrong += seq != last + (is_own ? 0 : 1); /* an own declaration takes no number */
    at->lines += is_own ? 0 : 1;
    at->own_lost += is_own ? last - first + 1 : 0;
    at->ring_lost += is_own ? 0 : last - first + 1;
    at->next_seq = seq + 1;
}

void account_fd(account *at, int fd)
{
    static const size_t room = (size_t)256 * 1024;
    char *text = malloc(room);
    size_t size = 0;
    ssize_t got = 0;
    while (text != NULL && (got = read(fd, text + size, room - 1 - size)) > 0) {
        char *line = text;
        char *end = NULL;
        size += (size_t)got;
        text[size] = '\0';
        while ((end = memchr(line, '\n', size - (size_t)(line - text))) != NULL) {
            *end = '\0';
            account_line(at, line);
            line = end + 1;
        }
        size -= (size_t)(line - text);
        memmove(text, line, size);
    }
    at->wrong += size != 0 || text == NULL; /* a half line at the end */
    free(text);
}

void check_account(const account *at, uint64_t last_seq)
{
    mf_check_int(at->wrong, 0);
    mf_check_int(at->next_seq, last_seq + 1);
}

static void *read_all(void *argument)
{
    reader *at = argument;
    account_fd(&at->account, at->fd);
    return NULL;
}

void reader_start(reader *at, int fd)
{
    account_init(&at->account);
    at->fd = fd;
    mf_check_int(mfi_thread_start(&at->thread, "test-reader", read_all, at), 0);
}

void reader_join(reader *at)
{
    (void)pthread_join(at->thread, NULL);
    (void)close(at->fd);
}

mf_logger *sink_logger(void)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = MF_LOG_INFO;
    options.service = "s";
    mf_check_int(mf_logger_create(&logger, &options, NULL), MF_OK);
    return logger;
}

void log_ticks(mf_logger *logger, int count)
{
    for (int i = 0; i < count; i++) {
        mf_log_event(logger, MF_LOG_INFO, "tick", "some text, so that lines fill a pipe", NULL, 0);
    }
}

static void *produce(void *argument)
{
    log_ticks(argument, TICKS_EACH);
    return NULL;
}

void produce_in_threads(mf_logger *logger)
{
    pthread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        mf_check_int(mfi_thread_start(&threads[i], "test-log", produce, logger), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

void log_until_lost(mf_logger *logger, const mfi_sink *sink)
{
    int64_t end = mf_test_now_ms() + MF_TEST_PATIENCE_MS;
    while (atomic_load(&sink->dropped) == 0 && mf_test_now_ms() < end) {
        log_ticks(logger, 100);
    }
    mf_check(atomic_load(&sink->dropped) != 0);
}

const char *new_path(void)
{
    static char path[2][512];
    static int number;
    char *own = path[number % 2];
    (void)snprintf(own, sizeof path[0], "%s/sink-%d.log", mf_test_temp_dir(), number++);
    return own;
}

void flush(mf_logger *logger)
{
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
}

account account_of(const char *path)
{
    account at;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    account_init(&at);
    mf_check(fd >= 0);
    account_fd(&at, fd);
    (void)close(fd);
    return at;
}

void gate_init(gate *at)
{
    sem_init(&at->entered, 0, 0);
    sem_init(&at->open, 0, 0);
    at->is_open = false;
    atomic_init(&at->calls, 0);
    account_init(&at->account);
}

void block(mf_log_level level, const char *line, size_t length, void *user_data)
{
    gate *at = user_data;
    (void)level;
    (void)length;
    if (!at->is_open) {
        sem_post(&at->entered);
        sem_wait(&at->open);
        at->is_open = true;
    }
    account_line(&at->account, line);
    atomic_fetch_add(&at->calls, 1);
}
