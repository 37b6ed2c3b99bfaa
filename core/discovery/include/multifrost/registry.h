/**
 * @file registry.h
 * The service registry: which services run on this machine, and on which port.
 *
 * It is the file `services.json` that all languages share. Services register and parents discover
 * by themselves; these functions are for tools, and for programs that want to see it or wait for
 * its changes.
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

/** A view of one registry. Thread-safe, but for mf_registry_wait(): one thread at a time. */
typedef struct mf_registry mf_registry;

#define MF_SERVICE_ID_MAX 257 /**< Bytes of a service id, NUL included. */
#define MF_STARTED_MAX 40     /**< Bytes of mf_service.started, NUL included. */

/** Set by MF_REGISTRY_OPTIONS_INIT; zero means the default. Copied. */
typedef struct mf_registry_options {
    size_t struct_size;
    const char *directory;   /**< Where services.json is; default "$HOME/.multifrost", which is
                                  kept closed to other users. One of another user is refused. */
    int64_t lock_timeout_ms; /**< For the locks of all languages together; default 10,000. */
    mf_runtime *runtime;     /**< Its metrics count the operations; NULL: nothing does. Must
                                  outlive the registry. */
} mf_registry_options;
#define MF_REGISTRY_OPTIONS_INIT MF_DETAIL_INIT(mf_registry_options)

/** One entry. */
typedef struct mf_service {
    size_t struct_size;
    char id[MF_SERVICE_ID_MAX];
    int64_t pid;
    uint16_t port;
    bool alive;                   /**< Its process exists, and is the one that registered. */
    char started[MF_STARTED_MAX]; /**< As its language wrote it, or "". */
} mf_service;
#define MF_SERVICE_INIT MF_DETAIL_INIT(mf_service)

/**
 * Opens a view; touches no file yet.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_NOT_FOUND without a directory and without HOME;
 *         MF_ERR_NO_MEMORY.
 */
MF_API MF_NODISCARD mf_status mf_registry_create(mf_registry **ret_registry,
                                                 const mf_registry_options *options,
                                                 mf_error *error);
/** Frees; entries stay. NULL is a no-op. */
MF_API void mf_registry_destroy(mf_registry *registry);

/**
 * Enters this process under a name, which must be reachable on the port already. Takes out the
 * entries of processes that have ended, as mf_registry_unregister() does.
 * @param id UTF-8 of 1 to 256 bytes without control characters.
 * @return MF_OK; MF_ERR_EXISTS while a live process has the name, naming its pid and port;
 *         MF_ERR_TIMEOUT naming the lock and its holder; MF_ERR_PROTOCOL naming file and offset of
 *         what is broken (the file is left as it is); MF_ERR_IO naming the file;
 *         MF_ERR_INVALID_ARGUMENT; MF_ERR_NO_MEMORY.
 * @par Blocking At most lock_timeout_ms and the file's input and output.
 */
MF_API MF_NODISCARD mf_status mf_registry_register(mf_registry *registry, const char *id,
                                                   uint16_t port, mf_error *error);
/** Takes this process's entry out; that of another process, or none, is left as it is.
 *  @return As mf_registry_register(), without MF_ERR_EXISTS. */
MF_API mf_status mf_registry_unregister(mf_registry *registry, const char *id, mf_error *error);

/**
 * Looks a live service up once, without any lock.
 * @param ret_service Set by MF_SERVICE_INIT.
 * @return MF_OK; MF_ERR_NOT_FOUND (absent, or its process is gone: the text says which);
 *         MF_ERR_PROTOCOL; MF_ERR_IO; MF_ERR_INVALID_ARGUMENT; MF_ERR_NO_MEMORY.
 */
MF_API MF_NODISCARD mf_status mf_registry_find(mf_registry *registry, const char *id,
                                               mf_service *ret_service, mf_error *error);
/**
 * Looks until a live service is there, at once when the file changes and each 100 ms.
 * @return As mf_registry_find(); MF_ERR_NOT_FOUND after timeout_ms.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_registry_discover(mf_registry *registry, const char *id,
                                                   int64_t timeout_ms, mf_service *ret_service,
                                                   mf_error *error);

/** Shown each entry, dead ones too, in the file's order. Must not use the registry. */
typedef void (*mf_service_visit_fn)(const mf_service *service, void *user_data);
/** Shows all entries, without any lock. An absent file has none.
 *  @return MF_OK; MF_ERR_PROTOCOL; MF_ERR_IO; MF_ERR_NO_MEMORY;
 *          MF_ERR_INVALID_ARGUMENT. */
MF_API MF_NODISCARD mf_status mf_registry_list(mf_registry *registry, mf_service_visit_fn visit,
                                               void *user_data, mf_error *error);

/**
 * Waits until the file was changed since the last wait (the first wait: since it began).
 * @return MF_OK; MF_ERR_TIMEOUT; MF_ERR_SYSTEM; MF_ERR_INVALID_ARGUMENT; MF_ERR_IO when there is no
 * directory to watch.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_registry_wait(mf_registry *registry, int64_t timeout_ms,
                                               mf_error *error);
/** Descriptor that is readable when mf_registry_wait() would not block, for poll sets; -1 when it
 *  cannot be had. Belongs to the registry. */
MF_API int mf_registry_watch_fd(mf_registry *registry);

MF_EXTERN_C_END

#endif
