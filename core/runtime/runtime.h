/* The inside of mf_runtime, for the library's other rooms. */
#ifndef MFI_RUNTIME_RUNTIME_H
#define MFI_RUNTIME_RUNTIME_H

#include <stdbool.h>

#include <multifrost/runtime.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mutex.h"
#include "core/engine/loop.h"
#include "core/observe/observe.h"

typedef struct mfi_messaging mfi_messaging;
typedef struct mfi_process mfi_process;

/* A parent or child as the probe shows it. Registered while it lives. */
typedef struct mfi_component {
    const char *target;
    bool is_child;
    void *self;
    void (*visit_health)(void *self, mf_health_visit_fn visit, void *user_data);
    void (*visit_circuit)(void *self, mf_circuit_visit_fn visit, void *user_data); /* or NULL */
    mfi_list_node node; /* in runtime->components */
} mfi_component;

struct mf_runtime {
    _Atomic(uint32_t) references;
    uint64_t fork_generation; /* of the process that made the runtime */
    const mfi_clock *clock;
    mfi_messaging *messaging;
    mfi_loop *loop;
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
    mf_probe probe;
    char *service, *version, *instance;
    uint64_t started_ns;
    mfi_mutex mutex;
    mfi_list components;              /* guarded by mutex, sorted by target */
    struct mfi_health_checks *checks; /* the program's; they have a mutex of their own */
    mfi_list views;                   /* guarded by mutex: the registry views of its parents */
    struct mfi_ping *ping;            /* probe.c: whether the engine's loop still turns */
    mfi_list left;                    /* left.c: engine thread */
};

/* Takes a reference. runtime NULL: makes a private silent runtime instead. */
mf_status mfi_runtime_use(mf_runtime **ret_runtime, mf_runtime *runtime, const char *role,
                          mf_error *error);
/* Releases a reference. The last one frees the runtime. */
void mfi_runtime_unref(mf_runtime *runtime);
/* MF_OK, or MF_ERR_FORKED in a process that did not make the runtime. */
mf_status mfi_runtime_check(const mf_runtime *runtime, mf_error *error);

void mfi_runtime_add_component(mf_runtime *runtime, mfi_component *component);
void mfi_runtime_remove_component(mf_runtime *runtime, mfi_component *component);

/* left.c, engine thread: a spawned process was given up. Its helper is waited for when it ends, or
 * at a later start. Takes the pidfd. */
void mfi_runtime_leave_process(mf_runtime *runtime, mfi_process *process);
/* left.c: before the loop is destroyed. */
void mfi_runtime_forget_left(mf_runtime *runtime);

/* probe.c: fills runtime->probe. */
mf_status mfi_engine_probe_init(mf_runtime *runtime, mf_error *error);
void mfi_engine_probe_fini(mf_runtime *runtime);

#endif
