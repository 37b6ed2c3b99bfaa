/* Lines that a worker printed, received through its pipes or in messages. It exists apart, because
 * both ways end here and neither depends on the other. */
#include "core/client/output.h"

#include <string.h>

#include "core/observe/observe.h"

void mfi_output_show(mfi_state *state, bool is_stderr, const char *text, size_t length)
{
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        size_t used = newline != NULL ? line + 1 : line;
        if (line > 0) {
            mfi_tail_add(&state->tails[is_stderr ? 1 : 0], text, line);
            mfi_observe_output_line(state->observed, is_stderr, text, line);
            if (state->settings.on_output != NULL) {
                state->settings.on_output(text, line, is_stderr, state->settings.user_data);
            }
        }
        text += used;
        length -= used;
    }
}
