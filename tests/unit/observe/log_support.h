/* A logger with a client and a server target, and what they logged. */
#ifndef MF_TEST_LOG_SUPPORT_H
#define MF_TEST_LOG_SUPPORT_H

#include "core/observe/observe.h"
#include "core/observe/parts.h"

/* The fields of the client target. */
#define MATH ",\"target\":\"math\",\"worker\":\"math-0\""

typedef struct log_fixture {
    mf_logger *logger;
    mfi_observer *observer;
    mfi_target *client, *server;
    unsigned lines;
    char all[8192]; /* "level event|message|rest" of each line */
} log_fixture;

/* log_setup(): at debug level. */
void log_setup_with(log_fixture *at, mf_log_options options);
void log_setup_at(log_fixture *at, mf_log_level level);
void log_setup(log_fixture *at);
void log_teardown(log_fixture *at);
/* Flushes; checks what was logged since the last check. */
void check_logged(log_fixture *at, const char *wanted);

#endif
