/* Connect mode: services whose process ended without giving up their name. Engine thread. */
#ifndef MFI_CLIENT_LINK_VANISHED_H
#define MFI_CLIENT_LINK_VANISHED_H

#include "core/client/calls/calls.h"
#include "core/client/state.h"

/* A loss that becomes a crash when the process is seen to have ended. */
typedef struct mfi_vanished {
    bool is_pending;
    uint64_t at_wall_ns;
    int64_t pid; /* 0: not known */
    uint32_t calls;
    mfi_ended_calls ended;
    char why[MFI_EXIT_TEXT_MAX];
} mfi_vanished;

/* The connection to a service ended, which had not given up its name. claimed: the calls that this
 * ended; NULL: none. Reports the loss if the process has ended already, and else keeps it. */
void mfi_vanished_note(mfi_vanished *vanished, mfi_state *state, int64_t pid, const char *why,
                       const mfi_claimed *claimed);
/* Looks again for the process of a loss that is kept. */
void mfi_vanished_look(mfi_vanished *vanished, mfi_state *state);
/* A service answers: one that goes on under its pid has not vanished. */
void mfi_vanished_answered(mfi_vanished *vanished, mfi_state *state);

#endif
