/* The state that all parts of a parent share: its settings, its handles in the lower rooms, the
 * public state, and the texts that give the reason for that state. */
#ifndef MFI_CLIENT_STATE_H
#define MFI_CLIENT_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/parent.h>

#include "base/mutex.h"
#include "core/client/options.h"
#include "core/client/tail.h"
#include "core/engine/loop.h"
#include "core/observe/targets.h"
#include "core/policy/circuit.h"
#include "core/policy/restart.h"
#include "core/process/exits.h"
#include "core/runtime/runtime.h"
#include "core/transport/transport.h"

#define MFI_EXIT_TEXT_MAX 960 /* with the last lines that the worker printed */
#define MFI_EXPLAINED_MAX 820 /* of a failed start, so that other texts can name it in full */

typedef struct mfi_state {
    mf_runtime *runtime;
    mfi_loop *loop; /* the runtime's */
    mfi_parent_settings settings;
    mfi_target *observed;
    mfi_place place;
    mfi_circuit circuit;
    mfi_circuit trial;       /* refuses nothing; used if settings.has_trial */
    _Atomic(uint32_t) value; /* mf_parent_state; release by the engine; futex of waiters */
    _Atomic(int64_t) pid;    /* of the peer; 0: there is none */
    _Atomic(bool) was_ready; /* the first start is complete */
    mf_context first_start;  /* the trace of the thread that started; engine thread from then on */

    mfi_mutex mutex;
    char endpoint[MFI_ENDPOINT_MAX];   /* guarded by mutex, as is all below */
    char exit_text[MFI_EXIT_TEXT_MAX]; /* why the peer does not run */
    mf_status start_status;            /* of the start that ended last */
    mf_start_fn start_done;            /* called once, at the end of the first start */
    void *start_data;                  /* for start_done */
    mfi_exit last_exit;                /* of the process that ended last */
    /* The same in words; also for a service that was lost. */
    char last_exit_text[MFI_EXIT_TEXT_MAX];
    uint64_t lost_wall_ns; /* connect mode: when the service was lost; 0: it is not lost */
    char lost_peer[MFI_ENDPOINT_MAX + 32]; /* " (pid 12 at tcp://127.0.0.1:40001)", or "" */
    mfi_tail tails[2];                     /* of stdout and stderr of this start */
    mfi_restart restart;
    uint64_t restarts;      /* since creation */
    uint64_t restart_at_ns; /* time of the next start; 0: no start is waited for */
} mfi_state;

/* Settings and runtime are set by the caller before. */
void mfi_state_init(mfi_state *state);
void mfi_state_fini(mfi_state *state);

static inline mf_parent_state mfi_state_get(const mfi_state *state)
{
    return (mf_parent_state)atomic_load_explicit(&state->value, memory_order_acquire);
}
void mfi_state_set(mfi_state *state, mf_parent_state value);
/* Waits until the state is neither a nor b, or the deadline has passed. Returns the state. */
mf_parent_state mfi_state_wait_while(mfi_state *state, mf_parent_state a, mf_parent_state b,
                                     uint64_t deadline_ns);
/* MF_ERR_NOT_RUNNING with the reason. */
mf_status mfi_state_not_running(mfi_state *state, mf_error *error);
void mfi_state_set_exit_text(mfi_state *state, const char *text);
/* Connect mode: the service of that pid is lost; `why` becomes the exit text. */
void mfi_state_note_lost(mfi_state *state, const char *why, int64_t pid);
/* The peer is ready: nothing explains its absence any more. */
void mfi_state_forget_exit(mfi_state *state);
/* MF_ERR_WORKER_EXITED: the peer ended during a call of that function. */
mf_status mfi_state_exited(mfi_state *state, const char *function, mf_error *error);
/* The last lines that the worker printed since the start. Any thread. */
void mfi_state_clear_tails(mfi_state *state);
void mfi_state_keep_line(mfi_state *state, bool is_stderr, const char *text, size_t length);
/* Copies the last whole lines of at most `most` bytes, with a NUL; to has MFI_TAIL_BYTES + 1 bytes.
 * Returns the length. */
size_t mfi_state_copy_tail(mfi_state *state, bool is_stderr, size_t most, char *to);
/* Appends the last lines of stderr to the text in `to`, as mfi_tail_explain() does. */
void mfi_state_explain(mfi_state *state, char *to, size_t size);
/* Copies the exit text; to has MFI_EXIT_TEXT_MAX bytes. */
void mfi_state_copy_exit_text(mfi_state *state, char *to);
/* Sets the new state, and the outcome of the start for the threads that wait for it. The user's
 * callback runs last, so that it sees the new state. */
void mfi_state_finish_start(mfi_state *state, mf_status status, mf_parent_state value);

/* True in connect mode, false in spawn mode. */
static inline bool mfi_state_connects(const mfi_state *state)
{
    return state->settings.service_id != NULL || state->settings.endpoint != NULL;
}
/* Connect mode: the service's name, or its address if that is all that is known of it. */
static inline const char *mfi_state_service(const mfi_state *state)
{
    return state->settings.endpoint != NULL ? state->settings.endpoint : state->settings.service_id;
}

#endif
