/* How a call ended, as it is counted: the label `status`. */
#ifndef MFI_WORDS_STATUSES_H
#define MFI_WORDS_STATUSES_H

#include <multifrost/error.h>

#include "core/words/words.h"

#define MFI_CALL_STATUSES(X)                                                                       \
    X(MFI_STATUS_OK, "ok")                                                                         \
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

typedef enum mfi_call_status { MFI_CALL_STATUSES(MFI_WORD_VALUE) MFI_STATUS_COUNT } mfi_call_status;

static inline const char *mfi_call_status_word(mfi_call_status status)
{
    static const char *const words[] = {MFI_CALL_STATUSES(MFI_WORD_TEXT)};
    return words[status];
}

/* How a call is counted that ended with this code. The public table of codes (error.h) has the
 * word; here is the same as a value, and a code without one does not compile. */
static inline mfi_call_status mfi_call_status_of(mf_status code)
{
    switch (code) {
    case MF_OK:
        return MFI_STATUS_OK;
    case MF_ERR_REMOTE:
        return MFI_STATUS_APP_ERROR;
    case MF_ERR_FUNCTION_NOT_FOUND:
        return MFI_STATUS_FUNCTION_NOT_FOUND;
    case MF_ERR_INVALID_ARGUMENT:
    case MF_ERR_LIMIT:
    case MF_ERR_TYPE:
    case MF_ERR_WOULD_DEADLOCK:
    case MF_ERR_STATE:
    case MF_ERR_FORKED:
    case MF_ERR_EXISTS:
    case MF_ERR_NOT_FOUND:
    case MF_ERR_UNSUPPORTED:
        return MFI_STATUS_INVALID_ARGUMENT;
    case MF_ERR_TIMEOUT:
        return MFI_STATUS_TIMEOUT;
    case MF_ERR_CANCELLED:
        return MFI_STATUS_CANCELLED;
    case MF_ERR_CIRCUIT_OPEN:
        return MFI_STATUS_CIRCUIT_OPEN;
    case MF_ERR_TOO_MANY_CALLS:
        return MFI_STATUS_REJECTED;
    case MF_ERR_NOT_RUNNING:
    case MF_ERR_START_FAILED:
    case MF_ERR_START_TIMEOUT:
    case MF_ERR_ADDRESS_IN_USE:
        return MFI_STATUS_UNAVAILABLE;
    case MF_ERR_WORKER_EXITED:
        return MFI_STATUS_WORKER_CRASHED;
    case MF_ERR_PROTOCOL:
        return MFI_STATUS_PROTOCOL_ERROR;
    case MF_ERR_NO_MEMORY:
    case MF_ERR_SYSTEM:
    case MF_ERR_IO:
    case MF_ERR_INTERNAL:
        break;
    }
    return MFI_STATUS_INTERNAL; /* numbers that are no code, too */
}

#endif
