/* A driver on a socket that the test turns by hand: an eventfd counts what arrives, and each
 * arrival ends the wait of the next expected waiter. A semaphore stops a burst at its end. */
#ifndef DRIVER_RIG_H
#define DRIVER_RIG_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "core/engine/driver.h"
#include "mf_test.h"

#define RIG_NO_TICK (3600 * MFI_NS_PER_S)
#define RIG_EXPECTED_MAX 8

typedef struct rig {
    mfi_loop *loop;
    mfi_driver driver;
    int socket_fd;
    /* What the driver's operations say. */
    _Atomic(bool) watch; /* needs_watch */
    _Atomic(int) busy;   /* so many bursts more say that something was left */
    /* What arrives ends these waits, in this order. */
    _Atomic(mfi_waiter *) expected[RIG_EXPECTED_MAX];
    /* What has happened. */
    _Atomic(int) engine_bursts, caller_bursts;
    _Atomic(int) sent, received;
    _Atomic(int) inside, most_inside; /* threads in a burst */
    /* A burst that is to stop posts the first and waits for the second. */
    _Atomic(bool) stops;
    sem_t in_burst, leave_burst;
    sem_t closed; /* posted when the driver has closed or paused */
} rig;

void rig_init(rig *at, uint64_t tick_ns);
/* Closes the driver if it is not closed for good, and frees. */
void rig_fini(rig *at);

/* From any thread; done on the engine thread, and over at the return. */
void rig_open(rig *at);
void rig_pause(rig *at);
void rig_close(rig *at);
void rig_reopen(rig *at);
bool rig_look(rig *at, int *ret_bursts); /* how many bursts it made itself */
/* Runs what the driver's tick runs. */
void rig_tick(rig *at);
/* All tasks that were posted before have run, and those that these have posted. */
void rig_settle(rig *at);

/* For the driver's close and pause. */
void rig_on_closed(void *at);
/* Waits for what was announced by rig_pause or rig_close. */
void rig_wait_closed(rig *at);
/* Something comes from the wire. */
void rig_arrive(const rig *at);
void rig_push(rig *at, mfi_mpsc_node *node);

mfi_role rig_role(rig *at);
/* How many threads wait for the role. */
int rig_waiting(rig *at);
bool rig_until_role(rig *at, mfi_role role);
bool rig_until_waiting(rig *at, int count);
bool rig_until_sleeping(rig *at); /* a caller blocks on the socket */

/* A thread that waits for its waiter's end. */
typedef struct rig_caller {
    rig *at;
    mfi_waiter waiter;
    uint64_t deadline_ns;
    mfi_wait outcome;
    pthread_t thread;
} rig_caller;
void rig_call(rig_caller *caller, rig *at);
/* Joins it. */
mfi_wait rig_outcome(rig_caller *caller);

/* One that waits on this thread: deadline_ns of the past makes one burst at most. */
mfi_wait rig_wait(rig *at, mfi_waiter *waiter, uint64_t deadline_ns);

#endif
