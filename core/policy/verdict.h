/* Whether a call counts for or against a circuit. */
#ifndef MFI_POLICY_VERDICT_H
#define MFI_POLICY_VERDICT_H

#include <stdbool.h>

#include <multifrost/error.h>

#include "core/words/statuses.h"

typedef enum mfi_call_verdict {
    MFI_VERDICT_OK,
    MFI_VERDICT_FAILED,
    MFI_VERDICT_EXCLUDED /* neither: refused, cancelled, or the caller's own mistake */
} mfi_call_verdict;

/* Uses the one table of codes, so that metrics and circuit agree. */
static inline mfi_call_status mfi_verdict_status(mf_status code)
{
    switch (code) {
        /* NOLINTNEXTLINE(bugprone-branch-clone): a table, in which several codes have one status */
        MFI_CALL_STATUS_CODES(MFI_CALL_STATUS_CASE)
    }
    return MFI_STATUS_INTERNAL; /* a number that is no code */
}

static inline mfi_call_verdict mfi_verdict_of(mf_status status, bool count_remote_errors)
{
    switch (mfi_verdict_status(status)) {
    case MFI_STATUS_OK:
        return MFI_VERDICT_OK;
    case MFI_STATUS_APP_ERROR:
    case MFI_STATUS_FUNCTION_NOT_FOUND:
        return count_remote_errors ? MFI_VERDICT_FAILED : MFI_VERDICT_OK;
    case MFI_STATUS_TIMEOUT:
    case MFI_STATUS_UNAVAILABLE:
    case MFI_STATUS_WORKER_CRASHED:
    case MFI_STATUS_PROTOCOL_ERROR:
        return MFI_VERDICT_FAILED;
    case MFI_STATUS_INVALID_ARGUMENT:
    case MFI_STATUS_CANCELLED:
    case MFI_STATUS_CIRCUIT_OPEN:
    case MFI_STATUS_REJECTED:
    case MFI_STATUS_INTERNAL:
    case MFI_STATUS_COUNT:
        break;
    }
    return MFI_VERDICT_EXCLUDED;
}

#endif
