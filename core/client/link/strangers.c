/* Spawn mode: connections to the parent's port that are not the worker's. It exists because any
 * process of the host can connect to that port, and the first one that does would be called.
 *
 * The direct transport closes such a connection before a byte of it is read. libzmq accepts by
 * itself and spreads messages over all connections: there the start ends, and the next one has a
 * new port. */
#include "base/error.h"
#include "base/str.h"
#include "core/client/link/spawned.h"

static void observe(const mfi_spawned *spawned, mfi_transport_what what, const char *text)
{
    mfi_observe_transport_event(spawned->state->observed,
                                &(mfi_transport_event){.what = what, .text = text});
}

/* A worker that was ready is ended like one that lost its connection. */
static void leave_port(mfi_link *link, const char *who)
{
    mf_error error;
    if (link->phase == MFI_LIFE_RUNNING) {
        mfi_link_met_stranger(link, who);
    } else if (link->phase == MFI_LIFE_STARTING) {
        mfi_error_clear(&error);
        (void)mfi_fail(&error, MF_ERR_START_FAILED,
                       "worker '%s' met a stranger at its port and was ended by its parent: %s",
                       link->state->settings.worker, who);
        mfi_link_abort(link, &error);
    }
}

void mfi_spawned_refused(void *self)
{
    mfi_spawned *spawned = self;
    char who[MFI_ADMISSION_TEXT_MAX];
    mfi_admission_tell(&spawned->admission, who);
    observe(spawned, MFI_TRANSPORT_REFUSED, who);
    if (!spawned->link->calls->transport->closes_refused) {
        leave_port(spawned->link, who);
    }
}

void mfi_spawned_connected(void *self)
{
    mfi_spawned *spawned = self;
    if (mfi_admission_was_blind(&spawned->admission) && !spawned->told_blind) {
        spawned->told_blind = true;
        observe(spawned, MFI_TRANSPORT_BLIND, spawned->state->settings.worker);
    }
}
