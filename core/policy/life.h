/* The life of a parent's connection as one table: (phase, event) gives (phase, actions). Pure: no
 * clock, no process, no socket. core/client/link/ feeds the events and performs the actions.
 *
 * Every pair of phase and event is stated: as a transition, as a pair that changes nothing, or as a
 * pair that cannot happen. docs/threads.md shows the same table; a test compares the two. */
#ifndef MFI_POLICY_LIFE_H
#define MFI_POLICY_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, text) */
#define MFI_LIFE_PHASES(X)                                                                         \
    X(NEW, "not started")                                                                          \
    X(BEGINNING, "a peer is being made or looked for")                                             \
    X(LOOKING, "no live service has that name")                                                    \
    X(STARTING, "there is a peer; it has answered no heartbeat yet")                               \
    X(RUNNING, "the peer answers")                                                                 \
    X(UNLISTED, "the entry of the service is gone; for a moment no call goes out")                 \
    X(HOLDING, "no call goes out any more; drivers are waited for")                                \
    X(HOLDING_GONE, "the same, and the peer has gone meanwhile")                                   \
    X(DRAINING, "calls that were sent are waited for")                                             \
    X(REPLACING, "the peer is being ended; another one follows")                                   \
    X(ABORTING, "the peer is being ended: its start failed")                                       \
    X(ABORTING_AGAIN, "the same; a restart was asked for meanwhile")                               \
    X(KILLING, "the peer is being ended: it is frozen, overdue or cut off")                        \
    X(KILLING_AGAIN, "the same; a restart was asked for meanwhile")                                \
    X(STOPPING, "the peer is being ended by a stop")                                               \
    X(CLOSING_AGAIN, "the transport is being closed; another start follows")                       \
    X(CLOSING_LAST, "the transport is being closed; no start follows")                             \
    X(CLOSING_STOP, "the transport is being closed by a stop")                                     \
    X(WAITING, "for the time of the next start")                                                   \
    X(GONE, "given up; a restart brings it back")                                                  \
    X(STOPPED, "for good")

/* X(name, text) */
#define MFI_LIFE_EVENTS(X)                                                                         \
    X(START, "the program starts it")                                                              \
    X(PEER, "there is a peer: spawned, or connected to")                                           \
    X(NOT_FOUND, "no service has that name yet")                                                   \
    X(PORT_BUSY, "the port of the peer before is still in use")                                    \
    X(READY, "a heartbeat was answered, or a busy service has shaken hands")                       \
    X(ABORT, "the start took too long, or its process cannot be watched")                          \
    X(FROZEN, "the peer was silent for long enough, and does not work")                            \
    X(OVERDUE, "a handler has run longer than it may")                                             \
    X(CUT_OFF, "the worker has closed its connection, and its process goes on")                    \
    X(MISSING, "the entry of the service is gone; the service still answers")                      \
    X(STAYS, "the entry is back, or the moment is over and the service still answers")             \
    X(LEAVES, "the service gave up its name and still answers")                                    \
    X(PEER_GONE, "the service closed its last connection")                                         \
    X(OVER_AGAIN, "the peer is lost or its start failed; another start follows")                   \
    X(OVER_LAST, "the peer is lost or its start failed; no start follows")                         \
    X(ENDED, "the peer that was to end has ended")                                                 \
    X(RESTART, "the program asks for a restart")                                                   \
    X(BARRIER, "every driver has seen that calls are held back")                                   \
    X(DRAINED, "no sent call is open, or the time for that is over")                               \
    X(DUE, "the time of the next start, or of the next look, has come")                            \
    X(STOP, "the program stops it")                                                                \
    X(PAUSED, "nobody drives the transport")                                                       \
    X(CLOSED, "nobody will drive again")

/* X(name, text): in the order in which they are performed. */
#define MFI_LIFE_ACTIONS(X)                                                                        \
    X(COUNT, "count and report the restart")                                                       \
    X(CANCEL, "end all calls as cancelled")                                                        \
    X(HURRY, "let the next start come at once")                                                    \
    X(REOPEN, "let callers wait for the driver again")                                             \
    X(AWAIT, "send the first heartbeat, start the clock")                                          \
    X(SERVE, "tell those who wait for the start; go on with heartbeats")                           \
    X(DEFER, "hold calls back, stop heartbeats")                                                   \
    X(RESUME, "let calls go out again, go on with heartbeats")                                     \
    X(HOLD, "hold calls back, pause the drivers, start the clock of draining")                     \
    X(WATCH, "drive again for answers, watch for the last call's end")                             \
    X(SETTLE, "read what the peer sent before it went, end the rest of its calls")                 \
    X(ASK, "ask the peer to end by a message, then by signals")                                    \
    X(END, "ask the peer to end by signals")                                                       \
    X(KILL, "end the peer at once")                                                                \
    X(CLOSE, "give the peer back, pause the drivers")                                              \
    X(SHUT, "close the driver")                                                                    \
    X(WAIT, "set the timer of the next start")                                                     \
    X(FINISH, "end what is left, show the last state")                                             \
    X(BEGIN, "make or look for a peer, which brings the next event")

typedef enum mfi_life_phase {
#define X(name, text) MFI_LIFE_##name,
    MFI_LIFE_PHASES(X)
#undef X
        MFI_LIFE_PHASE_COUNT
} mfi_life_phase;

typedef enum mfi_life_event {
#define X(name, text) MFI_LIFE_ON_##name,
    MFI_LIFE_EVENTS(X)
#undef X
        MFI_LIFE_EVENT_COUNT
} mfi_life_event;

enum {
#define X(name, text) MFI_LIFE_BIT_##name,
    MFI_LIFE_ACTIONS(X)
#undef X
        MFI_LIFE_ACTION_COUNT
};

/* A set of actions, as bits. */
typedef enum mfi_life_action {
#define X(name, text) MFI_LIFE_DO_##name = 1 << MFI_LIFE_BIT_##name,
    MFI_LIFE_ACTIONS(X)
#undef X
} mfi_life_action;

typedef struct mfi_life_transition {
    mfi_life_phase phase;
    mfi_life_event event;
    mfi_life_phase next;
    uint32_t actions; /* MFI_LIFE_DO_* */
} mfi_life_transition;

/* Looks a transition up. An event that changes nothing gives the same phase and no action. False if
 * the event cannot happen in that phase: nothing is to be done, and the caller has a fault. */
bool mfi_life_next(mfi_life_phase phase, mfi_life_event event, mfi_life_transition *ret);

/* Sets of phases that the code asks about. */

/* True if a new start follows in any case, so that the restart policy is not asked. */
bool mfi_life_is_replacing(mfi_life_phase phase);
/* True if the program has stopped the connection. */
bool mfi_life_is_stopped(mfi_life_phase phase);
/* True if the peer is being ended and has not ended yet. */
bool mfi_life_is_ending(mfi_life_phase phase);

/* For tests and documents: all transitions in the order of the table, NULL after the last; and, as
 * bits, the events that change nothing and those that cannot happen. */
const mfi_life_transition *mfi_life_transition_at(size_t index);
uint32_t mfi_life_stays(mfi_life_phase phase);
uint32_t mfi_life_never(mfi_life_phase phase);

#endif
