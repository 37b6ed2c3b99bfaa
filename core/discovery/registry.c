/* The public functions of the registry. Readers take no lock; writers hold all locks. It exists so
 * that the rules of reading and writing stand in one place. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/registry.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/str.h"
#include "core/discovery/cache.h"
#include "core/discovery/change.h"
#include "core/discovery/file.h"
#include "core/discovery/inside.h"
#include "core/discovery/own.h"
#include "core/discovery/watch.h"
#include "core/runtime/runtime.h"

#define LOCK_TIMEOUT_MS 10000 /* the documented default */
/* A single reading waits so long at most for a peer that writes the file in place. */
#define READ_PATIENCE_MS 5000
#define WRITTEN_PAUSE_MS 5
#define LOOK_AGAIN_NS (100 * MFI_NS_PER_MS) /* between two readings without a known change */

struct mf_registry {
    char *directory;
    bool is_default; /* only the registry uses the folder */
    int64_t lock_timeout_ms;
    mf_runtime *runtime; /* or NULL */
    mfi_mutex mutex;
    mfi_registry_watch watch; /* guarded by mutex */
    mfi_registry_cache cache; /* guarded by mutex */
};

/* ---- Life ---- */

static char *find_directory(const char *given)
{
    char *made = NULL;
    const char *home = getenv("HOME");
    if (given != NULL) {
        return strdup(given);
    }
    return asprintf(&made, "%s/.multifrost", home != NULL ? home : "") >= 0 ? made : NULL;
}

mf_status mf_registry_create(mf_registry **ret_registry, const mf_registry_options *options,
                             mf_error *error)
{
    mf_registry_options from;
    const char *home = getenv("HOME");
    if (ret_registry == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_registry is NULL");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_registry_options", error);
    if (status != MF_OK) {
        return status;
    }
    if (from.lock_timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "lock_timeout_ms must not be %lld",
                        (long long)from.lock_timeout_ms);
    }
    if (from.directory != NULL && from.directory[0] == '\0') {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "directory is empty");
    }
    if (from.directory == NULL && (home == NULL || home[0] == '\0')) {
        return mfi_fail(error, MF_ERR_NOT_FOUND, "no directory was given, and HOME is not set");
    }
    mf_registry *made = calloc(1, sizeof *made);
    char *directory = find_directory(from.directory);
    if (made == NULL || directory == NULL) {
        free(made);
        free(directory);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a registry");
    }
    made->directory = directory;
    made->is_default = from.directory == NULL;
    made->lock_timeout_ms = from.lock_timeout_ms != 0 ? from.lock_timeout_ms : LOCK_TIMEOUT_MS;
    made->runtime = from.runtime;
    made->watch = (mfi_registry_watch)MFI_REGISTRY_WATCH_INIT;
    mfi_mutex_init(&made->mutex);
    *ret_registry = made;
    return MF_OK;
}

void mf_registry_destroy(mf_registry *registry)
{
    if (registry != NULL) {
        mfi_registry_watch_close(&registry->watch);
        mfi_registry_cache_clear(&registry->cache);
        mfi_mutex_fini(&registry->mutex);
        free(registry->directory);
        free(registry);
    }
}

const char *mfi_registry_directory(const mf_registry *registry)
{
    return registry->directory;
}

/* ---- What all of them do ---- */

static mfi_registry_result result_of(mf_status status)
{
    if (status == MF_OK || status == MF_ERR_NOT_FOUND) {
        return MFI_REGISTRY_RESULT_OK;
    }
    return status == MF_ERR_EXISTS     ? MFI_REGISTRY_RESULT_CONFLICT
           : status == MF_ERR_TIMEOUT  ? MFI_REGISTRY_RESULT_LOCKED
           : status == MF_ERR_PROTOCOL ? MFI_REGISTRY_RESULT_CORRUPT
                                       : MFI_REGISTRY_RESULT_ERROR;
}

static mf_status report(const mf_registry *registry, mfi_registry_op op, mf_status status,
                        uint64_t lock_wait_ns)
{
    if (registry != NULL && registry->runtime != NULL) {
        mfi_observe_registry(registry->runtime->observer, op, result_of(status), lock_wait_ns);
    }
    return status;
}

static mf_status check_registry(const mf_registry *registry, mf_error *error)
{
    return registry != NULL ? MF_OK : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "registry is NULL");
}

static mf_status check_id(const mf_registry *registry, const char *id, mf_error *error)
{
    mf_status status = check_registry(registry, error);
    if (status != MF_OK || mfi_service_id_valid(id)) {
        return status;
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                    "a service id is UTF-8 of 1 to %d bytes without control characters",
                    MF_SERVICE_ID_MAX - 1);
}

/* ---- Writing ---- */

mf_status mf_registry_register(mf_registry *registry, const char *id, uint16_t port,
                               mf_error *error)
{
    mfi_registry_dir dir = {.fd = -1};
    mfi_registry_change wanted = {.id = id, .port = port, .lock_wait_ns = MFI_NO_LOCK};
    mf_status status = check_id(registry, id, error);
    if (status == MF_OK && port == 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "service '%s' needs a port", id);
    }
    if (status == MF_OK) {
        status = mfi_registry_dir_make(&dir, registry->directory, registry->is_default, error);
    }
    if (status == MF_OK) {
        status = mfi_registry_change_file(&dir, &wanted, registry->lock_timeout_ms, error);
    }
    mfi_registry_dir_close(&dir);
    return report(registry, MFI_REGISTRY_OP_REGISTER, status, wanted.lock_wait_ns);
}

mf_status mf_registry_unregister(mf_registry *registry, const char *id, mf_error *error)
{
    mfi_registry_dir dir = {.fd = -1};
    mfi_registry_change wanted = {.id = id, .lock_wait_ns = MFI_NO_LOCK};
    mf_status status = check_id(registry, id, error);
    if (status == MF_OK) {
        status = mfi_registry_dir_open(&dir, registry->directory, error);
    }
    if (status == MF_OK) {
        status = mfi_registry_change_file(&dir, &wanted, registry->lock_timeout_ms, error);
    } else if (status == MF_ERR_NOT_FOUND) {
        status = MF_OK; /* no folder, no entry */
    }
    if (status == MF_OK) {
        mfi_registry_own_remove(registry->directory, id);
    }
    mfi_registry_dir_close(&dir);
    return report(registry, MFI_REGISTRY_OP_UNREGISTER, status, wanted.lock_wait_ns);
}

/* ---- Reading ---- */

/* Waits between two readings of a file that a peer may be writing. */
static void pause_reading(uint64_t deadline)
{
    int left_ms = mfi_poll_timeout_ms(deadline, mfi_monotonic_ns());
    (void)poll(NULL, 0, left_ms >= 0 && left_ms < WRITTEN_PAUSE_MS ? left_ms : WRITTEN_PAUSE_MS);
}

/* After several readings: an earlier one may have failed. */
static void forget_failure(mf_status status, mf_error *error)
{
    if (status == MF_OK) {
        mfi_error_clear(error);
    }
}

static mf_status load_once(const mf_registry *registry, mfi_registry_file *ret_file,
                           mfi_registry_doubt *ret_doubt, mf_error *error)
{
    mfi_registry_dir dir;
    *ret_doubt = MFI_REGISTRY_SURE;
    mf_status status = mfi_registry_dir_open(&dir, registry->directory, error);
    if (status == MF_OK) {
        status = mfi_registry_file_load(ret_file, &dir, error);
        mfi_registry_dir_close(&dir);
        *ret_doubt = mfi_registry_file_doubt(ret_file);
    }
    return status;
}

static mf_status load(const mf_registry *registry, mfi_registry_file *ret_file, mf_error *error)
{
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), READ_PATIENCE_MS);
    mf_status status = load_once(registry, ret_file, &doubt, error);
    while (doubt == MFI_REGISTRY_WRITTEN && mfi_monotonic_ns() < deadline) {
        mfi_registry_file_unload(ret_file);
        pause_reading(deadline);
        status = load_once(registry, ret_file, &doubt, error);
    }
    forget_failure(status, error);
    return status;
}

static mf_status look_up(mf_registry *registry, const char *id, mf_service *ret_service,
                         mfi_registry_doubt *ret_doubt, mf_error *error)
{
    mfi_registry_entry found;
    mfi_mutex_lock(&registry->mutex);
    registry->cache.doubt = MFI_REGISTRY_SURE;
    mf_status status =
        mfi_registry_cache_find(&registry->cache, registry->directory, id, &found, error);
    *ret_doubt = registry->cache.doubt;
    bool is_blank = registry->cache.file.shape == MFI_REGISTRY_BLANK;
    mfi_mutex_unlock(&registry->mutex);
    if (status == MF_ERR_NOT_FOUND) {
        return mfi_fail(error, MF_ERR_NOT_FOUND, "service '%s' is not there, nor a folder '%s'", id,
                        registry->directory);
    }
    if (status != MF_OK) {
        return status;
    }
    if (mfi_registry_entry_alive(&found)) {
        size_t size = ret_service->struct_size;
        found.service.struct_size = size;
        memcpy(ret_service, &found.service,
               size < sizeof *ret_service ? size : sizeof *ret_service);
        return MF_OK;
    }
    if (found.is_service) {
        return mfi_fail(error, MF_ERR_NOT_FOUND, "service '%s' is gone: its process %lld has ended",
                        id, (long long)found.service.pid);
    }
    return mfi_fail(error, MF_ERR_NOT_FOUND, "service '%s' %s '%s/%s'%s", id,
                    found.id[0] != '\0' ? "has no port and pid in" : "is not in",
                    registry->directory, MFI_REGISTRY_FILE, is_blank ? ", which is empty" : "");
}

int64_t mfi_registry_entered_pid(mf_registry *registry, const char *id)
{
    mfi_registry_entry found;
    mfi_mutex_lock(&registry->mutex);
    mf_status status =
        mfi_registry_cache_find(&registry->cache, registry->directory, id, &found, NULL);
    mfi_mutex_unlock(&registry->mutex);
    return status == MF_OK && found.is_service ? found.service.pid : 0;
}

static mf_status check_find(const mf_registry *registry, const char *id, const mf_service *service,
                            mf_error *error)
{
    if (service == NULL || service->struct_size < sizeof(size_t)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_service is not set by its INIT macro");
    }
    return check_id(registry, id, error);
}

mf_status mf_registry_find(mf_registry *registry, const char *id, mf_service *ret_service,
                           mf_error *error)
{
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), READ_PATIENCE_MS);
    mf_status status = check_find(registry, id, ret_service, error);
    if (status == MF_OK) {
        status = look_up(registry, id, ret_service, &doubt, error);
        while (doubt == MFI_REGISTRY_WRITTEN && mfi_monotonic_ns() < deadline) {
            pause_reading(deadline);
            status = look_up(registry, id, ret_service, &doubt, error);
        }
        forget_failure(status, error);
    }
    return report(registry, MFI_REGISTRY_OP_DISCOVER, status, MFI_NO_LOCK);
}

mf_status mfi_registry_peek(mf_registry *registry, const char *id, mf_service *ret_service,
                            mfi_registry_doubt *ret_doubt, mf_error *error)
{
    return look_up(registry, id, ret_service, ret_doubt, error);
}

mf_status mfi_registry_look(mf_registry *registry, const char *id, mf_service *ret_service,
                            mfi_registry_doubt *ret_doubt, mf_error *error)
{
    mf_status status = look_up(registry, id, ret_service, ret_doubt, error);
    return report(registry, MFI_REGISTRY_OP_DISCOVER, status, MFI_NO_LOCK);
}

/* Waits until the file changes, a short time has passed, or the deadline is reached. A call that
 * begins the watch returns at once, so that the caller reads the file once more. */
static void await_change(const mf_registry *registry, mfi_registry_watch *watch, uint64_t deadline)
{
    uint64_t until = mfi_monotonic_ns() + LOOK_AGAIN_NS;
    until = until < deadline ? until : deadline;
    if (watch->folder < 0 && mfi_registry_watch_open(watch, registry->directory, NULL) == MF_OK) {
        return;
    }
    struct pollfd at = {.fd = watch->folder >= 0 ? watch->fd : -1, .events = POLLIN};
    for (;;) {
        int left_ms = mfi_poll_timeout_ms(until, mfi_monotonic_ns());
        if (left_ms == 0 || (poll(&at, 1, left_ms) > 0 && mfi_registry_watch_drain(watch))) {
            return;
        }
    }
}

mf_status mf_registry_discover(mf_registry *registry, const char *id, int64_t timeout_ms,
                               mf_service *ret_service, mf_error *error)
{
    mfi_registry_watch watch = MFI_REGISTRY_WATCH_INIT;
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    mf_status status = check_find(registry, id, ret_service, error);
    if (status == MF_OK) {
        status = look_up(registry, id, ret_service, &doubt, error);
        /* A file that another language writes in place is incomplete for a moment: it is read
         * again. */
        while ((status == MF_ERR_NOT_FOUND || status == MF_ERR_PROTOCOL) &&
               mfi_monotonic_ns() < deadline) {
            if (doubt == MFI_REGISTRY_WRITTEN) {
                pause_reading(deadline);
            } else {
                await_change(registry, &watch, deadline);
            }
            status = look_up(registry, id, ret_service, &doubt, error);
        }
        forget_failure(status, error);
    }
    mfi_registry_watch_close(&watch);
    return report(registry, MFI_REGISTRY_OP_DISCOVER, status, MFI_NO_LOCK);
}

mf_status mf_registry_list(mf_registry *registry, mf_service_visit_fn visit, void *user_data,
                           mf_error *error)
{
    mfi_registry_file file;
    mfi_registry_entry entry;
    mf_status status = check_registry(registry, error);
    if (status == MF_OK && visit == NULL) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "visit is NULL");
    }
    if (status != MF_OK) {
        return status;
    }
    status = load(registry, &file, error);
    if (status == MF_OK) {
        while (mfi_registry_file_next(&file, &entry)) {
            if (entry.is_service) {
                (void)mfi_registry_entry_alive(&entry);
                visit(&entry.service, user_data);
            }
        }
        mfi_registry_file_unload(&file);
    } else if (status == MF_ERR_NOT_FOUND) {
        status = MF_OK; /* no folder, no entries */
    }
    return report(registry, MFI_REGISTRY_OP_LIST, status, MFI_NO_LOCK);
}

/* ---- Watching ---- */

mf_status mf_registry_wait(mf_registry *registry, int64_t timeout_ms, mf_error *error)
{
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    mf_status status = check_registry(registry, error);
    if (status != MF_OK) {
        return status;
    }
    for (;;) {
        mfi_mutex_lock(&registry->mutex);
        status = mfi_registry_watch_open(&registry->watch, registry->directory, error);
        bool changed = status == MF_OK && mfi_registry_watch_drain(&registry->watch);
        if (changed) {
            mfi_registry_cache_clear(&registry->cache);
        }
        struct pollfd at = {.fd = registry->watch.fd, .events = POLLIN};
        mfi_mutex_unlock(&registry->mutex);
        if (status != MF_OK || changed) {
            return status;
        }
        int left_ms = mfi_poll_timeout_ms(deadline, mfi_monotonic_ns());
        if (left_ms == 0) {
            return mfi_fail(error, MF_ERR_TIMEOUT, "'%s/%s' did not change within %lld ms",
                            registry->directory, MFI_REGISTRY_FILE, (long long)timeout_ms);
        }
        (void)poll(&at, 1, left_ms);
    }
}

int mf_registry_watch_fd(mf_registry *registry)
{
    if (registry == NULL) {
        return -1;
    }
    mfi_mutex_lock(&registry->mutex);
    mf_status status = mfi_registry_watch_open(&registry->watch, registry->directory, NULL);
    int fd = status == MF_OK ? registry->watch.fd : -1;
    mfi_mutex_unlock(&registry->mutex);
    return fd;
}

bool mfi_registry_is_watched(mf_registry *registry)
{
    mfi_mutex_lock(&registry->mutex);
    bool is_watched = registry->watch.folder >= 0;
    mfi_mutex_unlock(&registry->mutex);
    return is_watched;
}
