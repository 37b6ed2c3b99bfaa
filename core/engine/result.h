/* What a call brings back: the answer's memory, and the value that is decoded when it is asked for.
 */
#ifndef MFI_ENGINE_RESULT_H
#define MFI_ENGINE_RESULT_H

#include <multifrost/call.h>

#include "core/engine/transport.h"
#include "core/wire/reader.h"

/* Takes the message over on MF_OK; value is a view into it, absent means nil. */
mf_status mfi_result_make(mf_result **ret_result, mfi_message *message, mfi_slice value,
                          mfi_slice metadata, const mfi_limits *limits, mf_error *error);

#endif
