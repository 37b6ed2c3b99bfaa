/* Lines that a worker printed: sends them to the log and to the program. */
#ifndef MFI_CLIENT_OUTPUT_H
#define MFI_CLIENT_OUTPUT_H

#include "core/client/state.h"

/* Engine thread. The text may hold several lines. */
void mfi_output_show(mfi_state *state, bool is_stderr, const char *text, size_t length);

#endif
