/* What a sink was given, and whether that is whole: each record is written or declared lost. */
#ifndef MF_TEST_SINK_SUPPORT_H
#define MF_TEST_SINK_SUPPORT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "logging/logger.h"

#define TICKS_EACH 20000 /* of one thread of produce_in_threads() */
#define PRODUCERS 4

/* The account of the lines of one sink. */
typedef struct account {
    uint64_t next_seq;  /* of the next record, if nothing is missing */
    uint64_t lines;     /* records that are written; not the sink's own declarations */
    uint64_t ticks;     /* those of the test */
    uint64_t own_lost;  /* records that the sink declared lost */
    uint64_t ring_lost; /* records that the ring declared lost, written by the sink */
    unsigned wrong;     /* lines that are no whole record, or out of their order */
} account;

void account_init(account *at);
/* One line without its newline. */
void account_line(account *at, const char *line);
/* Everything up to the end of the file or stream. */
void account_fd(account *at, int fd);
/* Checks that records 1 to last_seq are written or declared, each once. */
void check_account(const account *at, uint64_t last_seq);

/* Reads a descriptor on a thread, from open_reader() on. */
typedef struct reader {
    account account;
    int fd;
    pthread_t thread;
} reader;
void reader_start(reader *at, int fd);
/* Waits for the end of the stream. */
void reader_join(reader *at);

/* Of the whole file. */
account account_of(const char *path);
/* A path of a file that is not there; valid until the second next call. */
const char *new_path(void);

/* A function that blocks until the test lets it go on. */
typedef struct gate {
    sem_t entered, open;
    bool is_open;
    account account;
    _Atomic(unsigned) calls; /* that have returned */
} gate;
void gate_init(gate *at);
/* The function, with a gate as user_data. */
void block(mf_log_level level, const char *line, size_t length, void *user_data);

mf_logger *sink_logger(void);
void flush(mf_logger *logger);
void log_ticks(mf_logger *logger, int count);
/* PRODUCERS threads log TICKS_EACH records each. */
void produce_in_threads(mf_logger *logger);
/* Logs until the sink has lost records, or fails the test. */
void log_until_lost(mf_logger *logger, const mfi_sink *sink);

#endif
