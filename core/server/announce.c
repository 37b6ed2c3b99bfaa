/* The entry of a worker in the service registry, in service mode (no parent spawned the worker). It
 * exists so that parents find the worker by its name.
 *
 * The worker binds a port first and registers then, so that a parent that finds the entry can reach
 * the worker. The worker unregisters after its last answer. */
#include "core/server/announce.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/discovery/endpoint.h"

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

mf_status mfi_announce_init(mfi_announcement *announcement, const mfi_channel *channel,
                            const mfi_child_settings *settings, const mf_child_options *from,
                            mf_runtime *runtime, mf_error *error)
{
    announcement->channel = channel;
    announcement->service_id = settings->service_id;
    if (!settings->registers) {
        return MF_OK;
    }
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = from->registry_directory;
    options.lock_timeout_ms = from->lock_timeout_ms;
    options.runtime = runtime;
    return mf_registry_create(&announcement->registry, &options, error);
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
        atomic_store_explicit(&announcement->registered, true, memory_order_relaxed);
        report(announcement, MFI_SERVICE_REGISTERED, NULL);
    }
    return status;
}

void mfi_announce_unregister(mfi_announcement *announcement)
{
    mf_error error;
    if (!atomic_exchange_explicit(&announcement->registered, false, memory_order_relaxed)) {
        return;
    }
    mfi_error_clear(&error);
    mf_status status =
        mf_registry_unregister(announcement->registry, announcement->service_id, &error);
    /* If the entry stays, readers find it dead once this process has ended. */
    report(announcement, MFI_SERVICE_UNREGISTERED, status != MF_OK ? error.message : NULL);
}
