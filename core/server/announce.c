/* A worker that no parent spawned: it binds a port of its own, then registers. In this order, so
 * that who finds the entry can reach it. */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/server/child.h"

mf_status mfi_service_create(mf_child *child, const mf_child_options *from, mf_error *error)
{
    if (child->service_id == NULL) {
        return MF_OK;
    }
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    options.directory = from->registry_directory;
    options.lock_timeout_ms = from->lock_timeout_ms;
    options.runtime = child->runtime;
    return mf_registry_create(&child->registry, &options, error);
}

void mfi_service_bound(mf_child *child)
{
    int64_t port = 0;
    const char *colon = strrchr(child->transport->endpoint, ':');
    if (colon != NULL && mfi_parse_int(colon + 1, 1, UINT16_MAX, &port)) {
        atomic_store_explicit(&child->bound_port, (uint32_t)port, memory_order_release);
    }
}

uint16_t mf_child_port(mf_child *child)
{
    return child != NULL ? (uint16_t)atomic_load_explicit(&child->bound_port, memory_order_acquire)
                         : 0;
}

/* text NULL: the endpoint. */
static void report(mf_child *child, mfi_service_what what, const char *text)
{
    mfi_service_event event = {.what = what,
                               .service_id = child->service_id,
                               .text = text != NULL ? text : child->transport->endpoint,
                               .pid = (int64_t)getpid()};
    mfi_observe_service_changed(child->runtime->observer, child->observed, &event);
}

/* In the words of all languages, for a worker program to print. */
static mf_status fail_exists(mf_child *child, mf_error *error)
{
    mf_service holder = MF_SERVICE_INIT;
    if (mf_registry_find(child->registry, child->service_id, &holder, NULL) != MF_OK) {
        return mfi_fail(error, MF_ERR_EXISTS, "FATAL: Service '%s' already running",
                        child->service_id); /* it has just ended */
    }
    return mfi_fail(error, MF_ERR_EXISTS,
                    "FATAL: Service '%s' already running (PID: %lld, port: %u)", child->service_id,
                    (long long)holder.pid, (unsigned)holder.port);
}

mf_status mfi_service_register(mf_child *child, mf_error *error)
{
    if (child->registry == NULL) {
        return MF_OK;
    }
    mf_status status =
        mf_registry_register(child->registry, child->service_id, mf_child_port(child), error);
    if (status == MF_ERR_EXISTS) {
        return fail_exists(child, error);
    }
    if (status == MF_OK) {
        atomic_store_explicit(&child->registered, true, memory_order_relaxed);
        report(child, MFI_SERVICE_REGISTERED, NULL);
    }
    return status;
}

void mfi_service_unregister(mf_child *child)
{
    mf_error error;
    if (!atomic_exchange_explicit(&child->registered, false, memory_order_relaxed)) {
        return;
    }
    mfi_error_clear(&error);
    mf_status status = mf_registry_unregister(child->registry, child->service_id, &error);
    /* An entry that stays is found dead by whoever looks, once this process has ended. */
    report(child, MFI_SERVICE_UNREGISTERED, status != MF_OK ? error.message : NULL);
}
