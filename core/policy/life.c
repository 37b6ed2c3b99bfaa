/* The table of a connection's life, and the look-up in it. It exists so that every pair of phase
 * and event is decided in one place, which can be read, printed and tested without a process or a
 * clock.
 *
 * Spawn mode and connect mode share the table. LOOKING, UNLISTED, LEAVES and PEER_GONE belong
 * to connect mode; FROZEN, OVERDUE and CUT_OFF, which end a process, to spawn mode. Connect mode
 * ends no process, so the phases in which a peer is being ended last only an instant there. */
#include "core/policy/life.h"

#define BIT(event) (UINT32_C(1) << MFI_LIFE_ON_##event)
#define DO(action) MFI_LIFE_DO_##action
#define ON(phase, event, next, actions)                                                            \
    {                                                                                              \
        MFI_LIFE_##phase, MFI_LIFE_ON_##event, MFI_LIFE_##next, actions                            \
    }

static const mfi_life_transition transitions[] = {
    ON(NEW, START, BEGINNING, DO(BEGIN)),
    ON(NEW, STOP, CLOSING_STOP, DO(CANCEL) | DO(CLOSE)),

    ON(BEGINNING, PEER, STARTING, DO(AWAIT)),
    ON(BEGINNING, NOT_FOUND, LOOKING, 0),
    ON(BEGINNING, PORT_BUSY, WAITING, DO(WAIT)),
    ON(BEGINNING, ABORT, ABORTING, DO(KILL)),
    ON(BEGINNING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(BEGINNING, OVER_LAST, CLOSING_LAST, DO(CLOSE)),

    ON(LOOKING, DUE, BEGINNING, DO(BEGIN)),
    ON(LOOKING, STOP, CLOSING_STOP, DO(CANCEL) | DO(CLOSE)),

    ON(STARTING, READY, RUNNING, DO(SERVE)),
    ON(STARTING, ABORT, ABORTING, DO(KILL)),
    ON(STARTING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(STARTING, OVER_LAST, CLOSING_LAST, DO(CLOSE)),
    ON(STARTING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(RUNNING, FROZEN, KILLING, DO(KILL)),
    ON(RUNNING, OVERDUE, KILLING, DO(KILL)),
    ON(RUNNING, CUT_OFF, KILLING, DO(KILL)),
    ON(RUNNING, MISSING, UNLISTED, DO(DEFER)),
    ON(RUNNING, LEAVES, HOLDING, DO(HOLD)),
    ON(RUNNING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(RUNNING, OVER_LAST, CLOSING_LAST, DO(CLOSE)),
    ON(RUNNING, RESTART, HOLDING, DO(COUNT) | DO(HOLD)),
    ON(RUNNING, STOP, STOPPING, DO(CANCEL) | DO(ASK)),

    ON(UNLISTED, STAYS, RUNNING, DO(RESUME)),
    ON(UNLISTED, LEAVES, HOLDING, DO(HOLD)),
    ON(UNLISTED, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(UNLISTED, RESTART, HOLDING, DO(COUNT) | DO(HOLD)),
    ON(UNLISTED, STOP, STOPPING, DO(CANCEL) | DO(ASK)),

    ON(HOLDING, PEER_GONE, HOLDING_GONE, 0),
    ON(HOLDING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(HOLDING, BARRIER, DRAINING, DO(WATCH)),
    ON(HOLDING, DRAINED, REPLACING, DO(END)),
    ON(HOLDING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(HOLDING_GONE, BARRIER, DRAINING, DO(WATCH) | DO(SETTLE)),
    ON(HOLDING_GONE, DRAINED, REPLACING, DO(END)),
    ON(HOLDING_GONE, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(DRAINING, PEER_GONE, DRAINING, DO(SETTLE)),
    ON(DRAINING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(DRAINING, DRAINED, REPLACING, DO(END)),
    ON(DRAINING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(REPLACING, ENDED, CLOSING_AGAIN, DO(CLOSE)),
    ON(REPLACING, RESTART, REPLACING, DO(HURRY)),
    ON(REPLACING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(ABORTING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(ABORTING, OVER_LAST, CLOSING_LAST, DO(CLOSE)),
    ON(ABORTING, RESTART, ABORTING_AGAIN, DO(COUNT) | DO(HURRY)),
    ON(ABORTING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(ABORTING_AGAIN, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(ABORTING_AGAIN, RESTART, ABORTING_AGAIN, DO(HURRY)),
    ON(ABORTING_AGAIN, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(KILLING, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(KILLING, OVER_LAST, CLOSING_LAST, DO(CLOSE)),
    ON(KILLING, RESTART, KILLING_AGAIN, DO(COUNT) | DO(HURRY)),
    ON(KILLING, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(KILLING_AGAIN, OVER_AGAIN, CLOSING_AGAIN, DO(CLOSE)),
    ON(KILLING_AGAIN, RESTART, KILLING_AGAIN, DO(HURRY)),
    ON(KILLING_AGAIN, STOP, STOPPING, DO(CANCEL) | DO(END)),

    ON(STOPPING, ENDED, CLOSING_STOP, DO(CLOSE)),

    ON(CLOSING_AGAIN, RESTART, CLOSING_AGAIN, DO(HURRY)),
    ON(CLOSING_AGAIN, STOP, CLOSING_STOP, DO(CANCEL)),
    ON(CLOSING_AGAIN, PAUSED, WAITING, DO(WAIT)),
    ON(CLOSING_AGAIN, CLOSED, WAITING, DO(REOPEN) | DO(WAIT)),

    ON(CLOSING_LAST, RESTART, CLOSING_AGAIN, DO(COUNT) | DO(HURRY)),
    ON(CLOSING_LAST, STOP, CLOSING_STOP, DO(CANCEL)),
    ON(CLOSING_LAST, PAUSED, CLOSING_LAST, DO(SHUT)),
    ON(CLOSING_LAST, CLOSED, GONE, DO(FINISH)),

    ON(CLOSING_STOP, PAUSED, CLOSING_STOP, DO(SHUT)),
    ON(CLOSING_STOP, CLOSED, STOPPED, DO(FINISH)),

    ON(WAITING, RESTART, WAITING, DO(HURRY)),
    ON(WAITING, DUE, BEGINNING, DO(BEGIN)),
    ON(WAITING, STOP, CLOSING_STOP, DO(CANCEL) | DO(CLOSE)),

    ON(GONE, RESTART, BEGINNING, DO(COUNT) | DO(REOPEN) | DO(BEGIN)),
    ON(GONE, STOP, STOPPED, DO(FINISH)),
};

/* Events that a slow heartbeat, an old task or a second request may still bring. */
#define LATE_NEWS (BIT(READY) | BIT(DRAINED))
/* Only the begin of a start, the peer, the drivers and the program bring these events. */
#define OF_BEGIN (BIT(PEER) | BIT(NOT_FOUND) | BIT(PORT_BUSY))
/* What makes the link end a peer that was ready. */
#define UNFIT (BIT(FROZEN) | BIT(OVERDUE) | BIT(CUT_OFF))
/* What the registry tells of a connected service. */
#define LISTING (BIT(MISSING) | BIT(STAYS) | BIT(LEAVES))
#define OF_PEER (UNFIT | LISTING | BIT(PEER_GONE) | BIT(ENDED))
#define OF_DRIVER (BIT(PAUSED) | BIT(CLOSED))
#define OVER (BIT(OVER_AGAIN) | BIT(OVER_LAST))

static const struct {
    uint32_t stays, never;
} rest[MFI_LIFE_PHASE_COUNT] = {
    [MFI_LIFE_NEW] = {0, OF_BEGIN | OF_PEER | OF_DRIVER | OVER | LATE_NEWS | BIT(ABORT) |
                             BIT(RESTART) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_BEGINNING] = {0, OF_PEER | OF_DRIVER | LATE_NEWS | BIT(START) | BIT(RESTART) |
                                   BIT(BARRIER) | BIT(DUE) | BIT(STOP)},
    [MFI_LIFE_LOOKING] = {LATE_NEWS | BIT(RESTART), OF_BEGIN | OF_PEER | OF_DRIVER | OVER |
                                                        BIT(START) | BIT(ABORT) | BIT(BARRIER)},
    [MFI_LIFE_STARTING] = {BIT(RESTART) | BIT(DRAINED),
                           OF_BEGIN | OF_PEER | OF_DRIVER | BIT(START) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_RUNNING] = {LATE_NEWS, OF_BEGIN | OF_DRIVER | BIT(START) | BIT(ABORT) | BIT(STAYS) |
                                         BIT(PEER_GONE) | BIT(ENDED) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_UNLISTED] = {LATE_NEWS | BIT(MISSING), OF_BEGIN | OF_DRIVER | UNFIT | BIT(START) |
                                                         BIT(ABORT) | BIT(PEER_GONE) | BIT(ENDED) |
                                                         BIT(OVER_LAST) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_HOLDING] = {BIT(READY) | BIT(RESTART), OF_BEGIN | OF_DRIVER | BIT(START) |
                                                         BIT(ABORT) | UNFIT | LISTING | BIT(ENDED) |
                                                         BIT(OVER_LAST) | BIT(DUE)},
    [MFI_LIFE_HOLDING_GONE] = {BIT(READY) | BIT(RESTART) | BIT(PEER_GONE),
                               OF_BEGIN | OF_DRIVER | OVER | BIT(START) | BIT(ABORT) | UNFIT |
                                   LISTING | BIT(ENDED) | BIT(DUE)},
    [MFI_LIFE_DRAINING] = {BIT(READY) | BIT(RESTART),
                           OF_BEGIN | OF_DRIVER | BIT(START) | BIT(ABORT) | UNFIT | LISTING |
                               BIT(ENDED) | BIT(OVER_LAST) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_REPLACING] = {LATE_NEWS | BIT(BARRIER), OF_BEGIN | OF_DRIVER | OVER | BIT(START) |
                                                          BIT(ABORT) | UNFIT | LISTING |
                                                          BIT(PEER_GONE) | BIT(DUE)},
    [MFI_LIFE_ABORTING] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | BIT(START) | BIT(ABORT) |
                                          BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_ABORTING_AGAIN] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | BIT(START) |
                                                BIT(ABORT) | BIT(OVER_LAST) | BIT(BARRIER) |
                                                BIT(DUE)},
    [MFI_LIFE_KILLING] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | BIT(START) | BIT(ABORT) |
                                         BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_KILLING_AGAIN] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | BIT(START) |
                                               BIT(ABORT) | BIT(OVER_LAST) | BIT(BARRIER) |
                                               BIT(DUE)},
    [MFI_LIFE_STOPPING] = {LATE_NEWS | BIT(BARRIER) | BIT(STOP),
                           OF_BEGIN | OF_DRIVER | OVER | BIT(START) | BIT(ABORT) | UNFIT | LISTING |
                               BIT(PEER_GONE) | BIT(RESTART) | BIT(DUE)},
    [MFI_LIFE_CLOSING_AGAIN] = {LATE_NEWS | BIT(START),
                                OF_BEGIN | OF_PEER | OVER | BIT(ABORT) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_CLOSING_LAST] = {LATE_NEWS | BIT(START),
                               OF_BEGIN | OF_PEER | OVER | BIT(ABORT) | BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_CLOSING_STOP] = {LATE_NEWS | BIT(START) | BIT(STOP), OF_BEGIN | OF_PEER | OVER |
                                                                       BIT(ABORT) | BIT(RESTART) |
                                                                       BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_WAITING] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | OVER | BIT(START) |
                                         BIT(ABORT) | BIT(BARRIER)},
    [MFI_LIFE_GONE] = {LATE_NEWS, OF_BEGIN | OF_PEER | OF_DRIVER | OVER | BIT(START) | BIT(ABORT) |
                                      BIT(BARRIER) | BIT(DUE)},
    [MFI_LIFE_STOPPED] = {LATE_NEWS | BIT(START) | BIT(STOP), OF_BEGIN | OF_PEER | OF_DRIVER |
                                                                  OVER | BIT(ABORT) | BIT(RESTART) |
                                                                  BIT(BARRIER) | BIT(DUE)},
};

#define TRANSITIONS (sizeof transitions / sizeof transitions[0])

bool mfi_life_next(mfi_life_phase phase, mfi_life_event event, mfi_life_transition *ret)
{
    for (size_t i = 0; i < TRANSITIONS; i++) {
        if (transitions[i].phase == phase && transitions[i].event == event) {
            *ret = transitions[i];
            return true;
        }
    }
    *ret = (mfi_life_transition){.phase = phase, .event = event, .next = phase};
    return (rest[phase].stays & UINT32_C(1) << event) != 0;
}

bool mfi_life_is_replacing(mfi_life_phase phase)
{
    return phase == MFI_LIFE_HOLDING || phase == MFI_LIFE_HOLDING_GONE ||
           phase == MFI_LIFE_DRAINING || phase == MFI_LIFE_REPLACING ||
           phase == MFI_LIFE_ABORTING_AGAIN || phase == MFI_LIFE_KILLING_AGAIN;
}

bool mfi_life_is_stopped(mfi_life_phase phase)
{
    return phase == MFI_LIFE_STOPPING || phase == MFI_LIFE_CLOSING_STOP ||
           phase == MFI_LIFE_STOPPED;
}

bool mfi_life_is_ending(mfi_life_phase phase)
{
    return phase == MFI_LIFE_REPLACING || phase == MFI_LIFE_ABORTING ||
           phase == MFI_LIFE_ABORTING_AGAIN || phase == MFI_LIFE_KILLING ||
           phase == MFI_LIFE_KILLING_AGAIN || phase == MFI_LIFE_STOPPING;
}

const mfi_life_transition *mfi_life_transition_at(size_t index)
{
    return index < TRANSITIONS ? &transitions[index] : NULL;
}

uint32_t mfi_life_stays(mfi_life_phase phase)
{
    return rest[phase].stays;
}

uint32_t mfi_life_never(mfi_life_phase phase)
{
    return rest[phase].never;
}
