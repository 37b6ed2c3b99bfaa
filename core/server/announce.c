/* The entry of a worker in the service registry, in service mode (no parent spawned the worker). It
 * exists so that parents find the worker by its name.
 *
 * The worker binds a port first and registers then, so that a parent that finds the entry can reach
 * the worker. A worker that stops unregisters first and goes on answering for a while, so that
 * parents can hold their calls back.
 *
 * Between the two, the keeper watches the registry. Peers in other languages lose entries: each has
 * a lock that the others ignore, and a file can be removed or replaced by hand. The keeper enters
 * the worker again, unless another live service has taken the name. The keeper is a thread, because
 * taking the locks may last. For the same reason the keeper takes the entry out at the end. */
#include "core/server/announce.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mutex.h"
#include "base/str.h"
#include "core/discovery/endpoint.h"
#include "core/discovery/inside.h"

/* The keeper waits so long for the locks, and then looks again; it must end soon at a stop. */
#define KEEPER_LOCK_MS 1000
/* Between two looks where changes cannot be watched, or after a failure. An entry is back within a
 * second. */
#define KEEPER_LOOK_MS 250
/* When its entry has been gone for so long, a service refuses calls, because parents of other
 * languages do not hold theirs back. Ours do for longer than that (core/client/link/found.c). */
#define LEAVE_OPEN_MS 800
/* After so much more time, calls that still wait are cancelled. Both chosen, not measured. */
#define LEAVE_ANSWER_MS 2200

/* Text NULL: the endpoint is reported. */
static void report(const mfi_announcement *announcement, mfi_service_what what, const char *text)
{
    mfi_service_event event = {.what = what,
                               .service_id = announcement->service_id,
                               .text =
                                   text != NULL ? text : announcement->channel->transport->endpoint,
                               .pid = (int64_t)getpid()};
    mfi_observe_service_changed(announcement->channel->observed, &event);
}

static mf_status make_registry(mf_registry **ret_registry, const mf_child_options *from,
                               int64_t lock_timeout_ms, mf_runtime *runtime, mf_error *error)
{
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = from->registry_directory;
    options.lock_timeout_ms = lock_timeout_ms;
    options.runtime = runtime;
    return mf_registry_create(ret_registry, &options, error);
}

mf_status mfi_announce_init(mfi_announcement *announcement, mfi_channel *channel,
                            mfi_child_state *state, const mfi_child_settings *settings,
                            const mf_child_options *from, mf_runtime *runtime, mf_error *error)
{
    int64_t given_ms = from->lock_timeout_ms;
    int64_t kept_ms = given_ms > 0 && given_ms < KEEPER_LOCK_MS ? given_ms : KEEPER_LOCK_MS;
    announcement->channel = channel;
    announcement->service_id = settings->service_id;
    announcement->state = state;
    announcement->stop_fd = -1;
    if (!settings->registers) {
        return MF_OK;
    }
    announcement->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (announcement->stop_fd < 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make an eventfd for '%s'",
                              announcement->service_id);
    }
    state->leave_fd = announcement->stop_fd;
    mf_status status = make_registry(&announcement->registry, from, given_ms, runtime, error);
    return status == MF_OK ? make_registry(&announcement->kept, from, kept_ms, runtime, error)
                           : status;
}

void mfi_announce_bound(mfi_announcement *announcement, const char *address)
{
    int64_t port = 0;
    const char *colon = strrchr(announcement->channel->transport->endpoint, ':');
    if (colon != NULL && mfi_parse_int(colon + 1, 1, UINT16_MAX, &port)) {
        atomic_store_explicit(&announcement->bound_port, (uint32_t)port, memory_order_release);
    }
    if (!mfi_address_is_loopback(address)) {
        report(announcement, MFI_SERVICE_EXPOSED, NULL);
    } else if (announcement->registry == NULL) {
        report(announcement, MFI_SERVICE_BOUND, NULL);
    }
}

void mfi_announce_fini(mfi_announcement *announcement)
{
    mf_registry_destroy(announcement->registry);
    mf_registry_destroy(announcement->kept);
    if (announcement->channel != NULL && announcement->stop_fd >= 0) {
        (void)close(announcement->stop_fd);
    }
}

uint16_t mfi_announce_port(const mfi_announcement *announcement)
{
    return (uint16_t)atomic_load_explicit(&announcement->bound_port, memory_order_acquire);
}

bool mfi_announce_is_registered(const mfi_announcement *announcement)
{
    return atomic_load_explicit(&announcement->registered, memory_order_relaxed);
}

/* The text is the same in all languages, because worker programs print it. */
static mf_status fail_exists(const mfi_announcement *announcement, mf_error *error)
{
    mf_service holder = MF_SERVICE_INIT;
    if (mf_registry_find(announcement->registry, announcement->service_id, &holder, NULL) !=
        MF_OK) {
        return mfi_fail(error, MF_ERR_EXISTS, "FATAL: Service '%s' already running",
                        announcement->service_id); /* the other process has just ended */
    }
    return mfi_fail(error, MF_ERR_EXISTS,
                    "FATAL: Service '%s' already running (PID: %lld, port: %u)",
                    announcement->service_id, (long long)holder.pid, (unsigned)holder.port);
}

/* ---- The keeper ---- */

static void set_registered(mfi_announcement *announcement, bool registered)
{
    atomic_store_explicit(&announcement->registered, registered, memory_order_relaxed);
}

static bool enter(mfi_announcement *announcement, uint16_t port)
{
    mf_status status =
        mf_registry_register(announcement->kept, announcement->service_id, port, NULL);
    if (status == MF_OK) {
        set_registered(announcement, true);
        report(announcement, MFI_SERVICE_REGISTERED, NULL);
    }
    return status == MF_OK;
}

/* Looks for the entry. Returns the time until the next look in milliseconds; -1: at a change.
 * *watches becomes false if a change must not bring that look forward: an attempt to make the entry
 * changes the folder itself, so that failing attempts would follow each other without a pause. */
static int keep(mfi_announcement *announcement, bool *watches)
{
    mf_service found = MF_SERVICE_INIT;
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    uint16_t port = mfi_announce_port(announcement);
    mf_status status =
        mfi_registry_peek(announcement->kept, announcement->service_id, &found, &doubt, NULL);
    bool is_gone = status == MF_ERR_NOT_FOUND && doubt == MFI_REGISTRY_SURE;
    bool is_own = status == MF_OK && found.pid == getpid() && found.port == port;
    if (status == MF_OK) { /* another live service may have taken the name */
        set_registered(announcement, is_own);
    } else if (is_gone) {
        set_registered(announcement, false);
        *watches = enter(announcement, port) && *watches;
    }
    return is_own && *watches ? -1 : KEEPER_LOOK_MS;
}

static void take_out(mfi_announcement *announcement)
{
    mf_error error;
    mfi_error_clear(&error);
    set_registered(announcement, false);
    mf_status status =
        mf_registry_unregister(announcement->registry, announcement->service_id, &error);
    /* If the entry stays, readers find it dead once this process has ended. */
    report(announcement, MFI_SERVICE_UNREGISTERED, status != MF_OK ? error.message : NULL);
}

/* True if the run thread ends the keeper within that time. */
static bool is_ended_in(const mfi_announcement *announcement, int ms)
{
    struct pollfd at = {.fd = announcement->stop_fd, .events = POLLIN};
    return poll(&at, 1, ms) != 0;
}

/* The entry is gone. The run thread may be in a handler meanwhile, so the keeper has the clock. */
static void end_calls(mfi_announcement *announcement)
{
    eventfd_t one = 0;
    mfi_child_state *state = announcement->state;
    (void)!eventfd_read(announcement->stop_fd, &one); /* of the two writes, the first */
    atomic_store_explicit(&state->gone_ns, mfi_monotonic_ns(), memory_order_release);
    (void)mfi_driver_kick(state->driver);
    if (is_ended_in(announcement, LEAVE_OPEN_MS)) {
        return;
    }
    atomic_store_explicit(&state->refusing, true, memory_order_relaxed);
    (void)mfi_driver_kick(state->driver);
    if (!is_ended_in(announcement, LEAVE_ANSWER_MS)) {
        mfi_child_state_cancel(state);
        (void)mfi_driver_kick(state->driver);
    }
}

static void *run_keeper(void *argument)
{
    mfi_announcement *announcement = argument;
    struct pollfd at[2] = {{.fd = announcement->stop_fd, .events = POLLIN}, {.events = POLLIN}};
    while ((at[0].revents & POLLIN) == 0) {
        /* Watched before the file is read, so that no change is missed between the two. */
        at[1].fd = mf_registry_watch_fd(announcement->kept);
        if (at[1].fd >= 0) {
            (void)!mf_registry_wait(announcement->kept, 0, NULL);
        }
        bool watches = at[1].fd >= 0;
        int wait_ms = keep(announcement, &watches);
        (void)poll(at, watches ? 2 : 1, wait_ms);
    }
    take_out(announcement);
    end_calls(announcement);
    return NULL;
}

static mf_status start_keeper(mfi_announcement *announcement, mf_error *error)
{
    int failed = mfi_thread_start(&announcement->keeper, "mf-keeper", run_keeper, announcement);
    announcement->is_kept = failed == 0;
    return failed == 0 ? MF_OK
                       : mfi_fail_errno(error, MF_ERR_SYSTEM, failed,
                                        "cannot start the thread that keeps the entry of '%s'",
                                        announcement->service_id);
}

/* ---- Register and unregister ---- */

mf_status mfi_announce_register(mfi_announcement *announcement, mf_error *error)
{
    if (announcement->registry == NULL) {
        return MF_OK;
    }
    mf_status status = mf_registry_register(announcement->registry, announcement->service_id,
                                            mfi_announce_port(announcement), error);
    if (status == MF_ERR_EXISTS) {
        return fail_exists(announcement, error);
    }
    if (status == MF_OK) {
        set_registered(announcement, true);
        report(announcement, MFI_SERVICE_REGISTERED, NULL);
        status = start_keeper(announcement, error);
    }
    if (status != MF_OK) {
        mfi_announce_unregister(announcement);
    }
    return status;
}

void mfi_announce_unregister(mfi_announcement *announcement)
{
    if (announcement->is_kept) {
        mfi_child_state_leave(announcement->state);
        (void)eventfd_write(announcement->stop_fd, 1);
        (void)pthread_join(announcement->keeper, NULL);
        announcement->is_kept = false;
    } else if (mfi_announce_is_registered(announcement)) { /* the keeper could not be started */
        take_out(announcement);
    }
}
