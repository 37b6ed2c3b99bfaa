/**
 * @file error.h
 * Status codes, and the caller-owned detail that fallible functions fill.
 *
 * The numbers are fixed and never reused. Code, name, call status, log level, conformance kind and
 * text stand in one table, so that none is forgotten.
 */
#ifndef MULTIFROST_ERROR_H
#define MULTIFROST_ERROR_H

#include <stddef.h>

#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/**
 * The one table of codes: X(NAME, number, name, status, level, kind, text).
 *
 * - name:   stable short word, the `error_type` of log records;
 * - status: under which a call that ended with this code is counted (the `status` label);
 * - level:  level of the log record that reports the code;
 * - kind:   the word that the conformance programs print.
 */
#define MF_STATUS_TABLE(X)                                                                         \
    X(OK, 0, "ok", "ok", "info", "ok", "success")                                                  \
    X(ERR_INVALID_ARGUMENT, 1, "invalid_argument", "invalid_argument", "warn", "other",            \
      "invalid argument")                                                                          \
    X(ERR_NO_MEMORY, 2, "no_memory", "internal", "error", "other", "out of memory")                \
    X(ERR_TIMEOUT, 3, "timeout", "timeout", "warn", "timeout", "timed out")                        \
    X(ERR_CANCELLED, 4, "cancelled", "cancelled", "warn", "notrunning", "cancelled by a stop")     \
    X(ERR_CIRCUIT_OPEN, 5, "circuit_open", "circuit_open", "warn", "circuit",                      \
      "the circuit breaker is open")                                                               \
    X(ERR_REMOTE, 6, "remote", "app_error", "warn", "remote", "the remote function failed")        \
    X(ERR_FUNCTION_NOT_FOUND, 7, "function_not_found", "function_not_found", "warn", "remote",     \
      "the remote function does not exist or is private")                                          \
    X(ERR_NOT_RUNNING, 8, "not_running", "unavailable", "warn", "notrunning", "not running")       \
    X(ERR_WORKER_EXITED, 9, "worker_exited", "worker_crashed", "error", "notrunning",              \
      "the worker process ended")                                                                  \
    X(ERR_TOO_MANY_CALLS, 10, "too_many_calls", "rejected", "warn", "other",                       \
      "too many calls in flight")                                                                  \
    X(ERR_PROTOCOL, 11, "protocol", "protocol_error", "error", "other",                            \
      "the peer broke the protocol")                                                               \
    X(ERR_LIMIT, 12, "limit", "invalid_argument", "warn", "other", "a size limit was exceeded")    \
    X(ERR_TYPE, 13, "type", "invalid_argument", "warn", "other", "value of another type")          \
    X(ERR_START_FAILED, 14, "start_failed", "unavailable", "error", "notrunning",                  \
      "the worker could not be started")                                                           \
    X(ERR_START_TIMEOUT, 15, "start_timeout", "unavailable", "error", "notrunning",                \
      "the worker was not ready in time")                                                          \
    X(ERR_ADDRESS_IN_USE, 16, "address_in_use", "unavailable", "error", "other",                   \
      "the address is in use")                                                                     \
    X(ERR_SYSTEM, 17, "system", "internal", "error", "other", "an operating system call failed")   \
    X(ERR_IO, 18, "io", "internal", "error", "other", "a file or socket operation failed")         \
    X(ERR_WOULD_DEADLOCK, 19, "would_deadlock", "invalid_argument", "error", "other",              \
      "called from where it would wait for itself")                                                \
    X(ERR_STATE, 20, "state", "invalid_argument", "warn", "other",                                 \
      "not possible in the present state")                                                         \
    X(ERR_FORKED, 21, "forked", "invalid_argument", "error", "other",                              \
      "used in a forked process that does not own it")                                             \
    X(ERR_EXISTS, 22, "exists", "invalid_argument", "warn", "other", "exists already")             \
    X(ERR_NOT_FOUND, 23, "not_found", "invalid_argument", "warn", "other", "not found")            \
    X(ERR_UNSUPPORTED, 24, "unsupported", "invalid_argument", "warn", "other", "not supported")    \
    X(ERR_INTERNAL, 25, "internal", "internal", "error", "other", "internal error")

/** The result of every fallible function. MF_OK is 0, all others are positive. */
typedef enum mf_status {
#define MF_STATUS_ENUM(NAME, number, name, status, level, kind, text) MF_##NAME = (number),
    MF_STATUS_TABLE(MF_STATUS_ENUM)
#undef MF_STATUS_ENUM
} mf_status;

#define MF_ERROR_MESSAGE_MAX 1024   /**< Bytes of mf_error.message, NUL included. */
#define MF_ERROR_TYPE_MAX 64        /**< Bytes of mf_error.remote_type, NUL included. */
#define MF_ERROR_TRACEBACK_MAX 2048 /**< Bytes of mf_error.remote_traceback, NUL included. */

/**
 * Detail of one failure. The caller owns it and may keep it. The library fills it only on failure
 * and keeps no pointer to it. All texts are NUL-terminated UTF-8; longer texts are cut between
 * characters.
 */
typedef struct mf_error {
    size_t struct_size;                            /**< Set by MF_ERROR_INIT. */
    mf_status code;                                /**< The code that the function returned. */
    char message[MF_ERROR_MESSAGE_MAX];            /**< What went wrong, naming the culprit. For a
                                                        remote error: all lines of the remote text
                                                        before its traceback, with control
                                                        characters as escapes ("\x1b"). */
    char remote_type[MF_ERROR_TYPE_MAX];           /**< Remote errors: class such as "ValueError",
                                                        empty if the peer named none. */
    char remote_traceback[MF_ERROR_TRACEBACK_MAX]; /**< Remote errors: the lines from the first one
                                                        of a traceback on, or "". */
} mf_error;

/** Initial value of an mf_error. */
#define MF_ERROR_INIT MF_DETAIL_INIT(mf_error)

/**
 * Text of a code, for people.
 * @param status Any number.
 * @return Never NULL; a static string, also for numbers that are no code.
 * @par Threads Thread-safe.
 */
MF_API const char *mf_strerror(mf_status status);

/**
 * Stable short word for a code ("timeout"), as used in logs.
 * @param status Any number.
 * @return Never NULL; a static string, "unknown" for numbers that are no code.
 * @par Threads Thread-safe.
 */
MF_API const char *mf_err_name(mf_status status);

/**
 * The value of the metrics' `status` label for a call that ended with this code.
 * @param status Any number.
 * @return Never NULL; a static string out of the closed set, "internal" for unknown numbers.
 * @par Threads Thread-safe.
 */
MF_API const char *mf_err_status(mf_status status);

/**
 * The conformance programs' KIND word for a code.
 * @param status Any number.
 * @return Never NULL; a static string.
 * @par Threads Thread-safe.
 */
MF_API const char *mf_err_kind(mf_status status);

/**
 * Message of a filled error, or the text of its code if it has none.
 * @param error Borrowed. NULL gives the text of MF_OK.
 * @return Never NULL; valid as long as error is unchanged.
 * @par Threads One thread at a time for each error.
 */
MF_API const char *mf_error_text(const mf_error *error);

MF_EXTERN_C_END

#endif
