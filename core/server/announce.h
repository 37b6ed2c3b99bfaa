/* The entry of a worker in the service registry. */
#ifndef MFI_SERVER_ANNOUNCE_H
#define MFI_SERVER_ANNOUNCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pthread.h>

#include <multifrost/child.h>
#include <multifrost/registry.h>

#include "core/server/message.h"
#include "core/server/options.h"
#include "core/server/state.h"

/* A spawned worker, and one at a fixed address, have no entry. */
typedef struct mfi_announcement {
    mfi_channel *channel;
    mfi_child_state *state;
    const char *service_id; /* borrowed */
    mf_registry *registry;  /* NULL for a worker that does not register */
    _Atomic(bool) registered;
    _Atomic(uint32_t) bound_port; /* 0: not bound */
    /* The keeper: a thread that enters the worker again when its entry is gone. */
    mf_registry *kept; /* the keeper's own, which has its own watch and a shorter wait for locks */
    pthread_t keeper;
    int stop_fd; /* eventfd: first the keeper takes the entry out, then it ends */
    bool is_kept;
} mfi_announcement;

/* Fills a zeroed announcement. The settings are borrowed. */
mf_status mfi_announce_init(mfi_announcement *announcement, mfi_channel *channel,
                            mfi_child_state *state, const mfi_child_settings *settings,
                            const mf_child_options *from, mf_runtime *runtime, mf_error *error);
void mfi_announce_fini(mfi_announcement *announcement);
/* Engine thread: keeps the port that the transport is bound to. Logs the address of a worker that
 * does not register, and warns if other machines reach it. */
void mfi_announce_bound(mfi_announcement *announcement, const char *address);
/* Any thread; 0: not bound. */
uint16_t mfi_announce_port(const mfi_announcement *announcement);
/* Any thread. */
bool mfi_announce_is_registered(const mfi_announcement *announcement);
/* The run thread. Does nothing for a worker that does not register. */
mf_status mfi_announce_register(mfi_announcement *announcement, mf_error *error);
/* The run thread. Takes the entry out, unless the keeper has, and ends the keeper. Does nothing
 * unless mfi_announce_register() has succeeded. */
void mfi_announce_unregister(mfi_announcement *announcement);

#endif
