/**
 * @file registry.h
 * The service registry: which services run on this machine, and on which port.
 *
 * The registry is the file `services.json`, which all languages share. Services register and
 * parents discover by themselves. These functions are for tools, and for programs that read the
 * registry or wait for its changes.
 */
#ifndef MULTIFROST_REGISTRY_H
#define MULTIFROST_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>

MF_EXTERN_C_BEGIN

/** A view of one registry. Thread-safe, except mf_registry_wait(): one thread at a time. */
typedef struct mf_registry mf_registry;

#define MF_SERVICE_ID_MAX 257 /**< Bytes of a service id, NUL included. */
#define MF_STARTED_MAX 40     /**< Bytes of mf_service.started, NUL included. */

/** Set by MF_REGISTRY_OPTIONS_INIT; zero means the default. Copied. */
typedef struct mf_registry_options {
    size_t struct_size;
    const char *directory;   /**< Where services.json is; default "$HOME/.multifrost", which is
                                  made 0700. A directory or file of another user (but root), or
                                  to which others may write, is refused with MF_ERR_IO. */
    int64_t lock_timeout_ms; /**< Wait for the locks of all languages, and for services.json while
                                  it is empty or cut; default 10,000. */
    mf_runtime *runtime;     /**< Its metrics count the operations; NULL: they are not counted.
                                  Must outlive the registry. */
} mf_registry_options;
#define MF_REGISTRY_OPTIONS_INIT MF_DETAIL_INIT(mf_registry_options)

/** One entry of the registry. Set by MF_SERVICE_INIT. */
typedef struct mf_service {
    size_t struct_size;
    char id[MF_SERVICE_ID_MAX];
    int64_t pid;
    uint16_t port;
    bool alive;                   /**< The process that registered still runs. An entry with the
                                       pid of this process is alive only if this process made it. */
    char started[MF_STARTED_MAX]; /**< As its language wrote it, or "". */
} mf_service;
#define MF_SERVICE_INIT MF_DETAIL_INIT(mf_service)

/**
 * Opens a view. Touches no file yet.
 *
 * @param ret_registry Not NULL. On MF_OK a view for mf_registry_destroy(); untouched on failure.
 * @param options      NULL for defaults. Copied.
 * @param error        NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_NOT_FOUND without a directory and without HOME;
 *         MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_registry_create(mf_registry **ret_registry,
                                                 const mf_registry_options *options,
                                                 mf_error *error);
/** Frees the view. The entries stay. @param registry NULL is a no-op.
 *  @par Threads No other thread may use the view any more. */
MF_API void mf_registry_destroy(mf_registry *registry);

/**
 * Registers this process under a name. The port must be bound before. Also removes the entries of
 * processes that have ended, as mf_registry_unregister() does. An entry with the pid of this
 * process that an earlier process left is replaced.
 *
 * While services.json is empty or cut, a peer may be writing it in place: the call looks again, for
 * lock_timeout_ms at most. A file that stays empty is written over, one that stays cut is not.
 *
 * @param registry Borrowed; not NULL.
 * @param id       UTF-8, 1 to 256 bytes, without control characters. Copied.
 * @param port     The bound port; not 0.
 * @param error    NULL, or filled on failure.
 * @return MF_OK; MF_ERR_EXISTS if a live process has the name, naming its pid and port;
 *         MF_ERR_TIMEOUT naming the lock and its holder; MF_ERR_PROTOCOL naming the file and the
 *         offset of the fault (the file is left unchanged); MF_ERR_IO naming the file, folder or
 *         lock, also a lock that is a folder, a link or a pipe where it must not be one;
 *         MF_ERR_INVALID_ARGUMENT; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking At most lock_timeout_ms, and the file's input and output.
 */
MF_API MF_NODISCARD mf_status mf_registry_register(mf_registry *registry, const char *id,
                                                   uint16_t port, mf_error *error);
/**
 * Removes this process's entry. The entry of another process is left unchanged.
 *
 * @param registry Borrowed; not NULL.
 * @param id       As for mf_registry_register().
 * @param error    NULL, or filled on failure.
 * @return As mf_registry_register(), without MF_ERR_EXISTS. MF_OK also if there is no entry.
 * @par Threads  Thread-safe.
 * @par Blocking As mf_registry_register().
 */
MF_API mf_status mf_registry_unregister(mf_registry *registry, const char *id, mf_error *error);

/**
 * Looks a live service up once. Takes no lock. While services.json is empty or cut and was changed
 * less than two seconds ago, a peer may be writing it in place: the call looks again.
 *
 * @param registry    Borrowed; not NULL.
 * @param id          As for mf_registry_register().
 * @param ret_service Set by MF_SERVICE_INIT. Filled on MF_OK.
 * @param error       NULL, or filled on failure.
 * @return MF_OK; MF_ERR_NOT_FOUND (no entry, or its process has ended; the text says which);
 *         MF_ERR_PROTOCOL; MF_ERR_IO; MF_ERR_INVALID_ARGUMENT; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking As long as a peer may be writing the file: two seconds, five at most.
 */
MF_API MF_NODISCARD mf_status mf_registry_find(mf_registry *registry, const char *id,
                                               mf_service *ret_service, mf_error *error);
/**
 * Waits until a live service is registered. Reads the file at once when it changes, and every 100
 * ms; also a file that is empty, cut or broken.
 *
 * @param registry    Borrowed; not NULL.
 * @param id          As for mf_registry_register().
 * @param timeout_ms  0 looks once.
 * @param ret_service Set by MF_SERVICE_INIT. Filled on MF_OK.
 * @param error       NULL, or filled on failure.
 * @return As mf_registry_find(); MF_ERR_NOT_FOUND after timeout_ms.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_registry_discover(mf_registry *registry, const char *id,
                                                   int64_t timeout_ms, mf_service *ret_service,
                                                   mf_error *error);

/**
 * Runs for every entry, dead ones too, in the file's order. Must not use the registry.
 *
 * @param service   Borrowed until the return.
 * @param user_data As given to mf_registry_list().
 * @par Threads The thread of mf_registry_list().
 */
typedef void (*mf_service_visit_fn)(const mf_service *service, void *user_data);
/**
 * Shows all entries. Takes no lock. A missing file has no entries, nor has an empty one. Looks
 * again as mf_registry_find() does.
 *
 * @param registry  Borrowed; not NULL.
 * @param visit     Not NULL.
 * @param user_data Passed to visit.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_PROTOCOL; MF_ERR_IO; MF_ERR_NO_MEMORY; MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_registry_list(mf_registry *registry, mf_service_visit_fn visit,
                                               void *user_data, mf_error *error);

/**
 * Waits until the file changes. A change between two waits counts for the second. The first wait
 * begins to watch.
 *
 * @param registry   Borrowed; not NULL.
 * @param timeout_ms 0 only checks.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TIMEOUT; MF_ERR_IO if there is no directory to watch;
 *         MF_ERR_INVALID_ARGUMENT; MF_ERR_SYSTEM.
 * @par Threads  One thread at a time.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_registry_wait(mf_registry *registry, int64_t timeout_ms,
                                               mf_error *error);
/**
 * Gives a descriptor for poll sets. It is readable when mf_registry_wait() would not block.
 *
 * @param registry Borrowed; NULL gives -1.
 * @return Belongs to the registry; -1 if the directory cannot be watched.
 * @par Threads Thread-safe.
 */
MF_API int mf_registry_watch_fd(mf_registry *registry);

MF_EXTERN_C_END

#endif
