/* Makes settings from mf_child_options and the environment: defaults, checks, copies. */
#ifndef MFI_SERVER_OPTIONS_H
#define MFI_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/child.h>

#include "core/wire/limits.h"

#define MFI_CHILD_THREADS_MAX 256
#define MFI_CHILD_NAME_MAX 80 /* of a worker in metrics */

typedef struct mfi_child_settings {
    char *namespace_name;
    char *service_id;   /* NULL in spawn mode, and for a child at a fixed address without a name */
    bool binds;         /* false in spawn mode */
    bool registers;     /* service mode: the registry gets service_id */
    char *bind_address; /* if it binds */
    uint16_t port;      /* the parent's port, or the port to bind (0: a free one) */
    uint32_t threads;   /* number of threads that run handlers */
    uint32_t max_queued;
    size_t max_queued_bytes;
    size_t max_message_bytes;
    mfi_limits limits;
    int64_t deferred_timeout_ms;
    uint32_t handler_sampling; /* one call in so many is sampled; 0: none */
    bool no_signals;
    bool forwards_output; /* to the peers, in messages */
    void (*on_stop)(void *user_data);
    void *user_data;
    char name[MFI_CHILD_NAME_MAX + 1]; /* in metrics and health */
} mfi_child_settings;

/* Fills zeroed settings; to be released with _fini, also after a failure. */
mf_status mfi_child_settings_init(mfi_child_settings *settings, const mf_child_options *from,
                                  mf_error *error);
void mfi_child_settings_fini(mfi_child_settings *settings);
/* For multifrost_config_info. Without the worker's name and its parent's port, which differ between
 * the workers of one target. */
uint64_t mfi_child_settings_fingerprint(const mfi_child_settings *settings);

#endif
