/* Maps the reason of a refused message to the word under which dropped messages are counted. A
 * reason without a word does not compile. */
#ifndef MFI_WIRE_REJECT_H
#define MFI_WIRE_REJECT_H

#include "core/wire/envelope.h"
#include "core/words/drops.h"

static inline mfi_drop_reason mfi_reject_drop(mfi_reject reject)
{
    switch (reject) {
    case MFI_REJECT_OVERSIZE:
        return MFI_DROP_OVERSIZE;
    case MFI_REJECT_WRONG_APP:
        return MFI_DROP_WRONG_APP;
    case MFI_REJECT_UNKNOWN_TYPE:
        return MFI_DROP_UNKNOWN_TYPE;
    case MFI_REJECT_NONE:
    case MFI_REJECT_DECODE_ERROR:
        break;
    }
    return MFI_DROP_DECODE_ERROR;
}

#endif
