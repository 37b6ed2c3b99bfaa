/* The status of a call, as the metrics count it: the label `status`. */
#ifndef MFI_WORDS_STATUSES_H
#define MFI_WORDS_STATUSES_H

#include "core/words/words.h"

#define MFI_FAILED_STATUSES(X)                                                                     \
    X(MFI_STATUS_APP_ERROR, "app_error")                                                           \
    X(MFI_STATUS_FUNCTION_NOT_FOUND, "function_not_found")                                         \
    X(MFI_STATUS_INVALID_ARGUMENT, "invalid_argument")                                             \
    X(MFI_STATUS_TIMEOUT, "timeout")                                                               \
    X(MFI_STATUS_CANCELLED, "cancelled")                                                           \
    X(MFI_STATUS_CIRCUIT_OPEN, "circuit_open")                                                     \
    X(MFI_STATUS_REJECTED, "rejected")                                                             \
    X(MFI_STATUS_UNAVAILABLE, "unavailable")                                                       \
    X(MFI_STATUS_WORKER_CRASHED, "worker_crashed")                                                 \
    X(MFI_STATUS_PROTOCOL_ERROR, "protocol_error")                                                 \
    X(MFI_STATUS_INTERNAL, "internal")

#define MFI_CALL_STATUSES(X)                                                                       \
    X(MFI_STATUS_OK, "ok")                                                                         \
    MFI_FAILED_STATUSES(X)

typedef enum mfi_call_status { MFI_CALL_STATUSES(MFI_WORD_VALUE) MFI_STATUS_COUNT } mfi_call_status;

static inline const char *mfi_call_status_word(mfi_call_status status)
{
    static const char *const words[] = {MFI_CALL_STATUSES(MFI_WORD_TEXT)};
    return words[status];
}

/* X(code, status): the status of a call that ended with a code of multifrost/error.h. If a code is
 * missing here, a switch over all codes does not compile. */
#define MFI_CALL_STATUS_CODES(X)                                                                   \
    X(MF_OK, MFI_STATUS_OK)                                                                        \
    X(MF_ERR_REMOTE, MFI_STATUS_APP_ERROR)                                                         \
    X(MF_ERR_FUNCTION_NOT_FOUND, MFI_STATUS_FUNCTION_NOT_FOUND)                                    \
    X(MF_ERR_INVALID_ARGUMENT, MFI_STATUS_INVALID_ARGUMENT)                                        \
    X(MF_ERR_LIMIT, MFI_STATUS_INVALID_ARGUMENT)                                                   \
    X(MF_ERR_TYPE, MFI_STATUS_INVALID_ARGUMENT)                                                    \
    X(MF_ERR_WOULD_DEADLOCK, MFI_STATUS_INVALID_ARGUMENT)                                          \
    X(MF_ERR_STATE, MFI_STATUS_INVALID_ARGUMENT)                                                   \
    X(MF_ERR_FORKED, MFI_STATUS_INVALID_ARGUMENT)                                                  \
    X(MF_ERR_EXISTS, MFI_STATUS_INVALID_ARGUMENT)                                                  \
    X(MF_ERR_NOT_FOUND, MFI_STATUS_INVALID_ARGUMENT)                                               \
    X(MF_ERR_UNSUPPORTED, MFI_STATUS_INVALID_ARGUMENT)                                             \
    X(MF_ERR_TIMEOUT, MFI_STATUS_TIMEOUT)                                                          \
    X(MF_ERR_CANCELLED, MFI_STATUS_CANCELLED)                                                      \
    X(MF_ERR_CIRCUIT_OPEN, MFI_STATUS_CIRCUIT_OPEN)                                                \
    X(MF_ERR_TOO_MANY_CALLS, MFI_STATUS_REJECTED)                                                  \
    X(MF_ERR_NOT_RUNNING, MFI_STATUS_UNAVAILABLE)                                                  \
    X(MF_ERR_START_FAILED, MFI_STATUS_UNAVAILABLE)                                                 \
    X(MF_ERR_START_TIMEOUT, MFI_STATUS_UNAVAILABLE)                                                \
    X(MF_ERR_ADDRESS_IN_USE, MFI_STATUS_UNAVAILABLE)                                               \
    X(MF_ERR_WORKER_EXITED, MFI_STATUS_WORKER_CRASHED)                                             \
    X(MF_ERR_PROTOCOL, MFI_STATUS_PROTOCOL_ERROR)                                                  \
    X(MF_ERR_NO_MEMORY, MFI_STATUS_INTERNAL)                                                       \
    X(MF_ERR_SYSTEM, MFI_STATUS_INTERNAL)                                                          \
    X(MF_ERR_IO, MFI_STATUS_INTERNAL)                                                              \
    X(MF_ERR_INTERNAL, MFI_STATUS_INTERNAL)

/* One case of such a switch, in a function that returns the status. */
#define MFI_CALL_STATUS_CASE(code, status)                                                         \
    case code:                                                                                     \
        return status;

#endif
