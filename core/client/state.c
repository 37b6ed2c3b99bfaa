/* The state of a parent as its users see it, and the reason. It exists apart, because all parts of
 * a parent read or set the state, and none may depend on another for that. */
#include "core/client/state.h"

#include "base/carried.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

void mfi_state_init(mfi_state *state)
{
    mfi_mutex_init(&state->mutex);
    atomic_init(&state->value, MF_PARENT_CREATED);
    mfi_restart_init(&state->restart, &state->settings.restart);
    state->last_exit = (mfi_exit){.code = -1};
}

void mfi_state_fini(mfi_state *state)
{
    mfi_carried_drop(&state->first_start.carried);
    mfi_mutex_fini(&state->mutex);
}

void mfi_state_set(mfi_state *state, mf_parent_state value)
{
    if (value == MF_PARENT_READY) {
        atomic_store_explicit(&state->was_ready, true, memory_order_relaxed);
    }
    atomic_store_explicit(&state->value, value, memory_order_release);
    mfi_futex_wake(&state->value, INT32_MAX);
}

mf_parent_state mfi_state_wait_while(mfi_state *state, mf_parent_state a, mf_parent_state b,
                                     uint64_t deadline_ns)
{
    for (;;) {
        mf_parent_state value = mfi_state_get(state);
        if ((value != a && value != b) ||
            (deadline_ns != MFI_NEVER && mfi_monotonic_ns() >= deadline_ns)) {
            return value;
        }
        mfi_futex_wait(&state->value, value, deadline_ns);
    }
}

void mfi_state_set_exit_text(mfi_state *state, const char *text)
{
    mfi_mutex_lock(&state->mutex);
    (void)mfi_str_copy(state->exit_text, sizeof state->exit_text, text);
    mfi_mutex_unlock(&state->mutex);
}

void mfi_state_copy_exit_text(mfi_state *state, char *to)
{
    mfi_mutex_lock(&state->mutex);
    (void)mfi_str_copy(to, MFI_EXIT_TEXT_MAX, state->exit_text);
    mfi_mutex_unlock(&state->mutex);
}

void mfi_state_note_lost(mfi_state *state, const char *why, int64_t pid)
{
    mfi_mutex_lock(&state->mutex);
    (void)mfi_str_copy(state->exit_text, sizeof state->exit_text, why);
    if (state->lost_wall_ns == 0) {
        state->lost_wall_ns = mfi_wall_ns();
        state->lost_peer[0] = '\0';
        if (pid != 0) {
            (void)mfi_str_format(state->lost_peer, sizeof state->lost_peer, " (pid %lld at %s)",
                                 (long long)pid, state->endpoint);
        }
    }
    mfi_mutex_unlock(&state->mutex);
}

void mfi_state_forget_exit(mfi_state *state)
{
    mfi_mutex_lock(&state->mutex);
    state->exit_text[0] = '\0';
    state->lost_wall_ns = 0;
    mfi_mutex_unlock(&state->mutex);
}

void mfi_state_clear_tails(mfi_state *state)
{
    mfi_mutex_lock(&state->mutex);
    mfi_tail_clear(&state->tails[0]);
    mfi_tail_clear(&state->tails[1]);
    mfi_mutex_unlock(&state->mutex);
}

void mfi_state_keep_line(mfi_state *state, bool is_stderr, const char *text, size_t length)
{
    mfi_mutex_lock(&state->mutex);
    mfi_tail_add(&state->tails[is_stderr ? 1 : 0], text, length);
    mfi_mutex_unlock(&state->mutex);
}

size_t mfi_state_copy_tail(mfi_state *state, bool is_stderr, size_t most, char *to)
{
    const char *text = NULL;
    mfi_mutex_lock(&state->mutex);
    size_t size = mfi_tail_last(&state->tails[is_stderr ? 1 : 0], most, &text);
    memcpy(to, text, size);
    mfi_mutex_unlock(&state->mutex);
    to[size] = '\0';
    return size;
}

void mfi_state_explain(mfi_state *state, char *to, size_t size)
{
    mfi_mutex_lock(&state->mutex);
    mfi_tail_explain(&state->tails[1], "stderr", to, size);
    mfi_mutex_unlock(&state->mutex);
}

mf_status mfi_state_exited(mfi_state *state, const char *function, mf_error *error)
{
    char reason[MFI_EXIT_TEXT_MAX];
    const mfi_parent_settings *settings = &state->settings;
    mfi_state_copy_exit_text(state, reason);
    if (mfi_state_connects(state)) {
        return mfi_fail(error, MF_ERR_WORKER_EXITED,
                        "service '%s' vanished during the call of '%s': it %s",
                        mfi_state_service(state), function, reason);
    }
    return mfi_fail(error, MF_ERR_WORKER_EXITED, "worker '%s' %s during the call of '%s'",
                    settings->worker, reason, function);
}

/* True if the service is lost. Then the error says what was lost, and since when. */
static bool explain_lost(mfi_state *state, mf_error *error)
{
    char since[40];
    mfi_mutex_lock(&state->mutex);
    bool is_lost = mfi_state_connects(state) && state->lost_wall_ns != 0;
    if (is_lost) {
        (void)mfi_format_rfc3339(since, sizeof since, state->lost_wall_ns, 3);
        (void)mfi_fail(error, MF_ERR_NOT_RUNNING,
                       "'%s' has no service: '%s'%s vanished at %s and is looked for: it %s",
                       state->settings.target, mfi_state_service(state), state->lost_peer, since,
                       state->exit_text);
    }
    mfi_mutex_unlock(&state->mutex);
    return is_lost;
}

mf_status mfi_state_not_running(mfi_state *state, mf_error *error)
{
    char reason[MFI_EXIT_TEXT_MAX];
    const char *target = state->settings.target;
    mf_parent_state value = mfi_state_get(state);
    if (value == MF_PARENT_CREATED) {
        return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is not running: it was not started",
                        target);
    }
    if (value == MF_PARENT_STOPPING || value == MF_PARENT_STOPPED) {
        return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is not running: it was stopped", target);
    }
    if (explain_lost(state, error)) {
        return MF_ERR_NOT_RUNNING;
    }
    mfi_state_copy_exit_text(state, reason);
    return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is %s: its worker %s", target,
                    value == MF_PARENT_RESTARTING ? "restarting" : "not running",
                    reason[0] != '\0' ? reason : "is not ready");
}

void mfi_state_finish_start(mfi_state *state, mf_status status, mf_parent_state value)
{
    mf_error error;
    mfi_error_clear(&error);
    mfi_mutex_lock(&state->mutex);
    mf_start_fn done = state->start_done;
    void *user_data = state->start_data;
    state->start_done = NULL;
    state->start_status = status;
    if (status != MF_OK) {
        (void)mfi_fail(&error, status, "%s", state->exit_text);
    }
    mfi_mutex_unlock(&state->mutex);
    mfi_state_set(state, value);
    if (done != NULL) {
        done(status, status != MF_OK ? &error : NULL, user_data);
    }
}
