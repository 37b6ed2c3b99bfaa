#include "driver_rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- The driver's operations ---- */

static void enter(rig *at)
{
    int inside = atomic_fetch_add(&at->inside, 1) + 1;
    if (inside > atomic_load(&at->most_inside)) {
        atomic_store(&at->most_inside, inside);
    }
    (void)atomic_fetch_add(mfi_loop_on_thread(at->loop) ? &at->engine_bursts : &at->caller_bursts,
                           1);
}

static void leave(rig *at)
{
    if (atomic_exchange(&at->stops, false)) {
        sem_post(&at->in_burst);
        while (sem_wait(&at->leave_burst) != 0) {
        }
    }
    atomic_fetch_sub(&at->inside, 1);
}

static void take_arrivals(rig *at)
{
    uint64_t count = 0;
    ssize_t got = read(at->socket_fd, &count, sizeof count);
    for (uint64_t i = 0; got > 0 && i < count; i++) {
        int number = atomic_fetch_add(&at->received, 1);
        mfi_waiter *waiter = number < RIG_EXPECTED_MAX ? atomic_load(&at->expected[number]) : NULL;
        if (waiter != NULL) {
            mfi_waiter_done(waiter);
        }
    }
}

static bool burst(void *self, const mfi_waiter *until)
{
    rig *at = self;
    (void)until;
    enter(at);
    while (mfi_mpsc_pop(&at->driver.queue) != NULL) {
        atomic_fetch_add(&at->sent, 1);
    }
    take_arrivals(at);
    bool left = atomic_load(&at->busy) > 0 && atomic_fetch_sub(&at->busy, 1) > 0;
    leave(at);
    return !left;
}

static bool needs_watch(void *self)
{
    return atomic_load(&((rig *)self)->watch);
}

static bool has_more(void *self)
{
    return !mfi_mpsc_empty(&((rig *)self)->driver.queue);
}

static const mfi_driver_ops ops = {
    .burst = burst, .needs_watch = needs_watch, .has_more = has_more};

/* ---- On the engine thread ---- */

void rig_on_closed(void *data)
{
    sem_post(&((rig *)data)->closed);
}

static void open_driver(void *data)
{
    rig *at = data;
    mf_check_int(mfi_driver_open(&at->driver, at->socket_fd, NULL), MF_OK);
}

static void pause_driver(void *data)
{
    rig *at = data;
    mfi_driver_pause(&at->driver, rig_on_closed, at);
}

static void close_driver(void *data)
{
    rig *at = data;
    mfi_driver_close(&at->driver, rig_on_closed, at);
}

static void reopen_driver(void *data)
{
    mfi_driver_reopen(&((rig *)data)->driver);
}

typedef struct look {
    rig *at;
    bool open;
    int bursts;
} look;

static void look_now(void *data)
{
    look *request = data;
    int before = atomic_load(&request->at->engine_bursts);
    request->open = mfi_driver_look(&request->at->driver);
    request->bursts = atomic_load(&request->at->engine_bursts) - before;
}

static void fire_tick(void *data)
{
    mfi_timer *tick = &((rig *)data)->driver.tick;
    tick->fire(tick);
}

static void do_nothing(void *data)
{
    (void)data;
}

void rig_open(rig *at)
{
    mfi_loop_call(at->loop, open_driver, at);
}

void rig_pause(rig *at)
{
    mfi_loop_call(at->loop, pause_driver, at);
}

void rig_close(rig *at)
{
    mfi_loop_call(at->loop, close_driver, at);
}

void rig_reopen(rig *at)
{
    mfi_loop_call(at->loop, reopen_driver, at);
}

bool rig_look(rig *at, int *ret_bursts)
{
    look request = {.at = at};
    mfi_loop_call(at->loop, look_now, &request);
    *ret_bursts = request.bursts;
    return request.open;
}

void rig_tick(rig *at)
{
    mfi_loop_call(at->loop, fire_tick, at);
}

void rig_settle(rig *at)
{
    mfi_loop_call(at->loop, do_nothing, NULL);
    mfi_loop_call(at->loop, do_nothing, NULL);
}

/* ---- Life ---- */

void rig_init(rig *at, uint64_t tick_ns)
{
    memset(at, 0, sizeof *at);
    at->socket_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sem_init(&at->in_burst, 0, 0);
    sem_init(&at->leave_burst, 0, 0);
    sem_init(&at->closed, 0, 0);
    mf_check_int(mfi_loop_create(&at->loop, mfi_clock_system(), NULL, NULL, NULL), MF_OK);
    mf_check_int(mfi_driver_init(&at->driver, at->loop, &ops, at, tick_ns, NULL), MF_OK);
}

void rig_fini(rig *at)
{
    if (!at->driver.finished) {
        rig_close(at);
        rig_wait_closed(at);
    }
    mfi_loop_destroy(at->loop);
    mfi_driver_fini(&at->driver);
    (void)close(at->socket_fd);
    sem_destroy(&at->in_burst);
    sem_destroy(&at->leave_burst);
    sem_destroy(&at->closed);
    mf_check(atomic_load(&at->most_inside) <= 1);
}

static bool is_closed(void *data)
{
    return sem_trywait(&((rig *)data)->closed) == 0;
}

void rig_wait_closed(rig *at)
{
    mf_check(mf_test_until(is_closed, at, MF_TEST_PATIENCE_MS));
    rig_settle(at); /* who posted has also returned */
}

/* ---- The wire, and the queue ---- */

void rig_arrive(const rig *at)
{
    uint64_t one = 1;
    mf_check_int(write(at->socket_fd, &one, sizeof one), sizeof one);
}

void rig_push(rig *at, mfi_mpsc_node *node)
{
    mfi_mpsc_push(&at->driver.queue, node);
}

/* ---- What there is ---- */

mfi_role rig_role(rig *at)
{
    mfi_mutex_lock(&at->driver.mutex);
    mfi_role role = at->driver.role;
    mfi_mutex_unlock(&at->driver.mutex);
    return role;
}

int rig_waiting(rig *at)
{
    int count = 0;
    mfi_mutex_lock(&at->driver.mutex);
    for (const mfi_list_node *node = at->driver.waiters.first; node != NULL; node = node->next) {
        count++;
    }
    mfi_mutex_unlock(&at->driver.mutex);
    return count;
}

typedef struct wanted {
    rig *at;
    mfi_role role;
    int waiting;
} wanted;

static bool has_role(void *data)
{
    const wanted *want = data;
    return rig_role(want->at) == want->role;
}

static bool has_waiting(void *data)
{
    const wanted *want = data;
    return rig_waiting(want->at) == want->waiting;
}

static bool is_sleeping(void *data)
{
    return atomic_load(&((rig *)data)->driver.sleeping);
}

bool rig_until_role(rig *at, mfi_role role)
{
    wanted want = {.at = at, .role = role};
    return mf_test_until(has_role, &want, MF_TEST_PATIENCE_MS);
}

bool rig_until_waiting(rig *at, int count)
{
    wanted want = {.at = at, .waiting = count};
    return mf_test_until(has_waiting, &want, MF_TEST_PATIENCE_MS);
}

bool rig_until_sleeping(rig *at)
{
    return mf_test_until(is_sleeping, at, MF_TEST_PATIENCE_MS);
}

/* ---- Callers ---- */

static void *run_caller(void *data)
{
    rig_caller *caller = data;
    caller->outcome = mfi_driver_wait(&caller->at->driver, &caller->waiter, caller->deadline_ns);
    return NULL;
}

void rig_call(rig_caller *caller, rig *at)
{
    caller->at = at;
    caller->deadline_ns = MFI_NEVER;
    mfi_waiter_init(&caller->waiter);
    mf_check_int(pthread_create(&caller->thread, NULL, run_caller, caller), 0);
}

mfi_wait rig_outcome(rig_caller *caller)
{
    pthread_join(caller->thread, NULL);
    return caller->outcome;
}

mfi_wait rig_wait(rig *at, mfi_waiter *waiter, uint64_t deadline_ns)
{
    mfi_waiter_init(waiter);
    return mfi_driver_wait(&at->driver, waiter, deadline_ns);
}
