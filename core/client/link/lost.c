/* The end of calls after a loss or a failed start, and the decision about another start. It exists
 * so that the table of a connection's life needs neither modes nor policies: the decision becomes
 * OVER_AGAIN or OVER_LAST. */
#include "base/id.h"
#include "base/str.h"
#include "core/client/link/link.h"

/* Most bytes of the last lines in a record, which holds 2 KiB in all. */
#define STDERR_BYTES 640
#define STDOUT_BYTES 320

static void observe(const mfi_link *link, const mfi_process_event *event)
{
    mfi_observe_process_changed(link->state->observed, event);
}

mfi_remains mfi_link_remains(mfi_link *link)
{
    char *out = link->last_words[0];
    char *err = link->last_words[1];
    size_t out_size = mfi_state_copy_tail(link->state, false, STDOUT_BYTES, out);
    size_t err_size = mfi_state_copy_tail(link->state, true, STDERR_BYTES, err);
    return (mfi_remains){.out = out, .err = err, .out_size = out_size, .err_size = err_size};
}

/* Spawn mode: asks the restart policy. Its answer is kept in `decision`, because it is reported
 * after the reason for it. */
static bool ask_policy(mfi_link *link, const char *why, mfi_restart_reason reason)
{
    mfi_state *state = link->state;
    uint64_t now = mfi_loop_now(state->loop);
    char text[MFI_EXIT_TEXT_MAX];
    mfi_mutex_lock(&state->mutex);
    mfi_restart_decision decision = mfi_restart_decide(
        &state->restart, link->ready_ns != 0 ? now - link->ready_ns : 0, now, mfi_random_fast());
    state->restarts += decision.again ? 1 : 0;
    mfi_mutex_unlock(&state->mutex);
    link->decision =
        (mfi_process_event){.what = decision.again ? MFI_PROCESS_RESTART : MFI_PROCESS_GAVE_UP,
                            .text = state->exit_text, /* only this thread writes it */
                            .reason = decision.again ? reason : MFI_RESTART_NONE,
                            .restart_in_ms = decision.wait_ns / MFI_NS_PER_MS,
                            .restart_attempt = decision.row,
                            .restarts_in_period = decision.in_period,
                            .restarts_allowed = state->settings.restart.max_attempts};
    link->wait_ns = decision.wait_ns;
    /* The text of a failed start, and of a parent that gives up, has the last lines already. */
    if (link->ready_ns != 0 && decision.again) {
        link->remains = mfi_link_remains(link);
        link->decision.remains = &link->remains;
    }
    if (!decision.again) {
        long long seconds = state->settings.restart.period_ms / 1000;
        (void)mfi_str_format(text, sizeof text, "was given up after %u restarts in %lld s: it %s",
                             (unsigned)decision.in_period, seconds, why);
        if (link->ready_ns != 0) {
            mfi_state_explain(state, text, sizeof text);
        }
        mfi_state_set_exit_text(state, text);
        link->failure = link->failure != MF_OK ? link->failure : MF_ERR_WORKER_EXITED;
    }
    return decision.again;
}

/* True if another start follows. Connect mode looks for its service without end. */
static bool decide(mfi_link *link, const char *why, mfi_restart_reason reason)
{
    const mfi_parent_settings *settings = &link->state->settings;
    if (!link->ops->owns_process) {
        link->wait_ns =
            link->ready_ns != 0 ? 0 : mfi_deadline_after_ms(0, settings->discovery_poll_ms);
        return true;
    }
    if (mfi_life_is_replacing(link->phase)) { /* the program asked for it, and it is reported */
        link->wait_ns = 0;
        return true;
    }
    return settings->auto_restart && ask_policy(link, why, reason);
}

/* False if the policy was not asked. */
static bool report_decision(mfi_link *link)
{
    bool was_asked = link->decision.text != NULL;
    if (was_asked) {
        observe(link, &link->decision);
        link->decision = (mfi_process_event){0};
    }
    return was_asked;
}

/* From here on new calls wait or are refused. Calls in flight are claimed. */
static void claim_calls(mfi_link *link, bool again, mf_status status, mfi_claimed *ret_claimed)
{
    mfi_state_set(link->state, again ? MF_PARENT_RESTARTING : MF_PARENT_FAILED);
    mfi_calls_claim(link->calls, status, again && !link->state->settings.fail_fast, ret_claimed);
}

void mfi_link_fail_calls(mfi_link *link, mf_status status)
{
    if (status == MF_ERR_NOT_RUNNING) {
        mfi_calls_fail_sent(link->calls, MF_ERR_WORKER_EXITED);
    }
    mfi_calls_fail_all(link->calls, status);
}

static void close_over(mfi_link *link, bool again)
{
    mfi_link_step(link, again ? MFI_LIFE_ON_OVER_AGAIN : MFI_LIFE_ON_OVER_LAST);
}

mfi_loss mfi_link_lost(mfi_link *link, const char *why, const mfi_unfit *cause)
{
    mfi_state *state = link->state;
    mfi_loss loss = {.reason = cause->reason};
    mfi_state_set_exit_text(state, why);
    mfi_mutex_lock(&state->mutex);
    (void)mfi_str_copy(state->last_exit_text, sizeof state->last_exit_text, why);
    mfi_mutex_unlock(&state->mutex);
    loss.again = decide(link, why, cause->restart);
    /* The peer may have answered before it went, so its answers are read. Queued calls are kept for
     * the next peer. */
    atomic_store_explicit(&link->calls->holding, true, memory_order_relaxed);
    (void)mfi_driver_look(&link->calls->driver);
    claim_calls(link, loss.again, MF_ERR_WORKER_EXITED, &loss.claimed);
    return loss;
}

mfi_loss mfi_link_lost_connection(mfi_link *link, const char *why)
{
    mfi_unfit cause = {.restart = MFI_RESTART_NONE,
                       .reason = {.rule = MFI_RULE_DISCONNECTED, .status = MF_ERR_WORKER_EXITED}};
    (void)mfi_str_format(cause.reason.text, sizeof cause.reason.text, "the service %s", why);
    return mfi_link_lost(link, why, &cause);
}

void mfi_link_close_lost(mfi_link *link, const mfi_loss *loss)
{
    mfi_circuit_reason reason = loss->reason;
    (void)mfi_str_copy(reason.correlation_id, sizeof reason.correlation_id,
                       loss->claimed.ended.oldest.correlation_id);
    (void)mfi_str_copy(reason.trace_id, sizeof reason.trace_id,
                       loss->claimed.ended.oldest.trace_id);
    if (!loss->is_orderly) {
        mfi_circuit_trip(&link->state->circuit, &reason);
    }
    mfi_calls_deliver_claimed(link->calls, &loss->claimed);
    (void)report_decision(link);
    close_over(link, loss->again);
}

void mfi_link_add_next(const mfi_link *link, bool again, mfi_process_event *event)
{
    const mfi_process_event *decision = &link->decision;
    bool was_asked = decision->text != NULL;
    event->next = again ? MFI_NEXT_RESTART : was_asked ? MFI_NEXT_GAVE_UP : MFI_NEXT_NONE;
    event->restart_in_ms = again ? link->wait_ns / MFI_NS_PER_MS : 0;
    event->restarts_in_period = decision->restarts_in_period;
    event->restarts_allowed = decision->restarts_allowed;
}

bool mfi_link_judge_start(mfi_link *link, const mf_error *error, mfi_restart_reason reason)
{
    /* Why a service was lost tells more than that it was not found again in time. */
    bool is_explained =
        link->was_ready && !link->ops->owns_process && error->code == MF_ERR_START_TIMEOUT;
    link->failure = error->code;
    if (!is_explained) {
        mfi_state_set_exit_text(link->state, error->message);
    }
    mfi_start_span_end(link, error->code, error->message);
    bool is_replaced = mfi_life_is_replacing(link->phase);
    return (link->was_ready || is_replaced) && decide(link, error->message, reason);
}

void mfi_link_close_start(mfi_link *link, const mf_error *error, bool again)
{
    bool is_replaced = mfi_life_is_replacing(link->phase);
    /* One record for each process that did not become ready: that of the decision, or this one. */
    if (!report_decision(link) && (!again || is_replaced)) {
        observe(link,
                &(mfi_process_event){.what = MFI_PROCESS_FAILED,
                                     .context = link->ops->owns_process ? &link->start_span : NULL,
                                     .text = error->message});
    }
    if (again) {
        mfi_calls_fail_sent(link->calls, MF_ERR_WORKER_EXITED);
        mfi_claimed claimed;
        claim_calls(link, again, MF_ERR_NOT_RUNNING, &claimed);
        mfi_calls_deliver_claimed(link->calls, &claimed);
    } else {
        mfi_link_fail_calls(link, MF_ERR_NOT_RUNNING);
    }
    close_over(link, again);
}

void mfi_link_start_failed(mfi_link *link, const mf_error *error, mfi_restart_reason reason)
{
    mfi_link_close_start(link, error, mfi_link_judge_start(link, error, reason));
}
