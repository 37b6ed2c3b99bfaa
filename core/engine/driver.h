/* Who drives a socket, and how it is handed over.
 *
 * One driver for each transport. At any time at most one thread holds the *role* of driving it:
 * only that thread touches the transport, and every hand-over happens under the mutex, which is the
 * full barrier that libzmq asks for. See docs/threads.md for the states and their transitions. */
#ifndef MFI_ENGINE_DRIVER_H
#define MFI_ENGINE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mpsc.h"
#include "base/mutex.h"
#include "core/engine/loop.h"
#include "core/engine/waiter.h"

typedef enum mfi_role {
    MFI_ROLE_CLOSED, /* there is no socket: not yet, or (closing) for good */
    MFI_ROLE_IDLE,   /* nobody drives and nobody watches; a tick is on its way if it matters */
    MFI_ROLE_PARKED, /* nobody drives; the engine's poll set watches the socket */
    MFI_ROLE_ENGINE, /* the engine thread is in a burst */
    MFI_ROLE_CALLER  /* a calling thread drives */
} mfi_role;

typedef struct mfi_driver_ops {
    /* Role held. Moves all that can move, both ways, without waiting. Stops early when `until`
     * (may be NULL) is done, or after a bounded amount of work; true only if nothing was left:
     * the queue is empty or its head cannot be sent, and receive said "again" last. */
    bool (*burst)(void *self, const mfi_waiter *until);
    /* Mutex held. Whether the socket must be watched while nobody drives. */
    bool (*needs_watch)(void *self);
    /* Role and mutex held. Whether the queue has something that need not wait for the socket. */
    bool (*has_more)(void *self);
} mfi_driver_ops;

typedef struct mfi_driver {
    mfi_mutex mutex;
    mfi_mpsc queue; /* what is to be sent; consumed by who holds the role */
    mfi_loop *loop;
    const mfi_driver_ops *ops;
    void *self;
    mfi_source source; /* the transport's readiness, one-shot; engine thread adds and removes */
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
    _Atomic(bool) pausing;   /* written on the engine thread, before closing */
    mfi_role role;           /* the rest is guarded by mutex */
    mfi_list waiters;
    uint64_t takes; /* how often a caller took the role */
    uint64_t takes_at_tick;
    uint32_t quiet_ticks;
    bool ticking;
    bool finished;         /* closed has run or is about to */
    uint64_t next_tick_ns; /* the engine thread's alone */
} mfi_driver;

/* tick_ns: an idle socket is looked at by the engine after this long. Starts CLOSED. */
mf_status mfi_driver_init(mfi_driver *driver, mfi_loop *loop, const mfi_driver_ops *ops, void *self,
                          uint64_t tick_ns, mf_error *error);
void mfi_driver_fini(mfi_driver *driver);

/* Engine thread: the transport is open; watches it. */
mf_status mfi_driver_open(mfi_driver *driver, int socket_fd, mf_error *error);
/* Engine thread, outside of bursts: moves what can be moved now, unless a caller drives, who does
 * that himself. Before what was sent is given up, so that answers that are there count. False if
 * the driver is being closed or paused. */
bool mfi_driver_look(mfi_driver *driver);
/* Engine thread: no new driver; `closed` runs on the engine thread when nobody holds the role. */
void mfi_driver_close(mfi_driver *driver, void (*closed)(void *data), void *data);

/* Engine thread: as close, but who waits goes on waiting, and what is queued stays: as before the
 * first open. For a new transport, or as a barrier that every driver has passed. */
void mfi_driver_pause(mfi_driver *driver, void (*paused)(void *data), void *data);

/* Engine thread: what was closed is as before the first open again. */
void mfi_driver_reopen(mfi_driver *driver);

/* Engine thread: nobody holds the role, and nobody can take it before the next open. */
bool mfi_driver_is_closed(mfi_driver *driver);

/* Something was pushed to the queue and nobody waits here for it: makes sure that it is seen. False
 * if the driver has closed: nobody will look any more. */
bool mfi_driver_kick(mfi_driver *driver);

typedef enum mfi_wait { MFI_WAIT_DONE, MFI_WAIT_DEADLINE, MFI_WAIT_CLOSED } mfi_wait;
/* Waits until the waiter is done, driving the socket if nobody else does. Before the driver is open
 * it waits for that too. */
mfi_wait mfi_driver_wait(mfi_driver *driver, mfi_waiter *waiter, uint64_t deadline_ns);

/* For a thread that is the regular driver (a child's run loop): takes the role, waiting for it if
 * need be; false if closed. */
bool mfi_driver_acquire(mfi_driver *driver);
/* Role held: blocks until the socket or the queue has something, or the deadline. Only after a
 * burst that said true. */
void mfi_driver_sleep(mfi_driver *driver, uint64_t deadline_ns);
/* Makes a sleeping driver look around. Any thread, and signal handlers. */
void mfi_driver_wake(mfi_driver *driver);
/* Gives the role up; drained says what the last burst said. */
void mfi_driver_release(mfi_driver *driver, bool drained);

#endif
