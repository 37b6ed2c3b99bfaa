/* What a call brings back: the answer's memory, and the value that is decoded when it is asked for.
 */
#ifndef MFI_CLIENT_CALLS_RESULT_H
#define MFI_CLIENT_CALLS_RESULT_H

#include <multifrost/call.h>

#include "core/transport/transport.h"
#include "core/wire/reader.h"

/* An empty one, for an answer to be received into; NULL without memory. */
mf_result *mfi_result_new(void);
/* Where the answer is received. */
mfi_message *mfi_result_message(mf_result *result);
/* The values are views into its message; absent means nil. */
void mfi_result_set(mf_result *result, mfi_slice value, mfi_slice metadata,
                    const mfi_limits *limits);

#endif
