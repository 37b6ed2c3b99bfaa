/* Tells services that crashed from those that only lost a connection. It exists because a
 * connection ends a moment before its process does, and nobody waits for a service's process: so
 * the loss is kept until the process is gone, or answers again. */
#include "core/client/link/vanished.h"

#include "base/clock.h"
#include "base/str.h"
#include "core/process/alive.h"

static void report(mfi_vanished *vanished, mfi_state *state)
{
    vanished->is_pending = false;
    mfi_observe_service_vanished(state->observed,
                                 &(mfi_vanished_event){.at_wall_ns = vanished->at_wall_ns,
                                                       .pid = vanished->pid,
                                                       .text = vanished->why,
                                                       .pending_failed = vanished->calls,
                                                       .calls = vanished->ended.list,
                                                       .named = vanished->ended.named});
}

void mfi_vanished_look(mfi_vanished *vanished, mfi_state *state)
{
    if (vanished->is_pending && !mfi_process_alive(vanished->pid, NULL)) {
        report(vanished, state);
    }
}

void mfi_vanished_note(mfi_vanished *vanished, mfi_state *state, int64_t pid, const char *why,
                       const mfi_claimed *claimed)
{
    mfi_vanished_look(vanished, state);
    if (vanished->is_pending && vanished->pid == pid) {
        return; /* the same loss: a look at a process that is about to end */
    }
    vanished->is_pending = true;
    vanished->at_wall_ns = mfi_wall_ns();
    vanished->pid = pid;
    vanished->calls = claimed != NULL ? claimed->calls : 0;
    vanished->ended = claimed != NULL ? claimed->ended : (mfi_ended_calls){.named = 0};
    (void)mfi_str_copy(vanished->why, sizeof vanished->why, why);
    if (pid == 0) { /* nothing more will be known */
        report(vanished, state);
    } else {
        mfi_vanished_look(vanished, state);
    }
}

void mfi_vanished_answered(mfi_vanished *vanished, mfi_state *state)
{
    mfi_vanished_look(vanished, state);
    vanished->is_pending = false;
}
