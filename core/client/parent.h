/* The inside of mf_parent: its parts. Only the files that assemble a parent, or show it as a whole,
 * include this. Every part has a header of its own:
 *
 *   options.h  settings: defaults, checks, copies         state.h   what all parts share
 *   calls/     calls in flight, and the driver's burst    call/     the ways to make a call
 *   link/      the connection's life, in both modes
 *   parent.c, stats.c, probe.c, command.c, member.c                  the whole */
#ifndef MFI_CLIENT_PARENT_H
#define MFI_CLIENT_PARENT_H

#include "core/client/calls/calls.h"
#include "core/client/link/found.h"
#include "core/client/link/heartbeat.h"
#include "core/client/link/link.h"
#include "core/client/link/spawned.h"
#include "core/client/state.h"
#include "core/runtime/runtime.h"

struct mf_parent {
    mfi_calls calls; /* first member: see mfi_calls_of() */
    mfi_state state;
    mfi_heartbeat heartbeat;
    mfi_link link;
    mfi_spawned spawned; /* spawn mode */
    mfi_found found;     /* connect mode */
    mfi_component component;
    mfi_task restart_task;   /* command.c */
    mfi_task circuit_task;   /* sets the timer again after a change on any thread */
    mfi_timer circuit_timer; /* the engine thread's alone */
};

/* parent.c: makes a parent. */
mf_status mfi_parent_make(mf_parent **ret_parent, const mf_parent_options *options, bool is_member,
                          mf_error *error);

/* Any thread: the worker runs, and is frozen. */
static inline bool mfi_parent_is_frozen(const mf_parent *parent)
{
    return mfi_state_get(&parent->state) == MF_PARENT_READY &&
           mfi_heartbeat_is_frozen(&parent->heartbeat);
}

/* probe.c: what mf_probe shows of a parent. */
void mfi_parent_component_init(mf_parent *parent);
/* command.c: what an operator may change. After the component's own init. */
void mfi_parent_command_init(mf_parent *parent);
/* probe.c: the word of a state in pages. */
const char *mfi_parent_state_word(mf_parent_state state);
/* probe.c: writes for people why the parent is not ready, or frozen, and what happens next. */
void mfi_parent_explain(mf_parent *parent, char *to, size_t size);

#endif
