/* Which thread drives a socket, and how threads hand the socket over.
 *
 * Each transport has one driver. At any time at most one thread holds the *role* of driving it.
 * Only that thread touches the transport. Every hand-over happens under the mutex, because libzmq
 * asks for a full barrier. docs/threads.md shows the states and their transitions. */
#ifndef MFI_ENGINE_DRIVER_H
#define MFI_ENGINE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mpsc.h"
#include "base/mutex.h"
#include "core/engine/loop.h"
#include "core/engine/waiter.h"

typedef enum mfi_role {
    MFI_ROLE_CLOSED, /* no socket: not opened yet, or (closing) closed for good */
    MFI_ROLE_IDLE,   /* no thread drives or watches; a tick is armed if one is needed */
    MFI_ROLE_PARKED, /* no thread drives; the engine's poll set watches the socket */
    MFI_ROLE_ENGINE, /* the engine thread is in a burst */
    MFI_ROLE_CALLER  /* a calling thread drives */
} mfi_role;

typedef struct mfi_driver_ops {
    /* Role held. Sends and receives all that can be moved without waiting. Stops early when `until`
     * (may be NULL) is done, or after a bounded amount of work. True only if nothing was left: the
     * queue is empty or its head cannot be sent, and the last receive said "again". */
    bool (*burst)(void *self, const mfi_waiter *until);
    /* Mutex held. True if the socket must be watched while no thread drives. */
    bool (*needs_watch)(void *self);
    /* Role and mutex held. True if the queue has a message that need not wait for the socket. */
    bool (*has_more)(void *self);
} mfi_driver_ops;

typedef struct mfi_driver {
    mfi_mutex mutex;
    mfi_mpsc queue; /* messages to send; the thread that holds the role takes them out */
    mfi_loop *loop;
    const mfi_driver_ops *ops;
    void *self;
    mfi_source source; /* the transport's readiness, one-shot; the engine thread adds and removes
                        * it */
    mfi_task turn;
    mfi_task tick_start;
    mfi_timer tick;
    uint64_t tick_ns;
    void (*closed)(void *data);
    void *closed_data;
    int socket_fd;
    int wake_fd;
    _Atomic(bool) sleeping;  /* a caller blocks in mfi_driver_sleep: exchanged as in loop.c */
    _Atomic(bool) attention; /* ordered by the exchanges of sleeping */
    _Atomic(bool) closing;   /* or pausing */
    _Atomic(bool) pausing;   /* written by the engine thread, before `closing` */
    mfi_role role;           /* the rest is guarded by mutex */
    mfi_list waiters;
    uint64_t takes; /* how many times a caller took the role */
    uint64_t takes_at_tick;
    uint32_t quiet_ticks;
    bool ticking;
    bool finished;         /* `closed` has run, or runs next */
    uint64_t next_tick_ns; /* the engine thread's alone */
} mfi_driver;

/* After tick_ns (nanoseconds) the engine takes an idle socket over. The driver starts CLOSED. */
mf_status mfi_driver_init(mfi_driver *driver, mfi_loop *loop, const mfi_driver_ops *ops, void *self,
                          uint64_t tick_ns, mf_error *error);
void mfi_driver_fini(mfi_driver *driver);

/* Engine thread: the transport is open; the driver watches it. */
mf_status mfi_driver_open(mfi_driver *driver, int socket_fd, mf_error *error);
/* Engine thread, outside of bursts. Sends and receives what can be moved now, unless a caller
 * drives: that caller does the same. To be used before calls that were sent are failed, so that an
 * answer that has arrived still counts. False if the driver is being closed or paused. */
bool mfi_driver_look(mfi_driver *driver);
/* Engine thread: from now on no thread takes the role. `closed` runs on the engine thread when no
 * thread holds the role. */
void mfi_driver_close(mfi_driver *driver, void (*closed)(void *data), void *data);

/* Engine thread: as close, but waiting threads keep waiting and the queue is kept, as before the
 * first open. For a new transport, or as a barrier that every driver has passed. */
void mfi_driver_pause(mfi_driver *driver, void (*paused)(void *data), void *data);

/* Engine thread: puts a closed driver into the state before the first open. */
void mfi_driver_reopen(mfi_driver *driver);

/* Engine thread: true if no thread holds the role, and none can take it before the next open. */
bool mfi_driver_is_closed(mfi_driver *driver);

/* To be called after a push to the queue if the pushing thread does not wait here: makes sure that
 * a driver sees the message. False if the driver is closed: then no thread will take the message.
 */
bool mfi_driver_kick(mfi_driver *driver);

typedef enum mfi_wait { MFI_WAIT_DONE, MFI_WAIT_DEADLINE, MFI_WAIT_CLOSED } mfi_wait;
/* Waits until the waiter is done. The calling thread drives the socket if no other thread does.
 * Before the driver is open, this waits for the opening too. */
mfi_wait mfi_driver_wait(mfi_driver *driver, mfi_waiter *waiter, uint64_t deadline_ns);

/* For the thread that drives as a rule (a child's run loop). Waits for the role and takes it; false
 * if the driver is closed. */
bool mfi_driver_acquire(mfi_driver *driver);
/* Role held. Waits until the socket or the queue has something, or until the deadline. Only after a
 * burst that returned true. */
void mfi_driver_sleep(mfi_driver *driver, uint64_t deadline_ns);
/* Wakes a sleeping driver, so that it checks its queue. Any thread, and signal handlers. */
void mfi_driver_wake(mfi_driver *driver);
/* Gives the role up. drained is what the last burst returned. */
void mfi_driver_release(mfi_driver *driver, bool drained);

#endif
