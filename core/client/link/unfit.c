/* Peers that run, but are of no use any more: frozen, with a handler that has run too long, or
 * without a connection. It exists so that the cause is told where it is seen, and kept: the process
 * ends by a signal of the link, and that signal says nothing.
 *
 * In spawn mode such a process is ended, which brings the events of its exit. In connect mode the
 * parent has no process to end: the circuit opens, and the service is looked for again. */
#include "base/number.h"
#include "base/str.h"
#include "core/client/link/link.h"

/* Opens the circuit for the cause. */
static void trip(mfi_link *link, const mfi_unfit *cause)
{
    mfi_circuit_trip(&link->state->circuit, &cause->reason);
}

/* text: what the worker did, such as "was frozen". */
static void end_unfit(mfi_link *link, mfi_life_event event, const mfi_unfit *cause,
                      const char *text)
{
    char why[MFI_EXIT_TEXT_MAX];
    (void)mfi_str_format(why, sizeof why, "%s and was ended by its parent", text);
    mfi_state_set_exit_text(link->state, why);
    link->unfit = *cause;
    mfi_link_step(link, event);
}

static bool is_stopped(mfi_heartbeat *heartbeat)
{
    const mfi_link *link = heartbeat->owner;
    return link->ops->owns_process && link->ops->is_stopped(link->peer);
}

static void on_frozen(mfi_heartbeat *heartbeat, uint32_t misses, bool by_system)
{
    mfi_link *link = heartbeat->owner;
    char text[MFI_EXIT_TEXT_MAX];
    uint32_t most = link->state->settings.heartbeat_misses;
    mfi_unfit cause = {.restart = MFI_RESTART_HEARTBEAT,
                       .reason = {.rule = MFI_RULE_HEARTBEAT,
                                  .observed = (double)misses,
                                  .threshold = (double)most,
                                  .status = MF_ERR_TIMEOUT}};
    const char *stopped = by_system ? ", its process is stopped" : "";
    (void)mfi_str_format(cause.reason.text, sizeof cause.reason.text,
                         "%u heartbeats of %u unanswered%s", (unsigned)misses, (unsigned)most,
                         stopped);
    trip(link, &cause);
    if (!link->ops->owns_process) {
        link->ops->check(link->peer, false);
    } else if (link->state->settings.auto_restart && link->phase == MFI_LIFE_RUNNING) {
        (void)mfi_str_format(text, sizeof text,
                             "was frozen (answered none of %u heartbeats in a row%s)",
                             (unsigned)misses, stopped);
        end_unfit(link, MFI_LIFE_ON_FROZEN, &cause, text);
    }
}

static void on_overdue(mfi_heartbeat *heartbeat, uint64_t busy_ms)
{
    mfi_link *link = heartbeat->owner;
    char text[MFI_EXIT_TEXT_MAX];
    double limit = (double)link->state->settings.handler_timeout_ms / 1000;
    double seconds = (double)busy_ms / 1000;
    mfi_unfit cause = {.restart = MFI_RESTART_HANDLER_TIMEOUT,
                       .reason = {.rule = MFI_RULE_HANDLER_TIMEOUT,
                                  .observed = seconds,
                                  .threshold = limit,
                                  .status = MF_ERR_TIMEOUT}};
    if (link->phase != MFI_LIFE_RUNNING) {
        return;
    }
    const mfi_number_text ran = mfi_fixed_text(seconds, 1);
    const mfi_number_text most = mfi_fixed_text(limit, 1);
    (void)mfi_str_format(cause.reason.text, sizeof cause.reason.text,
                         "a handler has run for %s s of %s s", ran.text, most.text);
    (void)mfi_str_format(text, sizeof text, "had a handler that ran for %s s of %s s", ran.text,
                         most.text);
    trip(link, &cause);
    end_unfit(link, MFI_LIFE_ON_OVERDUE, &cause, text);
}

void mfi_link_cut_off(mfi_link *link)
{
    const mfi_unfit cause = {.restart = MFI_RESTART_DISCONNECTED,
                             .reason = {.rule = MFI_RULE_DISCONNECTED,
                                        .text = "the worker closed its connection and went on",
                                        .status = MF_ERR_WORKER_EXITED}};
    trip(link, &cause);
    end_unfit(link, MFI_LIFE_ON_CUT_OFF, &cause, "closed its connection, did not end");
}

void mfi_link_met_stranger(mfi_link *link, const char *who)
{
    char text[MFI_EXIT_TEXT_MAX];
    mfi_unfit cause = {.restart = MFI_RESTART_DISCONNECTED,
                       .reason = {.rule = MFI_RULE_DISCONNECTED, .status = MF_ERR_WORKER_EXITED}};
    (void)mfi_str_format(cause.reason.text, sizeof cause.reason.text,
                         "a stranger connected to the worker's port: %s", who);
    (void)mfi_str_format(text, sizeof text, "met a stranger at its port (%s)", who);
    trip(link, &cause);
    end_unfit(link, MFI_LIFE_ON_CUT_OFF, &cause, text);
}

void mfi_link_init_unfit(mfi_link *link)
{
    link->heartbeat->froze = on_frozen;
    link->heartbeat->overdue = on_overdue;
    link->heartbeat->is_stopped = is_stopped;
}
