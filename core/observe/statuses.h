/* The status of a call that ended with a code, as the metrics count it. */
#ifndef MFI_OBSERVE_STATUSES_H
#define MFI_OBSERVE_STATUSES_H

#include <multifrost/error.h>

#include "core/words/statuses.h"

static inline mfi_call_status mfi_call_status_of(mf_status code)
{
    switch (code) {
        /* NOLINTNEXTLINE(bugprone-branch-clone): a table, in which several codes have one status */
        MFI_CALL_STATUS_CODES(MFI_CALL_STATUS_CASE)
    }
    return MFI_STATUS_INTERNAL; /* a number that is no code */
}

#endif
