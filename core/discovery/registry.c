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
#include "core/discovery/file.h"
#include "core/discovery/inside.h"
#include "core/discovery/lock.h"
#include "core/discovery/watch.h"
#include "core/runtime/runtime.h"

#define LOCK_TIMEOUT_MS 10000               /* the documented default */
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

typedef struct change {
    const char *id;
    uint16_t port; /* 0: removes the entry */
    int64_t pid;
    uint64_t lock_wait_ns; /* MFI_NO_LOCK: no lock was taken */
} change;

/* Makes the new text: without the entries of ended processes, and with or without our entry. *text
 * stays empty if nothing changes. */
static mf_status edit(mfi_registry_file *file, const change *wanted, mfi_buf *text, mf_error *error)
{
    mfi_registry_entry entry;
    bool changed = wanted->port != 0;
    mfi_registry_text_begin(text);
    while (mfi_registry_file_next(file, &entry)) {
        bool is_wanted = strcmp(entry.id, wanted->id) == 0;
        bool alive = mfi_registry_entry_alive(&entry);
        bool is_dead = entry.is_service && !alive;
        if (is_wanted && wanted->port != 0 && alive) {
            return mfi_fail(error, MF_ERR_EXISTS,
                            "service '%s' is registered by process %lld on port %u already",
                            wanted->id, (long long)entry.service.pid, (unsigned)entry.service.port);
        }
        bool is_replaced = is_wanted && wanted->port != 0;
        bool is_own = is_wanted && entry.is_service && entry.service.pid == wanted->pid;
        if (is_dead || is_replaced || is_own) {
            changed = true;
        } else {
            mfi_registry_text_keep(text, &entry);
        }
    }
    if (wanted->port != 0) {
        mfi_registry_text_add(text, wanted->id, wanted->port, wanted->pid);
    }
    mfi_registry_text_end(text);
    if (!changed) {
        mfi_buf_clear(text);
    }
    return MF_OK;
}

/* Puts the text in place at once. If another process changed the file meanwhile, sets *ret_raced
 * instead. */
static mf_status publish(const mfi_registry_lock *lock, const mfi_registry_file *file,
                         const mfi_buf *text, bool *ret_raced, mf_error *error)
{
    char name[MFI_TEMP_NAME_MAX];
    const mfi_registry_dir *dir = lock->dir;
    mf_status status = mfi_temp_write(dir, name, text->data, text->size, error);
    if (status != MF_OK) {
        return status;
    }
    *ret_raced = !mfi_registry_file_current(file, dir) || !mfi_registry_lock_kept(lock);
    if (!*ret_raced && renameat(dir->fd, name, dir->fd, MFI_REGISTRY_FILE) == 0) {
        return MF_OK;
    }
    if (!*ret_raced) {
        status = mfi_fail_errno(error, MF_ERR_IO, errno, "cannot replace '%s/%s'", dir->path,
                                MFI_REGISTRY_FILE);
    }
    (void)unlinkat(dir->fd, name, 0);
    return status;
}

/* All locks are held. */
static mf_status change_locked(const mfi_registry_lock *lock, const change *wanted, bool *ret_raced,
                               mf_error *error)
{
    mfi_buf text;
    mfi_registry_file file;
    const mfi_registry_dir *dir = lock->dir;
    mf_status status = mfi_registry_file_load(&file, dir, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_buf_init(&text, MFI_REGISTRY_FILE_MAX);
    status = edit(&file, wanted, &text, error);
    if (status == MF_OK && text.failed) {
        status = mfi_fail(error, MF_ERR_IO, "'%s/%s' would grow beyond %zu bytes, or out of memory",
                          dir->path, MFI_REGISTRY_FILE, MFI_REGISTRY_FILE_MAX);
    }
    if (status == MF_OK && text.size > 0) {
        status = publish(lock, &file, &text, ret_raced, error);
    }
    mfi_buf_fini(&text);
    mfi_registry_file_unload(&file);
    return status;
}

static mf_status change_once(const mfi_registry_dir *dir, change *wanted, uint64_t deadline,
                             bool *ret_raced, mf_error *error)
{
    mfi_registry_lock lock;
    uint64_t start = mfi_monotonic_ns();
    *ret_raced = false;
    mf_status status = mfi_registry_lock_take(&lock, dir, deadline, error);
    wanted->lock_wait_ns += mfi_monotonic_ns() - start;
    if (status == MF_OK) {
        status = change_locked(&lock, wanted, ret_raced, error);
        mfi_registry_lock_release(&lock);
    }
    return status;
}

static mf_status change_file(const mf_registry *registry, const mfi_registry_dir *dir,
                             change *wanted, mf_error *error)
{
    bool raced = false;
    wanted->lock_wait_ns = 0;
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), registry->lock_timeout_ms);
    mf_status status = change_once(dir, wanted, deadline, &raced, error);
    while (status == MF_OK && raced) {
        if (mfi_monotonic_ns() >= deadline) {
            return mfi_fail(error, MF_ERR_TIMEOUT, "'%s/%s' is changed by others all the time",
                            dir->path, MFI_REGISTRY_FILE);
        }
        status = change_once(dir, wanted, deadline, &raced, error);
    }
    mfi_temp_sweep(dir);
    return status;
}

mf_status mf_registry_register(mf_registry *registry, const char *id, uint16_t port,
                               mf_error *error)
{
    mfi_registry_dir dir = {.fd = -1};
    change wanted = {.id = id, .port = port, .pid = getpid(), .lock_wait_ns = MFI_NO_LOCK};
    mf_status status = check_id(registry, id, error);
    if (status == MF_OK && port == 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "service '%s' needs a port", id);
    }
    if (status == MF_OK) {
        status = mfi_registry_dir_make(&dir, registry->directory, registry->is_default, error);
    }
    if (status == MF_OK) {
        status = change_file(registry, &dir, &wanted, error);
    }
    mfi_registry_dir_close(&dir);
    return report(registry, MFI_REGISTRY_OP_REGISTER, status, wanted.lock_wait_ns);
}

mf_status mf_registry_unregister(mf_registry *registry, const char *id, mf_error *error)
{
    mfi_registry_dir dir = {.fd = -1};
    change wanted = {.id = id, .pid = getpid(), .lock_wait_ns = MFI_NO_LOCK};
    mf_status status = check_id(registry, id, error);
    if (status == MF_OK) {
        status = mfi_registry_dir_open(&dir, registry->directory, error);
    }
    if (status == MF_OK) {
        status = change_file(registry, &dir, &wanted, error);
    } else if (status == MF_ERR_NOT_FOUND) {
        status = MF_OK; /* no folder, no entry */
    }
    mfi_registry_dir_close(&dir);
    return report(registry, MFI_REGISTRY_OP_UNREGISTER, status, wanted.lock_wait_ns);
}

/* ---- Reading ---- */

static mf_status load(const mf_registry *registry, mfi_registry_file *ret_file, mf_error *error)
{
    mfi_registry_dir dir;
    mf_status status = mfi_registry_dir_open(&dir, registry->directory, error);
    if (status == MF_OK) {
        status = mfi_registry_file_load(ret_file, &dir, error);
        mfi_registry_dir_close(&dir);
    }
    return status;
}

static mf_status look_up(mf_registry *registry, const char *id, mf_service *ret_service,
                         mf_error *error)
{
    mfi_registry_entry found;
    mfi_mutex_lock(&registry->mutex);
    mf_status status =
        mfi_registry_cache_find(&registry->cache, registry->directory, id, &found, error);
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
    return mfi_fail(error, MF_ERR_NOT_FOUND, "service '%s' %s '%s/%s'", id,
                    found.id[0] != '\0' ? "has no port and pid in" : "is not in",
                    registry->directory, MFI_REGISTRY_FILE);
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
    mf_status status = check_find(registry, id, ret_service, error);
    if (status == MF_OK) {
        status = look_up(registry, id, ret_service, error);
    }
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
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    mf_status status = check_find(registry, id, ret_service, error);
    if (status == MF_OK) {
        status = look_up(registry, id, ret_service, error);
        /* A file that another language writes in place is incomplete for a moment: it is read
         * again. */
        while ((status == MF_ERR_NOT_FOUND || status == MF_ERR_PROTOCOL) &&
               mfi_monotonic_ns() < deadline) {
            await_change(registry, &watch, deadline);
            status = look_up(registry, id, ret_service, error);
        }
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
