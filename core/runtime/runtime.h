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
#include "core/runtime/command.h"
#include "core/runtime/health_limits.h"

typedef struct mfi_messaging mfi_messaging;
typedef struct mfi_process mfi_process;

/* The workers of all parents and pools that share a target, for one row of /health. */
#define MFI_WORKERS_TEXT_MAX 1088
typedef struct mfi_workers_row {
    uint32_t ready, needed; /* workers; with fewer ready ones than needed the target is not ready */
    bool warns;             /* a worker is not ready, or is frozen */
    bool starts;            /* a first start is not complete */
    char output[MFI_WORKERS_TEXT_MAX]; /* of the first worker that is not well; "" if all are */
} mfi_workers_row;

/* The place of a worker: its number among the workers of a target, on one runtime. */
typedef struct mfi_place {
    mfi_list_node node; /* in runtime->places */
    const char *target; /* borrowed while the place is taken */
    uint32_t index;
    bool taken;
} mfi_place;

/* A parent or child as the probe shows it. Registered while it lives. */
typedef struct mfi_component {
    const char *target;
    bool is_child;
    void *self;
    /* alone: no other circuit has this target. */
    void (*visit_health)(void *self, bool alone, mf_health_visit_fn visit, void *user_data);
    /* Parents and pools: adds their workers; NULL for a member of a pool. */
    void (*add_workers)(void *self, mfi_workers_row *row);
    /* Parents: shows the rows of the target, which are the same for all its parents. */
    void (*visit_target)(void *self, mf_health_visit_fn visit, void *user_data);
    void (*visit_circuit)(void *self, mf_circuit_visit_fn visit, void *user_data); /* or NULL */
    /* Children: whether it serves; or NULL. */
    bool (*serves)(void *self);
    /* Parents: adds the names of functions that calls go to; or NULL. */
    void (*add_names)(void *self, mfi_function_names *names);
    /* Does what the command asks of its workers, without waiting; or NULL. */
    void (*command)(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                    void *user_data);
    mfi_list_node node; /* in runtime->components */
    uint64_t config;    /* fingerprint of its options, without what differs between processes */
} mfi_component;

struct mf_runtime {
    _Atomic(uint32_t) references;
    uint64_t fork_generation; /* of the process that made the runtime */
    bool makes_segments;      /* parents make memory for the figures of their workers */
    const mfi_clock *clock;
    mfi_messaging *messaging;
    mfi_loop *loop;
    mf_logger *logger;
    mf_metrics *metrics;
    mfi_observer *observer;
    mf_probe probe;
    char *service, *version, *instance;
    const char **baggage_keys; /* one block, ends with NULL; or NULL */
    uint64_t started_ns;
    uint64_t config;        /* config.c: fingerprint of the runtime's own options */
    mf_log_level log_level; /* of these options; the logger may have another one by now */
    bool fault_injection;   /* the option */
    mfi_mutex mutex;
    mfi_list components;              /* guarded by mutex, sorted by target */
    uint64_t component_added_ns;      /* guarded by mutex: when the last one came */
    void (*changed)(void *user_data); /* guarded by mutex: told when a component comes or goes */
    void *changed_data;               /* guarded by mutex */
    mfi_list places;                  /* guarded by mutex, sorted by target and index */
    struct mfi_required *required;    /* probe.c: targets that must exist */
    struct mfi_health_checks *checks; /* the program's; they have a mutex of their own */
    mfi_list views;                   /* guarded by mutex: the registry views of its parents */
    struct mfi_ping *ping;            /* probe.c: whether the engine's loop still turns */
    mfi_list left;                    /* left.c: engine thread */
    mfi_health_limits limits;         /* set once */
    mfi_recent drops;                 /* of the log; visit_health's thread alone */
    _Atomic(bool) draining;           /* the program is about to end */
    struct mfi_systemd *systemd;      /* guarded by mutex: tells systemd; or NULL */
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

/* Evaluates health soon, because something else has come than time. */
void mfi_runtime_tell_change(mf_runtime *runtime);
/* Passes the command to all components, and each effect to `seen`. Nothing waits: a restart and a
 * drain have begun when the function returns. */
void mfi_runtime_command(mf_runtime *runtime, const mfi_command *command, mfi_command_seen_fn seen,
                         void *user_data);

/* left.c, engine thread: a spawned process was given up. Its helper is waited for when it ends, or
 * at a later start. Takes the pidfd. */
void mfi_runtime_leave_process(mf_runtime *runtime, mfi_process *process);
/* left.c: before the loop is destroyed. */
void mfi_runtime_forget_left(mf_runtime *runtime);

/* Takes the lowest free number of the target. A place that is left keeps its counters for the next
 * worker that takes it. */
void mfi_runtime_take_place(mf_runtime *runtime, mfi_place *place, const char *target);
void mfi_runtime_leave_place(mf_runtime *runtime, mfi_place *place);

/* Names the function that is told when a component comes or goes: see mf_probe.watch. */
void mfi_runtime_watch_components(mf_runtime *runtime, void (*changed)(void *user_data),
                                  void *user_data);

/* config.c: the option metric_names; the environment decides where it says nothing. */
mf_status mfi_runtime_pick_names(mf_runtime_options *options, mf_error *error);
/* config.c: the fingerprint of the runtime and its components, in metrics. The second one with the
 * mutex held. */
void mfi_runtime_config_init(mf_runtime *runtime, const mf_runtime_options *options);
void mfi_runtime_show_config(mf_runtime *runtime);
/* The same without the mutex: a setting that is no option of a component has changed. */
void mfi_runtime_config_changed(mf_runtime *runtime);

/* systemd.c: starts the thread that tells systemd; none without $NOTIFY_SOCKET. */
mf_status mfi_systemd_start(mf_runtime *runtime, mf_error *error);
/* Says that the program stops, and ends the thread. */
void mfi_systemd_stop(mf_runtime *runtime);
/* The program drains: the thread says so at once. */
void mfi_systemd_wake(mf_runtime *runtime);

/* probe.c: fills runtime->probe. required: names as in mf_runtime_options. */
mf_status mfi_engine_probe_init(mf_runtime *runtime, const char *const *required, mf_error *error);
void mfi_engine_probe_fini(mf_runtime *runtime);

#endif
