/* The result of a call: the answer's memory, and the value, which is decoded when it is first read.
 */
#ifndef MFI_CLIENT_CALLS_RESULT_H
#define MFI_CLIENT_CALLS_RESULT_H

#include <multifrost/call.h>

#include "core/transport/transport.h"
#include "core/wire/reader.h"

/* An empty result, for an answer to be received into; NULL without memory. */
mf_result *mfi_result_new(void);
/* The message into which the answer is received. */
mfi_message *mfi_result_message(mf_result *result);
/* Sets value and metadata, which are views into the result's message; absent means nil. */
void mfi_result_set(mf_result *result, mfi_slice value, mfi_slice metadata,
                    const mfi_limits *limits);

#endif
